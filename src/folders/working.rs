//! Bringing `app/` to another version, so that nothing that a person wrote there is lost.

use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Gid, RenameFlags, Uid, chownat};

use super::Brought;
use super::atomic;
use super::code::{self, CODE, Source, copy_whole, digest_of};
use super::nofollow::{self, Kind};
use super::stop::{At, Checkpoints, Outcome, Stop};
use super::versions::{self, RULES};
use super::walk::walk;
use crate::model::{Digest, VersionId};

/// What takes the place of `app/` next, whole; after the exchange, what was in its place.
const NEXT: &str = ".app.next";

/// Makes `app/` what the checkout is, if it is exactly what was `saved`.
///
/// # Crash
/// `app/` is the old one or the new one. What is under the other name by then is looked at by the next call: only what is kept as a
/// version is removed, and an edit is put back.
pub(super) fn bring(
    app: &Dir,
    app_path: &Path,
    version: &VersionId,
    (saved, salt): (&VersionId, &str),
    checkpoints: &Checkpoints,
) -> Outcome<Brought> {
    let (checkout, checkout_path) = versions::open(app, app_path, version)?;
    let checkout = Source { dir: &checkout, path: &checkout_path, rules: RULES };
    let wanted = digest_of(&checkout)?;
    let is_saved = |content: &Digest| versions::id_of(content, salt) == *saved;
    code::remove_leftovers(app, app_path, CODE)?;
    checkpoints.reach("half-made code removed")?;
    if let Some(brought) = recover(app, app_path, &wanted, &is_saved, checkpoints)? {
        return Ok(brought);
    }
    let now = look(app, app_path, CODE)?;
    if now.content == wanted {
        return Ok(Brought::Done);
    }
    if !is_saved(&now.content) || now.has_repository {
        return Ok(Brought::Edited);
    }
    let temp = atomic::temp_name(CODE);
    let target = app_path.join(CODE);
    let staged = copy_whole(&checkout, app, &temp, &target, checkpoints).and_then(|_| belong(app, &temp, &target));
    if let Err(Stop::Failed(_)) = &staged {
        let _ = app.remove_dir_all(&temp);
    }
    staged?;
    nofollow::sync_filesystem(app).at("flush", app_path)?;
    checkpoints.reach("everything flushed")?;
    app.rename(&temp, app, NEXT).at("move new code to", app_path.join(NEXT))?;
    checkpoints.reach("new code waits")?;
    exchange(app, app_path)?;
    checkpoints.reach("code exchanged")?;
    // Whoever was quicker has written into what was taken away.
    settle(app, app_path, &is_saved, checkpoints)
}

/// After a crash: what is under the other name is the new code that was not exchanged, or the old that was.
fn recover(
    app: &Dir,
    app_path: &Path,
    wanted: &Digest,
    is_saved: &dyn Fn(&Digest) -> bool,
    checkpoints: &Checkpoints,
) -> Outcome<Option<Brought>> {
    if nofollow::stat(app, NEXT).at("look at", app_path.join(NEXT))?.is_none() {
        return Ok(None);
    }
    let other = look(app, app_path, NEXT)?;
    if other.content == *wanted || is_saved(&other.content) {
        // The one is a copy of the checkout, the other a version by now.
        app.remove_dir_all(NEXT).at("remove", app_path.join(NEXT))?;
        checkpoints.reach("what was taken away removed")?;
        return Ok(None);
    }
    if look(app, app_path, CODE)?.content == *wanted {
        return settle(app, app_path, is_saved, checkpoints).map(Some);
    }
    // Of an exchange before this one. Whatever it is, it becomes a version like everything else.
    versions::adopt(app, app_path, NEXT, &versions::id_of(&other.content, ""))?;
    checkpoints.reach("what was taken away kept as a version")?;
    Ok(None)
}

/// After the exchange: drops what was taken away, or puts it back when somebody has edited it.
fn settle(
    app: &Dir,
    app_path: &Path,
    is_saved: &dyn Fn(&Digest) -> bool,
    checkpoints: &Checkpoints,
) -> Outcome<Brought> {
    let taken = look(app, app_path, NEXT)?;
    let brought = if is_saved(&taken.content) { Brought::Done } else { Brought::Edited };
    if brought == Brought::Edited {
        exchange(app, app_path)?;
        checkpoints.reach("edits put back")?;
    }
    nofollow::sync(app).at("flush", app_path)?;
    app.remove_dir_all(NEXT).at("remove", app_path.join(NEXT))?;
    checkpoints.reach("what was taken away removed")?;
    Ok(brought)
}

fn exchange(app: &Dir, app_path: &Path) -> Outcome {
    let exchanged = rustix::fs::renameat_with(app, NEXT, app, CODE, RenameFlags::EXCHANGE);
    exchanged.at("move new code to", app_path.join(CODE))
}

struct Looked {
    content: Digest,
    /// A person's own repository, which no version of ours keeps.
    has_repository: bool,
}

fn look(app: &Dir, app_path: &Path, name: &str) -> Outcome<Looked> {
    let path: PathBuf = app_path.join(name);
    let dir = nofollow::open_dir(app, name).at("open", &path)?;
    let content = digest_of(&Source { dir: &dir, path: &path, rules: RULES })?;
    let has_repository = nofollow::stat(&dir, ".git").at("look at", &path)?.is_some();
    Ok(Looked { content, has_repository })
}

/// New code belongs to whom the old belongs: who edits it by scp is not root.
fn belong(app: &Dir, temp: &str, target: &Path) -> Outcome {
    let Some(old) = nofollow::stat(app, CODE).at("look at", target)? else { return Ok(()) };
    let top = nofollow::open_dir(app, temp).at("open", target)?;
    let made = rustix::fs::fstat(&top).at("look at", target)?;
    if (made.st_uid, made.st_gid) == (old.st_uid, old.st_gid) {
        return Ok(());
    }
    let (uid, gid) = (Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)));
    walk(&top, target, RULES.bounds, &mut |entry| {
        let name = nofollow::os(entry.name);
        chownat(entry.parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).at("give away", target.join(entry.path))
    })?;
    debug_assert!(Kind::of(&made) == Kind::Folder);
    chownat(app, temp, uid, gid, AtFlags::SYMLINK_NOFOLLOW).at("give away", target)
}
