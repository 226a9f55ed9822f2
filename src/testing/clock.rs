//! The wall clock of a simulated world: it moves with `tokio`'s time, paused or not.

use crate::clock::Clock;
use crate::engine::sim::SimDocker;
use crate::model::Timestamp;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct SimClock {
    docker: SimDocker,
}

impl SimClock {
    #[must_use]
    pub fn of(docker: &SimDocker) -> Self {
        Self { docker: docker.clone() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.docker.now()
    }
}
