//! Removing: meant, by accident, and many at once. Data survives all of it, unless it was given up in so many words.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::fixture::{DIARY, Daemon, PAGE, container, visit, write};

/// Longer than the grace of a vanished file, for those who must see that nothing happens.
const BEYOND_GRACE: Duration = Duration::from_secs(11);

#[test]
fn removing_the_file_removes_the_app_after_a_grace_and_its_data_waits_for_it_to_come_back() {
    let daemon = Daemon::start();
    let first = daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "before");

    daemon.delete("alice-diary");
    daemon.until_condition("alice-diary", "Tombstone");
    assert_eq!(daemon.get("alice-diary", "/").status, 200, "within the grace it serves");
    // Back within the grace, as `git checkout` and editors do it: nothing happened.
    let again = daemon.run("alice-diary", DIARY);
    assert_eq!((&again["Id"], &again["State"]["StartedAt"]), (&first["Id"], &first["State"]["StartedAt"]));

    daemon.delete("alice-diary");
    daemon.until_gone("alice-diary");
    assert!(!daemon.folder("alice-diary").join("app").exists());
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
    let trashed = daemon.trashed("alice-diary", "code");
    assert_eq!(trashed.len(), 1);
    assert!(trashed[0].join("app/server.js").exists());

    daemon.run("alice-diary", DIARY);
    assert_eq!(daemon.entries("alice-diary"), ["before"]);
}

#[test]
fn a_renamed_file_is_a_new_app_and_the_old_one_goes() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "of the old name");
    fs::rename(daemon.manifest("alice-diary"), daemon.manifest("alice-journal")).unwrap();
    daemon.ready("alice-journal");
    assert_eq!(daemon.entries("alice-journal"), Vec::<String>::new(), "data belongs to the name");
    daemon.until_gone("alice-diary");
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
}

#[test]
fn state_deleted_needs_no_grace_and_gives_up_data_only_when_told_to() {
    let daemon = Daemon::start();
    for app in ["alice-kept", "alice-purged"] {
        daemon.run(app, DIARY);
        daemon.write_entry(app, "entry");
    }
    daemon.save("alice-kept", &format!("{DIARY}state: deleted\n"));
    daemon.save("alice-purged", &format!("{DIARY}state: deleted\nkeepData: false\n"));
    for app in ["alice-kept", "alice-purged"] {
        daemon.until(&format!("{app} is deleted"), || {
            (daemon.app(app)["phase"] == "Deleted" && daemon.container(app) == Value::Null).then_some(())
        });
        assert_eq!(daemon.trashed(app, "code").len(), 1);
    }
    assert!(daemon.folder("alice-kept").join("data/db.sqlite3").exists());
    assert!(daemon.trashed("alice-kept", "data").is_empty());
    assert!(!daemon.folder("alice-purged").exists());
    let trashed = daemon.trashed("alice-purged", "data");
    assert!(trashed.len() == 1 && trashed[0].join("data/db.sqlite3").exists(), "{trashed:?}");
}

#[test]
fn many_vanishing_at_once_are_held_until_exactly_they_are_confirmed() {
    let daemon = Daemon::start();
    let apps = ["alice-one", "alice-two", "bob-three", "bob-four"];
    for app in apps {
        daemon.save(app, PAGE);
    }
    let ids = apps.map(|app| daemon.ready(app)["Id"].clone());
    for app in apps {
        daemon.delete(app);
    }
    let token = daemon.until("all four are held", || {
        let held = daemon.status()["held"].clone();
        (held["apps"].as_array()?.len() == 4).then(|| held["token"].as_str().unwrap().to_owned())
    });
    // Nothing may happen, and nothing tells when it has not happened.
    std::thread::sleep(BEYOND_GRACE);
    assert_eq!(apps.map(|app| daemon.container(app)["Id"].clone()), ids);
    let shown = daemon.paas(&["confirm"]).done();
    assert!(shown.contains(&token) && apps.iter().all(|app| shown.contains(app)), "{shown}");
    assert!(daemon.paas(&["status"]).done().contains("paas confirm"));

    // One that is back changes the set: an older token does not cover it.
    daemon.save("bob-four", PAGE);
    daemon.ready("bob-four");
    let refused = daemon.paas(&["confirm", &token]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let token = daemon.until("three are held", || {
        let held = daemon.status()["held"].clone();
        (held["apps"].as_array()?.len() == 3).then(|| held["token"].as_str().unwrap().to_owned())
    });
    daemon.paas(&["confirm", &token]).done();
    for app in &apps[..3] {
        daemon.until_gone(app);
        assert!(daemon.folder(app).join("data").exists());
    }
    assert_eq!(daemon.container("bob-four")["Id"], ids[3]);
    assert_eq!(daemon.status()["held"], Value::Null);
}

#[test]
fn a_manifests_folder_that_cannot_be_trusted_removes_nothing() {
    let daemon = Daemon::start();
    let apps = ["alice-one", "bob-two"];
    let ids = apps.map(|app| daemon.run(app, PAGE)["Id"].clone());
    let (folder, away) = (daemon.path("apps.d"), daemon.path("apps.d.away"));
    let untrusted = |why: &str| {
        daemon.until(&format!("`{why}` is told"), || {
            let manifests = daemon.status()["manifests"].clone();
            let reason = manifests["reason"].as_str().unwrap_or_default().to_owned();
            (manifests["state"] == "unavailable" && reason.contains(why)).then_some(())
        });
        assert_eq!(daemon.health(), (503, "manifests-unavailable".to_owned()));
    };
    let trusted = || daemon.until("it is trusted again", || (daemon.health().0 == 200).then_some(()));

    // The disk is not mounted: first nothing is there, then an empty mount point.
    fs::rename(&folder, &away).unwrap();
    untrusted("does not exist");
    fs::create_dir(&folder).unwrap();
    untrusted("no `.minipaas` marker");
    std::thread::sleep(BEYOND_GRACE);
    assert_eq!(apps.map(|app| daemon.container(app)["Id"].clone()), ids);
    // Repairs go on meanwhile.
    daemon.docker.remove(&container("bob-two"));
    daemon.until("bob-two is put back", || daemon.docker.inspect(&container("bob-two")));
    fs::remove_dir(&folder).unwrap();
    write(&folder, "a file");
    untrusted("is not a folder");
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    trusted();
    assert_eq!(daemon.container("alice-one")["Id"], ids[0]);

    // The marker alone, with a file missing as well.
    let text = fs::read_to_string(folder.join(".minipaas")).unwrap();
    fs::remove_file(folder.join(".minipaas")).unwrap();
    untrusted("no `.minipaas` marker");
    daemon.delete("bob-two");
    write(&folder.join(".minipaas"), &text.replace("instance: ", "instance: x"));
    untrusted("damaged");
    // A new marker would say that bob-two is to go, so there is none while nobody has looked.
    let refused = daemon.paas(&["init"]);
    assert!(refused.code != 0 && refused.err.contains("bob-two"), "{}", refused.err);
    untrusted("damaged");
    write(&folder.join(".minipaas"), &text);
    trusted();
    // Now that the folder is trusted, the grace of what is missing begins.
    assert_ne!(daemon.container("bob-two"), Value::Null);
    daemon.until_gone("bob-two");
    assert_eq!(daemon.container("alice-one")["Id"], ids[0]);
}

#[test]
fn deleting_on_the_command_line_keeps_the_data_and_purging_moves_it_to_trash() {
    let daemon = Daemon::start();
    daemon.paas(&["create", "alice-diary", "--template", "diary-v1", "--enable-api"]).done();
    // The template suggests that nobody but the owner writes, and this test is a stranger.
    let manifest = daemon.path("apps.d/alice-diary.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("visitors: {view: everyone, change: owner}"), "{text}");
    let changes = || visit(daemon.port, "PATCH", &daemon.host("alice-diary"), "/api/entries", None).unwrap().status;
    assert_eq!(changes(), 403);
    write(&manifest, &text.replace("visitors: {view: everyone, change: owner}", "visitors: everyone"));
    // The app's own answer: it has no such method.
    daemon.until("strangers get past the gate", || (changes() == 405).then_some(()));
    daemon.write_entry("alice-diary", "one");
    daemon.paas(&["delete", "alice-diary"]).done();
    assert_eq!(daemon.container("alice-diary"), Value::Null);
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
    let again = daemon.paas(&["create", "alice-diary", "--template", "diary-v1", "--enable-api"]);
    again.done();
    assert_eq!(daemon.entries("alice-diary"), ["one"]);
    daemon.paas(&["delete", "alice-diary", "--purge", "--yes"]).done();
    assert!(!daemon.folder("alice-diary").exists());
    assert_eq!(daemon.trashed("alice-diary", "data").len(), 1);
    let backups: Vec<_> = fs::read_dir(daemon.path("backups/alice/diary")).unwrap().flatten().collect();
    let is_of_purge = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with("-purge.tar.zst");
    assert!(backups.iter().any(|backup| is_of_purge(&backup.file_name())), "{backups:?}");
}
