//! One simulated container: what Docker remembers about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::process::{Behaviour, End};
use crate::engine::LogLine;
use crate::model::observed::{ContainerSummary, ObservedLimits};
use crate::model::{ContainerId, ContainerSpec, ContainerState, Limits, ObservedContainer, RestartPolicy, Timestamp};

/// Delay before the first restart by policy, doubled each time (moby `restartmanager.go`: `defaultTimeout`).
pub(super) const FIRST_RESTART_DELAY: Duration = Duration::from_millis(100);
/// `maxRestartTimeout`.
pub(super) const MAX_RESTART_DELAY: Duration = Duration::from_secs(60);
/// A run of this length resets the delay.
pub(super) const CALM_RUN: Duration = Duration::from_secs(10);

/// What its process is up to. Docker's one-word status is derived from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Never ran.
    Created,
    Running,
    /// Frozen, with the end that came due meanwhile and waits for the thaw.
    Paused {
        due: Option<End>,
    },
    /// Between two runs, by policy.
    Restarting,
    Exited,
    /// Being removed.
    Removing,
    /// A removal that failed half-way.
    Dead,
}

/// One attachment to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attachment {
    /// Bound at the first start: a network made again under the same name is another network to Docker.
    pub(super) network_id: Option<String>,
    /// The address it was given by request.
    pub(super) fixed: Option<Ipv4Addr>,
    /// Only while it runs.
    pub(super) ip: Option<IpAddr>,
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) spec: ContainerSpec,
    pub(super) image_id: String,
    pub(super) limits: Limits,
    pub(super) restart: RestartPolicy,
    pub(super) phase: Phase,
    /// Counts starts; an action planned for an earlier run is void.
    pub(super) run: u64,
    pub(super) behaviour: Behaviour,
    pub(super) networks: BTreeMap<String, Attachment>,
    pub(super) exit_code: i64,
    pub(super) oom_killed: bool,
    pub(super) error: String,
    pub(super) restart_count: u32,
    /// Nanoseconds since the world began.
    pub(super) started_at: Option<u64>,
    pub(super) finished_at: Option<u64>,
    /// `docker stop` and `docker kill` set it, a start by request clears it: `unless-stopped` minds it.
    pub(super) stopped_by_request: bool,
    pub(super) restart_delay: Duration,
    /// Since when its process, which was sent SIGSTOP, lives and does nothing.
    pub(super) hangs_since: Option<u64>,
    pub(super) log: Vec<LogLine>,
}

impl Container {
    pub(super) fn state(&self) -> ContainerState {
        match self.phase {
            Phase::Created => ContainerState::Created,
            Phase::Running => ContainerState::Running,
            Phase::Paused { .. } => ContainerState::Paused,
            Phase::Restarting => ContainerState::Restarting,
            Phase::Exited => ContainerState::Exited,
            Phase::Removing => ContainerState::Removing,
            Phase::Dead => ContainerState::Dead,
        }
    }

    /// Has a live process, frozen or not.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused { .. })
    }

    /// Docker's own idea of "running", which includes waiting for a restart.
    pub(super) fn counts_as_running(&self) -> bool {
        self.is_alive() || self.phase == Phase::Restarting
    }

    pub(super) fn summary(&self) -> ContainerSummary {
        ContainerSummary {
            id: self.id.clone(),
            name: self.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state(),
            fixed: self.fixed(),
        }
    }

    /// Addresses given to it by request.
    pub(super) fn fixed(&self) -> BTreeSet<Ipv4Addr> {
        self.networks.values().filter_map(|attachment| attachment.fixed).collect()
    }

    pub(super) fn observed(&self, wall: impl Fn(u64) -> Timestamp) -> ObservedContainer {
        ObservedContainer {
            id: self.id.clone(),
            name: self.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state(),
            pid: None,
            exit_code: self.exit_code,
            oom_killed: self.oom_killed,
            error: self.error.clone(),
            restart_count: self.restart_count,
            started_at: self.started_at.map(&wall),
            finished_at: self.finished_at.map(&wall),
            image_id: self.image_id.clone(),
            limits: observed_limits(self.limits),
            restart: Some(self.restart),
            networks: self.networks.iter().map(|(name, attachment)| (name.clone(), attachment.ip)).collect(),
        }
    }
}

fn observed_limits(limits: Limits) -> ObservedLimits {
    let memory = i64::try_from(limits.memory.get()).unwrap_or(i64::MAX);
    ObservedLimits { memory, memory_swap: memory, nano_cpus: limits.cpus.nano(), pids: i64::from(limits.pids) }
}
