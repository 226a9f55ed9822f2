//! Falling asleep and waking up.

use std::time::Duration;

use super::*;

/// When it fell asleep.
const SINCE: i64 = NOW - 1_000;

fn sleeper() -> AppSpec {
    AppSpec { sleep: Some(Seconds(60)), ..spec() }
}

fn goal() -> Goal {
    Goal::Sleep { spec: Box::new(sleeper()), since: Timestamp(SINCE) }
}

fn asleep() -> InventoryRow {
    InventoryRow { asleep: Some(Timestamp(SINCE)), ..row() }
}

fn stopped() -> ObservedContainer {
    ObservedContainer { state: ContainerState::Exited, ..main_container(&sleeper()) }
}

#[test]
fn it_is_written_down_published_and_waited_for_before_the_container_is_stopped() {
    let mut view = view(goal(), vec![main_container(&sleeper())]);
    (view.record, view.published) = (Some(asleep()), Some(ContainerId("main".to_owned())));
    insta::assert_snapshot!(text(&view), @"alice-diary: record in the inventory - nobody has come for as long as it stays awake");
    view.recorded = Some(asleep());
    assert_eq!(text(&view), "", "requests go there");
    let verdict = assess(&view, &diff(&view));
    assert_eq!((verdict.health, verdict.sync, verdict.endpoint), (Health::Asleep, SyncState::OutOfSync, None));
    assert_eq!(verdict.recheck, Some(Duration::ZERO));
    view.published = None;
    view.draining.insert(ContainerId("main".to_owned()), 0);
    assert_eq!(text(&view), "", "one runs");
    view.draining.clear();
    insta::assert_snapshot!(text(&view), @"alice-diary: stop container paas-app-alice-diary (main) - nobody has come for as long as it stays awake");
}

#[test]
fn asleep_is_no_drift_and_other_limits_are_put_in_force_without_waking_it() {
    let mut sleeping = view(goal(), vec![stopped()]);
    (sleeping.record, sleeping.recorded) = (Some(asleep()), Some(asleep()));
    assert_eq!(text(&sleeping), "");
    let verdict = assess(&sleeping, &diff(&sleeping));
    assert_eq!((verdict.health, verdict.sync, verdict.woken), (Health::Asleep, SyncState::Synced, false));
    let Goal::Sleep { spec, .. } = &mut sleeping.goal else { panic!() };
    spec.limits.memory = Bytes::mib(64);
    assert!(text(&sleeping).contains("set limits"), "{}", text(&sleeping));
    let mut none = view(goal(), vec![]);
    (none.record, none.recorded) = (Some(asleep()), Some(asleep()));
    assert_eq!(text(&none), "", "somebody removed its container: the next one who comes gets a new one");
}

#[test]
fn whoever_starts_it_by_hand_wakes_it() {
    let by_hand = ObservedContainer { started_at: Some(Timestamp(SINCE + 1)), ..main_container(&sleeper()) };
    let mut view = view(goal(), vec![by_hand]);
    (view.record, view.recorded) = (Some(asleep()), Some(asleep()));
    assert_eq!(text(&view), "");
    assert!(assess(&view, &diff(&view)).woken);
}

#[test]
fn it_is_started_however_it_ended_and_only_then_it_is_written_down_that_it_is_awake() {
    let spec = AppSpec { restart: RestartPolicy::No, ..sleeper() };
    let down = ObservedContainer { restart: Some(RestartPolicy::No), ..stopped() };
    let mut view = view(Goal::Run(Box::new(spec)), vec![down.clone()]);
    view.recorded = Some(asleep());
    insta::assert_snapshot!(text(&view), @"alice-diary: start container paas-app-alice-diary (main) - somebody wants it");
    assert_eq!(assess(&view, &diff(&view)).health, Health::Starting);
    let up = ObservedContainer { state: ContainerState::Running, started_at: Some(Timestamp(NOW)), ..down };
    view.containers = vec![OwnedContainer::prove(up, &key(), &instance()).unwrap()];
    insta::assert_snapshot!(text(&view), @"alice-diary: record in the inventory - it was woken");
}

#[test]
fn one_that_was_changed_meanwhile_gets_its_new_container_when_it_wakes() {
    let mut view =
        view(Goal::Run(Box::new(AppSpec { redeploy: Some("now".to_owned()), ..sleeper() })), vec![stopped()]);
    view.recorded = Some(asleep());
    let told = text(&view);
    assert!(told.contains("record in the inventory") && told.contains("create container"), "{told}");
}
