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
use crate::model::{AppKey, Digest, InstanceId, Template, TemplateId, Timestamp};

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    modified: Timestamp,
}

#[derive(Debug)]
struct Folder {
    files: BTreeMap<String, File>,
    unreadable: BTreeSet<String>,
    templates: BTreeMap<TemplateId, Result<Template, String>>,
    marker: Option<InstanceId>,
    /// Why the folder cannot be read at all.
    missing: Option<String>,
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
        let file = File { bytes: text.as_ref().to_vec(), modified: self.clock.now() };
        self.change(|folder| {
            folder.files.insert(name.to_owned(), file);
        });
    }

    /// An editor that truncates and writes: only the first bytes are there as yet.
    pub fn put_torn(&self, name: &str, text: &str, bytes: usize) {
        self.put(name, &text.as_bytes()[..bytes.min(text.len())]);
    }

    pub fn remove(&self, name: &str) {
        self.change(|folder| {
            folder.files.remove(name);
        });
    }

    pub fn rename(&self, from: &str, to: &str) {
        self.change(|folder| {
            if let Some(file) = folder.files.remove(from) {
                folder.files.insert(to.to_owned(), file);
            }
        });
    }

    /// `rm apps.d/*`.
    pub fn wipe(&self) {
        self.change(|folder| folder.files.clear());
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().files.get(name).map(|file| file.bytes.clone())
    }

    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// The folder cannot be read, for this reason; `None` brings it back with what it held.
    pub fn set_missing(&self, reason: Option<&str>) {
        self.change(|folder| folder.missing = reason.map(str::to_owned));
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
            None => Completeness::Partial { reason: "the marker file `.minipaas` is missing".to_owned() },
            Some(instance) => Completeness::Complete { instance: instance.clone() },
        };
        let mut files: BTreeMap<AppKey, FileEntry> = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, file) in folder.files.iter().filter(|(name, _)| is_manifest(name)) {
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
                FileEntry { path, digest: Digest::of(&[]), modified: Timestamp(0), parsed }
            } else {
                let parsed = parse(name, &file.bytes);
                FileEntry { path, digest: Digest::of(&file.bytes), modified: file.modified, parsed }
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

impl Manifests for ManifestWorld {
    async fn load(&self) -> Snapshot {
        self.snapshot()
    }
}

fn refusal(file: &str, message: &str) -> Diagnostic {
    Diagnostic { file: file.to_owned(), line: 0, column: 0, message: message.to_owned(), help: None }
}
