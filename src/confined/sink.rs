//! Where what is found goes to: a folder, or an archive.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::{Mode, Timespec, Timestamps};

use super::database;
use crate::folders::stop::{At as _, Outcome};

/// What is kept of a file beside its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub(super) length: u64,
    /// Of 512 bytes.
    pub(super) blocks: u64,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

impl Meta {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            length: u64::try_from(stat.st_size).unwrap_or(0),
            blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
            // Whose it is can always read and write it; nobody gets another's rights by it.
            mode: stat.st_mode & 0o777 | 0o600,
            modified: stat.st_mtime,
        })
    }
}

pub(super) trait Sink {
    fn folder(&mut self, path: &Path) -> Outcome;
    /// How many bytes there really were, at most what `meta` says.
    fn file(&mut self, path: &Path, file: File, meta: Meta) -> io::Result<u64>;
    /// `copy` makes a copy of the database under the name that it is given.
    fn database(&mut self, path: &Path, meta: Meta, copy: &mut dyn FnMut(&Path) -> Outcome) -> Outcome;
}

/// A folder that is nobody else's.
pub(super) struct FolderSink {
    into: Dir,
    path: PathBuf,
}

impl FolderSink {
    pub(super) fn new(into: Dir) -> Outcome<Self> {
        let path = database::path_of(&into)?;
        Ok(Self { into, path })
    }
}

impl Sink for FolderSink {
    fn folder(&mut self, path: &Path) -> Outcome {
        self.into.create_dir(path).at("make", path)
    }

    fn file(&mut self, path: &Path, file: File, meta: Meta) -> io::Result<u64> {
        put(&self.into, path, &mut file.take(meta.length), meta)
    }

    fn database(&mut self, path: &Path, meta: Meta, copy: &mut dyn FnMut(&Path) -> Outcome) -> Outcome {
        copy(&self.path.join(path))?;
        let file = self.into.open(path).at("open", path)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(meta.mode)).at("change", path)
    }
}

/// Writes a file that must not exist yet.
pub(super) fn put(into: &Dir, path: &Path, content: &mut impl io::Read, meta: Meta) -> io::Result<u64> {
    let mut options = cap_std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = into.open_with(path, &options)?.into_std();
    let length = io::copy(content, &mut file)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(meta.mode))?;
    let time = Timespec { tv_sec: meta.modified, tv_nsec: 0 };
    rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?;
    Ok(length)
}
