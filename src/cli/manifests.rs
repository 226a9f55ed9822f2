//! The commands' view of the files: the settings, which apps there are, what their manifests say, and changing one.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::announce::announce;
use super::args::Global;
use super::client::{Client, ClientError};
use super::names;
use crate::desired::{self, Change, Draft, ManifestDir, load, marker};
use crate::model::{AppKey, Digest, InstanceId, Manifest, Settings};
use crate::portal::Caller;
use crate::settings::{Env, SettingProblem, SettingsSource};

/// Larger manifests are refused anyway; no more than this is read.
pub const MAX_READ: u64 = (64 << 10) + 1;

/// Where the settings come from: the environment, unless `--root` or `--env-file` say otherwise. A root given by hand
/// brings its own `.env`, never that of another installation.
pub fn settings_source(global: &Global) -> anyhow::Result<SettingsSource> {
    if global.root.is_none() && global.env_file.is_none() {
        return SettingsSource::of_process().context("the working folder cannot be told: change into one that exists");
    }
    let cwd = std::env::current_dir().context("the working folder cannot be told: change into one that exists")?;
    let root = global.root.as_ref().map(|root| cwd.join(root));
    let by_environment = || std::env::var_os("PAAS_ENV_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = match (&global.env_file, &root) {
        (Some(file), _) => cwd.join(file),
        (None, Some(root)) => root.join(".env"),
        (None, None) => cwd.join(by_environment().unwrap_or_else(|| PathBuf::from(".env"))),
    };
    let root = root.map(|root| root.to_string_lossy().into_owned());
    let env: Env = Arc::new(move |name| match (&root, name) {
        (Some(root), "PAAS_ROOT") => Some(root.clone()),
        _ => std::env::var(name).ok(),
    });
    let source = SettingsSource::new(file, cwd, env);
    Ok(if global.env_file.is_some() { source.named() } else { source })
}

/// Whether a refused setting leaves it open which folders are meant; anything else a client can do without.
pub fn hides_folders(problem: &SettingProblem) -> bool {
    use crate::settings::Problem;
    match problem.problem {
        Problem::File(_) => true,
        // One that cannot be read at all may have been about a folder.
        Problem::Line { .. } | Problem::Value { .. } | Problem::Duplicate { .. } => {
            problem.key.is_empty() || problem.key == "PAAS_ROOT" || problem.key.ends_with("_DIR")
        }
        Problem::Unknown { .. } => false,
    }
}

/// There is no database. Where the root was in use it is lost, and saying "set it up" would be saying "forget it".
#[must_use]
pub fn no_database(settings: &Settings) -> anyhow::Error {
    let (root, database) = (settings.root.display(), settings.portal_db_path.display());
    if marker::read(&settings.manifests_dir).is_err() {
        return anyhow::anyhow!("{root} was never set up: run `paas init` first");
    }
    anyhow::anyhow!(
        "the database {database} is gone, although {root} was set up: put it back from a backup; without one, `paas init` makes a \
         new one, without the users, keys and events of the old"
    )
}

/// The installation that the manifests folder belongs to.
pub fn instance(settings: &Settings) -> anyhow::Result<InstanceId> {
    marker::read(&settings.manifests_dir).context("the manifests folder has no usable marker")
}

/// What a file name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// Not looked at by the daemon.
    Ignored,
    /// A manifest by its ending, but of no app; the message says what a name must be.
    Bad(String),
    App(AppKey),
}

pub fn naming(file_name: &str) -> Naming {
    if !load::is_manifest(file_name) {
        return Naming::Ignored;
    }
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    match AppKey::parse(stem) {
        Ok(key) => Naming::App(key),
        Err(error) => Naming::Bad(error.to_string()),
    }
}

/// The manifests folder.
#[derive(Debug)]
pub struct Manifests {
    folder: PathBuf,
}

impl Manifests {
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { folder: settings.manifests_dir.clone() }
    }

    /// Everything the daemon would look at, in order.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.folder.display();
        let cannot = || {
            format!(
                "cannot read the manifests folder {folder}: is PAAS_ROOT right, and its disk mounted? for a new installation \
                 `paas init` makes it"
            )
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if naming(&name) != Naming::Ignored {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The apps that have a manifest, whatever is in it.
    pub fn keys(&self) -> anyhow::Result<Vec<AppKey>> {
        let name = |path: &PathBuf| match naming(&path.file_name()?.to_string_lossy()) {
            Naming::App(key) => Some(key),
            Naming::Ignored | Naming::Bad(_) => None,
        };
        Ok(self.files()?.iter().filter_map(name).collect())
    }

    /// The app somebody typed, which must have a manifest.
    pub fn known(&self, typed: &str) -> anyhow::Result<AppKey> {
        let known = self.keys()?;
        known.iter().find(|key| key.to_string() == typed).cloned().ok_or_else(|| names::unknown_app(typed, &known))
    }

    /// The app somebody typed, which the daemon may still know although its manifest is gone.
    pub fn or_parsed(&self, typed: &str) -> anyhow::Result<AppKey> {
        AppKey::parse(typed).map_err(|_| names::unknown_app(typed, &self.keys().unwrap_or_default()))
    }

    /// The daemon's refusal, with the app that was probably meant when it does not know the one that was typed.
    pub fn explain(&self, typed: &str, error: ClientError) -> anyhow::Error {
        match (error.code(), self.keys()) {
            (Some("no-such-app"), Ok(known)) if !known.iter().any(|key| key.to_string() == typed) => {
                names::unknown_app(typed, &known)
            }
            _ => error.into(),
        }
    }

    /// The text of an app's manifest, which must be there.
    pub fn text(&self, key: &AppKey) -> anyhow::Result<String> {
        let current = ManifestDir::new(self.folder.clone()).read(key)?;
        let file =
            || format!("there is no app `{key}`: {} has just vanished", self.folder.join(key.file_name()).display());
        Ok(current.with_context(file)?.text)
    }

    /// What an app's manifest says.
    pub fn manifest(&self, key: &AppKey) -> anyhow::Result<Manifest> {
        desired::parse(&key.file_name(), self.text(key)?.as_bytes())
            .map_err(|diagnostic| anyhow::anyhow!("{diagnostic}"))
    }

    /// Changes keys of an app's manifest; returns the digest of the file as it now is.
    pub async fn edit(&self, client: &Client, key: &AppKey, changes: &[Change]) -> anyhow::Result<Digest> {
        let folder = ManifestDir::new(self.folder.clone()).lock_when_quiet(key, Instant::now())?;
        write(client, key, folder.draft_edit(key, None, changes)?).await
    }

    /// Writes a new app's manifest; returns its path and digest.
    pub async fn create(
        &self,
        client: &Client,
        key: &AppKey,
        manifest: &Manifest,
        before: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<(PathBuf, Digest)> {
        let folder = ManifestDir::new(self.folder.clone()).lock()?;
        let draft = folder.draft_new(key, manifest)?;
        before()?;
        let digest = write(client, key, draft).await?;
        Ok((self.folder.join(key.file_name()), digest))
    }
}

async fn write(client: &Client, key: &AppKey, draft: Draft<'_>) -> anyhow::Result<Digest> {
    let digest = draft.after().clone();
    if !draft.is_written() {
        announce(client, key, &digest).await;
    }
    // As the socket would know us.
    let by = Caller::Local { uid: rustix::process::getuid().as_raw() }.to_string();
    draft.signed(&by).write()?;
    Ok(digest)
}

/// At most [`MAX_READ`] bytes.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_which_app_or_why_not() {
        assert_eq!(naming("alice-diary.yaml"), Naming::App(AppKey::parse("alice-diary").unwrap()));
        assert_eq!(naming("alice-diary.yml"), Naming::App(AppKey::parse("alice-diary").unwrap()));
        for ignored in ["README.md", ".alice-diary.yaml", "alice-diary.yaml~", "alice-diary.yaml.swp", ".minipaas"] {
            assert_eq!(naming(ignored), Naming::Ignored, "{ignored}");
        }
        assert!(matches!(naming("Alice.yaml"), Naming::Bad(message) if message.contains("userid-appname")));
    }
}
