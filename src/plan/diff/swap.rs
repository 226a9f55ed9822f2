//! Putting an app's data back.
//!
//! # Guarantees
//! - Data changes places while nothing of the app runs.
//! - What was started before it did, and runs, has the data that was there before: it is started anew.
//! - A deploy that is under way ends first, so that its trial is of the new code alone.

use super::halt;
use crate::model::Cause;
use crate::model::observed::ContainerState;
use crate::plan::roles::Roles;
use crate::plan::step::{Action, Plan};
use crate::plan::view::{AppView, Goal, OwnedContainer, was_started_since};

/// Whether there is data to be put back: then nothing else is done before. A round of its own, because what follows goes by the row
/// that it writes.
pub(super) fn swap_data(view: &AppView, roles: &Roles<'_>, plan: &mut Plan) -> bool {
    let Some(incoming) = &view.folder.incoming else { return false };
    let on_trial = !roles.fresh.is_empty() && !roles.old.is_empty();
    if on_trial && !incoming.swapped && matches!(view.goal, Goal::Run(_)) {
        return false;
    }
    let cause = Cause::new("its data is put back");
    let before = plan.steps.len();
    if !planted!(SwapsAmidWriting) {
        view.containers.iter().for_each(|owned| halt(owned, &cause, plan));
    }
    let is_down = plan.steps.len() == before && !view.containers.iter().any(OwnedContainer::is_leaving);
    if is_down {
        plan.push(Action::SwapData, &cause);
    }
    true
}

/// Somebody started it just when its data changed places: it writes where nobody looks any more.
pub(super) fn stop_who_missed_it(view: &AppView, plan: &mut Plan) -> bool {
    let Some(at) = view.restored_at().filter(|_| !planted!(SwapMissed)) else { return false };
    let before = plan.steps.len();
    let cause = Cause::new("it was started before its data was put back");
    let missed = |owned: &&OwnedContainer| owned.get().started_at.is_some_and(|started| started < at);
    view.containers.iter().filter(missed).for_each(|owned| halt(owned, &cause, plan));
    plan.steps.len() > before
}

/// It was stopped for that, and is to run again before anything else becomes of it.
pub(super) fn is_due_after_swap(view: &AppView, owned: &OwnedContainer) -> bool {
    let container = owned.get();
    container.state == ContainerState::Exited && view.restored_at().is_some_and(|at| !was_started_since(container, at))
}
