//! The loop that keeps Docker equal to the manifests.

pub mod handle;

pub use handle::{Command, ConfirmError, ControllerHandle, LogReader, LogStream};
