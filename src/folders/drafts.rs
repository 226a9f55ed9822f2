//! `drafts/PERSON/`: what somebody has changed and not published, beside the code, so that it goes where the app goes.
//!
//! The draft itself is one file. What is uploaded lies beside it under the digest of its bytes, and is there before the draft names it.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::OFlags;

use super::FolderError;
use super::atomic::{self, Flush};
use super::code;
use super::disk::DiskFolders;
use super::nofollow::{self, Kind};
use super::place::{Place, in_the_way};
use super::stop::{At, Checkpoints, Outcome, refuse};
use crate::model::{AppKey, Digest, Shown};

/// Name of the folder of drafts.
const DRAFTS: &str = "drafts";
const DRAFT: &str = "draft.json";

/// What is not published is nobody else's business.
const MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Most people who have a draft of one app at a time.
const MOST_PEOPLE: usize = 32;
/// Larger than any that is written.
const MOST_BYTES: u64 = 16 << 20;

/// Whose draft: a user's number, which never becomes another one's; 0 is the operator on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DraftOf(pub u64);

impl DraftOf {
    fn name(self) -> String {
        self.0.to_string()
    }
}

impl DiskFolders {
    /// What somebody has changed of an app and not published, as it was written; `None`: nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn draft(&self, key: &AppKey, whose: DraftOf) -> Result<Option<Vec<u8>>, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => read(&app, &place.path(), whose),
            None => Ok(None),
        })
        .await
    }

    /// Keeps a draft, flushed, and of what was uploaded for it only what is `kept`. One call at a time for one person. `false`: the app
    /// has no code.
    ///
    /// # Errors
    /// When it cannot be written; the old one is there then.
    pub async fn write_draft(
        &self,
        key: &AppKey,
        whose: DraftOf,
        text: Vec<u8>,
        kept: BTreeSet<Digest>,
    ) -> Result<bool, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let Some(app) = with_code(&place)? else { return Ok(false) };
            write(&app, &place.path(), (whose, &text), &kept, &inner.checkpoints).map(|()| true)
        })
        .await
    }

    /// Keeps what is uploaded for a draft, under the digest of its bytes. `None`: the app has no code.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_upload(
        &self,
        key: &AppKey,
        whose: DraftOf,
        bytes: Vec<u8>,
    ) -> Result<Option<Digest>, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let Some(app) = with_code(&place)? else { return Ok(None) };
            put(&app, &place.path(), whose, &bytes, &inner.checkpoints).map(Some)
        })
        .await
    }

    /// What was uploaded.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn upload(&self, key: &AppKey, whose: DraftOf, digest: &Digest) -> Result<Option<Vec<u8>>, FolderError> {
        let (place, digest) = (self.place(key), digest.clone());
        self.blocking(move |_| match place.find()? {
            Some(app) => upload(&app, &place.path(), whose, &digest),
            None => Ok(None),
        })
        .await
    }

    /// Forgets a draft and all that was uploaded for it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove_draft(&self, key: &AppKey, whose: DraftOf) -> Result<(), FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| match place.find()? {
            Some(app) => remove(&app, &place.path(), whose, &inner.checkpoints),
            None => Ok(()),
        })
        .await
    }

    /// Who has a draft of an app.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn drafts(&self, key: &AppKey) -> Result<Vec<DraftOf>, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => all(&app, &place.path()),
            None => Ok(Vec::new()),
        })
        .await
    }
}

/// The folder of an app that has code: what is left of a deleted one takes no draft.
fn with_code(place: &Place) -> Outcome<Option<Dir>> {
    let Some(app) = place.find()? else { return Ok(None) };
    Ok(code::exists(&app, &place.path().join(code::CODE))?.then_some(app))
}

/// The draft's text.
fn read(app: &Dir, app_path: &Path, whose: DraftOf) -> Outcome<Option<Vec<u8>>> {
    match find(app, app_path, whose)? {
        Some(dir) => read_file(&dir, DRAFT, app_path),
        None => Ok(None),
    }
}

/// Replaces the draft, and then drops what was uploaded and is not `kept`.
///
/// # Crash
/// The draft is the old one or the new one. What is dropped then and what is not is settled by the next call.
fn write(
    app: &Dir,
    app_path: &Path,
    (whose, text): (DraftOf, &[u8]),
    kept: &BTreeSet<Digest>,
    checkpoints: &Checkpoints,
) -> Outcome {
    let dir = find_or_make(app, app_path, whose, checkpoints)?;
    let path = app_path.join(DRAFTS).join(whose.name());
    atomic::replace(&dir, DRAFT, text, (FILE_MODE, Flush::Yes), &path.join(DRAFT), checkpoints)?;
    for entry in dir.entries().at("list", &path)? {
        let name = entry.at("list", &path)?.file_name();
        let is_kept =
            name.to_str().is_some_and(|name| name == DRAFT || kept.iter().any(|digest| digest.as_str() == name));
        if !is_kept {
            dir.remove_file(&name).at("remove", path.join(&name))?;
            checkpoints.reach("an upload dropped")?;
        }
    }
    Ok(())
}

/// Keeps what was uploaded under its digest. The draft names it afterwards.
///
/// # Crash
/// It is there whole or not; one that no draft names goes when the draft is written next.
fn put(app: &Dir, app_path: &Path, whose: DraftOf, bytes: &[u8], checkpoints: &Checkpoints) -> Outcome<Digest> {
    let dir = find_or_make(app, app_path, whose, checkpoints)?;
    let digest = Digest::of(bytes);
    let path = app_path.join(DRAFTS).join(whose.name()).join(digest.as_str());
    if nofollow::stat(&dir, digest.as_str()).at("look at", &path)?.is_none() {
        atomic::replace(&dir, digest.as_str(), bytes, (FILE_MODE, Flush::Yes), &path, checkpoints)?;
    }
    Ok(digest)
}

fn upload(app: &Dir, app_path: &Path, whose: DraftOf, digest: &Digest) -> Outcome<Option<Vec<u8>>> {
    match find(app, app_path, whose)? {
        Some(dir) => read_file(&dir, digest.as_str(), app_path),
        None => Ok(None),
    }
}

/// # Crash
/// There is no draft once the first step is done; what is left goes with the next one or with the app.
fn remove(app: &Dir, app_path: &Path, whose: DraftOf, checkpoints: &Checkpoints) -> Outcome {
    let Some(dir) = find(app, app_path, whose)? else { return Ok(()) };
    let path = app_path.join(DRAFTS);
    match dir.remove_file(DRAFT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.at("remove", path.join(whose.name()))?,
    }
    nofollow::sync(&dir).at("flush", &path)?;
    checkpoints.reach("draft removed")?;
    let drafts = nofollow::open_dir(app, DRAFTS).at("open", &path)?;
    drafts.remove_dir_all(whose.name()).at("remove", path.join(whose.name()))?;
    checkpoints.reach("what the draft had uploaded removed")
}

/// Who has one.
fn all(app: &Dir, app_path: &Path) -> Outcome<Vec<DraftOf>> {
    let path = app_path.join(DRAFTS);
    let Some(drafts) = open(app, DRAFTS, &path)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in drafts.entries().at("list", &path)? {
        let name = entry.at("list", &path)?.file_name();
        let whose = name.to_str().and_then(|name| name.parse().ok()).map(DraftOf);
        if let Some(whose) = whose
            && read(app, app_path, whose)?.is_some()
        {
            found.push(whose);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn find(app: &Dir, app_path: &Path, whose: DraftOf) -> Outcome<Option<Dir>> {
    let path = app_path.join(DRAFTS);
    match open(app, DRAFTS, &path)? {
        Some(drafts) => open(&drafts, &whose.name(), &path.join(whose.name())),
        None => Ok(None),
    }
}

fn open(parent: &Dir, name: &str, path: &Path) -> Outcome<Option<Dir>> {
    match nofollow::stat(parent, name).at("look at", path)? {
        None => Ok(None),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(Some(nofollow::open_dir(parent, name).at("open", path)?)),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}

fn find_or_make(app: &Dir, app_path: &Path, whose: DraftOf, checkpoints: &Checkpoints) -> Outcome<Dir> {
    let path = app_path.join(DRAFTS);
    let drafts = if let Some(drafts) = open(app, DRAFTS, &path)? {
        drafts
    } else {
        let made = nofollow::make_dir(app, DRAFTS, MODE).at("make", &path)?;
        nofollow::sync(app).at("flush", app_path)?;
        checkpoints.reach("folder for drafts made")?;
        made
    };
    let own = path.join(whose.name());
    if let Some(dir) = open(&drafts, &whose.name(), &own)? {
        return Ok(dir);
    }
    if drafts.entries().at("list", &path)?.count() >= MOST_PEOPLE {
        return Err(refuse(format!(
            "{} holds drafts of {MOST_PEOPLE} people: let somebody publish or discard theirs first",
            Shown::path(&path)
        )));
    }
    let made = nofollow::make_dir(&drafts, whose.name(), MODE).at("make", &own)?;
    nofollow::sync(&drafts).at("flush", &path)?;
    checkpoints.reach("folder for a draft made")?;
    Ok(made)
}

fn read_file(dir: &Dir, name: &str, app_path: &Path) -> Outcome<Option<Vec<u8>>> {
    let path = app_path.join(DRAFTS);
    let file = match nofollow::open_file(dir, name, OFlags::RDONLY, 0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.at("read", &path)?,
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).at("read", &path)?;
    Ok(Some(bytes))
}
