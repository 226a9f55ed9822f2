//! Making a backup, and looking whether one can be restored.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::rotate::surplus;
use super::shelf::{Part, Scratch, Shelf};
use super::{Backup, BackupError, BackupId, Note, Proof, Why};
use crate::clock::{Clock, SystemClock};
use crate::confined::{Bounds, Confined, ConfinedError, Frame, Part as Of, Report};
use crate::desired::ManifestDir;
use crate::folders::stop::{At as _, Outcome};
use crate::folders::{DiskFolders, FolderError};
use crate::history::GIT_USER;
use crate::model::{AppKey, Bytes, Settings};

/// What is left to the apps, in hundredths of the disk.
const RESERVE: u64 = 5;
/// Nothing goes because of a backup that is made before data goes.
pub(super) const MOST_KEPT: u32 = u32::MAX;

/// Backups below one root. Cheap to clone; one is made or proven at a time.
#[derive(Debug, Clone)]
pub struct Backups {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    root: PathBuf,
    /// For copies that go again. Others may pass through it, as SQLite looks at each step of a path.
    scratch: PathBuf,
    manifests: ManifestDir,
    pub(super) folders: DiskFolders,
    pub(super) confined: Confined,
    pub(super) clock: Arc<dyn Clock>,
    reserve: u64,
    pub(super) turn: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Backups {
    /// # Errors
    /// When the folder of the backups cannot be made.
    pub fn open(settings: &Settings, folders: DiskFolders, confined: Confined) -> Result<Self, FolderError> {
        Self::with_reserve(settings, folders, confined, RESERVE)
    }

    /// Leaves so many hundredths of the disk to the apps: for tests, whose disk is as full as it is.
    ///
    /// # Errors
    /// As [`Backups::open`].
    pub fn with_reserve(
        settings: &Settings,
        folders: DiskFolders,
        confined: Confined,
        reserve: u64,
    ) -> Result<Self, FolderError> {
        let (root, scratch) = (settings.backups_dir(), settings.scratch_dir());
        for (path, mode) in [(&root, 0o700), (&scratch, 0o711)] {
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).at("make", path)?;
        }
        let inner = Inner {
            root,
            scratch,
            manifests: ManifestDir::new(settings.manifests_dir.clone()),
            folders,
            confined,
            clock: Arc::new(SystemClock),
            reserve,
            turn: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn shelf(&self, key: &AppKey) -> Shelf {
        Shelf { root: self.inner.root.clone(), key: key.clone() }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Outcome<T> + Send + 'static,
    ) -> Result<T, BackupError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(BackupError::Stopping),
        }
    }

    /// Those that are there, newest first.
    pub async fn list(&self, key: &AppKey) -> Result<Vec<Backup>, BackupError> {
        let folder = self.shelf(key);
        self.blocking(move |_| folder.list()).await
    }

    /// The file of one.
    pub async fn file(&self, key: &AppKey, id: &BackupId) -> Result<File, BackupError> {
        let (folder, wanted) = (self.shelf(key), id.clone());
        let file = self.blocking(move |_| folder.open(&wanted)).await?;
        file.ok_or_else(|| BackupError::NoSuch { key: key.clone(), id: id.clone() })
    }

    /// Makes one while the app goes on, then lets the oldest go that are more than `keep`.
    ///
    /// # Crash
    /// Before it has its name there is none, and afterwards it is whole; too many are fewer after the next.
    pub async fn take(&self, key: &AppKey, why: Why, keep: u32) -> Result<Backup, BackupError> {
        let _turn = self.inner.turn.lock().await;
        let bounds = self.bounds().await?;
        let at = self.inner.clock.now();
        let id = BackupId::of(at);
        let (folder, begun) = (self.shelf(key), id.clone());
        let part = self.blocking(move |_| folder.begin(&begun, why)).await?;
        match self.write(key, &part, (at, why), bounds).await {
            Ok(()) => self.blocking(move |_| part.finish()).await?,
            Err(error) => {
                part.give_up();
                return Err(error);
            }
        }
        self.rotate(key, keep).await?;
        let made = self.list(key).await?.into_iter().find(|backup| backup.id == id);
        made.ok_or_else(|| BackupError::NoSuch { key: key.clone(), id })
    }

    async fn write(
        &self,
        key: &AppKey,
        part: &Part,
        (at, why): (crate::model::Timestamp, Why),
        bounds: Bounds,
    ) -> Result<(), BackupError> {
        let confined = &self.inner.confined;
        let folders = self.inner.folders.clone();
        let data = folders.open_data(key).await?.ok_or_else(|| BackupError::NoData(key.clone()))?;
        let scratch = self.scratch("backup").await?;
        let report = confined.archive(Of::Data, &data, &scratch.folder, &part.file, bounds).await?;
        drop(scratch);
        let history = match folders.open_history(key).await? {
            Some(history) => {
                let scratch = self.scratch("history").await?;
                let confined = confined.as_user(GIT_USER);
                Some(confined.archive(Of::History, &history, &scratch.folder, &part.file, bounds).await?)
            }
            None => None,
        };
        let manifests = self.inner.manifests.clone();
        let (asked, file) = (key.clone(), part.file.try_clone().map_err(|error| io(&error))?);
        let note = Note {
            version: 1,
            minipaas: env!("CARGO_PKG_VERSION").to_owned(),
            app: key.clone(),
            at,
            why,
            data: report,
            history,
        };
        self.blocking(move |_| {
            let mut frame = Frame::new(file).at("write", "the backup")?;
            let seconds = at.0 / 1_000;
            if let Ok(Some(manifest)) = manifests.read(&asked) {
                frame.text("manifest.yaml", manifest.text.as_bytes(), seconds).at("write", "the backup")?;
            }
            let text = serde_json::to_vec_pretty(&note).unwrap_or_default();
            frame.text("backup.json", &text, seconds).at("write", "the backup")?;
            let file = frame.finish_all().at("write", "the backup")?;
            file.sync_all().at("flush", "the backup")
        })
        .await?;
        // What was written is read again before it may take another's place.
        confined.check(&part.file, bounds).await?;
        Ok(())
    }

    async fn rotate(&self, key: &AppKey, keep: u32) -> Result<(), BackupError> {
        let folder = self.shelf(key);
        self.blocking(move |_| surplus(&folder.list()?, keep).iter().try_for_each(|id| folder.remove(id))).await
    }

    /// Restores one into a folder that goes again, checks everything in it, and notes what came of it.
    pub async fn check(&self, key: &AppKey, id: &BackupId) -> Result<Backup, BackupError> {
        let _turn = self.inner.turn.lock().await;
        let file = self.file(key, id).await?;
        let bounds = self.bounds().await?;
        let scratch = self.scratch("drill").await?;
        let unpacked = self.inner.confined.unpack(&file, &scratch.folder, bounds).await;
        drop(scratch);
        self.note(key, id, unpacked).await?;
        let found = self.list(key).await?.into_iter().find(|backup| backup.id == *id);
        found.ok_or_else(|| BackupError::NoSuch { key: key.clone(), id: id.clone() })
    }

    /// Whoever has unpacked one knows whether it can be restored.
    pub(super) async fn note(
        &self,
        key: &AppKey,
        id: &BackupId,
        unpacked: Result<Report, ConfinedError>,
    ) -> Result<Proof, BackupError> {
        let at = self.inner.clock.now();
        let proof = match unpacked {
            Ok(report) => {
                Proof { at, files: report.files, bytes: report.bytes, databases: report.databases, problem: None }
            }
            Err(ConfinedError::Refused(problem)) => {
                Proof { at, files: 0, bytes: 0, databases: 0, problem: Some(problem) }
            }
            // That says nothing about the backup.
            Err(error) => return Err(error.into()),
        };
        let (folder, noted, written) = (self.shelf(key), id.clone(), proof.clone());
        self.blocking(move |_| folder.note(&noted, &written)).await?;
        Ok(proof)
    }

    async fn scratch(&self, what: &'static str) -> Result<Scratch, BackupError> {
        self.blocking(move |inner| Scratch::make(&inner.scratch, what.to_owned())).await
    }

    /// A copy of a database and the archive may each be as large as what is copied; the last of the disk is the apps'.
    pub(super) async fn bounds(&self) -> Result<Bounds, BackupError> {
        let (free, total) = self
            .blocking(|inner| {
                let stat = rustix::fs::statvfs(&inner.root).at("measure the disk of", &inner.root)?;
                Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
            })
            .await?;
        let most = Bounds::default();
        let spare = free.saturating_sub(total / 100 * self.inner.reserve);
        if spare == 0 {
            return Err(BackupError::Disk { free: Bytes(free), total: Bytes(total) });
        }
        Ok(Bounds { bytes: most.bytes.min(spare / 2), ..most })
    }
}

fn io(error: &std::io::Error) -> BackupError {
    BackupError::Folder(FolderError::Retryable(format!(
        "the backup cannot be written: {error}; it is tried again by itself"
    )))
}

impl crate::folders::BeforePurge for Backups {
    fn before_purge<'a>(
        &'a self,
        key: &'a AppKey,
    ) -> Pin<Box<dyn Future<Output = Result<(), FolderError>> + Send + 'a>> {
        Box::pin(async move {
            match self.take(key, Why::Purge, MOST_KEPT).await {
                Ok(_) | Err(BackupError::NoData(_)) => Ok(()),
                // It is as it is, and lies in the trash as it is.
                Err(BackupError::Confined(error @ ConfinedError::Refused(_))) => {
                    tracing::warn!(app = %key, %error, "its data goes to the trash without a backup");
                    Ok(())
                }
                Err(error) => Err(FolderError::Retryable(format!(
                    "its data stays until it is backed up, and that failed: {error}"
                ))),
            }
        })
    }
}
