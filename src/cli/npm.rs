//! `paas npm status|plan`: Nginx Proxy Manager, as the daemon looks after it.

use super::args::{Format, Npm};
use super::client::Client;
use super::context::Context;
use super::exit::Exit;
use super::{manifests, output};
use crate::clock::{Clock as _, SystemClock};
use crate::model::DaemonStatus;
use crate::model::proxy::{ProxyState, ProxyStatus};
use crate::npm;

const OFF: &str = "NPM_URL is not set: Nginx Proxy Manager is looked after by hand";

pub(super) async fn run(context: &mut Context, command: &Npm) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let status: DaemonStatus = Client::new(settings.socket_path()).get("/status").await?;
    match command {
        Npm::Status => show(context, status.proxy.as_ref()),
        Npm::Plan => {
            let instance = manifests::instance(&settings)?;
            if settings.npm().is_none() {
                context.out.line(OFF)?;
                return Ok(Exit::Done);
            }
            let npm::Preview { steps, notes, .. } =
                npm::preview(&settings, &status, instance.as_str(), SystemClock.now()).await?;
            match context.format(Format::Table) {
                Format::Table => {
                    for step in &steps {
                        context.out.line(format_args!("would {}", output::harmless(step)))?;
                    }
                    for note in &notes {
                        context.out.line(format_args!("! {}", output::harmless(note)))?;
                    }
                    if steps.is_empty() {
                        context.out.line("nothing to do: Nginx Proxy Manager is as it should be")?;
                    }
                }
                other => context.out.value(other, &serde_json::json!({"steps": steps, "notes": notes}))?,
            }
            Ok(if steps.is_empty() { Exit::Done } else { Exit::Changes })
        }
    }
}

fn show(context: &mut Context, proxy: Option<&ProxyStatus>) -> anyhow::Result<Exit> {
    let bad = proxy.is_some_and(|proxy| matches!(proxy.state, ProxyState::Unreachable | ProxyState::Refused));
    let exit = if bad { Exit::Failed } else { Exit::Done };
    if context.format(Format::Table) != Format::Table {
        context.out.value(context.format(Format::Table), &proxy)?;
        return Ok(exit);
    }
    let Some(proxy) = proxy else {
        context.out.line(OFF)?;
        return Ok(exit);
    };
    let version = proxy.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    context.out.line(format_args!("{}{version}: {}", proxy.url, word(proxy.state)))?;
    if !proxy.hosts.is_empty() {
        let mut table = output::table(&["HOST", "NAMES", "LEADS TO", "CERTIFICATE", ""]);
        for host in &proxy.hosts {
            let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let state = if host.in_sync { "ok" } else { "not yet" };
            let row = [
                number(host.id),
                host.names.join("\n"),
                host.leads_to.clone(),
                number(host.certificate),
                state.to_owned(),
            ];
            table.add_row(row.map(|cell| output::harmless(&cell)));
        }
        context.out.table(&table)?;
    }
    for step in &proxy.plan {
        context.out.line(format_args!("to do: {}", output::harmless(step)))?;
    }
    for problem in problems(proxy) {
        context.out.line(format_args!("! {}", output::harmless(&problem)))?;
    }
    Ok(exit)
}

fn word(state: ProxyState) -> &'static str {
    match state {
        ProxyState::Connecting => "not asked yet",
        ProxyState::Synced => "as it should be",
        ProxyState::OutOfSync => "something is still to be done",
        ProxyState::Unreachable => "it does not answer; it is tried again by itself",
        ProxyState::Refused => "it refuses; it is tried again by itself",
        ProxyState::Left => "left alone since NPM_URL is not set any more",
    }
}

/// What is wrong with it, each as one sentence.
pub(super) fn problems(proxy: &ProxyStatus) -> Vec<String> {
    proxy.conditions.iter().map(|condition| format!("{:?}: {}", condition.kind, condition.message)).collect()
}
