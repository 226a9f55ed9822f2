//! The app folders on a real filesystem.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod everyday;
mod hostile;
mod refused;
mod support;
mod versions;
