//! Replacing in place, where nobody stands in front of the app.

use super::*;

/// The predecessor, stopped for a successor.
fn aside() -> ObservedContainer {
    ObservedContainer { state: ContainerState::Exited, ..container("old", "paas-app-alice-diary.prev", &spec()) }
}

#[test]
fn in_direct_mode_the_old_one_is_put_aside_and_brought_back_if_the_new_one_fails() {
    let mut before = view(run(changed_spec()), vec![main_container(&spec())]);
    before.routing = Routing::Direct;
    insta::assert_snapshot!(text(&before), @r"
    alice-diary: stop container paas-app-alice-diary (main) - the app's specification changed
    alice-diary: rename container paas-app-alice-diary (main) to paas-app-alice-diary.prev - the app's specification changed
    alice-diary: create container paas-app-alice-diary - the app's specification changed
    alice-diary: start container paas-app-alice-diary - the app's specification changed
    ");
    let mut after = view(run(changed_spec()), vec![aside(), main_container(&changed_spec())]);
    after.routing = Routing::Direct;
    insta::assert_snapshot!(text(&after), @"alice-diary: remove container paas-app-alice-diary.prev (old) - its successor answers");
    after.readiness.insert(ContainerId("main".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    insta::assert_snapshot!(text(&after), @r"
    alice-diary: give up on the new container - the new container did not answer within 30s: nothing listens. If it only needs longer, allow more with `startTimeout`
    alice-diary: stop container paas-app-alice-diary (main) - it did not become healthy; the previous container stays
    alice-diary: remove container paas-app-alice-diary (main) - it did not become healthy; the previous container stays
    alice-diary: start container paas-app-alice-diary.prev (old) - it is not running (exit code 0)
    alice-diary: rename container paas-app-alice-diary.prev (old) to paas-app-alice-diary - its name is the app's name
    ");
}

#[test]
fn in_direct_mode_the_old_one_comes_back_when_the_new_one_cannot_be_created() {
    let mut view = view(run(changed_spec()), vec![aside()]);
    view.routing = Routing::Direct;
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: create container paas-app-alice-diary - the app's specification changed
    alice-diary: start container paas-app-alice-diary - the app's specification changed
    ");
    view.uncreatable = Some("no space left on device".to_owned());
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: give up on the new container - Docker could not create the new container: no space left on device
    alice-diary: start container paas-app-alice-diary.prev (old) - it is not running (exit code 0)
    alice-diary: rename container paas-app-alice-diary.prev (old) to paas-app-alice-diary - its name is the app's name
    ");
}

#[test]
fn in_direct_mode_an_edit_in_mid_deploy_keeps_the_one_that_answered() {
    let untried = main_container(&AppSpec { network: "another".to_owned(), ..spec() });
    let mut view = view(run(changed_spec()), vec![untried, aside()]);
    view.routing = Routing::Direct;
    view.readiness.insert(ContainerId("main".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: stop container paas-app-alice-diary (main) - left over from an earlier change
    alice-diary: remove container paas-app-alice-diary (main) - left over from an earlier change
    alice-diary: create container paas-app-alice-diary - the app's specification changed
    alice-diary: start container paas-app-alice-diary - the app's specification changed
    ");
}

#[test]
fn in_direct_mode_nothing_is_stopped_while_somebody_else_has_the_name_it_would_get() {
    let mut view = view(run(changed_spec()), vec![main_container(&spec())]);
    view.routing = Routing::Direct;
    view.squatted.insert(key().previous_container_name());
    assert_eq!(text(&view), "");
    let stopped = ObservedContainer { state: ContainerState::Exited, ..main_container(&spec()) };
    view.containers = vec![OwnedContainer::prove(stopped, &key(), &instance()).unwrap()];
    insta::assert_snapshot!(text(&view), @"alice-diary: start container paas-app-alice-diary (main) - it is not running (exit code 0)");
}
