//! Replacing a file so that whoever reads it, at any time and after any crash, sees the old bytes or the new.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::nofollow;
use super::stop::{At, Checkpoints, Outcome};

/// Makes temporary names distinct within this process; [`std::process::id`] does it across processes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// `.{stem}.new-{process}-{number}`: starts with a dot, so nobody takes it for the thing itself.
pub(super) fn temp_name(stem: &str) -> String {
    format!("{}{:x}-{:x}", temp_prefix(stem), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What every [`temp_name`] of the stem starts with.
fn temp_prefix(stem: &str) -> String {
    format!(".{stem}.new-")
}

/// Whether a name was made by [`temp_name`] of this stem, by any process: what a crash may have left behind.
pub(super) fn is_temp_name(stem: &str, name: &str) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    name.strip_prefix(&temp_prefix(stem))
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(process, number)| hex(process) && hex(number))
}

/// Writes `name` in `dir` with exactly this mode: a temporary dot file beside it, flushed, renamed over it, and the
/// folder flushed. `name` is one entry; a link of that name is replaced, not followed.
///
/// One writer per name at a time; readers need no care.
///
/// # Crash
/// `name` has its old content or the new one. A crash may leave the dot file behind; the next call for that name
/// removes it.
///
/// # Errors
/// Those of the file system; the old file is then still in place and the dot file removed.
pub fn write_atomic(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    remove_leftovers(dir, name)?;
    let temp = stage(dir, name, bytes, mode, Flush::Yes)?;
    publish(dir, &temp, name, Flush::Yes)
}

/// [`write_atomic`] with places to crash between its steps and errors that name `path`.
pub(super) fn replace(
    dir: &Dir,
    name: &str,
    bytes: &[u8],
    (mode, flush): (u32, Flush),
    path: &Path,
    checkpoints: &Checkpoints,
) -> Outcome {
    remove_leftovers(dir, name).at("clean up beside", path)?;
    checkpoints.reach("leftovers of a write removed")?;
    let temp = stage(dir, name, bytes, mode, flush).at("write", path)?;
    checkpoints.reach("new content written beside")?;
    publish(dir, &temp, name, flush).at("replace", path)?;
    checkpoints.reach("new content in place")
}

/// Whether the content must survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Yes,
    /// It is made again by itself.
    No,
}

/// Writes the new content under a temporary name, which it returns.
fn stage(dir: &Dir, name: &str, bytes: &[u8], mode: u32, flush: Flush) -> io::Result<String> {
    let temp = temp_name(name);
    match write_new(dir, &temp, bytes, mode, flush) {
        Ok(()) => Ok(temp),
        Err(error) => {
            let _ = dir.remove_file(&temp);
            Err(error)
        }
    }
}

fn publish(dir: &Dir, temp: &str, name: &str, flush: Flush) -> io::Result<()> {
    if let Err(error) = dir.rename(temp, dir, name) {
        let _ = dir.remove_file(temp);
        return Err(error);
    }
    match flush {
        Flush::Yes => nofollow::sync(dir),
        Flush::No => Ok(()),
    }
}

/// Writes a file that must not exist yet.
pub(super) fn write_new(dir: &Dir, name: &str, bytes: &[u8], mode: u32, flush: Flush) -> io::Result<()> {
    let mut file = nofollow::open_file(dir, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    file.write_all(bytes)?;
    match flush {
        Flush::Yes => file.sync_all(),
        Flush::No => Ok(()),
    }
}

fn remove_leftovers(dir: &Dir, stem: &str) -> io::Result<()> {
    for entry in dir.entries()? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| is_temp_name(stem, name)) {
            dir.remove_file(&name)?;
        }
    }
    Ok(())
}
