//! What every command starts from: the options common to all, the two streams, and the settings once they are needed.

use anyhow::Context as _;

use super::args::{Format, Global};
use super::client::Client;
use super::manifests;
use super::output::{Err, Out};
use crate::model::Settings;
use crate::settings::SettingsSource;

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

    /// Where the settings come from.
    pub fn source(&self) -> anyhow::Result<SettingsSource> {
        manifests::settings_source(&self.global)
    }

    /// The settings, read at the first call. A refused line is told and its default used; one that leaves open which
    /// folders are meant is an error.
    pub fn settings(&mut self) -> anyhow::Result<&Settings> {
        if self.settings.is_none() {
            let (settings, problems) = self.source()?.read();
            for problem in problems {
                if manifests::hides_folders(&problem) {
                    anyhow::bail!("{problem}");
                }
                self.err.warning(problem);
            }
            self.settings = Some(settings);
        }
        self.settings.as_ref().context("the settings were read just above")
    }

    pub fn client(&mut self) -> anyhow::Result<Client> {
        Ok(Client::new(self.settings()?.socket_path()))
    }
}
