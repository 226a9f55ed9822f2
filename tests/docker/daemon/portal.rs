//! The portal's own port.

use std::fs;

use serde_json::json;

use super::fixture::{Daemon, visit, write};

const KEY: &str = "a-key-for-the-tests-of-the-portal";

#[test]
fn the_portals_port_tells_strangers_nothing_but_its_health() {
    let daemon = Daemon::start();
    let ask = |path: &str| visit(daemon.portal_port, "GET", "localhost", path, None).unwrap();
    // It answers before it has found Docker.
    daemon.until("it is healthy", || (ask("/health").status == 200).then_some(()));
    for path in ["/status", "/apps", "/apps/alice/diary", "/events", "/events/log"] {
        let answer = ask(path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("sign-in")), "{path}");
    }
    // The same by the gateway, at the portal's name.
    let answer = visit(daemon.port, "GET", "portal.paas.test", "/status", None).unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("sign-in")));
    assert_eq!(visit(daemon.port, "GET", "paas.test", "/health", None).unwrap().status, 200);
    // A network that is being made when the daemon is killed would stay behind.
    daemon.until("the network is there", || (daemon.status()["network"]["state"] == "ready").then_some(()));
}

#[test]
fn an_app_lives_its_whole_life_through_the_api() {
    let daemon = Daemon::start_with(&[("PORTAL_API_KEY", KEY)]);
    // Before it has read the manifests it writes none.
    daemon.until("it is healthy", || (daemon.health().0 == 200).then_some(()));
    let app = "/apps/alice/diary";
    let call = |method: &str, path: &str| daemon.call(method, path, None);
    let create = |fresh: bool| {
        let mut body = json!({"userid": "alice", "appname": "diary", "templateId": "diary-v1", "enableApi": true});
        if fresh {
            body["fresh"] = json!(true);
        }
        // The runtime image may have to be built first.
        let (status, made) = daemon.call("POST", "/apps?wait=300", Some(&body));
        assert_eq!((status, &made["phase"], &made["converged"]), (201, &json!("Running"), &json!(true)), "{made:#}");
    };
    create(false);
    assert!(daemon.get("alice-diary", "/").text().contains("일기"));
    // What the template suggests; then everybody may write, which is what this test does.
    let (_, made) = call("GET", &format!("{app}/visitors"));
    assert_eq!(made["visitors"], json!({"view": "everyone", "change": "owner"}));
    let (status, opened) = daemon.call("PUT", &format!("{app}/visitors"), Some(&json!({"visitors": "everyone"})));
    assert_eq!(status, 200, "{opened:#}");
    daemon.write_entry("alice-diary", "kept");
    let first = daemon.container("alice-diary");

    let (status, stopped) = call("POST", &format!("{app}/stop"));
    assert_eq!((status, &stopped["phase"]), (200, &json!("Stopped")), "{stopped:#}");
    assert_eq!(daemon.container("alice-diary")["State"]["Running"], false);
    assert_eq!(daemon.get("alice-diary", "/").status, 503);
    let (status, started) = call("POST", &format!("{app}/start"));
    assert_eq!((status, &started["phase"]), (200, &json!("Running")), "{started:#}");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    write(&daemon.folder("alice-diary").join("app/index.html"), "<title>all mine</title>");
    let (status, deployed) = call("POST", &format!("{app}/deploy"));
    assert_eq!((status, &deployed["converged"]), (200, &json!(true)), "{deployed:#}");
    assert_ne!(daemon.container("alice-diary")["Id"], first["Id"]);
    let (_, log) = call("GET", &format!("{app}/logs?lines=5"));
    assert!(log["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{log:#}");

    let (status, deleted) = call("DELETE", app);
    assert_eq!((status, &deleted["phase"]), (200, &json!("Deleted")), "{deleted:#}");
    assert!(daemon.container("alice-diary").is_null());
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
    assert_eq!(call("DELETE", app).0, 200);
    // Their own page, by the API, and because the file comes back; the template's when they ask for it.
    let page = || daemon.get("alice-diary", "/").text().contains("all mine");
    create(false);
    assert_eq!((page(), daemon.entries("alice-diary")), (true, vec!["kept".to_owned()]));
    let log = fs::read_to_string(daemon.folder("alice-diary").join("logs/deploy.log")).unwrap();
    assert!(log.contains("is back from the trash"), "{log}");
    let manifest = daemon.path("apps.d/alice-diary.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    daemon.until("it is gone", || daemon.container("alice-diary").is_null().then_some(()));
    daemon.until("its code is", || (!daemon.folder("alice-diary").join("app").exists()).then_some(()));
    write(&manifest, &text);
    daemon.ready("alice-diary");
    assert!(page());
    assert_eq!(call("DELETE", app).0, 200);
    create(true);
    assert!(!page() && daemon.get("alice-diary", "/").text().contains("일기"));
    daemon.paas(&["stop", "alice-diary"]).done();

    let (_, events) = call("GET", &format!("{app}/events?limit=1000"));
    let edits = events.as_array().unwrap().iter().rev().filter(|event| event["kind"] == "changed");
    let told: Vec<_> = edits
        .map(|event| {
            let words: Vec<_> = event["what"].as_str().unwrap().split(' ').take(2).collect();
            (words.join(" "), event["cause"].as_str().unwrap().to_owned())
        })
        .collect();
    let (api, command) =
        ("the key PORTAL_API_KEY", format!("the command line (uid {})", rustix::process::getuid().as_raw()));
    let want = [
        ("created from", api),
        ("changed `visitors`:", api),
        ("changed `state`:", api),
        ("changed `state`:", api),
        ("changed `redeploy`:", api),
        ("changed `state`:", api),
        ("changed `state`:", api),
        ("removed alice-diary.yaml", "a file on disk"),
        ("created from", "a file on disk"),
        ("changed `state`:", api),
        ("changed `state`:", api),
        ("changed `state`:", &command),
    ];
    assert_eq!(told, want.map(|(what, by)| (what.to_owned(), by.to_owned())));
}

#[test]
fn a_deploy_that_fails_leaves_its_reason_and_last_lines_in_the_answer_and_in_the_log() {
    let daemon = Daemon::start_with(&[("PORTAL_API_KEY", KEY)]);
    daemon.run("alice-page", "template: static-v1\n");
    let server = daemon.folder("alice-page").join("app/server.js");
    write(&server, "console.error('no such wheel'); process.exit(3);\n");
    let (status, answer) = daemon.call("POST", "/apps/alice/page/deploy", None);
    assert_eq!(
        (status, &answer["converged"], &answer["phase"]),
        (202, &json!(false), &json!("DeployFailed")),
        "{answer:#}"
    );
    assert!(answer["reason"].as_str().unwrap().contains("exit code 3"), "{answer:#}");
    assert!(answer["lastLines"].to_string().contains("no such wheel"), "{answer:#}");
    let log = fs::read_to_string(daemon.folder("alice-page").join("logs/deploy.log")).unwrap();
    assert!(log.contains("exit code 3") && log.contains("no such wheel"), "{log}");
}
