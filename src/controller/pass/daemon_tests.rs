//! What is told of an app, and what is done about it, over some time.

use std::sync::Arc;
use std::time::Duration;

use crate::controller::Input;
use crate::engine::faulty::{Injector, Scope};
use crate::engine::sim::{Behaviour, SimConfig};
use crate::model::{
    AppKey, AppStatus, Bytes, ConditionKind, ContainerState, DaemonStatus, DiagnosisCode, Event, EventKind, Health,
    SyncState,
};
use crate::store::Store as _;
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

#[tokio::test(start_paused = true)]
async fn an_app_that_hangs_is_told_within_half_a_minute_and_comes_back_by_itself() {
    let (world, mut daemon) = one_app("template: diary-v1\n").await;
    until(&mut daemon, "ready", AppStatus::is_ready).await;
    tokio::time::sleep(10 * MINUTE).await;
    world.docker.hang(MAIN).unwrap();
    let began = tokio::time::Instant::now();
    let hung = until(&mut daemon, "told", |app| app.condition(ConditionKind::NotAnswering).is_some()).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!hung.is_ready() && hung.health == Health::Degraded && hung.endpoint.is_none(), "{hung:#?}");
    let message = &hung.condition(ConditionKind::NotAnswering).unwrap().message;
    assert!(message.contains("has stopped answering on port 3000"), "{message}");
    let condition = hung.condition(ConditionKind::NotAnswering).unwrap();
    assert_eq!(condition.reason, "StoppedAnswering");
    assert!(condition.message.contains("restart: {onHang: true}"), "{condition:?}");
    assert_eq!(hung.diagnosis.as_ref().unwrap().code, DiagnosisCode::Hangs);
    let log = log_of(&world);
    assert_eq!(log.matches("the app has stopped answering").count(), 1, "{log}");
    assert!(log.contains("프로세스가 멈춰 있습니다") && !log.contains("does not come up"), "{log}");
    let noticed = |event: &Event| event.kind == EventKind::Noticed && event.what == "the app has stopped answering";
    assert_eq!(world.store.log().iter().filter(|event| noticed(event)).count(), 1);
    tokio::time::sleep(60 * MINUTE).await;
    assert_eq!(world.docker.containers().len(), 1, "nobody asked for a new one");

    world.docker.unhang(MAIN).unwrap();
    let back = until(&mut daemon, "ready again", AppStatus::is_ready).await;
    assert_eq!(back.container, hung.container);

    // An answer or two that was missed is no reason to say anything.
    world.docker.hang(MAIN).unwrap();
    let told = daemon.until(Duration::from_secs(9), |status| app(status).is_some_and(|app| !app.is_ready())).await;
    world.docker.unhang(MAIN).unwrap();
    assert!(!told && !daemon.until(MINUTE, |status| app(status).is_some_and(|app| !app.is_ready())).await);
}

fn log_of(world: &World) -> String {
    world.folders.app(&AppKey::parse("alice-diary").unwrap()).unwrap().log.unwrap_or_default()
}

/// How often a new container was made, from that entry of the journal on.
fn made(world: &World, since: usize) -> usize {
    world.docker.journal_since(since).iter().filter(|entry| entry.to_string().contains(" create paas-app")).count()
}

#[tokio::test(start_paused = true)]
async fn an_app_that_hangs_gets_a_new_container_when_it_asks_for_that() {
    let (world, mut daemon) = one_app("template: diary-v1\nrestart: {onHang: true}\n").await;
    let before = until(&mut daemon, "ready", AppStatus::is_ready).await;
    tokio::time::sleep(10 * MINUTE).await;
    world.docker.hang(MAIN).unwrap();
    let began = tokio::time::Instant::now();
    until(&mut daemon, "found out", |app| !app.is_ready()).await;
    let after = until(&mut daemon, "ready again", AppStatus::is_ready).await;
    assert!(began.elapsed() < Duration::from_secs(32), "{:?}", began.elapsed());
    assert_ne!(after.container, before.container);
    until(&mut daemon, "at rest", |app| app.sync == SyncState::Synced).await;
    let containers = world.docker.containers();
    assert_eq!(containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>(), [MAIN]);
    let causes: Vec<String> =
        world.store.log().iter().map(|event| format!("{}: {}", event.what, event.cause)).collect();
    let created = "create container paas-app-alice-diary.next: it has stopped answering";
    assert!(causes.iter().any(|cause| cause == created), "{causes:#?}");

    // Once more, soon after: not before a minute has passed since the last time.
    world.docker.hang(MAIN).unwrap();
    let waits = until(&mut daemon, "waits", |app| app.condition(ConditionKind::NotAnswering).is_some()).await;
    assert_eq!(waits.condition(ConditionKind::NotAnswering).unwrap().reason, "ReplacedAgain");
    until(&mut daemon, "ready once more", AppStatus::is_ready).await;
    assert!(began.elapsed() > Duration::from_secs(80), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn apps_that_all_stop_answering_at_once_get_new_containers_one_at_a_time() {
    const APPS: [&str; 3] = ["alice-diary", "bob-diary", "carol-diary"];
    let manifest = "template: diary-v1\nrestart: {onHang: true}\n";
    let (world, mut daemon) = one_app(manifest).await;
    for app in &APPS[1..] {
        world.manifests.put(&format!("{app}.yaml"), manifest);
    }
    let all_ready = |status: &DaemonStatus| status.apps.values().filter(|app| app.is_ready()).count() == APPS.len();
    assert!(daemon.until(MINUTE, |status| all_ready(status)).await, "{:#?}", daemon.status());
    tokio::time::sleep(10 * MINUTE).await;
    for app in APPS {
        world.docker.hang(&format!("paas-app-{app}")).unwrap();
    }
    let since = world.docker.journal_len();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(made(&world, since), 1, "the cause may be the machine's");
    assert!(
        daemon.until(5 * MINUTE, |status| all_ready(status)).await,
        "and nobody waits for ever: {:#?}",
        daemon.status()
    );
    assert_eq!(made(&world, since), 3);
}

#[tokio::test(start_paused = true)]
async fn where_new_containers_hang_as_well_they_are_made_ever_more_rarely() {
    let (world, mut daemon) = one_app("template: diary-v1\nrestart: {onHang: true}\n").await;
    let before = until(&mut daemon, "ready", AppStatus::is_ready).await;
    world.docker.add_rule(|spec, _| (spec.name != MAIN).then(|| "never-answers".parse().unwrap()));
    world.docker.hang(MAIN).unwrap();
    let since = world.docker.journal_len();
    tokio::time::sleep(60 * MINUTE).await;
    // After 0, 1, 3, 7, 15 and 31 minutes.
    assert_eq!(made(&world, since), 6);
    tokio::time::sleep(10 * 60 * MINUTE).await;
    assert_eq!(made(&world, since), 16, "once an hour at last");
    let log = log_of(&world);
    assert_eq!(log.matches("the container that was to replace one that hangs is given up").count(), 16, "{log}");
    assert_eq!(log.matches("the app has stopped answering").count(), 1, "{log}");
    assert!(world.store.inventory().await.unwrap().iter().all(|row| row.failed.is_none()), "no change failed");

    world.docker.unhang(MAIN).unwrap();
    let after = until(&mut daemon, "ready again", AppStatus::is_ready).await;
    assert_eq!(after.container, before.container);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_dies_again_and_again_gives_a_hanging_app_no_more_than_one_new_container() {
    let (world, mut daemon) = one_app("template: diary-v1\nrestart: {onHang: true}\n").await;
    until(&mut daemon, "ready", AppStatus::is_ready).await;
    tokio::time::sleep(MINUTE).await;
    world.docker.add_rule(|spec, _| (spec.name != MAIN).then(|| "never-answers".parse().unwrap()));
    world.docker.hang(MAIN).unwrap();
    let since = world.docker.journal_len();
    for _ in 0..20 {
        drop(daemon);
        daemon = Daemon::start(&world).await.unwrap();
        tokio::time::sleep(MINUTE / 3).await;
    }
    assert_eq!(made(&world, since), 0, "nobody has watched it for long enough");
    tokio::time::sleep(60 * MINUTE).await;
    assert_eq!(made(&world, since), 1, "then it gets one, and no more, since nobody has seen it answer");
    let told = app(&daemon.status()).unwrap();
    assert!(told.condition(ConditionKind::NotAnswering).is_some(), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_that_never_came_up_does_not_hang() {
    let (world, mut daemon) =
        one_app("template: diary-v1\nrestart: {onHang: true}\nenv: {SIM_BEHAVIOUR: never-answers}\n").await;
    until(&mut daemon, "told", |app| app.condition(ConditionKind::NotAnswering).is_some()).await;
    tokio::time::sleep(60 * MINUTE).await;
    assert_eq!(made(&world, 0), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_change_that_was_given_up_what_hangs_is_started_anew() {
    let (world, mut daemon) = one_app("template: diary-v1\nrestart: {onHang: true}\n").await;
    let before = until(&mut daemon, "ready", AppStatus::is_ready).await;
    world.manifests.put(FILE, "template: diary-v1\nrestart: {onHang: true}\nenv: {SIM_BEHAVIOUR: never-answers}\n");
    until(&mut daemon, "given up", |app| app.condition(ConditionKind::DeployFailed).is_some()).await;
    tokio::time::sleep(MINUTE).await;
    world.docker.hang(MAIN).unwrap();
    let started_at = before.started_at;
    let after = until(&mut daemon, "started anew", |app| app.endpoint.is_some() && app.started_at != started_at).await;
    assert_eq!(after.container, before.container);
    assert!(after.condition(ConditionKind::DeployFailed).is_some(), "{after:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_that_cannot_run_twice_is_replaced_in_place() {
    let (world, mut daemon) = one_app("template: diary-v1\nrestart: {onHang: true}\nstrategy: recreate\n").await;
    let before = until(&mut daemon, "ready", AppStatus::is_ready).await;
    tokio::time::sleep(MINUTE).await;
    world.docker.hang(MAIN).unwrap();
    until(&mut daemon, "found out", |app| !app.is_ready()).await;
    let after = until(&mut daemon, "ready again", AppStatus::is_ready).await;
    assert_ne!(after.container, before.container);
    until(&mut daemon, "at rest", |app| app.sync == SyncState::Synced).await;
    assert_eq!(world.docker.containers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_visitors_notice_makes_an_app_be_asked_at_once_and_is_not_believed_by_itself() {
    let (world, mut daemon) = one_app("template: diary-v1\n").await;
    until(&mut daemon, "ready", AppStatus::is_ready).await;
    tokio::time::sleep(10 * MINUTE).await;
    let key = AppKey::parse("alice-diary").unwrap();
    // A page that takes its time: its visitors leave, the app answers.
    for _ in 0..300 {
        daemon.inputs_tx.send(Input::Unanswered(key.clone())).await.unwrap();
        let told = daemon.until(Duration::from_secs(1), |status| app(status).is_some_and(|app| !app.is_ready())).await;
        assert!(!told, "{:#?}", daemon.status());
    }
    world.docker.hang(MAIN).unwrap();
    let began = tokio::time::Instant::now();
    daemon.inputs_tx.send(Input::Unanswered(key.clone())).await.unwrap();
    until(&mut daemon, "told", |app| app.condition(ConditionKind::NotAnswering).is_some()).await;
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
}
