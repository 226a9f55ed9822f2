//! Code out of git, file by file: no archive and no checkout of git's own, which attributes in the code would have a say in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::list::{EntryKind, TreeEntry};
use super::zip::Packer;
use crate::folders::{CodeWriter, FolderError};

/// Longest line before an object, and longest target of a link.
const MOST_LINE: u64 = 4 << 10;

/// What one object holds.
enum Blob<'b> {
    Link(&'b [u8]),
    File { program: bool, size: u64, content: &'b mut dyn Read },
}

/// `cat-file --batch`, asked for one object at a time.
pub(super) struct Blobs {
    ask: File,
    answer: BufReader<File>,
}

impl Blobs {
    pub(super) fn new(ask: File, answer: File) -> Self {
        Self { ask, answer: BufReader::with_capacity(64 << 10, answer) }
    }

    /// All of these.
    pub(super) fn write(&mut self, entries: &[TreeEntry], writer: &mut CodeWriter<'_>) -> Result<(), FolderError> {
        self.each(entries, |path, blob| match blob {
            Blob::Link(target) => writer.link(path, Path::new(OsStr::from_bytes(target))),
            Blob::File { program, size, content } => writer.file(path, program, size, content),
        })
    }

    /// All of these, as an archive.
    pub(super) fn pack(&mut self, entries: &[TreeEntry], packer: &mut Packer<File>) -> Result<(), FolderError> {
        self.each(entries, |path, blob| {
            let name = path.to_string_lossy();
            let written = match blob {
                Blob::Link(target) => packer.link(&name, &String::from_utf8_lossy(target)),
                Blob::File { program, size, content } => packer.file(&name, program, &mut content.take(size)).map(drop),
            };
            written.map_err(|error| broken(&error))
        })
    }

    /// Each in its turn. Whoever is given a file reads all of it.
    fn each(
        &mut self,
        entries: &[TreeEntry],
        mut visit: impl FnMut(&Path, Blob<'_>) -> Result<(), FolderError>,
    ) -> Result<(), FolderError> {
        for entry in entries {
            let path = Path::new(OsStr::from_bytes(&entry.path));
            let size = self.ask_for(&entry.object)?;
            match entry.kind {
                EntryKind::Link if size > MOST_LINE => return Err(broken("a link is too long")),
                EntryKind::Link => {
                    let mut target = Vec::new();
                    (&mut self.answer).take(size).read_to_end(&mut target).map_err(|error| broken(&error))?;
                    visit(path, Blob::Link(&target))?;
                }
                EntryKind::File { program } => visit(path, Blob::File { program, size, content: &mut self.answer })?,
            }
            self.answer.read_exact(&mut [0]).map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    /// How many bytes it has, which follow.
    fn ask_for(&mut self, object: &str) -> Result<u64, FolderError> {
        writeln!(self.ask, "{object}").map_err(|error| broken(&error))?;
        let mut line = String::new();
        (&mut self.answer).take(MOST_LINE).read_line(&mut line).map_err(|error| broken(&error))?;
        let size = line.trim_end().strip_prefix(object).and_then(|rest| rest.strip_prefix(" blob ")?.parse().ok());
        size.ok_or_else(|| broken("an object is missing"))
    }
}

fn broken(why: impl std::fmt::Display) -> FolderError {
    FolderError::Retryable(format!(
        "git broke off while a version was checked out ({why}); it is tried again by itself"
    ))
}
