//! What every command starts from: the options common to all, the two streams, and the settings once they are needed.

use anyhow::Context as _;

use super::args::{Format, Global};
use super::client::Client;
use super::manifests;
use super::output::{Err, Out};
use crate::model::{DaemonStatus, Settings};
use crate::settings::SettingsSource;

#[derive(Debug)]
pub struct Context {
    global: Global,
    pub out: Out,
    pub err: Err,
    settings: Option<Settings>,
    /// Refused lines that nobody has heard of yet.
    untold: Vec<String>,
}

impl Context {
    #[must_use]
    pub fn new(global: Global) -> Self {
        let (out, err) = (Out::new(global.color), Err::new(global.color));
        Self { global, out, err, settings: None, untold: Vec::new() }
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
        self.settings_quietly()?;
        self.warn_except(&[]);
        self.settings.as_ref().context("the settings were read just above")
    }

    /// The same, but refused lines are kept for [`Self::warn_except`].
    pub fn settings_quietly(&mut self) -> anyhow::Result<&Settings> {
        if self.settings.is_none() {
            let (settings, problems) = self.source()?.read();
            if let Some(problem) = problems.iter().find(|problem| manifests::hides_folders(problem)) {
                anyhow::bail!("{problem}");
            }
            self.untold = problems.iter().map(ToString::to_string).collect();
            self.settings = Some(settings);
        }
        self.settings.as_ref().context("the settings were read just above")
    }

    /// Lets a running daemon say which folders are meant, where the settings leave that open: it runs well on the last good
    /// ones, and whoever talks to it needs no more than its socket. To be called before the settings are asked for.
    pub async fn ask_daemon(&mut self) {
        let Ok(source) = self.source() else { return };
        let (mut settings, problems) = source.read();
        if self.settings.is_some() || !problems.iter().any(manifests::hides_folders) {
            return;
        }
        // The folder of `.env` is the root of most installations.
        let beside = source.file().parent().map(|folder| Settings { root: folder.to_owned(), ..settings.clone() });
        for candidate in std::iter::once(settings.clone()).chain(beside) {
            let answer = Client::new(candidate.socket_path()).get::<DaemonStatus>("/status").await;
            if let Ok(DaemonStatus { folders: Some(folders), .. }) = answer {
                folders.put_into(&mut settings);
                self.untold = problems.iter().map(ToString::to_string).collect();
                self.settings = Some(settings);
                return;
            }
        }
    }

    /// Warns of the refused lines not told yet, but not of those that the reader has from elsewhere.
    pub fn warn_except(&mut self, told: &[String]) {
        for problem in std::mem::take(&mut self.untold) {
            if !told.contains(&problem) {
                self.err.warning(problem);
            }
        }
    }

    pub fn client(&mut self) -> anyhow::Result<Client> {
        Ok(Client::new(self.settings()?.socket_path()))
    }
}
