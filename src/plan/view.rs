//! Everything that is known about one app at one moment: what it should be, and what is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::observed::{ContainerState, EngineInfo};
use crate::model::{
    AppKey, AppSpec, ContainerId, FailedDeploy, FolderState, InstanceId, InventoryRow, ObservedContainer, Ownership,
    PurgeToken, Routing, Timestamp,
};

/// How long an old container is kept for the requests that run on it when its successor has taken over. As long as Docker
/// then waits between SIGTERM and SIGKILL, so a request has twice that at most.
pub const DRAIN_MS: i64 = 10_000;

/// What is to be reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    Run(Box<AppSpec>),
    Stop(Box<AppSpec>),
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
    /// Answered since it was started.
    Answers,
    /// Did not answer; why, in words for people.
    Silent(String),
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
    /// Ours, in the order Docker listed them.
    pub containers: Vec<OwnedContainer>,
    /// Names of ours that somebody else's container carries.
    pub squatted: BTreeSet<String>,
    /// Containers that Docker refused to start again and again (their network is gone, say): to be replaced.
    pub broken: BTreeSet<ContainerId>,
    /// Containers that Docker can never start again through no fault of theirs (it was killed while it started them): to be
    /// replaced, and no reason to give a deploy up.
    pub abandoned: BTreeSet<ContainerId>,
    /// Of the running containers that were asked.
    pub readiness: BTreeMap<ContainerId, Readiness>,
    /// Running containers that requests no longer go to, but that still answer some: for how many milliseconds they have.
    pub draining: BTreeMap<ContainerId, i64>,
    /// Id of the image that the specification's reference stands for; `None` while it is missing.
    pub image_id: Option<String>,
    /// The container that the published status sends requests to: it must not be stopped before that has changed.
    pub published: Option<ContainerId>,
    pub network_ready: bool,
    /// It is the app's turn to move to another network: no other is on its way there.
    pub may_move: bool,
    pub engine: EngineInfo,
    pub routing: Routing,
    pub now: Timestamp,
}

impl AppView {
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
        self.readiness.get(id) == Some(&Readiness::Answers)
    }
}
