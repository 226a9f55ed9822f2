//! The plan as golden text: one situation per test, its name the rule.

mod direct;
mod hangs;
mod limits;
mod moves;
mod room;
mod sleep;
mod swap;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::view::{Ended, OwnedContainer, RefusedLimits};
use super::{AppView, Goal, Motion, Readiness, assess, diff};
use crate::engine::sim::engine_info;
use crate::model::manifest::{Manifest, PurgeToken, RunState, Strategy};
use crate::model::observed::{ContainerState, LastEnd, ObservedLimits};
use crate::model::{
    AppKey, AppSpec, Bytes, Code, ConditionKind, ContainerId, Digest, FailedDeploy, FolderState, Health, InstanceId,
    InventoryRow, Limits, MilliCpus, ObservedContainer, OnHang, RestartPolicy, Routing, Seconds, SyncState, Template,
    TemplateId, TemplateRestart, Timestamp, VersionId, VersionRecord,
};

const NOW: i64 = 1_000_000_000;
const IMAGE: &str = "sha256:new";

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

fn instance() -> InstanceId {
    InstanceId::parse("0123456789abcdef").unwrap()
}

fn spec() -> AppSpec {
    AppSpec {
        domains: Vec::new(),
        key: key(),
        host: "alice-diary.localhost".to_owned(),
        template: template(),
        image: "runtime:latest".to_owned(),
        env: BTreeMap::from([("PORT".to_owned(), "3000".to_owned())]),
        limits: Limits { memory: Bytes::mib(256), cpus: MilliCpus(500), pids: 128 },
        restart: RestartPolicy::UnlessStopped,
        on_hang: OnHang::Replace,
        sleep: None,
        network: "paas-proxy".to_owned(),
        app_dir: "/paas/apps/alice/diary/app".into(),
        versions_dir: "/paas/apps/alice/diary/versions".into(),
        code: Code::Live,
        data_dir: "/paas/apps/alice/diary/data".into(),
        redeploy: None,
        strategy: Strategy::Rolling,
        start_timeout: Seconds(30),
        disk: Bytes(Bytes::GIB),
        digest: Digest::of(b"manifest"),
    }
}

fn template() -> Template {
    Template {
        id: TemplateId::parse("diary-v1").unwrap(),
        name: "일기장".to_owned(),
        description: String::new(),
        version: "1".to_owned(),
        supports_api: true,
        internal_port: 3000,
        health_path: None,
        start_timeout: None,
        restart: TemplateRestart::default(),
        visitors: None,
        sleep: None,
    }
}

fn manifest() -> Manifest {
    Manifest {
        template: template().id,
        enable_api: true,
        state: RunState::Running,
        memory: None,
        cpus: None,
        pids: None,
        restart: None,
        env: BTreeMap::new(),
        redeploy: None,
        keep_data: None,
        backup: None,
        disk: None,
        strategy: None,
        start_timeout: None,
        code: None,
        version: None,
        visitors: None,
        sleep: None,
        domains: Vec::new(),
    }
}

fn row() -> InventoryRow {
    InventoryRow {
        key: key(),
        admitted_at: Timestamp(NOW),
        manifest: manifest(),
        template: template(),
        digest: Digest::of(b"manifest"),
        failed: None,
        versions: None,
        domains: Vec::new(),
        asleep: None,
        restored: None,
    }
}

fn changed_spec() -> AppSpec {
    AppSpec { redeploy: Some("now".to_owned()), ..spec() }
}

/// A container as Docker would show it, made after this specification, running for a minute.
fn container(id: &str, name: &str, spec: &AppSpec) -> ObservedContainer {
    ObservedContainer {
        id: ContainerId(id.to_owned()),
        name: name.to_owned(),
        labels: spec.container(name.to_owned(), &instance()).labels,
        state: ContainerState::Running,
        pid: None,
        exit_code: 0,
        oom_killed: false,
        error: String::new(),
        restart_count: 0,
        started_at: Some(Timestamp(NOW - 60_000)),
        finished_at: None,
        image_id: IMAGE.to_owned(),
        limits: ObservedLimits { memory: 256 << 20, memory_swap: 256 << 20, nano_cpus: 500_000_000, pids: 128 },
        restart: Some(RestartPolicy::UnlessStopped),
        networks: BTreeMap::from([("paas-proxy".to_owned(), Some(IpAddr::from([10, 0, 0, 2])))]),
    }
}

fn main_container(spec: &AppSpec) -> ObservedContainer {
    container("main", "paas-app-alice-diary", spec)
}

fn next_container(spec: &AppSpec) -> ObservedContainer {
    container("next", "paas-app-alice-diary.next", spec)
}

/// A converged app with these containers, all of which answer when they run.
fn view(goal: Goal, containers: Vec<ObservedContainer>) -> AppView {
    let compose = crate::compose::compose_yaml(&goal_spec(&goal).container(key().container_name(), &instance()));
    let readiness = containers
        .iter()
        .filter(|container| container.state == ContainerState::Running)
        .map(|container| (container.id.clone(), Readiness::Answers { for_ms: 60_000 }))
        .collect();
    AppView {
        key: key(),
        instance: instance(),
        goal,
        record: Some(row()),
        recorded: Some(row()),
        row_in_doubt: false,
        history: None,
        folder: FolderState {
            code: true,
            data: true,
            compose: Some(Digest::of(compose.as_bytes())),
            ..FolderState::default()
        },
        containers: containers
            .into_iter()
            .map(|container| OwnedContainer::prove(container, &key(), &instance()).unwrap())
            .collect(),
        squatted: BTreeSet::new(),
        broken: BTreeSet::new(),
        abandoned: BTreeSet::new(),
        uncreatable: None,
        readiness,
        image_id: Some(IMAGE.to_owned()),
        published: None,
        draining: BTreeMap::new(),
        calm_restarts: BTreeMap::new(),
        ended: BTreeMap::new(),
        hung: BTreeSet::new(),
        giving_way: None,
        next_replacement: None,
        listening: BTreeMap::new(),
        refused: None,
        network_ready: true,
        may_move: true,
        shortage: None,
        engine: engine_info(),
        routing: Routing::Gateway,
        now: Timestamp(NOW),
    }
}

fn goal_spec(goal: &Goal) -> AppSpec {
    match goal {
        Goal::Run(spec) | Goal::Stop(spec) | Goal::Sleep { spec, .. } => (**spec).clone(),
        Goal::Leave | Goal::Remove { .. } => spec(),
    }
}

fn run(spec: AppSpec) -> Goal {
    Goal::Run(Box::new(spec))
}

fn text(view: &AppView) -> String {
    diff(view).to_string()
}

fn health(view: &AppView) -> Health {
    assess(view, &diff(view)).health
}

#[test]
fn a_converged_app_wants_nothing() {
    let view = view(run(spec()), vec![main_container(&spec())]);
    assert_eq!(text(&view), "");
    let verdict = assess(&view, &diff(&view));
    assert_eq!((verdict.sync, verdict.health), (SyncState::Synced, Health::Running));
    assert_eq!(verdict.recheck, None, "a calm app is not polled");
    assert_eq!(verdict.endpoint.unwrap().container.as_str(), "main");
}

#[test]
fn a_new_app_is_recorded_before_anything_exists() {
    let mut view = view(run(spec()), vec![]);
    view.recorded = None;
    view.folder = FolderState::default();
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: record in the inventory - a new app
    alice-diary: make the app's folders from template diary-v1 - the app's folder is missing or incomplete
    alice-diary: create container paas-app-alice-diary - the app has no container
    alice-diary: start container paas-app-alice-diary - the app has no container
    alice-diary: write docker-compose.yml - it differs from the app's specification
    ");
}

#[test]
fn a_changed_app_gets_a_successor_beside_the_running_one() {
    let view = view(run(changed_spec()), vec![main_container(&spec())]);
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: create container paas-app-alice-diary.next - the app's specification changed
    alice-diary: start container paas-app-alice-diary.next - the app's specification changed
    ");
    assert_eq!(assess(&view, &diff(&view)).sync, SyncState::OutOfSync);
}

#[test]
fn a_successor_is_published_before_the_old_one_is_stopped() {
    let mut view = view(run(changed_spec()), vec![main_container(&spec()), next_container(&changed_spec())]);
    view.published = Some(ContainerId("main".to_owned()));
    assert_eq!(text(&view), "", "requests still go to the old one");
    let verdict = assess(&view, &diff(&view));
    assert_eq!(verdict.endpoint.unwrap().container.as_str(), "next");
    assert!(verdict.recheck.is_some(), "the switch goes on at once");
    view.published = Some(ContainerId("next".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: stop container paas-app-alice-diary (main) - its successor answers
    alice-diary: remove container paas-app-alice-diary (main) - its successor answers
    alice-diary: rename container paas-app-alice-diary.next (next) to paas-app-alice-diary - its name is the app's name
    ");
}

#[test]
fn an_old_container_may_end_its_requests_but_not_for_ever() {
    let old = ContainerId("main".to_owned());
    let both = || vec![main_container(&spec()), next_container(&changed_spec())];
    let mut rolling = view(run(changed_spec()), both());
    rolling.published = Some(ContainerId("next".to_owned()));
    rolling.draining.insert(old.clone(), super::view::DRAIN_MS - 1);
    assert_eq!(text(&rolling), "", "neither is it stopped nor its name taken");
    let verdict = assess(&rolling, &diff(&rolling));
    assert_eq!((verdict.sync, verdict.endpoint.unwrap().container.as_str()), (SyncState::OutOfSync, "next"));
    assert_eq!(verdict.recheck, Some(std::time::Duration::from_millis(100)), "and nobody spins meanwhile");
    rolling.draining.insert(old.clone(), super::view::DRAIN_MS);
    assert!(
        text(&rolling).starts_with("alice-diary: stop container paas-app-alice-diary (main)"),
        "{}",
        text(&rolling)
    );

    // An edit meanwhile: its container would be the third.
    let newest = AppSpec { redeploy: Some("again".to_owned()), ..spec() };
    let mut edited = view(run(newest), both());
    edited.published = Some(ContainerId("next".to_owned()));
    edited.draining.insert(old.clone(), 0);
    assert_eq!(text(&edited), "");
    assert!(assess(&edited, &diff(&edited)).recheck.is_some());
    assert_eq!(
        assess(&edited, &diff(&edited)).endpoint.unwrap().container.as_str(),
        "next",
        "requests stay where they are"
    );
    edited.draining.clear();
    insta::assert_snapshot!(text(&edited), @r"
    alice-diary: stop container paas-app-alice-diary (main) - left over from an earlier change
    alice-diary: remove container paas-app-alice-diary (main) - left over from an earlier change
    alice-diary: create container paas-app-alice-diary - the app's specification changed
    alice-diary: start container paas-app-alice-diary - the app's specification changed
    ");

    // Who is told to stop or go does so at once.
    let mut stopped = view(Goal::Stop(Box::new(spec())), vec![main_container(&spec())]);
    stopped.draining.insert(old, 0);
    assert!(text(&stopped).contains("stop container"), "{}", text(&stopped));
}

#[test]
fn a_successor_on_trial_is_waited_for() {
    let mut view = view(run(changed_spec()), vec![main_container(&spec()), next_container(&changed_spec())]);
    view.readiness.insert(ContainerId("next".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    view.now = Timestamp(NOW - 40_000);
    assert_eq!(text(&view), "");
    let verdict = assess(&view, &diff(&view));
    assert_eq!(verdict.endpoint.unwrap().container.as_str(), "main", "the old one serves meanwhile");
    assert!(verdict.recheck.is_some());
}

#[test]
fn a_successor_that_never_answers_is_given_up_and_the_old_one_stays() {
    let mut view = view(run(changed_spec()), vec![main_container(&spec()), next_container(&changed_spec())]);
    view.readiness.insert(ContainerId("next".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: give up on the new container - the new container did not answer within 30s: nothing listens. If it only needs longer, allow more with `startTimeout`
    alice-diary: stop container paas-app-alice-diary.next (next) - it did not become healthy; the previous container stays
    alice-diary: remove container paas-app-alice-diary.next (next) - it did not become healthy; the previous container stays
    ");
}

#[test]
fn a_deploy_that_was_given_up_is_not_tried_again() {
    let mut view = view(run(changed_spec()), vec![main_container(&spec())]);
    let failed = FailedDeploy {
        identity: changed_spec().identity(),
        image_id: IMAGE.to_owned(),
        reason: "it did not answer".to_owned(),
        waited: None,
        at: Timestamp(NOW),
        diagnosis: None,
        log: Vec::new(),
    };
    let row = InventoryRow { failed: Some(failed), ..row() };
    (view.record, view.recorded) = (Some(row.clone()), Some(row));
    assert_eq!(text(&view), "");
    let verdict = assess(&view, &diff(&view));
    assert_eq!((verdict.sync, verdict.health), (SyncState::OutOfSync, Health::Running));
    assert_eq!(verdict.findings[0].kind, ConditionKind::DeployFailed);
    view.goal = run(AppSpec { redeploy: Some("again".to_owned()), ..spec() });
    assert!(text(&view).contains("create container"), "another identity is tried");
}

#[test]
fn a_successor_may_take_as_long_as_its_manifest_allows_and_is_tried_again_when_it_allows_more() {
    let patient = AppSpec { start_timeout: Seconds(90), ..changed_spec() };
    let mut view = view(run(patient.clone()), vec![main_container(&spec()), next_container(&patient)]);
    view.readiness.insert(ContainerId("next".to_owned()), Readiness::Silent("nothing listens".to_owned()));
    assert_eq!(text(&view), "", "it has had a minute of its ninety seconds");
    assert_eq!(
        assess(&view, &diff(&view)).recheck,
        Some(std::time::Duration::from_secs(1)),
        "looked at, but not often"
    );
    view.now = Timestamp(NOW + 31_000);
    assert!(text(&view).contains("the new container did not answer within 90s: nothing listens"), "{}", text(&view));

    let waited = |seconds| {
        let failed = FailedDeploy {
            identity: changed_spec().identity(),
            image_id: IMAGE.to_owned(),
            reason: "it did not answer".to_owned(),
            waited: seconds,
            at: Timestamp(NOW),
            diagnosis: None,
            log: Vec::new(),
        };
        let row = InventoryRow { failed: Some(failed), ..row() };
        let mut view = self::view(run(patient.clone()), vec![main_container(&spec())]);
        (view.record, view.recorded) = (Some(row.clone()), Some(row));
        text(&view).contains("create container")
    };
    assert!(waited(Some(Seconds(30))), "a minute more may be enough");
    assert!(!waited(Some(Seconds(90))), "it has had that");
    assert!(!waited(None), "it did not fail for want of time");
}

#[test]
fn what_a_person_did_by_hand_is_undone() {
    let change = |change: fn(&mut ObservedContainer)| {
        let mut container = main_container(&spec());
        change(&mut container);
        text(&view(run(spec()), vec![container]))
    };
    insta::assert_snapshot!(change(|c| { c.state = ContainerState::Exited; c.exit_code = 137; }), @"alice-diary: start container paas-app-alice-diary (main) - it is not running (exit code 137)");
    insta::assert_snapshot!(change(|c| c.state = ContainerState::Paused), @"alice-diary: unpause container paas-app-alice-diary (main) - it was paused");
    insta::assert_snapshot!(change(|c| c.name = "renamed".to_owned()), @"alice-diary: rename container renamed (main) to paas-app-alice-diary - its name is the app's name");
    insta::assert_snapshot!(change(|c| c.networks.clear()), @"alice-diary: connect container paas-app-alice-diary (main) to network paas-proxy - it is not connected to network paas-proxy");
    insta::assert_snapshot!(change(|c| c.limits.memory = 1), @"alice-diary: set limits of container paas-app-alice-diary (main) to memory 256m, 0.5 cpus, 128 pids, restart unless-stopped - memory is 1 instead of 256m");
    insta::assert_snapshot!(change(|c| c.restart = Some(RestartPolicy::No)), @"alice-diary: set limits of container paas-app-alice-diary (main) to memory 256m, 0.5 cpus, 128 pids, restart unless-stopped - restart is no instead of unless-stopped");
}

#[test]
fn a_moved_image_tag_is_a_change() {
    let container = ObservedContainer { image_id: "sha256:old".to_owned(), ..main_container(&spec()) };
    let plan = text(&view(run(spec()), vec![container]));
    assert!(plan.contains("create container paas-app-alice-diary.next - image runtime:latest changed"), "{plan}");
}

#[test]
fn without_image_or_network_nothing_is_created_and_nothing_stopped() {
    for obstacle in ["image", "network"] {
        let mut fresh = view(run(spec()), vec![]);
        let mut running = view(run(changed_spec()), vec![main_container(&spec())]);
        for view in [&mut fresh, &mut running] {
            match obstacle {
                "image" => view.image_id = None,
                _ => view.network_ready = false,
            }
            assert_eq!(text(view), "", "{obstacle}");
        }
        assert_eq!(health(&fresh), Health::Starting);
        assert_eq!(health(&running), Health::Running);
    }
}

#[test]
fn somebody_elses_container_with_our_name_is_left_alone() {
    let mut view = view(run(spec()), vec![]);
    view.squatted.insert(key().container_name());
    assert_eq!(text(&view), "");
    let verdict = assess(&view, &diff(&view));
    assert_eq!(verdict.findings[0].kind, ConditionKind::Conflict);
    assert_eq!(verdict.sync, SyncState::OutOfSync);
}

#[test]
fn a_name_that_docker_still_holds_is_waited_for() {
    let leaving = ObservedContainer { state: ContainerState::Removing, ..main_container(&spec()) };
    let view = view(run(spec()), vec![leaving]);
    assert_eq!(text(&view), "");
    assert!(assess(&view, &diff(&view)).recheck.is_some());
}

#[test]
fn a_second_container_of_the_same_app_goes_and_the_answering_one_stays() {
    let mut view = view(run(spec()), vec![main_container(&spec()), container("twin", "twin", &spec())]);
    view.readiness.insert(ContainerId("main".to_owned()), Readiness::Silent("hung".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: stop container paas-app-alice-diary (main) - a second container of the same app
    alice-diary: remove container paas-app-alice-diary (main) - a second container of the same app
    ");
}

#[test]
fn two_images_are_told_apart_before_a_second_container_goes() {
    let old = ObservedContainer { image_id: "sha256:old".to_owned(), ..main_container(&spec()) };
    let young = ObservedContainer { started_at: Some(Timestamp(NOW - 1_000)), ..next_container(&spec()) };
    let mut view = view(run(spec()), vec![old, young]);
    view.readiness.insert(ContainerId("next".to_owned()), Readiness::Silent("connection refused".to_owned()));
    // Right after a start of the daemon, or while the image is being built.
    view.image_id = None;
    insta::assert_snapshot!(text(&view), @"");
    view.image_id = Some(IMAGE.to_owned());
    insta::assert_snapshot!(text(&view), @"");
    view.readiness.insert(ContainerId("next".to_owned()), Readiness::Answers { for_ms: 0 });
    view.published = Some(ContainerId("next".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: stop container paas-app-alice-diary (main) - its successor answers
    alice-diary: remove container paas-app-alice-diary (main) - its successor answers
    alice-diary: rename container paas-app-alice-diary.next (next) to paas-app-alice-diary - its name is the app's name
    ");
}

#[test]
fn a_container_that_docker_cannot_start_is_replaced() {
    let stuck = ObservedContainer { state: ContainerState::Created, started_at: None, ..main_container(&spec()) };
    let mut view = view(run(spec()), vec![stuck]);
    assert!(text(&view).contains("start container"));
    view.broken.insert(ContainerId("main".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: remove container paas-app-alice-diary (main) - it can never run again
    alice-diary: create container paas-app-alice-diary - the app has no container
    alice-diary: start container paas-app-alice-diary - the app has no container
    ");
}

#[test]
fn a_successor_that_docker_lost_is_made_again_and_a_broken_one_given_up() {
    let lost =
        ObservedContainer { state: ContainerState::Created, started_at: None, ..next_container(&changed_spec()) };
    let mut view = view(run(changed_spec()), vec![main_container(&spec()), lost]);
    view.abandoned.insert(ContainerId("next".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: remove container paas-app-alice-diary.next (next) - it can never run again
    alice-diary: create container paas-app-alice-diary.next - the app's specification changed
    alice-diary: start container paas-app-alice-diary.next - the app's specification changed
    ");
    view.broken = std::mem::take(&mut view.abandoned);
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: give up on the new container - Docker could not start the new container
    alice-diary: remove container paas-app-alice-diary.next (next) - it can never run again
    ");
}

#[test]
fn stopped_means_stopped_and_keeps_the_container() {
    let goal = Goal::Stop(Box::new(spec()));
    insta::assert_snapshot!(text(&view(goal.clone(), vec![main_container(&spec())])), @"alice-diary: stop container paas-app-alice-diary (main) - the manifest says `state: stopped`");
    let down = ObservedContainer { state: ContainerState::Exited, ..main_container(&spec()) };
    let stopped = view(goal.clone(), vec![down]);
    assert_eq!(text(&stopped), "");
    assert_eq!(health(&stopped), Health::Stopped);
    assert_eq!(text(&view(goal, vec![])), "", "a stopped app needs no container");
}

#[test]
fn deletion_keeps_the_data_unless_a_token_says_otherwise() {
    let goal = Goal::Remove { purge: None };
    insta::assert_snapshot!(text(&view(goal.clone(), vec![main_container(&spec())])), @r"
    alice-diary: stop container paas-app-alice-diary (main) - the app was deleted
    alice-diary: remove container paas-app-alice-diary (main) - the app was deleted
    alice-diary: move the app's code to trash - the app was deleted
    alice-diary: drop from the inventory - the app was deleted
    ");
    let deleted = Manifest { state: RunState::Deleted, keep_data: Some(false), ..manifest() };
    let purge = PurgeToken::from_manifest(&key(), &deleted);
    insta::assert_snapshot!(text(&view(Goal::Remove { purge }, vec![])), @r"
    alice-diary: move the app's code to trash - the manifest says `state: deleted` with `keepData: false`
    alice-diary: move the app's data to trash - the manifest says `state: deleted` with `keepData: false`
    alice-diary: drop from the inventory - the manifest says `state: deleted` with `keepData: false`
    ");
    let mut gone = view(goal, vec![]);
    gone.folder = FolderState { data: true, ..FolderState::default() };
    gone.recorded = None;
    let leftover =
        AppView { goal: Goal::Remove { purge: PurgeToken::from_manifest(&key(), &deleted) }, ..gone.clone() };
    assert!(text(&leftover).contains("move the app's data to trash"), "data that an earlier removal left behind");
    assert_eq!(text(&gone), "");
    assert_eq!(health(&gone), Health::Deleted);
}

#[test]
fn what_the_inventory_forgot_is_recorded_until_it_is_gone() {
    let mut forgotten = view(Goal::Remove { purge: None }, vec![main_container(&spec())]);
    (forgotten.record, forgotten.recorded) = (Some(InventoryRow::tombstone(key(), Timestamp(NOW))), None);
    insta::assert_snapshot!(text(&forgotten), @r"
    alice-diary: record in the inventory - the inventory was lost, and the app has yet to be removed
    alice-diary: stop container paas-app-alice-diary (main) - the app was deleted
    alice-diary: remove container paas-app-alice-diary (main) - the app was deleted
    alice-diary: move the app's code to trash - the app was deleted
    alice-diary: drop from the inventory - the app was deleted
    ");
    let doubtful = AppView { row_in_doubt: true, ..forgotten.clone() };
    assert_eq!(text(&doubtful), text(&forgotten), "that it was written is not certain");
    let nothing = AppView { containers: Vec::new(), folder: FolderState::default(), ..forgotten };
    assert_eq!(text(&nothing), "", "there is nothing to remember");
}

#[test]
fn a_row_whose_write_failed_is_written_or_dropped_again() {
    let mut doubtful = view(run(spec()), vec![main_container(&spec())]);
    assert_eq!(text(&doubtful), "");
    doubtful.row_in_doubt = true;
    insta::assert_snapshot!(text(&doubtful), @"alice-diary: record in the inventory - the last write of its row failed");
    let mut gone = view(Goal::Remove { purge: None }, vec![]);
    (gone.folder, gone.recorded, gone.row_in_doubt) = (FolderState::default(), None, true);
    insta::assert_snapshot!(text(&gone), @"alice-diary: drop from the inventory - the app was deleted");
}

#[test]
fn restart_policies_decide_whether_an_ended_app_is_started_again() {
    use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
    let cases = [
        (UnlessStopped, 0, true),
        (UnlessStopped, 1, true),
        (Always, 0, true),
        (No, 0, false),
        (No, 1, false),
        (No, 143, true),
        (OnFailure(None), 0, false),
        (OnFailure(None), 1, true),
        (OnFailure(Some(3)), 1, false),
        (OnFailure(Some(3)), 137, true),
    ];
    for (restart, exit_code, started) in cases {
        let spec = AppSpec { restart, ..spec() };
        let ended = ObservedContainer {
            state: ContainerState::Exited,
            restart: Some(restart),
            exit_code,
            ..main_container(&spec)
        };
        let view = view(run(spec), vec![ended]);
        assert_eq!(text(&view).contains("start container"), started, "{restart} after exit {exit_code}");
        assert_eq!(health(&view) == Health::Degraded, !started, "{restart} after exit {exit_code}");
    }
}

#[test]
fn crash_loops_are_told_apart_from_slow_starts() {
    let with = |state, restart_count, oom_killed| {
        let container = ObservedContainer { state, restart_count, oom_killed, exit_code: 1, ..main_container(&spec()) };
        let view = view(run(spec()), vec![container]);
        let verdict = assess(&view, &diff(&view));
        (verdict.health, verdict.findings.first().map(|finding| finding.reason.clone()))
    };
    assert_eq!(with(ContainerState::Restarting, 1, false), (Health::Starting, Some("Crashing".to_owned())));
    assert_eq!(with(ContainerState::Restarting, 5, false), (Health::CrashLoop, Some("Crashing".to_owned())));
    assert_eq!(with(ContainerState::Restarting, 5, true), (Health::CrashLoop, Some("OutOfMemory".to_owned())));
    assert_eq!(with(ContainerState::Running, 5, false), (Health::Running, None), "calm for a minute");
}

#[test]
fn a_crash_loop_is_over_when_the_app_has_answered_for_ten_seconds() {
    let verdict = |age: i64, readiness: Readiness, calm: u32| {
        let container =
            ObservedContainer { restart_count: 5, started_at: Some(Timestamp(NOW - age)), ..main_container(&spec()) };
        let mut view = view(run(spec()), vec![container]);
        let id = ContainerId("main".to_owned());
        view.readiness.insert(id.clone(), readiness);
        let end = LastEnd { code: 1, oom_killed: false, at: Some(Timestamp(NOW - age)) };
        view.ended.insert(id.clone(), Ended { end, log: Vec::new(), diagnosis: None });
        view.calm_restarts.insert(id, calm);
        assess(&view, &diff(&view))
    };
    let answers = |for_ms| Readiness::Answers { for_ms };
    let silent = || Readiness::Silent("nothing listens".to_owned());
    for (age, readiness, calm, want) in [
        (9_000, answers(8_000), 0, Health::CrashLoop),
        (12_000, answers(10_000), 0, Health::Running),
        (9_000, silent(), 0, Health::CrashLoop),
        (9_000, answers(100), 4, Health::Running),
        // Where nobody watched: it has run for a minute, and answers.
        (61_000, answers(0), 0, Health::Running),
        (31_000, silent(), 0, Health::Degraded),
    ] {
        let found = verdict(age, readiness.clone(), calm);
        assert_eq!((found.health, found.restarts), (want, 5), "{age} {readiness:?} {calm}");
    }
    let found = verdict(9_000, answers(8_000), 0);
    assert!(
        found.findings[0].message.contains("exit code 1"),
        "that of the last run, not the 0 of the one that goes on"
    );
    assert_eq!(found.recheck, Some(std::time::Duration::from_secs(2)));
}

#[test]
fn nothing_trustworthy_means_nothing_is_done() {
    let mut view = view(Goal::Leave, vec![main_container(&changed_spec())]);
    view.record = None;
    assert_eq!(text(&view), "");
}

#[test]
fn a_name_of_its_own_gives_an_app_no_new_container() {
    let named = AppSpec { domains: vec!["www.example.kr".parse().unwrap()], ..spec() };
    assert_eq!(named.identity(), spec().identity());
    let labels = named.container("x".to_owned(), &instance()).labels;
    assert_eq!(labels[crate::model::labels::DOMAINS], "www.example.kr");
    assert_eq!(text(&view(run(named), vec![main_container(&spec())])), "");
}
