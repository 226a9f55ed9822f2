//! The loop that keeps Docker equal to the manifests.
//!
//! - [`run`]: the loop and everything it knows · [`queue`], [`backoff`]: what is looked at when
//! - [`goal`], [`admission`]: what an app is to become, from file, inventory and circumstances (pure)
//! - [`domains`]: which app has which own host name (pure) · [`rest`]: whether an app sleeps (pure) · `audit`: who changed which manifest
//! - [`pass`]: one look at one app and what follows from it · [`report`]: its published status
//! - [`image`], [`network`], [`addresses`]: what all apps share · [`probe`]: whether an app answers · [`preview`]: what would be
//!   done · [`previews`]: one look at what is shown to an owner besides
//! - [`seams`]: the whole outside world as one type parameter · [`handle`]: what the rest of the daemon holds
//!
//! **Architecture invariant:** nothing here knows bollard, SQLite or HTTP; an event, a timer or a command never carries
//! work, it only marks what is to be looked at.

pub mod addresses;
pub mod admission;
mod audit;
pub mod backoff;
pub mod domains;
pub mod goal;
pub mod handle;
pub mod image;
pub mod listening;
pub mod network;
pub mod pass;
pub mod preview;
pub mod previews;
pub mod probe;
pub mod queue;
pub mod report;
pub mod rest;
pub mod run;
pub mod seams;

pub use admission::{QuotaReached, admit};
pub use audit::did;
pub use goal::Admission;
pub use handle::{Command, ConfirmError, ControllerHandle, LogReader, LogStream, PreviewRefused};
pub use run::{Config, Controller, Input, SettingsNews};
pub use seams::{Drain, Gauge, LastVisit, Prober, RuntimeContext, RuntimeSource, Seams};
// Those who read logs through the handle may not know the engine.
pub use crate::engine::{EngineError, Follow, LogLine, LogSource};
