//! Where a pack lies that is on its way into a history: beside its objects, and none of them until it is taken in.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::fs::Dir;

use super::data::Owner;
use super::history::{self, HISTORY};
use super::nofollow;
use super::stop::{At, Checkpoints, Outcome, refuse};

const MODE: u32 = 0o700;
const STEM: &str = "incoming-";

/// Tells this daemon's folders from what an earlier one left behind, which may have had the same process id.
fn token() -> u64 {
    static TOKEN: OnceLock<u64> = OnceLock::new();
    *TOKEN.get_or_init(|| {
        let mut bytes = [0; 8];
        // Without the kernel's random numbers leftovers may stay until the next restart; nothing else depends on it.
        let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        u64::from_ne_bytes(bytes)
    })
}

/// Makes an empty folder of objects that belongs to `owner`, and returns its name. What earlier daemons left is removed.
pub(super) fn make(app: &Dir, app_path: &Path, owner: Owner, checkpoints: &Checkpoints) -> Outcome<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = app_path.join(HISTORY);
    let Some(repository) = history::find(app, &path)? else {
        return Err(refuse("the history vanished; it is made again by itself"));
    };
    let ours = format!("{STEM}{:016x}-", token());
    for entry in repository.entries().at("list", &path)? {
        let name = entry.at("list", &path)?.file_name();
        let left = name.to_str().is_some_and(|name| name.starts_with(STEM) && !name.starts_with(&ours));
        if left {
            repository.remove_dir_all(&name).at("remove what is left of", path.join(&name))?;
        }
    }
    checkpoints.reach("unfinished packs removed")?;
    let name = format!("{ours}{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
    let top = nofollow::make_dir(&repository, &name, MODE).at("make", path.join(&name))?;
    nofollow::make_dir(&top, "pack", MODE).at("make", path.join(&name).join("pack"))?;
    history::give(&top, "pack", owner).at("give away", path.join(&name).join("pack"))?;
    history::give(&repository, &name, owner).at("give away", path.join(&name))?;
    Ok(name)
}

/// Makes its packs part of the history, each index last: git knows a pack by its index.
///
/// # Crash
/// A pack without its index is not there for git, and gc removes it.
pub(super) fn take_in(app: &Dir, app_path: &Path, name: &str, checkpoints: &Checkpoints) -> Outcome {
    let path = app_path.join(HISTORY);
    let open = |parent: &Dir, name: &str| nofollow::open_dir(parent, name).at("open", path.join(name));
    let repository = open(app, HISTORY)?;
    let (from, to) = (open(&open(&repository, name)?, "pack")?, open(&open(&repository, "objects")?, "pack")?);
    let mut packs = Vec::new();
    for entry in from.entries().at("list", &path)? {
        let file = entry.at("list", &path)?.file_name();
        packs.extend(file.to_str().and_then(|file| file.strip_suffix(".idx")).map(str::to_owned));
    }
    for pack in &packs {
        for ending in ["rev", "pack", "idx"] {
            let file = format!("{pack}.{ending}");
            match from.rename(&file, &to, &file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && ending == "rev" => {}
                moved => moved.at("take in", path.join(&file))?,
            }
            checkpoints.reach("one more file of a pack taken in")?;
        }
    }
    nofollow::sync(&to).at("flush", &path)
}

/// Gives its space back.
pub(super) fn remove(app: &Dir, app_path: &Path, name: &str) -> Outcome {
    let path = app_path.join(HISTORY);
    match history::find(app, &path)? {
        Some(repository) if nofollow::stat(&repository, name).at("look at", &path)?.is_some() => {
            repository.remove_dir_all(name).at("remove", path.join(name))
        }
        _ => Ok(()),
    }
}

/// How many bytes the packs of a history have.
pub(super) fn size(app: &Dir, app_path: &Path) -> Outcome<u64> {
    let path = app_path.join(HISTORY);
    let Some(repository) = history::find(app, &path)? else { return Ok(0) };
    let packs = nofollow::open_dir(&repository, "objects").and_then(|objects| nofollow::open_dir(&objects, "pack"));
    let packs = match packs {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        packs => packs.at("open", &path)?,
    };
    let mut bytes: u64 = 0;
    for entry in packs.entries().at("list", &path)? {
        bytes = bytes.saturating_add(entry.at("list", &path)?.metadata().map_or(0, |metadata| metadata.len()));
    }
    Ok(bytes)
}
