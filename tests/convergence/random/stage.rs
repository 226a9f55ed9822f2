//! The world with the daemon living, dying and coming back in it, and what holds at every moment whatever anybody does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::controller::Command;
use minipaas::desired::parse;
use minipaas::engine::sim::Actor;
use minipaas::model::status::{EngineStatus, ImageStatus, ManifestsStatus};
use minipaas::model::{
    AppKey, AppStatus, ConditionKind, ContainerState, Digest, Health, ObservedContainer, Ownership, PurgeToken,
    SyncState,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::folders::checksum;
use minipaas::testing::seams::World;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The supervisor's wait before it starts the daemon again.
const RESTART: Duration = Duration::from_secs(1);
/// How long the status may lag behind Docker: an event's way and one look.
const LAG: Duration = Duration::from_secs(1);
/// Longer than the waits between two tries that an outage leads to.
const UNEASY: Duration = Duration::from_secs(200);
/// Longer than the daemon's resync takes to come.
const LOOK: Duration = Duration::from_secs(70);
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Whether the status can be held responsible for what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    True,
    /// Docker loses or delays what it should tell.
    Doubtful,
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) news: News,
    pub(crate) violations: Vec<String>,
    /// Entries of Docker's journal that were looked at.
    journal: usize,
    /// What each app has in its data folder.
    data: BTreeMap<AppKey, Digest>,
    /// Apps whose owner gave up their data in writing at some time.
    purged: BTreeSet<AppKey>,
}

pub(crate) fn owner(world: &World, labels: &BTreeMap<String, String>) -> Option<AppKey> {
    match Ownership::of(labels, &world.instance) {
        Ownership::Owned(key) => Some(key),
        Ownership::Foreign => None,
    }
}

pub(crate) fn containers_by_app(world: &World) -> BTreeMap<AppKey, Vec<ObservedContainer>> {
    let mut owned: BTreeMap<AppKey, Vec<ObservedContainer>> = BTreeMap::new();
    for container in world.docker.containers() {
        if let Some(key) = owner(world, &container.labels) {
            owned.entry(key).or_default().push(container);
        }
    }
    owned
}

impl Stage {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            daemon: None,
            news: News::True,
            violations: Vec::new(),
            journal: 0,
            data: BTreeMap::new(),
            purged: BTreeSet::new(),
        }
    }

    pub(crate) fn broken(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            if !self.violations.contains(&text) {
                self.violations.push(text);
            }
        }
    }

    /// Files were changed: what do they permit from now on?
    pub(crate) fn note_purges(&mut self) {
        for name in self.world.manifests.names() {
            let Some((stem, _)) = name.rsplit_once('.') else { continue };
            let (Ok(key), Some(bytes)) = (AppKey::parse(stem), self.world.manifests.get(&name)) else { continue };
            if let Ok(manifest) = parse(&name, &bytes)
                && PurgeToken::from_manifest(&key, &manifest).is_some()
            {
                self.purged.insert(key);
            }
        }
    }

    /// Lets time pass; whenever the daemon dies it is started again.
    pub(crate) async fn pump(&mut self, wait: Duration) {
        let end = Instant::now() + wait;
        loop {
            let Some(daemon) = &mut self.daemon else {
                match Daemon::start(&self.world).await {
                    Ok(daemon) => self.daemon = Some(daemon),
                    Err(_) => tokio::time::sleep(RESTART).await,
                }
                continue;
            };
            // Cancel-safe: all three only look.
            let dead = tokio::select! {
                biased;
                () = daemon.life.ended() => true,
                Ok(()) = daemon.status_rx.changed() => false,
                () = tokio::time::sleep_until(end) => break,
            };
            if dead {
                self.daemon = None;
                tokio::time::sleep(RESTART).await;
            } else {
                daemon.status_rx.mark_unchanged();
                self.look_at_status();
            }
        }
        self.look_at_data();
        self.look_at_journal();
        self.look_at_status();
    }

    /// Until the daemon has done nothing for so long, and longer when it is not at ease.
    pub(crate) async fn until_calm(&mut self, calm: Duration) {
        let first = Duration::from_millis(500);
        let began = Instant::now();
        let (mut writes, mut was_calm, mut since) = (self.world.injector.writes(), false, Instant::now());
        let mut slice = first;
        while since.elapsed() < if was_calm { calm } else { calm.max(UNEASY) } {
            self.pump(slice).await;
            let (writes_now, is_calm) = (self.world.injector.writes(), self.is_calm());
            let moved = std::mem::replace(&mut writes, writes_now) != writes_now;
            // What became calm only now may still have something due: a grace, a trial.
            if moved || std::mem::replace(&mut was_calm, is_calm) != is_calm {
                (since, slice) = (Instant::now(), first);
            }
            slice = (slice * 2).min(Duration::from_secs(5));
            if began.elapsed() >= PATIENCE {
                return self.broken(["P1 it is still at it after twenty minutes".to_owned()]);
            }
        }
    }

    /// Nothing is due as far as the status tells.
    fn is_calm(&self) -> bool {
        let Some(daemon) = &self.daemon else { return false };
        let status = daemon.status();
        let at_ease = |app: &AppStatus| {
            app.condition(ConditionKind::StepFailed).is_none()
                && app.condition(ConditionKind::EngineUnreachable).is_none()
                && app.sync != SyncState::OutOfSync
                && matches!(app.health, Health::Running | Health::Stopped | Health::Deleted)
        };
        matches!(status.engine, EngineStatus::Connected { .. })
            && matches!(status.image, ImageStatus::Ready { .. })
            && matches!(status.manifests, ManifestsStatus::Complete)
            && status.apps.values().all(|app| at_ease(app))
    }

    /// P2: one more look at everything wants nothing.
    pub(crate) async fn look_once_more(&mut self) {
        let (journal, writes) = (self.world.docker.journal_len(), self.world.injector.writes());
        if let Some(daemon) = &self.daemon {
            drop(daemon.commands_tx.send(Command::Resync).await);
        }
        self.pump(LOOK).await;
        if self.world.docker.journal_len() != journal || self.world.injector.writes() != writes {
            let entries = self.world.docker.journal_since(journal);
            let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
            self.broken([format!("P2 it does not rest:\n       {}", entries.join("\n       "))]);
        }
    }

    /// `paas confirm` of what is held, if anything is. Tells whether it was accepted.
    pub(crate) async fn confirm(&mut self) -> bool {
        let Some(daemon) = &self.daemon else { return false };
        let Some(held) = daemon.status().held.clone() else { return false };
        let (answer, reply) = oneshot::channel();
        drop(daemon.commands_tx.send(Command::Confirm { token: held.token, by: "a person".to_owned(), answer }).await);
        // A daemon that dies meanwhile answers nothing.
        matches!(tokio::time::timeout(Duration::from_secs(1), reply).await, Ok(Ok(Ok(_))))
    }

    /// P3.
    fn look_at_data(&mut self) {
        let folders = self.world.folders.clone();
        for key in folders.apps().keys() {
            if !self.data.contains_key(key) && folders.write_data(key, "diary", key.to_string().as_bytes()) {
                self.data.extend(folders.data_checksum(key).map(|sum| (key.clone(), sum)));
            }
        }
        for (key, sum) in self.data.clone() {
            if folders.data_checksum(&key).as_ref() == Some(&sum) {
                continue;
            }
            self.data.remove(&key);
            let mut trash = folders.trash().into_iter().filter(|trashed| trashed.key == key);
            if !self.purged.contains(&key) {
                self.broken([format!("P3 the data of {key} disappeared or changed without a token")]);
            } else if !trash.any(|trashed| trashed.data.is_some_and(|data| checksum(&data) == sum)) {
                self.broken([format!("P3 the purged data of {key} is not in the trash")]);
            }
        }
    }

    /// P4.
    fn look_at_journal(&mut self) {
        let news = self.world.docker.journal_since(self.journal);
        self.journal += news.len();
        let ours = |labels| owner(&self.world, labels).is_some();
        let by_daemon = news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.container.is_some());
        let foreign = by_daemon.filter(|entry| !entry.call.contains("network") && !ours(&entry.labels));
        let texts: Vec<_> = foreign.map(|entry| format!("P4 something foreign was touched: {entry}")).collect();
        self.broken(texts);
    }

    /// P10, while things move: what is said to be ready runs, or did a moment ago.
    fn look_at_status(&mut self) {
        let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.life.is_over()) else { return };
        if self.news == News::Doubtful {
            return;
        }
        let (docker, mut lies) = (&self.world.docker, Vec::new());
        for app in daemon.status().apps.values().filter(|app| app.is_ready()) {
            let Some(id) = &app.container else {
                lies.push(format!("P10 {} is ready without a container", app.app));
                continue;
            };
            if docker.container(id.as_str()).is_some_and(|container| container.state == ContainerState::Running) {
                continue;
            }
            let transitions = docker.transitions();
            let mut back = transitions.iter().rev();
            let left = back.find(|change| change.container == *id && change.from == Some(ContainerState::Running));
            let ago = left.map_or(Duration::MAX, |left| docker.age().saturating_sub(left.at));
            if ago > LAG {
                lies.push(format!("P10 {} is said to be ready but has not run for {ago:?}", app.app));
            }
        }
        self.broken(lies);
    }

    /// P10 at rest: whatever the status says is so.
    pub(crate) fn lies_at_rest(&self) -> Vec<String> {
        let Some(daemon) = &self.daemon else { return vec!["P1 the daemon does not run".to_owned()] };
        let (status, owned) = (daemon.status(), containers_by_app(&self.world));
        let unknown = owned.keys().filter(|key| !status.apps.contains_key(key));
        let mut lies: Vec<String> =
            unknown.map(|key| format!("P10 the status does not know the containers of {key}")).collect();
        for app in status.apps.values() {
            let containers = owned.get(&app.app).map(Vec::as_slice).unwrap_or_default();
            let running = || containers.iter().filter(|container| container.state == ContainerState::Running);
            let named = app.container.as_ref().and_then(|id| running().find(|container| container.id == *id));
            let mut hold = |holds: bool, what: &str| {
                if !holds {
                    lies.push(format!("P10 {} {what}", app.app));
                }
            };
            match app.health {
                Health::Running => hold(running().count() > 0, "is said to run and does not"),
                Health::Stopped | Health::Deleted => hold(running().count() == 0, "is said not to run and does"),
                _ => {}
            }
            if app.is_ready() {
                hold(named.is_some(), "is said to be ready in a container that does not run");
                hold(app.endpoint.is_some(), "is said to be ready without an endpoint");
            }
            if let (SyncState::Synced, Some(limits), Some(container)) = (app.sync, app.limits, named) {
                let memory = i64::try_from(limits.memory.get()).unwrap_or(i64::MAX);
                hold(container.limits.memory == memory, "is said to be synced with another memory limit in force");
                let pids = container.limits.pids == i64::from(limits.pids);
                hold(pids, "is said to be synced with another pids limit in force");
            }
        }
        lies
    }
}
