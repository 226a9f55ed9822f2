//! A disk that is full: what runs goes on, what cannot be done is told, nothing is half, and space is all it takes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fixture::{DIARY, Daemon, PAGE, digest};

/// Takes all the space there is.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join(".filler");
    let mut file = fs::File::create(&path).unwrap();
    let block = [7_u8; 4096];
    while file.write_all(&block).is_ok() {}
    path
}

#[track_caller]
fn until_told(daemon: &Daemon, app: &str) -> String {
    daemon.until(&format!("{app} says that the disk is full"), || {
        let message = daemon.condition(app, "StepFailed")?;
        let words = message.to_lowercase();
        (words.contains("space") || words.contains("full")).then_some(message)
    })
}

#[test]
fn without_space_for_app_folders_a_new_app_waits_and_an_old_one_keeps_serving() {
    let mut daemon = Daemon::prepared();
    daemon.mount_small("apps", 4 << 20);
    daemon.serve();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    let filler = fill(&daemon.path("apps"));
    daemon.save("bob-page", PAGE);
    let message = until_told(&daemon, "bob-page");
    assert!(message.contains("bob/page"), "{message}");
    assert_eq!(daemon.container("bob-page"), Value::Null);
    assert!(!daemon.folder("bob-page").join("app").exists(), "half an app is none");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    fs::remove_file(filler).unwrap();
    daemon.ready("bob-page");
    assert_eq!(daemon.get("bob-page", "/").status, 200);
    assert_eq!(daemon.condition("bob-page", "StepFailed"), None);
}

#[test]
fn without_space_for_the_inventory_nothing_new_is_begun_that_could_be_forgotten() {
    let mut daemon = Daemon::prepared();
    daemon.mount_small("portal-data", 1 << 20);
    daemon.serve();
    let before = daemon.run("alice-page", PAGE);
    let filler = fill(&daemon.path("portal-data"));
    // Many, because a database may have a little room inside the files it has already.
    let apps: Vec<_> = (0..5).map(|number| format!("user{number}-page")).collect();
    let text = format!("template: static-v1\nenv: {{FILLER: \"{}\"}}\n", "x".repeat(50_000));
    for app in &apps {
        daemon.save(app, &text);
    }
    let told = daemon.until("one of them says that the disk is full", || {
        apps.iter().find(|app| daemon.condition(app, "StepFailed").is_some_and(|message| message.contains("full")))
    });
    assert_eq!(daemon.container(told), Value::Null, "nothing is made that is not recorded");
    assert_eq!(daemon.get("alice-page", "/").status, 200);
    assert_eq!(daemon.container("alice-page")["State"]["StartedAt"], before["State"]["StartedAt"]);
    fs::remove_file(filler).unwrap();
    daemon.ready(told);
}

#[test]
fn without_space_for_manifests_a_command_fails_and_the_manifest_stays_as_it_was() {
    let mut daemon = Daemon::prepared();
    daemon.mount_small("apps.d", 1 << 20);
    daemon.serve();
    let before = daemon.run("alice-page", "# mine\ntemplate: static-v1\n");
    let written = digest(&daemon.manifest("alice-page"));
    let filler = fill(&daemon.path("apps.d"));
    for arguments in [&["stop", "alice-page"][..], &["create", "bob-page", "--template", "static-v1"]] {
        let ran = daemon.paas(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.to_lowercase().contains("space"), "{ran:?}");
    }
    assert_eq!(digest(&daemon.manifest("alice-page")), written);
    assert!(!daemon.manifest("bob-page").exists());
    assert_eq!(daemon.status()["fileProblems"].as_array().map(Vec::len), Some(0));
    assert_eq!(daemon.container("alice-page")["State"], before["State"]);
    fs::remove_file(filler).unwrap();
    daemon.paas(&["stop", "alice-page"]).done();
    assert_eq!(daemon.app("alice-page")["phase"], "Stopped");
}

#[test]
fn app_folders_on_another_disk_than_the_trash_lose_nothing_and_the_deletion_says_what_hinders_it() {
    let mut daemon = Daemon::prepared();
    daemon.mount_small("apps", 4 << 20);
    daemon.serve();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    daemon.save("alice-diary", &format!("{DIARY}state: deleted\nkeepData: false\n"));
    let message = daemon.until_condition("alice-diary", "StepFailed");
    assert!(message.contains("another filesystem") && message.contains("put both on one"), "{message}");
    assert_eq!(daemon.container("alice-diary"), Value::Null);
    daemon.run("alice-diary", DIARY);
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
}
