//! Who changed what, when: the record that properties about mutations are checked against.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::engine::ErrorKind;
use crate::model::{ContainerId, ContainerState, InstanceId, Ownership};

/// Who made a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The daemon under test, through its engine.
    Daemon,
    /// A person with the docker command line.
    Operator,
}

/// What came of a mutating call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upshot {
    Changed,
    /// Nothing to do.
    Already,
    Refused(ErrorKind),
}

/// One mutating call that reached the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Since the world began.
    pub at: Duration,
    pub actor: Actor,
    /// Name of the call: `create`, `start`, `stop`, `kill`, `remove`, …
    pub call: &'static str,
    /// Name of the container, image or network.
    pub object: String,
    /// Of an existing or just created container.
    pub container: Option<ContainerId>,
    /// Labels of that container, or of the object asked for.
    pub labels: BTreeMap<String, String>,
    pub upshot: Upshot,
}

impl JournalEntry {
    /// Whose object it was.
    #[must_use]
    pub fn ownership(&self, instance: &InstanceId) -> Ownership {
        Ownership::of(&self.labels, instance)
    }

    #[must_use]
    pub fn changed(&self) -> bool {
        self.upshot == Upshot::Changed
    }
}

impl fmt::Display for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3}s {:?} {} {}", self.at.as_secs_f64(), self.actor, self.call, self.object)?;
        match self.upshot {
            Upshot::Changed => Ok(()),
            Upshot::Already => f.write_str(" (already)"),
            Upshot::Refused(kind) => write!(f, " (refused: {kind:?})"),
        }
    }
}

/// One change of a container's state or name, whoever caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub at: Duration,
    pub container: ContainerId,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// `None` when it was just created.
    pub from: Option<ContainerState>,
    /// `None` when it is gone.
    pub to: Option<ContainerState>,
}

/// A container got an address on a network, at its start or when it was connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressGiven {
    pub at: Duration,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub ip: IpAddr,
}
