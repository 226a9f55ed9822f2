//! Moving an app's parts to `trash/`, and back from it. Nothing is deleted here.
//!
//! One call makes one entry `trash/{time}-{userid}-{appname}-{what}-{number}/` with what was moved and a `trash.json`
//! that says what it is.
//!
//! # Crash
//! Every step is one rename within one filesystem. After a crash the next call moves what is left into an entry of its
//! own, so nothing is lost and at worst one app's parts lie in two entries.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{OFlags, RenameFlags};
use serde::{Deserialize, Serialize};

use super::atomic;
use super::code;
use super::data::DATA;
use super::nofollow::{self, Kind};
use super::place::{Place, in_the_way};
use super::stop::{At, Checkpoints, Outcome, Stop, refuse};
use super::swap::{self, Swap};
use crate::model::{AppKey, Shown, TemplateId, Timestamp};

pub(super) const NOTE: &str = "trash.json";
/// Larger than any that we write.
const MAX_NOTE: u64 = 64 << 10;
/// Appended to the name of a file of the app that is called like our note.
const OF_APP: &str = ".of-app";
/// Trash may hold data: nobody else looks into it.
const MODE: u32 = 0o700;
/// More entries of one app within one second than could ever be.
const MAX_NUMBER: u32 = 9_999;

/// Which part of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Everything but `data/`.
    Code,
    Data,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Data => "data",
        }
    }
}

/// What `trash.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrashNote {
    pub app: AppKey,
    pub what: Part,
    pub at: Timestamp,
    /// Where it was.
    pub from: PathBuf,
    /// Of code: the template that its app named. `None`: nobody knew it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    /// Somebody made the app anew and did not want it back: it comes back by request only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passed_over: bool,
    /// Of data that a restore put here, or that one was to bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl TrashNote {
    /// Whether an app that is made again of this template begins with it.
    #[must_use]
    pub fn is_code_of(&self, app: &AppKey, template: &TemplateId) -> bool {
        self.what == Part::Code && self.app == *app && self.template.as_ref() == Some(template) && !self.passed_over
    }
}

/// What is moved there.
pub(super) struct Discarded<'a> {
    pub(super) part: Part,
    pub(super) template: Option<&'a TemplateId>,
    pub(super) at: Timestamp,
}

/// Moves a part of the app to trash and removes its folders as far as they are empty. Nothing there = done.
pub(super) fn discard(place: &Place, trash: &Path, what: &Discarded<'_>, checkpoints: &Checkpoints) -> Outcome {
    let part = what.part;
    let Some(app) = place.find()? else {
        // A crash may have come between the removal of the app's empty folder and that of its user's.
        return place.remove_if_empty(checkpoints);
    };
    let app_path = place.path();
    if part == Part::Code {
        code::remove_leftovers(&app, &app_path, code::CODE)?;
        checkpoints.reach("half-made code removed")?;
        // What waits for an app that is not to run any more is an entry of its own.
        swap::put_aside(&app, &app_path, trash, checkpoints)?;
    }
    let names = names_of(&app, &app_path, part)?;
    if !names.is_empty() {
        let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
        let note = TrashNote {
            app: place.key.clone(),
            what: part,
            at: what.at,
            from: app_path.clone(),
            template: what.template.cloned(),
            passed_over: false,
            swap: None,
        };
        let entry = make_entry(&root, trash, &note, checkpoints)?;
        let moved = move_all(&app, &app_path, &names, &entry, checkpoints);
        if let Err(Stop::Failed(_)) = &moved {
            remove_unused(&root, &entry);
        }
        moved?;
    }
    place.remove_if_empty(checkpoints)
}

/// One entry of the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trashed {
    /// Name of its folder.
    pub entry: String,
    #[serde(flatten)]
    pub note: TrashNote,
}

/// How something came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Its place was empty.
    Moved,
    /// What was there lies in the trash entry now.
    Exchanged,
}

/// What can be brought back, oldest first. An entry that does not say what it is, is none of ours.
pub(super) fn list(trash: &Path) -> Outcome<Vec<Trashed>> {
    let root = match Dir::open_ambient_dir(trash, ambient_authority()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        root => root.at("open", trash)?,
    };
    let mut found = Vec::new();
    for entry in root.entries().at("list", trash)? {
        let name = entry.at("list", trash)?.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let Ok(dir) = nofollow::open_dir(&root, name) else { continue };
        if let Some(note) = read_note(&dir)
            && let Ok(Some(stat)) = nofollow::stat(&dir, main_folder(note.what))
            && Kind::of(&stat) == Kind::Folder
        {
            found.push(Trashed { entry: name.to_owned(), note });
        }
    }
    // Their names begin with the time.
    found.sort_by(|one, other| one.entry.cmp(&other.entry));
    Ok(found)
}

/// The newest code of this app and template that may come back by itself, and when it came here.
pub(super) fn open_code(
    trash: &Path,
    app: &AppKey,
    template: &TemplateId,
) -> Outcome<Option<(Dir, PathBuf, Timestamp)>> {
    let Some(found) = list(trash)?.into_iter().rfind(|trashed| trashed.note.is_code_of(app, template)) else {
        return Ok(None);
    };
    let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
    let path = trash.join(&found.entry).join(code::CODE);
    let dir = nofollow::open_dir(&root, &found.entry).and_then(|entry| nofollow::open_dir(&entry, code::CODE));
    Ok(Some((dir.at("open", &path)?, path, found.note.at)))
}

/// Notes of all code of the app that it does not come back by itself.
///
/// # Crash
/// Each note is written anew in one step; those that were not reached still come back.
pub(super) fn pass_over(trash: &Path, app: &AppKey, checkpoints: &Checkpoints) -> Outcome {
    let of_app = |trashed: &Trashed| trashed.note.app == *app && trashed.note.what == Part::Code;
    for trashed in list(trash)?.into_iter().filter(|trashed| of_app(trashed) && !trashed.note.passed_over) {
        let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
        let path = trash.join(&trashed.entry);
        let dir = nofollow::open_dir(&root, &trashed.entry).at("open", &path)?;
        let text = note_text(&TrashNote { passed_over: true, ..trashed.note })?;
        let how = (0o600, atomic::Flush::Yes);
        atomic::replace(&dir, NOTE, text.as_bytes(), how, &path.join(NOTE), checkpoints)?;
    }
    Ok(())
}

pub(super) fn note_text(note: &TrashNote) -> Outcome<String> {
    serde_json::to_string_pretty(note).map_err(|error| refuse(format!("cannot write {NOTE}: {error}")))
}

/// What an entry is about: the rest of it is written anew by the daemon.
fn main_folder(part: Part) -> &'static str {
    match part {
        Part::Code => code::CODE,
        Part::Data => DATA,
    }
}

pub(super) fn read_note(dir: &Dir) -> Option<TrashNote> {
    let file = nofollow::open_file(dir, NOTE, OFlags::RDONLY, 0).ok()?;
    let mut text = Vec::new();
    file.take(MAX_NOTE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Brings `app/` or `data/` of an entry back to its place. What is there by now takes its place in the entry, in one step.
///
/// # Assumptions
/// Nothing runs on the app's folders: a container would go on with those that it has mounted.
pub(super) fn restore(place: &Place, trash: &Path, trashed: &Trashed, checkpoints: &Checkpoints) -> Outcome<Restored> {
    let root = Dir::open_ambient_dir(trash, ambient_authority()).at("open", trash)?;
    let path = trash.join(&trashed.entry);
    let dir = nofollow::open_dir(&root, &trashed.entry).at("open", &path)?;
    let name = main_folder(trashed.note.what);
    match nofollow::stat(&dir, name).at("look at", path.join(name))? {
        Some(stat) if Kind::of(&stat) == Kind::Folder => {}
        _ => return Err(refuse(format!("{} has no folder {name}: choose another entry", Shown::path(&path)))),
    }
    let app = place.find_or_make(checkpoints)?;
    let target = place.path().join(name);
    let restored = match nofollow::stat(&app, name).at("look at", &target)? {
        None => {
            dir.rename(name, &app, name).at("bring back", &target)?;
            Restored::Moved
        }
        Some(stat) if Kind::of(&stat) == Kind::Folder => {
            rustix::fs::renameat_with(&dir, name, &app, name, RenameFlags::EXCHANGE).at("bring back", &target)?;
            Restored::Exchanged
        }
        Some(stat) => return Err(in_the_way(&target, Kind::of(&stat))),
    };
    checkpoints.reach("brought back from trash")?;
    nofollow::sync(&app).at("flush", place.path())?;
    nofollow::sync(&dir).at("flush", &path)?;
    if restored == Restored::Moved {
        remove_unused(&root, &TrashEntry { dir, name: trashed.entry.clone(), path });
    }
    Ok(restored)
}

struct TrashEntry {
    dir: Dir,
    name: String,
    path: PathBuf,
}

/// What is to be moved, in a stable order.
fn names_of(app: &Dir, app_path: &Path, part: Part) -> Outcome<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in app.entries().at("list", app_path)? {
        let name = entry.at("list", app_path)?.file_name();
        let is_data = name == OsStr::new(DATA);
        if is_data == (part == Part::Data) {
            names.push(name);
        }
    }
    // The code goes last: when a crash comes in between, no version is left that would be taken for newer than what its owner wrote.
    names.sort_by_key(|name| (name == OsStr::new(code::CODE), name.clone()));
    Ok(names)
}

/// An entry with its note. It has a dot name until the note is in it: no entry is without one.
fn make_entry(root: &Dir, root_path: &Path, note: &TrashNote, checkpoints: &Checkpoints) -> Outcome<TrashEntry> {
    let stem = format!("{}-{}", note.app, note.what.word());
    remove_leftovers(root, root_path, &stem)?;
    checkpoints.reach("half-made trash entry removed")?;
    let temp = atomic::temp_name(&stem);
    let dir = nofollow::make_dir(root, &temp, MODE).at("make", root_path.join(&temp))?;
    checkpoints.reach("trash entry made")?;
    let text = note_text(note)?;
    atomic::write_new(&dir, NOTE, text.as_bytes(), 0o600, atomic::Flush::No)
        .at("write", root_path.join(&temp).join(NOTE))?;
    checkpoints.reach("trash note written")?;
    let time = note.at.to_string();
    let time: String = time.chars().take_while(|c| *c != '.').filter(char::is_ascii_alphanumeric).collect();
    for number in 0..=MAX_NUMBER {
        let name = format!("{time}Z-{stem}-{number:04}");
        let path = root_path.join(&name);
        // Not empty once it is there, so the rename cannot replace another entry.
        match root.rename(&temp, root, &name) {
            Ok(()) => {
                checkpoints.reach("trash entry named")?;
                return Ok(TrashEntry { dir, name, path });
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists
                ) => {}
            Err(error) => return Err(error).at("make", path),
        }
    }
    Err(refuse(format!("{} holds {MAX_NUMBER} entries of {stem} of one second; empty it", Shown::path(root_path))))
}

fn move_all(app: &Dir, app_path: &Path, names: &[OsString], entry: &TrashEntry, checkpoints: &Checkpoints) -> Outcome {
    for name in names {
        let mut to = name.clone();
        while to == OsStr::new(NOTE) || (to != *name && names.contains(&to)) {
            to.push(OF_APP);
        }
        app.rename(name, &entry.dir, &to).at("move to trash", app_path.join(name))?;
        checkpoints.reach("one more part moved to trash")?;
    }
    nofollow::sync_filesystem(&entry.dir).at("flush", &entry.path)
}

/// Takes an entry away that nothing could be moved into (the trash is on another filesystem, say).
fn remove_unused(root: &Dir, entry: &TrashEntry) {
    let only_note = entry.dir.entries().is_ok_and(|entries| entries.count() == 1);
    if only_note && entry.dir.remove_file(NOTE).is_ok() {
        let _ = root.remove_dir(&entry.name);
    }
}

/// Entries of this very app and part that a crash left without a name. They hold no more than a note.
fn remove_leftovers(root: &Dir, root_path: &Path, stem: &str) -> Outcome {
    for entry in root.entries().at("list", root_path)? {
        let name = entry.at("list", root_path)?.file_name();
        if name.to_str().is_some_and(|name| atomic::is_temp_name(stem, name)) {
            root.remove_dir_all(&name).at("remove half-made", root_path.join(&name))?;
        }
    }
    Ok(())
}
