//! P1 to P10 of the design, as far as they can be seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use minipaas::desired::parse;
use minipaas::engine::sim::{Actor, Transition};
use minipaas::model::{
    AppKey, AppStatus, ContainerId, ContainerState, Digest, Health, ObservedContainer, Ownership, PurgeToken, SyncState,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;

use crate::scripts::{BYSTANDER, Expect, Reach, Script, Uptime};
use crate::world::{Blow, Ended, Strike};

/// How long the status may lag behind Docker: an event's way and one look.
const LAG: Duration = Duration::from_secs(1);
/// Changes to Docker that a fault may cost beyond those of the undisturbed run, per app the script is about.
const EXTRA_CHANGES: usize = 14;

/// What was seen on the way.
pub(crate) struct Record {
    /// Entries of the journal that were looked at.
    journal: usize,
    /// Entries before the script's first step.
    before: usize,
    calls_before: u64,
    /// What each app has in its data folder.
    data: BTreeMap<AppKey, Digest>,
    /// Apps whose owner gave up their data in writing at some time.
    purged: BTreeSet<AppKey>,
    pub(crate) violations: Vec<String>,
}

fn owner(world: &World, labels: &BTreeMap<String, String>) -> Option<AppKey> {
    match Ownership::of(labels, &world.instance) {
        Ownership::Owned(key) => Some(key),
        Ownership::Foreign => None,
    }
}

impl Record {
    pub(crate) fn new(_: &World) -> Self {
        Self {
            journal: 0,
            before: 0,
            calls_before: 0,
            data: BTreeMap::new(),
            purged: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, world: &World) {
        self.before = world.docker.journal_len();
        self.journal = self.before;
        self.calls_before = world.injector.count();
    }

    /// A step of the script was done: what do the files permit from now on?
    pub(crate) fn deed(&mut self, world: &World) {
        for name in world.manifests.names() {
            let Some(stem) = name.strip_suffix(".yaml").or(name.strip_suffix(".yml")) else { continue };
            let (Ok(key), Some(bytes)) = (AppKey::parse(stem), world.manifests.get(&name)) else { continue };
            if let Ok(manifest) = parse(&name, &bytes)
                && PurgeToken::from_manifest(&key, &manifest).is_some()
            {
                self.purged.insert(key);
            }
        }
    }

    fn broken(&mut self, text: String) {
        if !self.violations.contains(&text) {
            self.violations.push(text);
        }
    }

    /// What holds at every moment.
    pub(crate) fn look(&mut self, world: &World, daemon: Option<&Daemon>, stale: bool) {
        self.look_at_data(world);
        self.look_at_journal(world);
        self.look_at_status(world, daemon, stale);
    }

    /// P3.
    fn look_at_data(&mut self, world: &World) {
        for key in world.folders.apps().keys() {
            if !self.data.contains_key(key) && world.folders.write_data(key, "diary", key.to_string().as_bytes()) {
                self.data.extend(world.folders.data_checksum(key).map(|sum| (key.clone(), sum)));
            }
        }
        for (key, sum) in self.data.clone() {
            let now = world.folders.data_checksum(&key);
            if now.as_ref() == Some(&sum) {
                continue;
            }
            if now.is_none() && self.purged.contains(&key) {
                let kept = world.folders.trash().iter().any(|trashed| trashed.key == key && trashed.data.is_some());
                if !kept {
                    self.broken(format!("P3 the purged data of {key} is not in the trash"));
                }
                self.data.remove(&key);
                continue;
            }
            self.data.remove(&key);
            self.broken(format!("P3 the data of {key} disappeared or changed without a token"));
        }
    }

    /// P4.
    fn look_at_journal(&mut self, world: &World) {
        let news = world.docker.journal_since(self.journal);
        self.journal += news.len();
        for entry in news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.container.is_some()) {
            let network = entry.call.contains("network");
            if !network && owner(world, &entry.labels).is_none() {
                self.broken(format!("P4 something foreign was touched: {entry}"));
            }
        }
    }

    /// P10, while things move: what is said to be ready runs, or did a moment ago.
    pub(crate) fn look_at_status(&mut self, world: &World, daemon: Option<&Daemon>, stale: bool) {
        let Some(daemon) = daemon.filter(|daemon| !stale && !daemon.life.is_over()) else { return };
        let status = daemon.status();
        for app in status.apps.values().filter(|app| app.is_ready()) {
            let Some(id) = &app.container else {
                self.broken(format!("P10 {} is ready without a container", app.app));
                continue;
            };
            let there = world.docker.container(id.as_str());
            if there.is_some_and(|container| container.state == ContainerState::Running) {
                continue;
            }
            let left = world
                .docker
                .transitions()
                .into_iter()
                .rev()
                .find(|change| change.container == *id && change.from == Some(ContainerState::Running));
            let ago = left.map_or(Duration::MAX, |left| world.docker.age().saturating_sub(left.at));
            if ago > LAG {
                self.broken(format!("P10 {} is said to be ready but has not run for {ago:?}", app.app));
            }
        }
    }

    pub(crate) fn changes(&self) -> usize {
        self.journal - self.before
    }

    /// P6, P7 and P5, over the whole run.
    pub(crate) fn look_back(&mut self, world: &World, script: &Script, strikes: &[Strike]) {
        let by_hand = strikes.iter().any(|strike| matches!(strike.blow, Blow::HandKill | Blow::HandRemove));
        if script.uptime == Uptime::Gapless && !by_hand {
            for gap in gaps(world, &world.docker.transitions()) {
                self.broken(gap);
            }
        }
        if script.reach == Reach::OwnApps {
            let bystander = AppKey::parse(BYSTANDER).unwrap();
            let touched = world.docker.journal_since(self.before);
            for entry in touched.iter().filter(|entry| owner(world, &entry.labels).as_ref() == Some(&bystander)) {
                self.broken(format!("P7 the bystander was touched: {entry}"));
            }
            for call in world.injector.calls() {
                let writes = call.kind == minipaas::engine::faulty::CallKind::Write;
                if call.number > self.calls_before && writes && call.object == BYSTANDER {
                    self.broken(format!("P7 the bystander was touched: {call}"));
                }
            }
        }
    }

    /// What holds once nothing is left to do.
    pub(crate) fn at_end(
        &self,
        world: &World,
        script: &Script,
        daemon: Option<&Daemon>,
        undisturbed: Option<&Ended>,
        first: &str,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let Some(daemon) = daemon else { return vec!["P1 the daemon does not run".to_owned()] };
        let status = daemon.status();
        let owned = containers_by_app(world);
        for (name, expect) in &script.expect {
            let key = AppKey::parse(name).unwrap();
            let containers = owned.get(&key).map(Vec::as_slice).unwrap_or_default();
            broken.extend(unmet(world, &key, *expect, containers, status.apps.get(&key).map(|app| &**app)));
        }
        for app in status.apps.values() {
            broken.extend(untrue(app, owned.get(&app.app).map(Vec::as_slice).unwrap_or_default()));
        }
        for key in owned.keys().filter(|key| !status.apps.contains_key(key)) {
            broken.push(format!("P10 the status does not know the containers of {key}"));
        }
        let now = portrait(world, Some(daemon));
        if let Some(undisturbed) = undisturbed {
            broken.extend(difference("P9 the end differs from the undisturbed end", &undisturbed.portrait, &now));
            let most = undisturbed.changes + EXTRA_CHANGES * script.expect.len().max(1);
            if self.changes() > most {
                broken.push(format!("P5 {} changes to Docker instead of {}", self.changes(), undisturbed.changes));
            }
        } else if script.reverts {
            broken.extend(difference("P8 the end differs from the state before the edit", first, &now));
        }
        broken
    }
}

fn containers_by_app(world: &World) -> BTreeMap<AppKey, Vec<ObservedContainer>> {
    let mut owned: BTreeMap<AppKey, Vec<ObservedContainer>> = BTreeMap::new();
    for container in world.docker.containers() {
        if let Some(key) = owner(world, &container.labels) {
            owned.entry(key).or_default().push(container);
        }
    }
    owned
}

/// P1: the app is what the script says it is to be.
fn unmet(
    world: &World,
    key: &AppKey,
    expect: Expect,
    containers: &[ObservedContainer],
    status: Option<&AppStatus>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            broken.push(format!("P1 {key} should be {expect:?}: {what}"));
        }
    };
    let named = containers.len() == 1 && containers[0].name == key.container_name();
    let runs = named && containers[0].state == ContainerState::Running;
    let row = world.store.rows().into_iter().find(|row| row.key == *key);
    match expect {
        Expect::Running | Expect::RunningInvalid | Expect::RunningGivenUp => {
            hold(runs, "it has not exactly one running container under its name");
            hold(row.is_some(), "the inventory does not know it");
            hold(status.is_some_and(|status| status.health == Health::Running), "its health is not Running");
            let ready = status.is_some_and(AppStatus::is_ready);
            hold(ready == (expect == Expect::Running), "its readiness is reported wrongly");
            if expect == Expect::RunningInvalid {
                hold(status.is_some_and(|status| status.sync == SyncState::Invalid), "its sync is not Invalid");
            }
        }
        Expect::Stopped => {
            hold(named && !runs, "it has not exactly one stopped container under its name");
            hold(status.is_some_and(|status| status.health == Health::Stopped), "its health is not Stopped");
        }
        Expect::Gone => {
            hold(containers.is_empty(), "it has containers");
            hold(row.is_none(), "the inventory knows it");
            hold(world.folders.app(key).is_none_or(|folder| folder.code.is_none()), "its code is there");
        }
        Expect::Conflict => {
            hold(containers.is_empty(), "it has containers");
            let conflict = minipaas::model::ConditionKind::Conflict;
            hold(status.is_some_and(|status| status.condition(conflict).is_some()), "no conflict is reported");
        }
        Expect::CrashLoop => {
            hold(named, "it has not exactly one container under its name");
            hold(status.is_some_and(|status| status.health == Health::CrashLoop), "its health is not CrashLoop");
        }
    }
    broken
}

/// P10 at rest: whatever the status says of an app is so.
fn untrue(app: &AppStatus, containers: &[ObservedContainer]) -> Vec<String> {
    let mut broken = Vec::new();
    let running = containers.iter().filter(|container| container.state == ContainerState::Running);
    let running: Vec<&ContainerId> = running.map(|container| &container.id).collect();
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            broken.push(format!("P10 {} {what}", app.app));
        }
    };
    match app.health {
        Health::Running => hold(!running.is_empty(), "is said to run and does not"),
        Health::Stopped | Health::Deleted => hold(running.is_empty(), "is said not to run and does"),
        _ => {}
    }
    if app.is_ready() {
        let named = app.container.as_ref().is_some_and(|id| running.contains(&id));
        hold(named, "is said to be ready in a container that does not run");
        hold(app.endpoint.is_some(), "is said to be ready without an endpoint");
    }
    if app.sync == SyncState::Synced
        && let (Some(limits), Some(id)) = (app.limits, &app.container)
        && let Some(container) = containers.iter().find(|container| container.id == *id)
    {
        let memory = i64::try_from(limits.memory.get()).unwrap_or(i64::MAX);
        hold(container.limits.memory == memory, "is said to be synced with another memory limit in force");
        hold(container.limits.pids == i64::from(limits.pids), "is said to be synced with another pids limit in force");
    }
    broken
}

/// P6: from its first run on an app always has a running container.
fn gaps(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut running: BTreeMap<AppKey, BTreeSet<ContainerId>> = BTreeMap::new();
    let mut gaps = Vec::new();
    for change in transitions {
        let Some(key) = owner(world, &change.labels) else { continue };
        let set = running.entry(key.clone()).or_default();
        if change.to == Some(ContainerState::Running) {
            set.insert(change.container.clone());
        } else if set.remove(&change.container) && set.is_empty() {
            gaps.push(format!("P6 {key} had no running container from {:.3}s on", change.at.as_secs_f64()));
        }
    }
    gaps
}

/// Everything that outlives a run, ids, times and addresses aside.
pub(crate) fn portrait(world: &World, daemon: Option<&Daemon>) -> String {
    let mut text = String::new();
    for line in world.docker.portrait().lines() {
        // How an earlier run ended is history.
        let words: Vec<&str> = line.split(' ').filter(|word| !word.starts_with("exit=")).collect();
        let _ = writeln!(text, "{}", words.join(" "));
    }
    for (key, folder) in world.folders.apps() {
        let compose = folder.compose.map(|text| Digest::of(text.as_bytes()).short().to_owned());
        let _ = writeln!(
            text,
            "folder {key}: code={:?} staged={} data={:?} owned={} compose={compose:?}",
            folder.code.map(|id| id.to_string()),
            folder.staged,
            folder.data.map(|files| files.into_keys().collect::<Vec<_>>()),
            folder.data_owned,
        );
    }
    // A crash may leave an app without `logs/`: it is made when the first line is written.
    let trash = world.folders.trash();
    let trash = trash.iter().filter(|trashed| trashed.part != "logs");
    let trash: BTreeSet<String> = trash.map(|trashed| format!("trash {} {}", trashed.key, trashed.part)).collect();
    for line in trash {
        let _ = writeln!(text, "{line}");
    }
    for row in world.store.rows() {
        let failed = row.failed.map(|failed| failed.identity.to_string());
        let _ = writeln!(text, "row {}: {} failed={failed:?}", row.key, row.digest.short());
    }
    if let Some(daemon) = daemon {
        let status = daemon.status();
        for app in status.apps.values() {
            let conditions: Vec<String> = app
                .conditions
                .iter()
                .map(|condition| format!("{:?}={}:{}", condition.kind, condition.status, condition.reason))
                .collect();
            let applied = app.applied_digest == app.file_digest;
            let _ = writeln!(
                text,
                "status {}: {:?} {:?} {:?} applied={applied} {}",
                app.app,
                app.desired,
                app.sync,
                app.health,
                conditions.join(" ")
            );
        }
        let _ = writeln!(text, "held {:?}", status.held.as_ref().map(|held| &held.apps));
    }
    text
}

fn difference(what: &str, wanted: &str, found: &str) -> Option<String> {
    let (wanted, found): (BTreeSet<&str>, BTreeSet<&str>) = (wanted.lines().collect(), found.lines().collect());
    if wanted == found {
        return None;
    }
    let lines = wanted.difference(&found).map(|line| format!("\n       - {line}"));
    let lines: String = lines.chain(found.difference(&wanted).map(|line| format!("\n       + {line}"))).collect();
    Some(format!("{what}{lines}"))
}
