//! Worlds to prove things in: everything that the daemon touches, in memory, with faults on demand.
//!
//! The engine's part is [`crate::engine::sim`], the faults are [`crate::engine::faulty`]; here are the other seams and
//! the suite that keeps the simulator honest ([`conformance`]).
//!
//! **Architecture invariant:** compiled for tests only (feature `testing`); the program contains none of it.

pub mod clock;
pub mod conformance;
pub mod daemon;
pub mod faulty;
pub mod folders;
pub mod hand;
pub mod manifests;
pub mod mutants;
pub mod seams;
pub mod store;

use crate::model::observed::EngineInfo;

/// A Docker that can limit everything.
#[must_use]
pub fn engine_info() -> EngineInfo {
    EngineInfo {
        version: "26.1.5".to_owned(),
        api_version: "1.45".to_owned(),
        memory: 8 << 30,
        cpus: 4,
        cgroup_version: "2".to_owned(),
        memory_limit: true,
        swap_limit: true,
        pids_limit: true,
        cpu_limit: true,
    }
}
