//! The manifests folder as the API and the command line write to it. Everything in here blocks.
//!
//! # Guarantees
//! - Two programs of ours never write at the same time (a lock file in the folder, held for one change).
//! - A change made by anyone else meanwhile, an editor say, is not overwritten. What little remains of that is told in
//!   `swap`.
//! - A file is replaced in one step. After a crash, or on a full disk, the old one is there, whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::draft::Draft;
use super::edit::{Change, TextError, edit_text};
use super::parse::{MAX_BYTES, parse};
use super::render::render;
use crate::model::{AppKey, Digest, Manifest, RunState, Shown};

/// The lock that our programs hold while they change a file of the folder.
pub const LOCK_FILE: &str = ".lock";
/// How long one waits for another's change, which takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// A file written in place that has not been written for this long is taken for whole.
const QUIET: Duration = Duration::from_millis(100);
/// Somebody who writes all the time is not waited for any longer; what is read then is compared once more before the file
/// is replaced.
const SETTLE_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Why a manifest was not written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("there is no app `{key}`: {} does not exist", Shown::path(path))]
    NoSuchApp { key: AppKey, path: PathBuf },
    #[error("the app `{key}` exists already: choose another name, or delete it first")]
    Exists { key: AppKey },
    #[error("{} was changed by someone else meanwhile: look at it, then try again", Shown::path(path))]
    Changed { path: PathBuf },
    #[error("{} and {} are about the same app: keep one of them", Shown::path(one), Shown::path(other))]
    Ambiguous { one: PathBuf, other: PathBuf },
    #[error("{} is not a plain file: replace it with one", Shown::path(path))]
    NotPlain { path: PathBuf },
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(
        "the manifests folder {} is not there: put it back or mount its disk; for a new installation, `paas init` makes it",
        Shown::path(folder)
    )]
    NoFolder { folder: PathBuf },
    #[error("another program has been changing {} for {} s: try again", Shown::path(folder), LOCK_PATIENCE.as_secs())]
    Busy { folder: PathBuf },
    #[error("{} cannot be {action}: check its permissions and the space on its disk", Shown::path(path))]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// One file's content at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    pub text: String,
    pub digest: Digest,
    pub path: PathBuf,
}

/// A change that was made, or was not needed (`before == after`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub before: Digest,
    pub after: Digest,
}

/// The folder with the manifests.
#[derive(Debug, Clone)]
pub struct ManifestDir {
    path: PathBuf,
}

impl ManifestDir {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The app's file; `None` when there is none.
    pub fn read(&self, key: &AppKey) -> Result<Option<Current>, EditError> {
        let Some((path, bytes)) = self.find(key)? else { return Ok(None) };
        let digest = Digest::of(&bytes);
        // What is not text is shown with marks in place of the bad bytes; it cannot be edited anyway.
        Ok(Some(Current { text: String::from_utf8_lossy(&bytes).into_owned(), digest, path }))
    }

    /// Writes a new app's file. One that says `state: deleted` is no longer in the way and is replaced.
    pub fn create(&self, key: &AppKey, manifest: &Manifest) -> Result<Digest, EditError> {
        let folder = self.lock()?;
        let draft = folder.draft_new(key, manifest)?;
        let after = draft.after().clone();
        draft.write()?;
        Ok(after)
    }

    /// Changes keys of the app's file. With `expect`, only if the file still has that digest.
    pub fn edit(&self, key: &AppKey, expect: Option<&Digest>, changes: &[Change]) -> Result<Edited, EditError> {
        let folder = self.lock_when_quiet(key, Instant::now())?;
        let draft = folder.draft_edit(key, expect, changes)?;
        let after = draft.after().clone();
        let before = draft.before().unwrap_or(&after).clone();
        draft.write()?;
        Ok(Edited { before, after })
    }

    /// Removes the app's file, only if it still has that digest.
    pub fn remove(&self, key: &AppKey, expect: &Digest) -> Result<(), EditError> {
        let _folder = self.lock()?;
        let (path, _) = self.existing(key, Some(expect))?;
        fs::remove_file(&path).map_err(|error| failed("removed", &path, error))?;
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed("synchronised", &self.path, error))
    }

    /// Waits until no other program of ours writes to the folder. Given back when dropped, and by the kernel when the program
    /// dies.
    pub fn lock(&self) -> Result<LockedDir, EditError> {
        let path = self.path.join(LOCK_FILE);
        let file = match open_lock(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.exists() => {
                return Err(EditError::NoFolder { folder: self.path.clone() });
            }
            Err(error) => return Err(failed("locked", &path, error)),
        };
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(LockedDir { dir: self.clone(), _lock: file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(EditError::Busy { folder: self.path.clone() }),
                Err(TryLockError::Error(error)) => return Err(failed("locked", &path, error)),
            }
        }
    }

    /// As [`Self::lock`], once nobody writes the app's file in place any more: what they write next would go into a file that is
    /// already replaced. Waiting for that is done without the lock, so that nobody else waits for it, and ends
    /// [`SETTLE_PATIENCE`] after the edit `began`, however often it is tried.
    pub fn lock_when_quiet(&self, key: &AppKey, began: Instant) -> Result<LockedDir, EditError> {
        loop {
            let folder = self.lock()?;
            match self.unrest(key) {
                Some(rest) if began.elapsed() < SETTLE_PATIENCE => {
                    drop(folder);
                    std::thread::sleep(rest);
                }
                _ => return Ok(folder),
            }
        }
    }

    /// How long the app's file has to be left alone to be taken for whole; `None` when it is. A file that was written elsewhere
    /// and moved here is complete: moving it is its last change, not writing.
    fn unrest(&self, key: &AppKey) -> Option<Duration> {
        let fresh = |path: &Path| {
            let metadata = path.symlink_metadata().ok()?;
            let written_last = (metadata.mtime(), metadata.mtime_nsec()) == (metadata.ctime(), metadata.ctime_nsec());
            // A time in the future says nothing about now.
            let age = metadata.modified().ok()?.elapsed().ok()?;
            QUIET.checked_sub(age).filter(|_| written_last)
        };
        [key.file_name(), format!("{key}.yml")].iter().filter_map(|name| fresh(&self.path.join(name))).max()
    }

    fn existing(&self, key: &AppKey, expect: Option<&Digest>) -> Result<(PathBuf, Vec<u8>), EditError> {
        let missing = || EditError::NoSuchApp { key: key.clone(), path: self.path.join(key.file_name()) };
        let (path, bytes) = self.find(key)?.ok_or_else(missing)?;
        if expect.is_some_and(|expect| *expect != Digest::of(&bytes)) {
            return Err(EditError::Changed { path });
        }
        Ok((path, bytes))
    }

    /// `{key}.yaml` or `{key}.yml`.
    fn find(&self, key: &AppKey) -> Result<Option<(PathBuf, Vec<u8>)>, EditError> {
        let one = self.path.join(key.file_name());
        let other = self.path.join(format!("{key}.yml"));
        match (content(&one)?, content(&other)?) {
            (Some(_), Some(_)) => Err(EditError::Ambiguous { one, other }),
            (Some(bytes), None) => Ok(Some((one, bytes))),
            (None, Some(bytes)) => Ok(Some((other, bytes))),
            (None, None) => Ok(None),
        }
    }
}

/// The folder while no other program of ours writes to it.
#[derive(Debug)]
pub struct LockedDir {
    dir: ManifestDir,
    _lock: File,
}

impl LockedDir {
    pub(super) fn path(&self) -> &Path {
        &self.dir.path
    }

    /// The app's file; `None` when there is none.
    pub fn read(&self, key: &AppKey) -> Result<Option<Current>, EditError> {
        self.dir.read(key)
    }

    /// A new app's file. One that says `state: deleted` is no longer in the way and is replaced.
    pub fn draft_new(&self, key: &AppKey, manifest: &Manifest) -> Result<Draft<'_>, EditError> {
        let text = render(key, manifest);
        let name = key.file_name();
        let read_back = parse(&name, text.as_bytes()).map_err(TextError::Refused)?;
        if read_back != *manifest {
            return Err(TextError::NotExact { file: name, key: "env" }.into());
        }
        let Some((path, bytes)) = self.dir.find(key)? else {
            return Ok(Draft::new(self, key, self.dir.path.join(&name), None, text));
        };
        let deleted = parse(&name, &bytes).is_ok_and(|manifest| manifest.state == RunState::Deleted);
        if !deleted {
            return Err(EditError::Exists { key: key.clone() });
        }
        Ok(Draft::new(self, key, path, Some(Digest::of(&bytes)), text))
    }

    /// The app's file with another text, which has to be a manifest that can be used.
    pub fn draft_text(&self, key: &AppKey, expect: &Digest, text: String) -> Result<Draft<'_>, EditError> {
        let (path, _) = self.dir.existing(key, Some(expect))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parse(&name, text.as_bytes()).map_err(TextError::Refused)?;
        Ok(Draft::new(self, key, path, Some(expect.clone()), text))
    }

    /// The app's file with changed keys. With `expect`, only if the file still has that digest.
    pub fn draft_edit(
        &self,
        key: &AppKey,
        expect: Option<&Digest>,
        changes: &[Change],
    ) -> Result<Draft<'_>, EditError> {
        let (path, bytes) = self.dir.existing(key, expect)?;
        let before = Digest::of(&bytes);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = match String::from_utf8(bytes) {
            Ok(source) => source,
            // Let the parser say which byte it is.
            Err(error) => match parse(&name, error.as_bytes()) {
                Err(diagnostic) => return Err(TextError::Invalid(diagnostic).into()),
                Ok(_) => return Err(EditError::NotPlain { path }),
            },
        };
        let text = edit_text(&name, &source, changes)?;
        Ok(Draft::new(self, key, path, Some(before), text))
    }
}

/// Root may well be the first to edit: the lock is then the folder's owner's, and whoever may only read it can hold it too.
fn open_lock(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let open = |write| OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    loop {
        // NFS locks only what is open for writing, everyone else also what is open for reading.
        match open(true) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return open(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o644).custom_flags(flags).open(path) {
            Ok(file) => {
                if let Some(owner) = path.parent().and_then(|folder| folder.metadata().ok()) {
                    // Only root may give files away; everyone else made it in their own name.
                    let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
                }
                return Ok(file);
            }
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> EditError {
    EditError::Io { action, path: path.to_owned(), source }
}

/// At most one byte more than a manifest may have; `None` when there is no file. Links are not followed, pipes not waited
/// for.
pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>, EditError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    if !metadata.is_file() {
        return Err(EditError::NotPlain { path: path.to_owned() });
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut bytes = Vec::new();
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    match opened.and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

#[cfg(test)]
mod tests;
