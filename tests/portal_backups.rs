//! Backups through the portal's routes and by themselves: folders, child processes and archives are real, the controller is played.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use minipaas::backup::{Backups, Task, Why};
use minipaas::clock::SystemClock;
use minipaas::confined::{Bounds, Confined};
use minipaas::folders::{BeforePurge as _, DiskFolders, Folders as _, Origin, Owner};
use minipaas::model::{AppKey, InventoryRow, Manifest, Settings, TemplateId, Timestamp};
use minipaas::portal::PortalState;
use minipaas::store::Store as _;
use minipaas::testing::seams::diary;
use minipaas::testing::store::MemStore;
use portal_support::{Answer, Portal, soon};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const BACKUPS: &str = "/apps/alice/diary/backups";

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

fn confined() -> Confined {
    Confined::with_program(env!("CARGO_BIN_EXE_paas").into())
}

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What an app has is of the apps' user.
fn give(path: &Path) {
    if Owner::current().uid == 0 {
        std::os::unix::fs::lchown(path, Some(Owner::APP.uid), Some(Owner::APP.gid)).unwrap();
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// An app's folders below a root, and backups of it.
struct Place {
    backups: Backups,
    data: PathBuf,
    root: PathBuf,
}

impl Place {
    async fn new(settings: &Settings) -> Self {
        let root = settings.root.clone();
        // The apps' user has to get through.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        put(&settings.templates_dir.join("diary-v1/app/server.js"), "serve()");
        put(&settings.manifests_dir.join("alice-diary.yaml"), "template: diary-v1\n");
        let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
        let folders = DiskFolders::of(settings).unwrap().owned_by(owner);
        folders.ensure(&key(), &Origin::Template(TemplateId::parse("diary-v1").unwrap())).await.unwrap();
        let data = folders.data_dir(&key());
        Self { backups: Backups::with_reserve(settings, folders, confined(), 0).unwrap(), data, root }
    }

    fn database(&self) -> Connection {
        let database = Connection::open(self.data.join("db.sqlite3")).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)", ()).unwrap();
        give(&self.data);
        database
    }

    fn shelf(&self) -> PathBuf {
        self.root.join("backups/alice/diary")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.shelf()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// How many rows the database of a backup has.
    async fn rows(&self, id: &minipaas::backup::BackupId) -> i64 {
        let folder = tempfile::tempdir_in(&self.root).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = self.backups.file(&key(), id).await.unwrap();
        let into = folder.path().join("data");
        fs::create_dir(&into).unwrap();
        confined().unpack(&file, fs::File::open(&into).unwrap(), Bounds::default()).await.unwrap();
        let database = Connection::open(into.join("db.sqlite3")).unwrap();
        database.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
    }
}

fn alone() -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::defaults(folder.path());
    (folder, settings)
}

fn row(admitted_at: Timestamp) -> InventoryRow {
    let template = diary();
    let manifest = Manifest::of(template.id.clone());
    InventoryRow { manifest, template, ..InventoryRow::tombstone(key(), admitted_at) }
}

#[tokio::test]
async fn a_backup_is_asked_for_listed_tried_out_and_taken_away_by_its_owner_only() {
    let portal = Portal::settled_with(with_backups).await;
    let settings = portal.state.settings_rx.borrow().clone();
    let place = Place::new(&settings).await;
    place.database().execute("INSERT INTO t VALUES (1, 'a row')", ()).unwrap();
    put(&place.data.join("photo.jpg"), [7; 1000]);
    give(&place.data);
    portal.add_member("alice").await;
    portal.add_member("bob").await;
    let admin = portal.key().await;
    let ask = |path: String| {
        let (portal, admin) = (&portal, admin.clone());
        async move { portal.get(&path, &[("x-api-key", &admin)]).await }
    };
    let post = |path: String| {
        let (portal, admin) = (&portal, admin.clone());
        async move { portal.post(&path, &[("x-api-key", &admin)], "{}").await }
    };

    assert_eq!(ask(BACKUPS.to_owned()).await.json()["data"]["backups"], serde_json::json!([]));
    let taken = post(BACKUPS.to_owned()).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    let id = taken.json()["data"]["backup"]["id"].as_str().unwrap().to_owned();
    let listed = ask(BACKUPS.to_owned()).await.json();
    assert_eq!(listed["data"]["backups"][0]["why"], "asked");
    let checked = post(format!("{BACKUPS}/{id}/check")).await.json();
    let proof = &checked["data"]["backup"]["proof"];
    assert_eq!((&proof["files"], &proof["databases"]), (&2.into(), &1.into()), "{checked}");
    let file = ask(format!("{BACKUPS}/{id}")).await;
    assert_eq!(file.header("content-type"), Some("application/zstd"));
    assert!(
        file.header("content-disposition").unwrap().contains(&format!("alice-diary-{id}.tar.zst")),
        "{}",
        file.head
    );

    let nowhere = ask(format!("{BACKUPS}/20200101T000000000Z")).await;
    assert_eq!(nowhere.verdict(), (404, "no-such-backup".to_owned()));
    assert_eq!(ask(format!("{BACKUPS}/..%2f..%2fx")).await.verdict().0, 400);
    let bob = portal.session_of("bob", portal_support::PASSWORD).await;
    let others: Answer = portal.get(&format!("{BACKUPS}/{id}"), &[("cookie", &bob)]).await;
    assert_eq!(others.verdict(), (404, "no-such-app".to_owned()));
}

fn with_backups(state: PortalState) -> PortalState {
    let settings = state.settings_rx.borrow().clone();
    let folders = DiskFolders::of(&settings).unwrap();
    let backups = Backups::with_reserve(&settings, folders, confined(), 0).unwrap();
    let (task, handle) = Task::new(backups, MemStore::default(), SystemClock, state.settings_rx.clone());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(task.run(CancellationToken::new()));
    state.with_backups(handle)
}

#[tokio::test]
async fn what_is_due_is_backed_up_and_proven_by_itself_and_what_fails_is_told() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    drop(place.database());
    let store = MemStore::default();
    store.put(&row(Timestamp(0))).await.unwrap();
    let (_settings_tx, settings_rx) = tokio::sync::watch::channel(Arc::new(settings));
    let (task, handle) = Task::new(place.backups.clone(), store, SystemClock, settings_rx);
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "it is stopped below")]
    let running = tokio::spawn(task.run(stop.clone()));
    let mut report_rx = handle.report();
    let known = report_rx.wait_for(|report| report.get(&key()).is_some_and(|known| known.proven.is_some()));
    let known = soon(known).await.unwrap()[&key()].clone();
    assert_eq!((known.count, known.problem, known.last), (1, None, known.proven));
    assert!(known.next.unwrap() > known.last.unwrap());

    // A database that is damaged: told, and what is there stays.
    put(&place.data.join("broken.db"), [&b"SQLite format 3\0"[..], &[0xff; 4096]].concat());
    give(&place.data);
    let error = handle.take(&key()).await.unwrap_err().to_string();
    assert!(error.contains("data/broken.db is damaged"), "{error}");
    let known = report_rx.wait_for(|report| report.get(&key()).is_some_and(|known| known.problem.is_some()));
    assert_eq!(soon(known).await.unwrap()[&key()].count, 1);
    assert_eq!(place.names().iter().filter(|name| name.starts_with('.')).count(), 0, "{:?}", place.names());
    stop.cancel();
    running.await.unwrap();
}

/// In small what the issue asks for a thousand times.
#[tokio::test]
async fn each_backup_that_is_made_while_a_client_writes_has_every_row_from_before_it_began() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    let database = place.database();
    let (written, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = std::thread::spawn({
        let (written, stop) = (Arc::clone(&written), Arc::clone(&stop));
        move || {
            let mut longest = Duration::ZERO;
            for n in 1.. {
                let begin = Instant::now();
                database.execute("INSERT INTO t VALUES (?1, 'a row')", [n]).unwrap();
                longest = longest.max(begin.elapsed());
                written.store(n, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            longest
        }
    });
    for _ in 0..40 {
        let before = written.load(Ordering::SeqCst);
        let backup = place.backups.take(&key(), Why::Asked, 2).await.unwrap();
        let found = place.rows(&backup.id).await;
        assert!(found >= before, "{found} rows, and {before} were written before");
    }
    stop.store(true, Ordering::SeqCst);
    let longest = writer.join().unwrap();
    assert_eq!(place.backups.list(&key()).await.unwrap().len(), 2);
    println!("{} rows were written meanwhile, the longest took {longest:?}", written.load(Ordering::SeqCst));
}

/// Killed after any time, with its child: what has a name is whole, and what has none goes with the next.
#[tokio::test]
async fn a_backup_that_is_ended_half_way_is_none() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    let database = place.database();
    for n in 0..200 {
        put(&place.data.join(format!("{n}.txt")), vec![b'x'; 4_000]);
        database.execute("INSERT INTO t VALUES (?1, 'a row')", [n]).unwrap();
    }
    give(&place.data);
    let begin = Instant::now();
    place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    let whole = begin.elapsed();
    let mut ended = 0;
    for part in 0..24 {
        let taken = tokio::time::timeout(whole * part / 20, place.backups.take(&key(), Why::Asked, 3)).await;
        ended += i32::from(taken.is_err());
        for backup in place.backups.list(&key()).await.unwrap() {
            if backup.proof.is_none() {
                let proof = place.backups.check(&key(), &backup.id).await.unwrap().proof.unwrap();
                assert_eq!((proof.problem, proof.databases), (None, 1));
            }
        }
    }
    assert!(ended > 10, "only {ended} were ended half-way");
    place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    assert!(place.names().iter().all(|name| !name.starts_with('.')), "{:?}", place.names());
}

#[tokio::test]
async fn the_last_of_the_disk_is_the_apps() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    let folders = DiskFolders::of(&settings).unwrap();
    let backups = Backups::with_reserve(&settings, folders, confined(), 100).unwrap();
    let error = backups.take(&key(), Why::Asked, 3).await.unwrap_err().to_string();
    assert!(error.contains("are free on the disk of the backups: free some space"), "{error}");
    assert!(place.backups.list(&key()).await.unwrap().is_empty());
}

#[tokio::test]
async fn data_goes_to_the_trash_after_it_was_backed_up_and_a_backup_that_was_damaged_is_found() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    drop(place.database());
    place.backups.before_purge(&key()).await.unwrap();
    let backup = place.backups.list(&key()).await.unwrap().remove(0);
    assert_eq!(backup.why, Why::Purge);
    let file = place.shelf().join(format!("{}-purge.tar.zst", backup.id));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(&file, bytes);
    let broken = place.backups.check(&key(), &backup.id).await.unwrap();
    assert!(broken.is_broken(), "{broken:?}");
}

/// Beside what a person would do by hand, on the same data: printed, because the machine decides.
#[tokio::test]
async fn how_fast_it_is() {
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    let database = place.database();
    database
        .execute_batch(
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100000)
             INSERT INTO t SELECT n, hex(randomblob(100)) FROM r",
        )
        .unwrap();
    for n in 0..200_u8 {
        put(&place.data.join(format!("photos/{n}.jpg")), vec![n; 100_000]);
    }
    give(&place.data);
    let begin = Instant::now();
    let backup = place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    let ours = begin.elapsed();
    let begin = Instant::now();
    let copy = tempfile::tempdir_in(&place.root).unwrap();
    let mut target = Connection::open(copy.path().join("db.sqlite3")).unwrap();
    rusqlite::backup::Backup::new(&database, &mut target).unwrap().step(-1).unwrap();
    target.close().unwrap();
    let archive = place.root.join("by-hand.tar");
    let tar = std::process::Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .args(["--exclude=db.sqlite3*", "-C"])
        .arg(&place.data)
        .arg(".")
        .arg("-C")
        .arg(copy.path())
        .arg("db.sqlite3")
        .status();
    assert!(tar.unwrap().success());
    let plain = fs::metadata(&archive).unwrap().len();
    println!(
        "{} KiB of data: {ours:?} into {} KiB, read again and compared; `.backup` and `tar` by hand {:?} into {} KiB, neither",
        plain >> 10,
        backup.bytes >> 10,
        begin.elapsed(),
        plain >> 10
    );
}

/// Plays the controller: exchanges whatever waits.
async fn exchange(folders: &DiskFolders) -> minipaas::model::Restored {
    let restored = folders.swap_data(&key()).await.unwrap().unwrap();
    folders.finish_swap(&key()).await.unwrap();
    restored
}

fn folders(settings: &Settings) -> DiskFolders {
    let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
    DiskFolders::of(settings).unwrap().owned_by(owner)
}

#[tokio::test]
async fn what_a_backup_has_takes_the_place_of_what_is_there_and_goes_again_when_that_is_undone() {
    let (_folder, settings) = alone();
    let (place, folders) = (Place::new(&settings).await, folders(&settings));
    let database = place.database();
    database.execute("INSERT INTO t VALUES (1, 'monday')", ()).unwrap();
    put(&place.data.join("photos/sea.jpg"), "the sea");
    give(&place.data);
    let backup = place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    database.execute("INSERT INTO t VALUES (2, 'tuesday')", ()).unwrap();
    fs::remove_file(place.data.join("photos/sea.jpg")).unwrap();
    let days = || {
        let database = Connection::open(place.data.join("db.sqlite3")).unwrap();
        database.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0)).unwrap()
    };

    let restore = place.backups.restore(&key(), &backup.id).await.unwrap();
    assert_eq!((restore.of, days()), (Some(backup.at), 2), "nothing is exchanged before the app is down");
    let listed = place.backups.list(&key()).await.unwrap();
    assert_eq!(listed[0].why, Why::Restore);
    assert!(listed[1].is_proven(), "who has unpacked it has proven it");
    let second = place.backups.restore(&key(), &backup.id).await.unwrap_err().to_string();
    assert!(second.contains("is being restored already"), "{second}");
    // The app writes until it is stopped.
    database.execute("INSERT INTO t VALUES (3, 'wednesday')", ()).unwrap();
    drop(database);
    let restored = exchange(&folders).await;
    assert_eq!((restored.restore, days()), (restore.clone(), 1));
    assert_eq!(fs::read_to_string(place.data.join("photos/sea.jpg")).unwrap(), "the sea");
    let names = fs::read_dir(&place.data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.filter(|name| name.starts_with("db.sqlite3-")).count() == 0, "no journal of the other database");
    assert!(place.backups.is_in_trash(&restore.entry).await.unwrap());

    place.backups.undo_restore(&key(), &restore.entry).await.unwrap();
    let undone = exchange(&folders).await;
    assert_eq!(days(), 3, "all that was written until it was stopped");
    assert!(!place.data.join("photos/sea.jpg").exists());
    place.backups.undo_restore(&key(), &undone.restore.entry).await.unwrap();
    exchange(&folders).await;
    assert_eq!(days(), 1);
    let gone = place.backups.undo_restore(&key(), &undone.restore.entry).await.unwrap_err().to_string();
    assert!(gone.contains("is not in the trash any more"), "{gone}");
}

/// What is in the app's folder, by name.
fn left(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.root.join("apps/alice/diary")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn nothing_of_a_hostile_archive_lands_beside_the_data_and_the_app_is_as_it_was() {
    use std::io::Write as _;
    use tar::{Builder, EntryType, Header};
    let (_folder, settings) = alone();
    let place = Place::new(&settings).await;
    put(&place.data.join("diary.txt"), "precious");
    give(&place.data);
    let sound = place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    let file = place.shelf().join(format!("{}-asked.tar.zst", sound.id));
    let whole = fs::read(&file).unwrap();
    let before = left(&place);
    let raw = |name: &str, kind: EntryType, size: u64, link: Option<&str>| {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o6777);
        header.set_size(size);
        if let Some(link) = link {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(header.as_bytes()).unwrap();
        let mut tar = Builder::new(encoder);
        let mut note = Header::new_gnu();
        note.set_size(2);
        tar.append_data(&mut note, "backup.json", &b"{}"[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    };
    let damaged = {
        let mut bytes = whole.clone();
        (8..bytes.len()).step_by(16).for_each(|at| bytes[at] ^= 1);
        bytes
    };
    let cases = [
        ("an absolute name", raw("/etc/cron.d/x", EntryType::Regular, 0, None)),
        ("a way up", raw("data/../../../x", EntryType::Regular, 0, None)),
        ("a link out", raw("data/x", EntryType::Symlink, 0, Some("/etc/shadow"))),
        ("a second name", raw("data/x", EntryType::Link, 0, Some("/etc/shadow"))),
        ("a device", raw("data/x", EntryType::Block, 0, None)),
        ("a FIFO", raw("data/x", EntryType::Fifo, 0, None)),
        ("the app's code", raw("app/server.js", EntryType::Regular, 0, None)),
        ("a terabyte", raw("data/x", EntryType::Regular, 1 << 40, None)),
        ("no checksums", raw("data/x", EntryType::Regular, 0, None)),
        ("half of one", whole[..whole.len() / 2].to_vec()),
        ("other bytes", damaged),
        ("nothing", Vec::new()),
        ("a picture", b"\x89PNG\r\n\x1a\n".repeat(100)),
    ];
    for (what, bytes) in cases {
        put(&file, bytes);
        let refused = place.backups.restore(&key(), &sound.id).await;
        let error = refused.map_or_else(|error| error.to_string(), |_| format!("{what} was taken"));
        assert!(error.contains("the archive"), "{what}: {error}");
        assert_eq!(left(&place), before, "{what}");
        assert_eq!(fs::read_to_string(place.data.join("diary.txt")).unwrap(), "precious", "{what}");
        assert!(place.backups.list(&key()).await.unwrap()[0].is_broken(), "{what}");
    }
    put(&file, whole);
    place.backups.restore(&key(), &sound.id).await.unwrap();
}

/// Killed after any time, with its child: the data is the old until it waits as a whole, and the next one goes on.
#[tokio::test]
async fn a_restore_that_is_ended_half_way_changes_nothing() {
    let (_folder, settings) = alone();
    let (place, folders) = (Place::new(&settings).await, folders(&settings));
    for n in 0..200 {
        put(&place.data.join(format!("{n}.txt")), vec![b'x'; 4_000]);
    }
    give(&place.data);
    let backup = place.backups.take(&key(), Why::Asked, 3).await.unwrap();
    put(&place.data.join("new.txt"), "written since");
    give(&place.data);
    let begin = Instant::now();
    place.backups.restore(&key(), &backup.id).await.unwrap();
    let whole = begin.elapsed();
    exchange(&folders).await;
    let mut ended = 0;
    for part in 0..20 {
        put(&place.data.join("new.txt"), "written since");
        give(&place.data);
        let asked = tokio::time::timeout(whole * part / 20, place.backups.restore(&key(), &backup.id)).await;
        ended += i32::from(asked.is_err());
        assert!(place.data.join("new.txt").exists(), "nobody has exchanged it");
        // The next life of the daemon.
        place.backups.forget_half_made(&key()).await.unwrap();
        if folders.look(&key()).await.unwrap().incoming.is_some() {
            exchange(&folders).await;
            assert!(!place.data.join("new.txt").exists() && place.data.join("199.txt").exists());
        }
    }
    assert!(ended > 8, "only {ended} were ended half-way");
}
