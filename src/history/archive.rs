//! An archive that somebody sent, which becomes a version: a zip or a tar, compressed or not. It is a stranger's work.
//!
//! # Guarantees
//! - All of it is looked at before anything of it is written anywhere: names, kinds, links, how much there is of it when it
//!   is unpacked. What its own directory says about sizes is not believed.
//! - Memory does not depend on what is in it, apart from the names of as many files as are allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::import::{message, write_path};
use super::names::{Names, check_name};
use super::{HistoryError, Note, tar, zip};
use crate::folders::CodeFound;
use crate::model::units::DigestOf;
use crate::model::{Bytes, Shown, Timestamp, VersionId};

/// What nobody can do without.
const SERVER: &str = "server.js";
/// What a page is that needs nothing but being shown.
const PAGE: &str = "index.html";
/// A tar's first block, and where in it every tar of the last 30 years says that it is one.
const BLOCK: u64 = 512;
const MAGIC: usize = 257;
/// Longest target of a link.
const MOST_TARGET: u64 = 4 << 10;
/// What computers put beside people's files.
const LITTER: [&str; 4] = ["__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"];

/// Most that a version may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub files: u32,
    /// Of all of them together, unpacked.
    pub bytes: Bytes,
}

impl Bounds {
    /// Most entries of an archive: folders count as well.
    pub(super) fn entries(self) -> u64 {
        u64::from(self.files).saturating_mul(2).saturating_add(100)
    }

    pub(super) fn check(self, files: u64, bytes: u64) -> Result<(), HistoryError> {
        if files > self.files.into() {
            return refused(format!(
                "there are more than {} files: leave out what is not for this site (PUBLISH_MAX_FILES)",
                self.files
            ));
        }
        if bytes > self.bytes.0 {
            return refused(format!(
                "unpacked it has more than {}: leave out what is not for this site (PUBLISH_MAX_BYTES)",
                self.bytes
            ));
        }
        Ok(())
    }
}

/// One entry, as the archive has it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File {
        program: bool,
    },
    /// Its content is where it leads to.
    Link,
}

pub(super) type Visit<'v> = &'v mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), HistoryError>;

/// An archive, found to be good.
#[derive(Debug)]
pub struct Archive {
    file: File,
    bounds: Bounds,
    /// By its name in the archive.
    files: BTreeMap<String, Placed>,
    /// Put under it where it has none.
    server: Option<Vec<u8>>,
}

/// A file of the archive.
#[derive(Debug)]
struct Placed {
    /// Where in the version it is.
    path: String,
    size: u64,
    is_link: bool,
}

impl Archive {
    /// Looks at all of it. `server`: what shows a page that brings no server of its own. Blocks the thread.
    ///
    /// # Errors
    /// Why it cannot become a version.
    pub fn open(
        mut file: File,
        bounds: Bounds,
        server: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Self, HistoryError> {
        let mut files: BTreeMap<String, Placed> = BTreeMap::new();
        let (mut left, mut count) = (bounds.bytes.0, 0_u64);
        let mut links = Vec::new();
        let mut folders = BTreeSet::new();
        each(&mut file, bounds, &mut |entry, content| {
            let Entry { path, kind } = entry;
            if path.split('/').any(|part| LITTER.contains(&part)) {
                return Ok(());
            }
            check_name(&path).map_err(HistoryError::Unpublishable)?;
            if kind == Kind::Folder {
                folders.insert(path);
                return Ok(());
            }
            count += 1;
            bounds.check(count, 0)?;
            let size = if kind == Kind::Link {
                let mut target = Vec::new();
                content.take(MOST_TARGET + 1).read_to_end(&mut target).map_err(unreadable)?;
                check_link(&path, &target)?;
                links.push(path.clone());
                target.len() as u64
            } else {
                io::copy(&mut content.take(left + 1), &mut io::sink()).map_err(unreadable)?
            };
            left = left.checked_sub(size).map_or_else(|| bounds.check(0, u64::MAX).map(|()| 0), Ok)?;
            let placed = Placed { path: path.clone(), size, is_link: kind == Kind::Link };
            if files.insert(path.clone(), placed).is_some() {
                return refused(format!("`{}` is in the archive twice: pack it anew", Shown::new(&path)));
            }
            Ok(())
        })?;
        let mut archive = Self { file, bounds, files, server: None };
        archive.unwrap_folder();
        archive.give_server(server)?;
        archive.check_names(&folders)?;
        Ok(archive)
    }

    /// One folder around everything is how most programs pack.
    fn unwrap_folder(&mut self) {
        let top = |path: &str| path.split_once('/').map(|(top, _)| top.to_owned());
        let Some(only) = self.files.keys().next().and_then(|path| top(path)) else { return };
        // A site's own folder that happens to be alone is no wrapping.
        if only == "public" || !self.files.keys().all(|path| top(path).as_ref() == Some(&only)) {
            return;
        }
        for placed in self.files.values_mut() {
            placed.path.drain(..=only.len());
        }
    }

    fn has(&self, path: &str) -> bool {
        self.files.values().any(|placed| placed.path == path && !placed.is_link)
    }

    /// A page without a server becomes what is shown, and the server of `static-v1` shows it.
    fn give_server(&mut self, server: impl FnOnce() -> Option<Vec<u8>>) -> Result<(), HistoryError> {
        if self.has(SERVER) {
            return Ok(());
        }
        let is_page = self.has(PAGE);
        self.server = if is_page || self.has("public/index.html") { server() } else { None };
        let Some(server) = &self.server else {
            return refused(
                "there is no `server.js` at its top, so nothing would answer: pack the folder that has it (or an \
                 `index.html`, for pages that need no server)"
                    .to_owned(),
            );
        };
        self.bounds.check(self.files.len() as u64 + 1, server.len() as u64)?;
        if is_page {
            for placed in self.files.values_mut() {
                placed.path.insert_str(0, "public/");
            }
        }
        Ok(())
    }

    fn check_names(&self, folders: &BTreeSet<String>) -> Result<(), HistoryError> {
        let mut names = Names::default();
        let server = self.server.is_some().then_some(SERVER);
        for path in self.files.values().map(|placed| &*placed.path).chain(server) {
            check_name(path).and_then(|()| names.add(path)).map_err(HistoryError::Unpublishable)?;
        }
        // A folder that is empty is left out, and still is no file.
        let clash = folders.iter().find(|folder| self.files.contains_key(*folder));
        clash.map_or(Ok(()), |folder| refused(format!("`{}` is a file and a folder: pack it anew", Shown::new(folder))))
    }

    /// What it will be as a version that is taken now.
    pub(super) fn found(&self, at: Timestamp) -> CodeFound {
        let server = self.server.as_deref().map_or(0, |server| server.len() as u64);
        let files = self.files.len() as u64 + u64::from(self.server.is_some());
        CodeFound { at, files, bytes: self.files.values().map(|placed| placed.size).sum::<u64>() + server }
    }

    /// The same files at the same moment are the same version.
    pub(super) fn version(&self, at: Timestamp) -> VersionId {
        let mut digest = DigestOf::default();
        digest.field(b"an archive");
        digest.field(&at.0.to_le_bytes());
        for placed in self.files.values() {
            digest.field(placed.path.as_bytes());
            digest.field(&placed.size.to_le_bytes());
        }
        VersionId::of(&digest.finish())
    }

    /// Writes the commit `to`, behind `parent`. Blocks the thread.
    pub(super) fn stream(
        mut self,
        (to, parent): (&str, Option<&str>),
        note: &Note,
        at: Timestamp,
        out: File,
    ) -> Result<(), HistoryError> {
        let mut out = io::BufWriter::with_capacity(64 << 10, out);
        let (text, seconds, by) =
            (message(note, &self.found(at)), at.0.div_euclid(1000), super::import::one_line(&note.by));
        let pipe = |_: io::Error| HistoryError::Pipe;
        write!(out, "feature done\ncommit {to}\ncommitter {by} <> {seconds} +0000\ndata {}\n{text}\n", text.len())
            .map_err(pipe)?;
        if let Some(parent) = parent {
            writeln!(out, "from {parent}").map_err(pipe)?;
        }
        out.write_all(b"deleteall\n").map_err(pipe)?;
        if let Some(server) = &self.server {
            write_file(&mut out, "100644", SERVER, server.len() as u64, &mut &server[..])?;
        }
        let files = &self.files;
        each(&mut self.file, self.bounds, &mut |Entry { path, kind }, content| {
            let Some(placed) = files.get(&path) else { return Ok(()) };
            let mode = match kind {
                Kind::Folder => return Ok(()),
                Kind::File { program: false } => "100644",
                Kind::File { program: true } => "100755",
                Kind::Link => "120000",
            };
            write_file(&mut out, mode, &placed.path, placed.size, content)
        })?;
        out.write_all(b"done\n").and_then(|()| out.flush()).map_err(pipe)
    }
}

fn write_file(
    out: &mut impl io::Write,
    mode: &str,
    path: &str,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), HistoryError> {
    let mut write = || -> io::Result<u64> {
        write!(out, "M {mode} inline ")?;
        write_path(out, Path::new(path))?;
        write!(out, "\ndata {size}\n")?;
        let copied = io::copy(&mut content.take(size), out)?;
        out.write_all(b"\n")?;
        Ok(copied)
    };
    match write() {
        Ok(copied) if copied == size => Ok(()),
        Ok(_) | Err(_) => Err(HistoryError::Pipe),
    }
}

/// Every entry in its order, in whichever way it is packed.
fn each(file: &mut File, bounds: Bounds, visit: Visit<'_>) -> Result<(), HistoryError> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    io::Read::by_ref(file).take(BLOCK).read_to_end(&mut head).map_err(unreadable)?;
    let magic = head.get(MAGIC..).unwrap_or_default();
    match &head[..] {
        [] => refused("it is empty: send a zip, or a tar, of the site's folder".to_owned()),
        [b'P', b'K', 3, 4, ..] => zip::each(file, bounds, visit),
        [0x1f, 0x8b, ..] => tar::each(file, tar::Packed::Gzip, bounds, visit),
        _ if magic.starts_with(b"ustar") => tar::each(file, tar::Packed::Plain, bounds, visit),
        _ => refused("it is no zip and no tar: send one of the site's folder".to_owned()),
    }
}

/// That a link leads to a place inside, whatever other links there are: up first, and down then.
fn check_link(path: &str, target: &[u8]) -> Result<(), HistoryError> {
    let depth = path.split('/').count() - 1;
    let inside = std::str::from_utf8(target).is_ok_and(|target| {
        let ups = target.split('/').take_while(|part| *part == "..").count();
        let down: Vec<&str> = target.split('/').skip(ups).collect();
        ups <= depth && (down.is_empty() || check_name(&down.join("/")).is_ok())
    });
    if inside {
        return Ok(());
    }
    refused(format!(
        "`{}` is a link that leads out of the site: put the file itself there, or leave the link out",
        Shown::new(path)
    ))
}

pub(super) fn refused<T>(why: String) -> Result<T, HistoryError> {
    Err(HistoryError::Unpublishable(why))
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> HistoryError {
    HistoryError::Unpublishable(format!(
        "it cannot be unpacked ({}): send a zip, or a tar, of the site's folder",
        crate::model::shown::message(&error.to_string())
    ))
}
