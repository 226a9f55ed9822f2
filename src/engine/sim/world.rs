//! The simulated Docker's whole state, and time within it.
//!
//! Nothing here is asynchronous: every call first brings the world to the present by carrying out whatever came due
//! ([`World::advance`]), each thing at its own time and in order. So the world runs on `tokio`'s clock, paused or not,
//! without a task of its own, and is the same for the same seed and calls.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::SimConfig;
use super::container::Container;
use super::image::Images;
use super::journal::{Actor, AddressGiven, JournalEntry, Transition, Upshot};
use super::memory::Machine;
use super::network::Network;
use super::process::{Behaviour, End};
use super::rng::Rng;
use crate::engine::{Effect, EngineError, EngineEvent, ErrorKind, Result};
use crate::model::{ContainerId, ContainerSpec, ContainerState, Digest, Timestamp};

/// When every world begins: 2026-11-22T10:00:00Z.
pub(super) const EPOCH_MILLIS: i64 = 1_795_341_600_000;

/// Whether the engine can be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Up,
    /// The socket is gone or refuses.
    Down,
    /// Accepts and never answers.
    Hung,
}

/// Something that happens by itself at its time.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// The process ends by itself.
    End { id: ContainerId, run: u64, end: End },
    /// The restart policy's delay is over.
    Restart { id: ContainerId, run: u64 },
    /// A stop reaches its end, by the process's own doing or by SIGKILL.
    StopDone { id: ContainerId, run: u64, code: i64 },
    /// A process holds by now what it usually does.
    Grown,
    /// A removal reaches its end.
    RemoveDone { id: ContainerId },
}

type BehaviourRule = Arc<dyn Fn(&ContainerSpec, &str) -> Option<Behaviour> + Send + Sync>;
type PathCheck = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

pub(super) struct World {
    pub(super) config: SimConfig,
    pub(super) rng: Rng,
    origin: Instant,
    /// Nanoseconds since the world began. Inside an action: when that action was due.
    pub(super) now: u64,
    next_serial: u64,
    queue: BTreeMap<(u64, u64), Action>,
    pub(super) reach: Reach,
    /// Counts the engine's lives: a connection does not outlive one.
    pub(super) incarnation: u64,
    pub(super) containers: BTreeMap<ContainerId, Container>,
    /// Ids in order of creation.
    pub(super) order: Vec<ContainerId>,
    pub(super) names: BTreeMap<String, ContainerId>,
    pub(super) images: Images,
    pub(super) networks: BTreeMap<String, Network>,
    /// Everything that happened, whether or not a subscriber got to hear of it.
    pub(super) events: Vec<EngineEvent>,
    /// Events before this one died with an earlier life of the engine.
    pub(super) events_of_this_life: usize,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) transitions: Vec<Transition>,
    pub(super) addresses: Vec<AddressGiven>,
    pub(super) rules: Vec<BehaviourRule>,
    pub(super) path_exists: Option<PathCheck>,
    pub(super) machine: Machine,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &Duration::from_nanos(self.now))
            .field("reach", &self.reach)
            .field("containers", &self.containers)
            .field("networks", &self.networks)
            .field("images", &self.images)
            .finish_non_exhaustive()
    }
}

/// What a call's object was before the call changed it.
pub(super) struct Witness {
    object: String,
    container: Option<ContainerId>,
    labels: BTreeMap<String, String>,
}

impl Witness {
    pub(super) fn of_object(object: &str, labels: &BTreeMap<String, String>) -> Self {
        Self { object: object.to_owned(), container: None, labels: labels.clone() }
    }
}

impl World {
    pub(super) fn new(config: SimConfig) -> Self {
        let mut world = Self {
            rng: Rng::new(config.seed),
            config,
            origin: Instant::now(),
            now: 0,
            next_serial: 0,
            queue: BTreeMap::new(),
            reach: Reach::Up,
            incarnation: 0,
            containers: BTreeMap::new(),
            order: Vec::new(),
            names: BTreeMap::new(),
            images: Images::default(),
            networks: BTreeMap::new(),
            events: Vec::new(),
            events_of_this_life: 0,
            journal: Vec::new(),
            transitions: Vec::new(),
            addresses: Vec::new(),
            rules: Vec::new(),
            path_exists: None,
            machine: Machine::default(),
        };
        world.add_predefined_networks();
        world
    }

    // --- time ---------------------------------------------------------------------------------------------------------

    /// Carries out everything due until now, each at its own time.
    pub(super) fn advance(&mut self) {
        let present = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        while let Some(entry) = self.queue.first_entry() {
            let due = entry.key().0;
            if due > present {
                break;
            }
            let action = entry.remove();
            self.now = self.now.max(due);
            self.carry_out(action);
        }
        self.now = self.now.max(present);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::End { id, run, end } => self.on_end(&id, run, end),
            Action::Restart { id, run } => self.on_restart(&id, run),
            Action::StopDone { id, run, code } => self.on_stop_done(&id, run, code),
            Action::Grown => self.kill_for_want_of_memory(),
            Action::RemoveDone { id } => self.on_remove_done(&id),
        }
    }

    pub(super) fn schedule(&mut self, after: Duration, action: Action) -> u64 {
        let due = self.now.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        let serial = self.serial();
        self.queue.insert((due, serial), action);
        due
    }

    /// When something happens next by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| self.instant(*due))
    }

    pub(super) fn instant(&self, nanos: u64) -> Instant {
        self.origin + Duration::from_nanos(nanos)
    }

    pub(super) fn age(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    pub(super) fn timestamp(nanos: u64) -> Timestamp {
        Timestamp(EPOCH_MILLIS.saturating_add(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)))
    }

    fn nanos_1970(&self) -> i64 {
        EPOCH_MILLIS.saturating_mul(1_000_000).saturating_add(i64::try_from(self.now).unwrap_or(i64::MAX))
    }

    // --- identity -----------------------------------------------------------------------------------------------------

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// 64 hex digits, never given out twice, the same in every run of the same script.
    pub(super) fn fresh_id(&mut self, kind: &str) -> String {
        let serial = self.serial();
        Digest::of(format!("{kind}/{}/{serial}", self.config.seed).as_bytes()).as_str().to_owned()
    }

    pub(super) fn resolve(&self, id_or_name: &str) -> Option<ContainerId> {
        let id = ContainerId(id_or_name.to_owned());
        if self.containers.contains_key(&id) { Some(id) } else { self.names.get(id_or_name).cloned() }
    }

    pub(super) fn resolve_or_error(&self, id_or_name: &str) -> Result<ContainerId> {
        self.resolve(id_or_name)
            .ok_or_else(|| EngineError::new(ErrorKind::NotFound, format!("No such container: {id_or_name}")))
    }

    // --- records ------------------------------------------------------------------------------------------------------

    pub(super) fn emit(&mut self, object: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let event = EngineEvent {
            object: object.to_owned(),
            action: action.to_owned(),
            id: id.to_owned(),
            attributes,
            at_nanos: self.nanos_1970(),
        };
        // Docker's clock never shows two events at one instant; `since` relies on it.
        let previous = self.events.last().map_or(i64::MIN, |last| last.at_nanos);
        self.events.push(EngineEvent { at_nanos: event.at_nanos.max(previous.saturating_add(1)), ..event });
    }

    /// Tells about a container: its name, image, labels and what else the event carries.
    pub(super) fn emit_container(&mut self, action: &str, id: &ContainerId, extra: &[(&str, String)]) {
        let Some(container) = self.containers.get(id) else { return };
        let mut attributes = container.spec.labels.clone();
        attributes.insert("name".to_owned(), container.name.clone());
        attributes.insert("image".to_owned(), container.spec.image.clone());
        attributes.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.emit("container", action, id.as_str(), attributes);
    }

    pub(super) fn witness(&self, id_or_name: &str) -> Witness {
        match self.resolve(id_or_name).and_then(|id| self.containers.get(&id)) {
            Some(container) => Witness {
                object: container.name.clone(),
                container: Some(container.id.clone()),
                labels: container.spec.labels.clone(),
            },
            None => Witness::of_object(id_or_name, &BTreeMap::new()),
        }
    }

    pub(super) fn record(&mut self, actor: Actor, call: &'static str, witness: Witness, upshot: Upshot) {
        let Witness { object, container, labels } = witness;
        self.journal.push(JournalEntry { at: self.age(), actor, call, object, container, labels, upshot });
    }

    pub(super) fn record_effect(
        &mut self,
        actor: Actor,
        call: &'static str,
        witness: Witness,
        result: &Result<Effect>,
    ) {
        let upshot = match result {
            Ok(Effect::Done) => Upshot::Changed,
            Ok(Effect::Already) => Upshot::Already,
            Err(error) => Upshot::Refused(error.kind()),
        };
        self.record(actor, call, witness, upshot);
    }

    pub(super) fn record_change(&mut self, actor: Actor, call: &'static str, witness: Witness, result: &Result<()>) {
        let upshot = result.as_ref().map_or_else(|error| Upshot::Refused(error.kind()), |()| Upshot::Changed);
        self.record(actor, call, witness, upshot);
    }

    /// Writes down what became of a container, if anything did; call after the change.
    pub(super) fn transition(&mut self, id: &ContainerId, from: Option<ContainerState>) {
        if self.containers.get(id).is_some_and(|container| Some(container.state()) != from) {
            self.note(id, from);
        }
    }

    /// Writes down that a container got an address.
    pub(super) fn note_address(&mut self, id: &ContainerId, ip: IpAddr) {
        let at = self.age();
        if let Some(container) = self.containers.get(id) {
            let (name, labels) = (container.name.clone(), container.spec.labels.clone());
            self.addresses.push(AddressGiven { at, name, labels, ip });
        }
    }

    /// Writes down a container's state and name.
    pub(super) fn note(&mut self, id: &ContainerId, from: Option<ContainerState>) {
        let Some(container) = self.containers.get(id) else { return };
        let to = container.state();
        self.transitions.push(Transition {
            at: self.age(),
            container: id.clone(),
            name: container.name.clone(),
            labels: container.spec.labels.clone(),
            from,
            to: Some(to),
        });
    }
}

pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> EngineError {
    EngineError::new(kind, message)
}
