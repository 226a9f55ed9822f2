//! A manifest's new text, ready to be written: who wants to know what the file will be is told before it is.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::folder::{EditError, LockedDir, content, failed};
use super::signature::sign;
use super::swap::{Swap, Swapped};
use crate::model::{AppKey, Digest};

/// Holds the folder's lock for as long as it lives.
#[derive(Debug)]
pub struct Draft<'a> {
    folder: &'a LockedDir,
    key: AppKey,
    path: PathBuf,
    /// Of the file that is replaced; `None` when there must be none.
    before: Option<Digest>,
    after: Digest,
    text: String,
    by: Option<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        folder: &'a LockedDir,
        key: &AppKey,
        path: PathBuf,
        before: Option<Digest>,
        text: String,
    ) -> Self {
        Self { folder, key: key.clone(), path, before, after: Digest::of(text.as_bytes()), text, by: None }
    }

    /// In whose name it is written, which the file then says itself, where its file system can keep that.
    #[must_use]
    pub fn signed(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }

    /// The file's digest as it was read; `None` for a new file.
    #[must_use]
    pub fn before(&self) -> Option<&Digest> {
        self.before.as_ref()
    }

    /// The file's digest once the draft is written.
    #[must_use]
    pub fn after(&self) -> &Digest {
        &self.after
    }

    /// The file says this already.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.before.as_ref() == Some(&self.after)
    }

    /// Writes it, in one step and to last. [`EditError::Changed`] or [`EditError::Exists`] when the file is no longer what it
    /// was; it then stays as it is.
    pub fn write(self) -> Result<(), EditError> {
        if self.is_written() {
            return Ok(());
        }
        match &self.before {
            None => self.create(),
            Some(before) => self.replace(before),
        }
    }

    fn create(&self) -> Result<(), EditError> {
        self.create_and(&|| self.flush())
    }

    pub(super) fn create_and(&self, flush: &dyn Fn() -> io::Result<()>) -> Result<(), EditError> {
        let file = self.written(None)?;
        // Fails if someone made the file just now.
        file.persist_noclobber(&self.path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => EditError::Exists { key: self.key.clone() },
            _ => failed("written", &self.path, error.error),
        })?;
        flush().map_err(|error| {
            // Whoever is told of an error is told that nothing was changed. What somebody wrote over it meanwhile is theirs.
            if matches!(content(&self.path), Ok(Some(bytes)) if Digest::of(&bytes) == self.after) {
                let _ = std::fs::remove_file(&self.path);
            }
            failed("synchronised", self.folder.path(), error)
        })
    }

    fn replace(&self, before: &Digest) -> Result<(), EditError> {
        let path = &self.path;
        let changed = || EditError::Changed { path: path.clone() };
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed()),
            Err(error) => return Err(failed("read", path, error)),
        };
        let file = self.written(Some(&metadata))?;
        let expected = |path: &Path| matches!(content(path), Ok(Some(bytes)) if Digest::of(&bytes) == *before);
        let swap = Swap { new: file.path(), path, expected: &expected, flush: &|| self.flush() };
        match swap.run(&mut |_| {}) {
            // What was replaced goes with its temporary name.
            Ok(Swapped::Done) => Ok(()),
            Ok(Swapped::Changed) => Err(changed()),
            Err(error) => Err(failed("replaced", path, error)),
        }
    }

    /// The text in a temporary file, on disk. Its name starts with a dot, so no one takes it for a manifest.
    fn written(&self, like: Option<&Metadata>) -> Result<tempfile::NamedTempFile, EditError> {
        let fail = |source| failed("written", &self.path, source);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut file =
            tempfile::Builder::new().prefix(&format!(".{name}.tmp-")).tempfile_in(self.folder.path()).map_err(fail)?;
        file.write_all(self.text.as_bytes()).map_err(fail)?;
        let mode = like.map_or(0o644, |old| old.mode() & 0o777);
        // Variables are where people put passwords. Who has given others the right to read the file gets it taken away once
        // there is something to read.
        let has_env = super::parse(&name, self.text.as_bytes()).is_ok_and(|manifest| !manifest.env.is_empty());
        let mode = if has_env { mode & 0o770 } else { mode };
        if let Some(old) = like {
            // Only root may give files away; for everyone else the file was theirs already.
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
        }
        file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
        if let Some(by) = &self.by {
            sign(file.as_file(), &name, &self.after, by);
        }
        file.as_file().sync_all().map_err(fail)?;
        Ok(file)
    }

    /// Makes a rename last.
    fn flush(&self) -> io::Result<()> {
        File::open(self.folder.path()).and_then(|folder| folder.sync_all())
    }
}
