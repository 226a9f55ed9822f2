//! Apps on another network than theirs.

use super::*;

/// Made for another network, and on it.
fn elsewhere(change: fn(&mut ObservedContainer)) -> ObservedContainer {
    let mut container = main_container(&AppSpec { network: "elsewhere".to_owned(), ..spec() });
    container.networks = BTreeMap::from([("elsewhere".to_owned(), Some(IpAddr::from([10, 9, 0, 2])))]);
    change(&mut container);
    container
}

#[test]
fn an_app_on_another_network_serves_there_until_it_is_its_turn() {
    type Change = fn(&mut ObservedContainer);
    let cases: [(Change, Motion, &str); 6] = [
        (|_| {}, Motion::Waits, ""),
        (|c| c.name = "renamed".to_owned(), Motion::Waits, "rename container renamed"),
        (|c| c.state = ContainerState::Paused, Motion::AtRest, "stop container"),
        (|c| c.state = ContainerState::Exited, Motion::AtRest, "create container"),
        (|c| c.networks.clear(), Motion::AtRest, "create container"),
        (|c| c.networks.extend([("paas-proxy".to_owned(), None)]), Motion::AtRest, "create container"),
    ];
    for routing in [Routing::Gateway, Routing::Direct] {
        for (number, (change, motion, plan)) in cases.into_iter().enumerate() {
            let mut view = view(run(spec()), vec![elsewhere(change)]);
            view.routing = routing;
            assert!(text(&view).contains("create container"), "its turn: {number} {routing:?}");
            view.may_move = false;
            let (found, verdict) = (text(&view), assess(&view, &diff(&view)));
            assert_eq!(verdict.motion, motion, "{number} {routing:?}");
            assert!(found.contains(plan), "{number} {routing:?}: {found}");
            assert_eq!(found.contains("create container"), motion == Motion::AtRest, "{number} {routing:?}: {found}");
            assert!(motion == Motion::AtRest || !found.contains("connect"), "{number} {routing:?}: {found}");
        }
    }
    let mut waits = view(run(spec()), vec![elsewhere(|_| {})]);
    waits.may_move = false;
    let verdict = assess(&waits, &diff(&waits));
    assert_eq!((verdict.sync, verdict.health), (SyncState::OutOfSync, Health::Running));
    assert_eq!(verdict.endpoint.unwrap().ip, IpAddr::from([10, 9, 0, 2]));
    assert_eq!(verdict.findings[0].kind, ConditionKind::WaitsToMove);
    insta::assert_snapshot!(verdict.findings[0].message, @"the app goes on serving where it is, and moves to network paas-proxy by itself when the apps before it have: one at a time");
}

#[test]
fn an_app_moves_until_nothing_of_it_is_elsewhere() {
    let motion = |view: &AppView| assess(view, &diff(view)).motion;
    let mut moving = view(run(spec()), vec![elsewhere(|_| {}), next_container(&spec())]);
    moving.published = Some(ContainerId("main".to_owned()));
    moving.may_move = false;
    assert_eq!(
        (motion(&moving), text(&moving).as_str()),
        (Motion::Moves, ""),
        "a daemon that just began goes on with it"
    );
    assert_eq!(motion(&view(run(spec()), vec![main_container(&spec())])), Motion::AtRest);
    let deploy = view(run(changed_spec()), vec![main_container(&spec()), next_container(&changed_spec())]);
    assert_eq!(motion(&deploy), Motion::AtRest, "a deploy is no move");

    // What never answered there is given up, and the app goes there as it was: when it is its turn.
    moving.readiness.insert(ContainerId("next".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    assert!(text(&moving).contains("give up") && !text(&moving).contains("connect"), "{}", text(&moving));
    moving.may_move = true;
    assert!(text(&moving).contains("connect container paas-app-alice-diary (main)"), "{}", text(&moving));
}

#[test]
fn without_an_image_an_app_stays_on_its_network() {
    let mut view = view(run(spec()), vec![elsewhere(|_| {})]);
    view.image_id = None;
    for may_move in [true, false] {
        view.may_move = may_move;
        assert_eq!(text(&view), "", "on both it would count as moved");
        assert_eq!(assess(&view, &diff(&view)).motion, Motion::AtRest);
    }
}
