//! Visiting everything below a folder, with bounded memory, open files and work, links never followed.
//!
//! A tree that an app has written may be hostile: it is changed while it is walked, nested without end, full of links.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::nofollow::{self, Kind};
use super::stop::{At, Outcome, refuse};
use crate::model::Shown;

/// How much of a tree is looked at before giving up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) entries: u64,
    /// Levels of folders; each costs one open file.
    pub(crate) depth: usize,
}

/// One entry met on the way.
pub(crate) struct Entry<'a> {
    pub(crate) parent: BorrowedFd<'a>,
    pub(crate) name: &'a CStr,
    /// Below the top.
    pub(crate) path: &'a Path,
    pub(crate) stat: &'a Stat,
}

/// Calls `visit` for every entry below `top`, parents before what is in them. Other filesystems mounted below are
/// not entered. `path` names the top in messages.
///
/// # Errors
/// Terminal beyond the bounds; what vanishes meanwhile is no error.
pub(crate) fn walk(top: &Dir, path: &Path, bounds: Bounds, visit: &mut dyn FnMut(&Entry<'_>) -> Outcome) -> Outcome {
    let device = rustix::fs::fstat(top).at("look at", path)?.st_dev;
    let mut open = vec![rustix::fs::Dir::read_from(top).at("list", path)?];
    let mut below = PathBuf::new();
    let mut seen: u64 = 0;
    loop {
        let depth = open.len();
        let Some(dir) = open.last_mut() else {
            return Ok(());
        };
        let Some(entry) = dir.read() else {
            open.pop();
            below.pop();
            continue;
        };
        let entry = entry.at("list", path.join(&below))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        seen += 1;
        if seen > bounds.entries {
            return Err(refuse(format!(
                "{} holds more than {} files and folders; remove some",
                Shown::path(path),
                bounds.entries
            )));
        }
        below.push(nofollow::os(name));
        let fd = dir.fd().at("list", path.join(&below))?;
        let Some(stat) = nofollow::stat(fd, nofollow::os(name)).at("look at", path.join(&below))? else {
            below.pop();
            continue;
        };
        visit(&Entry { parent: fd, name, path: &below, stat: &stat })?;
        if Kind::of(&stat) == Kind::Folder && stat.st_dev == device {
            if depth >= bounds.depth {
                return Err(refuse(format!(
                    "{} is nested deeper than {} folders; remove what is below",
                    Shown::path(&path.join(&below)),
                    bounds.depth
                )));
            }
            if let Some(inner) = enter(fd, name, &path.join(&below))? {
                open.push(inner);
                continue;
            }
        }
        below.pop();
    }
}

/// `None` when the folder was removed or replaced after it was looked at.
fn enter(parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> Outcome<Option<rustix::fs::Dir>> {
    match nofollow::open_dir(parent, nofollow::os(name)) {
        Ok(dir) => Ok(Some(rustix::fs::Dir::read_from(dir.as_fd()).at("list", path)?)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            _ => Err(error).at("open", path),
        },
    }
}
