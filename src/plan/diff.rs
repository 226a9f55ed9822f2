//! What has to be done about one app: a pure function from a view to a plan.
//!
//! # Guarantees
//! - A view of a converged app gives an empty plan.
//! - Only containers proven to be ours are stopped, renamed or removed.
//! - While an old container runs, nothing stops it before its successor answers and requests go there (gateway mode), or
//!   before it can be brought back (replacement in place).
//! - Nor before the requests that run on it have ended, or had [`DRAIN_MS`](super::view::DRAIN_MS) to.
//! - An app that serves on another network gets nothing new before it is its turn to move.
//! - Nothing is started that finds no room in memory, nor stopped for it.
//! - Data is moved only by a goal that carries a purge token.

mod limits;
mod room;
mod sleep;
mod swap;
mod trial;
mod versions;

use crate::model::observed::ContainerState;
use crate::model::{
    AppSpec, Cause, Digest, InventoryRow, ObservedContainer, PurgeToken, RestartPolicy, Routing, Strategy, VersionId,
};

use super::motion::{must_wait, stays_elsewhere};
use super::roles::Roles;
use super::step::{Action, Plan, Target};
use super::view::{AppView, Goal, OwnedContainer};

pub(super) use limits::tunables_differ;
use sleep::{fall_asleep, note_awake};
use swap::{is_due_after_swap, stop_who_missed_it, swap_data};
use trial::{Failure, Trial, record_failure, tell_failure, trial};
pub use versions::{Missing, asks_history, missing_version};
use versions::{bring_code, check_out, drop_versions, keep_what_runs, last_that_served, save_edits, take_version};

/// Restarts by Docker's policy after which a new container counts as failed, and an app as crash-looping.
pub const CRASH_LOOP_RESTARTS: u32 = 3;

/// Why a container is replaced that hangs.
const HUNG: &str = "it has stopped answering";

/// Steps from the view to its goal. Empty = nothing to do now.
#[must_use]
pub fn diff(view: &AppView) -> Plan {
    let mut plan = Plan::new(view.key.clone());
    match &view.goal {
        Goal::Leave => {}
        Goal::Run(spec) => {
            run(view, spec, &mut plan);
            room::hold_back(view, &mut plan);
        }
        Goal::Stop(spec) => stop(view, spec, &mut plan),
        Goal::Sleep { spec, since } => fall_asleep(view, spec, *since, &mut plan),
        Goal::Remove { purge } => remove(view, purge.as_ref(), &mut plan),
    }
    plan
}

fn run(view: &AppView, spec: &AppSpec, plan: &mut Plan) {
    let roles = Roles::sort(view, spec);
    prepare(view, spec, sleep::record_of_run(view, &roles).as_ref(), plan);
    give_up_on_useless(view, spec, &roles, plan);
    if swap_data(view, &roles, plan) || stop_who_missed_it(view, plan) {
        return;
    }
    match missing_version(view, spec) {
        Some(missing @ (Missing::Version | Missing::Mounted(_))) => {
            take_version(view, spec, &roles, missing, plan);
            return;
        }
        Some(Missing::CheckedOut(version)) => {
            check_out(view, spec, version, &roles, plan);
            return;
        }
        Some(Missing::Unknown(_)) => {
            keep_what_runs(view, spec, &roles, plan);
            return;
        }
        None if save_edits(view, spec, &roles, plan) => return,
        None => {}
    }
    if let Some((best, doubles)) = roles.fresh.split_first() {
        // Two images while nobody knows yet which one is wanted (the daemon has just started): successor and predecessor.
        let of_other_image = |double: &OwnedContainer| double.get().image_id != best.get().image_id;
        for double in doubles.iter().filter(|double| view.image_id.is_some() || !of_other_image(double)) {
            discard(double, &Cause::new("a second container of the same app"), plan);
        }
        settle(view, spec, best, &roles, plan);
    } else {
        launch(view, spec, &roles, plan);
    }
    // Last, because nothing waits for it: the person who wants to leave with Compose can wait a moment longer.
    write_compose(view, spec, plan);
    bring_code(view, spec, &roles, plan);
    drop_versions(view, spec, plan);
    note_awake(view, plan);
    if planted!(RecordLast) && matches!(plan.steps.first().map(|step| &step.action), Some(Action::Record(_))) {
        plan.steps.rotate_left(1);
    }
}

fn stop(view: &AppView, spec: &AppSpec, plan: &mut Plan) {
    prepare(view, spec, view.record.as_ref(), plan);
    let cause = Cause::new("the manifest says `state: stopped`");
    let roles = Roles::sort(view, spec);
    for useless in &roles.useless {
        discard(useless, &Cause::new("it can never run again"), plan);
    }
    if swap_data(view, &roles, plan) {
        return;
    }
    let mut usable = roles.fresh.iter().chain(&roles.old);
    if let Some(kept) = usable.next().filter(|_| !planted!(StopIgnored)) {
        halt(kept, &cause, plan);
        put_name_right(view, kept, &roles, plan);
    }
    for extra in usable {
        discard(extra, &cause, plan);
    }
    write_compose(view, spec, plan);
    drop_versions(view, spec, plan);
}

fn remove(view: &AppView, purge: Option<&PurgeToken>, plan: &mut Plan) {
    let cause = Cause::new(match purge {
        Some(_) => "the manifest says `state: deleted` with `keepData: false`",
        None => "the app was deleted",
    });
    let (leaving, present): (Vec<_>, Vec<_>) = view.containers.iter().partition(|owned| owned.is_leaving());
    if planted!(ForgetFirst) && view.recorded.is_some() {
        plan.push(Action::Forget, &cause);
    }
    let mut recorded = view.recorded.is_some();
    if let Some(row) = view.record.as_ref().filter(|_| !recorded && !view.containers.is_empty()) {
        let cause = Cause::new("the inventory was lost, and the app has yet to be removed");
        plan.push(Action::Record(Box::new(row.clone())), &cause);
        recorded = true;
    }
    for owned in present {
        discard(owned, &cause, plan);
    }
    if !leaving.is_empty() {
        return; // its folders may still be mounted; the next look goes on
    }
    // Also with a row alone: a crash may have left the folder behind empty, and this is what takes it away.
    if view.folder.code
        || view.folder.incoming.is_some()
        || view.folder.compose.is_some()
        || !view.folder.versions.is_empty()
        || recorded
    {
        plan.push(Action::TrashCode, &cause);
    }
    if let Some(token) = purge.filter(|_| view.folder.data) {
        plan.push(Action::TrashData(token.clone()), &cause);
    }
    if recorded || view.row_in_doubt {
        plan.push(Action::Forget, &cause);
    }
}

/// Record first, then folders: a crash in between leaves something the next start knows about.
fn prepare(view: &AppView, spec: &AppSpec, record: Option<&InventoryRow>, plan: &mut Plan) {
    if let Some(row) = record
        && (view.row_in_doubt || view.recorded.as_ref() != Some(row))
    {
        let cause = match &view.recorded {
            Some(recorded) if recorded == row => "the last write of its row failed",
            Some(recorded) if recorded.failed != row.failed => "a change that was given up runs after all",
            Some(recorded) if recorded.asleep != row.asleep => sleep::why(row.asleep),
            Some(recorded) if recorded.domains != row.domains => "its own host names changed",
            Some(_) => "the manifest changed",
            None => "a new app",
        };
        plan.push(Action::Record(Box::new(row.clone())), &Cause::new(cause));
    }
    if !view.folder.code || !view.folder.data {
        let cause = Cause::new("the app's folder is missing or incomplete");
        let there = |version: &&VersionId| view.folder.versions.contains(*version);
        let recorded = view.recorded.as_ref().and_then(|row| row.versions.as_ref());
        // What its owner had there last, rather than what they made of it long ago.
        let kept = recorded.and_then(|versions| versions.saved.as_ref()).map(|saved| &saved.version);
        let taken = recorded.and_then(|versions| versions.version.as_ref());
        let version = [kept, spec.version(), taken].into_iter().flatten().find(there).cloned();
        plan.push(Action::EnsureFolder { template: spec.template.id.clone(), version }, &cause);
    }
}

fn write_compose(view: &AppView, spec: &AppSpec, plan: &mut Plan) {
    let text = crate::compose::compose_yaml(&spec.container(view.key.container_name(), &view.instance));
    if view.folder.compose.as_ref() != Some(&Digest::of(text.as_bytes())) {
        plan.push(Action::WriteCompose { text }, &Cause::new("it differs from the app's specification"));
    }
}

/// Containers that can never run again go. When one of them was the successor of a container that still is there, the
/// deploy counts as failed.
fn give_up_on_useless(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, plan: &mut Plan) {
    for useless in &roles.useless {
        let is_successor = useless.get().is_of(&spec.identity());
        let to_blame = !view.abandoned.contains(useless.id());
        let has_predecessor = !roles.old.is_empty() && !roles.replaces_hung(view, spec);
        if is_successor && to_blame && has_predecessor && view.failed_before(spec).is_none() {
            let said = &useless.get().error;
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let failure = Failure::new(format!("Docker could not start the new container{said}"));
            record_failure(view, spec, Some(*useless), failure, plan);
        }
        discard(useless, &Cause::new("it can never run again"), plan);
    }
}

/// There is no container of the wanted make.
fn launch(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, plan: &mut Plan) {
    let main = view.key.container_name();
    let Some((best, extras)) = roles.old.split_first() else {
        if may_create(view, roles, &main) {
            let cause = Cause::new("the app has no container");
            let spec = last_that_served(view, spec).unwrap_or_else(|| spec.clone());
            plan.push_new(spec.container(main, &view.instance), &cause);
        }
        return;
    };
    if is_due_after_swap(view, best) {
        // Visitors wait for no longer than the exchange takes, and the change has its trial beside it as any other.
        bring_back(view, spec, best, plan);
        put_name_right(view, best, roles, plan);
        return;
    }
    let waits = must_wait(view, spec, best);
    let rolling = !planted!(StopBeforeStart)
        && view.routing == Routing::Gateway
        && spec.strategy == Strategy::Rolling
        && best.runs();
    let name = if rolling && best.name() == main { view.key.next_container_name() } else { main.clone() };
    // In place the old one waits, stopped, for a successor that never comes.
    let waits_in_vain = best.name() == view.key.previous_container_name() && !best.runs();
    if roles.replaces_hung(view, spec) && waits_in_vain && view.uncreatable.is_some() {
        // It was stopped in order to be replaced: when it runs again it may well answer.
        bring_back(view, spec, best, plan);
        put_name_right(view, best, roles, plan);
        return;
    }
    if view.gives_way(best.id()) && given_up(view, spec, plan) && !waits_in_vain {
        // Nothing can be made anew after what was given up, but what hangs can be started anew.
        let cause = Cause::new(HUNG);
        halt(best, &cause, plan);
        plan.push(Action::Start(Target::known(best)), &cause);
        return;
    }
    if let Some(why) = view.uncreatable.as_ref().filter(|_| waits_in_vain && !given_up(view, spec, plan)) {
        let failure = Failure::new(format!("Docker could not create the new container: {why}"));
        record_failure(view, spec, None, failure, plan);
    }
    // It would be stopped, and then could not be put aside.
    let aside = view.key.previous_container_name();
    let is_stuck = !rolling && best.name() == main && (view.squatted.contains(&aside) || roles.is_leaving(&aside));
    if waits || is_stuck || given_up(view, spec, plan) || !may_create(view, roles, &name) {
        bring_back(view, spec, best, plan);
        put_name_right(view, best, roles, plan);
        return;
    }
    if extras.iter().any(|extra| view.is_draining(extra.id())) {
        return; // a third container beside them would be one too many
    }
    let cause = Cause::new(why_new(view, spec, best.get()));
    for extra in extras {
        discard(extra, &Cause::new("left over from an earlier change"), plan);
    }
    if !rolling {
        halt(best, &cause, plan);
        if best.name() == main {
            let name = view.key.previous_container_name();
            plan.push(Action::Rename { target: Target::known(best), name }, &cause);
        }
    }
    plan.push_new(spec.container(name, &view.instance), &cause);
}

/// The wanted make was tried and failed, just now or before.
fn given_up(view: &AppView, spec: &AppSpec, plan: &Plan) -> bool {
    view.failed_before(spec).is_some()
        || plan.steps.iter().any(|step| matches!(step.action, Action::RecordFailure { .. }))
}

/// Nothing stands in the way of a new container of this name.
fn may_create(view: &AppView, roles: &Roles<'_>, name: &str) -> bool {
    view.image_id.is_some() && view.network_ready && !view.squatted.contains(name) && !roles.is_leaving(name)
}

fn why_new(view: &AppView, spec: &AppSpec, old: &ObservedContainer) -> String {
    let same_make = old.is_of(&spec.identity());
    match (&view.image_id, same_make) {
        (Some(id), true) if *id != old.image_id => format!("image {} changed", spec.image),
        (_, true) if view.gives_way(&old.id) => HUNG.to_owned(),
        _ => "the app's specification changed".to_owned(),
    }
}

/// A container of the wanted make exists: repair it, and let it take over once it answers.
fn settle(view: &AppView, spec: &AppSpec, best: &OwnedContainer, roles: &Roles<'_>, plan: &mut Plan) {
    if roles.old.is_empty() {
        keep(view, spec, best, plan);
        put_name_right(view, best, roles, plan);
        return;
    }
    match trial(view, spec, best.get()) {
        Trial::Running if planted!(OldGoesFirst) => {
            for old in &roles.old {
                discard(old, &Cause::new("a planted bug"), plan);
            }
        }
        Trial::Passed if view.published.as_ref() != Some(best.id()) && view.routing == Routing::Gateway => {
            // Requests still go to the old one: publish first, stop afterwards.
            keep(view, spec, best, plan);
        }
        Trial::Passed => {
            keep(view, spec, best, plan);
            let cause = Cause::new("its successor answers");
            let done: Vec<_> = roles.old.iter().copied().filter(|old| !view.is_draining(old.id())).collect();
            for old in &done {
                discard(old, &cause, plan);
            }
            put_name_right_after(view, best, roles, &done, plan);
        }
        Trial::Running => keep(view, spec, best, plan),
        Trial::Failed(failure) => {
            let cause = if roles.replaces_hung(view, spec) {
                // No change of the app: nothing is given up for good.
                tell_failure(view, best, failure, plan);
                Cause::new("it does not answer either; another one is tried after a while")
            } else {
                record_failure(view, spec, Some(best), failure, plan);
                Cause::new("it did not become healthy; the previous container stays")
            };
            discard(best, &cause, plan);
            let old = roles.old[0];
            bring_back(view, spec, old, plan);
            put_name_right_after(view, old, roles, &[best], plan);
        }
    }
}

fn oom(container: &ObservedContainer) -> &'static str {
    if container.oom_killed { ", out of memory" } else { "" }
}

/// Repairs in place whatever differs on a container that stays.
fn keep(view: &AppView, spec: &AppSpec, owned: &OwnedContainer, plan: &mut Plan) {
    let container = owned.get();
    let target = || Target::known(owned);
    let refused = view.refusal(spec, owned.id()).is_some();
    if let Some(difference) = tunables_differ(&view.engine, spec, container).filter(|_| !refused) {
        plan.push(
            Action::Update { target: target(), limits: spec.limits, restart: spec.restart },
            &Cause::new(difference),
        );
    }
    if view.network_ready
        && !planted!(NetworkIgnored)
        && !container.networks.contains_key(&spec.network)
        && !stays_elsewhere(view, spec, container, given_up(view, spec, plan))
    {
        let cause = Cause::new(format!("it is not connected to network {}", spec.network));
        plan.push(Action::Connect { target: target(), network: spec.network.clone(), address: None }, &cause);
    }
    match container.state {
        ContainerState::Paused if planted!(PausedMeansRunning) => {}
        ContainerState::Created if planted!(CreatedMeansRunning) => {}
        ContainerState::Paused => plan.push(Action::Unpause(target()), &Cause::new("it was paused")),
        ContainerState::Created => plan.push(Action::Start(target()), &Cause::new("it was never started")),
        ContainerState::Exited if view.was_put_down(container) => {
            let woken = view.recorded.as_ref().is_some_and(|row| row.asleep.is_some());
            let cause = if woken { "somebody wants it" } else { "its data was put back" };
            plan.push(Action::Start(target()), &Cause::new(cause));
        }
        ContainerState::Exited if was_stopped_from_outside(spec.restart, container) => {
            let cause = Cause::new(format!("it is not running (exit code {}{})", container.exit_code, oom(container)));
            plan.push(Action::Start(target()), &cause);
        }
        ContainerState::Exited
        | ContainerState::Running
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Dead
        | ContainerState::Unknown(_) => {}
    }
}

/// Keeps the predecessor of a successor that did not make it. Under its `.prev` name it was stopped by us, so it is
/// started whatever its exit code looks like.
fn bring_back(view: &AppView, spec: &AppSpec, owned: &OwnedContainer, plan: &mut Plan) {
    let planned = plan.steps.len();
    keep(view, spec, owned, plan);
    let starts = plan.steps[planned..].iter().any(|step| matches!(step.action, Action::Start(_)));
    let stopped_by_us = owned.name() == view.key.previous_container_name();
    if stopped_by_us && !starts && owned.get().state == ContainerState::Exited {
        plan.push(Action::Start(Target::known(owned)), &Cause::new("its successor did not become healthy"));
    }
}

/// Docker restarts what ended by itself, as far as the policy says; what is down nevertheless was either stopped from
/// outside, or has ended for good under a policy that allows it.
#[must_use]
pub fn was_stopped_from_outside(policy: RestartPolicy, container: &ObservedContainer) -> bool {
    if planted!(StoppedMeansWanted) {
        return false;
    }
    let by_signal = matches!(container.exit_code, 137 | 143) && !container.oom_killed;
    match policy {
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::No => by_signal,
        RestartPolicy::OnFailure(None) => container.exit_code != 0,
        RestartPolicy::OnFailure(Some(most)) => by_signal && container.restart_count < most,
    }
}

fn halt(owned: &OwnedContainer, cause: &Cause, plan: &mut Plan) {
    match owned.get().state {
        ContainerState::Paused => {
            // A frozen process cannot follow SIGTERM.
            plan.push(Action::Unpause(Target::known(owned)), cause);
            plan.push(Action::Stop(Target::known(owned)), cause);
        }
        ContainerState::Running | ContainerState::Restarting | ContainerState::Unknown(_) => {
            plan.push(Action::Stop(Target::known(owned)), cause);
        }
        ContainerState::Created | ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {}
    }
}

fn discard(owned: &OwnedContainer, cause: &Cause, plan: &mut Plan) {
    halt(owned, cause, plan);
    plan.push(Action::Remove(Target::known(owned)), cause);
}

fn put_name_right(view: &AppView, owned: &OwnedContainer, roles: &Roles<'_>, plan: &mut Plan) {
    put_name_right_after(view, owned, roles, &[], plan);
}

/// Gives the container the app's name, unless somebody holds it who is not among those that the plan removes before.
fn put_name_right_after(
    view: &AppView,
    owned: &OwnedContainer,
    roles: &Roles<'_>,
    gone: &[&OwnedContainer],
    plan: &mut Plan,
) {
    let main = view.key.container_name();
    let holder = view.containers.iter().find(|other| other.name() == main && other.id() != owned.id());
    let held =
        holder.is_some_and(|holder| !gone.iter().chain(&roles.useless).any(|removed| removed.id() == holder.id()));
    if owned.name() != main
        && !planted!(RenameForgotten)
        && !held
        && !view.squatted.contains(&main)
        && !roles.is_leaving(&main)
    {
        let cause = Cause::new("its name is the app's name");
        plan.push(Action::Rename { target: Target::known(owned), name: main }, &cause);
    }
}
