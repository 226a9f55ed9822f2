//! Confirmations through the doors of a simulated daemon.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::controller::{Command, ConfirmError};
use crate::engine::faulty::{CallFault, Injector, Scope};
use crate::engine::sim::{Quirks, SimConfig};
use crate::model::inventory::Removals;
use crate::model::status::{HeldRemoval, ManifestsStatus};
use crate::model::{AppKey, DaemonStatus};
use crate::testing::daemon::Daemon;
use crate::testing::seams::{World, diary};

const MINUTE: Duration = Duration::from_secs(60);
const APPS: [&str; 4] = ["alice-diary", "alice-notes", "bob-diary", "bob-notes"];

fn keys() -> BTreeSet<AppKey> {
    APPS.iter().map(|name| AppKey::parse(name).unwrap()).collect()
}

fn save_all(world: &World) {
    for name in APPS {
        world.manifests.put(&format!("{name}.yaml"), "template: diary-v1\n");
    }
}

/// Four apps run.
async fn running() -> (World, Daemon) {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    let mut daemon = Daemon::start(&world).await.unwrap();
    save_all(&world);
    let all_ready = |status: &DaemonStatus| status.apps.values().filter(|app| app.is_ready()).count() == APPS.len();
    assert!(daemon.until(MINUTE, |status| all_ready(status)).await, "{:#?}", daemon.status());
    (world, daemon)
}

/// Four apps run, and then all their files are gone.
async fn wiped() -> (World, Daemon, HeldRemoval) {
    let (world, mut daemon) = running().await;
    world.manifests.wipe();
    assert!(daemon.until(MINUTE, |status| status.held.is_some()).await, "{:#?}", daemon.status());
    let held = daemon.status().held.clone().unwrap();
    (world, daemon, held)
}

async fn confirm(daemon: &Daemon, held: &HeldRemoval) -> Result<Vec<AppKey>, ConfirmError> {
    let (answer, reply) = oneshot::channel();
    let command = Command::Confirm { token: held.token.clone(), by: "a person".to_owned(), answer };
    daemon.commands_tx.send(command).await.unwrap();
    reply.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_sight_cannot_be_confirmed() {
    let (world, mut daemon, held) = wiped().await;
    world.manifests.set_missing(Some("/paas/apps.d is not there: mount its disk"));
    let unavailable = |status: &DaemonStatus| matches!(status.manifests, ManifestsStatus::Unavailable { .. });
    assert!(daemon.until(MINUTE, |status| unavailable(status)).await);
    insta::assert_snapshot!(
        confirm(&daemon, &held).await.unwrap_err(),
        @"the manifests folder cannot be trusted, so nobody can say what has vanished from it: /paas/apps.d is not there: mount its disk; then look at `paas status` again, and confirm what is held by then"
    );
    world.manifests.set_missing(None);
    assert!(daemon.until(MINUTE, |status| matches!(status.manifests, ManifestsStatus::Complete)).await);
    let held = daemon.status().held.clone().expect("it is held as before");
    assert_eq!(confirm(&daemon, &held).await.unwrap().len(), APPS.len());
    assert!(daemon.until(MINUTE, |status| status.apps.is_empty()).await, "{:#?}", daemon.status());
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_outlasts_a_folder_that_cannot_be_read() {
    let (world, mut daemon, held) = wiped().await;
    // One app can be removed at once; the others are tried again when the folder is out of sight.
    world.docker.set_quirks(Quirks { failing_removals: 3, ..Quirks::default() });
    confirm(&daemon, &held).await.unwrap();
    // The passes are under way, and know what they do.
    tokio::time::sleep(Duration::from_millis(30)).await;
    world.manifests.set_missing(Some("no such folder"));
    assert!(daemon.until(MINUTE, |status| status.apps.len() < APPS.len()).await, "{:#?}", daemon.status());
    tokio::time::sleep(MINUTE).await;
    let left: BTreeSet<AppKey> = world.store.rows().into_iter().map(|row| row.key).collect();
    assert!(left.len() >= 3 && left.len() < APPS.len(), "{left:?}");
    assert!(
        world.store.noted_removals().confirmed.is_superset(&left),
        "{:?} of {left:?}",
        world.store.noted_removals().confirmed
    );

    world.manifests.set_missing(None);
    let held_or_gone = |status: &DaemonStatus| status.held.is_some() || status.apps.is_empty();
    assert!(daemon.until(MINUTE, |status| held_or_gone(status)).await);
    assert_eq!(daemon.status().held, None, "a person has said yes to exactly this");
    assert_eq!(world.store.rows(), []);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_was_written_without_an_answer_is_struck_off() {
    let (world, mut daemon, held) = wiped().await;
    world.injector.inject_in(1, CallFault::LoseAnswer);
    let error = confirm(&daemon, &held).await.unwrap_err();
    assert!(matches!(error, ConfirmError::Unwritten { .. }), "{error}");
    assert_eq!(world.store.noted_removals().confirmed, keys(), "it was written all the same");
    save_all(&world);
    assert!(daemon.until(MINUTE, |status| status.held.is_none()).await);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.store.noted_removals().confirmed, BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn a_hold_does_not_end_for_an_app_because_other_files_are_back() {
    let (world, mut daemon, _) = wiped().await;
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    world.manifests.put("alice-notes.yaml", "template: diary-v1\n");
    let still_held = |status: &DaemonStatus| status.held.as_ref().is_some_and(|held| held.apps.len() == 2);
    assert!(daemon.until(MINUTE, |status| still_held(status)).await, "{:#?}", daemon.status());
    // Simulated time: far beyond the ten seconds of a single file.
    tokio::time::sleep(2 * MINUTE).await;
    let rows: BTreeSet<AppKey> = world.store.rows().into_iter().map(|row| row.key).collect();
    assert_eq!(rows, keys(), "nobody has confirmed anything");
    let held = daemon.status().held.clone().unwrap();
    assert_eq!(confirm(&daemon, &held).await.unwrap().len(), 2);
    assert!(daemon.until(MINUTE, |status| status.apps.len() == 2).await, "{:#?}", daemon.status());
    assert_eq!(daemon.status().held, None);
}

#[tokio::test(start_paused = true)]
async fn a_hold_outlasts_a_restart_in_the_middle_of_a_repair() {
    let (world, daemon, held) = wiped().await;
    daemon.kill();
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    world.manifests.put("alice-notes.yaml", "template: diary-v1\n");
    let mut daemon = Daemon::start(&world).await.unwrap();
    let still_held = |status: &DaemonStatus| status.held.as_ref().is_some_and(|held| held.apps.len() == 2);
    assert!(daemon.until(MINUTE, |status| still_held(status)).await, "{:#?}", daemon.status());
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(world.store.rows().len(), APPS.len(), "nobody has confirmed anything");
    // Each is let go for a reason of its own: one file is back, one removal is confirmed.
    world.manifests.put("bob-diary.yaml", "template: diary-v1\n");
    let one_held = |status: &DaemonStatus| status.held.as_ref().is_some_and(|held| held.apps.len() == 1);
    assert!(daemon.until(MINUTE, |status| one_held(status)).await, "{:#?}", daemon.status());
    assert!(matches!(confirm(&daemon, &held).await, Err(ConfirmError::Changed { .. })));
    let held = daemon.status().held.clone().unwrap();
    confirm(&daemon, &held).await.unwrap();
    assert!(daemon.until(MINUTE, |status| status.apps.len() == 3).await, "{:#?}", daemon.status());
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.store.noted_removals(), Removals::default(), "nothing outlasts what it is about");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_cannot_be_written_down_holds_and_says_so() {
    let (world, mut daemon) = running().await;
    // The row of the event log comes first.
    world.injector.inject_in(2, CallFault::LoseAnswer);
    world.manifests.wipe();
    assert!(daemon.until(MINUTE, |status| status.held.is_some()).await, "{:#?}", daemon.status());
    let message = daemon.status().held.clone().unwrap().message;
    assert!(message.contains("keep the daemon running"), "{message}: {:#?}", world.injector.calls());
    // The write is made again.
    let is_written = |status: &DaemonStatus| !status.held.as_ref().unwrap().message.contains("keep the daemon running");
    assert!(daemon.until(MINUTE, |status| is_written(status)).await, "{:#?}", daemon.status());
    assert_eq!(world.store.noted_removals().held, keys());
}

#[tokio::test(start_paused = true)]
async fn a_vanished_file_is_told_once_however_often_the_daemon_starts() {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    let mut daemon = Daemon::start(&world).await.unwrap();
    world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
    assert!(daemon.until(MINUTE, |status| status.apps.values().any(|app| app.is_ready())).await);
    daemon.kill();
    world.manifests.remove("alice-diary.yaml");
    for _ in 0..8 {
        let mut daemon = Daemon::start(&world).await.unwrap();
        assert!(daemon.until(MINUTE, |status| matches!(status.manifests, ManifestsStatus::Complete)).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        daemon.kill();
    }
    let mut daemon = Daemon::start(&world).await.unwrap();
    assert!(daemon.until(MINUTE, |status| matches!(status.manifests, ManifestsStatus::Complete)).await);
    assert!(daemon.until(MINUTE, |status| status.apps.is_empty()).await, "{:#?}", daemon.status());
    let told = world.store.log().into_iter().filter(|event| event.what.starts_with("removed alice-diary.yaml")).count();
    assert_eq!(told, 1, "{:#?}", world.store.log());
}
