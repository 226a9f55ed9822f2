//! Data that is put back.

use super::*;
use crate::model::{Incoming, Restore, Restored};

fn restore() -> Restore {
    Restore { asked: Timestamp(NOW - 50), of: Some(Timestamp(5)), entry: "entry".to_owned() }
}

fn waiting(containers: Vec<ObservedContainer>) -> AppView {
    let mut view = view(Goal::Run(Box::new(spec())), containers);
    view.folder.incoming = Some(Incoming { restore: restore(), swapped: false });
    view
}

fn stopped() -> ObservedContainer {
    ObservedContainer { state: ContainerState::Exited, ..main_container(&spec()) }
}

fn restored(at: i64) -> InventoryRow {
    InventoryRow { restored: Some(Restored { restore: restore(), at: Timestamp(at) }), ..row() }
}

#[test]
fn nothing_runs_while_data_changes_places_and_it_is_started_again_whatever_its_end_looks_like() {
    let running = waiting(vec![main_container(&spec())]);
    insta::assert_snapshot!(text(&running), @"alice-diary: stop container paas-app-alice-diary (main) - its data is put back");
    let verdict = assess(&running, &diff(&running));
    assert_eq!(verdict.sync, SyncState::OutOfSync);
    insta::assert_snapshot!(text(&waiting(vec![stopped()])), @"alice-diary: put the app's data back - its data is put back");

    let spec = AppSpec { restart: RestartPolicy::OnFailure(None), ..spec() };
    let mut ended = view(Goal::Run(Box::new(spec.clone())), vec![ObservedContainer { exit_code: 0, ..stopped() }]);
    ended.containers[0] = OwnedContainer::prove(
        ObservedContainer { restart: Some(RestartPolicy::OnFailure(None)), ..ended.containers[0].get().clone() },
        &key(),
        &instance(),
    )
    .unwrap();
    assert!(!text(&ended).contains("start container"), "it has done its work");
    (ended.record, ended.recorded) = (Some(restored(NOW)), Some(restored(NOW)));
    assert!(
        text(&ended).contains("start container paas-app-alice-diary (main) - its data was put back"),
        "{}",
        text(&ended)
    );
    assert_eq!(assess(&ended, &diff(&ended)).health, Health::Starting);
}

#[test]
fn what_was_started_before_its_data_changed_places_is_started_anew() {
    let mut view = view(Goal::Run(Box::new(spec())), vec![main_container(&spec())]);
    let started = view.containers[0].get().started_at.unwrap();
    (view.record, view.recorded) = (Some(restored(started.0)), Some(restored(started.0)));
    assert_eq!(text(&view), "");
    (view.record, view.recorded) = (Some(restored(started.0 + 1)), Some(restored(started.0 + 1)));
    insta::assert_snapshot!(text(&view), @"alice-diary: stop container paas-app-alice-diary (main) - it was started before its data was put back");
}

#[test]
fn a_deploy_that_is_under_way_ends_first() {
    let old = ObservedContainer {
        id: ContainerId("old".to_owned()),
        ..main_container(&AppSpec { env: [("A".to_owned(), "b".to_owned())].into(), ..spec() })
    };
    let next = ObservedContainer { name: key().next_container_name(), ..main_container(&spec()) };
    let mut view = waiting(vec![old, next]);
    assert!(!text(&view).contains("its data is put back"), "{}", text(&view));
    // But not one that has begun to.
    view.folder.incoming = Some(Incoming { restore: restore(), swapped: true });
    assert!(text(&view).contains("its data is put back"), "{}", text(&view));
}

#[test]
fn who_was_stopped_for_it_serves_again_before_a_change_is_tried_beside_it() {
    let other = AppSpec { env: [("A".to_owned(), "b".to_owned())].into(), ..spec() };
    let old = ObservedContainer { state: ContainerState::Exited, ..main_container(&other) };
    let mut view = view(Goal::Run(Box::new(spec())), vec![old]);
    assert!(text(&view).contains("create container"), "{}", text(&view));
    (view.record, view.recorded) = (Some(restored(NOW)), Some(restored(NOW)));
    insta::assert_snapshot!(text(&view), @"alice-diary: start container paas-app-alice-diary (main) - its data was put back");
}

#[test]
fn a_site_that_is_closed_has_its_data_put_back_as_well_and_one_that_is_deleted_has_not() {
    let mut view = waiting(vec![stopped()]);
    view.goal = Goal::Stop(Box::new(spec()));
    assert!(text(&view).contains("put the app's data back"), "{}", text(&view));
    view.goal = Goal::Remove { purge: None };
    assert!(!text(&view).contains("put the app's data back"), "{}", text(&view));
}
