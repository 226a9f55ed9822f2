//! What runs is a version: nothing changes underneath it, whatever becomes of the working copy.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::fixture::{Daemon, PAGE, write};

#[test]
fn after_a_failed_deploy_the_old_version_survives_restart_crash_and_removal() {
    let daemon = Daemon::start();
    let good = daemon.run("alice-page", PAGE);
    let server = daemon.folder("alice-page").join("app/server.js");
    write(&server, "console.error('no such wheel'); process.exit(3);\n");
    assert_eq!(daemon.paas(&["deploy", "alice-page"]).code, 3);
    daemon.until_condition("alice-page", "DeployFailed");
    let id = good["Id"].as_str().unwrap();

    // Docker restarts the very container, as after a crash or a reboot.
    daemon.docker.does("POST", &format!("/containers/{id}/restart?t=1"), None);
    daemon.until("the old version answers again", || (daemon.get("alice-page", "/").status == 200).then_some(()));
    assert_eq!(daemon.container("alice-page")["Id"], good["Id"]);

    // Without that container the app still comes back to what served, never to what failed.
    daemon.docker.does("DELETE", &format!("/containers/{id}?force=1"), None);
    daemon.until("another one of the old version answers", || {
        let seen = daemon.container("alice-page");
        (seen["Id"] != good["Id"] && daemon.get("alice-page", "/").status == 200).then_some(())
    });
    assert_eq!(daemon.container("alice-page")["RestartCount"], 0);
    assert!(fs::read_to_string(&server).unwrap().contains("no such wheel"), "what the owner wrote stays theirs");
}

#[test]
fn an_edit_shows_when_it_is_deployed_and_at_once_with_live_code() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let page = daemon.folder("alice-page").join("app/index.html");
    write(&page, "<p>first edit</p>\n");
    assert!(!daemon.get("alice-page", "/").text().contains("first edit"));
    let before = daemon.ready("alice-page");
    daemon.paas(&["restart", "alice-page"]).done();
    assert_ne!(daemon.ready("alice-page")["Id"], before["Id"]);
    assert!(!daemon.get("alice-page", "/").text().contains("first edit"), "a restart publishes nothing");
    daemon.paas(&["deploy", "alice-page"]).done();
    assert!(daemon.get("alice-page", "/").text().contains("first edit"));

    daemon.run("alice-page", &format!("{PAGE}code: live\n"));
    write(&page, "<p>second edit</p>\n");
    assert!(daemon.get("alice-page", "/").text().contains("second edit"));
    // And back: what is there now becomes a version.
    daemon.run("alice-page", PAGE);
    write(&page, "<p>third edit</p>\n");
    assert!(daemon.get("alice-page", "/").text().contains("second edit"));
    daemon.until("those that nobody names are gone, once they are in the history", || {
        (fs::read_dir(daemon.folder("alice-page").join("versions")).unwrap().count() == 1).then_some(())
    });
}

#[test]
fn a_working_copy_that_was_removed_comes_back_as_its_owner_wrote_it_and_the_page_never_went() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let folder = daemon.folder("alice-page");
    write(&folder.join("app/index.html"), "<p>mine</p>\n");
    daemon.paas(&["deploy", "alice-page"]).done();
    let running = daemon.ready("alice-page");

    #[expect(clippy::disallowed_methods, reason = "what a person does by hand")]
    fs::remove_dir_all(folder.join("app")).unwrap();
    daemon.save("alice-page", &format!("{PAGE}# looked at again\n"));
    daemon.until("the working copy is back", || folder.join("app/index.html").exists().then_some(()));
    assert_eq!(fs::read_to_string(folder.join("app/index.html")).unwrap(), "<p>mine</p>\n");
    assert!(daemon.get("alice-page", "/").text().contains("mine"));
    assert_eq!(daemon.container("alice-page")["Id"], running["Id"]);

    // Of the version itself: another one takes its place, in a container that mounts it.
    #[expect(clippy::disallowed_methods, reason = "what a person does by hand")]
    // Again, where the daemon was just putting something there.
    daemon.until("the versions are gone", || fs::remove_dir_all(folder.join("versions")).ok());
    daemon.save("alice-page", PAGE);
    daemon.until("a new container mounts a new version", || {
        let seen = daemon.container("alice-page");
        (seen["Id"] != running["Id"] && daemon.get("alice-page", "/").text().contains("mine")).then_some(())
    });
}

#[test]
fn a_picture_that_only_its_owner_may_read_is_shown() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let app = daemon.folder("alice-page").join("app");
    write(&app.join("public/photo.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n");
    fs::set_permissions(app.join("public/photo.svg"), fs::Permissions::from_mode(0o600)).unwrap();
    write(&app.join("index.html"), "<img src=photo.svg>\n");
    daemon.paas(&["deploy", "alice-page"]).done();
    assert_eq!(daemon.get("alice-page", "/photo.svg").status, 200);
}

#[test]
fn every_deploy_is_in_the_history_and_what_is_not_deployed_can_be_seen() {
    let mut daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let page = daemon.folder("alice-page").join("app/index.html");
    write(&page, "<p>first edit</p>\n");
    assert!(daemon.paas(&["diff", "alice-page"]).done().contains("+<p>first edit</p>"));
    daemon.paas(&["deploy", "alice-page"]).done();
    assert_eq!(daemon.paas(&["diff", "alice-page"]).done().trim(), "nothing differs");
    let listed = || -> Vec<serde_json::Value> {
        let text = daemon.paas(&["versions", "alice-page", "-o", "json"]).done();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["versions"].as_array().unwrap().clone()
    };
    let versions = listed();
    let doors: Vec<_> = versions.iter().map(|version| version["door"].as_str().unwrap()).collect();
    assert_eq!(doors, ["deploy", "template"], "{versions:?}");
    assert!(versions[0]["by"].as_str().unwrap().contains("the command line"), "{versions:?}");
    assert_eq!(versions[0]["changes"], serde_json::json!([{"path": "index.html", "kind": "added"}]));
    assert!(versions.iter().all(|version| version["healthy"] == true), "{versions:?}");

    // One that never answers is recorded as well, and says so.
    write(&daemon.folder("alice-page").join("app/server.js"), "process.exit(3);\n");
    assert_eq!(daemon.paas(&["deploy", "alice-page"]).code, 3);
    daemon.until_condition("alice-page", "DeployFailed");
    assert_eq!((listed().len(), &listed()[0]["healthy"]), (3, &serde_json::json!(false)));
    assert!(daemon.paas(&["versions", "alice-page"]).done().contains("never answered"));

    // A daemon that died before it could record: the next one does.
    write(&daemon.folder("alice-page").join("app/server.js"), "process.exit(4);\n");
    let history = daemon.folder("alice-page").join("history.git/refs/versions");
    let before = fs::read_dir(&history).unwrap().count();
    daemon.paas(&["deploy", "alice-page", "--no-wait"]).done();
    daemon.until("the version is taken", || {
        (fs::read_dir(daemon.folder("alice-page").join("versions")).unwrap().count() > before - 1).then_some(())
    });
    daemon.kill();
    daemon.serve();
    daemon.until("it is recorded", || (fs::read_dir(&history).unwrap().count() > before).then_some(()));
}

#[test]
fn going_back_shows_visitors_the_old_page_and_loses_neither_a_request_nor_an_edit() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let app = daemon.folder("alice-page").join("app");
    // The template's page is made by its server; a file of that name takes its place.
    let page = || fs::read_to_string(app.join("index.html")).ok();
    let is_original = |text: &str| !["second", "not finished", "five"].iter().any(|own| text.contains(own));
    assert_eq!(page(), None);
    // Whoever looks lets it be recorded, and that it answers: only what has answered is gone back to by itself.
    daemon.paas(&["versions", "alice-page"]).done();
    write(&app.join("index.html"), "<p>second</p>\n");
    daemon.paas(&["deploy", "alice-page"]).done();
    assert!(daemon.get("alice-page", "/").text().contains("second"));
    write(&app.join("index.html"), "<p>not finished</p>\n");

    let (stop, asked, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(daemon.get("alice-page", "/").status != 200), Ordering::Relaxed);
                }
            });
        }
        daemon.paas(&["rollback", "alice-page"]).done();
        assert!(is_original(&daemon.get("alice-page", "/").text()));
        daemon.until("the working copy follows", || page().is_none().then_some(()));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 20, "{asked:?}");
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {asked:?}");

    // What was not finished is kept, and can be gone to like everything else.
    let text = daemon.paas(&["versions", "alice-page", "-o", "json"]).done();
    let versions = serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let kept = &versions["versions"][0];
    assert_eq!(kept["door"], "saved", "{versions}");
    daemon.paas(&["rollback", "alice-page", &kept["id"].as_str().unwrap()[..8]]).done();
    assert!(daemon.get("alice-page", "/").text().contains("not finished"));
    daemon.until("the working copy follows", || page()?.contains("not finished").then_some(()));

    // One that is far back has no checkout any more, and comes from the history.
    for number in ["three", "four", "five"] {
        write(&app.join("index.html"), &format!("<p>{number}</p>\n"));
        daemon.paas(&["deploy", "alice-page"]).done();
    }
    let first = versions["versions"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap();
    let checkout = daemon.folder("alice-page").join("versions").join(first);
    daemon.until("its checkout is gone", || (!checkout.exists()).then_some(()));
    daemon.paas(&["rollback", "alice-page", first]).done();
    let text = daemon.get("alice-page", "/");
    assert!(text.status == 200 && is_original(&text.text()), "{}", text.text());
    let unknown = daemon.paas(&["rollback", "alice-page", "0123456789abcdef"]);
    assert!(unknown.code == 1 && unknown.err.contains("no version"), "{unknown:?}");
}

#[test]
fn a_folder_is_published_from_anywhere_and_comes_back_as_a_zip() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let desk = tempfile::tempdir().unwrap();
    let at = |name: &str| desk.path().join(name);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    for folder in ["pages/.git", "broken"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    write(&at("pages/index.html"), "<link rel=stylesheet href=style.css><p>pages of my own</p>\n");
    write(&at("pages/style.css"), "p { color: teal }\n");
    write(&at("pages/.git/config"), "[core]\n");
    let published = daemon.paas(&["publish", "alice-page", &path("pages"), "-m", "my own & <more>"]).done();
    assert!(published.contains("alice-page: Running at http"), "{published}");
    assert!(daemon.get("alice-page", "/").text().contains("pages of my own"));
    assert!(daemon.get("alice-page", "/style.css").text().contains("teal"));
    assert_eq!(daemon.get("alice-page", "/server.js").status, 404);
    let text = daemon.paas(&["versions", "alice-page", "-o", "json"]).done();
    let versions = serde_json::from_str::<serde_json::Value>(&text).unwrap()["versions"].clone();
    assert_eq!((&versions[0]["door"], &versions[0]["message"]), (&"publish".into(), &"my own & <more>".into()));
    // The working copy follows, as after a rollback.
    let page = daemon.folder("alice-page").join("app/public/index.html");
    daemon.until("the working copy follows", || fs::read_to_string(&page).ok()?.contains("my own").then_some(()));

    // What ends at once is given up, and the reason is told.
    write(&at("broken/server.js"), "console.error('no such wheel'); process.exit(3);\n");
    let refused = daemon.paas(&["publish", "alice-page", &path("broken")]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("DeployFailed"), "{refused:?}");
    assert!(daemon.get("alice-page", "/").text().contains("pages of my own"));
    let refused = daemon.paas(&["publish", "alice-page", &path("pages/style.css")]);
    assert!(refused.code == 1 && refused.err.contains("no zip and no tar"), "{refused:?}");

    // There and back.
    daemon.paas(&["versions", "alice-page", "--archive", &path("kept.zip")]).done();
    let first = versions.as_array().unwrap().last().unwrap()["id"].as_str().unwrap();
    daemon.paas(&["rollback", "alice-page", first]).done();
    assert!(!daemon.get("alice-page", "/").text().contains("pages of my own"));
    daemon.paas(&["publish", "alice-page", &path("kept.zip")]).done();
    assert!(daemon.get("alice-page", "/").text().contains("pages of my own"));
}
