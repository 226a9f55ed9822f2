//! The trial of a new container beside the old one, and why it is given up.

use super::{CRASH_LOOP_RESTARTS, was_stopped_from_outside};
use crate::model::manifest::DEFAULT_START_TIMEOUT;
use crate::model::observed::ContainerState;
use crate::model::{AppSpec, Cause, Diagnosis, FailedDeploy, ObservedContainer, Seconds};
use crate::plan::step::{Action, Plan, Target};
use crate::plan::view::{AppView, OwnedContainer, Readiness};

/// How a new container is doing beside the old one.
pub(super) enum Trial {
    Running,
    Passed,
    Failed(Failure),
}

/// Why a new container is given up.
pub(super) struct Failure {
    pub(super) reason: String,
    /// How long it was given, where more time might have been enough.
    pub(super) waited: Option<Seconds>,
    pub(super) diagnosis: Option<Diagnosis>,
}

impl Failure {
    pub(super) fn new(reason: String) -> Self {
        Self { reason, waited: None, diagnosis: None }
    }
}

pub(super) fn trial(view: &AppView, spec: &AppSpec, container: &ObservedContainer) -> Trial {
    let ended = |words: &str| Failure {
        reason: match view.last_end(container) {
            Some(end) => format!("{words} ({end})"),
            None => words.to_owned(),
        },
        waited: None,
        diagnosis: view.why_ended(&container.id).cloned(),
    };
    if container.restart_count >= CRASH_LOOP_RESTARTS {
        return Trial::Failed(ended("the new container keeps ending by itself"));
    }
    let age = container.started_at.map_or(0, |started| view.now.0 - started.0);
    let given = if planted!(StartTimeoutIgnored) { DEFAULT_START_TIMEOUT } else { spec.start_timeout };
    match container.state {
        ContainerState::Running if view.answers(&container.id) => Trial::Passed,
        ContainerState::Running if age > given.millis() && !planted!(TrialNeverFails) => {
            match view.readiness.get(&container.id) {
                Some(Readiness::Silent(why)) => Trial::Failed(silent(view, spec, container, why)),
                Some(Readiness::Answers { .. }) | None => Trial::Running,
            }
        }
        ContainerState::Exited
            if container.started_at.is_some()
                && !was_stopped_from_outside(spec.restart, container)
                && !view.was_put_down(container) =>
        {
            Trial::Failed(ended("the new container ended by itself"))
        }
        _ => Trial::Running,
    }
}

fn silent(view: &AppView, spec: &AppSpec, container: &ObservedContainer, why: &str) -> Failure {
    let diagnosis = view.why_silent(spec, &container.id);
    let given = spec.start_timeout;
    let reason = match &diagnosis {
        Some(_) => format!("the new container did not answer within {given}"),
        None => format!(
            "the new container did not answer within {given}: {why}. If it only needs longer, allow more with `startTimeout`"
        ),
    };
    Failure { reason, waited: Some(given), diagnosis }
}

/// Of a container that was to replace one that hangs: told to people only, since nothing new was tried.
pub(super) fn tell_failure(view: &AppView, failed: &OwnedContainer, failure: Failure, plan: &mut Plan) {
    let Failure { reason, diagnosis, .. } = failure;
    let cause = Cause::new(match &diagnosis {
        Some(diagnosis) => format!("{reason}: {}", diagnosis.english),
        None => reason,
    });
    let korean = diagnosis.map(|diagnosis| diagnosis.korean);
    plan.push(Action::TellFailure { target: Target::known(failed), at: view.now, korean }, &cause);
}

/// `failed`: `None` when none came about.
pub(super) fn record_failure(
    view: &AppView,
    spec: &AppSpec,
    failed: Option<&OwnedContainer>,
    failure: Failure,
    plan: &mut Plan,
) {
    let Failure { reason, waited, diagnosis } = failure;
    let image_id = failed.map(|failed| failed.get().image_id.clone()).or_else(|| view.image_id.clone());
    let failure = FailedDeploy {
        identity: spec.identity(),
        image_id: image_id.unwrap_or_default(),
        reason,
        waited,
        diagnosis,
        at: view.now,
        // Whoever carries it out reads it from the container.
        log: Vec::new(),
    };
    let cause = Cause::new(failure.told());
    let action = Action::RecordFailure { failure: Box::new(failure), target: failed.map(Target::known) };
    plan.push(action, &cause);
}
