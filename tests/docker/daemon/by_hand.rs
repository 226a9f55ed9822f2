//! What people and other programs do to Docker behind the daemon's back.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Answer, exchange};

/// Docker's own API, asked directly.
#[derive(Debug, Clone)]
pub(crate) struct Docker(pub(crate) PathBuf);

impl Docker {
    pub(crate) fn of_this_run() -> Self {
        let value = std::env::var("MINIPAAS_TEST_DOCKER").unwrap_or_default();
        let path = value.strip_prefix("unix://").unwrap_or_else(|| {
            panic!("MINIPAAS_TEST_DOCKER is `{value}` instead of `unix:///path/to/docker.sock`: run `scripts/test --docker`")
        });
        Self(PathBuf::from(path))
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// For those who reckon with an engine that is away.
    pub(crate) fn try_ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let text = body.map(Value::to_string);
        exchange(stream, method, path, "docker", text.as_ref().map(|text| ("application/json", text.as_bytes())))
    }

    /// Does something, and insists on it.
    #[track_caller]
    pub(crate) fn does(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> Value {
        self.does("POST", path, None)
    }

    /// `None` when there is no such container. The order of mounts means nothing and changes from answer to answer.
    pub(crate) fn inspect(&self, container: &str) -> Option<Value> {
        let answer = self.ask("GET", &format!("/containers/{container}/json"), None);
        let mut seen = (answer.status == 200).then(|| answer.json())?;
        if let Some(mounts) = seen["Mounts"].as_array_mut() {
            mounts.sort_by_key(|mount| mount["Destination"].to_string());
        }
        Some(seen)
    }

    pub(crate) fn remove(&self, container: &str) {
        self.ask("DELETE", &format!("/containers/{container}?force=true&v=true"), None);
    }

    /// Names of all containers on a network of this name, running or not.
    pub(crate) fn names_on(&self, network: &str) -> BTreeSet<String> {
        let filter = json!({ "network": [network] }).to_string();
        let path = format!("/containers/json?all=true&filters={}", escaped(&filter));
        let list = self.does("GET", &path, None);
        let name = |container: &Value| container["Names"][0].as_str().unwrap().trim_start_matches('/').to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    }

    /// A container that is not ours: made by hand, doing nothing, without our labels.
    #[track_caller]
    pub(crate) fn foreign(&self, name: &str, image: &str, command: &[&str]) -> String {
        let spec = json!({ "Image": image, "Cmd": command, "User": "0", "HostConfig": { "NetworkMode": "none" } });
        self.does("POST", &format!("/containers/create?name={name}"), Some(&spec))["Id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn tag(&self, image: &str, repository: &str) {
        self.post(&format!("/images/{image}/tag?repo={repository}&tag=latest"));
    }

    pub(crate) fn image_id(&self, image: &str) -> String {
        self.does("GET", &format!("/images/{image}/json"), None)["Id"].as_str().unwrap().to_owned()
    }
}

/// For a query string.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
