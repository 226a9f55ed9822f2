//! A daemon without Docker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::controller::Input;
use crate::engine::faulty::{Injector, Scope};
use crate::engine::sim::SimConfig;
use crate::model::status::{BackupStatus, ManifestsStatus};
use crate::model::{AppKey, AppStatus, ConditionKind, DaemonStatus, Timestamp};
use crate::testing::daemon::Daemon;
use crate::testing::seams::{World, diary};

const MINUTE: Duration = Duration::from_secs(60);

fn told(status: &DaemonStatus) -> Vec<String> {
    let line = |app: &AppStatus| {
        let unreachable = app.condition(ConditionKind::EngineUnreachable).is_some();
        format!("{} {:?} {:?} {}", app.app, app.sync, app.health, if unreachable { "without Docker" } else { "" })
    };
    status.apps.values().map(|app| line(app)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_known_without_docker_is_told_without_docker() {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    world.docker.engine_stop();
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    world.manifests.put("bob-notes.yaml", "template: diary-v1\nmemmory: 1g\n");
    let mut daemon = Daemon::start_with(&world, |_| {}).await.unwrap();
    let complete = |status: &DaemonStatus| status.manifests == ManifestsStatus::Complete && status.apps.len() == 2;
    assert!(daemon.until(MINUTE, |status| complete(status)).await, "{:#?}", daemon.status());
    assert_eq!(
        told(&daemon.status()),
        ["alice-diary OutOfSync Unknown without Docker", "bob-notes Invalid Unknown without Docker"]
    );
    // An edit is told, and so is that a file is gone of which nothing was ever made.
    world.manifests.put("bob-notes.yaml", "template: diary-v1\n");
    world.manifests.remove("alice-diary.yaml");
    assert!(daemon.until(MINUTE, |status| status.apps.len() == 1).await, "{:#?}", daemon.status());
    assert_eq!(told(&daemon.status()), ["bob-notes OutOfSync Unknown without Docker"]);
    world.docker.engine_start();
    assert!(
        daemon.until(MINUTE, |status| status.apps.values().all(|app| app.is_ready())).await,
        "{:#?}",
        daemon.status()
    );
}

#[tokio::test(start_paused = true)]
async fn visitors_are_let_in_when_it_is_known_which_apps_there_are() {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    world.docker.engine_stop();
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    let mut first_look = None;
    let mut daemon = Daemon::start_with(&world, |config| first_look = Some(config.first_look.clone())).await.unwrap();
    let first_look = first_look.unwrap();
    let mut known_then = None;
    let looked = daemon.until(MINUTE, |status| {
        if first_look.is_cancelled() {
            known_then.get_or_insert(status.apps.len());
        }
        first_look.is_cancelled()
    });
    assert!(looked.await);
    assert_eq!(known_then, Some(1), "an address without its app would be told that there is none");
}

/// Also after the app was looked at again, and not a moment longer than it holds.
#[tokio::test(start_paused = true)]
async fn a_backup_that_failed_is_a_condition_of_its_app_until_one_succeeds() {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    let mut daemon = Daemon::start(&world).await.unwrap();
    let key = AppKey::parse("alice-diary").unwrap();
    assert!(daemon.until(MINUTE, |status| status.apps.get(&key).is_some_and(|app| app.is_ready())).await);
    let told = |status: &DaemonStatus| {
        status.apps[&key].condition(ConditionKind::BackupFailed).map(|condition| condition.message.clone())
    };
    let known = |problem: Option<&str>| {
        let since = problem.map(|_| Timestamp(7));
        let known = BackupStatus { problem: problem.map(str::to_owned), since, ..BackupStatus::default() };
        Input::Backups(Arc::new(BTreeMap::from([(key.clone(), known)])))
    };
    daemon.inputs_tx.send(known(Some("the disk is full"))).await.unwrap();
    assert!(daemon.until(MINUTE, |status| told(status).as_deref() == Some("the disk is full")).await);
    world.manifests.put("alice-diary.yaml", "template: diary-v1\nmemory: 200m\n");
    let is_changed = |status: &DaemonStatus| {
        let app = &status.apps[&key];
        app.is_ready() && app.limits.is_some_and(|limits| limits.memory == crate::model::Bytes::mib(200))
    };
    assert!(daemon.until(MINUTE, |status| is_changed(status)).await, "{:#?}", daemon.status());
    assert_eq!(told(&daemon.status()).as_deref(), Some("the disk is full"));
    assert_eq!(daemon.status().backups[&key].since, Some(Timestamp(7)));
    daemon.inputs_tx.send(known(None)).await.unwrap();
    assert!(daemon.until(MINUTE, |status| told(status).is_none()).await);
}
