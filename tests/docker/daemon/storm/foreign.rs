//! Containers and folders of somebody else, however similar: nothing ever happens to them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::by_hand::{Docker, escaped};
use super::super::fixture::{DEADLINE, RUNTIME_IMAGE};

/// By this label they are found again, also those of a run that was interrupted.
const LABEL: &str = "minipaas.test.storm";

/// A container that is not ours.
#[derive(Debug, Clone)]
pub(super) struct ForeignContainer {
    id: String,
    /// As it was made, or renamed by its owner.
    name: String,
    /// All that nobody but Docker's own restart may change.
    seen: Value,
}

impl ForeignContainer {
    /// `None` when the name is taken or Docker is away.
    pub(super) fn appear(docker: &Docker, name: &str, mut labels: Value) -> Option<Self> {
        labels[LABEL] = json!("foreign");
        let spec = json!({ "Image": RUNTIME_IMAGE, "Cmd": ["sleep", "1000000"], "Labels": labels,
            "HostConfig": { "NetworkMode": "none", "Init": true, "RestartPolicy": { "Name": "always" } } });
        let made = docker.try_ask("POST", &format!("/containers/create?name={name}"), Some(&spec)).ok()?;
        if made.status != 201 {
            return None;
        }
        let id = made.json()["Id"].as_str().unwrap().to_owned();
        // Should Docker go away right now, it is insisted upon: the name is taken, and the restart policy needs a first start.
        let started = insist("it is started", || docker.try_ask("POST", &format!("/containers/{id}/start"), None).ok());
        assert!(matches!(started.status, 204 | 304), "{}", started.text());
        let seen = insist("it runs", || inspect(docker, &id).filter(|seen| seen["status"] == "running"));
        Some(Self { id, name: name.to_owned(), seen })
    }

    /// Its owner renames it.
    pub(super) fn rename(&mut self, docker: &Docker, name: &str) {
        docker.post(&format!("/containers/{}/rename?name={name}", self.id));
        name.clone_into(&mut self.name);
    }

    /// What happened to it, if anything. A restart of Docker starts it again, which is taken as its new start.
    pub(super) fn trouble(&mut self, docker: &Docker, restarted: bool) -> Option<String> {
        let Some(mut now) = inspect(docker, &self.id) else {
            return Some(format!("the foreign container {} is gone", self.name));
        };
        let name = now["name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        self.seen["name"] = now["name"].clone();
        if restarted {
            self.seen["started"] = now["started"].take();
            now["started"] = self.seen["started"].clone();
        }
        let same = name == self.name && now == self.seen;
        (!same).then(|| format!("the foreign container {} was touched: {now} instead of {}", self.name, self.seen))
    }
}

/// Until Docker is there to do it.
fn insist<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `None` when it is gone, or Docker is away.
fn inspect(docker: &Docker, id: &str) -> Option<Value> {
    let answer = docker.try_ask("GET", &format!("/containers/{id}/json"), None).ok()?;
    let seen = (answer.status == 200).then(|| answer.json())?;
    Some(json!({
        "id": seen["Id"], "name": seen["Name"], "status": seen["State"]["Status"], "started": seen["State"]["StartedAt"],
        "labels": seen["Config"]["Labels"], "memory": seen["HostConfig"]["Memory"],
        "restart": seen["HostConfig"]["RestartPolicy"], "networks": seen["HostConfig"]["NetworkMode"],
    }))
}

/// Takes all of them away.
pub(super) fn sweep(docker: &Docker) {
    let filter = json!({ "label": [LABEL] }).to_string();
    let Ok(answer) = docker.try_ask("GET", &format!("/containers/json?all=true&filters={}", escaped(&filter)), None)
    else {
        return;
    };
    for container in answer.json().as_array().into_iter().flatten() {
        docker.remove(container["Id"].as_str().unwrap_or_default());
    }
}
