//! What Docker is asked for, to the letter.

use std::collections::BTreeMap;

use minipaas::engine::{BuildSpec, Engine as _, ErrorKind, ListFilter, NetworkSpec};
use minipaas::model::spec::{Access, Mount, SECCOMP};
use minipaas::model::{Bytes, ContainerId, ContainerSpec, Limits, MilliCpus, RestartPolicy};

use super::fake::{FakeDocker, INFO, Reply, chunks, nothing, ok, refuse};

const LIMITS: Limits = Limits { memory: Bytes::mib(256), cpus: MilliCpus(500), pids: 128 };

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn spec() -> ContainerSpec {
    ContainerSpec {
        name: "paas-app-alice-diary".to_owned(),
        image: "runtime:latest".to_owned(),
        hostname: "alice-diary".to_owned(),
        labels: map(&[("paas.type", "user-app")]),
        env: map(&[("PORT", "3000"), ("NODE_ENV", "production")]),
        command: vec!["node".to_owned(), "server.js".to_owned()],
        working_dir: "/app".to_owned(),
        user: "10001:10001".to_owned(),
        mounts: vec![
            Mount { source: "/paas/app".into(), target: "/app".to_owned(), access: Access::ReadOnly },
            Mount { source: "/paas/data".into(), target: "/data".to_owned(), access: Access::ReadWrite },
        ],
        tmpfs: vec![("/tmp".to_owned(), "rw,size=16m".to_owned())],
        limits: LIMITS,
        restart: RestartPolicy::OnFailure(Some(3)),
        network: "paas-proxy".to_owned(),
        address: None,
        port: 3000,
        stop_grace_seconds: 10,
    }
}

fn created(asked: &super::fake::Asked) -> Reply {
    match asked.path() {
        "/containers/create" => Reply::Json(201, r#"{"Id":"abc","Warnings":null}"#.to_owned()),
        _ => nothing(asked),
    }
}

#[tokio::test]
async fn a_container_is_asked_for_with_everything_in_force() {
    let fake = FakeDocker::engine(52, 44, created);
    assert_eq!(fake.client().create(&spec()).await.unwrap(), ContainerId("abc".to_owned()));
    let asked = fake.asked().pop().unwrap();
    assert_eq!(asked.line(), "POST /v1.52/containers/create?name=paas-app-alice-diary&platform=");
    let mut json = asked.json();
    let options = json["HostConfig"]["SecurityOpt"].as_array_mut().unwrap();
    let filter = options.iter_mut().find(|option| option.as_str().is_some_and(|option| option.starts_with("seccomp=")));
    let filter = filter.unwrap();
    assert_eq!(filter.as_str(), Some(&*format!("seccomp={SECCOMP}")));
    *filter = "(the filter)".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    {
      "Cmd": [
        "node",
        "server.js"
      ],
      "Env": [
        "NODE_ENV=production",
        "PORT=3000"
      ],
      "HostConfig": {
        "CapDrop": [
          "ALL"
        ],
        "Init": true,
        "LogConfig": {
          "Config": {
            "max-file": "3",
            "max-size": "10m"
          },
          "Type": "json-file"
        },
        "Memory": 268435456,
        "MemorySwap": 268435456,
        "Mounts": [
          {
            "ReadOnly": true,
            "Source": "/paas/app",
            "Target": "/app",
            "Type": "bind"
          },
          {
            "ReadOnly": false,
            "Source": "/paas/data",
            "Target": "/data",
            "Type": "bind"
          }
        ],
        "NanoCpus": 500000000,
        "NetworkMode": "paas-proxy",
        "OomScoreAdj": 300,
        "PidsLimit": 128,
        "ReadonlyRootfs": true,
        "RestartPolicy": {
          "MaximumRetryCount": 3,
          "Name": "on-failure"
        },
        "SecurityOpt": [
          "no-new-privileges",
          "(the filter)"
        ],
        "ShmSize": 16777216,
        "Tmpfs": {
          "/tmp": "rw,size=16m"
        },
        "Ulimits": [
          {
            "Hard": 8192,
            "Name": "nofile",
            "Soft": 4096
          },
          {
            "Hard": 0,
            "Name": "core",
            "Soft": 0
          }
        ]
      },
      "Hostname": "alice-diary",
      "Image": "runtime:latest",
      "Labels": {
        "paas.type": "user-app"
      },
      "StopTimeout": 10,
      "User": "10001:10001",
      "WorkingDir": "/app"
    }
    "#);
}

/// Docker would refuse to start every container.
#[tokio::test]
async fn a_kernel_that_filters_no_system_calls_is_not_asked_to() {
    for (options, apparmor) in [("null", false), ("[]", false), (r#"["name=apparmor"]"#, true)] {
        let info = INFO.replace(r#"["name=seccomp,profile=default"]"#, options);
        let fake = FakeDocker::engine(41, 12, created);
        fake.replace(move |asked| match asked.path() {
            "/version" => ok(r#"{"Version":"x","ApiVersion":"1.41"}"#),
            "/info" => ok(info.clone()),
            _ => created(asked),
        });
        let engine = fake.client();
        let info = engine.info().await.unwrap();
        assert_eq!((info.seccomp, info.apparmor), (false, apparmor), "{options}");
        engine.create(&spec()).await.unwrap();
        let host = fake.asked().pop().unwrap().json()["HostConfig"].clone();
        assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges"]), "{options}");
    }
}

#[tokio::test]
async fn what_the_kernel_cannot_limit_is_not_asked_for() {
    let info = INFO.replace(r#""SwapLimit":true"#, r#""SwapLimit":false"#);
    let fake = FakeDocker::engine(41, 12, created);
    fake.replace(move |asked| match asked.path() {
        "/version" => ok(r#"{"Version":"x","ApiVersion":"1.41"}"#),
        "/info" => ok(info.clone()),
        path if path.ends_with("/update") => ok(r#"{"Warnings":null}"#),
        _ => created(asked),
    });
    let engine = fake.client();
    engine.create(&spec()).await.unwrap();
    let host = fake.asked().pop().unwrap().json()["HostConfig"].clone();
    assert_eq!((host.get("MemorySwap"), host["Memory"].as_i64()), (None, Some(256 << 20)));
    engine.update(&ContainerId("abc".to_owned()), LIMITS, RestartPolicy::Always).await.unwrap();
    assert_eq!(
        fake.asked().pop().unwrap().json(),
        serde_json::json!({"Memory": 256 << 20, "NanoCpus": 500_000_000, "PidsLimit": 128,
                           "RestartPolicy": {"Name": "always"}})
    );
}

#[tokio::test]
async fn an_update_puts_memory_and_swap_together_and_yields_to_a_quota_set_by_hand() {
    let fake = FakeDocker::engine(47, 24, |asked| {
        let nano = asked.json().get("NanoCpus").is_some();
        if nano {
            refuse(409, "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")
        } else {
            ok(r#"{"Warnings":null}"#)
        }
    });
    fake.client().update(&ContainerId("abc".to_owned()), LIMITS, RestartPolicy::UnlessStopped).await.unwrap();
    let bodies: Vec<_> =
        fake.asked().iter().filter(|a| a.path().ends_with("/update")).map(super::fake::Asked::json).collect();
    let common = serde_json::json!({"Memory": 256 << 20, "MemorySwap": 256 << 20, "PidsLimit": 128,
                                    "RestartPolicy": {"Name": "unless-stopped"}});
    let with = |extra: serde_json::Value| {
        let mut body = common.clone();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    assert_eq!(
        bodies,
        [
            with(serde_json::json!({"NanoCpus": 500_000_000})),
            with(serde_json::json!({"CpuPeriod": 100_000, "CpuQuota": 50_000})),
        ]
    );
}

#[tokio::test]
async fn a_name_taken_and_an_image_missing_are_told_apart() {
    for (status, said, kind, remedy) in [
        (
            409,
            "Conflict. The container name \"/x\" is already in use by container \"y\".",
            ErrorKind::Conflict,
            "rename",
        ),
        (404, "No such image: runtime:latest", ErrorKind::NotFound, "build or pull the image"),
        (
            400,
            "invalid mount config for type \"bind\": bind source path does not exist: /x",
            ErrorKind::Retryable,
            "disk",
        ),
        (400, "Minimum memory limit allowed is 6MB", ErrorKind::Terminal, "raise the memory limit"),
        (400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", ErrorKind::Terminal, "no more"),
    ] {
        let fake = FakeDocker::engine(47, 24, move |_| refuse(status, said));
        let error = fake.client().create(&spec()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.starts_with("cannot create container paas-app-alice-diary: ") && text.contains(remedy), "{text}");
    }
}

#[tokio::test]
async fn an_address_is_asked_for_on_the_apps_network_and_found_in_the_listing() {
    let listed = r#"[
        {"Id":"a","Names":["/x"],"State":"exited","Labels":null,"NetworkSettings":{"Networks":{
            "n":{"IPAMConfig":{"IPv4Address":"10.9.0.5"},"IPAddress":""},"m":{"IPAMConfig":null,"IPAddress":"10.8.0.2"}}}},
        {"Id":"b","Names":["/y"],"State":"exited","Labels":null,"NetworkSettings":null}
    ]"#;
    let fake = FakeDocker::engine(41, 12, move |asked| match asked.path() {
        "/containers/json" => Reply::Json(200, listed.to_owned()),
        _ => created(asked),
    });
    let spec = ContainerSpec { address: "10.9.0.5".parse().ok(), ..spec() };
    fake.client().create(&spec).await.unwrap();
    let networks = fake.asked().pop().unwrap().json()["NetworkingConfig"].clone();
    let at = serde_json::json!({"IPAMConfig": {"IPv4Address": "10.9.0.5"}});
    assert_eq!(networks, serde_json::json!({"EndpointsConfig": {"paas-proxy": at}}));
    let containers = fake.client().list(&ListFilter::default()).await.unwrap();
    let fixed: Vec<_> = containers.iter().map(|container| format!("{:?}", container.fixed)).collect();
    assert_eq!(fixed, ["{10.9.0.5}", "{}"]);
}

#[tokio::test]
async fn a_network_is_never_made_twice_under_one_name() {
    let fake = FakeDocker::engine(41, 12, |_| Reply::Json(201, r#"{"Id":"n","Warning":""}"#.to_owned()));
    let mut spec = NetworkSpec {
        name: "paas-proxy".to_owned(),
        labels: map(&[("paas.type", "app-network")]),
        options: map(&[("com.docker.network.bridge.enable_icc", "false")]),
        subnet: None,
        internal: false,
    };
    fake.client().create_network(&spec).await.unwrap();
    let mut expected = serde_json::json!({
        "Name": "paas-proxy", "CheckDuplicate": true, "Driver": "bridge", "Labels": {"paas.type": "app-network"},
        "Options": {"com.docker.network.bridge.enable_icc": "false"}, "Internal": false
    });
    assert_eq!(fake.asked().pop().unwrap().json(), expected);
    spec.subnet = "10.9.0.0/24".parse().ok();
    fake.client().create_network(&spec).await.unwrap();
    expected["IPAM"] = serde_json::json!({"Config": [
        {"Subnet": "10.9.0.0/24", "IPRange": "10.9.0.192/26", "Gateway": "10.9.0.1"}
    ]});
    assert_eq!(fake.asked().pop().unwrap().json(), expected);

    for (status, said) in [
        (409, "network with name paas-proxy already exists"),
        (403, "Pool overlaps with other one on this address space"),
    ] {
        let fake = FakeDocker::engine(41, 12, move |_| refuse(status, said));
        let error = fake.client().create_network(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    let fake = FakeDocker::engine(41, 12, |_| refuse(403, "network x has active endpoints"));
    assert_eq!(fake.client().remove_network("x").await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn stop_and_remove_and_rename_ask_exactly() {
    let fake = FakeDocker::engine(41, 12, |_| Reply::Json(204, String::new()));
    let engine = fake.client();
    let id = ContainerId("abc".to_owned());
    engine.stop(&id, 10).await.unwrap();
    engine.remove(&id).await.unwrap();
    engine.rename(&id, "paas-app-alice-diary.next").await.unwrap();
    engine.unpause(&id).await.unwrap();
    engine.connect(&id, "net", None).await.unwrap();
    assert_eq!(fake.asked().pop().unwrap().json(), serde_json::json!({"Container": "abc"}));
    engine.connect(&id, "net", "10.9.0.5".parse().ok()).await.unwrap();
    let at = serde_json::json!({"IPAMConfig": {"IPv4Address": "10.9.0.5"}});
    assert_eq!(fake.asked().pop().unwrap().json(), serde_json::json!({"Container": "abc", "EndpointConfig": at}));
    engine.remove_network("net").await.unwrap();
    assert_eq!(
        fake.lines(),
        [
            "POST /v1.41/containers/abc/stop?t=10",
            "DELETE /v1.41/containers/abc?v=true&force=true&link=false",
            "POST /v1.41/containers/abc/rename?name=paas-app-alice-diary.next",
            "POST /v1.41/containers/abc/unpause",
            "POST /v1.41/networks/net/connect",
            "POST /v1.41/networks/net/connect",
            "DELETE /v1.41/networks/net",
        ]
    );
}

#[tokio::test]
async fn a_build_sends_its_context_tag_labels_and_arguments() {
    use futures_util::StreamExt as _;
    let done = chunks(&[b"{\"aux\":{\"ID\":\"sha256:1\"}}\r\n"], true);
    let fake = FakeDocker::engine(41, 12, move |_| Reply::Raw(done.clone()));
    let spec = BuildSpec {
        tag: "localhost:5000/run:1".to_owned(),
        labels: map(&[("a", "b&c")]),
        args: map(&[("BASE", "node:24")]),
    };
    let events: Vec<_> = fake.client().build(&spec, b"a tar".to_vec()).await.unwrap().collect().await;
    assert!(matches!(&events[..], [Ok(minipaas::engine::BuildEvent::Built(id))] if id == "sha256:1"), "{events:?}");
    let asked = fake.asked().pop().unwrap();
    assert_eq!(asked.body, b"a tar");
    insta::assert_snapshot!(asked.line(), @"POST /v1.41/build?t=localhost%3A5000%2Frun%3A1&rm=1&forcerm=1&labels=%7B%22a%22%3A%22b%26c%22%7D&buildargs=%7B%22BASE%22%3A%22node%3A24%22%7D");
}
