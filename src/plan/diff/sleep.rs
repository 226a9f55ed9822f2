//! Falling asleep and waking up.
//!
//! # Guarantees
//! - That an app sleeps is written down before its container is stopped, and forgotten after it was started: a crash in between
//!   leaves a container that sleeps, or one that is awake, and the next look can tell which by when it was started.
//! - Nothing is stopped that requests still go to. First the status stops saying so, then whoever came before that is answered.

use crate::model::observed::ContainerState;
use crate::model::{AppSpec, Cause, InventoryRow, Timestamp};

use super::super::roles::Roles;
use super::super::step::{Action, Plan, Target};
use super::super::view::{AppView, OwnedContainer, was_started_since};
use super::swap::swap_data;
use super::{drop_versions, halt, prepare, tunables_differ, write_compose};

pub(super) fn fall_asleep(view: &AppView, spec: &AppSpec, since: Timestamp, plan: &mut Plan) {
    prepare(view, spec, view.record.as_ref(), plan);
    let roles = Roles::sort(view, spec);
    if swap_data(view, &roles, plan) {
        return;
    }
    let cause = Cause::new(why(Some(since)));
    let awake = view.containers.iter().filter(|owned| !was_started_since(owned.get(), since));
    for owned in awake.filter(|owned| !is_visited(view, owned)) {
        halt(owned, &cause, plan);
    }
    // What is stopped can be adjusted as well, so that nothing but its start is left to do when somebody comes.
    if let Some(best) = roles.fresh.first()
        && view.refusal(spec, best.id()).is_none()
        && let Some(difference) = tunables_differ(&view.engine, spec, best.get())
    {
        let update = Action::Update { target: Target::known(best), limits: spec.limits, restart: spec.restart };
        plan.push(update, &Cause::new(difference));
    }
    write_compose(view, spec, plan);
    drop_versions(view, spec, plan);
}

/// Requests go there, or have not ended.
fn is_visited(view: &AppView, owned: &OwnedContainer) -> bool {
    if planted!(SleepsAmidVisitors) {
        return false;
    }
    view.published.as_ref() == Some(owned.id()) || view.draining.contains_key(owned.id())
}

/// Why the row changes.
pub(super) fn why(asleep: Option<Timestamp>) -> &'static str {
    match asleep {
        Some(_) => "nobody has come for as long as it stays awake",
        None => "it was woken",
    }
}

/// What is written before anything is done for an app that is to run. That it sleeps stays written until it is awake; but where
/// a new container is made for it, nothing depends on how the old one ended, and whoever changed the app is to see it come up.
pub(super) fn record_of_run(view: &AppView, roles: &Roles<'_>) -> Option<InventoryRow> {
    let stays = !roles.fresh.is_empty() && !planted!(AwakeNotedEarly);
    let asleep = view.recorded.as_ref().and_then(|row| row.asleep).filter(|_| stays);
    view.record.clone().map(|row| InventoryRow { asleep: row.asleep.or(asleep), ..row })
}

/// Last, when it was started: an app that was forgotten to sleep before might be left stopped for ever.
pub(super) fn note_awake(view: &AppView, plan: &mut Plan) {
    let (Some(row), Some(since)) = (&view.record, view.recorded.as_ref().and_then(|row| row.asleep)) else { return };
    // One that somebody came to while it fell asleep was never stopped.
    let is_up = |owned: &OwnedContainer| match owned.get().state {
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused => true,
        ContainerState::Exited => was_started_since(owned.get(), since),
        ContainerState::Created | ContainerState::Removing | ContainerState::Dead | ContainerState::Unknown(_) => false,
    };
    if row.asleep.is_none() && view.containers.iter().any(is_up) {
        plan.push(Action::Record(Box::new(row.clone())), &Cause::new(why(None)));
    }
}
