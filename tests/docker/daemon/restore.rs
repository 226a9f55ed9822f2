//! A site's data is put back as it was: on a real Docker, with a real app.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use super::fixture::{DIARY, Daemon};

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

/// The data of a site that does not come up with it: told, and taken back by one command.
#[test]
fn a_restore_that_is_not_healthy_says_so_and_is_undone_by_one_command() {
    let daemon = Daemon::start();
    let text = format!("{DIARY}startTimeout: 5s\n");
    daemon.run("alice-diary", &text);
    daemon.write_entry("alice-diary", "monday");
    // A database that is whole and is not the diary's.
    let data = daemon.folder("alice-diary").join("data");
    fs::create_dir(data.join("uploads")).unwrap();
    daemon.paas(&["backup", "alice-diary"]).done();
    let begun = Instant::now();
    daemon.paas(&["stop", "alice-diary"]).done();
    daemon.paas(&["restore", "alice-diary"]).done();
    println!("a closed site was restored after {} ms", begun.elapsed().as_millis());
    daemon.paas(&["start", "alice-diary"]).done();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["monday"]);
}
