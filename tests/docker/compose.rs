//! The way out, taken: Debian's `docker-compose` (package `docker-compose`, 1.29) makes the app from the generated file,
//! and `inspect` finds the container that the daemon would have made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minipaas::compose::compose_yaml;
use minipaas::engine::Engine as _;
use minipaas::model::spec::{Access, Mount, SECCOMP, SECCOMP_FILE};
use minipaas::model::{Bytes, ContainerId, ContainerSpec, Limits, MilliCpus, RestartPolicy};
use serde_json::Value;

use crate::common::{Place, by_hand};

/// A spec like that of an app, on a network of its own.
async fn app(place: &Place, suffix: &str) -> ContainerSpec {
    let network = place.network_spec(suffix);
    place.engine.create_network(&network).await.unwrap();
    let mount = |name: &str, target: &str, access| Mount {
        source: place.folder(&format!("{suffix}-{name}")),
        target: target.to_owned(),
        access,
    };
    let mut spec = place.spec(suffix, "while true; do sleep 1; done");
    spec.mounts = vec![mount("app", "/app", Access::ReadOnly), mount("data", "/data", Access::ReadWrite)];
    spec.network = network.name;
    spec.env = BTreeMap::from([("PORT".to_owned(), "3000".to_owned())]);
    spec
}

/// What `docker-compose up -d` makes of the spec.
async fn by_compose(place: &Place, spec: &ContainerSpec) -> Value {
    let folder = write(place, spec, &format!("{}-compose", spec.name)).await;
    compose(&folder, &["config", "--quiet"]).await;
    compose(&folder, &["up", "--detach"]).await;
    let seen = inspect(&spec.name).await;
    // It counts as up to date: a second `up` changes nothing.
    compose(&folder, &["up", "--detach"]).await;
    assert_eq!(inspect(&spec.name).await["Id"], seen["Id"]);
    place.engine.remove(&ContainerId(spec.name.clone())).await.unwrap();
    seen
}

/// The folder's name is the project's. Both files of it, as the daemon writes them.
async fn write(place: &Place, spec: &ContainerSpec, folder: &str) -> PathBuf {
    let folder = place.folder(folder);
    tokio::fs::write(folder.join("docker-compose.yml"), compose_yaml(spec)).await.unwrap();
    tokio::fs::write(folder.join(SECCOMP_FILE), SECCOMP).await.unwrap();
    folder
}

async fn compose(folder: &Path, arguments: &[&str]) {
    let output = tokio::process::Command::new("docker-compose")
        .args(["--ansi", "never", "--file"])
        .arg(folder.join("docker-compose.yml"))
        .args(arguments)
        .current_dir(folder)
        .env("DOCKER_HOST", std::env::var("MINIPAAS_TEST_DOCKER").unwrap())
        // Would be put in for `$HOME` if that were not escaped.
        .env("HOME", folder)
        .output()
        .await
        .unwrap_or_else(|error| panic!("cannot run docker-compose: {error}; `apt-get install docker-compose`"));
    let file = std::fs::read_to_string(folder.join("docker-compose.yml")).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}\n{file}", String::from_utf8_lossy(&output.stderr));
}

async fn by_daemon(place: &Place, spec: &ContainerSpec) -> Value {
    let id = place.run(spec).await;
    let seen = inspect(id.as_str()).await;
    place.engine.remove(&id).await.unwrap();
    seen
}

async fn inspect(container: &str) -> Value {
    let seen = by_hand().inspect_container(container, None).await.unwrap();
    serde_json::to_value(seen).unwrap()
}

/// Everything the container was asked to be, without what the tool adds to remember it by. Order of environment
/// variables and mounts means nothing.
fn asked(seen: &Value) -> Value {
    let mut config = seen["Config"].clone();
    if let Some(labels) = config["Labels"].as_object_mut() {
        labels.retain(|name, _| !name.starts_with("com.docker.compose."));
    }
    sort(&mut config["Env"]);
    let mut host = seen["HostConfig"].clone();
    host["SecurityOpt"] = host["SecurityOpt"].as_array().unwrap().iter().map(parsed).collect();
    sort(&mut host["Mounts"]);
    let mut mounts = seen["Mounts"].clone();
    sort(&mut mounts);
    let networks: Vec<&String> = seen["NetworkSettings"]["Networks"].as_object().unwrap().keys().collect();
    serde_json::json!({
        "Name": seen["Name"], "Image": seen["Image"], "Path": seen["Path"], "Args": seen["Args"],
        "Config": empty_is_null(config), "HostConfig": empty_is_null(host), "Mounts": mounts, "Networks": networks,
    })
}

/// The tool reads the profile and writes it again, with other blanks.
fn parsed(option: &Value) -> Value {
    let profile = option.as_str().and_then(|option| option.strip_prefix("seccomp="));
    profile.map_or_else(
        || option.clone(),
        |json| serde_json::json!({ "seccomp": serde_json::from_str::<Value>(json).unwrap() }),
    )
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
}

/// `[]`, `{}`, `""` and `false` are how one client and absent or null how another says nothing.
fn empty_is_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| (name, empty_is_null(value)));
            let kept: serde_json::Map<_, _> = kept.filter(|(_, value)| !value.is_null()).collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Bool(false) => Value::Null,
        other => other,
    }
}

async fn assert_same(place: &Place, spec: &ContainerSpec) {
    let (compose, daemon) = (asked(&by_compose(place, spec).await), asked(&by_daemon(place, spec).await));
    for part in ["Config", "HostConfig"] {
        let names = |value: &Value| value[part].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for name in names(&compose).iter().chain(&names(&daemon)) {
            assert_eq!(compose[part][name], daemon[part][name], "{part}.{name} (compose left, daemon right)");
        }
    }
    assert_eq!(compose, daemon, "compose left, daemon right");
}

#[tokio::test]
async fn compose_makes_the_container_that_the_daemon_makes() {
    let place = Place::new().await;
    assert_same(&place, &app(&place, "plain").await).await;
}

#[tokio::test]
async fn compose_changes_no_character_of_a_nasty_value() {
    let place = Place::new().await;
    let mut spec = app(&place, "nasty").await;
    for (number, value) in [
        "",
        "$HOME ${HOME} $$ $",
        "a \"b\" 'c' \\ d",
        "two\nlines\n",
        "  spaces and\ttab  ",
        "# no: comment",
        "- [a, {b: c}] & *x !y | > % @ `",
        "no",
        "0755",
        "1e3",
        "null",
        "~",
        "2026-11-22",
        "안녕 🌱\u{a0}é",
        "\u{1}\u{1b}[31m\u{7f}\u{85}\u{2028}\u{feff}",
        "=: =",
    ]
    .iter()
    .enumerate()
    {
        spec.env.insert(format!("NASTY_{number}"), (*value).to_owned());
    }
    spec.labels.insert("paas.nasty".to_owned(), "$HOME: \"x\"\n# y".to_owned());
    spec.command.push("$HOME \"quoted\" 'and' \\".to_owned());
    assert_same(&place, &spec).await;
}

#[tokio::test]
async fn compose_enforces_the_same_limits_and_restart_policies() {
    let place = Place::new().await;
    let mut spec = app(&place, "limits").await;
    // As whole floats; see `compose::cpus` for those that are not.
    for (memory, cpus, pids, restart) in [
        (Bytes::mib(6), MilliCpus(10), 1, RestartPolicy::Always),
        (Bytes(Bytes::GIB), MilliCpus(1000), 4096, RestartPolicy::UnlessStopped),
        (Bytes(100_000_001), MilliCpus(1250), 33, RestartPolicy::OnFailure(None)),
        (Bytes::mib(64), MilliCpus(290), 128, RestartPolicy::OnFailure(Some(3))),
    ] {
        spec.limits = Limits { memory, cpus, pids };
        spec.restart = restart;
        spec.stop_grace_seconds = 7;
        assert_same(&place, &spec).await;
    }
}

/// The tool cannot say 0.067 cores; see `compose::cpus`.
#[tokio::test]
async fn compose_takes_every_number_of_cores() {
    let place = Place::new().await;
    let mut spec = app(&place, "cores").await;
    for milli in [67, 1001] {
        spec.limits.cpus = MilliCpus(milli);
        let seen = by_compose(&place, &spec).await["HostConfig"]["NanoCpus"].as_i64().unwrap();
        assert_eq!(seen / 10_000, spec.limits.cpus.nano() / 10_000, "{milli}");
    }
}

/// Their folders have one name, so Compose takes them for one project.
#[tokio::test]
async fn apps_of_one_name_of_two_people_leave_without_touching_each_other() {
    let place = Place::new().await;
    let mut ids = Vec::new();
    for user in ["alice", "bob"] {
        let mut spec = app(&place, user).await;
        spec.hostname = format!("{user}-diary");
        let folder = write(&place, &spec, &format!("{user}/{}", place.name("diary"))).await;
        compose(&folder, &["up", "--detach"]).await;
        ids.push((spec.name.clone(), inspect(&spec.name).await["Id"].clone()));
    }
    for (name, id) in ids {
        let seen = inspect(&name).await;
        assert_eq!((&seen["Id"], &seen["State"]["Running"]), (&id, &Value::Bool(true)), "{name}");
    }
}
