//! Acting: the steps of a plan, until the first that fails.

use std::borrow::Cow;

use crate::act::{Actor, StepError};
use crate::clock::Clock as _;
use crate::engine::{Engine as _, ErrorKind, ListFilter};
use crate::model::{Cause, Event, EventKind, Timestamp};
use crate::plan::Plan;
use crate::plan::step::{Action, Outcome, Step, Target};
use crate::plan::view::RefusedLimits;

use super::super::seams::Seams;

use super::{Failure, Pass};

impl<W: Seams> Pass<'_, W> {
    /// Carries out the steps until the first failure.
    pub(super) async fn act(&mut self, plan: &Plan) -> Option<Failure> {
        let world = self.world;
        let (instance, key) = (self.input.instance.clone(), self.input.key.clone());
        let mut actor = Actor::new(
            (world.engine(), world.store(), world.folders(), world.history()),
            &instance,
            &key,
            self.row.clone(),
        );
        actor.row_in_doubt = self.memory.row_in_doubt;
        let mut failure = None;
        let wanted = self.wanted();
        for step in &plan.steps {
            let what = step.to_string();
            let result = match self.addressed(step).await {
                Ok(step) => actor.carry_out(&step).await,
                Err(error) => Err(error),
            };
            let at = world.clock().now();
            let event = |kind, cause: Cause| Event { at, app: Some(key.clone()), kind, what: what.clone(), cause };
            match result {
                Ok(outcome @ (Outcome::Changed | Outcome::BroughtBack(_) | Outcome::EditsStay)) => {
                    let what = match outcome {
                        Outcome::BroughtBack(at) => format!("{what}: its own code of {at}, from the trash"),
                        Outcome::EditsStay => format!("{what}: it was edited meanwhile, and stays as it is"),
                        _ => what.clone(),
                    };
                    if matches!(step.action, Action::Create(_)) {
                        self.memory.uncreated = None;
                    }
                    self.input.metrics.step(step.action.word(), "done");
                    if self.memory.settled_as.as_ref() == Some(&wanted) {
                        self.input.metrics.drift_repaired(step.action.word());
                    }
                    tracing::info!(app = %key, cause = %step.cause, "{what}");
                    self.changes += 1;
                    self.events.push(Event { what, ..event(EventKind::Done, step.cause.clone()) });
                }
                Ok(Outcome::Unchanged) => {}
                Err(error) if is_refusal(step, &error) => {
                    self.input.metrics.step(step.action.word(), "failed");
                    if self.note_refusal(step, &error, at) {
                        tracing::warn!(app = %key, cause = %step.cause, %error, "could not {what}");
                        self.events.push(event(EventKind::Failed, Cause::new(error.to_string())));
                    }
                    // The next look plans without it: everything else is still to be done.
                    break;
                }
                Err(error) => {
                    self.input.metrics.step(step.action.word(), "failed");
                    tracing::warn!(app = %key, cause = %step.cause, %error, "could not {what}");
                    self.events.push(event(EventKind::Failed, Cause::new(error.to_string())));
                    if matches!(step.action, Action::Create(_))
                        && matches!(error.kind, ErrorKind::Terminal | ErrorKind::Retryable)
                    {
                        self.memory.not_created(self.input.decision.spec(), error.to_string());
                    }
                    failure = Some(Failure { what, word: step.action.word(), error });
                    break;
                }
            }
        }
        (self.row, self.memory.row_in_doubt) = (actor.row, actor.row_in_doubt);
        if let Some(Failure { error: StepError { kind, unstartable: Some(id), .. }, .. }) = &failure {
            if *kind == ErrorKind::Conflict {
                self.memory.abandoned.insert(id.clone());
            } else {
                *self.memory.start_failures.entry(id.clone()).or_default() += 1;
            }
        }
        failure
    }

    /// Whether that is news.
    fn note_refusal(&mut self, step: &Step, error: &StepError, at: Timestamp) -> bool {
        let Action::Update { target: Target::Known(owned), limits, restart } = &step.action else { return false };
        let (container, message) = (owned.id().clone(), error.to_string());
        let refused = RefusedLimits { container, limits: *limits, restart: *restart, message, at };
        let known = self.memory.refused.replace(refused.clone());
        known.is_none_or(|known| RefusedLimits { at, ..known } != refused)
    }

    /// The step with the address that its container gets.
    async fn addressed<'s>(&self, step: &'s Step) -> Result<Cow<'s, Step>, StepError> {
        if !matches!(step.action, Action::Create(_) | Action::Connect { .. }) {
            return Ok(Cow::Borrowed(step));
        }
        let filter = ListFilter::of_instance(&self.input.instance);
        let taken =
            self.world.engine().list(&filter).await?.into_iter().flat_map(|container| container.fixed).collect();
        let free = self.input.addresses.next(&self.input.key, &taken);
        let free = free.map_err(|error| StepError::new(ErrorKind::Retryable, error.to_string()))?;
        let mut step = step.clone();
        match &mut step.action {
            Action::Create(spec) => spec.address = free,
            Action::Connect { address, .. } => *address = free,
            _ => {}
        }
        Ok(Cow::Owned(step))
    }
}

/// Docker, or the kernel, will not have these limits, whatever is tried: the container goes on with those it has.
fn is_refusal(step: &Step, error: &StepError) -> bool {
    matches!(step.action, Action::Update { target: Target::Known(_), .. }) && error.kind == ErrorKind::Terminal
}
