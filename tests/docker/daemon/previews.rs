//! A look at a version before others see it: on a copy of the data, for the app's owner only, gone by itself.

use std::fs;
use std::net::{IpAddr, TcpStream};

use serde_json::json;

use super::fixture::{Daemon, visit, write};
use super::http::{Answer, exchange};

const DIARY: &str = "template: diary-v1\nenableApi: true\nvisitors: everyone\n";
const APP: &str = "alice-diary";
const ROUTE: &str = "/apps/alice/diary/preview";

fn host(daemon: &Daemon) -> String {
    format!("{APP}--preview.{}", daemon.env["PAAS_DOMAIN"])
}

/// Her own file, deployed; then another one.
fn with_two_versions(daemon: &Daemon) {
    daemon.run(APP, DIARY);
    let file = daemon.folder(APP).join("app/public/hello.txt");
    for text in ["the first\n", "the second\n"] {
        write(&file, text);
        daemon.paas(&["deploy", APP]).done();
    }
}

/// As its owner would, past whoever asks who comes.
fn inside(daemon: &Daemon, method: &str, path: &str, body: Option<&str>) -> Answer {
    let endpoint = daemon.status()["previews"][APP]["endpoint"].clone();
    let ip: IpAddr = endpoint["ip"].as_str().unwrap().parse().unwrap();
    let stream = TcpStream::connect((ip, 3000)).unwrap();
    exchange(stream, method, path, "localhost", body.map(|body| ("application/json", body.as_bytes()))).unwrap()
}

fn entries(daemon: &Daemon) -> String {
    inside(daemon, "GET", "/api/entries", None).text()
}

fn is_gone(daemon: &Daemon) -> Option<()> {
    daemon.docker.inspect(&format!("paas-app-{APP}.preview")).is_none().then_some(())
}

fn has_no_folders(daemon: &Daemon) -> Option<()> {
    (!daemon.path("apps/.previews").join(APP).exists()).then_some(())
}

#[test]
fn an_owner_sees_an_old_version_on_copied_data_and_nobody_else_does() {
    let mut daemon = Daemon::start();
    with_two_versions(&daemon);
    daemon.write_entry(APP, "before");
    let serving = daemon.container(APP);

    let said = daemon.paas(&["preview", APP]).done();
    assert!(said.contains(&format!("http://{}:{}/", host(&daemon), daemon.port)), "{said}");
    let preview = daemon.ask(ROUTE);
    assert_eq!(preview["state"], "ready", "{preview:#}");

    // A stranger learns nothing, by no method and no path, though the diary is everybody's.
    for (method, path) in [("GET", "/"), ("GET", "/hello.txt"), ("GET", "/api/entries"), ("POST", "/api/entries")] {
        let answer = visit(daemon.port, method, &host(&daemon), path, None).unwrap();
        assert_eq!(answer.status, 403, "{method} {path}");
        assert!(answer.text().contains("Only its owner can see this site"), "{method} {path}: {}", answer.text());
    }

    // What it shows, and what is done in it stays in it.
    assert_eq!(inside(&daemon, "GET", "/hello.txt", None).text(), "the first\n");
    assert!(entries(&daemon).contains("before"), "it has the data");
    assert_eq!(inside(&daemon, "POST", "/api/entries", Some(r#"{"body": "only a try"}"#)).status, 201);
    assert!(entries(&daemon).contains("only a try"));
    assert_eq!(daemon.entries(APP), ["before"], "the real data is as it was");
    daemon.write_entry(APP, "after");
    assert!(!entries(&daemon).contains("after"), "what comes later is not in the copy");

    // As confined as the app, with its limits, and no part of it.
    let container = daemon.docker.inspect(&format!("paas-app-{APP}.preview")).unwrap();
    for field in ["Memory", "NanoCpus", "PidsLimit", "CapDrop", "SecurityOpt", "ReadonlyRootfs"] {
        assert_eq!(container["HostConfig"][field], serving["HostConfig"][field], "{field}");
    }
    assert_eq!(container["Config"]["User"], serving["Config"]["User"]);
    assert_eq!(daemon.container(APP)["Id"], serving["Id"], "the site was left alone");
    assert_eq!(daemon.text("/metrics").matches("diary--preview").count(), 0);

    // A daemon that is started again goes on with it; the site can be edited beside it.
    daemon.restart();
    daemon.until("it is known again", || (daemon.ask(ROUTE)["state"] == "ready").then_some(()));
    assert_eq!(daemon.docker.inspect(&format!("paas-app-{APP}.preview")).unwrap()["Id"], container["Id"]);
    daemon.run(APP, &format!("{DIARY}env: {{GREETING: hello}}\n"));
    assert_eq!(daemon.ask(ROUTE)["state"], "ready");

    // When its time is over there is nothing of it any more.
    daemon.stop();
    let database = rusqlite::Connection::open(daemon.path("portal-data/portal.sqlite3")).unwrap();
    let name = format!("preview {APP}");
    let text: String = database.query_row("SELECT value FROM meta WHERE name = ?1", [&name], |row| row.get(0)).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["until"] = json!(record["since"]);
    database.execute("UPDATE meta SET value = ?1 WHERE name = ?2", [&record.to_string(), &name]).unwrap();
    drop(database);
    daemon.serve();
    daemon.until("it is over", || is_gone(&daemon));
    daemon.until("its folders are gone", || has_no_folders(&daemon));
    assert_eq!(daemon.ask(ROUTE), serde_json::Value::Null);
    assert_eq!(visit(daemon.port, "GET", &host(&daemon), "/", None).unwrap().status, 404);
    assert_eq!(daemon.entries(APP), ["after", "before"]);
}

#[test]
fn a_preview_that_cannot_be_shown_says_why_and_goes_with_its_app() {
    let daemon = Daemon::start();
    with_two_versions(&daemon);
    write(&daemon.folder(APP).join("app/server.js"), "console.error('no such wheel'); process.exit(3);\n");
    assert_eq!(daemon.paas(&["deploy", APP]).code, 3);
    daemon.until_condition(APP, "DeployFailed");
    let listed: serde_json::Value =
        serde_json::from_str(&daemon.paas(&["versions", APP, "-o", "json"]).done()).unwrap();
    let broken = listed["versions"][0]["id"].as_str().unwrap().to_owned();

    let ran = daemon.paas(&["preview", APP, &broken]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("no such wheel"), "{ran:?}");
    assert_eq!(daemon.get(APP, "/hello.txt").text(), "the second\n");

    // Another one takes its place; stopped, there is none.
    daemon.paas(&["preview", APP]).done();
    assert!(daemon.paas(&["preview", APP, "--stop"]).done().contains("is taken away"));
    daemon.until("it is gone", || is_gone(&daemon).and(has_no_folders(&daemon)));

    // What an app leaves in its data for whoever copies it leads nowhere.
    let data = daemon.folder(APP).join("data");
    std::os::unix::fs::symlink("/etc/shadow", data.join("shadow")).unwrap();
    write(&data.join("crafted.sqlite3"), "SQLite format 3\0 and nothing that could be one\n");
    let ran = daemon.paas(&["preview", APP]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("could not be copied"), "{ran:?}");
    fs::remove_file(data.join("crafted.sqlite3")).unwrap();
    daemon.paas(&["preview", APP]).done();
    let folder = fs::read_dir(daemon.path("apps/.previews").join(APP)).unwrap().next().unwrap().unwrap().path();
    assert!(fs::symlink_metadata(folder.join("data/db.sqlite3")).is_ok());
    assert!(fs::symlink_metadata(folder.join("data/shadow")).is_err());

    daemon.delete(APP);
    daemon.until_gone(APP);
    daemon.until("its preview went with it", || is_gone(&daemon).and(has_no_folders(&daemon)));
}
