//! `app/`: copied from the template once, in one atomic step.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags, Stat};

use super::FolderError;
use super::atomic;
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Checkpoints, Outcome, Stop, refuse};
use super::walk::{Bounds, walk};
use crate::model::{Bytes, Shown, TemplateId};

/// Name of the code folder.
pub(super) const CODE: &str = "app";

/// Most that a template may hold: a generous web app, and still copied within a second on a slow disk.
pub const MAX_TEMPLATE_BYTES: Bytes = Bytes::mib(64);
pub const MAX_TEMPLATE_ENTRIES: u64 = 10_000;
const MAX_TEMPLATE_DEPTH: usize = 32;

/// The app reads its code as another user.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;

/// Something in a template, as it was when it was looked at. Two equal readings mean that nobody changed it in between.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    /// Below the template's `app/`; a folder sorts before what is in it.
    path: PathBuf,
    kind: ItemKind,
    inode: u64,
    /// Seconds and nanoseconds of the last change of content or attributes.
    changed: (i64, i64),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ItemKind {
    Folder,
    File { size: u64, mode: u32 },
}

/// A complete copy of a template under a temporary name.
pub(super) struct Staged {
    temp: String,
}

/// Copies `templates/{id}/app` beside its place in the app's folder, unless `app/` exists. Not flushed.
///
/// # Crash
/// A copy that is not [published](Staged::publish) keeps its dot name and is removed by the next call.
pub(super) fn stage(
    app: &Dir,
    app_path: &Path,
    templates: &Path,
    id: &TemplateId,
    checkpoints: &Checkpoints,
) -> Outcome<Option<Staged>> {
    let target = app_path.join(CODE);
    if exists(app, &target)? {
        return Ok(None);
    }
    remove_leftovers(app, app_path)?;
    checkpoints.reach("half-made code removed")?;

    let source_path = templates.join(id.as_str()).join(CODE);
    let source = open_template(templates, id, &source_path)?;
    let items = scan(&source, &source_path)?;
    let staged = Staged { temp: atomic::temp_name(CODE) };
    let copied = copy(&source, &source_path, &items, app, &staged.temp, &target, checkpoints).and_then(|()| {
        if scan(&source, &source_path)? == items {
            return Ok(());
        }
        let problem = format!("template {} is being changed; it is tried again by itself", Shown::path(&source_path));
        Err(FolderError::Retryable(problem).into())
    });
    match copied {
        Ok(()) => Ok(Some(staged)),
        Err(stop) => Err(staged.give_up(app, stop)),
    }
}

impl Staged {
    /// Makes the copy `app/`. What it consists of must have been flushed: the name may reach the disk before the content
    /// otherwise.
    pub(super) fn publish(self, app: &Dir, app_path: &Path, checkpoints: &Checkpoints) -> Outcome {
        app.rename(&self.temp, app, CODE).at("move new code to", app_path.join(CODE))?;
        checkpoints.reach("code in place")?;
        nofollow::sync(app).at("flush", app_path)
    }

    /// After a real failure the disk may be full: gives the space back. Should that fail too, the next call does it.
    pub(super) fn give_up(&self, app: &Dir, stop: Stop) -> Stop {
        if matches!(stop, Stop::Failed(_)) {
            let _ = app.remove_dir_all(&self.temp);
        }
        stop
    }
}

/// Whether `app/` is there. Anything but a folder is refused.
pub(super) fn exists(app: &Dir, path: &Path) -> Outcome<bool> {
    match nofollow::stat(app, CODE).at("look at", path)? {
        None => Ok(false),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(true),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}

/// Removes copies that a crash left half-made.
pub(super) fn remove_leftovers(app: &Dir, app_path: &Path) -> Outcome {
    for entry in app.entries().at("list", app_path)? {
        let name = entry.at("list", app_path)?.file_name();
        if name.to_str().is_some_and(|name| atomic::is_temp_name(CODE, name)) {
            app.remove_dir_all(&name).at("remove half-made", app_path.join(&name))?;
        }
    }
    Ok(())
}

fn open_template(templates: &Path, id: &TemplateId, path: &Path) -> Outcome<Dir> {
    let refused = |problem: &str| {
        refuse(format!(
            "template `{id}` cannot be used: {} {problem}; put a folder with `server.js` there, or name another template",
            Shown::path(path)
        ))
    };
    let root = Dir::open_ambient_dir(templates, ambient_authority()).at("open", templates)?;
    match nofollow::open_dir(&root, id.as_str()).and_then(|template| nofollow::open_dir(&template, CODE)) {
        Ok(dir) => Ok(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused("does not exist")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(refused("is not a folder, or is reached through a link (links are not followed)"))
        }
        Err(error) => Err(error).at("open", path),
    }
}

/// Everything in the template, parents first.
///
/// # Errors
/// Terminal for links, FIFOs, sockets, devices, and for a template that is too large.
fn scan(source: &Dir, path: &Path) -> Outcome<Vec<Item>> {
    let mut items = Vec::new();
    let mut total: u64 = 0;
    let bounds = Bounds { entries: MAX_TEMPLATE_ENTRIES, depth: MAX_TEMPLATE_DEPTH };
    walk(source, path, bounds, &mut |entry| {
        let kind = match Kind::of(entry.stat) {
            Kind::Folder => ItemKind::Folder,
            Kind::File => {
                let size = size(entry.stat);
                total = total.saturating_add(size);
                ItemKind::File { size, mode: if entry.stat.st_mode & 0o100 == 0 { FILE_MODE } else { PROGRAM_MODE } }
            }
            other @ (Kind::Link | Kind::Special) => {
                return Err(refuse(format!(
                    "template file {} is {}; a template may hold only files and folders: remove it or put a copy there",
                    Shown::path(&path.join(entry.path)),
                    other.describe()
                )));
            }
        };
        if total > MAX_TEMPLATE_BYTES.get() {
            return Err(refuse(format!(
                "template {} holds more than {} MiB; make it smaller",
                Shown::path(path),
                MAX_TEMPLATE_BYTES.get() / Bytes::MIB
            )));
        }
        items.push(Item { path: entry.path.to_owned(), kind, inode: entry.stat.st_ino, changed: changed(entry.stat) });
        Ok(())
    })?;
    items.sort();
    Ok(items)
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[expect(clippy::unnecessary_cast, clippy::cast_possible_wrap, reason = "the fields' types differ between platforms")]
fn changed(stat: &Stat) -> (i64, i64) {
    (stat.st_ctime as i64, stat.st_ctime_nsec as i64)
}

/// Makes `temp` in the app's folder.
fn copy(
    source: &Dir,
    source_path: &Path,
    items: &[Item],
    app: &Dir,
    temp: &str,
    target: &Path,
    checkpoints: &Checkpoints,
) -> Outcome {
    let top = nofollow::make_dir(app, temp, FOLDER_MODE).at("make", target)?;
    checkpoints.reach("folder for new code made")?;
    for item in items {
        let from_path = source_path.join(&item.path);
        let to_path = target.join(&item.path);
        let (to_dir, name) = parent_of(&top, &item.path).at("open", &to_path)?;
        match item.kind {
            ItemKind::Folder => {
                nofollow::make_dir(&to_dir, name, FOLDER_MODE).at("make", &to_path)?;
            }
            ItemKind::File { size, mode } => {
                let (from_dir, _) = parent_of(source, &item.path).at("open", &from_path)?;
                let from = nofollow::open_file(&from_dir, name, OFlags::RDONLY, 0).at("read", &from_path)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let mut to = nofollow::open_file(&to_dir, name, flags, mode).at("make", &to_path)?;
                rustix::fs::fchmod(&to, Mode::from_raw_mode(mode)).at("set the mode of", &to_path)?;
                // No more than was scanned, should the file grow meanwhile; the second scan then notices.
                io::copy(&mut from.take(size), &mut to).at("write", &to_path)?;
            }
        }
        checkpoints.reach("one more piece of code copied")?;
    }
    Ok(())
}

/// The folder an item is in, and its name there.
fn parent_of<'a>(top: &Dir, path: &'a Path) -> io::Result<(Dir, &'a OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => top.open_dir(parent)?,
        _ => top.try_clone()?,
    };
    Ok((parent, name))
}
