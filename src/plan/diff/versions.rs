//! Which version of its code an app needs, and which nobody needs any more.

use std::collections::BTreeSet;

use super::bring_back;
use crate::model::{AppSpec, Cause, Code, FolderState, InventoryRow, VersionId};
use crate::plan::roles::Roles;
use crate::plan::step::{Action, Plan};
use crate::plan::view::{AppView, OwnedContainer};

/// Why a version has to be taken before the app can be what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing<'s> {
    /// None was taken for this deploy, or nothing is left of it and nobody mounts it.
    Version,
    /// The checkout of this one is gone, and a container mounts it all the same.
    Mounted(&'s VersionId),
}

/// `None`: what is to run is there.
pub(super) fn missing_version<'s>(view: &AppView, spec: &'s AppSpec) -> Option<Missing<'s>> {
    match &spec.code {
        Code::Live => None,
        Code::Due => Some(Missing::Version),
        Code::Version(version) if view.folder.versions.contains(version) => None,
        Code::Version(version) => {
            let is_mounted = view.containers.iter().any(|owned| owned.version().as_ref() == Some(version));
            Some(if is_mounted { Missing::Mounted(version) } else { Missing::Version })
        }
    }
}

/// What runs meanwhile is kept as it is.
pub(super) fn take_version(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, missing: Missing<'_>, plan: &mut Plan) {
    let lost = match missing {
        Missing::Version => None,
        Missing::Mounted(version) => Some(version),
    };
    let serving = roles.serving(view).or(roles.old.first().copied());
    if let Some(best) = serving {
        bring_back(view, spec, best, plan);
    }
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

/// Checkouts are kept for as long as a container or the inventory names them, and until the history has them.
pub(super) fn drop_versions(view: &AppView, spec: &AppSpec, plan: &mut Plan) {
    let mut dropped = unnamed_checkouts(&view.folder, &view.containers, view.recorded.as_ref(), spec);
    if let Some(history) = &view.history {
        dropped.retain(|version| history.contains(version));
    }
    if !dropped.is_empty() {
        let kept = view.folder.versions.difference(&dropped).cloned().collect();
        plan.push(Action::KeepVersions { kept }, &Cause::new("nothing names them"));
    }
}

/// Checkouts that nobody mounts or could come back to.
#[must_use]
pub fn unnamed_checkouts(
    folder: &FolderState,
    containers: &[OwnedContainer],
    row: Option<&InventoryRow>,
    spec: &AppSpec,
) -> BTreeSet<VersionId> {
    let mut named: BTreeSet<VersionId> = spec.version().cloned().into_iter().collect();
    if !planted!(CheckoutDroppedEarly) {
        named.extend(containers.iter().filter_map(OwnedContainer::version));
        let versions = row.and_then(|row| row.versions.as_ref());
        named.extend(
            versions.into_iter().flat_map(|versions| [&versions.version, &versions.previous]).flatten().cloned(),
        );
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
