//! P1 to P10 of the design, as far as they can be seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::desired::parse;
use minipaas::engine::sim::Actor;
use minipaas::model::{
    AppKey, AppStatus, ContainerId, ContainerState, Digest, Health, ObservedContainer, Ownership, PurgeToken, SyncState,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::folders::Files;
use minipaas::testing::seams::World;
use tokio::time::Instant;

use crate::allowance::{Allowance, allowance};
use crate::blow::{Blow, Strike};
use crate::history::{self, History};
use crate::portrait::{difference, portrait, without_history};
use crate::scripts::{BYSTANDER, Expect, Reach, Script, Uptime};
use crate::world::Ended;

/// What was seen on the way.
#[derive(Default)]
pub(crate) struct Record {
    /// Entries of the journal that were looked at.
    journal: usize,
    /// Calls of the daemon that changed Docker.
    changes: usize,
    /// Entries before the script's first step.
    before: usize,
    calls_before: u64,
    /// What each app has in its data folder.
    data: BTreeMap<AppKey, Files>,
    /// Apps whose owner gave up their data in writing at some time.
    purged: BTreeSet<AppKey>,
    history: History,
    /// The container and the file that were last said to be in force.
    claims: BTreeMap<AppKey, (ContainerId, Digest)>,
    /// When a person did something last, or a fault ended.
    stirred_at: Option<Instant>,
    pub(crate) violations: Vec<String>,
}

fn owner(world: &World, labels: &BTreeMap<String, String>) -> Option<AppKey> {
    match Ownership::of(labels, &world.instance) {
        Ownership::Owned(key) => Some(key),
        Ownership::Foreign => None,
    }
}

impl Record {
    pub(crate) fn begin(&mut self, world: &World) {
        self.before = world.docker.journal_len();
        (self.journal, self.changes) = (self.before, 0);
        self.calls_before = world.injector.count();
    }

    /// A person did something, or a fault is over: from now on the daemon has to get there.
    pub(crate) fn stir(&mut self) {
        self.stirred_at = Some(Instant::now());
    }

    /// A step of the script was done: what do the files permit from now on?
    pub(crate) fn deed(&mut self, world: &World) {
        self.stir();
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
    pub(crate) fn look(&mut self, world: &World, daemon: Option<&Daemon>) {
        self.look_at_data(world);
        self.look_at_journal(world);
        self.look_at_status(world, daemon);
    }

    /// P3.
    fn look_at_data(&mut self, world: &World) {
        for key in world.folders.apps().keys() {
            if !self.data.contains_key(key) && world.folders.write_data(key, "diary", key.to_string().as_bytes()) {
                self.data.extend(world.folders.data(key).map(|files| (key.clone(), files)));
            }
        }
        let keys: Vec<AppKey> = self.data.keys().cloned().collect();
        for key in keys {
            let now = world.folders.data(&key);
            if now.as_ref() == self.data.get(&key) {
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
        if let Some(last) = news.last() {
            let at = history::origin(world) + last.at;
            self.history.changed_at = self.history.changed_at.max(Some(at));
        }
        self.journal += news.len();
        self.changes += news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.changed()).count();
        for entry in news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.container.is_some()) {
            let network = entry.call.contains("network");
            if !network && owner(world, &entry.labels).is_none() {
                self.broken(format!("P4 something foreign was touched: {entry}"));
            }
        }
    }

    /// What is claimed from now on; whether it is true is judged at the end.
    pub(crate) fn look_at_status(&mut self, world: &World, daemon: Option<&Daemon>) {
        let living = daemon.filter(|daemon| !daemon.life.is_over());
        let status = living.map(Daemon::status);
        self.history.note(status.as_deref());
        for app in status.iter().flat_map(|status| status.apps.values()).filter(|app| app.is_ready()) {
            self.look_at_claim(world, app);
        }
    }

    /// P10: a file that is said to be in force is in force, in that container.
    fn look_at_claim(&mut self, world: &World, app: &AppStatus) {
        let (Some(digest), Some(container)) = (&app.applied_digest, &app.container) else {
            return self.broken(format!("P10 {} is said to be ready without a file or a container", app.app));
        };
        let claim = (container.clone(), digest.clone());
        if self.claims.get(&app.app) == Some(&claim) {
            return;
        }
        if let Some((present, manifest)) = world.manifests.manifest(&app.app.file_name())
            && present == *digest
            && let Some(spec) = world.docker.spec(container.as_str())
            && manifest.env.iter().any(|(name, value)| spec.env.get(name) != Some(value))
        {
            self.broken(format!("P10 the file of {} is said to be in force before it is", app.app));
        }
        self.claims.insert(app.app.clone(), claim);
    }

    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// How long the daemon went on changing anything after the last person, or fault, had done with it.
    pub(crate) fn late(&self, world: &World) -> Duration {
        let struck = world.injector.last_struck();
        let stirred = self.stirred_at.max(struck);
        match (self.history.changed_at, stirred) {
            (Some(changed), Some(stirred)) => changed.saturating_duration_since(stirred),
            _ => Duration::ZERO,
        }
    }

    /// What holds over the whole run.
    pub(crate) fn look_back(
        &mut self,
        world: &World,
        script: &Script,
        strikes: &[Strike],
        undisturbed: Option<&Ended>,
    ) {
        let allowed = allowance(world, script, strikes);
        self.look_back_at_uptime(world, script, strikes);
        self.look_back_at_bystander(world, script, strikes);
        let origin = history::origin(world);
        let (crowds, unrecorded) = world.docker.with_transitions(|transitions| {
            let unrecorded = history::unrecorded(world, origin, transitions, &world.store.row_changes());
            (history::crowds(world, transitions), unrecorded)
        });
        let lies = self.history.lies(world, allowed.lag);
        let known = if script.forgets { Vec::new() } else { unrecorded };
        crowds.into_iter().chain(known).chain(lies).for_each(|text| self.broken(text));
        if let Some(undisturbed) = undisturbed {
            self.look_back_at_effort(world, script, undisturbed, allowed);
        }
    }

    /// P6.
    fn look_back_at_uptime(&mut self, world: &World, script: &Script, strikes: &[Strike]) {
        let interrupts = |strike: &Strike| matches!(strike.blow, Blow::HandKill | Blow::HandRemove | Blow::Power(_));
        if script.uptime == Uptime::Gapless && !strikes.iter().any(interrupts) {
            for gap in world.docker.with_transitions(|transitions| history::gaps(world, transitions)) {
                self.broken(gap);
            }
        }
    }

    /// P7.
    fn look_back_at_bystander(&mut self, world: &World, script: &Script, strikes: &[Strike]) {
        let everyone = strikes.iter().any(|strike| matches!(strike.blow, Blow::Power(_)));
        if script.reach == Reach::Everyone || everyone {
            return;
        }
        let bystander = AppKey::parse(BYSTANDER).unwrap();
        let touched = world.docker.with_journal(|journal| {
            let entries = journal[self.before..].iter();
            let touched = entries.filter(|entry| owner(world, &entry.labels).as_ref() == Some(&bystander));
            touched.map(ToString::to_string).collect::<Vec<_>>()
        });
        let calls = world.injector.with_calls(|calls| {
            let writes = |kind| kind == minipaas::engine::faulty::CallKind::Write;
            let touched = calls
                .iter()
                .filter(|call| call.number > self.calls_before && writes(call.kind) && call.object == BYSTANDER);
            touched.map(ToString::to_string).collect::<Vec<_>>()
        });
        for text in touched.into_iter().chain(calls) {
            self.broken(format!("P7 the bystander was touched: {text}"));
        }
    }

    /// P1: in good time; P5: without running in circles.
    fn look_back_at_effort(&mut self, world: &World, script: &Script, undisturbed: &Ended, allowed: Allowance) {
        let late = self.late(world);
        if late > undisturbed.late + allowed.time {
            let (usual, extra) = (undisturbed.late, allowed.time);
            self.broken(format!("P1 it took {late:?} instead of {usual:?} and at most {extra:?} for the disturbance"));
        }
        let most = undisturbed.changes + allowed.changes * script.expect.len().max(1);
        if self.changes() > most {
            let (changes, usual) = (self.changes(), undisturbed.changes);
            self.broken(format!("P5 {changes} changes to Docker instead of {usual} and {} at most", allowed.changes));
        }
    }

    /// P1 on the way.
    pub(crate) fn check(&mut self, world: &World, daemon: Option<&Daemon>, app: &str, expect: Expect) {
        let key = AppKey::parse(app).unwrap();
        let owned = containers_by_app(world);
        let status = daemon.map(Daemon::status);
        let status = status.as_ref().and_then(|status| status.apps.get(&key)).map(|app| &**app);
        let containers = owned.get(&key).map(Vec::as_slice).unwrap_or_default();
        for text in unmet(world, &key, expect, containers, status) {
            self.broken(format!("{text} by now"));
        }
    }

    /// What holds once nothing is left to do.
    pub(crate) fn at_end(
        &self,
        world: &World,
        script: &Script,
        daemon: Option<&Daemon>,
        strikes: &[Strike],
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
            let unseen = |strike: &Strike| matches!(strike.blow, Blow::Down(_) | Blow::Power(_));
            let trim = |text: &str| if strikes.iter().any(unseen) { without_history(text) } else { text.to_owned() };
            let what = "P9 the end differs from the undisturbed end";
            broken.extend(difference(what, &trim(&undisturbed.portrait), &trim(&now)));
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
