//! A child process of this very program, which is all that ever parses what an app has written: its databases, its files,
//! an archive of them.
//!
//! # Guarantees
//! - It runs as the apps' user, without capabilities, and can gain none; with bounds on memory, time and files; it is killed at
//!   its deadline.
//! - It reads and writes what the daemon has opened for it, links never followed. Where the kernel has Landlock it reaches no other
//!   file; elsewhere it looks after each database whether what was opened is in the app's folder.
//! - What it answers is bounded, and believed about this app only.
//!
//! # Crash
//! It writes into folders and files without a final name. Whoever asked names them when it is done.
//!
//! [`copy`](Confined::copy) is for whoever wants an app's data somewhere else, consistent although the app writes;
//! [`archive`](Confined::archive), [`check`](Confined::check) and [`unpack`](Confined::unpack) are for backups.

mod archive;
mod child;
mod database;
mod fence;
mod job;
mod parent;
mod sink;
mod tree;
mod unarchive;

pub(crate) use archive::Frame;
pub use child::run_if_asked;
pub use job::{Bounds, LeftOut, Part, Report};
pub use parent::{Confined, ConfinedError};
