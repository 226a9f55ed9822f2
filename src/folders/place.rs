//! `apps/{userid}/{appname}`: finding it, making it, and removing it once it is empty.

use std::io;
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::nofollow::{self, Kind};
use super::stop::{At, Checkpoints, Outcome, refuse};
use crate::model::{AppKey, Shown};

/// Mode of the folders that lead to an app: everyone may look, only the daemon may change.
const MODE: u32 = 0o755;

/// How often making a folder is tried again when its parent was removed in between.
const ATTEMPTS: u32 = 5;

/// Where an app's folder is, or would be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) apps: PathBuf,
    pub(super) key: AppKey,
}

impl Place {
    pub(super) fn user_path(&self) -> PathBuf {
        self.apps.join(self.key.user.as_str())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.user_path().join(self.key.app.as_str())
    }

    /// The app's folder; `None` when it or the user's folder does not exist.
    pub(super) fn find(&self) -> Outcome<Option<Dir>> {
        let apps = self.open_apps()?;
        let Some(user) = find_dir(&apps, self.key.user.as_str(), &self.user_path())? else {
            return Ok(None);
        };
        find_dir(&user, self.key.app.as_str(), &self.path())
    }

    /// The app's folder, made (but not flushed) when it is missing. An app of the same user may be removing the user's empty folder at
    /// the same time, so that is tried again.
    pub(super) fn find_or_make(&self, checkpoints: &Checkpoints) -> Outcome<Dir> {
        let apps = self.open_apps()?;
        for _ in 1..ATTEMPTS {
            if let Some(dir) = self.try_make(&apps, checkpoints)? {
                return Ok(dir);
            }
        }
        Err(Errno::NOENT).at("make", self.path())
    }

    fn try_make(&self, apps: &Dir, checkpoints: &Checkpoints) -> Outcome<Option<Dir>> {
        let Some(user) = find_or_make_dir(apps, self.key.user.as_str(), &self.user_path())? else {
            return Ok(None);
        };
        checkpoints.reach("user folder made")?;
        let app = find_or_make_dir(&user, self.key.app.as_str(), &self.path())?;
        checkpoints.reach("app folder made")?;
        Ok(app)
    }

    /// Removes the app's folder and then its user's, as far as they are empty.
    pub(super) fn remove_if_empty(&self, checkpoints: &Checkpoints) -> Outcome {
        let apps = self.open_apps()?;
        if let Some(user) = find_dir(&apps, self.key.user.as_str(), &self.user_path())? {
            remove_empty(&user, self.key.app.as_str()).at("remove", self.path())?;
            checkpoints.reach("empty app folder removed")?;
            remove_empty(&apps, self.key.user.as_str()).at("remove", self.user_path())?;
            checkpoints.reach("empty user folder removed")?;
        }
        Ok(())
    }

    /// Opened anew for each operation: a disk mounted over the folder later is seen.
    fn open_apps(&self) -> Outcome<Dir> {
        Dir::open_ambient_dir(&self.apps, ambient_authority()).at("open", &self.apps)
    }
}

fn find_dir(parent: &Dir, name: &str, path: &std::path::Path) -> Outcome<Option<Dir>> {
    match nofollow::open_dir(parent, name) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => match nofollow::stat(parent, name).at("look at", path)? {
            Some(stat) if Kind::of(&stat) != Kind::Folder => Err(in_the_way(path, Kind::of(&stat))),
            _ => Err(error).at("open", path),
        },
    }
}

/// The refusal of something that is not the folder it should be.
pub(super) fn in_the_way(path: &std::path::Path, kind: Kind) -> super::stop::Stop {
    let remedy = match kind {
        Kind::Link => {
            "minipaas follows no links here: move the link away (to keep data on another disk, bind-mount it)"
        }
        Kind::Folder | Kind::File | Kind::Special => "move it away",
    };
    refuse(format!("{} is {} instead of a folder; {remedy}", Shown::path(path), kind.describe()))
}

/// `None` when the parent has just been removed.
fn find_or_make_dir(parent: &Dir, name: &str, path: &std::path::Path) -> Outcome<Option<Dir>> {
    if let Some(dir) = find_dir(parent, name, path)? {
        return Ok(Some(dir));
    }
    match nofollow::make_dir(parent, name, MODE) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => find_dir(parent, name, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("make", path),
    }
}

fn remove_empty(parent: &Dir, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
