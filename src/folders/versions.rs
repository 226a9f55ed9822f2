//! `versions/`: what runs. Each is a copy of the working copy `app/` as it was at one moment, and never changed afterwards.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::FolderError;
use super::atomic;
use super::code::{self, CODE, CodeWriter, Links, Rules, Source, copy_whole};
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Checkpoints, Outcome, Stop, refuse};
use super::walk::Bounds;
use crate::model::units::DigestOf;
use crate::model::{Bytes, Digest, Shown, Timestamp, VersionId};

/// Name of the folder of checkouts.
pub(super) const VERSIONS: &str = "versions";

const MODE: u32 = 0o755;

/// More than a template may hold: a person may have put the modules of a larger program there.
pub(super) const RULES: Rules =
    Rules { what: "code", bounds: Bounds { entries: 100_000, depth: 64 }, bytes: Bytes::mib(512), links: Links::Kept };

/// Copies `app/` to `versions/ID/` and flushes it.
///
/// # Crash
/// A copy that did not get its final name is removed by the next call; one that did is found by it.
pub(super) fn take(app: &Dir, app_path: &Path, salt: &str, checkpoints: &Checkpoints) -> Outcome<VersionId> {
    let source_path = app_path.join(CODE);
    let source = match nofollow::open_dir(app, CODE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let problem = format!("{} vanished; it is made again by itself", Shown::path(&source_path));
            return Err(FolderError::Retryable(problem).into());
        }
        opened => opened.at("open", &source_path)?,
    };
    let path = app_path.join(VERSIONS);
    let versions = find_or_make(app, &path)?;
    checkpoints.reach("folder for versions made")?;
    code::remove_leftovers(&versions, &path, VERSIONS)?;
    checkpoints.reach("half-made version removed")?;
    let temp = atomic::temp_name(VERSIONS);
    let source = Source { dir: &source, path: &source_path, rules: RULES };
    let taken = copy_whole(&source, &versions, &temp, &path, checkpoints)
        .and_then(|content| put_in_place(&versions, &path, &temp, id_of(&content, salt), checkpoints));
    if let Err(Stop::Failed(_)) = &taken {
        // The disk may be full: gives the space back. Should that fail too, the next call does it.
        let _ = versions.remove_dir_all(&temp);
    }
    taken
}

pub(super) fn id_of(content: &Digest, salt: &str) -> VersionId {
    let mut digest = DigestOf::default();
    digest.field(content.as_str().as_bytes());
    digest.field(salt.as_bytes());
    VersionId::of(&digest.finish())
}

/// Makes a checkout out of what `write` writes, unless it is there.
///
/// # Crash
/// As with [`take`].
pub(super) fn put(
    app: &Dir,
    app_path: &Path,
    id: &VersionId,
    write: &mut dyn FnMut(&mut CodeWriter<'_>) -> Result<(), FolderError>,
    checkpoints: &Checkpoints,
) -> Outcome {
    let path = app_path.join(VERSIONS);
    let versions = find_or_make(app, &path)?;
    if exists(&versions, &path, id)? {
        return Ok(());
    }
    code::remove_leftovers(&versions, &path, VERSIONS)?;
    checkpoints.reach("half-made version removed")?;
    let temp = atomic::temp_name(VERSIONS);
    let top = nofollow::make_dir(&versions, &temp, MODE).at("make", path.join(&temp))?;
    checkpoints.reach("folder for new code made")?;
    let put = write(&mut CodeWriter::new(&top, &path, RULES))
        .map_err(Stop::from)
        .and_then(|()| put_in_place(&versions, &path, &temp, id.clone(), checkpoints));
    if let Err(Stop::Failed(_)) = &put {
        let _ = versions.remove_dir_all(&temp);
    }
    put.map(drop)
}

/// Makes a checkout of a folder of the app's that nobody works in any more.
pub(super) fn adopt(app: &Dir, app_path: &Path, name: &str, id: &VersionId) -> Outcome {
    let path = app_path.join(VERSIONS);
    let versions = find_or_make(app, &path)?;
    if exists(&versions, &path, id)? {
        return app.remove_dir_all(name).at("remove", app_path.join(name));
    }
    app.rename(name, &versions, id.as_str()).at("keep as a version", app_path.join(name))?;
    nofollow::sync(&versions).at("flush", &path)?;
    nofollow::sync(app).at("flush", app_path)
}

/// Gives a complete copy its name, unless the version is there already.
fn put_in_place(
    versions: &Dir,
    path: &Path,
    temp: &str,
    id: VersionId,
    checkpoints: &Checkpoints,
) -> Outcome<VersionId> {
    if exists(versions, path, &id)? {
        versions.remove_dir_all(temp).at("remove", path.join(temp))?;
        return Ok(id);
    }
    // Before the name: it may reach the disk before the content otherwise.
    nofollow::sync_filesystem(versions).at("flush", path)?;
    checkpoints.reach("version flushed")?;
    versions.rename(temp, versions, id.as_str()).at("move new version to", path.join(id.as_str()))?;
    checkpoints.reach("version in place")?;
    nofollow::sync(versions).at("flush", path)?;
    Ok(id)
}

/// Removes every checkout but these.
///
/// # Crash
/// Each is renamed out of the way first, so none is ever there in part.
pub(super) fn keep_only(app: &Dir, app_path: &Path, kept: &BTreeSet<VersionId>, checkpoints: &Checkpoints) -> Outcome {
    let path = app_path.join(VERSIONS);
    let Some(versions) = find(app, &path)? else { return Ok(()) };
    code::remove_leftovers(&versions, &path, VERSIONS)?;
    for id in list_in(&versions, &path)?.difference(kept) {
        let temp = atomic::temp_name(VERSIONS);
        versions.rename(id.as_str(), &versions, &temp).at("take away", path.join(id.as_str()))?;
        checkpoints.reach("version taken away")?;
        versions.remove_dir_all(&temp).at("remove", path.join(&temp))?;
        checkpoints.reach("version removed")?;
    }
    Ok(())
}

/// Those that are there, whole.
pub(super) fn list(app: &Dir, app_path: &Path) -> Outcome<BTreeSet<VersionId>> {
    let path = app_path.join(VERSIONS);
    match find(app, &path)? {
        Some(versions) => list_in(&versions, &path),
        None => Ok(BTreeSet::new()),
    }
}

/// Opens one that is there, and tells its path.
pub(super) fn open(app: &Dir, app_path: &Path, id: &VersionId) -> Outcome<(Dir, PathBuf)> {
    let path = app_path.join(VERSIONS).join(id.as_str());
    let dir = nofollow::open_dir(app, VERSIONS).and_then(|versions| nofollow::open_dir(&versions, id.as_str()));
    Ok((dir.at("open", &path)?, path))
}

/// The oldest first.
pub(super) fn by_age(app: &Dir, app_path: &Path) -> Outcome<Vec<VersionId>> {
    let mut found = Vec::new();
    for id in list(app, app_path)? {
        let (dir, path) = open(app, app_path, &id)?;
        found.push((taken_at(&dir, &path)?, id));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// When it was made: nothing in its top folder was changed since.
#[expect(clippy::cast_possible_wrap, reason = "the fields' types differ between platforms")]
pub(super) fn taken_at(dir: &Dir, path: &Path) -> Outcome<Timestamp> {
    let stat = rustix::fs::fstat(dir).at("look at", path)?;
    Ok(Timestamp((stat.st_mtime as i64).saturating_mul(1000).saturating_add(stat.st_mtime_nsec as i64 / 1_000_000)))
}

fn list_in(versions: &Dir, path: &Path) -> Outcome<BTreeSet<VersionId>> {
    let mut found = BTreeSet::new();
    for entry in versions.entries().at("list", path)? {
        let name = entry.at("list", path)?.file_name();
        if let Some(id) = name.to_str().and_then(VersionId::parse)
            && exists(versions, path, &id)?
        {
            found.insert(id);
        }
    }
    Ok(found)
}

fn exists(versions: &Dir, path: &Path, id: &VersionId) -> Outcome<bool> {
    match nofollow::stat(versions, id.as_str()).at("look at", path)? {
        None => Ok(false),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(true),
        Some(stat) => Err(in_the_way(&path.join(id.as_str()), Kind::of(&stat))),
    }
}

fn find(app: &Dir, path: &Path) -> Outcome<Option<Dir>> {
    match nofollow::stat(app, VERSIONS).at("look at", path)? {
        None => Ok(None),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(Some(nofollow::open_dir(app, VERSIONS).at("open", path)?)),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}

fn find_or_make(app: &Dir, path: &Path) -> Outcome<Dir> {
    if let Some(found) = find(app, path)? {
        return Ok(found);
    }
    match nofollow::make_dir(app, VERSIONS, MODE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            find(app, path)?.ok_or_else(|| refuse("`versions` comes and goes; leave it to minipaas"))
        }
        made => made.at("make", path),
    }
}
