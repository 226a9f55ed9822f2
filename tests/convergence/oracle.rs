//! How the simulated world is read, and what must hold in it: shared by the sweep and the random scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::controller::{Command, ConfirmError};
use minipaas::desired::parse;
use minipaas::model::preview::PreviewState;
use minipaas::model::status::{EngineStatus, ImageStatus, ManifestsStatus};
use minipaas::model::{
    AppKey, AppStatus, ConditionKind, ContainerId, ContainerState, DaemonStatus, Health, ObservedContainer, Ownership,
    PurgeToken, SyncState, VersionId, labels,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;
use tokio::sync::oneshot;

/// How long a person waits for the answer to a confirmation.
const ANSWER: Duration = Duration::from_secs(1);

/// Nothing is due as far as the status tells.
pub(crate) fn is_at_ease(status: &DaemonStatus) -> bool {
    let at_ease = |app: &AppStatus| {
        app.condition(ConditionKind::StepFailed).is_none()
            && app.condition(ConditionKind::EngineUnreachable).is_none()
            && app.sync != SyncState::OutOfSync
            // Its time is running.
            && !(app.sleep.is_some() && app.health == Health::Running)
            && matches!(app.health, Health::Running | Health::Stopped | Health::Asleep | Health::Deleted)
    };
    matches!(status.engine, EngineStatus::Connected { .. })
        && matches!(status.image, ImageStatus::Ready { .. })
        && matches!(status.manifests, ManifestsStatus::Complete)
        && status.apps.values().all(|app| at_ease(app))
        && status.previews.values().all(|preview| matches!(preview.state, PreviewState::Ready | PreviewState::Failed))
}

/// `paas confirm` of what is held. `None`: nothing is held, or the daemon died over it.
pub(crate) async fn confirm(daemon: Option<&Daemon>) -> Option<Result<Vec<AppKey>, ConfirmError>> {
    let daemon = daemon?;
    let held = daemon.status().held.clone()?;
    let (answer, reply) = oneshot::channel();
    drop(daemon.commands_tx.send(Command::Confirm { token: held.token, by: "a person".to_owned(), answer }).await);
    tokio::time::timeout(ANSWER, reply).await.ok()?.ok()
}

/// P2: one more look at everything wants nothing.
pub(crate) struct OneMoreLook {
    journal: usize,
    writes: u64,
}

impl OneMoreLook {
    /// Asks for it; it takes its time.
    pub(crate) async fn begin(world: &World, daemon: Option<&Daemon>) -> Self {
        let before = Self { journal: world.docker.journal_len(), writes: world.injector.writes() };
        if let Some(daemon) = daemon {
            drop(daemon.commands_tx.send(Command::Resync).await);
        }
        before
    }

    /// What was changed since.
    pub(crate) fn broken(self, world: &World) -> Option<String> {
        let entries = world.docker.journal_since(self.journal);
        if entries.is_empty() && world.injector.writes() == self.writes {
            return None;
        }
        let calls = world.injector.calls();
        let changes = entries.iter().map(ToString::to_string);
        let lines: Vec<String> = changes.chain(calls.iter().rev().take(12).rev().map(ToString::to_string)).collect();
        Some(format!("P2 it does not rest:\n       {}", lines.join("\n       ")))
    }
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

/// What each container of ours that mounts a version finds on `/app`.
pub(crate) fn mounted_code(world: &World) -> BTreeMap<ContainerId, (AppKey, Option<String>, VersionId)> {
    let mut found = BTreeMap::new();
    for container in world.docker.containers() {
        let is_leaving = matches!(container.state, ContainerState::Removing | ContainerState::Dead);
        let Some(key) = owner(world, &container.labels).filter(|_| !is_leaving) else { continue };
        let version = container.labels.get(labels::VERSION).and_then(|version| VersionId::parse(version));
        let Some(version) = version else { continue };
        let spec = world.docker.spec(container.id.as_str());
        let source = spec.and_then(|spec| spec.mounts.into_iter().find(|mount| mount.target == "/app"));
        let code = source.and_then(|mount| world.folders.code_at(&mount.source));
        found.insert(container.id, (key, code, version));
    }
    found
}

/// Apps whose data their file gives up at present.
pub(crate) fn given_up(world: &World) -> BTreeSet<AppKey> {
    let mut apps = BTreeSet::new();
    for name in world.manifests.names() {
        let Some((stem, "yaml" | "yml")) = name.rsplit_once('.') else { continue };
        let (Ok(key), Some(bytes)) = (AppKey::parse(stem), world.manifests.get(&name)) else { continue };
        if let Ok(manifest) = parse(&name, &bytes)
            && PurgeToken::from_manifest(&key, &manifest).is_some()
        {
            apps.insert(key);
        }
    }
    apps
}

/// How long an app may hang without anybody knowing.
const UNHEARD: Duration = Duration::from_secs(60);

/// P10: who has hung for long is not said to be ready.
pub(crate) fn unheard_hangs(world: &World, status: &DaemonStatus) -> Vec<String> {
    let ready = status.apps.values().filter(|app| app.is_ready());
    let hung = |app: &&std::sync::Arc<AppStatus>| {
        let container = app.container.as_ref();
        container.and_then(|id| world.docker.hung_for(id)).is_some_and(|hung| hung > UNHEARD)
    };
    ready.filter(hung).map(|app| format!("P10 {} is said to be ready and hangs", app.app)).collect()
}

/// P10 at rest: whatever the status says is so.
pub(crate) fn lies_at_rest(status: &DaemonStatus, owned: &BTreeMap<AppKey, Vec<ObservedContainer>>) -> Vec<String> {
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
            Health::Running => hold(running().next().is_some(), "is said to run and does not"),
            Health::Stopped | Health::Asleep | Health::Deleted => {
                hold(running().next().is_none(), "is said not to run and does")
            }
            _ => {}
        }
        if app.is_ready() && app.health != Health::Asleep {
            hold(named.is_some(), "is said to be ready in a container that does not run");
            hold(app.endpoint.is_some(), "is said to be ready without an endpoint");
        }
        // Nothing is in force in a container that does not run; it gets its limits when it is to run again.
        if let (SyncState::Synced, Some(limits), Some(container)) = (app.sync, app.limits, named) {
            let memory = i64::try_from(limits.memory.get()).unwrap_or(i64::MAX);
            hold(container.limits.memory == memory, "is said to be synced with another memory limit in force");
            let pids = container.limits.pids == i64::from(limits.pids);
            hold(pids, "is said to be synced with another pids limit in force");
        }
    }
    lies
}
