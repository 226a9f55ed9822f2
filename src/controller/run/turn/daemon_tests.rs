//! A change of the network on a running box.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::faulty::{Injector, Scope};
use crate::engine::sim::SimConfig;
use crate::model::status::EngineStatus;
use crate::model::{AppKey, AppStatus, ConditionKind, ContainerState, DaemonStatus, Health, Routing, Settings};
use crate::testing::daemon::Daemon;
use crate::testing::seams::{World, diary};

const MINUTE: Duration = Duration::from_secs(60);
/// More than are worked on at a time.
const APPS: [&str; 8] =
    ["alice-diary", "alice-notes", "bob-diary", "bob-notes", "carol-diary", "carol-notes", "dave-diary", "dave-notes"];
/// Never answers on the new network.
const BROKEN: &str = "bob-diary";

async fn eight_apps() -> (World, Daemon) {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    let broken = AppKey::parse(BROKEN).unwrap().container_name();
    world.docker.add_rule(move |spec, _| {
        (spec.name.starts_with(&broken) && spec.network != "paas-proxy").then(|| "never-answers".parse().unwrap())
    });
    let mut daemon = Daemon::start(&world).await.unwrap();
    for name in APPS {
        world.manifests.put(&format!("{name}.yaml"), "template: diary-v1\n");
    }
    let all_ready = |status: &DaemonStatus| status.apps.values().filter(|app| app.is_ready()).count() == APPS.len();
    assert!(daemon.until(MINUTE, |status| all_ready(status)).await, "{:#?}", daemon.status());
    (world, daemon)
}

/// Apps that have two containers, or none that answers.
fn in_motion(world: &World, status: &DaemonStatus) -> Vec<String> {
    let mut containers: BTreeMap<String, Vec<ContainerState>> = BTreeMap::new();
    for container in world.docker.containers() {
        let app = container.name.trim_end_matches(".next").trim_end_matches(".prev");
        containers.entry(app.to_owned()).or_default().push(container.state);
    }
    let serves = |key: &AppKey| {
        let said = status.apps.get(key).is_some_and(|app| app.endpoint.is_some());
        said && containers.get(&key.container_name()).is_some_and(|states| states[..] == [ContainerState::Running])
    };
    let keys = APPS.iter().map(|name| AppKey::parse(name).unwrap());
    keys.filter(|key| !serves(key)).map(|key| key.to_string()).collect()
}

async fn move_all(edit: fn(&mut Settings), new_life_after: Option<Duration>) {
    let (world, mut daemon) = eight_apps().await;
    world.edit_settings(edit);
    let network = world.settings_tx.borrow().settings.app_network();
    let there = |name: &str| {
        let container = world.docker.container(&AppKey::parse(name).unwrap().container_name());
        container.is_some_and(|container| container.networks.keys().eq([&network]))
    };
    let (began, mut waited, mut killed) = (tokio::time::Instant::now(), false, false);
    let done = |daemon: &Daemon| {
        let given_up = |app: &AppStatus| app.condition(ConditionKind::DeployFailed).is_some();
        let ended = |name: &&str| match daemon.status().apps.get(&AppKey::parse(name).unwrap()) {
            Some(app) => {
                if *name == BROKEN {
                    given_up(app)
                } else {
                    app.is_ready() && there(name)
                }
            }
            None => false,
        };
        APPS.iter().all(ended)
    };
    while !done(&daemon) {
        assert!(began.elapsed() < 3 * MINUTE, "{:#?}", daemon.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut moving = in_motion(&world, &daemon.status());
        // It does not answer: after a while the others go on beside it.
        if began.elapsed() > Duration::from_secs(15) {
            moving.retain(|app| app != BROKEN);
        }
        assert!(moving.len() <= 1, "{moving:?} at {:?}", began.elapsed());
        let waits = |app: &AppStatus| app.condition(ConditionKind::WaitsToMove).is_some();
        waited |= daemon.status().apps.values().any(|app| waits(app) && app.health == Health::Running);
        if new_life_after.is_some_and(|wait| began.elapsed() >= wait) && !killed && !moving.is_empty() {
            killed = true;
            daemon.kill();
            daemon = Daemon::start(&world).await.unwrap();
            // What it says meanwhile is about the life before.
            assert!(daemon.until(MINUTE, |status| status.apps.len() == APPS.len()).await);
        }
    }
    assert!(waited && killed == new_life_after.is_some());
    let broken = daemon.status().apps[&AppKey::parse(BROKEN).unwrap()].clone();
    assert!(broken.endpoint.is_some(), "it serves as it did: {broken:#?}");
    let before = world.docker.journal_len();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(world.docker.journal_since(before), []);
    assert_eq!(in_motion(&world, &daemon.status()), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn another_network_is_moved_to_one_app_at_a_time() {
    move_all(|settings| settings.network = "paas-other".to_owned(), None).await;
}

#[tokio::test(start_paused = true)]
async fn another_way_of_routing_moves_one_app_at_a_time() {
    move_all(|settings| settings.routing = Routing::Direct, None).await;
}

#[tokio::test(start_paused = true)]
async fn when_docker_was_lost_in_the_middle_the_app_on_its_way_arrives_first() {
    let (world, mut daemon) = eight_apps().await;
    world.edit_settings(|settings| settings.network = "paas-other".to_owned());
    let on_their_way = || {
        let names = world.docker.containers().into_iter().map(|container| container.name);
        let next = names.filter_map(|name| name.strip_suffix(".next").map(str::to_owned));
        next.filter(|name| !name.ends_with(BROKEN)).collect::<Vec<_>>()
    };
    // Not the first in any order.
    while on_their_way() != ["paas-app-alice-notes"] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.docker.engine_kill();
    let lost = |status: &DaemonStatus| matches!(status.engine, EngineStatus::Unreachable { .. });
    assert!(daemon.until(5 * MINUTE, |status| lost(status)).await, "{:#?}", daemon.status());
    world.docker.engine_start();
    let done = |status: &DaemonStatus| {
        let key = AppKey::parse("dave-notes").unwrap();
        let network = world.settings_tx.borrow().settings.app_network();
        let there = world.docker.container(&key.container_name());
        there.is_some_and(|there| there.networks.keys().eq([&network])) && status.apps[&key].is_ready()
    };
    let began = tokio::time::Instant::now();
    while !done(&daemon.status()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let moving = on_their_way();
        assert!(moving.len() <= 1, "{moving:?} at {:?}", began.elapsed());
        assert!(began.elapsed() < 5 * MINUTE, "{:#?}", daemon.status());
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_begins_in_the_middle_lets_the_app_on_its_way_arrive_first() {
    for millis in [0, 2_000] {
        let wait = Some(Duration::from_millis(millis));
        move_all(|settings| settings.network = "paas-other".to_owned(), wait).await;
        move_all(|settings| settings.routing = Routing::Direct, wait).await;
    }
}
