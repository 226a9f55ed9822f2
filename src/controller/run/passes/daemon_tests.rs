//! Replacements in place that cannot come about.

use std::time::Duration;

use crate::engine::faulty::{Injector, Scope};
use crate::engine::sim::{Quirks, SimConfig, foreign};
use crate::model::{AppKey, AppStatus, ConditionKind, ContainerState, DaemonStatus, Routing};
use crate::testing::daemon::Daemon;
use crate::testing::seams::{World, diary};

const MINUTE: Duration = Duration::from_secs(60);
const MAIN: &str = "paas-app-alice-diary";

fn save(world: &World, greeting: &str) {
    world.manifests.put("alice-diary.yaml", format!("template: diary-v1\nenv: {{GREETING: {greeting}}}\n"));
}

fn app(status: &DaemonStatus) -> Option<&AppStatus> {
    status.apps.get(&AppKey::parse("alice-diary").unwrap()).map(|app| &**app)
}

fn is_ready(status: &DaemonStatus) -> bool {
    app(status).is_some_and(AppStatus::is_ready)
}

fn holds(status: &DaemonStatus, kind: ConditionKind) -> bool {
    app(status).is_some_and(|app| app.condition(kind).is_some())
}

/// One app, in direct mode.
async fn direct() -> (World, Daemon) {
    let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
    world.add_template(diary());
    world.edit_settings(|settings| settings.routing = Routing::Direct);
    let mut daemon = Daemon::start(&world).await.unwrap();
    save(&world, "first");
    assert!(daemon.until(MINUTE, |status| is_ready(status)).await, "{:#?}", daemon.status());
    (world, daemon)
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_can_never_be_created_ends_with_the_old_one_running() {
    let (world, mut daemon) = direct().await;
    let first = world.docker.container(MAIN).unwrap().id;
    world.docker.set_quirks(Quirks { failing_creations: u32::MAX, ..Quirks::default() });
    save(&world, "second");
    let given_up = |status: &DaemonStatus| holds(status, ConditionKind::DeployFailed);
    assert!(daemon.until(MINUTE, |status| given_up(status)).await, "{:#?}", daemon.status());
    tokio::time::sleep(MINUTE).await;
    let kept = world.docker.container(MAIN).unwrap();
    assert_eq!((kept.id, kept.state), (first, ContainerState::Running));
    let reason = app(&daemon.status()).unwrap().failed_deploy.clone().unwrap().reason;
    assert!(reason.contains("no space left on device"), "{reason}");
    let before = world.docker.journal_len();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(world.docker.journal_since(before), [], "it is not tried for ever");
    world.docker.set_quirks(Quirks::default());
    save(&world, "third");
    assert!(daemon.until(MINUTE, |status| is_ready(status)).await, "{:#?}", daemon.status());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_container_in_the_way_of_a_replacement_leaves_the_old_one_running() {
    let (world, mut daemon) = direct().await;
    let image = world.settings_tx.borrow().settings.runtime_image.clone();
    world.docker.create(&foreign(&format!("{MAIN}.prev"), &image)).unwrap();
    save(&world, "second");
    let conflict = |status: &DaemonStatus| holds(status, ConditionKind::Conflict);
    assert!(daemon.until(MINUTE, |status| conflict(status)).await, "{:#?}", daemon.status());
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.docker.container(MAIN).unwrap().state, ContainerState::Running);
    world.docker.remove(&format!("{MAIN}.prev")).unwrap();
    assert!(daemon.until(2 * MINUTE, |status| is_ready(status)).await, "{:#?}", daemon.status());
    assert_eq!(world.docker.spec(MAIN).unwrap().env["GREETING"], "second");
}

#[tokio::test(start_paused = true)]
async fn a_network_changed_in_mid_deploy_leaves_something_to_bring_back() {
    let (world, mut daemon) = direct().await;
    let first = world.docker.container(MAIN).unwrap().id;
    // Neither of the next two ever answers.
    world.docker.add_rule(|spec, _| {
        (spec.env.get("GREETING").map(String::as_str) == Some("second")).then(|| "never-answers".parse().unwrap())
    });
    save(&world, "second");
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.edit_settings(|settings| settings.network = "paas-other".to_owned());
    assert!(
        daemon.until(2 * MINUTE, |status| holds(status, ConditionKind::DeployFailed)).await,
        "{:#?}",
        daemon.status()
    );
    tokio::time::sleep(MINUTE).await;
    let kept = world.docker.container(MAIN).unwrap();
    assert_eq!((kept.id, kept.state), (first, ContainerState::Running));
}
