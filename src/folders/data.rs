//! `data/` and `logs/`: made, given to the app's user, measured. Nothing in here removes data.

use std::collections::HashSet;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Gid, Stat, Uid};

use super::FolderError;
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Checkpoints, Outcome, Stop, refuse};
use super::walk::{Bounds, walk};
use crate::model::spec::{APP_GID, APP_UID};
use crate::model::{Bytes, Shown};

/// Name of the data folder.
pub(super) const DATA: &str = "data";
/// Name of the log folder.
pub(super) const LOGS: &str = "logs";

/// Only the app (and root) looks into an app's data.
const DATA_MODE: u32 = 0o700;
const LOGS_MODE: u32 = 0o755;

/// An app's data may be anything; this ends a look at it after seconds, not hours.
const BOUNDS: Bounds = Bounds { entries: 1_000_000, depth: 128 };

/// Size of the unit of `st_blocks`, whatever the filesystem's own block size.
const BLOCK: u64 = 512;

/// Who `data/` belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The user that apps run as.
    pub const APP: Self = Self { uid: APP_UID, gid: APP_GID };

    /// The user this process runs as: for tests of an ordinary account, which may not give files away.
    #[must_use]
    pub fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    fn owns(self, stat: &Stat) -> bool {
        stat.st_uid == self.uid && stat.st_gid == self.gid
    }
}

/// Whether something is new, and so has to be flushed before it is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Before,
    Now,
}

/// Whether `data/` is there and belongs to the app's user. Anything but a folder is refused.
pub(super) fn ready(app: &Dir, path: &Path, owner: Owner) -> Outcome<bool> {
    match nofollow::stat(app, DATA).at("look at", path)? {
        None => Ok(false),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(owner.owns(&stat)),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}

/// Makes `data/`, or gives one with a wrong owner (restored by hand, say) to the app's user with all that is in it.
///
/// # Crash
/// The top is given away last: as long as it has the wrong owner, the whole is done again.
pub(super) fn ensure(app: &Dir, app_path: &Path, owner: Owner, checkpoints: &Checkpoints) -> Outcome<Made> {
    let path = app_path.join(DATA);
    if ready(app, &path, owner)? {
        return Ok(Made::Before);
    }
    let data = match nofollow::stat(app, DATA).at("look at", &path)? {
        Some(_) => nofollow::open_dir(app, DATA).at("open", &path)?,
        None => nofollow::make_dir(app, DATA, DATA_MODE).at("make", &path)?,
    };
    checkpoints.reach("data folder made")?;
    walk(&data, &path, BOUNDS, &mut |entry| {
        if owner.owns(entry.stat) {
            return Ok(());
        }
        checkpoints.reach("one more piece of data given to the app's user")?;
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        match rustix::fs::chownat(entry.parent, entry.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(cannot_give(&error.into(), &path.join(entry.path), owner)),
        }
    })?;
    checkpoints.reach("all data given to the app's user")?;
    rustix::fs::fchown(&data, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
        .map_err(|error| cannot_give(&error.into(), &path, owner))?;
    checkpoints.reach("data folder given to the app's user")?;
    Ok(Made::Now)
}

fn cannot_give(error: &std::io::Error, path: &Path, owner: Owner) -> Stop {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let Owner { uid, gid } = owner;
        return refuse(format!(
            "cannot give {} to the apps' user {uid}:{gid}: permission denied; run the daemon as root, or run `chown -R {uid}:{gid}` on it yourself",
            Shown::path(path)
        ));
    }
    Stop::Failed(FolderError::Retryable(format!(
        "cannot give {} to the apps' user: {error}; it is tried again by itself",
        Shown::path(path)
    )))
}

/// The log folder, made when it is missing. The app cannot write there: it is not mounted.
pub(super) fn logs(app: &Dir, app_path: &Path, checkpoints: &Checkpoints) -> Outcome<(Dir, Made)> {
    let path = app_path.join(LOGS);
    let dir = match nofollow::stat(app, LOGS).at("look at", &path)? {
        Some(stat) if Kind::of(&stat) == Kind::Folder => nofollow::open_dir(app, LOGS).at("open", &path)?,
        Some(stat) => return Err(in_the_way(&path, Kind::of(&stat))),
        None => {
            let dir = nofollow::make_dir(app, LOGS, LOGS_MODE).at("make", &path)?;
            checkpoints.reach("log folder made")?;
            return Ok((dir, Made::Now));
        }
    };
    Ok((dir, Made::Before))
}

/// Disk space that `data/` takes: allocated blocks, so a sparse file costs what it occupies, and each inode once.
///
/// # Errors
/// Terminal above 1,000,000 entries or 128 levels.
pub(super) fn usage(app: &Dir, app_path: &Path) -> Outcome<Bytes> {
    let path = app_path.join(DATA);
    let data = match nofollow::stat(app, DATA).at("look at", &path)? {
        None => return Ok(Bytes(0)),
        Some(stat) if Kind::of(&stat) == Kind::Folder => nofollow::open_dir(app, DATA).at("open", &path)?,
        Some(stat) => return Err(in_the_way(&path, Kind::of(&stat))),
    };
    let mut blocks = blocks(&rustix::fs::fstat(&data).at("look at", &path)?);
    let mut linked = HashSet::new();
    walk(&data, &path, BOUNDS, &mut |entry| {
        let shared = entry.stat.st_nlink > 1 && Kind::of(entry.stat) != Kind::Folder;
        if !shared || linked.insert((entry.stat.st_dev, entry.stat.st_ino)) {
            blocks += self::blocks(entry.stat);
        }
        Ok(())
    })?;
    Ok(Bytes(blocks * BLOCK))
}

fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0)
}
