//! Data that takes the place of an app's: made beside it, exchanged with it in one atomic step, and what was there goes to the trash.
//!
//! It waits as `.data.next/` in the app's folder, which is a trash entry already: `data/` and the note that says what it is. What of
//! it is in `data/` after an exchange is what was there before, so moving the whole of it to the trash is all that is left to do.
//!
//! # Crash
//! Whether both have changed places is told by the number of the folder that came (its inode), which goes with it: a look at any
//! time finds the old data or the new under the app's name, and knows which. Half-made copies have another name and are removed by
//! the next one.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use super::atomic::{self, Flush};
use super::data::DATA;
use super::disk::DiskFolders;
use super::nofollow::{self, Kind};
use super::place::{Place, in_the_way};
use super::stop::{At, Checkpoints, Outcome, refuse};
use super::trash::{self, NOTE, Part, TrashNote};
use super::{FolderError, Incoming};
use crate::model::{AppKey, Restore, Restored, Shown, Timestamp};

/// Where data waits.
pub(super) const NEXT: &str = ".data.next";
/// Where it is made.
const MAKING: &str = ".data.making";
/// The apps' user passes through, and lists nothing.
const MAKING_MODE: u32 = 0o711;
const NEXT_MODE: u32 = 0o700;
const NOTE_MODE: u32 = 0o600;

/// What a note says of data that waits, or has waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swap {
    #[serde(flatten)]
    pub restore: Restore,
    /// Inode of the folder that comes.
    pub incoming: u64,
}

/// Names a restore, and the entry of the trash that it leaves.
#[must_use]
pub fn restore_of(key: &AppKey, asked: Timestamp, of: Option<Timestamp>) -> Restore {
    let time = asked.to_string();
    let seconds: String = time.chars().take_while(|c| *c != '.').filter(char::is_ascii_alphanumeric).collect();
    let entry = format!("{}Z-{key}-data-r{:03}", seconds.trim_end_matches('Z'), asked.0.rem_euclid(1_000));
    Restore { asked, of, entry }
}

impl DiskFolders {
    /// An empty folder beside the app's data, for what is to take its place. What a crash has left of an earlier one goes.
    ///
    /// # Errors
    /// When the app has no folder, other data waits already, or this disk cannot exchange two folders.
    pub async fn begin_restore(&self, key: &AppKey) -> Result<Dir, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let Some(app) = place.find()? else {
                return Err(refuse(format!("`{}` has no folder yet: start it once", place.key)));
            };
            refuse_second(&app, &place)?;
            same_disk(&app, &place, inner.trash())?;
            let path = place.path().join(MAKING);
            remove_making(&app, &path)?;
            let making = nofollow::make_dir(&app, MAKING, MAKING_MODE).at("make", &path)?;
            let data = nofollow::make_dir(&making, DATA, NEXT_MODE).at("make", path.join(DATA))?;
            can_exchange(&making, &path)?;
            inner.checkpoints.reach("folder for other data made")?;
            Ok(data)
        })
        .await
    }

    /// Removes what was begun.
    ///
    /// # Errors
    /// When it cannot be removed; the next one does it.
    pub async fn drop_restore(&self, key: &AppKey) -> Result<(), FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => remove_making(&app, &place.path().join(MAKING)),
            None => Ok(()),
        })
        .await
    }

    /// Lets what was begun wait for the app to stop: from now on it is wanted.
    ///
    /// # Errors
    /// When it cannot be flushed or named; nothing is wanted then.
    pub async fn commit_restore(&self, key: &AppKey, restore: Restore) -> Result<(), FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            refuse_second(&app, &place)?;
            let path = place.path().join(MAKING);
            let making = nofollow::open_dir(&app, MAKING).at("open", &path)?;
            write_note(&making, &path, &place, restore, &inner.checkpoints)?;
            rustix::fs::fchmod(
                nofollow::open_dir(&app, MAKING).at("open", &path)?,
                rustix::fs::Mode::from_raw_mode(NEXT_MODE),
            )
            .at("change", &path)?;
            nofollow::sync_filesystem(&making).at("flush", &path)?;
            inner.checkpoints.reach("other data flushed")?;
            app.rename(MAKING, &app, NEXT).at("name", place.path().join(NEXT))?;
            inner.checkpoints.reach("other data waits")?;
            nofollow::sync(&app).at("flush", place.path())
        })
        .await
    }

    /// Lets data from the trash wait for the app to stop.
    ///
    /// # Errors
    /// When there is no such entry of this app's data, or other data waits already.
    pub async fn restore_from_trash(&self, key: &AppKey, entry: &str, restore: Restore) -> Result<(), FolderError> {
        let (place, entry) = (self.place(key), entry.to_owned());
        self.blocking(move |inner| {
            let trash_path = inner.trash();
            let root = Dir::open_ambient_dir(trash_path, ambient_authority()).at("open", trash_path)?;
            let path = trash_path.join(&entry);
            let gone =
                || refuse(format!("{} is not in the trash any more: choose a backup instead", Shown::path(&path)));
            let Ok(dir) = nofollow::open_dir(&root, &entry) else { return Err(gone()) };
            let is_of_app = |note: &TrashNote| note.app == place.key && note.what == Part::Data;
            if !trash::read_note(&dir).is_some_and(|note| is_of_app(&note)) {
                return Err(gone());
            }
            let app = place.find_or_make(&inner.checkpoints)?;
            refuse_second(&app, &place)?;
            write_note(&dir, &path, &place, restore, &inner.checkpoints)?;
            root.rename(&entry, &app, NEXT).at("bring back", &path)?;
            inner.checkpoints.reach("data from the trash waits")?;
            nofollow::sync(&app).at("flush", place.path())?;
            nofollow::sync(&root).at("flush", trash_path)
        })
        .await
    }
}

fn refuse_second(app: &Dir, place: &Place) -> Outcome {
    let path = place.path().join(NEXT);
    if nofollow::stat(app, NEXT).at("look at", &path)?.is_none() {
        return Ok(());
    }
    if find(app, &place.path())?.is_some() {
        let key = &place.key;
        return Err(refuse(format!(
            "`{key}` is being restored already: wait until that is done (`paas status {key}`)"
        )));
    }
    // An empty one is what a crash has left.
    match app.remove_dir(NEXT) {
        Ok(()) => Ok(()),
        Err(_) => Err(refuse(format!("{} is in the way: move it away", Shown::path(&path)))),
    }
}

/// What was there could not be moved to the trash otherwise, and the app would wait, stopped.
fn same_disk(app: &Dir, place: &Place, trash: &Path) -> Outcome {
    let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
    let device = |dir: &Dir| rustix::fs::fstat(dir).map(|stat| stat.st_dev);
    if device(app).at("look at", place.path())? == device(&root).at("look at", trash)? {
        return Ok(());
    }
    Err(refuse(format!(
        "{} is on another filesystem than {}: put both on one, then restore again",
        Shown::path(trash),
        Shown::path(&place.path())
    )))
}

/// Tried out before anything is stopped for it.
fn can_exchange(making: &Dir, path: &Path) -> Outcome {
    const PROBE: &str = "probe";
    nofollow::make_dir(making, PROBE, NEXT_MODE).at("make", path.join(PROBE))?;
    // Twice, so that each has its name again.
    for _ in 0..2 {
        if let Err(error) = rustix::fs::renameat_with(making, PROBE, making, DATA, RenameFlags::EXCHANGE) {
            let error = std::io::Error::from(error);
            return Err(refuse(format!(
                "the filesystem of {} cannot exchange two folders in one step ({error}): put the apps on ext4, xfs or btrfs",
                Shown::path(path)
            )));
        }
    }
    making.remove_dir(PROBE).at("remove", path.join(PROBE))
}

fn remove_making(app: &Dir, path: &Path) -> Outcome {
    match app.remove_dir_all(MAKING) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("clear", path),
    }
}

/// The note of an entry whose data is to come.
fn write_note(dir: &Dir, path: &Path, place: &Place, restore: Restore, checkpoints: &Checkpoints) -> Outcome {
    let Some(incoming) = inode(dir, DATA, path)? else {
        return Err(refuse(format!("{} has no data: choose another one", Shown::path(path))));
    };
    let note = TrashNote {
        app: place.key.clone(),
        what: Part::Data,
        at: restore.asked,
        from: place.path(),
        template: None,
        passed_over: false,
        swap: Some(Swap { restore, incoming }),
    };
    let text = trash::note_text(&note)?;
    atomic::replace(dir, NOTE, text.as_bytes(), (NOTE_MODE, Flush::Yes), &path.join(NOTE), checkpoints)
}

/// Of a folder; `None`: there is none of that name.
fn inode(parent: &Dir, name: &str, path: &Path) -> Outcome<Option<u64>> {
    let stat = nofollow::stat(parent, name).at("look at", path.join(name))?;
    Ok(stat.filter(|stat| Kind::of(stat) == Kind::Folder).map(|stat| stat.st_ino))
}

/// What waits, and whether it has changed places. What says nothing of itself is none of ours.
fn find(app: &Dir, app_path: &Path) -> Outcome<Option<(Dir, Incoming)>> {
    let path = app_path.join(NEXT);
    if inode(app, NEXT, app_path)?.is_none() {
        return Ok(None);
    }
    let next = nofollow::open_dir(app, NEXT).at("open", &path)?;
    let Some(Swap { restore, incoming }) = trash::read_note(&next).and_then(|note| note.swap) else { return Ok(None) };
    let swapped = if inode(app, DATA, app_path)? == Some(incoming) {
        true
    } else if inode(&next, DATA, &path)? == Some(incoming) {
        false
    } else {
        return Ok(None);
    };
    Ok(Some((next, Incoming { restore, swapped })))
}

pub(super) fn look(app: &Dir, app_path: &Path) -> Outcome<Option<Incoming>> {
    Ok(find(app, app_path)?.map(|(_, incoming)| incoming))
}

/// What was started before an exchange was so by the clock as well, also within the same millisecond. What is started after it
/// takes longer than that.
#[must_use]
pub fn after(exchange: Timestamp) -> Timestamp {
    Timestamp(exchange.0 + 1)
}

/// Lets what waits and `data/` change places, unless they have.
pub(super) fn exchange(
    place: &Place,
    now: impl FnOnce() -> Timestamp,
    checkpoints: &Checkpoints,
) -> Outcome<Option<Restored>> {
    let Some(app) = place.find()? else { return Ok(None) };
    let app_path = place.path();
    let Some((next, Incoming { restore, swapped })) = find(&app, &app_path)? else { return Ok(None) };
    if !swapped {
        let target = app_path.join(DATA);
        match nofollow::stat(&app, DATA).at("look at", &target)? {
            None => next.rename(DATA, &app, DATA).at("put in place", &target)?,
            Some(stat) if Kind::of(&stat) == Kind::Folder => {
                rustix::fs::renameat_with(&next, DATA, &app, DATA, RenameFlags::EXCHANGE)
                    .at("put in place", &target)?;
            }
            Some(stat) => return Err(in_the_way(&target, Kind::of(&stat))),
        }
        checkpoints.reach("data exchanged")?;
    }
    nofollow::sync(&app).at("flush", &app_path)?;
    nofollow::sync(&next).at("flush", app_path.join(NEXT))?;
    Ok(Some(Restored { restore, at: after(now()) }))
}

/// Moves what was there before to the trash, or what waits and is not wanted any more.
pub(super) fn put_aside(app: &Dir, app_path: &Path, trash: &Path, checkpoints: &Checkpoints) -> Outcome {
    let path = app_path.join(NEXT);
    if inode(app, NEXT, app_path)?.is_none() {
        return Ok(());
    }
    let next = nofollow::open_dir(app, NEXT).at("open", &path)?;
    let Some(Swap { restore, .. }) = trash::read_note(&next).and_then(|note| note.swap) else { return Ok(()) };
    let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
    if inode(&next, DATA, &path)?.is_none() {
        // There was nothing before.
        next.remove_file(NOTE).at("remove", path.join(NOTE))?;
        checkpoints.reach("note of nothing removed")?;
        return app.remove_dir(NEXT).at("remove", &path);
    }
    app.rename(NEXT, &root, &restore.entry).at("move to trash", &path)?;
    checkpoints.reach("data that was there moved to trash")?;
    nofollow::sync(app).at("flush", app_path)?;
    nofollow::sync(&root).at("flush", trash)
}

pub(super) fn finish(place: &Place, trash: &Path, checkpoints: &Checkpoints) -> Outcome {
    let Some(app) = place.find()? else { return Ok(()) };
    match look(&app, &place.path())? {
        Some(incoming) if incoming.swapped => put_aside(&app, &place.path(), trash, checkpoints),
        Some(_) | None => Ok(()),
    }
}
