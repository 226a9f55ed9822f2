//! A site's data is put back as it was: on a real Docker, with a real app.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use super::fixture::{DIARY, Daemon, write};

#[test]
fn what_was_deleted_in_a_diary_is_back_after_a_restore_and_the_restore_can_be_undone() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "monday");
    daemon.paas(&["backup", "alice-diary"]).done();
    daemon.write_entry("alice-diary", "tuesday");
    let before = daemon.container("alice-diary")["Id"].clone();

    let begun = Instant::now();
    let said = daemon.paas(&["restore", "alice-diary"]);
    println!("restored, and answers with it, after {} ms", begun.elapsed().as_millis());
    assert!(said.err.contains("paas restore alice-diary --undo"), "{}", said.err);
    said.done();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["monday"]);
    assert_eq!(daemon.container("alice-diary")["Id"], before, "the container is the same");
    // Both ways to what was there before: a backup of it, and the thing itself.
    let listed: Value =
        serde_json::from_str(&daemon.paas(&["backup", "list", "alice-diary", "-o", "json"]).done()).unwrap();
    assert_eq!(listed["alice-diary"]["backups"][0]["why"], "restore", "{listed}");
    assert_eq!(daemon.trashed("alice-diary", "data").len(), 1);
    // The app goes on writing where it should.
    daemon.write_entry("alice-diary", "wednesday");

    daemon.restart();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary").len(), 2);
    daemon.paas(&["restore", "alice-diary", "--undo"]).done();
    daemon.ready("alice-diary");
    let entries = daemon.entries("alice-diary");
    assert!(entries.contains(&"tuesday".to_owned()) && !entries.contains(&"wednesday".to_owned()), "{entries:?}");
    daemon.paas(&["restore", "alice-diary", "--undo"]).done();
    daemon.ready("alice-diary");
    assert!(daemon.entries("alice-diary").contains(&"wednesday".to_owned()));
    assert!(!daemon.folder("alice-diary").join(".data.next").exists());
}

/// Data that the site does not come up with: told, and taken back by one command.
#[test]
fn a_restore_that_is_not_healthy_says_so_and_is_undone_by_one_command() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", &format!("{DIARY}startTimeout: 10s\n"));
    daemon.write_entry("alice-diary", "monday");
    daemon.paas(&["stop", "alice-diary"]).done();
    // No backup can tell that this is no database.
    let (data, kept) = (daemon.folder("alice-diary").join("data"), daemon.path("kept"));
    fs::rename(&data, &kept).unwrap();
    fs::create_dir(&data).unwrap();
    write(&data.join("db.sqlite3"), "not what the diary has written");
    daemon.paas(&["backup", "alice-diary"]).done();
    fs::remove_file(data.join("db.sqlite3")).unwrap();
    fs::remove_dir(&data).unwrap();
    fs::rename(&kept, &data).unwrap();
    daemon.paas(&["start", "alice-diary"]).done();
    daemon.ready("alice-diary");

    let said = daemon.paas(&["restore", "alice-diary"]);
    assert!(said.code != 0 && said.err.contains("is not ready with it"), "{} {}", said.code, said.err);
    assert!(said.err.contains("paas restore alice-diary --undo"), "{}", said.err);
    daemon.paas(&["restore", "alice-diary", "--undo"]).done();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["monday"]);

    // A site that is closed stays so.
    daemon.paas(&["backup", "alice-diary"]).done();
    daemon.paas(&["stop", "alice-diary"]).done();
    daemon.paas(&["restore", "alice-diary"]).done();
    assert!(!daemon.container("alice-diary")["State"]["Running"].as_bool().unwrap());
    daemon.paas(&["start", "alice-diary"]).done();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["monday"]);
}
