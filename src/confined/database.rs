//! SQLite files of an app: told by their header, copied while the app writes, checked as a copy.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::fence::Fence;
use crate::folders::stop::{At as _, Outcome, Stop, refuse};
use crate::model::{Shown, shown};

const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// How long a writer may keep a database in rollback mode locked. One in WAL mode never is.
const BUSY: Duration = Duration::from_secs(30);
/// After a writer that came in between.
const ATTEMPTS: u32 = 5;

pub(super) fn has_header(file: &File) -> io::Result<bool> {
    let mut start = [0; HEADER.len()];
    match file.read_exact_at(&mut start, 0) {
        Ok(()) => Ok(start == *HEADER),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a folder is: SQLite takes no descriptors, and looks at each step of a path.
pub(super) fn path_of(folder: impl AsFd) -> Outcome<PathBuf> {
    rustix::process::fchdir(&folder).at("enter", ".")?;
    std::env::current_dir().at("find", ".")
}

/// Whether all that SQLite knows to check was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Yes,
    /// It uses something that only the app has.
    No,
}

/// Copies the database at one moment, the app may write meanwhile. `shown` names it in messages.
///
/// # Assumptions
/// The apps' user is who does it: what SQLite makes beside a database is the app's own.
pub(super) fn copy(live: &Path, copy: &Path, shown: &Path, fence: Fence) -> Outcome<Checked> {
    let before = if fence == Fence::None { open_files()? } else { Vec::new() };
    // Written to only where a crash of the app has left a journal to be rolled back.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(live, flags).map_err(|error| explain(&error, shown))?;
    let mut target = open_copy(copy).map_err(|error| explain(&error, shown))?;
    // No file beside it; what journal the database has otherwise comes with its content.
    target.pragma_update(None, "journal_mode", "MEMORY").map_err(|error| explain(&error, shown))?;
    take(&source, &mut target).map_err(|error| explain(&error, shown))?;
    if fence == Fence::None {
        look_what_is_open(&before, live, copy, shown)?;
    }
    drop(source);
    let checked = check_open(&target, shown)?;
    target.close().map_err(|(_, error)| explain(&error, shown))?;
    Ok(checked)
}

fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // Nobody else has it: no file of shared memory, and nothing is flushed, since a crash throws it away.
    for (name, value) in [("locking_mode", "EXCLUSIVE"), ("synchronous", "OFF"), ("temp_store", "MEMORY")] {
        copy.pragma_update(None, name, value)?;
    }
    copy.pragma_update(None, "cell_size_check", true)?;
    Ok(copy)
}

/// In one step: with several, each write of the app would make it begin again.
fn take(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    source.busy_timeout(BUSY)?;
    // Its journal stays as it is: whose database it is writes it into the database.
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let backup = Backup::new(source, target)?;
    let mut attempt = 1;
    loop {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if attempt == ATTEMPTS => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    None,
                ));
            }
            _ => attempt += 1,
        }
    }
}

/// Checks a database that nobody else has. `shown` names it in messages.
pub(super) fn check(path: &Path, shown: &Path) -> Outcome<Checked> {
    let copy = open_copy(path).map_err(|error| explain(&error, shown))?;
    let checked = check_open(&copy, shown)?;
    copy.close().map_err(|(_, error)| explain(&error, shown))?;
    Ok(checked)
}

fn check_open(copy: &Connection, shown: &Path) -> Outcome<Checked> {
    let found = copy.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0));
    match found {
        Ok(found) if found == "ok" => Ok(Checked::Yes),
        Ok(found) => Err(damaged(shown, &found)),
        Err(error) if error.to_string().contains("no such ") => Ok(Checked::No),
        Err(error) => Err(explain(&error, shown)),
    }
}

fn damaged(path: &Path, problem: &str) -> Stop {
    refuse(format!(
        "the database {} is damaged ({}): put back a backup of it, or move it away if the app does without it",
        Shown::path(path),
        shown::message(problem)
    ))
}

fn explain(error: &rusqlite::Error, path: &Path) -> Stop {
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => refuse(format!(
            "the database {} was locked all the time: let the app end its transactions, or use WAL mode in it",
            Shown::path(path)
        )),
        Some(ErrorCode::DiskFull) => {
            refuse(format!("the copy of the database {} does not fit: free some space", Shown::path(path)))
        }
        _ => refuse(format!(
            "the database {} cannot be copied ({}): look whether the apps' user can reach and read it",
            Shown::path(path),
            shown::message(&error.to_string())
        )),
    }
}

/// What is open now, as numbers.
fn open_files() -> Outcome<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").at("read", "/proc/self/fd")? {
        names.push(entry.at("read", "/proc/self/fd")?.file_name());
    }
    Ok(names)
}

/// Without a fence an app could have put a link on the way to its database after it was looked at. Where a descriptor really leads to
/// is the kernel's word.
fn look_what_is_open(before: &[std::ffi::OsString], live: &Path, copy: &Path, shown: &Path) -> Outcome {
    let ours = [live.parent(), copy.parent()];
    for name in open_files()?.into_iter().filter(|name| !before.contains(name)) {
        let Ok(target) = std::fs::read_link(Path::new("/proc/self/fd").join(&name)) else { continue };
        let is_file = target.is_absolute() && !target.starts_with("/proc") && !target.starts_with("/dev");
        if is_file && !ours.contains(&target.parent()) {
            return Err(refuse(format!(
                "something on the way to the database {} was replaced by a link while it was read: remove the link",
                Shown::path(shown)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_elsewhere_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (live, copy) = (folder.path().join("data/db"), folder.path().join("copy/db"));
        let before = open_files().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let inside = File::create(&live).unwrap();
        look_what_is_open(&before, &live, &copy, Path::new("db")).unwrap();
        let outside = File::create(folder.path().join("other")).unwrap();
        assert!(look_what_is_open(&before, &live, &copy, Path::new("db")).is_err());
        drop((inside, outside));
    }
}
