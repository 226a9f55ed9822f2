//! The app folders: made from a template, kept, moved to trash; never emptied by accident.
//!
//! # Guarantees
//! - Nothing follows a symbolic link out of the app's folder, whatever an app puts into `data/`.
//! - What appears, appears whole: a crash half-way leaves nothing half-made under its final name.
//! - `data/` is moved only against a [`PurgeToken`], and then into `trash/`, never deleted.

mod atomic;
mod code;
mod data;
mod deploy_log;
mod disk;
mod drafts;
mod history;
mod incoming;
pub mod lock;
pub(crate) mod nofollow;
mod place;
mod previews;
pub(crate) mod stop;
mod swap;
mod trash;
mod versions;
pub(crate) mod walk;
mod working;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;

pub use atomic::write_atomic;
pub use code::{CodeFound, CodeReader, CodeWriter, MAX_TEMPLATE_BYTES, MAX_TEMPLATE_ENTRIES, Piece, ReadFailed};
pub use data::Owner;
pub use deploy_log::MAX_LOG_BYTES;
pub use disk::{BeforePurge, CodeAt, DiskFolders};
pub use drafts::DraftOf;
pub use lock::{LockError, RootLock};
pub use previews::DataDraft;
pub use stop::{Checkpoints, Crash};
pub use swap::{Swap, after, restore_of};
pub use trash::{Part, Restored, TrashNote, Trashed};

pub use crate::model::inventory::{FolderState, Incoming};
use crate::model::{AppKey, Bytes, PurgeToken, TemplateId, Timestamp, VersionId};

/// A folder operation that failed. The message names the path, the problem and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// Fails again until a person changes something: not a folder, a hostile link, no permission.
    #[error("{0}")]
    Terminal(String),
    /// May pass: disk full, I/O error.
    #[error("{0}")]
    Retryable(String),
}

/// Where the working copy comes from when there is none, and none of its own in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Template(TemplateId),
    /// A checkout that is there: the person's own code rather than the template's.
    Version(VersionId),
}

/// What became of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// It is what that version is.
    Done,
    /// It was edited, and stays as it is.
    Edited,
}

/// Free space below the apps folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub free: Bytes,
    pub total: Bytes,
}

/// The seam to `apps/` and `trash/`. Every method is idempotent.
pub trait Folders: Send + Sync + 'static {
    /// Where the parts of an app's folder are (absolute, as Docker needs them).
    fn code_dir(&self, key: &AppKey) -> PathBuf;
    fn data_dir(&self, key: &AppKey) -> PathBuf;
    fn versions_dir(&self, key: &AppKey) -> PathBuf;

    fn look(&self, key: &AppKey) -> impl Future<Output = Result<FolderState, FolderError>> + Send;
    /// Makes what [`FolderState`] says is missing: `app/` copied in one atomic step and never overwritten afterwards,
    /// `data/` owned by the app's user, `logs/` by the daemon's. An app that had code of this very template before gets its own
    /// newest code back from the trash rather than the template's, unless it was [passed over](DiskFolders::pass_over).
    ///
    /// `Some`: that happened now, and this is when the code went there.
    fn ensure(
        &self,
        key: &AppKey,
        origin: &Origin,
    ) -> impl Future<Output = Result<Option<Timestamp>, FolderError>> + Send;
    /// Makes a version of `app/` as it is now: a copy in one atomic step, flushed, with modes that let the app read it. The same
    /// content and salt give the same version, which is then there already.
    fn take_version(&self, key: &AppKey, salt: &str) -> impl Future<Output = Result<VersionId, FolderError>> + Send;
    /// Makes `app/` what that checkout is, in one atomic step, if it holds exactly what was taken as `saved` with that salt; what
    /// somebody has written there since stays, and so does a repository of their own.
    fn bring_code(
        &self,
        key: &AppKey,
        version: &VersionId,
        saved: (&VersionId, &str),
    ) -> impl Future<Output = Result<Brought, FolderError>> + Send;
    /// Removes every checkout but these. `app/` is not touched.
    fn keep_versions(
        &self,
        key: &AppKey,
        kept: &BTreeSet<VersionId>,
    ) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Writes `docker-compose.yml` and the filter of system calls that it names, each atomically.
    fn write_compose(&self, key: &AppKey, text: &str) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Appends to `logs/deploy.log`, which is cut at 1 MiB.
    fn append_deploy_log(&self, key: &AppKey, text: &str) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Lets data that waits and the app's change places, in one atomic step; `None`: none waits. What was there waits then for
    /// [`Folders::finish_swap`]. Nothing of the app may run.
    fn swap_data(
        &self,
        key: &AppKey,
    ) -> impl Future<Output = Result<Option<crate::model::Restored>, FolderError>> + Send;
    /// Moves what was there before such an exchange to trash.
    fn finish_swap(&self, key: &AppKey) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Moves everything but `data/` to trash, with a note of the template it is of, as far as that is known. Nothing there = done.
    fn trash_code(
        &self,
        key: &AppKey,
        template: Option<&TemplateId>,
    ) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Moves the data to trash.
    fn trash_data(&self, token: &PurgeToken) -> impl Future<Output = Result<(), FolderError>> + Send;
    /// Bytes below `data/`, links not followed.
    fn data_usage(&self, key: &AppKey) -> impl Future<Output = Result<Bytes, FolderError>> + Send;
    fn space(&self) -> impl Future<Output = Result<Space, FolderError>> + Send;
}
