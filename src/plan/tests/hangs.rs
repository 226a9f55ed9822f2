//! Containers that have stopped answering.

use super::*;

fn id(name: &str) -> ContainerId {
    ContainerId(name.to_owned())
}

/// The main container hangs, and whatever is beside it.
fn hanging(mut others: Vec<ObservedContainer>) -> AppView {
    others.insert(0, main_container(&spec()));
    let mut view = view(run(), others);
    view.readiness.insert(id("main"), Readiness::Silent("no answer in time".to_owned()));
    view.hung = BTreeSet::from([id("main")]);
    view
}

fn run() -> Goal {
    Goal::Run(Box::new(spec()))
}

#[test]
fn what_hangs_is_left_alone_until_it_is_to_give_way() {
    assert_eq!(text(&hanging(vec![])), "");
    let verdict = assess(&hanging(vec![]), &crate::plan::Plan::new(key()));
    assert_eq!(verdict.health, Health::Degraded);
    assert_eq!(verdict.findings[0].reason, "BeingReplaced");
}

#[test]
fn a_new_container_is_made_beside_it_and_takes_over_when_it_answers() {
    let giving_way = |others| AppView { giving_way: Some(id("main")), ..hanging(others) };
    insta::assert_snapshot!(text(&giving_way(vec![])), @r"
    alice-diary: create container paas-app-alice-diary.next - it has stopped answering
    alice-diary: start container paas-app-alice-diary.next - it has stopped answering
    ");
    let published = AppView { published: Some(id("next")), ..giving_way(vec![next_container(&spec())]) };
    insta::assert_snapshot!(text(&published), @r"
    alice-diary: stop container paas-app-alice-diary (main) - its successor answers
    alice-diary: remove container paas-app-alice-diary (main) - its successor answers
    alice-diary: rename container paas-app-alice-diary.next (next) to paas-app-alice-diary - its name is the app's name
    ");
}

#[test]
fn a_new_container_that_does_not_answer_either_is_no_change_that_failed() {
    let mut view = AppView { giving_way: Some(id("main")), ..hanging(vec![next_container(&spec())]) };
    view.readiness.insert(id("next"), Readiness::Silent("no answer in time".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: give up on the container that was to replace one that hangs - the new container did not answer within 30s: no answer in time. If it only needs longer, allow more with `startTimeout`
    alice-diary: stop container paas-app-alice-diary.next (next) - it does not answer either; another one is tried after a while
    alice-diary: remove container paas-app-alice-diary.next (next) - it does not answer either; another one is tried after a while
    ");
    // A change that is tried meanwhile is one.
    view.goal = Goal::Run(Box::new(changed_spec()));
    view.containers.pop();
    let successor = next_container(&changed_spec());
    view.containers.push(OwnedContainer::prove(successor, &key(), &instance()).unwrap());
    assert!(text(&view).contains("give up on the new container"), "{}", text(&view));
}

#[test]
fn what_hangs_after_a_change_that_was_given_up_is_started_anew() {
    let mut view = AppView { giving_way: Some(id("main")), ..hanging(vec![]) };
    view.goal = Goal::Run(Box::new(changed_spec()));
    let failed = FailedDeploy {
        identity: changed_spec().identity(),
        image_id: IMAGE.to_owned(),
        reason: "no".to_owned(),
        waited: None,
        diagnosis: None,
        at: Timestamp(NOW),
        log: Vec::new(),
    };
    view.recorded = Some(InventoryRow { failed: Some(failed), ..row() });
    view.record.clone_from(&view.recorded);
    let plan = text(&view);
    assert!(plan.contains("stop container paas-app-alice-diary (main) - it has stopped answering"), "{plan}");
    assert!(plan.contains("start container paas-app-alice-diary (main) - it has stopped answering"), "{plan}");
}
