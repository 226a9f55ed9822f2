//! Why a folder operation stopped, and the words for it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::FolderError;
use crate::model::Shown;

/// A simulated crash: the operation returns at once, without cleaning up, as if the process had been killed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash;

type Hook = dyn Fn(&'static str) -> Result<(), Crash> + Send + Sync;

/// Named places between any two side effects of an operation, where a test may crash it.
#[derive(Clone, Default)]
pub struct Checkpoints(Option<Arc<Hook>>);

impl Checkpoints {
    pub fn new(hook: impl Fn(&'static str) -> Result<(), Crash> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn reach(&self, place: &'static str) -> Result<(), Stop> {
        match &self.0 {
            Some(hook) => hook(place).map_err(|Crash| Stop::Crash(place)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checkpoints").field(&self.0.is_some()).finish()
    }
}

/// Kept apart from [`FolderError`] so that a real failure cleans up after itself and a simulated crash does not.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(FolderError),
    Crash(&'static str),
}

impl From<FolderError> for Stop {
    fn from(error: FolderError) -> Self {
        Self::Failed(error)
    }
}

impl From<Stop> for FolderError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => error,
            Stop::Crash(place) => Self::Retryable(format!("simulated crash at `{place}`")),
        }
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// Something is in the way that a person has to remove.
pub(crate) fn refuse(text: impl Into<String>) -> Stop {
    Stop::Failed(FolderError::Terminal(text.into()))
}

/// Says which path an I/O error was about and what to do.
pub(crate) trait At<T> {
    /// `verb` completes "cannot … PATH".
    fn at(self, verb: &str, path: impl AsRef<Path>) -> Outcome<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, verb: &str, path: impl AsRef<Path>) -> Outcome<T> {
        self.map_err(|error| Stop::Failed(explain(&error, verb, path.as_ref())))
    }
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, verb: &str, path: impl AsRef<Path>) -> Outcome<T> {
        self.map_err(io::Error::from).at(verb, path)
    }
}

fn explain(error: &io::Error, verb: &str, path: &Path) -> FolderError {
    let path = Shown::path(path);
    let text = |problem: &str, remedy: &str| format!("cannot {verb} {path}: {problem}; {remedy}");
    match Errno::from_io_error(error) {
        Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) => FolderError::Terminal(text(
            "a symbolic link or something else of that name is in the way",
            "minipaas follows no links here: move it away",
        )),
        Some(Errno::ACCESS | Errno::PERM) => {
            FolderError::Terminal(text("permission denied", "run the daemon as root, or let its user write there"))
        }
        Some(Errno::XDEV) => FolderError::Terminal(text(
            "the trash folder is on another filesystem than the apps folder",
            "put both on one filesystem",
        )),
        Some(Errno::NAMETOOLONG) => FolderError::Terminal(text("the path is too long", "shorten the names in it")),
        Some(Errno::NOSPC | Errno::DQUOT) => {
            FolderError::Retryable(text("the disk is full", "free some space; it is tried again by itself"))
        }
        Some(Errno::ROFS) => FolderError::Retryable(text(
            "the filesystem is mounted read-only",
            "check the disk and mount it writable; it is tried again by itself",
        )),
        Some(Errno::NOENT) => FolderError::Retryable(text(
            "it is not there",
            "if it is on a disk of its own, mount that; it is tried again by itself",
        )),
        _ => FolderError::Retryable(text(&error.to_string(), "it is tried again by itself")),
    }
}
