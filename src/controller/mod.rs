//! The loop that keeps Docker equal to the manifests.

pub mod handle;

pub use handle::{Command, ConfirmError, ControllerHandle, LogReader, LogStream};
// Those who read logs through the handle may not know the engine.
pub use crate::engine::{Follow, LogLine, LogSource};
