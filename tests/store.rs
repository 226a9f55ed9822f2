//! The store in one SQLite file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use minipaas::model::{
    AppKey, Cause, Digest, Event, EventKind, Identity, InstanceId, Manifest, RestartPolicy, Restore, Restored,
    RunState, Template, TemplateId, TemplateRestart, Timestamp, VersionId, VersionRecord,
};
use minipaas::store::{FailedDeploy, InventoryRow, MAX_EVENTS, Removals, SqliteStore, Store as _};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("portal-data/portal.sqlite3")
    }
    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).unwrap()
    }
    /// The message with which opening is refused.
    fn refusal(&self) -> String {
        let error = SqliteStore::open(&self.path()).unwrap_err().to_string();
        error.replace(self.0.path().to_str().unwrap(), "DIR")
    }
    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

fn key(text: &str) -> AppKey {
    AppKey::parse(text).unwrap()
}

fn row(app: &str) -> InventoryRow {
    InventoryRow {
        key: key(app),
        admitted_at: Timestamp(1_795_000_000_123),
        manifest: Manifest {
            template: TemplateId::parse("diary-v1").unwrap(),
            enable_api: true,
            state: RunState::Running,
            memory: Some("256m".parse().unwrap()),
            cpus: Some("0.5".parse().unwrap()),
            pids: Some(64),
            restart: Some(RestartPolicy::OnFailure(Some(3)).into()),
            env: BTreeMap::from([("GREETING".to_owned(), "안녕 \"$HOME\"\n".to_owned())]),
            redeploy: Some("2026-11-22T10:00:00Z".to_owned()),
            keep_data: None,
            backup: None,
            disk: Some("1g".parse().unwrap()),
            strategy: None,
            start_timeout: None,
            code: None,
            version: None,
            visitors: None,
            sleep: None,
            domains: Vec::new(),
        },
        template: Template {
            id: TemplateId::parse("diary-v1").unwrap(),
            name: "일기장".to_owned(),
            description: String::new(),
            version: "1.0.0".to_owned(),
            supports_api: true,
            internal_port: 3000,
            health_path: Some("/healthz".to_owned()),
            start_timeout: None,
            restart: TemplateRestart::default(),
            visitors: None,
            sleep: None,
        },
        digest: Digest::of(b"template: diary-v1"),
        asleep: Some(Timestamp(1_700_000_000_000)),
        restored: Some(Restored {
            restore: Restore {
                asked: Timestamp(1_700_000_000_000),
                of: Some(Timestamp(1_690_000_000_000)),
                entry: "20231114T221320Z-alice-diary-data-r000".to_owned(),
            },
            at: Timestamp(1_700_000_001_000),
        }),
        versions: Some(VersionRecord {
            version: VersionId::parse("0123456789abcdef"),
            redeploy: Some("2026-11-22T10:00:00Z".to_owned()),
            previous: None,
            working: VersionId::parse("0123456789abcdef"),
            saved: None,
        }),
        domains: vec!["www.example.kr".parse().unwrap()],
        failed: Some(FailedDeploy {
            waited: None,
            diagnosis: None,
            identity: Identity::from_label("v1:abc"),
            image_id: "sha256:1".to_owned(),
            reason: "exited with 1".to_owned(),
            at: Timestamp(1_795_000_000_456),
            log: vec!["Error: no such wheel".to_owned()],
        }),
    }
}

fn event(number: i64, app: Option<&str>) -> Event {
    Event {
        at: Timestamp(number),
        app: app.map(key),
        kind: [EventKind::Done, EventKind::Failed, EventKind::Noticed, EventKind::Changed]
            [usize::try_from(number % 4).unwrap()],
        what: format!("step {number}"),
        cause: Cause::new("a test"),
    }
}

#[tokio::test]
async fn confirmed_and_held_removals_outlive_the_daemon() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.removals().await.unwrap(), Removals::default());
    let removals = Removals {
        confirmed: BTreeSet::from([key("alice-diary"), key("bob-one")]),
        held: BTreeSet::from([key("bob-two")]),
    };
    store.set_removals(&removals).await.unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.removals().await.unwrap(), removals);
    store.set_removals(&Removals::default()).await.unwrap();
    assert_eq!(store.removals().await.unwrap(), Removals::default());
}

#[tokio::test]
async fn the_log_tells_what_was_last_done_to_each_file() {
    let place = Place::new();
    let store = place.open();
    // Of four kinds in turn, the last is what people did.
    let apps = ["alice-diary", "bob-one", "carol-web"].into_iter().flat_map(|app| [app; 4]);
    let log: Vec<Event> = (0..).zip(apps).map(|(number, app)| event(number, Some(app))).collect();
    store.append(&log).await.unwrap();
    store.append(&[event(15, None), event(19, Some("alice-diary")), event(20, Some("alice-diary"))]).await.unwrap();
    let last: Vec<String> =
        store.last_changes().await.unwrap().into_iter().map(|(app, what)| format!("{app}: {what}")).collect();
    assert_eq!(last, ["alice-diary: step 19", "bob-one: step 7", "carol-web: step 11"]);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let place = Place::new();
    let instance = InstanceId::parse("0123456789abcdef").unwrap();
    {
        let store = place.open();
        assert_eq!(store.instance().await.unwrap(), None);
        store.set_instance(&instance).await.unwrap();
        store.put(&row("bob-diary")).await.unwrap();
        store.put(&row("alice-diary")).await.unwrap();
        let mut changed = row("alice-diary");
        changed.failed = None;
        store.put(&changed).await.unwrap();
        store.put(&row("carol-diary")).await.unwrap();
        store.forget(&key("carol-diary")).await.unwrap();
        store.forget(&key("never-was")).await.unwrap();
        store.append(&[event(1, Some("alice-diary")), event(2, None)]).await.unwrap();
        store.append(&[]).await.unwrap();
    }
    let store = place.open();
    assert_eq!(store.instance().await.unwrap(), Some(instance));
    let mut alice = row("alice-diary");
    alice.failed = None;
    assert_eq!(store.inventory().await.unwrap(), [alice, row("bob-diary")]);
    assert_eq!(store.events(None, 10).await.unwrap(), [event(2, None), event(1, Some("alice-diary"))]);
    assert_eq!(store.events(Some(&key("alice-diary")), 10).await.unwrap(), [event(1, Some("alice-diary"))]);
    assert_eq!(store.events(Some(&key("bob-diary")), 10).await.unwrap(), []);
    assert_eq!(store.events(None, 1).await.unwrap(), [event(2, None)]);
}

#[tokio::test]
async fn the_event_log_keeps_the_newest_rows() {
    let place = Place::new();
    let store = place.open();
    let total = i64::from(MAX_EVENTS) + 250;
    let events: Vec<Event> = (0..total).map(|number| event(number, Some("alice-diary"))).collect();
    for chunk in events.chunks(1_000) {
        store.append(chunk).await.unwrap();
    }
    let kept = store.events(None, u32::MAX).await.unwrap();
    assert_eq!(kept.len(), MAX_EVENTS as usize);
    assert_eq!((kept[0].at, kept[kept.len() - 1].at), (Timestamp(total - 1), Timestamp(250)));
}

#[tokio::test]
async fn many_callers_at_once_are_served_one_after_the_other() {
    let place = Place::new();
    let store = place.open();
    let writes = (0..200).map(|number| {
        let store = store.clone();
        async move { store.put(&row(&format!("alice-app{number}"))).await.unwrap() }
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(store.inventory().await.unwrap().len(), 200);
}

#[tokio::test]
async fn only_the_daemons_user_can_read_the_database() {
    let place = Place::new();
    let store = place.open();
    store.put(&row("alice-diary")).await.unwrap();
    let folder = place.path().parent().unwrap().to_owned();
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[test]
fn a_database_that_others_could_read_is_closed_to_them_and_an_existing_folder_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.path().parent().unwrap()).unwrap();
    fs::set_permissions(place.path().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(place.sqlite());
    drop(place.open());
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o755);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn every_commit_is_flushed_and_readers_beside_us_do_not_block() {
    let place = Place::new();
    let store = place.open();
    store.put(&row("alice-diary")).await.unwrap();
    let other = place.sqlite();
    let journal: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    let reading = other.unchecked_transaction().unwrap();
    let before: i64 = reading.query_row("SELECT count(*) FROM inventory", [], |row| row.get(0)).unwrap();
    store.put(&row("bob-diary")).await.unwrap();
    let still: i64 = reading.query_row("SELECT count(*) FROM inventory", [], |row| row.get(0)).unwrap();
    assert_eq!((before, still), (1, 1));
    assert_eq!(store.inventory().await.unwrap().len(), 2);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    place.sqlite().pragma_update(None, "user_version", 99).unwrap();
    insta::assert_snapshot!(place.refusal(), @"the database DIR/portal-data/portal.sqlite3 has schema 99, this version of minipaas knows up to 5: start the newer version again, or put back the database from before the upgrade");
    let version: i64 = place.sqlite().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    place.sqlite().execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1);").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::read(place.path()).unwrap();
    insta::assert_snapshot!(place.refusal(), @"DIR/portal-data/portal.sqlite3 is a database of another program; set PORTAL_DB_PATH to a file of minipaas' own");
    assert_eq!(fs::read(place.path()).unwrap(), before);
    assert_eq!(mode(&place.path()), 0o644);
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_the_way_out_and_left_alone() {
    let place = Place::new();
    {
        let store = place.open();
        let rows: Vec<Event> = (0..2_000).map(|number| event(number, None)).collect();
        store.append(&rows).await.unwrap();
    }
    // The last clone is gone; the thread ends once it has closed the database.
    let bytes = wait_for_closed(&place);
    let pages = bytes.len() / 4096;
    assert!(pages > 10);

    for (what, damaged) in [
        ("text", b"this is no database at all, but it is long enough to be one".repeat(100)),
        ("zeroed middle", {
            let mut bytes = bytes.clone();
            bytes[4096 * 3..4096 * (pages - 1)].fill(0);
            bytes
        }),
        ("cut off", bytes[..4096 * 4 + 100].to_vec()),
    ] {
        put(&place.path(), &damaged);
        let refusal = place.refusal();
        assert!(refusal.starts_with("the database DIR/portal-data/portal.sqlite3 is damaged ("), "{what}: {refusal}");
        assert!(refusal.contains("move the file and its -wal and -shm away"), "{what}: {refusal}");
        assert_eq!(fs::read(place.path()).unwrap(), damaged, "{what}");
    }
}

/// Waits until the store's thread has ended: it then has taken the -wal file away.
fn wait_for_closed(place: &Place) -> Vec<u8> {
    let wal = place.path().with_extension("sqlite3-wal");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while wal.exists() {
        assert!(std::time::Instant::now() < deadline, "the store's thread does not end");
        std::thread::yield_now();
    }
    fs::read(place.path()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn an_unreadable_row_fails_the_inventory_and_names_itself() {
    let place = Place::new();
    let store = place.open();
    for app in ["alice-diary", "bob-diary", "carol-diary"] {
        store.put(&row(app)).await.unwrap();
    }
    let other = place.sqlite();
    other.execute("UPDATE inventory SET row = '{}' WHERE app = 'bob-diary'", []).unwrap();
    other
        .execute(
            "UPDATE inventory SET row = (SELECT row FROM inventory WHERE app = 'alice-diary') WHERE app = 'carol-diary'",
            [],
        )
        .unwrap();
    let error = store.inventory().await.unwrap_err().to_string().replace(place.0.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(error, @"the database DIR/portal-data/portal.sqlite3 holds inventory rows that cannot be read (bob-diary: missing field `key` at line 1 column 2; carol-diary: it is about alice-diary): start the version of minipaas that wrote them, or move the file away; the inventory is then rebuilt from the manifests");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    put(&place.0.path().join("portal-data"), b"a file");
    insta::assert_snapshot!(place.refusal(), @"cannot open the database DIR/portal-data/portal.sqlite3: File exists (os error 17); its folder must be one that the daemon's user can make or write");
}

/// Every released schema is kept as a file and must come up with what was in it.
#[tokio::test]
async fn the_database_of_every_released_schema_migrates() {
    // Written before the last lines of a failed deploy were kept, and before there were versions, own host names and sleep.
    let without_log = |mut row: InventoryRow| {
        row.failed.as_mut().unwrap().log.clear();
        row.versions = None;
        row.domains.clear();
        row.asleep = None;
        row.restored = None;
        row
    };
    let rows = [without_log(row("alice-diary")), without_log(row("bob-diary"))];
    for (version, expected) in [("v1", &rows), ("v2", &rows), ("v3", &rows), ("v4", &rows), ("v5", &rows)] {
        let place = Place::new();
        fs::create_dir(place.path().parent().unwrap()).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store/{version}.sqlite3"));
        fs::copy(&fixture, place.path()).unwrap();
        let store = place.open();
        assert_eq!(&store.inventory().await.unwrap(), expected, "{version}");
        assert_eq!(store.instance().await.unwrap(), InstanceId::parse("0123456789abcdef"), "{version}");
        assert_eq!(store.events(None, 10).await.unwrap(), [event(2, None), event(1, Some("alice-diary"))], "{version}");
        store.put(&row("dora-diary")).await.unwrap();

        let fresh = Place::new();
        drop(fresh.open());
        assert_eq!(schema(&place), schema(&fresh), "{version} migrates to what a new database has");
    }
}

fn schema(place: &Place) -> Vec<(String, Option<String>)> {
    let connection = place.sqlite();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_database_that_was_taken_away_is_not_used_until_it_is_back() {
    let place = Place::new();
    let store = place.open();
    store.put(&row("alice-diary")).await.unwrap();
    let mut trouble_rx = store.trouble();
    assert!(trouble_rx.borrow().is_none());

    let away = place.0.path().join("away");
    fs::rename(place.path(), &away).unwrap();
    let told = store.put(&row("bob-notes")).await.unwrap_err().to_string();
    insta::assert_snapshot!(told.replace(place.0.path().to_str().unwrap(), "DIR"), @"the database DIR/portal-data/portal.sqlite3 (or the -wal beside it) was removed or replaced while the daemon uses it, so nothing is written any more and nobody can sign in: put the file back; or stop the daemon, move the -wal and -shm beside it away, put a backup there and start it; without one the start makes a new database, the inventory is rebuilt from the manifests, and users, sessions, API keys and the event log begin anew");
    assert!(trouble_rx.has_changed().unwrap() && trouble_rx.borrow_and_update().is_some());
    // `paas admin reset-password` makes a new one, say: what is in there is not what the daemon has open.
    fs::File::create_new(place.path()).unwrap();
    store.look().await.unwrap_err();
    store.inventory().await.unwrap_err();
    assert!(!trouble_rx.has_changed().unwrap(), "told once");

    fs::rename(&away, place.path()).unwrap();
    assert_eq!(store.inventory().await.unwrap(), [row("alice-diary")]);
    assert!(trouble_rx.borrow_and_update().is_none());

    // What was answered last is only in the log beside it.
    let wal = place.path().with_extension("sqlite3-wal");
    fs::rename(&wal, &away).unwrap();
    store.put(&row("bob-notes")).await.unwrap_err();
    assert!(trouble_rx.borrow_and_update().is_some());
    fs::rename(&away, &wal).unwrap();
    store.put(&row("bob-notes")).await.unwrap();
    assert!(trouble_rx.borrow_and_update().is_none());
}

#[tokio::test]
async fn a_database_that_was_overwritten_is_told_of_when_it_is_needed() {
    let place = Place::new();
    let store = place.open();
    store.put(&row("alice-diary")).await.unwrap();
    let other = place.sqlite();
    other.execute("DELETE FROM inventory", []).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let length = fs::metadata(place.path()).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    std::io::Write::write_all(&mut file, &vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    let told = store.inventory().await.unwrap_err().to_string();
    assert!(told.contains("is damaged") && told.contains("start again"), "{told}");
    assert_eq!(store.trouble().borrow().as_ref().map(ToString::to_string), Some(told));
    drop(other);
}
