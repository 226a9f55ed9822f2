//! What is told of an app, and what is done about it, over some time.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::faulty::{Injector, Scope};
use crate::engine::sim::{Behaviour, SimConfig};
use crate::model::{AppKey, AppStatus, Bytes, ConditionKind, ContainerState, DaemonStatus, Health, SyncState};
use crate::testing::daemon::Daemon;
use crate::testing::seams::{World, diary};

const MINUTE: Duration = Duration::from_secs(60);
const FILE: &str = "alice-diary.yaml";
const MAIN: &str = "paas-app-alice-diary";

async fn one_app(manifest: &str) -> (World, Daemon) {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    world.manifests.put(FILE, manifest);
    let daemon = Daemon::start(&world).await.unwrap();
    (world, daemon)
}

fn app(status: &DaemonStatus) -> Option<Arc<AppStatus>> {
    status.apps.get(&AppKey::parse("alice-diary").unwrap()).cloned()
}

async fn until(daemon: &mut Daemon, what: &str, mut wanted: impl FnMut(&AppStatus) -> bool) -> Arc<AppStatus> {
    let there = daemon.until(5 * MINUTE, |status| app(status).is_some_and(|app| wanted(&app))).await;
    assert!(there, "not {what}: {:#?}", daemon.status());
    app(&daemon.status()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn limits_that_docker_refuses_leave_the_last_good_ones_in_force() {
    let (world, mut daemon) = one_app("template: diary-v1\nenv: {SIM_BEHAVIOUR: \"holds:64m\"}\n").await;
    let ready = until(&mut daemon, "ready", AppStatus::is_ready).await;
    world.manifests.put(FILE, "template: diary-v1\nenv: {SIM_BEHAVIOUR: \"holds:64m\"}\nmemory: 16m\n");
    let refused = until(&mut daemon, "refused", |app| app.sync == SyncState::Invalid).await;
    let condition = refused.condition(ConditionKind::Invalid).unwrap();
    assert_eq!(condition.reason, "LimitsRefused");
    assert!(condition.message.contains("unable to set memory limit to 16777216"), "{}", condition.message);
    assert_eq!((refused.health, refused.limits), (Health::Running, ready.limits));
    assert_eq!(refused.container, ready.container);

    // What else there is to do is done, and the limits stay the last good ones.
    world.docker.pause(MAIN).unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    let still = app(&daemon.status()).unwrap();
    assert!(still.endpoint.is_some() && still.sync == SyncState::Invalid, "{still:#?}");
    let events = world.store.log();
    let refusals = events.iter().filter(|event| event.cause.to_string().contains("unable to set memory limit"));
    assert_eq!(refusals.count(), 1, "told once, however often it is tried: {events:#?}");
    let container = world.docker.container(MAIN).unwrap();
    assert_eq!((container.state, container.limits.memory), (ContainerState::Running, 256 << 20));

    world.manifests.put(FILE, "template: diary-v1\nenv: {SIM_BEHAVIOUR: \"holds:64m\"}\nmemory: 128m\n");
    let repaired = until(&mut daemon, "ready again", AppStatus::is_ready).await;
    assert_eq!((repaired.limits.unwrap().memory, &repaired.container), (Bytes::mib(128), &ready.container));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_told_with_one_exit_code_and_ends_when_the_app_answers() {
    let (world, mut daemon) = one_app("template: diary-v1\n").await;
    world.docker.add_rule(|_, _| Some(Behaviour::ServesThenExits { code: 3, after: Duration::from_millis(300) }));
    let mut told = Vec::new();
    let mut both = |app: &AppStatus| {
        let crash = app.condition(ConditionKind::CrashLoop).map(|condition| condition.message.clone());
        told.extend(crash.zip(app.last_exit.clone()));
        app.health == Health::CrashLoop
    };
    until(&mut daemon, "a crash loop", &mut both).await;
    world.docker.clear_rules();
    let began = tokio::time::Instant::now();
    until(&mut daemon, "over", |app| !both(app) && app.is_ready()).await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(!told.is_empty());
    for (message, exit) in told {
        assert!(message.contains("exit code 3") && exit.code == 3, "{message}: {exit:?}");
    }
    let calm = app(&daemon.status()).unwrap();
    assert!(calm.restarts >= 3, "the number stays: {}", calm.restarts);

    world.docker.crash(MAIN, 1).unwrap();
    until(&mut daemon, "restarted", |app| app.restarts > calm.restarts).await;
    let relapsed = daemon.until(MINUTE, |status| app(status).is_some_and(|app| app.health == Health::CrashLoop)).await;
    assert!(!relapsed, "one crash after a calm time is no crash loop: {:#?}", daemon.status());
}
