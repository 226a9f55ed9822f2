//! The history of an app's code: every version of it, in a bare git repository per app (`history.git`), so that none that
//! ever ran is lost and any can run again.
//!
//! # Guarantees
//! - What is recorded is the code byte for byte: no filter, no ignore file, no conversion of line ends has a say.
//! - Recording never holds up a deploy: it is done beside, and until it is done the checkout stays.
//! - A crash at any point leaves a version recorded or not; what is not is recorded by the next look at the checkouts.
//! - Without `git` there is no history, the daemon says so, and everything else goes on.
//!
//! # What is left out
//! - Empty folders, and what is called `.git`: git keeps neither.

mod archive;
mod edits;
mod export;
mod fit;
mod git;
mod import;
mod list;
mod names;
mod receive;
mod recorder;
mod repository;
mod serve;
mod tar;
mod zip;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use archive::{Archive, Bounds};
pub use fit::{Extent, Unfit};
pub use git::GIT_USER;
pub use receive::{Fit, Incoming, NONE, PushLimits, Refused, Update};
pub use recorder::{Author, Authors, Did, Recorder, RecorderHandle};
pub use repository::{BRANCH, GitHistory, Side};
pub use serve::{Answering, Ending, NamedRef, Protocol};
pub use zip::Packer;

use crate::folders::FolderError;
use crate::model::{AppKey, Shown, Timestamp, VersionId};

/// What the reconciler asks of the history.
pub trait History: Send + Sync + 'static {
    /// The versions that are recorded; `None` where no history is kept.
    fn recorded(&self, key: &AppKey) -> impl Future<Output = Result<Option<BTreeSet<VersionId>>, FolderError>> + Send;
    /// Makes a checkout of a version that it has, in one atomic step, unless it is there.
    fn check_out(&self, key: &AppKey, version: &VersionId) -> impl Future<Output = Result<(), FolderError>> + Send;
}

/// Why something about a history could not be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// No history is kept; why, and the remedy.
    #[error("{0}")]
    Off(String),
    /// Git's own user cannot get there.
    #[error(
        "git's own user (uid 10002) cannot reach {}, so no history is kept: let others pass through the folders that lead there (`chmod o+x`)",
        Shown::path(path)
    )]
    Closed { path: PathBuf },
    #[error("git could not {what}: {said}")]
    Git { what: &'static str, said: String },
    #[error("git took too long to {what}; it is tried again")]
    TooSlow { what: &'static str },
    #[error("there is no version {version} of {key}: `paas versions {key}` lists those that there are")]
    NoSuchVersion { key: AppKey, version: VersionId },
    /// What was to be published cannot be.
    #[error("{0}")]
    Unpublishable(String),
    /// The app has no code yet.
    #[error("{0} has no code yet")]
    NoCode(AppKey),
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The other end of a pipe went away; what git said explains it.
    #[error("git broke off")]
    Pipe,
}

impl HistoryError {
    fn git(what: &'static str, said: impl Into<String>) -> Self {
        Self::Git { what, said: said.into() }
    }
}

/// By which way a version came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The app was made.
    Template,
    /// Somebody edited `app/` and deployed it.
    Deploy,
    /// What `app/` held when the history began.
    Before,
    /// What `app/` held, deployed or not, when another version was to run.
    Saved,
    /// Files were changed through the API, beside `app/`.
    Publish,
    /// Somebody pushed a commit.
    Push,
}

impl Door {
    const ALL: [Self; 6] = [Self::Template, Self::Deploy, Self::Before, Self::Saved, Self::Publish, Self::Push];

    fn word(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Deploy => "deploy",
            Self::Before => "before",
            Self::Saved => "saved",
            Self::Publish => "publish",
            Self::Push => "push",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.word() == word)
    }
}

/// A change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    pub path: String,
    /// What it holds from now on; `None` removes it.
    pub content: Option<Vec<u8>>,
}

/// What is published.
#[derive(Debug)]
pub struct Publication {
    pub what: Published,
    pub by: String,
    pub message: String,
    /// Most that the version may have.
    pub bounds: Bounds,
}

#[derive(Debug)]
pub enum Published {
    /// These changes of that version.
    Edits { base: VersionId, edits: Vec<FileEdit> },
    /// All files anew.
    Archive(Archive),
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionFile {
    pub path: String,
    pub bytes: u64,
}

/// What is written beside a version's code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    by: String,
    door: Door,
    message: String,
}

/// One version, as it is told to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub id: VersionId,
    /// When it was taken.
    pub at: Timestamp,
    /// Who asked for it, as far as that is known.
    pub by: String,
    pub door: Door,
    pub message: String,
    pub files: u64,
    pub bytes: u64,
    /// It has run and answered.
    pub healthy: bool,
    /// Against the version before; the first 1,000.
    pub changes: Vec<FileChange>,
}

/// One file that differs from the version before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    pub path: String,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}
