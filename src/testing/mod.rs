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
pub mod manifests;
pub mod mutants;
pub mod operator;
pub mod previews;
pub mod restores;
pub mod seams;
pub mod store;
pub mod visitors;
