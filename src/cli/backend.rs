//! What `main` plugs into the command line: the parts of the program that the commands use but do not own.

use std::future::Future;

use crate::engine::Engine;
use crate::model::Settings;
use crate::settings::SettingsSource;

/// What the daemon would do, as its API tells it as well.
pub use crate::portal::plan::{PlanStep as PreviewStep, PlanView as Preview};

pub trait Backend: Sync {
    type Engine: Engine;

    /// Runs the daemon until it is told to stop.
    fn serve(&self, source: SettingsSource) -> anyhow::Result<()>;

    /// A client of Docker; connecting is the first call's affair.
    fn engine(&self) -> anyhow::Result<Self::Engine>;

    /// Reads the files and Docker and computes one pass, without doing anything.
    fn preview(&self, settings: &Settings) -> impl Future<Output = anyhow::Result<Preview>>;
}
