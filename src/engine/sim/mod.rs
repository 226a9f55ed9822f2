//! A simulated Docker: the world that the daemon's proofs run in.
//!
//! [`SimDocker`] is the engine with its containers, images and networks; it lives on while daemons come and go.
//! [`SimEngine`] is a daemon's connection to it. Everything it claims about Docker is held against a real one by the
//! conformance suite (`testing::conformance`).
//!
//! # Guarantees
//! - The same seed, the same calls at the same (paused) times: the same ids, times, events and answers.
//! - No task of its own: the world catches up with the clock whenever it is looked at, and things that came due happen
//!   at their own time and in order. An event stream wakes by itself when the next one is due.
//! - What a caller began goes on without it: a stop or removal whose caller died still reaches its end.
//!
//! # Deliberately absent
//! Registries and pulls (the daemon never pulls), volumes, exec, use of processor and disk.

mod adjust;
mod calls;
mod container;
mod engine;
mod events;
mod image;
mod journal;
mod lifecycle;
mod memory;
mod network;
mod operator;
mod process;
mod rng;
mod world;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::engine::EngineEvent;
use crate::model::{ContainerId, ContainerSpec, ContainerState, ObservedContainer, ObservedNetwork, Timestamp};

pub use adjust::Update;
pub use engine::{SimEngine, engine_info};
pub use image::BuildScript;
pub use journal::{Actor, AddressGiven, JournalEntry, Transition, Upshot};
pub use memory::Kill;
pub use operator::foreign;
pub use process::{Behaviour, End};

use world::World;

/// An environment variable that scripts a container's process: `exit:3@500ms` and the like, see [`Behaviour`].
pub const BEHAVIOUR_ENV: &str = "SIM_BEHAVIOUR";

/// How long things take. Each call's time is drawn between half and one and a half of the figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    pub call: Duration,
    pub create: Duration,
    pub start: Duration,
    /// From SIGTERM to the end of a process that minds it.
    pub term: Duration,
    /// How long a container is `removing`.
    pub removal: Duration,
}

impl Default for Latency {
    /// About what `docker.io` 20.10 takes on a small machine.
    fn default() -> Self {
        Self {
            call: Duration::from_millis(2),
            create: Duration::from_millis(20),
            start: Duration::from_millis(150),
            term: Duration::from_millis(60),
            removal: Duration::from_millis(40),
        }
    }
}

impl Latency {
    /// Everything at once, for benchmarks of the callers.
    #[must_use]
    pub fn none() -> Self {
        Self {
            call: Duration::ZERO,
            create: Duration::ZERO,
            start: Duration::ZERO,
            term: Duration::ZERO,
            removal: Duration::ZERO,
        }
    }
}

/// What may go wrong with the news. Chances are in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    pub lose_events: u32,
    pub duplicate_events: u32,
    /// Swaps an event with the one after it.
    pub reorder_events: u32,
    /// Each subscription ends after so many events.
    pub stream_ends_after: Option<u32>,
    /// A list shows the world as it was this long ago.
    pub list_lag: Duration,
    /// So many removals fail half-way and leave the container `dead`.
    pub failing_removals: u32,
    /// So many creations are refused, as by a full disk.
    pub failing_creations: u32,
    /// A container loses its name before it is gone, as Docker's list shows it for a moment.
    pub nameless_while_removing: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimConfig {
    pub seed: u64,
    pub latency: Latency,
    pub quirks: Quirks,
}

impl SimConfig {
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// Rung whenever a call may have changed the world.
    changed: Notify,
}

/// A simulated Docker engine and all it holds. Cheap to clone; all clones are one engine.
#[derive(Debug, Clone)]
pub struct SimDocker {
    shared: Arc<Shared>,
}

impl SimDocker {
    /// An engine without containers and images, with the predefined networks.
    #[must_use]
    pub fn new(config: SimConfig) -> Self {
        Self { shared: Arc::new(Shared { world: Mutex::new(World::new(config)), changed: Notify::new() }) }
    }

    /// A daemon's connection.
    #[must_use]
    pub fn engine(&self) -> SimEngine {
        SimEngine::new(self.clone())
    }

    /// Looks at, or changes, the world of the present moment.
    fn with<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        let result = self.look(work);
        self.shared.changed.notify_waiters();
        result
    }

    /// Like [`Self::with`], without waking those who wait for a change.
    fn look<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        // A panicking test must not make every later look panic too.
        let mut world = self.shared.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance();
        work(&mut world)
    }

    // --- what is true -------------------------------------------------------------------------------------------------

    /// Every container as it really is, in order of creation.
    #[must_use]
    pub fn containers(&self) -> Vec<ObservedContainer> {
        self.look(|world| {
            let containers = world.order.iter().filter_map(|id| world.containers.get(id));
            containers.map(|container| container.observed(World::timestamp)).collect()
        })
    }

    /// By id or exact name.
    #[must_use]
    pub fn container(&self, id_or_name: &str) -> Option<ObservedContainer> {
        self.look(|world| {
            let id = world.resolve(id_or_name)?;
            Some(world.containers.get(&id)?.observed(World::timestamp))
        })
    }

    /// What the container was created from.
    #[must_use]
    pub fn spec(&self, id_or_name: &str) -> Option<ContainerSpec> {
        self.look(|world| Some(world.containers.get(&world.resolve(id_or_name)?)?.spec.clone()))
    }

    #[must_use]
    pub fn network(&self, name: &str) -> Option<ObservedNetwork> {
        self.look(|world| world.network(name))
    }

    /// Id of the image behind a tag.
    #[must_use]
    pub fn image_id(&self, reference: &str) -> Option<String> {
        self.look(|world| world.images.resolve(reference))
    }

    #[must_use]
    pub fn builds_started(&self) -> u32 {
        self.look(|world| world.images.builds_started)
    }

    /// Every mutating call so far.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.look(|world| world.journal.clone())
    }

    /// Every mutating call after the first `seen`.
    #[must_use]
    pub fn journal_since(&self, seen: usize) -> Vec<JournalEntry> {
        self.look(|world| world.journal.get(seen..).unwrap_or_default().to_vec())
    }

    #[must_use]
    pub fn journal_len(&self) -> usize {
        self.look(|world| world.journal.len())
    }

    /// Every change of a container's state or name so far.
    #[must_use]
    pub fn transitions(&self) -> Vec<Transition> {
        self.look(|world| world.transitions.clone())
    }

    /// Looks at the changes so far where they are. The look must not ask this engine anything else: it is held meanwhile.
    pub fn with_transitions<R>(&self, look: impl FnOnce(&[Transition]) -> R) -> R {
        self.look(|world| look(&world.transitions))
    }

    /// Looks at the addresses given out so far where they are, under the same condition.
    pub fn with_addresses<R>(&self, look: impl FnOnce(&[AddressGiven]) -> R) -> R {
        self.look(|world| look(&world.addresses))
    }

    /// Looks at the mutating calls so far where they are, under the same condition.
    pub fn with_journal<R>(&self, look: impl FnOnce(&[JournalEntry]) -> R) -> R {
        self.look(|world| look(&world.journal))
    }

    /// Everything that happened, heard of or not.
    #[must_use]
    pub fn all_events(&self) -> Vec<EngineEvent> {
        self.look(|world| world.events.clone())
    }

    /// Whether a request to that address would be answered, and if not, why.
    ///
    /// # Errors
    /// What a client would see: no route, connection refused, no answer in time.
    pub fn answers(&self, ip: IpAddr, port: u16) -> Result<(), String> {
        self.look(|world| {
            let now = world.now;
            let at = |container: &&container::Container| {
                container.networks.values().any(|attachment| attachment.ip == Some(ip))
            };
            let Some(container) = world.containers.values().find(at) else {
                return Err(format!("{ip}:{port}: no route to host"));
            };
            let age = Duration::from_nanos(now.saturating_sub(container.started_at.unwrap_or(now)));
            if container.state() == ContainerState::Paused || container.hangs_since.is_some() {
                return Err(format!("{ip}:{port}: no answer in time"));
            }
            if container.spec.port == port && container.behaviour.answers(age) {
                return Ok(());
            }
            Err(format!("{ip}:{port}: connection refused"))
        })
    }

    /// What the container's process listens on.
    #[must_use]
    pub fn listening(&self, id_or_name: &str) -> Option<Vec<SocketAddr>> {
        self.look(|world| {
            let container = world.containers.get(&world.resolve(id_or_name)?)?;
            let age = Duration::from_nanos(world.now.saturating_sub(container.started_at?));
            Some(container.behaviour.listening(age, container.spec.port))
        })
    }

    /// Which container has that address now.
    #[must_use]
    pub fn holder(&self, ip: IpAddr) -> Option<ContainerId> {
        self.look(|world| {
            let has = |c: &&container::Container| c.networks.values().any(|attachment| attachment.ip == Some(ip));
            world.containers.values().find(has).map(|container| container.id.clone())
        })
    }

    /// The end state for comparing two runs: everything but ids, times and addresses.
    #[must_use]
    pub fn end_state(&self) -> String {
        self.look(|world| operator::end_state(world))
    }

    // --- time ---------------------------------------------------------------------------------------------------------

    /// The wall clock of this world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.look(|world| World::timestamp(world.now))
    }

    /// Since the world began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.look(|world| world.age())
    }

    /// When something happens next by itself; `None` when everything rests.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.look(|world| world.next_deadline())
    }

    /// Waits until a call may have changed the world.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    // --- scripting ----------------------------------------------------------------------------------------------------

    pub fn set_latency(&self, latency: Latency) {
        self.with(|world| world.config.latency = latency);
    }

    pub fn set_quirks(&self, quirks: Quirks) {
        self.with(|world| world.config.quirks = quirks);
    }

    /// Chance begins anew, from another seed; ids go on as they were.
    pub fn reseed(&self, seed: u64) {
        self.with(|world| world.rng = rng::Rng::new(seed));
    }

    /// How builds go from now on.
    pub fn script_builds(&self, script: BuildScript) {
        self.with(|world| world.images.script = script);
    }

    /// Puts an image there, as if it had been built or loaded. Returns its id.
    pub fn add_image(&self, tag: &str, content: &str, behaviour: Option<Behaviour>) -> String {
        self.with(|world| world.add_image(tag, &std::collections::BTreeMap::new(), content.as_bytes(), behaviour))
    }

    /// How containers of that image behave from their next start on.
    pub fn set_image_behaviour(&self, id: &str, behaviour: Option<Behaviour>) {
        self.with(|world| world.images.set_behaviour(id, behaviour));
    }

    /// Asked at every start with the specification and the image's id; the latest rule that knows an answer wins.
    pub fn add_rule(&self, rule: impl Fn(&ContainerSpec, &str) -> Option<Behaviour> + Send + Sync + 'static) {
        self.with(|world| world.rules.push(Arc::new(rule)));
    }

    pub fn clear_rules(&self) {
        self.with(|world| world.rules.clear());
    }

    /// Tells which host paths exist, so that a bind mount of a missing folder fails as on Docker.
    pub fn check_paths(&self, exists: impl Fn(&Path) -> bool + Send + Sync + 'static) {
        self.with(|world| world.path_exists = Some(Arc::new(exists)));
    }
}
