//! The commands' view of the files: which apps there are, what their manifests say, and changing one.

use std::path::PathBuf;

use anyhow::Context as _;

use super::backend::Launch;
use super::client::ClientError;
use super::names;
use crate::desired::Diagnostic;
use crate::model::{AppKey, Digest, InstanceId, Manifest, RunState, Settings};

/// The settings, and what was refused of them.
pub fn load_settings(launch: &Launch) -> anyhow::Result<(Settings, Vec<String>)> {
    let root = launch.root.clone().or_else(|| std::env::var_os("PAAS_ROOT").map(PathBuf::from));
    Ok((Settings::defaults(root.unwrap_or_else(|| PathBuf::from("/paas"))), Vec::new()))
}

pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Manifest, Diagnostic> {
    let _ = (file_name, bytes);
    todo!()
}

pub fn schema() -> String {
    todo!()
}

pub fn marker(settings: &Settings) -> anyhow::Result<InstanceId> {
    let _ = settings;
    todo!()
}

pub fn ensure_marker(settings: &Settings) -> anyhow::Result<(InstanceId, bool)> {
    let _ = settings;
    todo!()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    Ignored,
    Bad(String),
    App(AppKey),
}

pub fn naming(file_name: &str) -> Naming {
    let _ = file_name;
    todo!()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    State(RunState),
    KeepData(bool),
    NoKeepData,
    Redeploy(String),
}

#[derive(Debug)]
pub struct Written {
    pub path: PathBuf,
    pub digest: Digest,
}

#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl File {
    pub fn parsed(&self) -> anyhow::Result<Manifest> {
        todo!()
    }
}

#[derive(Debug)]
pub struct Manifests {
    folder: PathBuf,
}

impl Manifests {
    pub fn new(settings: &Settings) -> Self {
        Self { folder: settings.manifests_dir.clone() }
    }
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        std::fs::read_dir(&self.folder).context("x")?;
        todo!()
    }
    fn keys(&self) -> Vec<AppKey> {
        todo!()
    }
    pub fn known(&self, typed: &str) -> anyhow::Result<AppKey> {
        let known = self.keys();
        known.iter().find(|key| key.to_string() == typed).cloned().ok_or_else(|| names::unknown_app(typed, &known))
    }
    pub fn or_parsed(&self, typed: &str) -> anyhow::Result<AppKey> {
        AppKey::parse(typed).map_err(|_| names::unknown_app(typed, &self.keys()))
    }
    pub fn explain(&self, typed: &str, error: ClientError) -> anyhow::Error {
        if error.code() == Some("no-such-app") { names::unknown_app(typed, &self.keys()) } else { error.into() }
    }
    pub fn read(&self, _key: &AppKey) -> anyhow::Result<File> {
        todo!()
    }
    pub fn edit(&self, _key: &AppKey, _changes: &[Edit]) -> anyhow::Result<Written> {
        todo!()
    }
    pub fn create(&self, _key: &AppKey, _manifest: &Manifest) -> anyhow::Result<Written> {
        todo!()
    }
}
