//! `history.git`: made here as git wants it, because what git makes itself asks for more rights than its user has.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Gid, Uid, chownat};

use super::atomic::{self, Flush};
use super::code;
use super::data::Owner;
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Checkpoints, Outcome};
use crate::model::VersionId;

/// Name of an app's repository.
pub(super) const HISTORY: &str = "history.git";

/// Nobody else reads what a person has taken out of their code again.
const MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
const HEAD: &str = "ref: refs/heads/main\n";

/// Makes an empty repository that belongs to `owner`, unless one is there.
///
/// # Crash
/// It appears under its name once it is complete; what did not get that far is removed by the next call.
pub(super) fn make(app: &Dir, app_path: &Path, owner: Owner, checkpoints: &Checkpoints) -> Outcome {
    let path = app_path.join(HISTORY);
    if find(app, &path)?.is_some() {
        return Ok(());
    }
    code::remove_leftovers(app, app_path, HISTORY)?;
    checkpoints.reach("half-made history removed")?;
    let temp = atomic::temp_name(HISTORY);
    let top = nofollow::make_dir(app, &temp, MODE).at("make", &path)?;
    checkpoints.reach("folder for the history made")?;
    for folder in ["objects", "objects/pack", "objects/info", "refs", "refs/heads"] {
        let (parent, name) = folder.rsplit_once('/').unwrap_or((".", folder));
        let parent = nofollow::open_dir(&top, parent).at("open", &path)?;
        nofollow::make_dir(&parent, name, MODE).at("make", path.join(folder))?;
        give(&parent, name, owner).at("give away", path.join(folder))?;
    }
    for (file, text) in [("HEAD", HEAD), ("config", CONFIG)] {
        atomic::write_new(&top, file, text.as_bytes(), FILE_MODE, Flush::No).at("write", path.join(file))?;
        give(&top, file, owner).at("give away", path.join(file))?;
    }
    give(app, &temp, owner).at("give away", &path)?;
    nofollow::sync_filesystem(app).at("flush", &path)?;
    checkpoints.reach("history flushed")?;
    app.rename(&temp, app, HISTORY).at("move new history to", &path)?;
    checkpoints.reach("history in place")?;
    nofollow::sync(app).at("flush", app_path)
}

pub(super) fn give(parent: &Dir, name: &str, owner: Owner) -> io::Result<()> {
    if owner == Owner::current() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    Ok(chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The names below `refs/{kind}` that are versions; `None` without a repository. Each is a file, because we never let git pack
/// them: so this costs one listing, and no process.
pub(super) fn refs(app: &Dir, app_path: &Path, kind: &str) -> Outcome<Option<BTreeSet<VersionId>>> {
    let path = app_path.join(HISTORY);
    let Some(history) = find(app, &path)? else { return Ok(None) };
    let named = match nofollow::open_dir(&history, "refs").and_then(|refs| nofollow::open_dir(&refs, kind)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(BTreeSet::new())),
        named => named.at("open", path.join("refs").join(kind))?,
    };
    let mut found = BTreeSet::new();
    for entry in named.entries().at("list", &path)? {
        let name = entry.at("list", &path)?.file_name();
        found.extend(name.to_str().and_then(VersionId::parse));
    }
    Ok(Some(found))
}

pub(super) fn find(app: &Dir, path: &Path) -> Outcome<Option<Dir>> {
    match nofollow::stat(app, HISTORY).at("look at", path)? {
        None => Ok(None),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(Some(nofollow::open_dir(app, HISTORY).at("open", path)?)),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}
