//! An app's data folder, and folders to copy it to, of the apps' user.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use minipaas::confined::{Bounds, Confined, ConfinedError, Part, Report};
use minipaas::folders::Owner;
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) bounds: Bounds,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The apps' user passes through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let stage =
            Self { folder, bounds: Bounds { bytes: 256 << 20, entries: 200_000, time: Duration::from_secs(120) } };
        fs::create_dir(stage.path("data")).unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.data(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// In WAL mode, with a table `t` of some numbers.
    pub(crate) fn database(&self, name: &str, rows: i64) -> Connection {
        let path = self.data(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let database = Connection::open(path).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)", ()).unwrap();
        let insert = "WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT ?1) INSERT INTO t SELECT n, 'a row' FROM r";
        if rows > 0 {
            database.execute(insert, [rows]).unwrap();
        }
        database
    }

    /// What an app has is of the apps' user.
    pub(crate) fn give(&self) {
        give(&self.path("data"));
    }

    pub(crate) fn confined() -> Confined {
        Confined::with_program(env!("CARGO_BIN_EXE_paas").into())
    }

    pub(crate) async fn copy(&self, into: &str) -> Result<Report, ConfinedError> {
        self.give();
        let into = self.path(into);
        fs::create_dir(&into).unwrap();
        Self::confined().copy(open(&self.path("data")), open(&into), self.bounds).await
    }

    pub(crate) async fn archive(&self, name: &str) -> Result<Report, ConfinedError> {
        self.give();
        let scratch = self.path("scratch");
        fs::create_dir_all(&scratch).unwrap();
        let output = File::create(self.path(name)).unwrap();
        let report =
            Self::confined().archive(Part::Data, open(&self.path("data")), open(&scratch), &output, self.bounds).await;
        assert_eq!(fs::read_dir(&scratch).unwrap().count() > 0, report.is_err(), "what is left of a copy");
        report
    }

    pub(crate) async fn unpack(&self, name: &str, into: &str) -> Result<Report, ConfinedError> {
        let into = self.path(into);
        fs::create_dir(&into).unwrap();
        let archive = File::open(self.path(name)).unwrap();
        Self::confined().unpack(&archive, open(&into), self.bounds).await
    }
}

fn give(path: &Path) {
    if Owner::current().uid == 0 {
        std::os::unix::fs::lchown(path, Some(Owner::APP.uid), Some(Owner::APP.gid)).unwrap();
    }
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

pub(crate) fn open(path: &Path) -> File {
    File::open(path).unwrap()
}

/// Everything below a folder: names, and what is in files.
pub(crate) fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(path: &Path, top: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(top).unwrap().to_owned();
            if path.is_dir() {
                found.push((below, Vec::new()));
                collect(&path, top, found);
            } else {
                found.push((below, fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    collect(path, path, &mut found);
    found.sort();
    found
}

pub(crate) fn names(path: &Path) -> Vec<String> {
    content(path).into_iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect()
}

pub(crate) fn rows(path: &Path) -> i64 {
    let database = Connection::open(path).unwrap();
    database.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
}
