//! `paas status [APP] [-w]`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use comfy_table::{Cell, Color};
use indicatif::HumanBytes;
use owo_colors::OwoColorize;
use serde::{Deserialize, Serialize};

use super::args::{Format, Status};
use super::client::{Client, app_path};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::model::status::{DatabaseStatus, EngineStatus, ImageStatus, ManifestsStatus, NetworkStatus, SleepStatus};
use crate::model::{AppKey, DaemonStatus, Seconds, Timestamp};
use crate::portal::events::Gone;
use crate::portal::settings::SettingsView;
use crate::portal::traffic::Traffic;
use crate::portal::view::{AppView, trouble, troubles};

pub(super) async fn run(context: &mut Context, args: &Status) -> anyhow::Result<Exit> {
    // The daemon tells of refused settings itself; what it does not know of is told when its answer is here.
    let client = Client::new(context.settings_quietly()?.socket_path());
    let shown = show(context, &client, args).await;
    context.warn_except(&[]);
    shown
}

async fn show(context: &mut Context, client: &Client, args: &Status) -> anyhow::Result<Exit> {
    if args.watch {
        return watch(context, client, args.app.as_deref()).await;
    }
    if let Some(typed) = &args.app {
        let manifests = Manifests::new(context.settings_quietly()?);
        let key = manifests.or_parsed(typed)?;
        let shown: Shown = client.get(&app_path(&key, "")).await.map_err(|error| manifests.explain(typed, error))?;
        match context.format(Format::Table) {
            Format::Table => write!(context.out, "{}", Detail(&shown))?,
            other => context.out.value(other, &shown)?,
        }
        return Ok(Exit::Done);
    }
    let status: DaemonStatus = client.get("/status").await?;
    context.warn_except(&status.settings_problems);
    match context.format(Format::Table) {
        Format::Table => {
            let views: Vec<AppView> = client.get("/apps").await?;
            overview(context, &status, &views)?;
            // Told only where it is known.
            if let Some(room) = room(client).await {
                context.out.line(format_args!("memory: {room}"))?;
            }
        }
        other => context.out.value(other, &with_views(&status, &client.get::<Vec<AppView>>("/apps").await?)?)?,
    }
    Ok(Exit::Done)
}

async fn room(client: &Client) -> Option<String> {
    let told: SettingsView = client.get("/settings").await.ok()?;
    told.machine.room.told()
}

/// The status, each app of it as `paas status APP -o json` shows it: with its phase and its address.
fn with_views(status: &DaemonStatus, views: &[AppView]) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(status)?;
    for view in views {
        // One that has just come is in one of the two answers only.
        if let Some(app) = value["apps"].get_mut(view.status.app.to_string()) {
            *app = serde_json::to_value(view)?;
        }
    }
    Ok(value)
}

fn overview(context: &mut Context, status: &DaemonStatus, views: &[AppView]) -> anyhow::Result<()> {
    if views.is_empty() && status.manifests != ManifestsStatus::Complete {
        context.out.line("which apps there are is not known yet")?;
    } else if views.is_empty() {
        context.out.line("no apps yet: make one with `paas create USERID-APPNAME --template diary-v1`")?;
    } else {
        let now = now();
        let mut table = output::table(&["APP", "PHASE", "FOR", "RESTARTS", "URL"]);
        for view in views {
            table.add_row([
                Cell::new(&view.status.app),
                Cell::new(&view.phase).fg(colour(&view.phase)),
                Cell::new(since(view).map_or_else(String::new, |since| age(now, since))),
                Cell::new(view.status.restarts),
                Cell::new(&view.url),
            ]);
        }
        context.out.table(&table)?;
    }
    for view in views {
        for condition in troubles(&view.status) {
            let message = output::harmless(&condition.message);
            context.out.line(format_args!("{} {}: {message}", "!".yellow().bold(), view.status.app))?;
        }
    }
    for problem in daemon_problems(status) {
        context.out.line(format_args!("{} {}", "!".red().bold(), output::harmless(&problem)))?;
    }
    Ok(())
}

/// What is wrong or pending with the daemon as a whole, each as one sentence.
fn daemon_problems(status: &DaemonStatus) -> Vec<String> {
    let mut problems = Vec::new();
    match &status.engine {
        EngineStatus::Connected { .. } => {}
        EngineStatus::Connecting => problems.push("Docker: connecting".to_owned()),
        EngineStatus::Unreachable { reason, .. } => problems.push(format!("Docker does not answer: {reason}")),
        EngineStatus::Unsupported { reason } => problems.push(format!("Docker is not supported: {reason}")),
    }
    match &status.manifests {
        ManifestsStatus::Complete | ManifestsStatus::Unknown => {}
        ManifestsStatus::Unavailable { reason, .. } => {
            problems.push(format!("manifests cannot be read, nothing is removed meanwhile: {reason}"));
        }
    }
    if let DatabaseStatus::Unusable { reason, .. } = &status.database {
        problems.push(reason.clone());
    }
    match &status.image {
        ImageStatus::Unknown | ImageStatus::Ready { .. } => {}
        ImageStatus::Building { step, .. } => problems.push(format!("building the runtime image: {step}")),
        ImageStatus::Failed { reason, log, .. } => {
            problems.push(format!("the runtime image could not be built: {reason}"));
            problems.extend(log.iter().map(|line| format!("  {line}")));
        }
    }
    match &status.network {
        NetworkStatus::Unknown | NetworkStatus::Ready { .. } => {}
        NetworkStatus::Drifted { message } | NetworkStatus::Failed { message } => {
            problems.push(format!("network: {message}"));
        }
    }
    problems.extend(status.proxy.iter().flat_map(super::npm::problems));
    if let Some(held) = &status.held {
        problems.push(format!("{} (`paas confirm` shows it)", held.message));
    }
    problems.extend(status.file_problems.iter().map(|problem| format!("{}: {}", problem.file, problem.message)));
    problems.extend(status.settings_problems.iter().map(|problem| format!("settings: {problem}")));
    if !status.restart_required.is_empty() {
        problems.push(format!("restart the daemon to take up: {}", status.restart_required.join(", ")));
    }
    problems
}

/// One app.
#[derive(Serialize, Deserialize)]
struct Shown {
    #[serde(flatten)]
    view: AppView,
    #[serde(default)]
    traffic: Option<Traffic>,
}

/// The same, line by line.
struct Detail<'a>(&'a Shown);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { view: AppView { phase, url, addresses, strangers_may_write, status }, traffic } = self.0;
        let now = now();
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "{:<11}{value}", format!("{name}:"));
        row("App", &status.app)?;
        row("Phase", &phase)?;
        row("URL", &url)?;
        for (name, address) in status.domains.iter().zip(addresses) {
            // As people read it, and where that differs, as the DNS has it.
            let also = if address.shown == name.as_str() { String::new() } else { format!(" ({})", address.shown) };
            row("Domain", &format_args!("{}{also}", address.url))?;
        }
        row("Sync", &format_args!("{:?}", status.sync))?;
        row("Health", &format_args!("{:?}", status.health))?;
        row("Desired", &format_args!("{:?}", status.desired))?;
        let strangers = if *strangers_may_write { ", also to change what is in it" } else { "" };
        row("Visitors", &format_args!("{}{strangers}", status.visitors))?;
        if let Some(template) = &status.template {
            row("Template", template)?;
        }
        if let Some(limits) = &status.limits {
            let (memory, cpus, pids) = (limits.memory, limits.cpus, limits.pids);
            row("Limits", &format_args!("memory {memory}, cpus {cpus}, pids {pids}"))?;
        }
        if let Some(container) = &status.container {
            row("Container", &container.short())?;
        }
        if let Some(started) = status.started_at {
            row("Started", &format_args!("{} ({} ago)", output::local(started), age(now, started)))?;
        }
        row("Restarts", &status.restarts)?;
        if let Some(sleep) = &status.sleep {
            row("Sleep", &Rest(sleep, now))?;
        }
        if let Some(traffic) = traffic.as_ref().filter(|traffic| traffic.requests > 0) {
            row("Traffic", &Visits(traffic))?;
        }
        if let Some(exit) = &status.last_exit {
            let memory = if exit.oom_killed { ", out of memory" } else { "" };
            row("Last exit", &format_args!("code {}{memory}", exit.code))?;
            for line in &exit.log {
                writeln!(f, "             {}", output::harmless(line))?;
            }
        }
        if !status.conditions.is_empty() {
            writeln!(f, "Conditions:")?;
        }
        for condition in &status.conditions {
            let (kind, reason) = (condition.kind, &condition.reason);
            let holds = if condition.status { "" } else { "not " };
            let age = age(now, condition.since);
            writeln!(f, "  {holds}{kind:?} ({reason}, {age}): {}", output::harmless(&condition.message))?;
        }
        Ok(())
    }
}

/// An app's sleep in one line.
struct Rest<'a>(&'a SleepStatus, Timestamp);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sleep, now) = self;
        match sleep.since {
            Some(since) => write!(f, "asleep since {} ({})", output::local(since), age(*now, since))?,
            None => write!(f, "awake, until nobody comes for {}", Seconds(sleep.after_seconds))?,
        }
        if let Some(by) = &sleep.woken_by {
            let what = by.path.as_deref().unwrap_or("by hand");
            let agent = by.agent.as_ref().map(|agent| format!(", {agent}")).unwrap_or_default();
            write!(
                f,
                "; woken {} times, last {} ago ({}{})",
                sleep.wakes,
                age(*now, by.at),
                output::harmless(what),
                output::harmless(&agent)
            )?;
        }
        Ok(())
    }
}

/// An app's traffic in one line.
struct Visits<'a>(&'a Traffic);

impl fmt::Display for Visits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traffic = self.0;
        let (sent, received) = (HumanBytes(traffic.sent_bytes), HumanBytes(traffic.received_bytes));
        write!(f, "{} requests since the daemon started, {sent} sent, {received} received", traffic.requests)?;
        let responses = &traffic.responses;
        for (class, count) in [("4xx", responses.client_error), ("5xx", responses.server_error)] {
            if count > 0 {
                write!(f, ", {count} {class}")?;
            }
        }
        let refused = traffic.refusals.all();
        if refused > 0 {
            write!(f, ", {refused} answered by the gateway in its place")?;
        }
        if let (Some(half), Some(most)) = (traffic.within_ms(500), traffic.within_ms(990)) {
            write!(f, "; half within {half} ms, 99 % within {most} ms")?;
        }
        Ok(())
    }
}

/// One change, for programs that watch.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "data")]
enum Change<'a> {
    App(&'a AppView),
    Gone(&'a Gone),
    Daemon(&'a DaemonStatus),
}

/// Redraws on a terminal; elsewhere prints a line per change (with `-o json`: one object per line).
async fn watch(context: &mut Context, client: &Client, only: Option<&str>) -> anyhow::Result<Exit> {
    let only = only.map(|typed| Manifests::new(context.settings_quietly()?).or_parsed(typed)).transpose()?;
    let wanted = |key: &AppKey| only.as_ref().is_none_or(|only| only == key);
    let mut events = client.events("/events").await?;
    let mut daemon: Option<DaemonStatus> = None;
    let mut apps: BTreeMap<AppKey, AppView> = BTreeMap::new();
    while let Some(event) = events.next().await? {
        match event.event.as_str() {
            "daemon" => {
                let status: DaemonStatus = event.json()?;
                context.warn_except(&status.settings_problems);
                line(context, &Change::Daemon(&status))?;
                daemon = Some(status);
            }
            "apps" => {
                let views: Vec<AppView> = event.json()?;
                apps = views.into_iter().map(|view| (view.status.app.clone(), view)).collect();
                apps.retain(|key, _| wanted(key));
                for view in apps.values() {
                    line(context, &Change::App(view))?;
                }
            }
            "app" => {
                let view: AppView = event.json()?;
                if wanted(&view.status.app) {
                    line(context, &Change::App(&view))?;
                    apps.insert(view.status.app.clone(), view);
                }
            }
            "gone" => {
                let gone: Gone = event.json()?;
                if wanted(&gone.app) {
                    line(context, &Change::Gone(&gone))?;
                    apps.remove(&gone.app);
                }
            }
            _ => continue,
        }
        if let (true, Some(status)) = (redraws(context), &daemon) {
            let views: Vec<AppView> = apps.values().cloned().collect();
            // Home, clear below: less flicker than clearing everything first.
            write!(context.out, "\x1b[H\x1b[J")?;
            overview(context, status, &views)?;
            context.out.flush()?;
        }
    }
    context.err.note("the daemon stopped");
    Ok(Exit::Done)
}

fn redraws(context: &Context) -> bool {
    context.out.is_terminal() && context.format(Format::Table) == Format::Table
}

fn line(context: &mut Context, change: &Change<'_>) -> anyhow::Result<()> {
    if redraws(context) {
        return Ok(());
    }
    if context.format(Format::Table) != Format::Table {
        context.out.json_line(change)?;
        return Ok(());
    }
    match change {
        Change::App(view) => {
            let why: Vec<_> = troubles(&view.status).iter().map(|c| output::harmless(&c.message)).collect();
            let colon = if why.is_empty() { "" } else { ": " };
            context.out.line(format_args!("{} {}{colon}{}", view.status.app, view.phase, why.join("; ")))?;
        }
        Change::Gone(gone) => context.out.line(format_args!("{} Gone", gone.app))?,
        Change::Daemon(status) => {
            for problem in daemon_problems(status) {
                context.out.line(format_args!("daemon {}", output::harmless(&problem)))?;
            }
        }
    }
    Ok(())
}

fn colour(phase: &str) -> Color {
    match phase {
        "Running" => Color::Green,
        "Invalid" | "Conflict" | "CrashLoop" | "Degraded" | "DeployFailed" => Color::Red,
        "Stopped" | "Deleted" => Color::DarkGrey,
        _ => Color::Yellow,
    }
}

fn since(view: &AppView) -> Option<Timestamp> {
    use crate::model::ConditionKind::Ready;
    let condition = trouble(&view.status).or_else(|| view.status.condition(Ready));
    condition.map(|condition| condition.since)
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// `42s`, `5m`, `3h`, `12d`.
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.0 - then.0).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_database_is_the_daemon_s_problem() {
        let told = |database| daemon_problems(&DaemonStatus { database, ..DaemonStatus::unseen() });
        let calm = told(DatabaseStatus::Usable);
        let reason = "the database was removed: put it back".to_owned();
        let lost = told(DatabaseStatus::Unusable { reason: reason.clone(), since: Timestamp(0) });
        assert_eq!(lost, [calm, vec![reason]].concat());
    }

    #[test]
    fn ages_are_short() {
        let age_of = |seconds: i64| age(Timestamp(seconds * 1000), Timestamp(0));
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (172_800, "2d")] {
            assert_eq!(age_of(seconds), text);
        }
        assert_eq!(age(Timestamp(0), Timestamp(5000)), "0s", "a clock that went back");
    }
}
