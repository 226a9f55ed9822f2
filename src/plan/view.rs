//! Everything that is known about one app at one moment: what it should be, and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::model::memory::Shortage;
use crate::model::observed::{ContainerState, EngineInfo, LastEnd};
use crate::model::{
    AppKey, AppSpec, Code, ContainerId, Diagnosis, FailedDeploy, FolderState, InstanceId, InventoryRow, Limits,
    ObservedContainer, Ownership, PurgeToken, RestartPolicy, Routing, SavedEdits, Timestamp, VersionId, labels,
};

/// How long an old container is kept for the requests that run on it when its successor has taken over. As long as Docker
/// then waits between SIGTERM and SIGKILL, so a request has twice that at most.
pub const DRAIN_MS: i64 = 10_000;

/// What is to be reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    Run(Box<AppSpec>),
    Stop(Box<AppSpec>),
    /// Stopped because nobody comes, until somebody does. A container that was started `since` is awake: somebody wanted it.
    Sleep {
        spec: Box<AppSpec>,
        since: Timestamp,
    },
    /// Leave everything as it is: there is nothing trustworthy to act upon.
    Leave,
    /// No container, code to trash; the data too, but only against a token.
    Remove {
        purge: Option<PurgeToken>,
    },
}

/// A container that is certainly ours, and for this app. Steps that stop, rename or remove take nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedContainer {
    container: ObservedContainer,
}

impl OwnedContainer {
    /// `None` for everything that this installation did not make for this app, however similar its name.
    #[must_use]
    pub fn prove(container: ObservedContainer, key: &AppKey, instance: &InstanceId) -> Option<Self> {
        if planted!(OwnedByName) && container.name.starts_with(&key.container_name()) {
            return Some(Self { container });
        }
        match Ownership::of(&container.labels, instance) {
            Ownership::Owned(owner) if owner == *key => Some(Self { container }),
            Ownership::Owned(_) | Ownership::Foreign => None,
        }
    }

    #[must_use]
    pub fn get(&self) -> &ObservedContainer {
        &self.container
    }
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.container.id
    }
    #[must_use]
    pub fn name(&self) -> &str {
        &self.container.name
    }
    /// The version of the code that it mounts; `None` for the working copy.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        self.container.labels.get(labels::VERSION).and_then(|text| VersionId::parse(text))
    }
    #[must_use]
    pub fn runs(&self) -> bool {
        self.container.state == ContainerState::Running
    }
    /// On its way out: it can neither be used nor removed again.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.container.state == ContainerState::Removing
    }
}

/// Whether a running container was seen to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Has answered since it was started, for so many milliseconds.
    Answers { for_ms: i64 },
    /// Did not answer; why, in words for people.
    Silent(String),
}

/// How the process of a container ended last, and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub end: LastEnd,
    /// Its last lines, oldest first.
    pub log: Vec<String>,
    pub diagnosis: Option<Diagnosis>,
}

/// Limits that Docker refused to put in force on a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLimits {
    pub container: ContainerId,
    pub limits: Limits,
    pub restart: RestartPolicy,
    /// All that Docker said.
    pub message: String,
    pub at: Timestamp,
}

impl RefusedLimits {
    /// After this long they are tried once more: the app may hold less memory by then.
    pub const RETRY_MS: i64 = 60_000;

    /// Asking for this again would be refused again.
    #[must_use]
    pub fn concerns(&self, spec: &AppSpec, container: &ContainerId) -> bool {
        self.container == *container && self.limits == spec.limits && self.restart == spec.restart
    }
}

/// Whether a container was started at that time or later.
#[must_use]
pub fn was_started_since(container: &ObservedContainer, since: Timestamp) -> bool {
    container.started_at.is_some_and(|started| started >= since)
}

/// One app at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AppView {
    pub key: AppKey,
    pub instance: InstanceId,
    pub goal: Goal,
    /// The row that must be in the inventory before the first container is made, or the last one removed; `None` for goals
    /// that write none.
    pub record: Option<InventoryRow>,
    /// The row that is there.
    pub recorded: Option<InventoryRow>,
    /// The last write of that row failed and may have happened all the same: it has to be written again, or dropped.
    pub row_in_doubt: bool,
    pub folder: FolderState,
    /// The versions that the app's history has; `None` where none is kept, and while nothing depends on it.
    pub history: Option<BTreeSet<VersionId>>,
    /// Ours, in the order Docker listed them.
    pub containers: Vec<OwnedContainer>,
    /// Names of ours that somebody else's container carries.
    pub squatted: BTreeSet<String>,
    /// Containers that Docker refused to start again and again (their network is gone, say): to be replaced.
    pub broken: BTreeSet<ContainerId>,
    /// Containers that Docker can never start again through no fault of theirs (it was killed while it started them): to be
    /// replaced, and no reason to give a deploy up.
    pub abandoned: BTreeSet<ContainerId>,
    /// Docker refused again and again to create a container of the wanted make: in which words.
    pub uncreatable: Option<String>,
    /// Of the running containers that were asked.
    pub readiness: BTreeMap<ContainerId, Readiness>,
    /// Running containers that requests no longer go to, but that still answer some: for how many milliseconds they have.
    pub draining: BTreeMap<ContainerId, i64>,
    /// How often running containers were restarted by Docker until they last ran calmly.
    pub calm_restarts: BTreeMap<ContainerId, u32>,
    /// How the processes of containers ended, also of those that run again.
    pub ended: BTreeMap<ContainerId, Ended>,
    /// Containers that have stopped answering.
    pub hung: BTreeSet<ContainerId>,
    /// The one of them that is to give way to a new container.
    pub giving_way: Option<ContainerId>,
    /// When one may, where it is too early now.
    pub next_replacement: Option<Timestamp>,
    /// What containers listen on that run and do not answer, as far as that is known.
    pub listening: BTreeMap<ContainerId, Vec<SocketAddr>>,
    /// Not to be asked for again for now.
    pub refused: Option<RefusedLimits>,
    /// Id of the image that the specification's reference stands for; `None` while it is missing.
    pub image_id: Option<String>,
    /// The container that the published status sends requests to: it must not be stopped before that has changed.
    pub published: Option<ContainerId>,
    pub network_ready: bool,
    /// It is the app's turn to move to another network: no other is on its way there.
    pub may_move: bool,
    /// It would find no room in memory, were it started.
    pub shortage: Option<Shortage>,
    pub engine: EngineInfo,
    pub routing: Routing,
    pub now: Timestamp,
}

impl AppView {
    /// The view as it will be once a version was taken: what the plan goes on with, for whoever only wants to see it.
    #[must_use]
    pub fn with_version(mut self, version: VersionId) -> Self {
        if let Goal::Run(spec) = &mut self.goal {
            spec.code = Code::Version(version.clone());
        }
        self.folder = FolderState { code: true, data: true, ..self.folder };
        self.recorded = self.record.clone().or(self.recorded);
        if self.folder.versions.contains(&version)
            && let Some(versions) = self.recorded.as_mut().and_then(|row| row.versions.as_mut())
        {
            // It was there: what is to be done before it runs is to keep what is in `app/`.
            versions.saved = Some(SavedEdits { before: version.clone(), version: version.clone() });
        }
        self.folder.versions.insert(version);
        self
    }

    /// A successor of exactly this make was given up before.
    #[must_use]
    pub fn failed_before(&self, spec: &AppSpec) -> Option<&FailedDeploy> {
        if planted!(FailureForgotten) {
            return None;
        }
        let failed = self.recorded.as_ref()?.failed.as_ref()?;
        let same_image = self.image_id.as_deref().is_none_or(|id| id == failed.image_id);
        let more_time = failed.waited.is_some_and(|waited| waited < spec.start_timeout);
        (failed.identity == spec.identity() && same_image && !more_time).then_some(failed)
    }

    /// Requests that run on it may still end.
    #[must_use]
    pub fn is_draining(&self, id: &ContainerId) -> bool {
        self.draining.get(id).is_some_and(|since| *since < DRAIN_MS)
    }

    #[must_use]
    pub fn answers(&self, id: &ContainerId) -> bool {
        matches!(self.readiness.get(id), Some(Readiness::Answers { .. }))
    }

    /// A new container is to take over from it because it hangs.
    #[must_use]
    pub fn gives_way(&self, id: &ContainerId) -> bool {
        self.giving_way.as_ref() == Some(id)
    }

    /// How its process ended last, as far as it was seen.
    #[must_use]
    pub fn last_end(&self, container: &ObservedContainer) -> Option<LastEnd> {
        container.last_end().or_else(|| self.ended.get(&container.id).map(|ended| ended.end))
    }

    /// It was stopped by what is written down, and is to be started whatever its end looks like: it fell asleep, or its data was put
    /// back, and it was not started since.
    #[must_use]
    pub fn was_put_down(&self, container: &ObservedContainer) -> bool {
        let asleep = self.recorded.as_ref().and_then(|row| row.asleep).filter(|_| !planted!(SleepTakenForEnd));
        let since = asleep.into_iter().chain(self.restored_at());
        since.max().is_some_and(|since| !was_started_since(container, since))
    }

    /// When the app's data was put back last.
    #[must_use]
    pub fn restored_at(&self) -> Option<Timestamp> {
        Some(self.recorded.as_ref()?.restored.as_ref()?.at)
    }

    /// Why its process ended last, where that is known.
    #[must_use]
    pub fn why_ended(&self, container: &ContainerId) -> Option<&Diagnosis> {
        self.ended.get(container)?.diagnosis.as_ref()
    }

    /// Why it runs without an answer, where that is known.
    #[must_use]
    pub fn why_silent(&self, spec: &AppSpec, container: &ContainerId) -> Option<Diagnosis> {
        Diagnosis::of_sockets(self.listening.get(container)?, spec.template.internal_port)
    }

    /// Restarts by Docker since it last ran calmly.
    #[must_use]
    pub fn recent_restarts(&self, container: &ObservedContainer) -> u32 {
        container.restart_count.saturating_sub(self.calm_restarts.get(&container.id).copied().unwrap_or_default())
    }

    /// What Docker refused of the specification, on the container that is to stay.
    #[must_use]
    pub fn refusal(&self, spec: &AppSpec, container: &ContainerId) -> Option<&RefusedLimits> {
        self.refused.as_ref().filter(|refused| refused.concerns(spec, container))
    }
}
