//! Which version of its code an app needs, and which nobody needs any more.

use std::collections::BTreeSet;

use super::bring_back;
use crate::model::{AppSpec, Cause, Code, FolderState, InventoryRow, VersionId, VersionRecord};
use crate::plan::roles::Roles;
use crate::plan::step::{Action, Plan, Target};
use crate::plan::view::{AppView, OwnedContainer};

/// What is missing of the version that is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing<'s> {
    /// None was taken for this deploy, or nothing is left of it and nobody mounts it.
    Version,
    /// The checkout of this one is gone, and a container mounts it all the same.
    Mounted(&'s VersionId),
    /// The history has it.
    CheckedOut(&'s VersionId),
    /// The manifest names it, and nobody has it.
    Unknown(&'s VersionId),
}

/// `None`: what is to run is there.
#[must_use]
pub fn missing_version<'s>(view: &AppView, spec: &'s AppSpec) -> Option<Missing<'s>> {
    match &spec.code {
        Code::Live => None,
        Code::Due => Some(Missing::Version),
        Code::Version(version) if view.folder.versions.contains(version) => None,
        Code::Version(version) => {
            let is_mounted = view.containers.iter().any(|owned| owned.version().as_ref() == Some(version));
            let is_kept = view.history.as_ref().is_some_and(|history| history.contains(version));
            Some(match (is_named(view, version), is_kept, is_mounted) {
                (true, false, _) => Missing::Unknown(version),
                (true, true, _) | (false, true, false) => Missing::CheckedOut(version),
                // What is checked out again under the same name does not come back underneath a container that mounts it.
                (false, _, true) => Missing::Mounted(version),
                (false, false, false) => Missing::Version,
            })
        }
    }
}

/// The manifest in force says so.
fn is_named(view: &AppView, version: &VersionId) -> bool {
    let row = view.record.as_ref().or(view.recorded.as_ref());
    row.is_some_and(|row| row.manifest.version.as_ref() == Some(version))
}

/// What runs meanwhile is kept as it is.
pub(super) fn take_version(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, missing: Missing<'_>, plan: &mut Plan) {
    let lost = match missing {
        Missing::Mounted(version) => Some(version),
        _ => None,
    };
    let serving = keep_what_runs(view, spec, roles, plan);
    let versions = view.recorded.as_ref().and_then(|row| row.versions.as_ref());
    let previous = serving.and_then(OwnedContainer::version).filter(|version| Some(version) != lost);
    let previous = previous.or_else(|| versions.and_then(|versions| versions.previous.clone()));
    let cause = Cause::new(match (&spec.code, versions.and_then(|versions| versions.version.as_ref())) {
        (Code::Version(_), _) => "the version that should run is not there any more",
        (_, None) => "there is none yet",
        (_, Some(_)) => "the app is to be deployed",
    });
    plan.push(Action::TakeVersion { previous, lost: lost.cloned() }, &cause);
}

/// Tells what it is.
pub(super) fn keep_what_runs<'v>(
    view: &'v AppView,
    spec: &AppSpec,
    roles: &Roles<'v>,
    plan: &mut Plan,
) -> Option<&'v OwnedContainer> {
    let serving = roles.serving(view).or(roles.old.first().copied());
    if let Some(best) = serving {
        bring_back(view, spec, best, plan);
    }
    serving
}

/// What still mounts the lost checkout sees nothing of the new one before it is started anew.
pub(super) fn check_out(view: &AppView, spec: &AppSpec, version: &VersionId, roles: &Roles<'_>, plan: &mut Plan) {
    let serving = keep_what_runs(view, spec, roles, plan);
    let cause = Cause::new("it is to run and is not at hand");
    plan.push(Action::CheckOut { version: version.clone() }, &cause);
    let blind = serving.filter(|owned| owned.runs() && owned.version().as_ref() == Some(version));
    if let Some(blind) = blind {
        let cause = Cause::new("its code was removed underneath it and is there again");
        plan.push(Action::Stop(Target::known(blind)), &cause);
        plan.push(Action::Start(Target::known(blind)), &cause);
    }
}

/// The version that is to be in `app/`, where that is another than `app/` was made from.
fn due_in_app<'v>(view: &'v AppView, spec: &'v AppSpec) -> Option<(&'v VersionId, &'v VersionRecord)> {
    let versions = view.recorded.as_ref()?.versions.as_ref()?;
    let wanted = spec.version()?;
    let follows = match &versions.working {
        Some(working) => working != wanted,
        // From before this was kept: `app/` is older than what runs only where the manifest goes back to something.
        None => is_named(view, wanted),
    };
    follows.then_some((wanted, versions))
}

/// Before another version runs, what is in `app/` becomes one. A round of its own: what follows goes by the row that it writes.
pub(super) fn save_edits(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, plan: &mut Plan) -> bool {
    let Some((wanted, versions)) = due_in_app(view, spec) else { return false };
    let is_saved = versions.saved.as_ref().is_some_and(|saved| saved.before == *wanted);
    if is_saved || !view.folder.code || planted!(EditsUnsaved) {
        return false;
    }
    let serving = keep_what_runs(view, spec, roles, plan);
    let previous = serving.and_then(OwnedContainer::version).filter(|version| version != wanted);
    let previous = previous.or_else(|| versions.previous.clone());
    plan.push(Action::SaveEdits { before: wanted.clone(), previous }, &Cause::new("another version is to run"));
    true
}

/// `app/` follows once the version serves alone, and once the history has what it held: so nothing that a person wrote is lost,
/// and a version that does not make it changes nothing there. Without a history it stays as it is.
pub(super) fn bring_code(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, plan: &mut Plan) {
    let Some((wanted, versions)) = due_in_app(view, spec) else { return };
    let serves = roles.old.is_empty()
        && roles.fresh.first().is_some_and(|fresh| fresh.runs() && view.answers(fresh.id()))
        && roles.fresh.first().and_then(|fresh| fresh.version()).as_ref() == Some(wanted);
    let saved = match &versions.saved {
        Some(saved) if saved.before == *wanted => &saved.version,
        _ if planted!(EditsUnsaved) => wanted,
        _ => return,
    };
    let is_kept = view.history.as_ref().is_some_and(|history| history.contains(saved)) || planted!(EditsUnsaved);
    if is_kept && (serves || planted!(CodeBroughtEarly)) {
        let bring = Action::BringCode { version: wanted.clone(), saved: saved.clone() };
        plan.push(bring, &Cause::new("that version runs"));
    }
}

/// The history has to be asked: something waits for what it says.
#[must_use]
pub fn asks_history(
    folder: &FolderState,
    containers: &[OwnedContainer],
    row: Option<&InventoryRow>,
    spec: &AppSpec,
) -> bool {
    let is_missing = spec.version().is_some_and(|version| !folder.versions.contains(version));
    let saves = row.and_then(|row| row.versions.as_ref()).is_some_and(|versions| versions.saved.is_some());
    is_missing || saves || !unnamed_checkouts(folder, containers, row, spec).is_empty()
}

/// Checkouts are kept for as long as a container or the inventory names them, and until the history has them.
pub(super) fn drop_versions(view: &AppView, spec: &AppSpec, plan: &mut Plan) {
    let mut dropped = unnamed_checkouts(&view.folder, &view.containers, view.recorded.as_ref(), spec);
    if let Some(history) = view.history.as_ref().filter(|_| !planted!(CheckoutDroppedUnrecorded)) {
        dropped.retain(|version| history.contains(version));
    }
    if !dropped.is_empty() {
        let kept = view.folder.versions.difference(&dropped).cloned().collect();
        plan.push(Action::KeepVersions { kept }, &Cause::new("nothing names them"));
    }
}

/// Checkouts that nobody mounts or could come back to.
fn unnamed_checkouts(
    folder: &FolderState,
    containers: &[OwnedContainer],
    row: Option<&InventoryRow>,
    spec: &AppSpec,
) -> BTreeSet<VersionId> {
    let mut named: BTreeSet<VersionId> = spec.version().cloned().into_iter().collect();
    if !planted!(CheckoutDroppedEarly) {
        named.extend(containers.iter().filter_map(OwnedContainer::version));
        let versions = row.and_then(|row| row.versions.as_ref());
        let named_in = |versions: &VersionRecord| {
            let saved = versions.saved.as_ref().map(|saved| saved.version.clone());
            [versions.version.clone(), versions.previous.clone(), saved]
        };
        named.extend(versions.into_iter().flat_map(named_in).flatten());
    }
    folder.versions.difference(&named).cloned().collect()
}

/// The specification with the version before, when the wanted one was given up: an unhealthy version is never what a lost
/// container comes back to.
pub(super) fn last_that_served(view: &AppView, spec: &AppSpec) -> Option<AppSpec> {
    view.failed_before(spec)?;
    let previous = view.recorded.as_ref()?.versions.as_ref()?.previous.clone()?;
    let there = view.folder.versions.contains(&previous);
    there.then(|| AppSpec { code: Code::Version(previous), ..spec.clone() })
}
