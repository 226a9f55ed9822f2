//! What people and other programs do to containers by hand, and how the daemon puts it right.

use serde_json::{Value, json};

use super::fixture::{Daemon, PAGE, RUNTIME_IMAGE, container};

/// Waits until Docker shows the app's container as wanted and a visitor is served by it.
#[track_caller]
fn until_repaired(daemon: &Daemon, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    daemon.until(what, || {
        let seen = daemon.docker.inspect(&container("alice-page"))?;
        let served = daemon.visit("alice-page", "/").is_ok_and(|answer| answer.status == 200);
        (served && holds(&seen)).then_some(seen)
    })
}

#[test]
fn whatever_is_done_to_a_container_by_hand_is_put_right() {
    let daemon = Daemon::start();
    let name = container("alice-page");
    let first = daemon.run("alice-page", PAGE);
    let docker = &daemon.docker;
    let runs = |seen: &Value| seen["State"]["Status"] == "running";
    let same = |seen: &Value| runs(seen) && seen["Id"] == first["Id"];

    docker.post(&format!("/containers/{name}/kill"));
    let after = until_repaired(&daemon, "killed", same);
    assert_ne!(after["State"]["StartedAt"], first["State"]["StartedAt"]);

    docker.post(&format!("/containers/{name}/stop?t=5"));
    until_repaired(&daemon, "stopped", same);

    docker.post(&format!("/containers/{name}/pause"));
    until_repaired(&daemon, "paused", same);

    docker.post(&format!("/containers/{name}/rename?name={}-elsewhere", daemon.network));
    until_repaired(&daemon, "renamed", same);
    assert!(docker.inspect(&format!("{}-elsewhere", daemon.network)).is_none());

    let limits = json!({ "Memory": 64 << 20, "MemorySwap": 64 << 20, "NanoCpus": 100_000_000, "PidsLimit": 20,
        "RestartPolicy": { "Name": "no" } });
    let before = docker.inspect(&name).unwrap();
    docker.does("POST", &format!("/containers/{name}/update"), Some(&limits));
    let after = until_repaired(&daemon, "limits changed", |seen| {
        let (host, wanted) = (&seen["HostConfig"], &first["HostConfig"]);
        same(seen)
            && ["Memory", "MemorySwap", "NanoCpus", "PidsLimit", "RestartPolicy"]
                .iter()
                .all(|key| host[key] == wanted[key])
    });
    assert_eq!(before["State"]["StartedAt"], after["State"]["StartedAt"], "limits need no restart");

    let network = format!("/networks/{}/disconnect", daemon.network);
    docker.does("POST", &network, Some(&json!({ "Container": name, "Force": true })));
    until_repaired(&daemon, "disconnected", |seen| {
        runs(seen)
            && seen["NetworkSettings"]["Networks"][&daemon.network]["IPAddress"]
                .as_str()
                .is_some_and(|ip| !ip.is_empty())
    });

    docker.remove(&name);
    let after = until_repaired(&daemon, "removed", runs);
    assert_ne!(after["Id"], first["Id"]);
    assert_eq!(daemon.paas(&["plan"]).code, 0);
}

#[test]
fn a_container_of_somebody_else_with_our_name_is_left_alone_until_its_owner_moves_it() {
    let daemon = Daemon::start();
    let name = container("alice-page");
    let foreign = daemon.docker.foreign(&name, RUNTIME_IMAGE, &["sleep", "1000"]);
    daemon.docker.post(&format!("/containers/{foreign}/start"));
    let before = daemon.docker.inspect(&foreign).unwrap();
    daemon.save("alice-page", PAGE);
    daemon.save("bob-page", PAGE);
    let message = daemon.until_condition("alice-page", "Conflict");
    assert!(message.contains(&name) && message.contains("docker rename"), "{message}");
    daemon.ready("bob-page");
    daemon.paas(&["stop", "alice-page", "--no-wait"]).done();
    daemon.paas(&["start", "alice-page", "--no-wait"]).done();
    // Time enough for whatever might happen to alice's.
    daemon.paas(&["delete", "bob-page"]).done();
    assert_eq!(daemon.docker.inspect(&foreign).unwrap(), before);
    daemon.until_condition("alice-page", "Conflict");

    daemon.docker.post(&format!("/containers/{foreign}/rename?name={}-moved", daemon.network));
    let ours = daemon.ready("alice-page");
    assert_ne!(ours["Id"], before["Id"]);
    assert_eq!(daemon.condition("alice-page", "Conflict"), None);
    let mut after = daemon.docker.inspect(&foreign).unwrap();
    after["Name"] = before["Name"].clone();
    assert_eq!(after, before);
    daemon.docker.remove(&foreign);
}

#[test]
fn a_container_that_only_looks_like_ours_by_some_labels_is_never_touched() {
    let daemon = Daemon::start();
    let ours = daemon.run("alice-page", PAGE);
    let mut labels = ours["Config"]["Labels"].clone();
    labels["paas.instance"] = json!("0123456789abcdef");
    let spec = json!({ "Image": RUNTIME_IMAGE, "Cmd": ["sleep", "1000"], "Labels": labels });
    let name = format!("{}-lookalike", daemon.network);
    daemon.docker.does("POST", &format!("/containers/create?name={name}"), Some(&spec));
    daemon.docker.post(&format!("/containers/{name}/start"));
    let before = daemon.docker.inspect(&name).unwrap();
    daemon.run("alice-page", "template: static-v1\nenv: {A: b}\n");
    daemon.paas(&["delete", "alice-page"]).done();
    assert_eq!(daemon.docker.inspect(&name).unwrap(), before);
    daemon.docker.remove(&name);
}

#[test]
fn a_moved_image_tag_rolls_the_apps_over_to_what_it_stands_for_now() {
    let mut daemon = Daemon::prepared();
    let image = daemon.use_own_image();
    daemon.docker.tag(RUNTIME_IMAGE, &image);
    daemon.serve();
    let first = daemon.run("alice-page", PAGE);
    let visitor = super::everyday::Visitor::of(&daemon, "alice-page", "/");
    let draft = daemon.docker.foreign(&format!("{}-draft", daemon.network), RUNTIME_IMAGE, &["true"]);
    let path = format!("/commit?container={draft}&repo={image}&tag=latest");
    daemon.docker.does("POST", &path, Some(&json!({ "Labels": { "paas.type": "by-hand" } })));
    daemon.docker.remove(&draft);
    let id = daemon.docker.image_id(&format!("{image}:latest"));
    assert_ne!(first["Image"], id.as_str());
    let after = until_repaired(&daemon, "rolled over", |seen| seen["Image"] == id.as_str());
    assert_ne!(after["Id"], first["Id"]);
    visitor.was_always_served();
}

#[test]
fn a_network_removed_while_the_daemon_was_away_is_made_again_and_the_apps_are_back_on_it() {
    let mut daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    daemon.kill();
    let path = format!("/networks/{}", daemon.network);
    let who = json!({ "Container": container("alice-page"), "Force": true });
    daemon.docker.does("POST", &format!("{path}/disconnect"), Some(&who));
    daemon.docker.does("DELETE", &path, None);
    daemon.serve();
    until_repaired(&daemon, "on a new network", |seen| {
        let ip = &seen["NetworkSettings"]["Networks"][&daemon.network]["IPAddress"];
        ip.as_str().is_some_and(|ip| !ip.is_empty())
    });
    assert_eq!(daemon.status()["network"]["state"], "ready");
}

/// As an earlier version made it: without the filter of system calls, the limits of processes and the bound on `/dev/shm`.
#[test]
fn an_upgrade_restarts_no_app_and_each_gets_what_is_new_at_its_next_deploy() {
    let mut daemon = Daemon::start();
    let new = daemon.run("alice-page", PAGE);
    daemon.stop();
    let name = container("alice-page");
    daemon.docker.remove(&name);
    let mut body = new["Config"].clone();
    body["HostConfig"] = new["HostConfig"].clone();
    for what in ["Ulimits", "ShmSize"] {
        body["HostConfig"].as_object_mut().unwrap().remove(what);
    }
    body["HostConfig"]["SecurityOpt"] = json!(["no-new-privileges"]);
    let endpoint = json!({ "IPAMConfig": new["NetworkSettings"]["Networks"][&daemon.network]["IPAMConfig"] });
    body["NetworkingConfig"] = json!({ "EndpointsConfig": { &daemon.network: endpoint } });
    daemon.docker.does("POST", &format!("/containers/create?name={name}"), Some(&body));
    daemon.docker.post(&format!("/containers/{name}/start"));
    let old = daemon.container("alice-page");

    daemon.serve();
    let seen = daemon.ready("alice-page");
    assert_eq!((&seen["Id"], &seen["State"]["StartedAt"]), (&old["Id"], &old["State"]["StartedAt"]));
    daemon.paas(&["deploy", "alice-page"]).done();
    let seen = daemon.ready("alice-page");
    for what in ["SecurityOpt", "Ulimits", "ShmSize"] {
        assert_eq!(seen["HostConfig"][what], new["HostConfig"][what], "{what}");
    }
    assert_ne!(seen["HostConfig"]["ShmSize"], old["HostConfig"]["ShmSize"]);
}
