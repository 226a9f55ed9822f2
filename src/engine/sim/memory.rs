//! The machine's memory, where a test gives it any: what runs in containers and beside them takes of it, and the kernel kills when it
//! is gone. Without it nothing is ever short.

use std::collections::BTreeMap;
use std::time::Duration;

use super::SimDocker;
use super::container::Container;
use super::process::{Behaviour, End};
use super::world::{Action, World};
use crate::model::memory::MemoryReading;
use crate::model::spec::OOM_SCORE;
use crate::model::{Bytes, ContainerId};

/// What an idle Node app holds.
const IDLE: Bytes = Bytes::mib(41);
/// How long a process takes until it holds what it usually does; until then it is a quarter.
pub(super) const GROWS: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Machine {
    total: Option<Bytes>,
    /// What other programs hold, and the largest of them.
    others: Bytes,
    kills: Vec<Kill>,
}

/// The kernel killed something because all memory was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// Since the world began.
    pub at: Duration,
    /// The container's name, or that it was another program.
    pub victim: String,
    /// The containers that ran, by what their labels say, and since when.
    pub ran: Vec<(ContainerId, BTreeMap<String, String>, Duration)>,
}

impl SimDocker {
    /// From now on the machine has so much.
    pub fn set_memory(&self, total: Bytes) {
        self.with(|world| {
            world.machine.total = Some(total);
            world.kill_for_want_of_memory();
        });
    }

    /// Other programs on the machine hold so much.
    pub fn others_hold(&self, bytes: Bytes) {
        self.with(|world| {
            world.machine.others = bytes;
            world.kill_for_want_of_memory();
        });
    }

    #[must_use]
    pub fn memory(&self) -> Option<MemoryReading> {
        self.look(|world| {
            let total = world.machine.total?;
            Some(MemoryReading { total, available: Bytes(total.0.saturating_sub(world.taken())), pressure: None })
        })
    }

    #[must_use]
    pub fn used_by(&self, container: &ContainerId) -> Option<Bytes> {
        self.look(|world| {
            world.containers.get(container).filter(|found| found.is_alive()).map(|found| world.held(found))
        })
    }

    /// Whom the kernel has killed for want of memory.
    #[must_use]
    pub fn kernel_kills(&self) -> Vec<Kill> {
        self.look(|world| world.machine.kills.clone())
    }
}

impl World {
    fn held(&self, container: &Container) -> Bytes {
        let whole = match container.behaviour {
            Behaviour::Holds(bytes) => bytes,
            _ => IDLE,
        };
        let age = Duration::from_nanos(self.now.saturating_sub(container.started_at.unwrap_or(self.now)));
        if age < GROWS { Bytes(whole.0 / 4) } else { whole }
    }

    fn alive(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().filter(|container| container.is_alive())
    }

    fn taken(&self) -> u64 {
        self.machine.others.0 + self.alive().map(|container| self.held(container).0).sum::<u64>()
    }

    /// A process was started: it is about to grow.
    pub(super) fn grow(&mut self) {
        if self.machine.total.is_some() {
            self.schedule(GROWS, Action::Grown);
            self.kill_for_want_of_memory();
        }
    }

    /// As the kernel chooses: by what each holds, and by its `oom_score_adj` in thousandths of the whole.
    pub(super) fn kill_for_want_of_memory(&mut self) {
        let Some(total) = self.machine.total else { return };
        while self.taken() > total.0 {
            let badness = |container: &Container| self.held(container).0 + total.0 / 1000 * OOM_SCORE.unsigned_abs();
            let worst =
                self.alive().map(|container| (badness(container), container.started_at, container.id.clone())).max();
            let ran = self.alive().map(|container| {
                let started = Duration::from_nanos(container.started_at.unwrap_or_default());
                (container.id.clone(), container.spec.labels.clone(), started)
            });
            let ran: Vec<_> = ran.collect();
            let at = self.age();
            if let Some((_, _, id)) = worst.filter(|(badness, ..)| *badness >= self.machine.others.0) {
                let victim = self.containers.get(&id).map(|found| found.name.clone()).unwrap_or_default();
                self.machine.kills.push(Kill { at, victim, ran });
                self.die(&id, End { code: 137, oom: true });
            } else {
                self.machine.kills.push(Kill { at, victim: "another program".to_owned(), ran });
                self.machine.others = Bytes(0);
            }
        }
    }
}
