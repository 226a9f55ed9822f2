//! What `main` plugs into the command line: the parts of the program that the commands use but do not own.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::model::{AppKey, Settings};
use crate::settings::SettingsSource;

/// One thing the daemon would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewStep {
    /// `None` for what all apps share.
    pub app: Option<AppKey>,
    /// In the words of the plan, for example `create container paas-app-alice-diary`.
    pub action: String,
    pub cause: String,
}

/// What the daemon would do, in order, and what it would leave alone although the world differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub steps: Vec<PreviewStep>,
    /// What is held or refused, with the reason: nothing is done about it.
    pub notes: Vec<PreviewStep>,
}

pub trait Backend: Sync {
    type Engine: Engine;

    /// Runs the daemon until it is told to stop.
    fn serve(&self, source: SettingsSource) -> anyhow::Result<()>;

    /// A client of Docker; connecting is the first call's affair.
    fn engine(&self) -> anyhow::Result<Self::Engine>;

    /// Reads the files and Docker and computes one pass, without doing anything.
    fn preview(&self, settings: &Settings) -> impl Future<Output = anyhow::Result<Preview>>;
}
