//! A disk that is full: what runs goes on, what cannot be done is told, nothing is half, and space is all it takes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use super::fixture::{DEADLINE, DIARY, Daemon, PAGE, digest};
use super::http::exchange_as;

/// `PORTAL_API_KEY`.
const KEY: &str = "the-key-of-the-tests-0123456789";

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

/// What strangers and owners ask for, one after another, and what they hear.
fn flood(daemon: &Daemon, requests: usize) -> BTreeMap<(&'static str, u16), usize> {
    let heard = Mutex::new(BTreeMap::new());
    let (portal, gateway) = (daemon.portal_port, daemon.port);
    let one = |number: usize| -> std::io::Result<(&'static str, u16)> {
        let send = |port, key, method, path: &str, host: &str, body: Option<&str>| {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(DEADLINE))?;
            exchange_as(stream, key, method, path, host, body.map(|body| ("application/json", body.as_bytes())))
        };
        let long = format!("/{}", "x".repeat(2_000));
        let body = format!(r#"{{"userid":"user{number}","appname":"page","templateId":"static-v1"}}"#);
        let guess = r#"{"username":"mallory","password":"a guess"}"#;
        Ok(match number % 10 {
            0 if number.is_multiple_of(100) => {
                ("create", send(portal, Some(KEY), "POST", "/apps?wait=0", "localhost", Some(&body))?.status)
            }
            1 => ("login", send(portal, None, "POST", "/auth/login", "localhost", Some(guess))?.status),
            2 | 3 => ("no key", send(portal, None, "GET", "/apps", "localhost", None)?.status),
            4 => ("no route", send(portal, None, "GET", &long, "localhost", None)?.status),
            5 => ("no name", send(portal, None, "GET", "/", "stranger.example", None)?.status),
            6 => ("app", send(gateway, None, "GET", "/", "alice-diary.paas.test", None)?.status),
            _ => ("no app", send(gateway, None, "GET", &long, &format!("nobody-{number}.paas.test"), None)?.status),
        })
    };
    std::thread::scope(|scope| {
        for first in 0..8 {
            let (one, heard) = (&one, &heard);
            scope.spawn(move || {
                for number in (first..requests).step_by(8) {
                    let answer = one(number).unwrap_or_else(|error| panic!("request {number}: {error}"));
                    *heard.lock().unwrap().entry(answer).or_default() += 1;
                }
            });
        }
    });
    heard.into_inner().unwrap()
}

#[test]
fn a_full_disk_under_attack_stops_nothing_and_loses_nothing() {
    let mut daemon = Daemon::prepared();
    daemon.mount_root_small(16 << 20);
    daemon.set(&[("PORTAL_API_KEY", KEY)]);
    daemon.serve();
    let before = daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    let password = daemon.change_first_password();
    let login = |daemon: &Daemon| {
        let body = serde_json::json!({ "username": "admin", "password": password });
        daemon.call("POST", "/auth/login", Some(&body))
    };
    assert_eq!(login(&daemon).0, 200);

    let filler = fill(daemon.root());
    let heard = flood(&daemon, 10_000);
    println!("on a full disk: {heard:?}");
    assert_eq!(heard.values().sum::<usize>(), 10_000);
    // Each is refused, or served, as on any other day; only what has to be written is refused for want of space.
    for (what, status) in heard.keys() {
        let expected: &[u16] = match *what {
            "create" => &[507, 503, 500],
            "login" => &[401, 429, 503],
            "no key" => &[401],
            "no name" => &[421],
            "app" => &[200],
            _ => &[404],
        };
        assert!(expected.contains(status), "{what}: {status}");
    }
    assert_eq!(daemon.ended(), None);
    let (status, told) = daemon.call(
        "POST",
        "/apps?wait=0",
        Some(&serde_json::json!({ "userid": "bob", "appname": "page",
        "templateId": "static-v1" })),
    );
    println!("a new app: {status} {told}");
    assert!(status >= 500 && told["error"].as_str().unwrap().to_lowercase().contains("space"), "{status} {told}");
    let (status, told) = login(&daemon);
    println!("a login: {status} {told}");
    let words = told.to_string().to_lowercase();
    assert!(status == 200 || status >= 500 && (words.contains("space") || words.contains("full")), "{status} {told}");
    let doctor = daemon.paas(&["doctor", "-o", "json"]);
    assert!(doctor.code == 1 && doctor.out.contains("make room"), "{doctor:?}");
    assert_eq!(daemon.get("alice-diary", "/").status, 200);
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);

    fs::remove_file(filler).unwrap();
    daemon.until("people sign in again", || (login(&daemon).0 == 200).then_some(()));
    daemon.paas(&["create", "bob-page", "--template", "static-v1"]).done();
    assert_eq!(daemon.get("bob-page", "/").status, 200);
    daemon.write_entry("alice-diary", "and more");
    let size = fs::metadata(daemon.log_path()).unwrap().len();
    println!("the log has {size} bytes");
    assert!(size < 2 << 20, "{size}");
    assert_eq!(daemon.container("alice-diary")["State"]["StartedAt"], before["State"]["StartedAt"]);
    daemon.restart();
    for app in ["alice-diary", "bob-page"] {
        daemon.ready(app);
    }
    let mut entries = daemon.entries("alice-diary");
    entries.sort();
    assert_eq!(entries, ["and more", "kept"]);
    assert_eq!(login(&daemon).0, 200);
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
