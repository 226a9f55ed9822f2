//! Going through a folder that an app writes, and telling what is what.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::database;
use super::fence::Fence;
use super::job::{Bounds, Report};
use super::sink::{Meta, Sink};
use crate::folders::nofollow::{self, Kind};
use crate::folders::stop::{At as _, Outcome, refuse};
use crate::folders::walk::{self, walk};
use crate::model::{Bytes, Shown};

/// Levels of folders; each costs one open file.
const DEPTH: usize = 128;

/// What SQLite writes beside a database. Its content is in the copy.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Hands everything below `from` to the sink.
pub(super) fn take(from: &Dir, sink: &mut dyn Sink, bounds: Bounds, fence: Fence) -> Outcome<Report> {
    let mut report = Report::default();
    let top = database::path_of(from)?;
    // For messages: a person knows where the app is.
    let shown = PathBuf::from(top.file_name().unwrap_or_default());
    let limits = walk::Bounds { entries: bounds.entries, depth: DEPTH };
    walk(from, &shown, limits, &mut |entry| {
        let path = shown.join(entry.path);
        match Kind::of(entry.stat) {
            Kind::Folder => {
                report.folders += 1;
                sink.folder(entry.path)
            }
            Kind::File if is_companion(entry.parent, nofollow::os(entry.name)) => Ok(()),
            Kind::File => {
                let Some(file) = open(entry.parent, nofollow::os(entry.name), &path)? else { return Ok(()) };
                let meta = Meta::of(&file).at("look at", &path)?;
                let left = bounds.bytes.saturating_sub(report.bytes);
                let is_database = database::has_header(&file).at("read", &path)?;
                let length = if is_database {
                    meta.length + wal_length(entry.parent, entry.name.to_bytes())
                } else {
                    meta.length
                };
                if length > left {
                    return Err(too_much(&path, length, meta.blocks, bounds));
                }
                if is_database {
                    report.databases += 1;
                    let live = top.join(entry.path);
                    let unchecked = &mut report.unchecked;
                    sink.database(entry.path, meta, &mut |copy| {
                        if database::copy(&live, copy, &path, fence)? == database::Checked::No {
                            Report::name(unchecked, entry.path);
                        }
                        Ok(())
                    })?;
                } else if sink.file(entry.path, file, meta).at("copy", &path)? < meta.length {
                    Report::name(&mut report.changed, entry.path);
                }
                report.files += 1;
                report.bytes += meta.length;
                Ok(())
            }
            kind @ (Kind::Link | Kind::Special) => {
                let count = if kind == Kind::Link { &mut report.left_out.links } else { &mut report.left_out.special };
                *count += 1;
                Report::name(&mut report.left_out.names, entry.path);
                Ok(())
            }
        }
    })?;
    Ok(report)
}

fn too_much(path: &Path, length: u64, blocks: u64, bounds: Bounds) -> crate::folders::stop::Stop {
    let holes = if blocks * 512 < length / 2 { ", most of it holes," } else { "" };
    refuse(format!(
        "{} is {} long{holes} and with it the data is more than {}: remove it, or make it smaller",
        Shown::path(path),
        Bytes(length),
        Bytes(bounds.bytes)
    ))
}

/// `None`: it was removed, or is something else by now.
fn open(parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Outcome<Option<File>> {
    let file = match nofollow::open_file(parent, name, OFlags::RDONLY, 0) {
        Ok(file) => file,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
                Some(Errno::ACCESS | Errno::PERM) => Err(refuse(format!(
                    "{} cannot be read by the apps' user: give it to that user (`chown -R {}:{}`), or remove it",
                    Shown::path(path),
                    crate::folders::Owner::APP.uid,
                    crate::folders::Owner::APP.gid,
                ))),
                _ => Err(error).at("open", path),
            };
        }
    };
    let stat = rustix::fs::fstat(&file).at("look at", path)?;
    Ok((Kind::of(&stat) == Kind::File).then_some(file))
}

/// Whether a file belongs to a database beside it.
fn is_companion(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let base = COMPANIONS.iter().find_map(|ending| bytes.strip_suffix(ending.as_bytes()));
    base.filter(|base| !base.is_empty()).is_some_and(|base| {
        let file = nofollow::open_file(parent.as_fd(), OsStr::from_bytes(base), OFlags::RDONLY, 0);
        file.is_ok_and(|file| database::has_header(&file).unwrap_or(false))
    })
}

fn wal_length(parent: BorrowedFd<'_>, name: &[u8]) -> u64 {
    let wal = [name, b"-wal"].concat();
    let stat = nofollow::stat(parent, OsStr::from_bytes(&wal));
    stat.ok().flatten().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
}

/// Removes what lies beside databases and is not of them: nothing but us has written there.
pub(super) fn remove_companions(folder: &Dir) -> Outcome {
    let limits = walk::Bounds { entries: u64::MAX, depth: DEPTH };
    let mut found = Vec::new();
    walk(folder, Path::new("data"), limits, &mut |entry| {
        if Kind::of(entry.stat) == Kind::File && is_companion(entry.parent, nofollow::os(entry.name)) {
            found.push(entry.path.to_owned());
        }
        Ok(())
    })?;
    found.iter().try_for_each(|path| folder.remove_file(path)).at("clear", "data")
}

/// Calls back with each database below a folder that nobody else has.
pub(super) fn each_database(folder: &Dir, visit: &mut dyn FnMut(&Path) -> Outcome) -> Outcome {
    let limits = walk::Bounds { entries: u64::MAX, depth: DEPTH };
    let mut found = Vec::new();
    walk(folder, Path::new("data"), limits, &mut |entry| {
        if Kind::of(entry.stat) == Kind::File
            && let Some(file) = open(entry.parent, nofollow::os(entry.name), entry.path)?
            && database::has_header(&file).at("read", entry.path)?
        {
            found.push(entry.path.to_owned());
        }
        Ok(())
    })?;
    found.iter().try_for_each(|path| visit(path))
}
