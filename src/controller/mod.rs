//! The loop that keeps Docker equal to the manifests.

pub mod backoff;
pub mod handle;
pub mod queue;
pub mod seams;

pub use handle::{Command, ConfirmError, ControllerHandle, LogReader, LogStream};
