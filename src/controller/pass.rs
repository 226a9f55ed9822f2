//! One look at one app, and what follows from it: observe, plan, act, observe again, report.
//!
//! A pass is a task of its own. It gets values and gives a value back; whatever happens in it (an error, a panic, a
//! Docker that hangs) concerns this app alone.

mod act;
mod conclude;
mod hang;
mod observe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::act::StepError;
use crate::desired::Manifests as _;
use crate::engine::ErrorKind;
use crate::metrics::Metrics;
use crate::model::memory::Shortage;
use crate::model::observed::EngineInfo;
use crate::model::{
    AppKey, AppSpec, AppStatus, ContainerId, DiagnosisCode, Digest, Event, Identity, InstanceId, InventoryRow, Limits,
    RestartPolicy, RunState, Settings, Timestamp, VersionId,
};
use crate::plan::step::Action;
use crate::plan::view::{Ended, RefusedLimits};
use crate::plan::{AppView, Assessment, Goal, Motion, Plan, assess, diff};
use crate::store::Store as _;

use self::hang::Hangs;
use super::addresses::Addresses;
use super::goal::Decision;
use super::seams::Seams;

/// Looks per pass: a plan that still is not empty after so many rounds does not converge, and waits like a failure.
const MAX_ROUNDS: usize = 6;

/// Failed creations of one make after which its predecessor is brought back.
const MAX_CREATE_FAILURES: u32 = 3;

/// What the controller remembers about an app between passes. Losing it costs repeated probes, and another look at who hangs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Containers that answered since their last start.
    answered: BTreeMap<ContainerId, Answered>,
    hangs: Hangs,
    /// How often containers had been restarted by Docker when they last ran calmly.
    calm_restarts: BTreeMap<ContainerId, u32>,
    /// How containers ended, also those that run again.
    ended: BTreeMap<ContainerId, Ended>,
    /// What Docker refused last.
    refused: Option<RefusedLimits>,
    start_failures: BTreeMap<ContainerId, u32>,
    /// Containers that requests no longer belong to but that still answered some, and since when.
    draining: BTreeMap<ContainerId, Timestamp>,
    /// Containers that never came up, and about which `logs/deploy.log` says so already, for each cause.
    told: BTreeMap<ContainerId, Vec<Option<DiagnosisCode>>>,
    /// Containers whose start Docker refused because it is in conflict with itself.
    abandoned: BTreeSet<ContainerId>,
    /// What Docker refused to create, and how often in a row.
    uncreated: Option<Uncreated>,
    /// The last write of the app's row failed, and may have happened all the same.
    row_in_doubt: bool,
    /// What the app was last seen to be in every respect: a step for the same is a repair of drift.
    settled_as: Option<Wanted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answered {
    /// The start it answered after.
    started_at: Option<Timestamp>,
    since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Uncreated {
    identity: Identity,
    failures: u32,
    /// Why the last time.
    reason: String,
}

/// What an app is to be, as far as it decides about its container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    desired: RunState,
    identity: Option<String>,
    limits: Option<Limits>,
    restart: Option<RestartPolicy>,
    image: Option<String>,
}

impl Memory {
    fn not_created(&mut self, spec: Option<&AppSpec>, reason: String) {
        let Some(identity) = spec.map(AppSpec::identity) else { return };
        let before = self.uncreated.take().filter(|uncreated| uncreated.identity == identity);
        let failures = before.map_or(0, |uncreated| uncreated.failures) + 1;
        self.uncreated = Some(Uncreated { identity, failures, reason });
    }

    /// That nothing of this make can be created, and why.
    fn uncreatable(&self, spec: Option<&AppSpec>) -> Option<String> {
        let uncreated = self.uncreated.as_ref().filter(|uncreated| uncreated.failures >= MAX_CREATE_FAILURES)?;
        (uncreated.identity == spec?.identity()).then(|| uncreated.reason.clone())
    }

    /// The inventory may hold a row that the controller does not know of.
    #[must_use]
    pub fn is_row_in_doubt(&self) -> bool {
        self.row_in_doubt
    }
}

/// What a pass works on.
#[derive(Debug, Clone)]
pub struct PassInput {
    pub key: AppKey,
    pub instance: InstanceId,
    pub decision: Decision,
    pub row: Option<InventoryRow>,
    pub settings: Arc<Settings>,
    pub engine: EngineInfo,
    pub image_id: Option<String>,
    pub network_ready: bool,
    pub may_move: bool,
    /// Not while many apps are silent at once, except one at a time.
    pub may_replace: bool,
    /// It would find no room in memory, were it started.
    pub shortage: Option<Shortage>,
    pub addresses: Arc<Addresses>,
    pub memory: Memory,
    pub previous: Option<Arc<AppStatus>>,
    /// The container that stopped answering, if one did.
    pub silent: Option<ContainerId>,
    pub metrics: Metrics,
}

/// What came of it.
#[derive(Debug)]
pub struct PassOutput {
    pub key: AppKey,
    pub status: AppStatus,
    /// The row as it is now in the inventory.
    pub row: Option<InventoryRow>,
    pub memory: Memory,
    pub next: Next,
    /// `AtRest` for whoever failed: it holds up nobody.
    pub motion: Motion,
    /// It was to sleep, and somebody started it.
    pub woken: bool,
    /// Steps that changed something.
    pub changes: usize,
}

/// When this app is to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// When something happens.
    Calm,
    Recheck(Duration),
    /// After its backoff, which doubles with each failure of this kind.
    Backoff {
        over: &'static str,
    },
    /// When somebody changes something: trying again alone cannot help.
    Terminal,
    /// When Docker is back.
    Unreachable,
    /// When the manifests folder was read again: the reading that this pass was decided by is out of date.
    Reread,
}

/// Never fails: what went wrong is in the status and in [`Next`].
pub async fn pass<W: Seams>(world: &W, input: PassInput) -> PassOutput {
    let key = input.key.clone();
    let mut run =
        Pass { world, memory: input.memory.clone(), row: input.row.clone(), changes: 0, events: Vec::new(), input };
    let result = run.converge().await;
    let motion = match &result {
        Ok(Converged::Settled(settled)) => settled.verdict.motion,
        Ok(Converged::FileIsBack) | Err(_) => Motion::AtRest,
    };
    let woken = matches!(&result, Ok(Converged::Settled(settled)) if settled.verdict.woken);
    let (report_of, next) = match result {
        Ok(Converged::Settled(settled)) => run.conclude(*settled).await,
        Ok(Converged::FileIsBack) => (run.as_before(Vec::new()), Next::Reread),
        Err(error) => run.blind(&error),
    };
    let motion = if matches!(next, Next::Calm | Next::Recheck(_)) { motion } else { Motion::AtRest };
    if !run.events.is_empty()
        && let Err(error) = world.store().append(&run.events).await
    {
        tracing::warn!(app = %key, %error, "the event log could not be written");
    }
    PassOutput { key, status: report_of, row: run.row, memory: run.memory, next, motion, woken, changes: run.changes }
}

/// What is planned for an app, without doing it.
///
/// # Errors
/// When the world could not be looked at.
pub async fn preview<W: Seams>(world: &W, input: PassInput) -> Result<Plan, String> {
    let mut run =
        Pass { world, memory: Memory::default(), row: input.row.clone(), changes: 0, events: Vec::new(), input };
    let view = run.observe().await.map_err(|error| error.message)?;
    let mut plan = diff(&view);
    let mut view = view;
    // What these make is known when it is made, and shows in no other step.
    let made = |plan: &Plan| {
        plan.steps.iter().rev().find_map(|step| match &step.action {
            Action::TakeVersion { .. } => Some(None),
            Action::CheckOut { version } | Action::SaveEdits { before: version, .. } => Some(Some(version.clone())),
            _ => None,
        })
    };
    let mut next = made(&plan);
    for _ in 0..MAX_ROUNDS {
        let Some(version) = next else { break };
        view = view.with_version(version.unwrap_or_else(|| VersionId::of(&Digest::of(&[]))));
        let rest = diff(&view);
        next = made(&rest);
        plan.steps.extend(rest.steps);
    }
    Ok(plan)
}

struct Pass<'w, W: Seams> {
    world: &'w W,
    input: PassInput,
    memory: Memory,
    row: Option<InventoryRow>,
    changes: usize,
    events: Vec<Event>,
}

/// How a pass went that could look at its app.
enum Converged {
    Settled(Box<Settled>),
    /// The app was to be removed for want of a file that is there after all.
    FileIsBack,
}

/// The last look of a pass.
struct Settled {
    view: AppView,
    plan: Plan,
    verdict: Assessment,
    failure: Option<Failure>,
}

/// A step that was not done.
struct Failure {
    what: String,
    /// The same in one word.
    word: &'static str,
    error: StepError,
}

impl Next {
    /// One word for the metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Recheck(_) => "recheck",
            Self::Backoff { .. } => "backoff",
            Self::Terminal => "terminal",
            Self::Unreachable => "unreachable",
            Self::Reread => "reread",
        }
    }
}

impl<W: Seams> Pass<'_, W> {
    async fn converge(&mut self) -> Result<Converged, StepError> {
        for round in 1.. {
            let view = self.observe().await?;
            let plan = diff(&view);
            if plan.is_empty() || round > MAX_ROUNDS {
                let verdict = assess(&view, &plan);
                let failure = (!plan.is_empty()).then(|| does_not_converge(&plan));
                return Ok(Converged::Settled(Box::new(Settled { view, plan, verdict, failure })));
            }
            if self.is_file_back().await {
                return Ok(Converged::FileIsBack);
            }
            if let Some(failure) = self.act(&plan).await {
                // Look once more, so that the status tells what the failure left behind.
                let view = self.observe().await?;
                let plan = diff(&view);
                let verdict = assess(&view, &plan);
                return Ok(Converged::Settled(Box::new(Settled { view, plan, verdict, failure: Some(failure) })));
            }
        }
        unreachable!("the loop above only ends by returning")
    }

    /// A removal that follows from absence alone is decided by a reading of the folder that may be seconds old, or out of
    /// date from the beginning, as a network file system's can be. So right before it the folder is read once more: only
    /// what a complete reading lacks now as well is removed.
    async fn is_file_back(&self) -> bool {
        let decision = &self.input.decision;
        let by_absence = matches!(decision.goal, Goal::Remove { .. }) && decision.file_digest.is_none();
        // These bugs take no reading for what it is, the second as little as the first.
        let blinded =
            planted!(MissingFolderMeansEmpty) || planted!(PartialListingTrusted) || planted!(InvalidMeansDeleted);
        if !by_absence || blinded || planted!(AbsenceTakenOnTrust) {
            return false;
        }
        let snapshot = self.world.manifests().load().await;
        !snapshot.complete(&self.input.instance).is_some_and(|complete| complete.lacks(&self.input.key))
    }

    fn wanted(&self) -> Wanted {
        let spec = self.input.decision.spec();
        Wanted {
            desired: self.input.decision.desired,
            identity: spec.map(|spec| spec.identity().as_str().to_owned()),
            limits: spec.map(|spec| spec.limits),
            restart: spec.map(|spec| spec.restart),
            image: self.input.image_id.clone(),
        }
    }
}

fn does_not_converge(plan: &Plan) -> Failure {
    let what = plan.steps.first().map_or_else(String::new, ToString::to_string);
    let message = format!(
        "it was done {MAX_ROUNDS} times and still is not in force; something else may be changing it: look at `paas events {}`",
        plan.app
    );
    Failure { what, word: "converge", error: StepError { kind: ErrorKind::Retryable, message, unstartable: None } }
}

#[cfg(test)]
mod daemon_tests;
