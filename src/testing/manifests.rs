//! The manifests folder in memory, with everything that can be wrong with a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::clock::SimClock;
use crate::clock::Clock as _;
use crate::desired::load::is_manifest;
use crate::desired::{Completeness, Diagnostic, FileEntry, Manifests, Snapshot, parse};
use crate::model::status::FileProblem;
use crate::model::{AppKey, Digest, InstanceId, Manifest, Template, TemplateId, Timestamp};

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    modified: Timestamp,
    digest: Digest,
    /// Parsed once when it is written: it is read far more often.
    parsed: Result<Manifest, Diagnostic>,
}

impl File {
    fn new(name: &str, bytes: &[u8], modified: Timestamp) -> Self {
        Self { bytes: bytes.to_vec(), modified, digest: Digest::of(bytes), parsed: parse(name, bytes) }
    }
}

/// What a power loss makes of files that were written and not flushed, as editors leave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unflushed {
    /// They reached the disk in time.
    Kept,
    /// The folder is as it was: neither content nor name reached the disk.
    Lost,
    /// The name did, and half of the content.
    Torn,
}

#[derive(Debug)]
struct Folder {
    files: BTreeMap<String, File>,
    unreadable: BTreeSet<String>,
    templates: BTreeMap<TemplateId, Result<Template, String>>,
    marker: Option<InstanceId>,
    /// Why the folder cannot be read at all.
    missing: Option<String>,
    /// Why its listing broke off, and the files that were listed before it did.
    broken_off: Option<(String, BTreeSet<String>)>,
    /// What was under the names that were written to since the disk was last flushed.
    unflushed: BTreeMap<String, Option<File>>,
}

/// `apps.d/` and `templates/`: they survive the daemon. Cheap to clone.
#[derive(Clone)]
pub struct ManifestWorld {
    folder: Arc<Mutex<Folder>>,
    /// Counts changes, as a watcher would report them.
    changes_tx: Arc<watch::Sender<u64>>,
    clock: SimClock,
}

impl std::fmt::Debug for ManifestWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestWorld").field("folder", &self.lock()).finish_non_exhaustive()
    }
}

impl ManifestWorld {
    /// An empty folder that carries the installation's marker.
    #[must_use]
    pub fn new(instance: InstanceId, clock: SimClock) -> Self {
        let folder = Folder {
            files: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            templates: BTreeMap::new(),
            marker: Some(instance),
            missing: None,
            broken_off: None,
            unflushed: BTreeMap::new(),
        };
        Self { folder: Arc::new(Mutex::new(folder)), changes_tx: Arc::new(watch::Sender::new(0)), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, work: impl FnOnce(&mut Folder)) {
        work(&mut self.lock());
        self.changes_tx.send_modify(|count| *count += 1);
    }

    /// A number that grows with every change: what a file watcher would report.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes_tx.subscribe()
    }

    /// Writes a whole file.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = File::new(name, text.as_ref(), self.clock.now());
        self.change(|folder| folder.set(name, Some(file)));
    }

    /// An editor that truncates and writes: only the first bytes are there as yet.
    pub fn put_torn(&self, name: &str, text: &str, bytes: usize) {
        self.put(name, &text.as_bytes()[..bytes.min(text.len())]);
    }

    pub fn remove(&self, name: &str) {
        self.change(|folder| folder.set(name, None));
    }

    pub fn rename(&self, from: &str, to: &str) {
        self.change(|folder| {
            if let Some(file) = folder.files.get(from).cloned() {
                folder.set(from, None);
                folder.set(to, Some(File::new(to, &file.bytes, file.modified)));
            }
        });
    }

    /// `rm apps.d/*`.
    pub fn wipe(&self) {
        self.change(|folder| {
            for name in folder.files.keys().cloned().collect::<Vec<_>>() {
                folder.set(&name, None);
            }
        });
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().files.get(name).map(|file| file.bytes.clone())
    }

    /// The digest of a file and what it says, when it can be used.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Option<(Digest, Manifest)> {
        let folder = self.lock();
        let file = folder.files.get(name)?;
        Some((file.digest.clone(), file.parsed.clone().ok()?))
    }

    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// The folder cannot be read, for this reason; `None` brings it back with what it held.
    pub fn set_missing(&self, reason: Option<&str>) {
        self.change(|folder| folder.missing = reason.map(str::to_owned));
    }

    /// The listing breaks off, for this reason, after the files named; `None` mends it.
    pub fn set_broken_off(&self, after: Option<(&str, &[&str])>) {
        let broken_off =
            after.map(|(reason, names)| (reason.to_owned(), names.iter().map(|&name| name.into()).collect()));
        self.change(|folder| folder.broken_off = broken_off);
    }

    /// `sync`: a power loss changes nothing that was written so far.
    pub fn flush(&self) {
        self.lock().unflushed.clear();
    }

    /// The power fails. Returns what people had written, by name, for them to write once more.
    pub fn lose_power(&self, fate: Unflushed) -> BTreeMap<String, Option<Vec<u8>>> {
        let now = self.clock.now();
        let mut written = BTreeMap::new();
        let mut folder = self.lock();
        for (name, before) in std::mem::take(&mut folder.unflushed) {
            let Some(after) = folder.files.get(&name).cloned().or_else(|| before.clone()) else { continue };
            let gone = !folder.files.contains_key(&name);
            written.insert(name.clone(), (!gone).then(|| after.bytes.clone()));
            match fate {
                Unflushed::Kept => {}
                Unflushed::Torn if gone => {}
                Unflushed::Torn => {
                    let half = File::new(&name, &after.bytes[..after.bytes.len() / 2], now);
                    folder.files.insert(name, half);
                }
                Unflushed::Lost => match before {
                    Some(file) => drop(folder.files.insert(name, file)),
                    None => drop(folder.files.remove(&name)),
                },
            }
        }
        drop(folder);
        self.changes_tx.send_modify(|count| *count += 1);
        written
    }

    pub fn set_marker(&self, marker: Option<InstanceId>) {
        self.change(|folder| folder.marker = marker);
    }

    pub fn set_unreadable(&self, name: &str, unreadable: bool) {
        self.change(|folder| {
            if unreadable {
                folder.unreadable.insert(name.to_owned());
            } else {
                folder.unreadable.remove(name);
            }
        });
    }

    /// Puts a template there, usable or with the reason why not.
    pub fn put_template(&self, id: TemplateId, template: Result<Template, String>) {
        self.change(|folder| {
            folder.templates.insert(id, template);
        });
    }

    pub fn remove_template(&self, id: &TemplateId) {
        self.change(|folder| {
            folder.templates.remove(id);
        });
    }

    /// What [`Manifests::load`] would say now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let folder = self.lock();
        if let Some(reason) = &folder.missing {
            let completeness = Completeness::Partial { reason: reason.clone() };
            return Snapshot { templates: folder.templates.clone(), completeness, ..Snapshot::unread() };
        }
        let completeness = match &folder.marker {
            _ if folder.broken_off.is_some() => {
                let reason = folder.broken_off.iter().map(|(reason, _)| reason.clone()).collect();
                Completeness::Partial { reason }
            }
            None => Completeness::Partial { reason: "the marker file `.minipaas` is missing".to_owned() },
            Some(instance) => Completeness::Complete { instance: instance.clone() },
        };
        let mut files: BTreeMap<AppKey, FileEntry> = BTreeMap::new();
        let mut problems = Vec::new();
        let listed = |name: &str| folder.broken_off.as_ref().is_none_or(|(_, names)| names.contains(name));
        for (name, file) in folder.files.iter().filter(|(name, _)| is_manifest(name) && listed(name)) {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let key = match AppKey::parse(stem) {
                Ok(key) => key,
                Err(error) => {
                    problems.push(FileProblem { file: name.clone(), message: error.to_string() });
                    continue;
                }
            };
            let path = PathBuf::from("/paas/apps.d").join(name);
            let mut entry = if folder.unreadable.contains(name) {
                let parsed = Err(refusal(name, "the file cannot be read (permission denied)"));
                FileEntry { path, digest: Digest::of(&[]), modified: Timestamp(0), parsed, signed: None }
            } else {
                let File { modified, digest, parsed, .. } = file.clone();
                FileEntry { path, digest, modified, parsed, signed: None }
            };
            if let Some(first) = files.get(&key) {
                let both = format!("{} {}", first.digest, entry.digest);
                entry.digest = Digest::of(both.as_bytes());
                entry.parsed = Err(refusal(name, "another file is about the same app"));
            }
            files.insert(key, entry);
        }
        Snapshot { files, templates: folder.templates.clone(), completeness, problems }
    }
}

impl Folder {
    fn set(&mut self, name: &str, file: Option<File>) {
        let before = match file {
            Some(file) => self.files.insert(name.to_owned(), file),
            None => self.files.remove(name),
        };
        self.unflushed.entry(name.to_owned()).or_insert(before);
    }
}

impl Manifests for ManifestWorld {
    async fn load(&self) -> Snapshot {
        self.snapshot()
    }
}

fn refusal(file: &str, message: &str) -> Diagnostic {
    Diagnostic { file: file.to_owned(), line: 0, column: 0, message: message.to_owned(), help: None }
}
