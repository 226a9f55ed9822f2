//! Apps that end by themselves, and deploys in the mode without a gateway.

use std::fs;

use serde_json::json;

use super::fixture::{Daemon, PAGE, visit, write};
use crate::restart_support::{Crowd, Visitor};

/// A template whose app is this program.
pub(super) fn template(daemon: &Daemon, id: &str, program: &str) {
    let folder = daemon.path("templates").join(id);
    fs::create_dir_all(folder.join("app")).unwrap();
    let about = json!({ "id": id, "name": "a test", "version": "1.0.0", "supportsApi": false, "internalPort": 3000 });
    write(&folder.join("template.json"), &about.to_string());
    write(&folder.join("app/server.js"), program);
}

#[test]
fn an_app_that_keeps_ending_is_a_crash_loop_with_its_exit_code_and_last_words() {
    let daemon = Daemon::start();
    template(&daemon, "broken-v1", "console.error('no such wheel'); process.exit(5);\n");
    daemon.save("alice-page", "template: broken-v1\n");
    daemon.run("bob-page", PAGE);
    let app = daemon.until("the crash loop is told", || {
        let app = daemon.app("alice-page");
        (app["phase"] == "CrashLoop").then_some(app)
    });
    assert_eq!((&app["lastExit"]["code"], &app["lastExit"]["oomKilled"]), (&json!(5), &json!(false)), "{app:#}");
    assert!(app["lastExit"]["log"].to_string().contains("no such wheel"), "{app:#}");
    let answer = daemon.get("alice-page", "/");
    assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
    assert_eq!(daemon.get("bob-page", "/").status, 200);

    // Repaired in its own folder, as the page of its owner would be.
    let server = daemon.folder("alice-page").join("app/server.js");
    write(&server, &fs::read_to_string(daemon.path("templates/static-v1/app/server.js")).unwrap());
    for name in ["content.json", "content.schema.json"] {
        let shipped = daemon.path("templates/static-v1/app").join(name);
        fs::copy(shipped, daemon.folder("alice-page").join("app").join(name)).unwrap();
    }
    daemon.paas(&["deploy", "alice-page"]).done();
    assert_eq!(daemon.get("alice-page", "/").status, 200);
    assert_eq!(daemon.app("alice-page")["phase"], "Running");
}

/// Ends when it is told to, and then takes a moment to start.
const ENDS: &str = r"
const http = require('node:http');
const server = http.createServer((request, response) => {
  if (request.url === '/end') process.exit(3);
  setTimeout(() => response.end('here'), 20);
});
setTimeout(() => server.listen(process.env.PORT), 300);
";

#[test]
fn visitors_of_an_app_that_crashes_wait_until_it_is_back() {
    let daemon = Daemon::start();
    template(&daemon, "ends-v1", ENDS);
    daemon.run("alice-page", "template: ends-v1\n");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], daemon.port));
    let host = daemon.host("alice-page");
    let ask = || Visitor::asking(address, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let crowd = Crowd::of((0..8).map(|_| ask()).collect(), 200);
    let started = || daemon.container("alice-page")["State"]["StartedAt"].clone();
    // A third one in a minute is a crash loop.
    for _ in 0..2 {
        crowd.are_answered();
        let before = started();
        // Whoever brings it down is told, and not with an empty error.
        let told = visit(daemon.port, "POST", &daemon.host("alice-page"), "/end", None).unwrap();
        assert_eq!(told.status, 503, "{}", told.text());
        daemon.until("Docker has started it again", || (started() != before).then_some(()));
        crowd.are_answered();
    }
    let (answered, failures) = crowd.leave();
    println!("{answered} requests over 2 crashes, lost: {}", failures.len());
    assert_eq!(failures, [] as [String; 0], "of {answered} requests");
}

#[test]
fn an_app_that_takes_more_memory_than_it_may_is_told_to_have_done_so() {
    let daemon = Daemon::start();
    template(&daemon, "greedy-v1", "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 7));\n");
    daemon.save("alice-page", "template: greedy-v1\nmemory: 48m\n");
    let app = daemon.until("the lack of memory is told", || {
        let app = daemon.app("alice-page");
        (app["lastExit"]["oomKilled"] == true && app["phase"] == "CrashLoop").then_some(app)
    });
    let message = daemon.condition("alice-page", "CrashLoop").unwrap_or_default();
    assert!(message.contains("raise `memory`"), "{message} {app:#}");
}

#[test]
fn without_the_gateway_a_version_that_fails_gives_way_to_the_one_before() {
    let daemon = Daemon::start_with(&[("PAAS_ROUTING", "direct")]);
    let good = daemon.run("alice-page", PAGE);
    let server = daemon.folder("alice-page").join("app/server.js");
    write(&server, "process.exit(3);\n");
    daemon.paas(&["deploy", "alice-page", "--no-wait"]).done();
    daemon.until_condition("alice-page", "DeployFailed");
    let kept = daemon.until("the version before is back", || {
        let seen = daemon.container("alice-page");
        (seen["Id"] == good["Id"]).then_some(seen)
    });
    assert_eq!(kept["State"]["Running"], true, "its code is a version of its own");
    assert!(daemon.docker.inspect("paas-app-alice-page.prev").is_none());
    let network = format!("/networks/{}-direct", daemon.network);
    let options = daemon.docker.does("GET", &network, None)["Options"].clone();
    assert_eq!(options["com.docker.network.bridge.enable_icc"], "true");
}
