//! The generated `docker-compose.yml` as text. That a container made from it equals one made by the daemon is shown
//! against a real engine in `tests/docker/compose.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minipaas::compose::compose_yaml;
use minipaas::model::spec::{Access, Limits, Mount};
use minipaas::model::{Bytes, ContainerSpec, MilliCpus, RestartPolicy};

fn spec() -> ContainerSpec {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    ContainerSpec {
        name: "paas-app-alice-diary".to_owned(),
        image: "my-paas-node-runtime:latest".to_owned(),
        hostname: "alice-diary".to_owned(),
        labels: map(&[("paas.type", "user-app"), ("paas.userid", "alice")]),
        env: map(&[("GREETING", "hello"), ("PORT", "3000")]),
        command: vec!["node".to_owned(), "server.js".to_owned()],
        working_dir: "/app".to_owned(),
        user: "10001:10001".to_owned(),
        mounts: vec![
            Mount {
                source: PathBuf::from("/paas/apps/alice/diary/app"),
                target: "/app".to_owned(),
                access: Access::ReadOnly,
            },
            Mount {
                source: PathBuf::from("/paas/apps/alice/diary/data"),
                target: "/data".to_owned(),
                access: Access::ReadWrite,
            },
        ],
        tmpfs: vec![("/tmp".to_owned(), "rw,size=16m".to_owned())],
        limits: Limits { memory: Bytes::mib(256), cpus: MilliCpus(500), pids: 128 },
        restart: RestartPolicy::UnlessStopped,
        network: "paas-proxy".to_owned(),
        address: None,
        port: 3000,
        stop_grace_seconds: 10,
    }
}

#[test]
fn everything_the_daemon_asks_docker_for_is_in_the_file() {
    insta::assert_snapshot!(compose_yaml(&spec()), @r###"
    # Written by minipaas, and written again whenever the app changes: edit the app's manifest instead.
    # It is the way to run this app without minipaas: stop the daemon, run `paas down` (the container's name must
    # be free), then `docker compose up -d` (or `docker-compose up -d`) in this folder. The container is the same,
    # and so is its data.
    version: "2.4"
    services:
      "alice-diary":
        container_name: "paas-app-alice-diary"
        image: "my-paas-node-runtime:latest"
        hostname: "alice-diary"
        user: "10001:10001"
        working_dir: "/app"
        command:
          - "node"
          - "server.js"
        environment:
          "GREETING": "hello"
          "PORT": "3000"
        labels:
          "paas.type": "user-app"
          "paas.userid": "alice"
        volumes:
          - type: bind
            source: "/paas/apps/alice/diary/app"
            target: "/app"
            read_only: true
          - type: bind
            source: "/paas/apps/alice/diary/data"
            target: "/data"
            read_only: false
        tmpfs:
          - "/tmp:rw,size=16m"
        read_only: true
        init: true
        cap_drop:
          - "ALL"
        security_opt:
          - "no-new-privileges"
          - "seccomp:seccomp.json"
        ulimits:
          nofile:
            soft: 4096
            hard: 8192
          core:
            soft: 0
            hard: 0
        shm_size: 16777216
        oom_score_adj: 300
        mem_limit: 268435456
        memswap_limit: 268435456
        cpus: 0.5
        pids_limit: 128
        restart: "unless-stopped"
        stop_grace_period: "10s"
        logging:
          driver: json-file
          options:
            "max-size": "10m"
            "max-file": "3"
        networks:
          - apps
    networks:
      apps:
        external: true
        name: "paas-proxy"
    "###);
}

#[test]
fn values_are_quoted_so_that_no_yaml_reader_and_no_substitution_changes_them() {
    for (value, expected) in [
        ("", r#""""#),
        ("no", r#""no""#),
        ("1e3", r#""1e3""#),
        ("$HOME and ${X}", r#""$$HOME and $${X}""#),
        ("a \"b\" \\ c", r#""a \"b\" \\ c""#),
        ("two\nlines\ttab\r", r#""two\nlines\ttab\x0d""#),
        ("# not: a comment", r##""# not: a comment""##),
        ("안녕 🌱", "\"안녕 \\U0001f331\""),
        ("\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}", r#""\x7f\x85\u2028\ufeff\uffff""#),
    ] {
        let mut spec = spec();
        spec.env = BTreeMap::from([("NASTY".to_owned(), value.to_owned())]);
        let line = format!("      \"NASTY\": {expected}\n");
        assert!(compose_yaml(&spec).contains(&line), "{value:?}\n{}", compose_yaml(&spec));
    }
}

#[test]
fn cores_are_written_so_that_docker_compose_takes_them_and_the_kernel_sees_no_difference() {
    let mut spec = spec();
    for milli in 1..=8_000 {
        spec.limits.cpus = MilliCpus(milli);
        let text = compose_yaml(&spec);
        let cpus = text.lines().find_map(|line| line.trim().strip_prefix("cpus: ")).unwrap();
        let seen = cpus.parse::<f64>().unwrap() * 1e9;
        #[expect(clippy::float_cmp, reason = "the tool asks whether it is whole")]
        let whole = seen == seen.trunc();
        assert!(whole, "docker-compose refuses {cpus}");
        #[expect(clippy::cast_possible_truncation, reason = "it is whole")]
        let nano = seen as i64;
        assert!((0..50).contains(&(nano - MilliCpus(milli).nano())), "{cpus}");
    }
    spec.limits.cpus = MilliCpus(500);
    assert!(compose_yaml(&spec).contains("    cpus: 0.5\n"));
}
