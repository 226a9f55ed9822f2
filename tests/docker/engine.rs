//! What only a real engine can show: that what was asked for is in force, and that it answers as we believe.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bollard::models::{ContainerCreateBody, HostConfig};
use futures_util::StreamExt as _;
use minipaas::engine::events::{Signal, subscribe};
use minipaas::engine::{BuildEvent, BuildSpec, Effect, Engine as _, ErrorKind, Follow, ListFilter, LogSource};
use minipaas::model::observed::ObservedLimits;
use minipaas::model::spec::{Access, Mount};
use minipaas::model::{Bytes, ContainerId, ContainerState, Limits, MilliCpus, RestartPolicy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::common::{DEADLINE, IMAGE, Place, by_hand, context};

const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// Prints the limits of its own cgroup, version 1 or 2, as `memory swap cpu pids`.
const PRINT_LIMITS: &str = r#"limits() {
    cd /sys/fs/cgroup
    if [ -e cgroup.controllers ]; then
        set -- $(cat memory.max) $(cat memory.swap.max 2>/dev/null || echo none) $(cat cpu.max) $(cat pids.max)
        echo "$1 $2 $(($3 * 1000 / $4)) $5"
    else
        set -- $(cat memory/memory.limit_in_bytes) $(cat memory/memory.memsw.limit_in_bytes 2>/dev/null || echo none) \
            $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us) $(cat pids/pids.max)
        [ $2 = none ] || set -- $1 $(($2 - $1)) $3 $4 $5
        echo "$1 $2 $(($3 * 1000 / $4)) $5"
    fi
}
"#;

#[tokio::test]
async fn the_engine_says_what_the_host_can_do() {
    let place = Place::new().await;
    let info = place.engine.info().await.unwrap();
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    assert_eq!(info.cgroup_version, if v2 { "2" } else { "1" });
    assert_eq!(info.cpus as usize, std::thread::available_parallelism().unwrap().get());
    assert!(info.memory > 256 << 20 && !info.version.is_empty());
    let minor: u32 = info.api_version.strip_prefix("1.").unwrap().parse().unwrap();
    assert!((41..=52).contains(&minor), "{}", info.api_version);
}

#[tokio::test]
async fn limits_are_in_force_in_the_cgroup_and_change_without_a_restart() {
    let place = Place::new().await;
    let info = place.engine.info().await.unwrap();
    let mut spec = place.spec("app", &format!("{PRINT_LIMITS} while :; do limits; sleep 0.1; done"));
    spec.limits = Limits { memory: Bytes::mib(64), cpus: MilliCpus(250), pids: 33 };
    let id = place.run(&spec).await;
    let swap = if info.swap_limit { "0" } else { "none" };
    let mut lines = place.engine.logs(&id, 1000, Follow::Yes).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().text, format!("{} {swap} 250 33", 64 << 20));
    let before = place.inspect(&id).await;
    let observed = |limits: Limits| ObservedLimits {
        memory: i64::try_from(limits.memory.get()).unwrap(),
        memory_swap: i64::try_from(limits.memory.get()).unwrap(),
        nano_cpus: limits.cpus.nano(),
        pids: i64::from(limits.pids),
    };
    assert_eq!(before.limits, observed(spec.limits));

    // Up and down again: swap must follow memory in both directions.
    for (memory, cpus, pids) in [(96, 500, 50), (16, 100, 20)] {
        let limits = Limits { memory: Bytes::mib(memory), cpus: MilliCpus(cpus), pids };
        place.engine.update(&id, limits, RestartPolicy::OnFailure(Some(2))).await.unwrap();
        let wanted = format!("{} {swap} {cpus} {pids}", memory << 20);
        let seen = async { while lines.next().await.unwrap().unwrap().text != wanted {} };
        tokio::time::timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("never in force: {wanted}"));
        let after = place.inspect(&id).await;
        assert_eq!(after.limits, observed(limits));
        assert_eq!(after.restart, Some(RestartPolicy::OnFailure(Some(2))));
        assert_eq!((after.started_at, after.restart_count), (before.started_at, 0), "not restarted");
    }
}

#[tokio::test]
async fn a_container_is_as_hardened_as_was_asked() {
    let place = Place::new().await;
    let script = r#"
        echo "id $(id -u):$(id -g)"
        echo "host $(hostname) in $(pwd)"
        echo "init $(cat /proc/1/comm)"
        grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status | tr '\t' ' '
        for at in / /app /data /tmp; do
            if touch $at/x 2>/dev/null; then echo "$at writable"; else echo "$at read-only"; fi
        done
        echo "code $(cat /app/code)"
        printf '#!/bin/sh\necho ran' > /tmp/x; chmod +x /tmp/x; /tmp/x 2>/dev/null || echo "/tmp noexec"
        df -k /tmp | tail -1 | awk '{print "tmp", $2}'
        echo "env $PORT $GREETING"
    "#;
    let mut spec = place.spec("app", script);
    let (code, data) = (place.folder("code"), place.folder("data"));
    std::fs::File::create(code.join("code")).and_then(|mut file| std::io::Write::write_all(&mut file, b"42")).unwrap();
    spec.mounts = vec![
        Mount { source: code, target: "/app".to_owned(), access: Access::ReadOnly },
        Mount { source: data.clone(), target: "/data".to_owned(), access: Access::ReadWrite },
    ];
    spec.working_dir = "/app".to_owned();
    spec.env = [("PORT", "3000"), ("GREETING", "안녕 = \"hi\" $x")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    insta::assert_snapshot!(place.output(&spec).await.join("\n"), @r#"
    id 10001:10001
    host alice-diary in /app
    init docker-init
    CapBnd: 0000000000000000
    NoNewPrivs: 1
    / read-only
    /app read-only
    /data writable
    /tmp writable
    code 42
    /tmp noexec
    tmp 16384
    env 3000 안녕 = "hi" $x
    "#);
    assert!(data.join("x").exists());
    let by_hand = by_hand().inspect_container(&spec.name, None).await.unwrap();
    let host = by_hand.host_config.unwrap();
    let log = host.log_config.unwrap();
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    let log = log.config.unwrap();
    assert_eq!((log["max-size"].as_str(), log["max-file"].as_str()), ("10m", "3"));
    assert_eq!(by_hand.config.unwrap().stop_timeout, Some(1));
    assert!(host.port_bindings.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_life_is_told_step_by_step() {
    let place = Place::new().await;
    let engine = &place.engine;
    let id = engine.create(&place.spec("app", FOREVER)).await.unwrap();
    let seen = place.inspect(&id).await;
    assert_eq!((seen.state, seen.started_at, seen.finished_at), (ContainerState::Created, None, None));
    assert_eq!(seen.image_id, engine.image(IMAGE).await.unwrap().unwrap().id);
    assert_eq!(seen.labels.get("minipaas.test.run"), place.labels().get("minipaas.test.run"));

    assert_eq!(engine.stop(&id, 1).await.unwrap(), Effect::Already);
    assert_eq!(engine.start(&id).await.unwrap(), Effect::Done);
    assert_eq!(engine.start(&id).await.unwrap(), Effect::Already);
    let running = place.inspect(&id).await;
    assert_eq!(running.state, ContainerState::Running);
    assert!(running.started_at.is_some() && running.finished_at.is_none());

    by_hand().pause_container(id.as_str()).await.unwrap();
    assert_eq!(place.inspect(&id).await.state, ContainerState::Paused);
    assert_eq!(engine.unpause(&id).await.unwrap(), Effect::Done);
    assert_eq!(engine.unpause(&id).await.unwrap(), Effect::Already);

    assert_eq!(engine.stop(&id, 20).await.unwrap(), Effect::Done);
    let stopped = place.inspect(&id).await;
    assert_eq!((stopped.state, stopped.exit_code), (ContainerState::Exited, 0), "it had time to end by itself");
    assert!(stopped.finished_at >= running.started_at);
    assert_eq!(engine.stop(&id, 1).await.unwrap(), Effect::Already);

    engine.start(&id).await.unwrap();
    assert_eq!(engine.remove(&id).await.unwrap(), Effect::Done, "a running one as well");
    assert_eq!(engine.inspect(id.as_str()).await.unwrap(), None);
    assert_eq!(engine.remove(&id).await.unwrap(), Effect::Already);
    for error in [engine.start(&id).await.unwrap_err(), engine.stop(&id, 1).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let limits = place.spec("x", "").limits;
    assert_eq!(engine.update(&id, limits, RestartPolicy::No).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(engine.rename(&id, &place.name("y")).await.unwrap_err().kind(), ErrorKind::NotFound);
    let lost = engine.logs(&id, 1, Follow::No).await.err().unwrap();
    assert_eq!(lost.kind(), ErrorKind::NotFound, "{lost}");
}

#[tokio::test]
async fn a_deaf_container_is_killed_after_its_grace() {
    let place = Place::new().await;
    let id = place.run(&place.spec("app", "trap '' TERM; while :; do sleep 0.1; done")).await;
    assert_eq!(place.engine.stop(&id, 1).await.unwrap(), Effect::Done);
    assert_eq!(place.inspect(&id).await.exit_code, 137);
}

#[tokio::test]
async fn names_are_exclusive_and_can_be_handed_on() {
    let place = Place::new().await;
    let engine = &place.engine;
    let old = engine.create(&place.spec("app", "true")).await.unwrap();
    let new = engine.create(&place.spec("app.next", "true")).await.unwrap();
    let taken = engine.create(&place.spec("app", "true")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict, "{taken}");
    assert_eq!(engine.rename(&new, &place.name("app")).await.unwrap_err().kind(), ErrorKind::Conflict);
    engine.remove(&old).await.unwrap();
    engine.rename(&new, &place.name("app")).await.unwrap();

    let seen = engine.inspect(&place.name("app")).await.unwrap().unwrap();
    assert_eq!((seen.id, seen.name), (new.clone(), place.name("app")));
    assert_eq!(engine.inspect(&place.name("app.next")).await.unwrap(), None);
    assert_eq!(engine.inspect(new.short()).await.unwrap(), None, "the beginning of an id is no name");

    let listed = engine.list(&ListFilter { labels: place.labels() }).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|c| (&c.id, c.name.as_str(), c.state.as_str())).collect();
    assert_eq!(seen, [(&new, &*place.name("app"), "created")]);
    let everything = engine.list(&ListFilter::default()).await.unwrap();
    assert!(everything.iter().any(|container| container.id == new));
    let mut both = place.labels();
    both.insert("no.such".to_owned(), "label".to_owned());
    assert_eq!(engine.list(&ListFilter { labels: both }).await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_made_says_why() {
    let place = Place::new().await;
    let engine = &place.engine;
    let mut spec = place.spec("a", "true");
    spec.image = "minipaas-test:no-such-tag".to_owned();
    let error = engine.create(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    let mut spec = place.spec("b", "true");
    let missing = place.folder("x").join("missing");
    spec.mounts = vec![Mount { source: missing.clone(), target: "/data".to_owned(), access: Access::ReadWrite }];
    let error = engine.create(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retryable, "{error}");
    assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
    assert!(!missing.exists(), "Docker does not make it by itself");

    let mut spec = place.spec("c", "true");
    spec.limits.memory = Bytes::mib(1);
    let error = engine.create(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
    assert!(error.to_string().contains("raise the memory limit"), "{error}");

    let mut spec = place.spec("d", "true");
    spec.limits.cpus = MilliCpus(1_000_000);
    let error = engine.create(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");

    let mut spec = place.spec("e", "true");
    spec.command = vec!["/no/such/program".to_owned()];
    let id = engine.create(&spec).await.unwrap();
    // With docker-init as its first process the container starts and ends at once, without one Docker refuses it.
    match engine.start(&id).await {
        Ok(_) => assert_eq!(place.exited(&id).await.exit_code, 127),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Terminal, "{error}"),
    }

    let mut spec = place.spec("f", "true");
    spec.network = place.name("no-such-network");
    let error = match engine.create(&spec).await {
        Ok(id) => engine.start(&id).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Retryable, "a network is not the object of the call: {error}");
    assert!(error.to_string().contains(&spec.network), "{error}");
}

#[tokio::test]
async fn failures_restarts_and_kills_for_memory_are_seen() {
    let place = Place::new().await;
    let mut spec = place.spec("crash", "echo oops >&2; exit 3");
    spec.restart = RestartPolicy::OnFailure(Some(2));
    let id = place.run(&spec).await;
    let seen =
        place.until(&id, "the last restart", |c| c.state == ContainerState::Exited && c.restart_count == 2).await;
    assert_eq!((seen.exit_code, seen.oom_killed), (3, false));
    assert!(place.log(&id, 10).await.iter().all(|line| (line.source, &*line.text) == (LogSource::Stderr, "oops")));

    let mut spec = place.spec("greedy", "tail /dev/zero");
    spec.limits.memory = Bytes::mib(8);
    let id = place.run(&spec).await;
    let seen = place.exited(&id).await;
    assert!(seen.exit_code != 0 && seen.oom_killed, "{seen:?}");
}

#[tokio::test]
async fn logs_come_whole_in_order_and_by_source() {
    let place = Place::new().await;
    let script = "echo one; echo two >&2; printf 'thr'; sleep 0.3; printf 'ee\\n\\n'; \
                  head -c 100000 /dev/zero | tr '\\0' x; echo; sleep 0.3; printf last";
    let id = place.run(&place.spec("app", script)).await;
    let followed: Vec<_> = place.engine.logs(&id, 1000, Follow::Yes).await.unwrap().map(Result::unwrap).collect().await;
    place.exited(&id).await;
    let read = place.log(&id, 1000).await;
    for log in [&followed, &read] {
        let out: Vec<&str> = log.iter().filter(|l| l.source == LogSource::Stdout).map(|l| l.text.as_str()).collect();
        let lengths: Vec<usize> = out.iter().map(|text| text.len()).collect();
        assert_eq!(lengths[..5], [3, 5, 0, 65_536, 100_000 - 65_536]);
        assert_eq!((out[0], out[1]), ("one", "three"));
        let err: Vec<&str> = log.iter().filter(|l| l.source == LogSource::Stderr).map(|l| l.text.as_str()).collect();
        assert_eq!(err, ["two"]);
    }
    // Docker 20.10 ends a followed log without what was written in the very last moment (`docker logs -f` as well).
    assert_eq!(read.last().unwrap().text, "last");
    assert_eq!(place.log(&id, 1).await.len(), 1);
    assert_eq!(place.log(&id, 0).await.len(), 0);
}

#[tokio::test]
async fn a_large_log_is_read_without_loss_and_its_tail_quickly() {
    let place = Place::new().await;
    let id = place.run(&place.spec("app", "seq 1 50000")).await;
    place.exited(&id).await;
    let lines = place.log(&id, 60_000).await;
    assert_eq!(lines.len(), 50_000);
    assert!(lines.iter().enumerate().all(|(index, line)| line.text == (index + 1).to_string()));
    let tail: Vec<String> = place.log(&id, 3).await.into_iter().map(|line| line.text).collect();
    assert_eq!(tail, ["49998", "49999", "50000"]);
}

#[tokio::test]
async fn events_of_a_container_are_seen() {
    let place = Place::new().await;
    let tasks = TaskTracker::new();
    let cancel = CancellationToken::new();
    let mut signals = subscribe(Arc::clone(&place.engine), &tasks, cancel.clone());
    assert!(matches!(signals.recv().await, Some(Signal::Connected(_))));
    assert!(matches!(signals.recv().await, Some(Signal::Resync)));
    let id = place.run(&place.spec("app", "true")).await;
    place.exited(&id).await;
    place.engine.remove(&id).await.unwrap();
    let mut wanted = BTreeSet::from(["create", "start", "die", "destroy"]);
    let mut last = 0;
    let seeing = async {
        while !wanted.is_empty() {
            if let Some(Signal::Event(event)) = signals.recv().await
                && event.id == id.as_str()
            {
                assert_eq!(event.object, "container");
                assert_eq!(event.attributes.get("minipaas.test.run"), place.labels().get("minipaas.test.run"));
                last = event.at_nanos;
                wanted.remove(event.action.as_str());
            }
        }
    };
    let outcome = tokio::time::timeout(DEADLINE, seeing).await;
    assert!(outcome.is_ok(), "never seen: {wanted:?}");
    // What was missed can be asked for.
    let mut again = place.engine.events(Some(last)).await.unwrap();
    let first = tokio::time::timeout(DEADLINE, again.next()).await.unwrap().unwrap().unwrap();
    assert!(first.at_nanos >= last);
    cancel.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn an_image_is_built_and_a_failed_build_says_why() {
    let place = Place::new().await;
    let tag = format!("{}:test", place.name("image").to_lowercase());
    let spec =
        BuildSpec { tag: tag.clone(), labels: place.labels(), args: [("BASE".to_owned(), IMAGE.to_owned())].into() };
    let build = async |dockerfile: &str| -> Vec<_> {
        let context = context(&[("Dockerfile", dockerfile.as_bytes())]);
        place.engine.build(&spec, context).await.unwrap().collect().await
    };
    assert_eq!(place.engine.image(&tag).await.unwrap(), None);
    let events =
        build("ARG BASE\nFROM ${BASE}\nRUN echo one; sleep 0.2; echo two >&2; sleep 0.2; printf three\n").await;
    let Some(Ok(BuildEvent::Built(id))) = events.last() else { panic!("{events:#?}") };
    // In colour for a terminal, which is taken out; and `three` has no line end, so the builder's next words follow it.
    assert!(says(&events, "one") && says(&events, "two") && says(&events, "three"), "{events:#?}");
    let image = place.engine.image(&tag).await.unwrap().unwrap();
    assert_eq!((&image.id, image.labels), (id, place.labels()));

    let events = build("ARG BASE\nFROM ${BASE}\nRUN echo so far; exit 7\n").await;
    assert!(says(&events, "so far"), "{events:#?}");
    let error = events.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
    assert!(error.to_string().contains("returned a non-zero code: 7"), "{error}");
    assert_eq!(place.engine.image(&tag).await.unwrap().unwrap().id, image.id, "the tag stays on what was good");

    let broken = place.engine.build(&spec, context(&[("Dockerfile", b"NONSENSE\n")])).await;
    let error = match broken {
        Ok(stream) => stream.collect::<Vec<_>>().await.pop().unwrap().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
}

/// A line of output begins so.
fn says(events: &[minipaas::engine::Result<BuildEvent>], words: &str) -> bool {
    events.iter().any(|event| matches!(event, Ok(BuildEvent::Output(line)) if line.starts_with(words)))
}

#[tokio::test]
async fn networks_isolate_give_addresses_and_are_made_once() {
    let place = Place::new().await;
    let engine = &place.engine;
    let mut network = place.network_spec("net");
    let icc = "com.docker.network.bridge.enable_icc";
    network.options.insert(icc.to_owned(), "false".to_owned());
    network.subnet = "10.213.77.0/24".parse().ok();
    assert_eq!(engine.network(&network.name).await.unwrap(), None);
    engine.create_network(&network).await.unwrap();
    let seen = engine.network(&network.name).await.unwrap().unwrap();
    assert_eq!((seen.driver.as_str(), seen.options[icc].as_str()), ("bridge", "false"));
    assert_eq!((seen.labels, seen.subnets), (place.labels(), vec!["10.213.77.0/24".to_owned()]));

    assert_eq!(engine.create_network(&network).await.unwrap_err().kind(), ErrorKind::Conflict, "the name is taken");
    let mut overlapping = place.network_spec("overlapping");
    overlapping.subnet.clone_from(&network.subnet);
    let error = engine.create_network(&overlapping).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");

    let mut spec = place.spec("app", FOREVER);
    spec.network.clone_from(&network.name);
    let id = place.run(&spec).await;
    let address = place.inspect(&id).await.networks[&network.name].unwrap();
    assert!(address.to_string().starts_with("10.213.77."), "{address}");
    let busy = engine.remove_network(&seen.id).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Conflict, "{busy}");

    let second = place.network_spec("second");
    engine.create_network(&second).await.unwrap();
    engine.connect(&id, &second.name, None).await.unwrap();
    engine.connect(&id, &second.name, None).await.unwrap();
    let networks = place.inspect(&id).await.networks;
    assert!(networks.len() == 2 && networks.values().all(Option::is_some), "{networks:?}");
    let lost = engine.connect(&id, &place.name("none"), None).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::NotFound, "{lost}");

    engine.stop(&id, 1).await.unwrap();
    let networks = place.inspect(&id).await.networks;
    assert!(
        networks.len() == 2 && networks.values().all(Option::is_none),
        "a stopped one has no address: {networks:?}"
    );
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.remove_network(&seen.id).await.unwrap(), Effect::Done);
    assert_eq!(engine.remove_network(&seen.id).await.unwrap(), Effect::Already);
}

#[tokio::test]
async fn a_cpu_quota_given_by_hand_reads_as_cpus_and_can_be_put_right() {
    let place = Place::new().await;
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(["/bin/sh", "-c", FOREVER].map(str::to_owned).to_vec()),
        labels: Some(place.labels().into_iter().collect()),
        host_config: Some(HostConfig {
            cpu_quota: Some(20_000),
            cpu_period: Some(50_000),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let docker = by_hand();
    let id = ContainerId(docker.create_container(None, body).await.unwrap().id);
    place.engine.start(&id).await.unwrap();
    assert_eq!(place.inspect(&id).await.limits.nano_cpus, MilliCpus(400).nano());
    let limits = Limits { memory: Bytes::mib(32), cpus: MilliCpus(700), pids: 64 };
    place.engine.update(&id, limits, RestartPolicy::UnlessStopped).await.unwrap();
    let seen = place.inspect(&id).await;
    assert_eq!((seen.limits.nano_cpus, seen.limits.memory, seen.limits.pids), (700_000_000, 32 << 20, 64));
    assert_eq!(seen.restart, Some(RestartPolicy::UnlessStopped));
}
