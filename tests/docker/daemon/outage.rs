//! Docker stopped, killed, its socket gone: the daemon says so, changes nothing, and catches up by itself.

use serde_json::Value;

use super::engine::Engine;
use super::fixture::{DIARY, Daemon, PAGE, container};

#[track_caller]
fn until_unreachable(daemon: &Daemon) {
    daemon.until("Docker's absence is told", || (daemon.status()["engine"]["state"] == "unreachable").then_some(()));
    assert_eq!(daemon.health(), (503, "engine-unreachable".to_owned()));
}

#[track_caller]
fn until_served(daemon: &Daemon, app: &str) {
    daemon.until(&format!("{app} serves"), || daemon.visit(app, "/").ok().filter(|answer| answer.status == 200));
    daemon.until("the daemon is healthy", || (daemon.health().0 == 200).then_some(()));
}

#[test]
fn a_stopped_engine_is_told_and_what_was_edited_meanwhile_is_caught_up_with() {
    let daemon = Daemon::start();
    let engine = Engine;
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    daemon.run("bob-page", PAGE);
    Engine::does("stop");
    until_unreachable(&daemon);
    assert!(daemon.condition("alice-diary", "EngineUnreachable").is_some());
    let shown = daemon.paas(&["status"]).done();
    assert!(shown.contains("Docker does not answer"), "{shown}");
    daemon.save("alice-diary", &format!("{DIARY}memory: 111m\n"));
    daemon.save("bob-page", "template: static-v1\nstate: stopped\n");
    daemon.save("carol-page", PAGE);

    Engine::does("start");
    let after = daemon.ready("alice-diary");
    assert_eq!(after["HostConfig"]["Memory"], 111 << 20);
    until_served(&daemon, "alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    daemon.ready("carol-page");
    daemon.until("bob's page is stopped", || (daemon.app("bob-page")["phase"] == "Stopped").then_some(()));
    assert_eq!(daemon.condition("alice-diary", "EngineUnreachable"), None);
    drop(engine);
}

#[test]
fn after_a_killed_engine_the_apps_are_back_with_their_data() {
    let daemon = Daemon::start();
    let engine = Engine;
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    daemon.run("bob-page", "template: static-v1\nrestart: \"no\"\n");
    Engine::does("kill");
    until_unreachable(&daemon);
    Engine::does("start");
    until_served(&daemon, "alice-diary");
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    // The returning engine ends what it finds running. With this policy that looks like the app's own end: it is told,
    // with the way out.
    let told = daemon.until_condition("bob-page", "CrashLoop");
    assert!(told.contains("restart policy `no`") && told.contains("paas deploy bob-page"), "{told}");
    daemon.paas(&["deploy", "bob-page"]).done();
    until_served(&daemon, "bob-page");
    // The connection is a living one: what is done by hand is heard again.
    daemon.docker.remove(&container("alice-diary"));
    daemon.until("it is put back", || daemon.docker.inspect(&container("alice-diary")));
    drop(engine);
}

#[test]
fn a_daemon_that_starts_before_its_docker_waits_for_it() {
    let mut daemon = Daemon::prepared();
    let engine = Engine;
    Engine::does("stop");
    daemon.serve();
    until_unreachable(&daemon);
    daemon.save("alice-page", PAGE);
    let plan = daemon.paas(&["plan"]);
    assert!(plan.code == 1 && plan.err.contains("Docker"), "{plan:?}");
    Engine::does("start");
    daemon.ready("alice-page");
    until_served(&daemon, "alice-page");
    drop(engine);
}

#[test]
fn a_socket_that_is_gone_for_a_while_costs_nothing_but_time() {
    let daemon = Daemon::start();
    let first = daemon.run("alice-page", PAGE);
    let (socket, away) = (daemon.docker.0.clone(), daemon.docker.0.with_extension("away"));
    std::fs::rename(&socket, &away).unwrap();
    daemon.save("alice-page", "template: static-v1\nmemory: 88m\n");
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        daemon.until("Docker's absence is told", || {
            let unreachable = daemon.status()["engine"]["state"] == "unreachable";
            let of_app = daemon.condition("alice-page", "EngineUnreachable").is_some();
            (unreachable || of_app).then_some(())
        });
        assert_eq!(daemon.get("alice-page", "/").status, 200, "visitors do not need Docker");
    }));
    std::fs::rename(&away, &socket).unwrap();
    told.unwrap();
    let after = daemon.ready("alice-page");
    assert_eq!(after["HostConfig"]["Memory"], 88 << 20);
    assert_eq!((&after["Id"], &after["State"]["StartedAt"]), (&first["Id"], &first["State"]["StartedAt"]));
    until_served(&daemon, "alice-page");
    assert_ne!(daemon.status()["lastResync"], Value::Null);
}
