//! The store in one SQLite file.
//!
//! One thread owns the connection; requests reach it through a channel and their answers come back through a oneshot
//! each. Nobody waits for a lock, and the order of requests is the order of transactions.
//!
//! # Guarantees
//! - A write that was answered survives a power loss: WAL with `synchronous=FULL` flushes at every commit. (`NORMAL`
//!   would save that flush and could lose the last commits; an inventory row that is gone means an app without an owner.)
//! - Nothing is read from or written to a database that is no longer the file under its name: what was answered would be gone
//!   with the daemon, and nobody else would see it.
//! - The file and what SQLite keeps beside it are readable by the daemon's user only.

mod accounts;
mod visitors;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::explain::{explain, is_damage};
use super::schema::{self, SchemaError};
use super::{InventoryRow, Removals, Store, StoreError};
use crate::model::shown::message;
use crate::model::{AppKey, Cause, Event, EventKind, InstanceId, PreviewRecord, Shown, Timestamp};

/// The event log keeps so many rows.
pub const MAX_EVENTS: u32 = 10_000;

/// How long another program (a backup, an `sqlite3` by hand) may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests waiting for the thread before senders wait in turn.
const QUEUE: usize = 64;

/// Name of this installation's id in `meta`.
const INSTANCE: &str = "instance";
/// Names of the apps, separated by spaces, whose removal is confirmed, and of those whose is held.
const CONFIRMED: &str = "confirmed-removals";
const HELD: &str = "held-removals";
/// What the name of a preview begins with; its app follows.
const PREVIEW: &str = "preview ";

type Request = Box<dyn FnOnce(&mut Database) + Send>;

/// [`Store`] in one SQLite file. Cheap to clone; the thread ends with the last clone, after the requests under way.
#[derive(Clone)]
pub struct SqliteStore {
    requests_tx: mpsc::Sender<Request>,
    path: Arc<Path>,
    trouble_rx: watch::Receiver<Option<StoreError>>,
    stamps: Arc<accounts::Stamps>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the database, made (0600, its folder 0700) when it is missing, and migrates it to this version's schema.
    /// Blocks for some milliseconds.
    ///
    /// # Errors
    /// A database that is damaged, not ours, or written by a later version is left as it is; the message says so.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_file(path).map_err(|error| {
            StoreError(format!(
                "cannot open the database {}: {error}; its folder must be one that the daemon's user can make or write",
                Shown::path(path)
            ))
        })?;
        let connection = connect(path)?;
        let file = identity(path).ok_or_else(|| lost(path))?;
        let (trouble_tx, trouble_rx) = watch::channel(None);
        let path: Arc<Path> = path.into();
        let mut database =
            Database { connection, path: Arc::clone(&path), file, wal: None, is_lost: false, trouble_tx };
        let (requests_tx, mut requests_rx) = mpsc::channel::<Request>(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Some(request) = requests_rx.blocking_recv() {
                    // A panic costs its own request, whose oneshot is dropped; the transaction was rolled back.
                    let _ = catch_unwind(AssertUnwindSafe(|| request(&mut database)));
                }
            })
            .map_err(|error| StoreError(format!("cannot start the database's thread: {error}; free some memory")))?;
        Ok(Self { requests_tx, path, trouble_rx, stamps: Arc::default() })
    }

    /// What is wrong with the database as a whole. A damage stays until the daemon is started again; a file that is put back
    /// is used again.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<StoreError>> {
        self.trouble_rx.clone()
    }

    /// Looks whether the database is still there, which otherwise whoever needs it next finds out.
    ///
    /// # Errors
    /// When it is not.
    pub async fn look(&self) -> Result<(), StoreError> {
        self.call(|_| Ok(())).await
    }

    /// Runs `work` on the connection's thread. Once sent, it runs even if the caller is cancelled.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = || {
            StoreError(format!(
                "the database {} was closed after an inner error; restart the daemon",
                Shown::path(&self.path)
            ))
        };
        let (answer_tx, answer_rx) = oneshot::channel();
        let request: Request = Box::new(move |database| {
            let _ = answer_tx.send(database.run(work));
        });
        self.requests_tx.send(request).await.map_err(|_| ended())?;
        answer_rx.await.map_err(|_| ended())?
    }

    async fn meta(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        self.call(move |connection| {
            connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
        })
        .await
    }

    async fn set_meta(&self, name: &'static str, value: String) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection
                .execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, value])
                .map(drop)
        })
        .await
    }
}

/// The open database, on its thread.
struct Database {
    connection: Connection,
    path: Arc<Path>,
    file: Identity,
    /// Of the log beside it, as soon as there is one: what was answered last is only there.
    wal: Option<Identity>,
    is_lost: bool,
    trouble_tx: watch::Sender<Option<StoreError>>,
}

impl Database {
    fn run<T>(&mut self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        // SQLite itself would go on with a file that has no name any more.
        let wal = identity(&wal_of(&self.path));
        let is_lost = identity(&self.path) != Some(self.file) || (self.wal.is_some() && wal != self.wal);
        if is_lost != std::mem::replace(&mut self.is_lost, is_lost) {
            self.trouble_tx.send_replace(is_lost.then(|| lost(&self.path)));
        }
        if is_lost {
            return Err(lost(&self.path));
        }
        let done = work(&mut self.connection);
        // It is made at the first use and stays for as long as the connection, whoever else opens the database meanwhile.
        if self.wal.is_none() {
            self.wal = identity(&wal_of(&self.path));
        }
        done.map_err(|error| {
            let told = explain(&error, &self.path);
            if is_damage(&error) {
                self.trouble_tx.send_if_modified(|trouble| trouble.replace(told.clone()).is_none());
            }
            told
        })
    }
}

/// A file as such, whatever its name is: its device and inode.
type Identity = (u64, u64);

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn lost(path: &Path) -> StoreError {
    StoreError(format!(
        "the database {} (or the -wal beside it) was removed or replaced while the daemon uses it, so nothing is written any more and nobody can sign in: \
         put the file back; or stop the daemon, move the -wal and -shm beside it away, put a backup there and start it; without \
         one the start makes a new database, the inventory is rebuilt from the manifests, and users, sessions, API keys and the \
         event log begin anew",
        Shown::path(path)
    ))
}

/// Makes the file, readable by its owner only, and its folder, when they are missing.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // Only a folder made here gets its mode: the operator may have chosen an existing one.
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// Nothing is changed before it is certain that the database is sound, ours, and of a known version.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let prepare = || -> Result<Connection, SchemaError> {
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let report: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if report != "ok" {
            let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(damaged, Some(report)).into());
        }
        let version = schema::version(&connection)?;
        // SQLite gives the files beside it the mode of the database.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(SchemaError::Mode)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // KiB: the tables are small, the system caches the file as well, and of all that the daemon has in use at rest this was
        // a third.
        connection.pragma_update(None, "cache_size", -128)?;
        schema::migrate(&mut connection, version)?;
        Ok(connection)
    };
    prepare().map_err(|error| match error {
        SchemaError::Sqlite(error) => explain(&error, path),
        SchemaError::Newer { found } => StoreError(format!(
            "the database {} has schema {found}, this version of minipaas knows up to {}: start the newer version again, or put back the database from before the upgrade",
            Shown::path(path),
            schema::VERSION
        )),
        SchemaError::Mode(error) => StoreError(format!(
            "cannot keep others from reading the database {}: {error}; make the daemon's user its owner",
            Shown::path(path)
        )),
        SchemaError::Foreign => StoreError(format!(
            "{} is a database of another program; set PORTAL_DB_PATH to a file of minipaas' own",
            Shown::path(path)
        )),
    })
}

impl Store for SqliteStore {
    async fn instance(&self) -> Result<Option<InstanceId>, StoreError> {
        match self.meta(INSTANCE).await? {
            None => Ok(None),
            Some(text) => InstanceId::parse(&text).map(Some).ok_or_else(|| {
                StoreError(format!(
                    "the database {} holds `{text}` as this installation's id instead of 16 hex digits; put back a backup of it",
                    Shown::path(&self.path)
                ))
            }),
        }
    }

    async fn set_instance(&self, instance: &InstanceId) -> Result<(), StoreError> {
        self.set_meta(INSTANCE, instance.to_string()).await
    }

    async fn inventory(&self) -> Result<Vec<InventoryRow>, StoreError> {
        let rows: Vec<(String, String)> = self
            .call(|connection| {
                let mut statement = connection.prepare_cached("SELECT app, row FROM inventory ORDER BY app")?;
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .await?;
        let (rows, problems): (Vec<_>, Vec<_>) =
            rows.iter().map(|(app, json)| read_row(app, json)).partition(Result::is_ok);
        if problems.is_empty() {
            return Ok(rows.into_iter().flatten().collect());
        }
        let problems: Vec<String> = problems.into_iter().filter_map(Result::err).collect();
        Err(StoreError(format!(
            "the database {} holds inventory rows that cannot be read ({}): start the version of minipaas that wrote them, or move the file away; the inventory is then rebuilt from the manifests",
            Shown::path(&self.path),
            problems.join("; ")
        )))
    }

    async fn put(&self, row: &InventoryRow) -> Result<(), StoreError> {
        let app = row.key.to_string();
        let json = serde_json::to_string(row)
            .map_err(|error| StoreError(format!("cannot write down app {app}: {error}; please report it")))?;
        self.call(move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO inventory (app, row) VALUES (?1, ?2)")?
                .execute(params![app, json])
                .map(drop)
        })
        .await
    }

    async fn forget(&self, key: &AppKey) -> Result<(), StoreError> {
        let app = key.to_string();
        self.call(move |connection| connection.execute("DELETE FROM inventory WHERE app = ?1", [app]).map(drop)).await
    }

    async fn removals(&self) -> Result<Removals, StoreError> {
        let rows: Vec<(String, String)> = self
            .call(|connection| {
                let mut statement = connection.prepare("SELECT name, value FROM meta WHERE name IN (?1, ?2)")?;
                statement.query_map([CONFIRMED, HELD], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .await?;
        let mut removals = Removals::default();
        for (name, apps) in rows {
            // What is no app is none that could be removed.
            let apps = apps.split(' ').filter_map(|app| AppKey::parse(app).ok()).collect();
            if name == HELD { removals.held = apps } else { removals.confirmed = apps }
        }
        Ok(removals)
    }

    async fn set_removals(&self, removals: &Removals) -> Result<(), StoreError> {
        let names = |apps: &BTreeSet<AppKey>| apps.iter().map(AppKey::to_string).collect::<Vec<_>>().join(" ");
        let (confirmed, held) = (names(&removals.confirmed), names(&removals.held));
        self.call(move |connection| {
            connection
                .execute(
                    "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2), (?3, ?4)",
                    params![CONFIRMED, confirmed, HELD, held],
                )
                .map(drop)
        })
        .await
    }

    async fn previews(&self) -> Result<Vec<PreviewRecord>, StoreError> {
        let rows: Vec<String> = self
            .call(|connection| {
                let mut statement = connection.prepare("SELECT value FROM meta WHERE name GLOB ?1 ORDER BY name")?;
                statement.query_map([format!("{PREVIEW}*")], |row| row.get(0))?.collect()
            })
            .await?;
        Ok(rows.iter().filter_map(|json| serde_json::from_str(json).ok()).collect())
    }

    async fn put_preview(&self, record: &PreviewRecord) -> Result<(), StoreError> {
        let name = format!("{PREVIEW}{}", record.key);
        let json = serde_json::to_string(record)
            .map_err(|error| StoreError(format!("cannot write down a preview: {error}; please report it")))?;
        self.call(move |connection| {
            connection
                .execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, json])
                .map(drop)
        })
        .await
    }

    async fn forget_preview(&self, key: &AppKey) -> Result<(), StoreError> {
        let name = format!("{PREVIEW}{key}");
        self.call(move |connection| connection.execute("DELETE FROM meta WHERE name = ?1", [name]).map(drop)).await
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let events = events.to_vec();
        self.call(move |connection| append(connection, &events)).await
    }

    async fn last_changes(&self) -> Result<BTreeMap<AppKey, String>, StoreError> {
        let rows: Vec<(String, String)> = self
            .call(|connection| {
                let mut statement = connection.prepare(
                    "SELECT app, what FROM events WHERE id IN
                         (SELECT max(id) FROM events WHERE kind = ?1 AND app IS NOT NULL GROUP BY app)",
                )?;
                statement.query_map([word(EventKind::Changed)], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .await?;
        Ok(rows.into_iter().filter_map(|(app, what)| Some((AppKey::parse(&app).ok()?, what))).collect())
    }

    async fn events(&self, app: Option<&AppKey>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let app = app.map(AppKey::to_string);
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(match app {
                Some(_) => "SELECT at, app, kind, what, cause FROM events WHERE app = ?1 ORDER BY id DESC LIMIT ?2",
                // `?1` is null here.
                None => "SELECT at, app, kind, what, cause FROM events WHERE ?1 IS NULL ORDER BY id DESC LIMIT ?2",
            })?;
            statement.query_map(params![app, limit], read_event)?.collect()
        })
        .await
    }
}

fn read_row(app: &str, json: &str) -> Result<InventoryRow, String> {
    let row: InventoryRow = serde_json::from_str(json).map_err(|error| format!("{app}: {error}"))?;
    if row.key.to_string() == app { Ok(row) } else { Err(format!("{app}: it is about {}", row.key)) }
}

fn append(connection: &mut Connection, events: &[Event]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction
            .prepare_cached("INSERT INTO events (at, app, kind, what, cause) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for event in events {
            let app = event.app.as_ref().map(AppKey::to_string);
            // Ten thousand rows are a bound only if each of them has one.
            let (what, cause) = (message(&event.what), message(&event.cause.0));
            statement.execute(params![event.at.0, app, word(event.kind), what, cause])?;
        }
    }
    transaction
        .prepare_cached("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1")?
        .execute([MAX_EVENTS])?;
    transaction.commit()
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Done => "done",
        EventKind::Failed => "failed",
        EventKind::Noticed => "noticed",
        EventKind::Changed => "changed",
    }
}

/// The log is for people: a row with a kind or an app that this version does not know is shown, not refused.
fn read_event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let app: Option<String> = row.get(1)?;
    let kind: String = row.get(2)?;
    Ok(Event {
        at: Timestamp(row.get(0)?),
        app: app.and_then(|text| AppKey::parse(&text).ok()),
        kind: match kind.as_str() {
            "done" => EventKind::Done,
            "failed" => EventKind::Failed,
            "changed" => EventKind::Changed,
            _ => EventKind::Noticed,
        },
        what: row.get(3)?,
        cause: Cause(row.get(4)?),
    })
}
