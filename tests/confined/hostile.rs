//! An app's data is an app's word.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use minipaas::confined::ConfinedError;
use rusqlite::Connection;

use super::stage::{Stage, names, rows};

#[tokio::test]
async fn links_are_not_followed_and_told() {
    let stage = Stage::new();
    stage.write("one", "1");
    symlink("/etc/shadow", stage.data("shadow")).unwrap();
    symlink("..", stage.data("loop")).unwrap();
    symlink("self", stage.data("self")).unwrap();
    symlink("/etc", stage.data("etc")).unwrap();
    let report = stage.copy("copy").await.unwrap();
    assert_eq!(names(&stage.path("copy")), ["one"]);
    assert_eq!(report.left_out.links, 4);
    assert!(report.left_out.names.contains(&"shadow".to_owned()), "{:?}", report.left_out);
}

#[tokio::test]
async fn a_fifo_and_a_socket_do_not_hold_it_up() {
    let stage = Stage::new();
    stage.write("one", "1");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, stage.data("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.data("socket")).unwrap();
    let report = stage.copy("copy").await.unwrap();
    assert_eq!((names(&stage.path("copy")), report.left_out.special), (vec!["one".to_owned()], 2));
}

#[tokio::test]
async fn a_terabyte_of_holes_is_refused_before_it_is_read() {
    let stage = Stage::new();
    stage.write("small", "1");
    File::create(stage.data("sparse")).unwrap().set_len(1 << 40).unwrap();
    let begin = Instant::now();
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "data/sparse is 1024g long, most of it holes, and with it the data is more than 256m: remove it, or make it smaller"
    );
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_hundred_thousand_files_are_taken_and_more_than_allowed_are_refused() {
    let mut stage = Stage::new();
    for folder in 0..100 {
        fs::create_dir(stage.data(&format!("{folder}"))).unwrap();
        for file in 0..1_000 {
            File::create(stage.data(&format!("{folder}/{file}"))).unwrap();
        }
    }
    let report = stage.archive("archive").await.unwrap();
    assert_eq!((report.files, report.folders), (100_000, 100));
    stage.bounds.entries = 1_000;
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert_eq!(error, "data holds more than 1000 files and folders; remove some");
}

#[tokio::test]
async fn folders_without_end_are_refused() {
    let stage = Stage::new();
    fs::create_dir_all(stage.data(&"a/".repeat(200))).unwrap();
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert!(error.contains("is nested deeper than 128 folders"), "{error}");
}

#[tokio::test]
async fn a_page_size_of_lies_is_a_damaged_database() {
    let stage = Stage::new();
    drop(stage.database("db", 2_000));
    File::options().write(true).open(stage.data("db")).unwrap().write_all_at(&[0x20, 0], 16).unwrap();
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert!(error.starts_with("the database data/db is damaged"), "{error}");
}

#[tokio::test]
async fn pages_that_are_noise_are_a_damaged_database() {
    let stage = Stage::new();
    drop(stage.database("db", 2_000));
    File::options().write(true).open(stage.data("db")).unwrap().write_all_at(&[0xab; 4096], 8192).unwrap();
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert!(error.starts_with("the database data/db is damaged"), "{error}");
    stage.write("db", [&b"SQLite format 3\0"[..], &[0xff; 4096]].concat());
    let error = stage.copy("copy-2").await.unwrap_err().to_string();
    assert!(error.starts_with("the database data/db is damaged"), "{error}");
}

/// Frames of another database: SQLite takes them for its own, what comes of it is found.
#[tokio::test]
async fn a_wal_of_another_file_does_not_become_a_backup() {
    let stage = Stage::new();
    drop(stage.database("db", 3_000));
    let other = stage.database("other", 0);
    other
        .execute_batch(
            "CREATE INDEX i ON t (text);
             WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT 3000) INSERT INTO t SELECT n, 'row ' || n FROM r;
             PRAGMA wal_checkpoint(TRUNCATE);
             DELETE FROM t WHERE n % 100 = 7",
        )
        .unwrap();
    fs::copy(stage.data("other-wal"), stage.data("db-wal")).unwrap();
    drop(other);
    let before = fs::read(stage.data("db")).unwrap();
    let error = stage.copy("copy").await.unwrap_err().to_string();
    assert!(error.starts_with("the database data/db is damaged"), "{error}");
    assert_eq!(fs::read(stage.data("db")).unwrap(), before, "nothing of it was written into the database");
}

/// What only an app has: no reason not to have a backup.
#[tokio::test]
async fn triggers_and_views_without_end_are_never_run() {
    let stage = Stage::new();
    let database = stage.database("db", 1);
    database
        .execute_batch(
            "CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n;
             CREATE TRIGGER again AFTER INSERT ON t BEGIN INSERT INTO t (text) SELECT c FROM endless; END;",
        )
        .unwrap();
    drop(database);
    stage.copy("copy").await.unwrap();
    assert_eq!(rows(&stage.path("copy").join("db")), 1);
}

/// Computing this index takes hours and gigabytes.
#[tokio::test]
async fn a_check_that_never_ends_is_ended() {
    let mut stage = Stage::new();
    stage.bounds.time = Duration::from_secs(4);
    let database = Connection::open(stage.data("db")).unwrap();
    database.execute_batch("CREATE TABLE t (a); CREATE INDEX i ON t (a);").unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO t SELECT i FROM n;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (length(hex(zeroblob(90000000 + a))))' WHERE name = 'i';",
        )
        .unwrap();
    drop(database);
    let error = stage.copy("copy").await.unwrap_err();
    let ended = match &error {
        ConfinedError::TooSlow(_) | ConfinedError::Died { .. } => true,
        ConfinedError::Refused(text) => text.contains("cannot be copied") || text.contains("damaged"),
        ConfinedError::Start(_) => false,
    };
    assert!(ended, "{error}");
}

#[tokio::test]
async fn files_that_change_meanwhile_are_taken_as_they_are_read() {
    let stage = Stage::new();
    stage.write("log", vec![b'x'; 1 << 20]);
    stage.give();
    let path = stage.data("log");
    let changing = std::thread::spawn(move || {
        let file = File::options().write(true).open(path).unwrap();
        for round in 0..2_000_u64 {
            file.set_len((round % 3) << 19).unwrap();
        }
    });
    for number in 0..5 {
        stage.archive(&format!("archive-{number}")).await.unwrap();
    }
    changing.join().unwrap();
}

#[tokio::test]
async fn what_the_apps_user_may_not_read_is_named() {
    if minipaas::folders::Owner::current().uid != 0 {
        return;
    }
    let stage = Stage::new();
    stage.write("secret", "1");
    stage.give();
    std::os::unix::fs::chown(stage.data("secret"), Some(0), Some(0)).unwrap();
    fs::set_permissions(stage.data("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let into = stage.path("copy");
    fs::create_dir(&into).unwrap();
    let folder = super::stage::open(&stage.path("data"));
    let error = Stage::confined().copy(folder, super::stage::open(&into), stage.bounds).await.unwrap_err().to_string();
    assert!(error.contains("data/secret cannot be read by the apps' user"), "{error}");
}
