//! What Docker says is there. Values only; nothing in here was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::labels;
use super::spec::{Identity, Limits};
use super::units::{Bytes, MilliCpus, RestartPolicy, Timestamp};

/// Docker's id of a container: 64 hex digits. Unlike a name it is never reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ContainerId(pub String);

impl ContainerId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}
impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Docker's container states. A word this version does not know is kept, never guessed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
    Unknown(String),
}

impl ContainerState {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            other => Self::Unknown(other.to_owned()),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown(text) => text,
        }
    }
}

/// One line of a container listing: enough to know what exists and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    pub id: ContainerId,
    /// Without the leading slash. Empty while Docker is removing it.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub state: ContainerState,
    /// The IPv4 addresses that it was given by request, which it takes again with each start.
    pub fixed: BTreeSet<Ipv4Addr>,
}

/// One inspected container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    pub id: ContainerId,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub state: ContainerState,
    /// Of its first process, on the machine; `None` while it does not run.
    pub pid: Option<u32>,
    /// Of the last run; 0 while it never ran.
    pub exit_code: i64,
    pub oom_killed: bool,
    /// Docker's own words about a start that failed; empty otherwise.
    pub error: String,
    /// Restarts by Docker's restart policy since the container was last started by request.
    pub restart_count: u32,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Id (`sha256:…`) of the image it was created from.
    pub image_id: String,
    pub limits: ObservedLimits,
    pub restart: Option<RestartPolicy>,
    /// Networks it is attached to, with its address there while it runs.
    pub networks: BTreeMap<String, Option<IpAddr>>,
}

impl ObservedContainer {
    /// Made for this identity, as its label says.
    #[must_use]
    pub fn is_of(&self, identity: &Identity) -> bool {
        self.labels.get(labels::IDENTITY).map(String::as_str) == Some(identity.as_str())
    }

    /// Its address on the network; while it has yet to move there, on the one it is on.
    #[must_use]
    pub fn address(&self, network: &str) -> Option<IpAddr> {
        match self.networks.get(network) {
            Some(address) => *address,
            None => self.networks.values().copied().flatten().next(),
        }
    }
}

/// Limits in force, in Docker's units; 0 or negative means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedLimits {
    pub memory: i64,
    /// Memory plus swap.
    pub memory_swap: i64,
    pub nano_cpus: i64,
    pub pids: i64,
}

impl ObservedLimits {
    /// In the manifest's units; `None` where one is missing.
    #[must_use]
    pub fn in_force(&self) -> Option<Limits> {
        let positive = |observed: i64| u64::try_from(observed).ok().filter(|limit| *limit > 0);
        Some(Limits {
            memory: Bytes(positive(self.memory)?),
            cpus: MilliCpus(u32::try_from(positive(self.nano_cpus)? / 1_000_000).ok()?),
            pids: u32::try_from(positive(self.pids)?).ok()?,
        })
    }
}

/// How a container's process ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEnd {
    pub code: i64,
    pub oom_killed: bool,
    pub at: Option<Timestamp>,
}

impl fmt::Display for LastEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}{}", self.code, if self.oom_killed { ", out of memory" } else { "" })
    }
}

impl ObservedContainer {
    /// `None` while it runs: Docker forgets the exit code with the next start.
    #[must_use]
    pub fn last_end(&self) -> Option<LastEnd> {
        let ended = matches!(self.state, ContainerState::Exited | ContainerState::Restarting | ContainerState::Dead);
        ended.then_some(LastEnd { code: self.exit_code, oom_killed: self.oom_killed, at: self.finished_at })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedImage {
    pub id: String,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    /// Driver options, for example `com.docker.network.bridge.enable_icc`.
    pub options: BTreeMap<String, String>,
    pub subnets: Vec<String>,
    /// Without a way to the outside.
    pub internal: bool,
}

/// What the engine is and can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the kernel, not a choice between two behaviours"
)]
pub struct EngineInfo {
    pub version: String,
    /// Negotiated, for example `1.41`.
    pub api_version: String,
    /// Bytes of memory of the host.
    pub memory: u64,
    pub cpus: u32,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Whether the kernel can limit memory at all; some boards' kernels come with that switched off.
    pub memory_limit: bool,
    /// Whether it can limit swap; without it only memory is compared.
    pub swap_limit: bool,
    pub pids_limit: bool,
    pub cpu_limit: bool,
    /// Whether system calls can be filtered.
    #[serde(default)]
    pub seccomp: bool,
    /// Whether `AppArmor` confines every container, by Docker's own profile.
    #[serde(default)]
    pub apparmor: bool,
}

/// What the machine has to give; `None` where it is not known, or no limit of that kind is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    pub memory: Option<Bytes>,
    /// Cores.
    pub cpus: Option<u32>,
}

impl EngineInfo {
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        Capacity {
            memory: Some(Bytes(self.memory)).filter(|memory| memory.get() > 0),
            cpus: Some(self.cpus).filter(|cpus| *cpus > 0 && self.cpu_limit),
        }
    }
}
