//! Reads the manifests folder and the templates folder into one [`Snapshot`].
//!
//! # Guarantees
//! - A file that is there has an entry: usable, or with the reason why not. Only a file that is certainly gone has none.
//! - A reading without changes opens no manifest: what a file's status says it is, it was. A file younger than
//!   [`SETTLED_MS`] is always read, because within one tick of the file system's clock a change leaves no trace.
//! - Nothing that is not a plain file is opened, and no link is followed out of the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;

use super::parse::{self, MAX_BYTES};
use super::signature::signed;
use super::snapshot::{Completeness, Diagnostic, FileEntry, Manifests, Snapshot};
use super::{marker, templates};
use crate::model::status::FileProblem;
use crate::model::{AppKey, Digest, Manifest, Shown, Timestamp};

/// A file changed within this time may change again without its status showing it.
const SETTLED_MS: i64 = 2000;

/// Tells the time of day.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The real folders.
#[derive(Clone)]
pub struct ManifestFolder {
    manifests_dir: PathBuf,
    templates_dir: PathBuf,
    now: Now,
    cache: Arc<Mutex<Cache>>,
}

impl std::fmt::Debug for ManifestFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestFolder").field("manifests_dir", &self.manifests_dir).finish_non_exhaustive()
    }
}

type Cache = BTreeMap<String, (Stamp, FileEntry)>;

/// What of a file's status changes with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Old enough for a later change to be certain to show. A time in the future proves nothing.
    fn settled(&self, now: Timestamp) -> bool {
        let newest = milliseconds(self.modified).max(milliseconds(self.changed));
        now.0 - newest >= SETTLED_MS
    }
}

fn milliseconds((seconds, nanoseconds): (i64, i64)) -> i64 {
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

impl ManifestFolder {
    pub fn new(manifests_dir: PathBuf, templates_dir: PathBuf, now: Now) -> Self {
        Self { manifests_dir, templates_dir, now, cache: Arc::default() }
    }

    /// One file by its name, as a reading of the whole folder finds it, but without comparing it with the others. `None` when it
    /// is gone. Blocks, and remembers nothing.
    pub fn load_one(&self, name: &str) -> Option<FileEntry> {
        let (old, new) = (Cache::new(), Cache::new());
        let now = (self.now)();
        let reading =
            &mut Reading { folder: &self.manifests_dir, now, old, new, files: BTreeMap::new(), problems: Vec::new() };
        reading.entry(name).map(|(_, entry)| entry)
    }

    /// Like [`Manifests::load`], on the calling thread, which it blocks.
    pub fn load_blocking(&self) -> Snapshot {
        // One reading at a time; after a panic in the middle the cache still holds only finished entries.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = Reading {
            folder: &self.manifests_dir,
            now: (self.now)(),
            old: std::mem::take(&mut *cache),
            new: Cache::new(),
            files: BTreeMap::new(),
            problems: Vec::new(),
        };
        let completeness = match reading.everything() {
            // The marker is read last: a disk that is unmounted meanwhile takes it along.
            Ok(()) => match marker::read(&self.manifests_dir) {
                Ok(instance) => Completeness::Complete { instance },
                Err(error) => Completeness::Partial { reason: unmarked(&self.manifests_dir, &error) },
            },
            Err(reason) => Completeness::Partial { reason },
        };
        *cache = reading.new;
        // An unreadable templates folder makes every template missing; apps that run keep running (last good).
        let templates = templates::load(&self.templates_dir).unwrap_or_else(|error| {
            let folder = Shown::path(&self.templates_dir);
            tracing::warn!(%error, %folder, "the templates folder cannot be read");
            BTreeMap::new()
        });
        Snapshot { files: reading.files, templates, completeness, problems: reading.problems }
    }
}

/// Why a folder that was listed has no usable marker. It may have gone since it was listed; then its marker is not what is
/// missing.
fn unmarked(folder: &Path, error: &marker::MarkerError) -> String {
    match fs::read_dir(folder) {
        Ok(_) => format!("the manifests folder {}", chain(error)),
        Err(error) => unlisted(folder, &error),
    }
}

/// Why a folder cannot be listed.
fn unlisted(folder: &Path, error: &io::Error) -> String {
    let folder = Shown::path(folder);
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the manifests folder {folder} does not exist: mount its disk, or create it and run `paas init`")
        }
        io::ErrorKind::NotADirectory => {
            format!("the manifests folder {folder} is not a folder: move that file away and run `paas init`")
        }
        _ => format!("the manifests folder {folder} cannot be read ({error}): check its permissions and the disk"),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text} ({source})"))
}

impl Manifests for ManifestFolder {
    async fn load(&self) -> Snapshot {
        let folder = self.clone();
        tokio::task::spawn_blocking(move || folder.load_blocking()).await.unwrap_or_else(|error| {
            let reason = format!("reading the manifests folder failed inside the program: {error}");
            Snapshot { completeness: Completeness::Partial { reason }, ..Snapshot::unread() }
        })
    }
}

struct Reading<'a> {
    folder: &'a Path,
    now: Timestamp,
    old: Cache,
    new: Cache,
    files: BTreeMap<AppKey, FileEntry>,
    problems: Vec<FileProblem>,
}

impl Reading<'_> {
    /// `Err` when some of the folder may be out of sight.
    fn everything(&mut self) -> Result<(), String> {
        let cannot = |error: io::Error| unlisted(self.folder, &error);
        let mut names = BTreeSet::new();
        let mut outcome = Ok(());
        for entry in fs::read_dir(self.folder).map_err(cannot)? {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                // What was listed so far is still worth reading: repairs go on.
                Err(error) => {
                    outcome = Err(cannot(error));
                    break;
                }
            };
            match name.to_str() {
                Some(name) if is_manifest(name) => {
                    names.insert(name.to_owned());
                }
                Some(_) => {}
                None => self.odd_name(&name.to_string_lossy()),
            }
        }
        for name in names {
            self.file(name);
        }
        outcome
    }

    fn odd_name(&mut self, name: &str) {
        if is_manifest(name) {
            let message = "the file name is not UTF-8: rename it to `userid-appname.yaml`".to_owned();
            self.problems.push(FileProblem { file: Shown::new(name).to_string(), message });
        }
    }

    fn file(&mut self, name: String) {
        let key = match AppKey::parse(stem(&name).unwrap_or(&name)) {
            Ok(key) => key,
            Err(error) => {
                let file = Shown::new(&name).to_string();
                return self.problems.push(FileProblem { file, message: error.to_string() });
            }
        };
        let Some((stamp, entry)) = self.entry(&name) else { return };
        if let Some(stamp) = stamp {
            self.new.insert(name.clone(), (stamp, entry.clone()));
        }
        // Names come sorted, so `.yaml` was there first.
        let entry = match self.files.get(&key) {
            None => entry,
            Some(first) => {
                let diagnostic = Diagnostic {
                    file: name,
                    line: 0,
                    column: 0,
                    message: format!("`{}` is about the same app", file_name(&first.path)),
                    help: Some("keep one of the two files".to_owned()),
                };
                let both = format!("{} {}", first.digest, entry.digest);
                FileEntry { digest: Digest::of(both.as_bytes()), parsed: Err(diagnostic), ..entry }
            }
        };
        self.files.insert(key, entry);
    }

    /// `None` if the file is gone. The stamp is there if the entry holds for as long as the file looks the same.
    fn entry(&mut self, name: &str) -> Option<(Option<Stamp>, FileEntry)> {
        let path = self.folder.join(name);
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) => return unreadable(name, path, &error).map(|entry| (None, entry)),
        };
        let stamp = Stamp::of(&metadata);
        if let Some((old, entry)) = self.old.remove(name)
            && old == stamp
        {
            return Some((Some(stamp), entry));
        }
        if metadata.is_symlink() {
            // Never remembered: the link's own status says nothing about the file it leads to.
            return self.linked(name, path).map(|entry| (None, entry));
        }
        let (read_stamp, entry) = read(name, &path, path.clone())?;
        Some((read_stamp.filter(|stamp| stamp.settled(self.now)), entry))
    }

    fn linked(&self, name: &str, path: PathBuf) -> Option<FileEntry> {
        let target = self.folder.canonicalize().and_then(|folder| Ok((folder, path.canonicalize()?)));
        match target {
            Ok((folder, target)) if target.parent() == Some(&folder) => {
                read(name, &target, path).map(|(_, entry)| entry)
            }
            Ok(_) => {
                Some(held(name, path, "is a symbolic link that leads out of the folder", "put a copy of the file here"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() => {
                Some(held(name, path, "is a symbolic link to nothing", "remove it, or put the file here"))
            }
            Err(error) => unreadable(name, path, &error),
        }
    }
}

/// Opens, checks and parses one file. The stamp is that of the very file that was read, and `None` when it changed
/// meanwhile or could not be read.
fn read(name: &str, target: &Path, path: PathBuf) -> Option<(Option<Stamp>, FileEntry)> {
    // NOFOLLOW: it was no link a moment ago. NONBLOCK: opening a pipe would wait for ever for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let before = match target.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) => return unreadable(name, path, &error).map(|entry| (None, entry)),
    };
    if !before.is_file() {
        let entry = held(name, path, "is not a plain file", "move it away and write the manifest as a file");
        return Some((None, entry));
    }
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(target);
    let mut bytes = Vec::new();
    let outcome = opened.and_then(|file| {
        let opened = file.metadata()?;
        (&file).take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        let signed = signed(&file, name, &digest);
        Ok((opened, file.metadata()?, digest, signed))
    });
    match outcome {
        Ok((opened, after, digest, signed)) => {
            let (start, end) = (Stamp::of(&opened), Stamp::of(&after));
            let entry = FileEntry {
                path,
                digest,
                modified: Timestamp(milliseconds(end.modified)),
                parsed: parse::parse(name, &bytes),
                signed,
            };
            Some(((start == end).then_some(end), entry))
        }
        Err(error) => unreadable(name, path, &error).map(|entry| (None, entry)),
    }
}

/// `None` if the file vanished since it was listed.
fn unreadable(name: &str, path: PathBuf, error: &io::Error) -> Option<FileEntry> {
    if error.kind() == io::ErrorKind::NotFound {
        return None;
    }
    Some(held(
        name,
        path,
        &format!("cannot be read ({error})"),
        "make it readable for the daemon's user, check the disk",
    ))
}

fn held(name: &str, path: PathBuf, problem: &str, help: &str) -> FileEntry {
    let parsed: Result<Manifest, Diagnostic> = Err(Diagnostic {
        file: name.to_owned(),
        line: 0,
        column: 0,
        message: format!("the file {problem}"),
        help: Some(help.to_owned()),
    });
    FileEntry { path, digest: Digest::of(&[]), modified: Timestamp(0), parsed, signed: None }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Editors' and our own temporary files are none, and neither is anything else that does not end in `.yaml` or `.yml`.
#[must_use]
pub fn is_manifest(name: &str) -> bool {
    !name.starts_with('.') && stem(name).is_some()
}

fn stem(name: &str) -> Option<&str> {
    name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))
}

#[cfg(test)]
mod tests;
