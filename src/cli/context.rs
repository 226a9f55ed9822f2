//! What every command starts from: the options common to all, the two streams, and the settings once they are needed.

use std::path::PathBuf;

use anyhow::Context as _;

use super::args::{Format, Global};
use super::backend::Launch;
use super::client::Client;
use super::output::{Err, Out};
use crate::model::Settings;

#[derive(Debug)]
pub struct Context {
    global: Global,
    pub out: Out,
    pub err: Err,
    settings: Option<Settings>,
}

impl Context {
    #[must_use]
    pub fn new(global: Global) -> Self {
        let (out, err) = (Out::new(global.color), Err::new(global.color));
        Self { global, out, err, settings: None }
    }

    /// The form asked for by `-o`, or the command's own.
    #[must_use]
    pub fn format(&self, default: Format) -> Format {
        self.global.output.unwrap_or(default)
    }

    #[must_use]
    pub fn launch(&self) -> Launch {
        Launch { root: self.global.root.clone(), env_file: self.global.env_file.clone() }
    }

    /// The settings, read at the first call. Refused lines are told once and their last good value, the default, used.
    pub fn settings(&mut self) -> anyhow::Result<&Settings> {
        if self.settings.is_none() {
            let (settings, problems) = super::manifests::load_settings(&self.launch())?;
            for problem in problems {
                self.err.warning(problem);
            }
            self.settings = Some(settings);
        }
        self.settings.as_ref().context("the settings were read just above")
    }

    pub fn client(&mut self) -> anyhow::Result<Client> {
        Ok(Client::new(self.settings()?.socket_path()))
    }

    pub fn socket(&mut self) -> anyhow::Result<PathBuf> {
        Ok(self.settings()?.socket_path())
    }
}
