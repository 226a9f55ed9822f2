//! What the child makes of an app's data, and of what somebody has made of it on purpose.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]
#![allow(clippy::disallowed_methods, reason = "an app writes its files as it likes")]

mod archives;
mod hostile;
mod stage;

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use minipaas::folders::Owner;
use stage::{Stage, content, names, rows};

#[tokio::test]
async fn everything_is_copied_and_belongs_to_the_apps_user() {
    let stage = Stage::new();
    stage.write("notes/one.txt", "one");
    stage.write("notes/a\nb\\c.txt", "two");
    stage.write("empty", "");
    std::fs::create_dir(stage.data("nothing")).unwrap();
    drop(stage.database("db.sqlite3", 3));
    let report = stage.copy("copy").await.unwrap();
    assert_eq!((report.files, report.folders, report.databases), (4, 2, 1));
    let copy = stage.path("copy");
    assert_eq!(names(&copy), ["db.sqlite3", "empty", "notes", "notes/a\nb\\c.txt", "notes/one.txt", "nothing"]);
    assert_eq!(rows(&copy.join("db.sqlite3")), 3);
    if Owner::current().uid == 0 {
        assert_eq!(copy.join("notes/one.txt").metadata().unwrap().uid(), Owner::APP.uid);
        assert_eq!(copy.metadata().unwrap().mode() & 0o777, 0o700);
    }
}

#[tokio::test]
async fn a_database_is_copied_with_what_is_in_its_wal_only_and_the_app_notices_nothing() {
    let stage = Stage::new();
    let database = stage.database("deep/er/db", 100);
    assert!(stage.data("deep/er/db-wal").metadata().unwrap().len() > 0);
    let before = content(&stage.path("data"));
    stage.copy("copy").await.unwrap();
    assert_eq!(names(&stage.path("copy")), ["deep", "deep/er", "deep/er/db"]);
    assert_eq!(rows(&stage.path("copy").join("deep/er/db")), 100);
    let without_shm = |content: Vec<(std::path::PathBuf, Vec<u8>)>| {
        content.into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with("-shm")).collect::<Vec<_>>()
    };
    assert_eq!(without_shm(before), without_shm(content(&stage.path("data"))));
    database.execute("INSERT INTO t VALUES (1000, 'after')", ()).unwrap();
}

/// An app that was closed leaves nothing beside its database; what a copy leaves there the app can write to.
#[tokio::test]
async fn what_a_copy_leaves_beside_a_database_is_the_apps_own() {
    let stage = Stage::new();
    drop(stage.database("db", 5));
    stage.copy("copy").await.unwrap();
    for name in names(&stage.path("data")) {
        let uid = stage.data(&name).metadata().unwrap().uid();
        assert!(Owner::current().uid != 0 || uid == Owner::APP.uid, "{name} belongs to {uid}");
    }
}

#[tokio::test]
async fn each_copy_of_a_database_that_is_written_to_has_every_row_from_before_it_began() {
    let stage = Stage::new();
    let database = stage.database("db", 1);
    stage.give();
    let (written, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = std::thread::spawn({
        let (written, stop) = (Arc::clone(&written), Arc::clone(&stop));
        move || {
            let mut longest = std::time::Duration::ZERO;
            for n in 1.. {
                let begin = std::time::Instant::now();
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
    for number in 0..20 {
        let before = written.load(Ordering::SeqCst);
        let into = format!("copy-{number}");
        stage.copy(&into).await.unwrap();
        let found = rows(&stage.path(&into).join("db"));
        assert!(found > before, "{found} rows, and {before} were written before");
    }
    stop.store(true, Ordering::SeqCst);
    let longest = writer.join().unwrap();
    println!("{} rows written, the longest took {longest:?}", written.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_database_in_rollback_mode_waits_for_its_writer() {
    let stage = Stage::new();
    let database = rusqlite::Connection::open(stage.data("db")).unwrap();
    database.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
    stage.give();
    database.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES (2)").unwrap();
    let ((), report) = tokio::join!(
        async {
            // The copy has found it locked by then, or will find it open.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            database.execute_batch("COMMIT").unwrap();
        },
        stage.copy("copy")
    );
    report.unwrap();
    assert_eq!(rows(&stage.path("copy").join("db")), 2);
}
