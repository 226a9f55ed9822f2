//! The daemon itself: started, stopped, started twice, previewed, taken down.

use std::net::TcpStream;

use serde_json::Value;

use super::fixture::{DIARY, Daemon, PAGE, RUNTIME_IMAGE, container};
use super::http::exchange;

#[test]
fn a_second_daemon_on_the_same_root_refuses_and_the_first_does_not_notice() {
    let daemon = Daemon::start();
    let before = daemon.run("alice-page", PAGE);
    let second = daemon.paas(&["serve"]);
    assert_eq!(second.code, 1, "{second:?}");
    for part in ["another daemon", &daemon.pid().to_string(), "PAAS_ROOT"] {
        assert!(second.err.contains(part), "`{part}` is not in: {second:?}");
    }
    assert_eq!(daemon.container("alice-page"), before);
    assert_eq!(daemon.get("alice-page", "/").status, 200);
    daemon.run("alice-page", "template: static-v1\nmemory: 90m\n");
}

#[test]
fn stopping_leaves_the_apps_running_and_starting_again_changes_nothing() {
    let mut daemon = Daemon::start();
    let apps = ["alice-diary", "bob-page"];
    daemon.run("alice-diary", DIARY);
    daemon.run("bob-page", PAGE);
    daemon.write_entry("alice-diary", "kept");
    let before = apps.map(|app| daemon.container(app));
    let events = daemon.events();
    assert!(!events.is_empty());

    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!daemon.path("run/paas.sock").exists());
    assert_eq!(apps.map(|app| daemon.container(app)), before);
    let ip = before[0]["NetworkSettings"]["Networks"][&daemon.network]["IPAddress"].as_str().unwrap().to_owned();
    let stream = TcpStream::connect((ip.as_str(), 3000)).unwrap();
    assert_eq!(exchange(stream, "GET", "/healthz", "app", None).unwrap().status, 200, "it serves without the daemon");

    daemon.serve();
    for app in apps {
        daemon.ready(app);
    }
    assert_eq!(apps.map(|app| daemon.container(app)), before);
    assert_eq!(daemon.events(), events, "a start of the daemon does nothing to apps that are as they should be");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
}

#[test]
fn a_lost_inventory_is_made_anew_from_what_runs() {
    let mut daemon = Daemon::start();
    let before = daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    daemon.stop();
    std::fs::rename(daemon.path("portal-data"), daemon.path("portal-data.lost")).unwrap();
    daemon.serve();
    daemon.ready("alice-diary");
    assert_eq!(daemon.container("alice-diary"), before);
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    // Without a file as well, what runs is known by its labels.
    daemon.stop();
    daemon.delete("alice-diary");
    std::fs::rename(daemon.path("portal-data"), daemon.path("portal-data.lost-too")).unwrap();
    daemon.serve();
    daemon.until("the container without file and row goes", || {
        daemon.docker.inspect(&container("alice-diary")).is_none().then_some(())
    });
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
}

#[test]
fn plan_tells_what_would_be_done_and_why_and_does_nothing() {
    let mut daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let nothing = daemon.paas(&["plan"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert!(nothing.out.contains("nothing to do"), "{nothing:?}");

    daemon.stop();
    let before = daemon.container("alice-page");
    daemon.save("alice-page", "template: static-v1\nmemory: 99m\n");
    daemon.save("bob-page", PAGE);
    daemon.save("carol-page", "template: static-v1\nmemmory: 1g\n");
    let plan = daemon.paas(&["plan"]);
    assert_eq!(plan.code, 2, "{plan:?}");
    assert!(plan.out.contains("WOULD DO") && plan.out.contains("LEFT ALONE"), "{plan:?}");
    let whole = daemon.paas(&["plan", "-o", "json"]).out;
    for part in
        ["set limits of", "memory 99m", "create container paas-app-bob-page", "a new app", "carol-page.yaml:2:1"]
    {
        assert!(whole.contains(part), "`{part}` is not in:\n{whole}");
    }
    let json = daemon.paas(&["plan", "bob-page", "-o", "json"]);
    assert_eq!(json.code, 2);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["steps"].as_array().unwrap().iter().all(|step| step["app"] == "bob-page"), "{json:#}");
    assert_eq!(daemon.container("alice-page"), before);
    assert_eq!(daemon.container("bob-page"), Value::Null);
    assert!(!daemon.folder("bob-page").exists());

    daemon.serve();
    daemon.ready("alice-page");
    daemon.ready("bob-page");
    daemon.delete("carol-page");
    daemon.until("everything is as planned", || (daemon.paas(&["plan"]).code == 0).then_some(()));
}

#[test]
fn down_removes_our_containers_only_and_the_next_start_brings_them_back_with_their_data() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    daemon.run("bob-page", PAGE);
    let refused = daemon.paas(&["down", "--yes"]);
    assert!(refused.code == 1 && refused.err.contains("stop it first"), "{refused:?}");
    assert_eq!(daemon.docker.names_on(&daemon.network).len(), 2);

    let foreign = daemon.docker.foreign(&format!("{}-other", daemon.network), RUNTIME_IMAGE, &["sleep", "1000"]);
    daemon.docker.post(&format!("/containers/{foreign}/start"));
    let before = daemon.docker.inspect(&foreign);
    daemon.stop();
    daemon.paas(&["down", "--yes"]).done();
    assert!(daemon.docker.names_on(&daemon.network).is_empty());
    assert_eq!(daemon.docker.inspect(&foreign), before);
    daemon.docker.remove(&foreign);
    assert!(daemon.manifest("alice-diary").exists());

    daemon.serve();
    daemon.ready("alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    daemon.ready("bob-page");
}
