//! The folder of an app's backups: what lies in it, and how something comes and goes.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::OFlags;

use super::{Backup, BackupId, Proof, Why};
use crate::folders::nofollow::{self, Kind};
use crate::folders::stop::{At as _, Outcome};
use crate::folders::write_atomic;
use crate::model::AppKey;

const ENDING: &str = ".tar.zst";
const PROOF: &str = ".proof.json";
const PART: &str = ".part";
/// What people have written is nobody else's business.
const MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Larger than any that we write.
const MOST_PROOF: u64 = 64 << 10;

/// Of one app.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) root: PathBuf,
    pub(super) key: AppKey,
}

/// One that is being made.
pub(super) struct Part {
    folder: Dir,
    pub(super) file: File,
    name: String,
    path: PathBuf,
}

impl Shelf {
    pub(super) fn path(&self) -> PathBuf {
        self.root.join(self.key.user.as_str()).join(self.key.app.as_str())
    }

    fn find(&self) -> Outcome<Option<Dir>> {
        let path = self.path();
        let mut folder = match Dir::open_ambient_dir(&self.root, ambient_authority()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            folder => folder.at("open", &self.root)?,
        };
        for name in [self.key.user.as_str(), self.key.app.as_str()] {
            folder = match nofollow::open_dir(&folder, name) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                folder => folder.at("open", &path)?,
            };
        }
        Ok(Some(folder))
    }

    fn find_or_make(&self) -> Outcome<Dir> {
        let path = self.path();
        let mut folder = Dir::open_ambient_dir(&self.root, ambient_authority()).at("open", &self.root)?;
        for name in [self.key.user.as_str(), self.key.app.as_str()] {
            let made = match nofollow::make_dir(&folder, name, MODE) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => nofollow::open_dir(&folder, name),
                made => made,
            };
            folder = made.at("make", &path)?;
        }
        Ok(folder)
    }

    /// Newest first. What is not named as a backup is none of ours.
    pub(super) fn list(&self) -> Outcome<Vec<Backup>> {
        let Some(folder) = self.find()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in folder.entries().at("list", self.path())? {
            let name = entry.at("list", self.path())?.file_name();
            let Some((id, why)) = name.to_str().and_then(read_name) else { continue };
            let Some(stat) = nofollow::stat(&folder, &name).at("look at", self.path())? else { continue };
            if Kind::of(&stat) == Kind::File
                && let Some(at) = id.at()
            {
                let proof = read_proof(&folder, &id);
                found.push(Backup { at, why, bytes: u64::try_from(stat.st_size).unwrap_or(0), proof, id });
            }
        }
        found.sort_by(|one, other| other.id.cmp(&one.id));
        Ok(found)
    }

    /// `None`: there is no such backup.
    pub(super) fn open(&self, id: &BackupId) -> Outcome<Option<File>> {
        let Some(folder) = self.find()? else { return Ok(None) };
        for why in Why::ALL {
            match nofollow::open_file(&folder, name(id, why), OFlags::RDONLY, 0) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                file => return file.at("open", self.path()).map(Some),
            }
        }
        Ok(None)
    }

    /// Begins one, and removes what a crash has left of others.
    pub(super) fn begin(&self, id: &BackupId, why: Why) -> Outcome<Part> {
        let folder = self.find_or_make()?;
        for entry in folder.entries().at("list", self.path())? {
            let name = entry.at("list", self.path())?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(PART)) {
                folder.remove_file(&name).at("remove half-made", self.path().join(&name))?;
            }
        }
        let name = name(id, why);
        let path = self.path().join(&name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = nofollow::open_file(&folder, part(&name), flags, FILE_MODE).at("make", &path)?;
        Ok(Part { folder, file, name, path })
    }

    pub(super) fn note(&self, id: &BackupId, proof: &Proof) -> Outcome {
        let Some(folder) = self.find()? else { return Ok(()) };
        let text = serde_json::to_vec_pretty(proof).unwrap_or_default();
        write_atomic(&folder, &format!("{id}{PROOF}"), &text, FILE_MODE).at("write beside", self.path())
    }

    /// First the backup, then what is known of it: a proof of nothing is harmless, and goes with the next.
    pub(super) fn remove(&self, id: &BackupId) -> Outcome {
        let Some(folder) = self.find()? else { return Ok(()) };
        let names = Why::ALL.map(|why| name(id, why)).into_iter().chain([format!("{id}{PROOF}")]);
        for name in names {
            match folder.remove_file(&name) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.at("remove", self.path().join(&name))?,
            }
        }
        nofollow::sync(&folder).at("flush", self.path())
    }
}

impl Part {
    /// Gives it its name. It was flushed and read again before.
    pub(super) fn finish(self) -> Outcome {
        self.folder.rename(part(&self.name), &self.folder, &self.name).at("name", &self.path)?;
        nofollow::sync(&self.folder).at("flush", &self.path)
    }

    /// After a failure; a crash leaves it to the next one.
    pub(super) fn give_up(self) {
        let _ = self.folder.remove_file(part(&self.name));
    }
}

fn name(id: &BackupId, why: Why) -> String {
    format!("{id}-{}{ENDING}", why.word())
}

fn part(name: &str) -> String {
    format!(".{name}{PART}")
}

fn read_name(name: &str) -> Option<(BackupId, Why)> {
    let (id, why) = name.strip_suffix(ENDING)?.split_once('-')?;
    Some((BackupId::parse(id)?, Why::ALL.into_iter().find(|known| known.word() == why)?))
}

fn read_proof(folder: &Dir, id: &BackupId) -> Option<Proof> {
    let file = nofollow::open_file(folder, format!("{id}{PROOF}"), OFlags::RDONLY, 0).ok()?;
    let mut text = Vec::new();
    file.take(MOST_PROOF).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// An empty folder that goes with this value, below one that others can pass through and look at nothing in.
pub(super) struct Scratch {
    root: Dir,
    name: String,
    pub(super) folder: Dir,
}

impl Scratch {
    pub(super) fn make(root: &Path, name: String) -> Outcome<Self> {
        let root_dir = Dir::open_ambient_dir(root, ambient_authority()).at("open", root)?;
        let path = root.join(&name);
        match root_dir.remove_dir_all(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.at("clear", &path)?,
        }
        let folder = nofollow::make_dir(&root_dir, &name, MODE).at("make", &path)?;
        Ok(Self { root: root_dir, name, folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is cleared by the next.
        let _ = self.root.remove_dir_all(&self.name);
    }
}
