//! What runs is a version, and each stays for as long as somebody needs it.

use super::*;
use crate::model::SavedEdits;

fn id(digit: char) -> VersionId {
    VersionId::parse(&digit.to_string().repeat(16)).unwrap()
}

fn of(version: char) -> AppSpec {
    AppSpec { code: Code::Version(id(version)), ..spec() }
}

/// A row whose version was taken for the manifest's token.
fn row_with(version: Option<char>, previous: Option<char>) -> InventoryRow {
    let versions = VersionRecord { version: version.map(id), previous: previous.map(id), ..VersionRecord::default() };
    InventoryRow { versions: Some(versions), ..row() }
}

fn view_with(goal: Goal, containers: Vec<ObservedContainer>, row: &InventoryRow, checkouts: &[char]) -> AppView {
    let mut view = view(goal, containers);
    (view.record, view.recorded) = (Some(row.clone()), Some(row.clone()));
    view.folder.versions = checkouts.iter().copied().map(id).collect();
    view
}

#[test]
fn a_new_app_gets_no_container_before_its_version_is_taken() {
    let row = row_with(None, None);
    let mut view = view_with(run(AppSpec { code: row.code(), ..spec() }), vec![], &row, &[]);
    view.recorded = None;
    view.folder = FolderState::default();
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: record in the inventory - a new app
    alice-diary: make the app's folders from template diary-v1 - the app's folder is missing or incomplete
    alice-diary: take a version of the app's code - there is none yet
    ");
    let taken = view_with(run(of('a')), vec![], &row_with(Some('a'), None), &['a']);
    insta::assert_snapshot!(text(&taken), @r"
    alice-diary: create container paas-app-alice-diary - the app has no container
    alice-diary: start container paas-app-alice-diary - the app has no container
    ");
    let container = of('a').container("x".to_owned(), &instance());
    assert!(container.mounts[0].source.ends_with("versions/aaaaaaaaaaaaaaaa"), "{:?}", container.mounts);
    assert_eq!(container.labels[crate::model::labels::VERSION], "aaaaaaaaaaaaaaaa");
}

#[test]
fn while_a_version_is_due_what_runs_is_kept_and_remembered() {
    let row = row_with(Some('a'), None);
    let due = AppSpec { code: Code::Due, redeploy: Some("now".to_owned()), ..spec() };
    let stopped = ObservedContainer { state: ContainerState::Exited, ..main_container(&of('a')) };
    let view = view_with(run(due), vec![stopped], &row, &['a']);
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: start container paas-app-alice-diary (main) - it is not running (exit code 0)
    alice-diary: take a version of the app's code - the app is to be deployed
    ");
    let plan = diff(&view);
    let taken = plan.steps.iter().find_map(|step| match &step.action {
        crate::plan::step::Action::TakeVersion { previous, lost } => Some((previous.clone(), lost.clone())),
        _ => None,
    });
    assert_eq!(taken, Some((Some(id('a')), None)));
}

#[test]
fn a_checkout_goes_when_no_container_and_no_record_names_it() {
    let both = vec![main_container(&of('a')), next_container(&of('b'))];
    let mut view = view_with(run(of('b')), both, &row_with(Some('b'), None), &['a', 'b', 'c']);
    view.published = Some(ContainerId("main".to_owned()));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: remove the versions of the code that nothing uses any more - nothing names them
    ");
    let mut settled =
        view_with(run(of('b')), vec![main_container(&of('b'))], &row_with(Some('b'), Some('a')), &['a', 'b']);
    assert_eq!(text(&settled), "", "the version before stays at hand");
    settled.recorded = Some(row_with(Some('b'), None));
    settled.record.clone_from(&settled.recorded);
    insta::assert_snapshot!(text(&settled), @r"
    alice-diary: remove the versions of the code that nothing uses any more - nothing names them
    ");
}

#[test]
fn a_checkout_stays_until_the_history_has_it() {
    let mut view =
        view_with(run(of('c')), vec![main_container(&of('c'))], &row_with(Some('c'), None), &['a', 'b', 'c']);
    view.history = Some([id('a')].into());
    let kept = diff(&view).steps.into_iter().find_map(|step| match step.action {
        crate::plan::step::Action::KeepVersions { kept } => Some(kept),
        _ => None,
    });
    assert_eq!(kept, Some([id('b'), id('c')].into()));
    view.history = Some(BTreeSet::new());
    assert_eq!(text(&view), "", "nothing goes that would be lost");
    view.history = None;
    assert!(text(&view).contains("remove the versions"), "where no history is kept nothing waits for it");
}

#[test]
fn a_lost_checkout_is_replaced_by_another_version_because_the_container_mounts_the_lost_one() {
    let view = view_with(run(of('a')), vec![main_container(&of('a'))], &row_with(Some('a'), None), &[]);
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: take a version of the app's code - the version that should run is not there any more
    ");
    assert!(diff(&view).steps.iter().any(|step| matches!(
        &step.action,
        crate::plan::step::Action::TakeVersion { previous: None, lost: Some(lost) } if *lost == id('a')
    )));
}

#[test]
fn lost_code_comes_back_from_the_version_that_runs_rather_than_the_template() {
    let mut view = view_with(run(of('a')), vec![main_container(&of('a'))], &row_with(Some('a'), None), &['a']);
    view.folder.code = false;
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: make the app's folders, with the code of version aaaaaaaaaaaaaaaa - the app's folder is missing or incomplete
    ");
    view.folder.versions.clear();
    assert!(text(&view).contains("from template diary-v1"), "{}", text(&view));
}

#[test]
fn an_app_without_a_container_comes_back_to_the_version_that_served_when_the_newest_failed() {
    let failed = FailedDeploy {
        diagnosis: None,
        waited: None,
        identity: of('b').identity(),
        image_id: IMAGE.to_owned(),
        reason: "it did not answer".to_owned(),
        at: Timestamp(NOW),
        log: Vec::new(),
    };
    let row = InventoryRow { failed: Some(failed), ..row_with(Some('b'), Some('a')) };
    let view = view_with(run(of('b')), vec![], &row, &['a', 'b']);
    let made = diff(&view).steps.into_iter().find_map(|step| match step.action {
        crate::plan::step::Action::Create(spec) => Some(spec.labels[crate::model::labels::VERSION].clone()),
        _ => None,
    });
    assert_eq!(made.as_deref(), Some("aaaaaaaaaaaaaaaa"));
    let back = view_with(run(of('b')), vec![main_container(&of('a'))], &row, &['a', 'b']);
    assert_eq!(text(&back), "", "and there it stays");
}

#[test]
fn an_app_from_before_runs_its_working_copy_until_it_is_deployed() {
    let manifest = manifest();
    let before = row();
    assert_eq!(before.code(), Code::Live);
    assert_eq!(InventoryRow::versions_for(&manifest, Some(&before)), None);
    let deployed = Manifest { redeploy: Some("now".to_owned()), ..manifest.clone() };
    let versions = InventoryRow::versions_for(&deployed, Some(&before));
    assert_eq!(Code::of(versions.as_ref(), None, Some("now")), Code::Due);
    // Who says so gets what they say, at once and back again.
    let live = Manifest { code: Some(crate::model::CodeMode::Live), ..manifest.clone() };
    assert_eq!(InventoryRow::versions_for(&live, Some(&row_with(Some('a'), None))), None);
    let lived = InventoryRow { manifest: live, ..row() };
    assert_eq!(InventoryRow::versions_for(&manifest, Some(&lived)), Some(VersionRecord::default()));
    // The identity of an app from before is what it was: an upgrade restarts nothing.
    assert_eq!(spec().identity().as_str(), "v1:c5f14bd7b168");
}

/// The manifest goes back to a version, and `app/` was last made from another.
fn rolled_back(to: char, from: char, saved: Option<char>) -> InventoryRow {
    let row = row_with(Some(from), None);
    let manifest = Manifest { version: Some(id(to)), ..row.manifest.clone() };
    let saved = saved.map(|version| SavedEdits { before: id(to), version: id(version) });
    let versions = row.versions.clone().map(|versions| VersionRecord { working: Some(id(from)), saved, ..versions });
    InventoryRow { manifest, versions, ..row }
}

#[test]
fn going_back_keeps_what_is_in_app_then_checks_out_runs_and_brings_app_last() {
    let mut view = view_with(run(of('a')), vec![main_container(&of('b'))], &rolled_back('a', 'b', None), &['b']);
    view.history = Some([id('a'), id('b')].into());
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: check out version aaaaaaaaaaaaaaaa - it is to run and is not at hand
    ");
    view.folder.versions.insert(id('a'));
    insta::assert_snapshot!(text(&view), @r"
    alice-diary: keep what is in `app/` as a version - another version is to run
    ");
    let saved = rolled_back('a', 'b', Some('e'));
    let with = |containers| {
        let mut view = view_with(run(of('a')), containers, &saved, &['a', 'b', 'e']);
        view.history = Some([id('a'), id('b'), id('e')].into());
        view
    };
    insta::assert_snapshot!(text(&with(vec![main_container(&of('b'))])), @r"
    alice-diary: create container paas-app-alice-diary.next - the app's specification changed
    alice-diary: start container paas-app-alice-diary.next - the app's specification changed
    ");
    let mut answers = with(vec![main_container(&of('a'))]);
    insta::assert_snapshot!(text(&answers), @r"
    alice-diary: bring `app/` to version aaaaaaaaaaaaaaaa - that version runs
    ");
    answers.history = Some([id('a'), id('b')].into());
    assert_eq!(text(&answers), "", "not before what it holds is in the history");
    answers.history = None;
    assert_eq!(text(&answers), "", "and never where none is kept");
    let on_trial = with(vec![main_container(&of('b')), next_container(&of('a'))]);
    assert!(!text(&on_trial).contains("bring"), "{}", text(&on_trial));
}

#[test]
fn a_version_that_nobody_has_changes_nothing_and_is_told() {
    let mut view = view_with(run(of('c')), vec![main_container(&of('b'))], &rolled_back('c', 'b', None), &['b']);
    view.history = Some([id('b')].into());
    assert_eq!(text(&view), "");
    let verdict = crate::plan::assess(&view, &diff(&view));
    let told: Vec<_> = verdict.findings.iter().map(|finding| &*finding.reason).collect();
    assert_eq!((verdict.sync, told), (SyncState::Invalid, vec!["NoSuchVersion"]));
}
