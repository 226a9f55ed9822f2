//! One look at one app, and what follows from it: observe, plan, act, observe again, report.
//!
//! A pass is a task of its own. It gets values and gives a value back; whatever happens in it (an error, a panic, a
//! Docker that hangs) concerns this app alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::act::{Actor, StepError, log_excerpt};
use crate::clock::Clock as _;
use crate::desired::Manifests as _;
use crate::engine::{Engine as _, EngineError, ErrorKind, ListFilter};
use crate::folders::Folders as _;
use crate::metrics::Metrics;
use crate::model::observed::{ContainerState, EngineInfo};
use crate::model::status::{Endpoint, LastExit};
use crate::model::{
    AppKey, AppSpec, AppStatus, Bytes, Cause, ConditionKind, ContainerId, Diagnosis, DiagnosisCode, Digest, Event,
    EventKind, FailedDeploy, FolderState, Health, InstanceId, InventoryRow, Limits, ObservedContainer, RestartPolicy,
    RunState, Settings, SyncState, Timestamp, VersionId, labels,
};
use crate::plan::assess::{CALM_MS, Finding};
use crate::plan::step::{Action, Outcome, Step, Target};
use crate::plan::view::{Ended, OwnedContainer, RefusedLimits};
use crate::plan::{AppView, Assessment, Goal, Motion, Plan, Readiness, assess, diff};
use crate::store::Store as _;

use super::addresses::Addresses;
use super::goal::Decision;
use super::report::{Report, report};
use super::seams::{Drain as _, Prober as _, Seams};

/// Looks per pass: a plan that still is not empty after so many rounds does not converge, and waits like a failure.
const MAX_ROUNDS: usize = 6;

/// Failed starts of one container after which it is replaced instead of started again.
const MAX_START_FAILURES: u32 = 3;

/// A container that has run for less may be about to listen.
const LISTENS_AFTER_MS: i64 = 1_000;

/// What the controller remembers about an app between passes. Losing it costs repeated probes, nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Containers that answered since their last start.
    answered: BTreeMap<ContainerId, Answered>,
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
    pub addresses: Arc<Addresses>,
    pub memory: Memory,
    pub previous: Option<Arc<AppStatus>>,
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
        Ok(Course::Settled(settled)) => settled.verdict.motion,
        Ok(Course::FileIsBack) | Err(_) => Motion::AtRest,
    };
    let (report_of, next) = match result {
        Ok(Course::Settled(settled)) => run.conclude(*settled).await,
        Ok(Course::FileIsBack) => (run.as_before(Vec::new()), Next::Reread),
        Err(error) => run.blind(&error),
    };
    let motion = if matches!(next, Next::Calm | Next::Recheck(_)) { motion } else { Motion::AtRest };
    if !run.events.is_empty()
        && let Err(error) = world.store().append(&run.events).await
    {
        tracing::warn!(app = %key, %error, "the event log could not be written");
    }
    PassOutput { key, status: report_of, row: run.row, memory: run.memory, next, motion, changes: run.changes }
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
    if plan.steps.iter().any(|step| matches!(step.action, Action::TakeVersion { .. })) {
        // Which one it will be is known when it was taken, and shows in no step.
        let rest = diff(&view.with_version(VersionId::of(&Digest::of(&[]))));
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
enum Course {
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
    async fn converge(&mut self) -> Result<Course, StepError> {
        for round in 1.. {
            let view = self.observe().await?;
            let plan = diff(&view);
            if plan.is_empty() || round > MAX_ROUNDS {
                let verdict = assess(&view, &plan);
                let failure = (!plan.is_empty()).then(|| does_not_converge(&plan));
                return Ok(Course::Settled(Box::new(Settled { view, plan, verdict, failure })));
            }
            if self.is_file_back().await {
                return Ok(Course::FileIsBack);
            }
            if let Some(failure) = self.act(&plan).await {
                // Look once more, so that the status tells what the failure left behind.
                let view = self.observe().await?;
                let plan = diff(&view);
                let verdict = assess(&view, &plan);
                return Ok(Course::Settled(Box::new(Settled { view, plan, verdict, failure: Some(failure) })));
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

    /// Carries out the steps until the first failure.
    async fn act(&mut self, plan: &Plan) -> Option<Failure> {
        let world = self.world;
        let (instance, key) = (self.input.instance.clone(), self.input.key.clone());
        let mut actor = Actor::new(world.engine(), world.store(), world.folders(), &instance, &key, self.row.clone());
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
                Ok(Outcome::Changed) => {
                    self.input.metrics.step(step.action.word(), "done");
                    if self.memory.settled_as.as_ref() == Some(&wanted) {
                        self.input.metrics.drift_repaired(step.action.word());
                    }
                    tracing::info!(app = %key, cause = %step.cause, "{what}");
                    self.changes += 1;
                    self.events.push(event(EventKind::Done, step.cause.clone()));
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

    /// What the pass itself wrote into the row, about a failed deploy or a version that it took, is younger than the decision.
    fn follow_row(&mut self) {
        let decision = &mut self.input.decision;
        if let (Some(record), Some(row)) = (&mut decision.record, &self.row) {
            record.failed.clone_from(&row.failed);
            if record.versions.is_some() && row.versions.is_some() {
                record.versions.clone_from(&row.versions);
            }
        }
        let row = decision.record.as_ref().or(self.row.as_ref());
        if let (Goal::Run(spec) | Goal::Stop(spec), Some(row)) = (&mut decision.goal, row) {
            spec.code = row.code();
        }
    }

    /// Everything about this app, freshly looked up.
    async fn observe(&mut self) -> Result<AppView, StepError> {
        self.follow_row();
        let world = self.world;
        let key = self.input.key.clone();
        let (containers, squatted) = self.observe_containers().await?;
        let spec = self.input.decision.spec().cloned();
        self.forget_gone(&containers);
        self.note_ends(&containers).await;
        let readiness = match (&self.input.decision.goal, &spec) {
            (Goal::Run(_), Some(spec)) => self.observe_readiness(&containers, spec).await,
            _ => BTreeMap::new(),
        };
        let folder = match self.input.decision.goal {
            Goal::Leave => FolderState::default(),
            Goal::Run(_) | Goal::Stop(_) | Goal::Remove { .. } => world.folders().look(&key).await?,
        };
        let now = world.clock().now();
        self.note_calm(&containers, &readiness);
        let published = self.input.previous.as_ref().and_then(|status| status.endpoint.as_ref());
        let published = published.map(|endpoint| endpoint.container.clone());
        let listening = self.observe_listening(&containers, &readiness, now).await;
        let draining = self.observe_draining(&containers, published.as_ref(), now);
        // One that was given up for want of time may run after all, since it was allowed more.
        let runs_after_all = |failed: &mut FailedDeploy| {
            containers.iter().map(OwnedContainer::get).any(|container| {
                container.labels.get(labels::IDENTITY).map(String::as_str) == Some(failed.identity.as_str())
                    && container.image_id == failed.image_id
                    && matches!(readiness.get(&container.id), Some(Readiness::Answers { .. }))
            })
        };
        let mut record = self.input.decision.record.clone();
        if let Some(record) = &mut record {
            record.failed.take_if(runs_after_all);
        }
        Ok(AppView {
            instance: self.input.instance.clone(),
            goal: self.input.decision.goal.clone(),
            record,
            recorded: self.row.clone(),
            row_in_doubt: self.memory.row_in_doubt,
            folder,
            containers,
            squatted,
            broken: self
                .memory
                .start_failures
                .iter()
                .filter(|(_, failures)| **failures >= MAX_START_FAILURES)
                .map(|(id, _)| id.clone())
                .collect(),
            abandoned: self.memory.abandoned.clone(),
            readiness,
            calm_restarts: self.memory.calm_restarts.clone(),
            ended: self.memory.ended.clone(),
            listening,
            refused: self.memory.refused.clone().filter(|refused| now.0 - refused.at.0 < RefusedLimits::RETRY_MS),
            image_id: self.input.image_id.clone(),
            published,
            draining,
            network_ready: self.input.network_ready,
            may_move: self.input.may_move,
            engine: self.input.engine.clone(),
            routing: self.input.settings.routing,
            now,
            key,
        })
    }

    /// Which containers still answer requests although another one is published, and for how long.
    fn observe_draining(
        &mut self,
        containers: &[OwnedContainer],
        published: Option<&ContainerId>,
        now: Timestamp,
    ) -> BTreeMap<ContainerId, i64> {
        let drain = self.world.drain();
        let leaves = |owned: &&OwnedContainer| owned.runs() && published.is_some_and(|id| id != owned.id());
        let busy = containers.iter().filter(leaves).map(OwnedContainer::id).filter(|id| drain.is_busy(id));
        let since = |id: &ContainerId| self.memory.draining.get(id).copied().unwrap_or(now);
        self.memory.draining = busy.map(|id| (id.clone(), since(id))).collect();
        self.memory.draining.iter().map(|(id, since)| (id.clone(), now.0 - since.0)).collect()
    }

    /// Ours by label, whatever they are called; and whether somebody else carries one of our names.
    async fn observe_containers(&self) -> Result<(Vec<OwnedContainer>, BTreeSet<String>), EngineError> {
        let engine = self.world.engine();
        let (key, instance) = (&self.input.key, &self.input.instance);
        let filter = ListFilter {
            labels: [
                (labels::TYPE, labels::TYPE_APP),
                (labels::INSTANCE, instance.as_str()),
                (labels::USER, key.user.as_str()),
                (labels::APP, key.app.as_str()),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        };
        let mut owned = Vec::new();
        let listed = match engine.list(&filter).await {
            Err(_) if planted!(FailedListMeansEmpty) => Vec::new(),
            listed => listed?,
        };
        for summary in listed {
            // One that vanished since the listing is simply not there.
            if let Some(container) = engine.inspect(summary.id.as_str()).await?
                && let Some(container) = OwnedContainer::prove(container, key, instance)
            {
                owned.push(container);
            }
        }
        let mut squatted = BTreeSet::new();
        if matches!(self.input.decision.goal, Goal::Run(_)) {
            let main = key.container_name();
            let have_main = owned.iter().any(|container| container.name() == main);
            if !have_main && self.is_squatted(&main).await? {
                squatted.insert(main);
            }
            // The names of a successor and a predecessor are only worth a question when one is about to be used.
            let running = owned.iter().any(OwnedContainer::runs);
            for name in [key.next_container_name(), key.previous_container_name()] {
                let ours = owned.iter().any(|container| container.name() == name);
                if running && !ours && self.replacement_is_due(&owned) && self.is_squatted(&name).await? {
                    squatted.insert(name);
                }
            }
        }
        Ok((owned, squatted))
    }

    fn replacement_is_due(&self, owned: &[OwnedContainer]) -> bool {
        let Some(spec) = self.input.decision.spec() else { return false };
        let identity = spec.identity();
        !owned.iter().any(|container| {
            container.get().labels.get(labels::IDENTITY).map(String::as_str) == Some(identity.as_str())
                && self.input.image_id.as_deref().is_none_or(|id| id == container.get().image_id)
        })
    }

    async fn is_squatted(&self, name: &str) -> Result<bool, EngineError> {
        let Some(container) = self.world.engine().inspect(name).await? else { return Ok(false) };
        Ok(OwnedContainer::prove(container, &self.input.key, &self.input.instance).is_none())
    }

    fn forget_gone(&mut self, containers: &[OwnedContainer]) {
        let present = |id: &ContainerId| containers.iter().any(|owned| owned.id() == id);
        self.memory.answered.retain(|id, _| present(id));
        // A start by request begins to count anew.
        let counts = |id: &ContainerId, calm: u32| {
            containers.iter().any(|owned| owned.id() == id && owned.get().restart_count >= calm)
        };
        self.memory.calm_restarts.retain(|id, calm| counts(id, *calm));
        self.memory.ended.retain(|id, _| present(id));
        self.memory.start_failures.retain(|id, _| present(id));
        self.memory.told.retain(|id, _| present(id));
        let down = |id: &ContainerId| {
            let found = containers.iter().find(|owned| owned.id() == id);
            found.is_some_and(|owned| matches!(owned.get().state, ContainerState::Created | ContainerState::Exited))
        };
        self.memory.abandoned.retain(down);
    }

    /// Asks each running container that has not answered since its start.
    async fn observe_readiness(
        &mut self,
        containers: &[OwnedContainer],
        spec: &AppSpec,
    ) -> BTreeMap<ContainerId, Readiness> {
        let mut readiness = BTreeMap::new();
        for owned in containers.iter().filter(|owned| owned.runs()) {
            let container = owned.get();
            let answered = self.memory.answered.get(owned.id()).filter(|it| it.started_at == container.started_at);
            let found = match answered {
                Some(Answered { since, .. }) => Readiness::Answers { for_ms: self.world.clock().now().0 - since.0 },
                None => match self.ask(container, spec).await {
                    Ok(()) => {
                        let (started_at, since) = (container.started_at, self.world.clock().now());
                        self.memory.answered.insert(owned.id().clone(), Answered { started_at, since });
                        Readiness::Answers { for_ms: 0 }
                    }
                    Err(why) => Readiness::Silent(why),
                },
            };
            readiness.insert(owned.id().clone(), found);
        }
        readiness
    }

    /// How processes ended since the last look, and why as far as their last lines tell it.
    async fn note_ends(&mut self, containers: &[OwnedContainer]) {
        let runs = matches!(self.input.decision.goal, Goal::Run(_));
        for owned in containers {
            let Some(end) = owned.get().last_end() else { continue };
            if self.memory.ended.get(owned.id()).is_some_and(|known| known.end == end) {
                continue;
            }
            // A process that was stopped in good order has nothing to tell.
            let failed = runs && (end.code != 0 || end.oom_killed);
            let log = if failed { log_excerpt(self.world.engine(), owned.id()).await } else { Vec::new() };
            let limit = u64::try_from(owned.get().limits.memory).ok().filter(|limit| *limit > 0).map(Bytes);
            let diagnosis = if failed { Diagnosis::of_end(end, &log, limit) } else { None };
            self.memory.ended.insert(owned.id().clone(), Ended { end, log, diagnosis });
        }
    }

    /// What containers that do not answer listen on. Not asked of one that has only just begun.
    async fn observe_listening(
        &self,
        containers: &[OwnedContainer],
        readiness: &BTreeMap<ContainerId, Readiness>,
        now: Timestamp,
    ) -> BTreeMap<ContainerId, Vec<SocketAddr>> {
        let mut found = BTreeMap::new();
        for owned in containers {
            let container = owned.get();
            let silent = matches!(readiness.get(owned.id()), Some(Readiness::Silent(_)));
            let begun = container.started_at.is_some_and(|started| now.0 - started.0 >= LISTENS_AFTER_MS);
            if silent
                && begun
                && let Some(listening) = self.world.prober().listening(container).await
            {
                found.insert(owned.id().clone(), listening);
            }
        }
        found
    }

    /// Restarts of long ago are no crash loop of today.
    fn note_calm(&mut self, containers: &[OwnedContainer], readiness: &BTreeMap<ContainerId, Readiness>) {
        for owned in containers {
            if let Some(Readiness::Answers { for_ms: CALM_MS.. }) = readiness.get(owned.id()) {
                self.memory.calm_restarts.insert(owned.id().clone(), owned.get().restart_count);
            }
        }
    }

    async fn ask(&self, container: &ObservedContainer, spec: &AppSpec) -> Result<(), String> {
        let Some(ip) = container.address(&spec.network) else {
            return Err(format!("it has no address on network {}", spec.network));
        };
        let endpoint = Endpoint { container: container.id.clone(), ip, port: spec.template.internal_port };
        self.world.prober().probe(&endpoint, spec.template.health_path.as_deref()).await
    }

    async fn conclude(&mut self, settled: Settled) -> (AppStatus, Next) {
        let Settled { view, plan, mut verdict, failure } = settled;
        let mut findings = Vec::new();
        let next = match &failure {
            None => verdict.recheck.map_or(Next::Calm, Next::Recheck),
            Some(Failure { what, word, error }) => {
                // Nobody but the manifest's author can help a container that Docker refuses to make.
                let refused = *word == "create" && error.kind == ErrorKind::Terminal;
                if refused {
                    verdict.sync = SyncState::Invalid;
                }
                findings.push(if refused {
                    let message = format!("Docker refuses the container that the manifest asks for: {error}");
                    Finding::new(ConditionKind::Invalid, "Refused", message)
                } else {
                    let message = format!("could not {what}: {error}");
                    Finding::new(ConditionKind::StepFailed, format!("{:?}", error.kind), message)
                });
                match error.kind {
                    ErrorKind::Unreachable => Next::Unreachable,
                    ErrorKind::Terminal if error.unstartable.is_none() => Next::Terminal,
                    // A name that is busy being removed is free in a moment.
                    ErrorKind::Conflict if view.containers.iter().any(OwnedContainer::is_leaving) => {
                        Next::Recheck(Duration::from_millis(200))
                    }
                    ErrorKind::Terminal | ErrorKind::Retryable | ErrorKind::NotFound | ErrorKind::Conflict => {
                        Next::Backoff { over: word }
                    }
                }
            }
        };
        let last_exit = self.last_exit(&view, verdict.crashed.as_ref()).await;
        self.tell_deploy_log(&verdict, last_exit.as_ref()).await;
        let context = Report {
            key: &self.input.key,
            decision: &self.input.decision,
            settings: &self.input.settings,
            previous: self.input.previous.as_deref(),
            row: self.row.as_ref(),
            now: self.world.clock().now(),
        };
        let settled = plan.is_empty() && failure.is_none();
        let synced = verdict.sync == SyncState::Synced;
        // An app that only waits, for the image say, has nothing that could drift.
        if settled && synced {
            self.memory.settled_as = Some(self.wanted());
        }
        (report(&context, verdict, findings, last_exit, settled), next)
    }

    /// A new container without a predecessor to fall back to is never given up; that it does not come up is told in
    /// `logs/deploy.log` all the same, once.
    async fn tell_deploy_log(&mut self, verdict: &Assessment, last_exit: Option<&LastExit>) {
        let Some(id) = verdict.container.clone() else { return };
        let failed = matches!(self.input.decision.goal, Goal::Run(_))
            && matches!(verdict.health, Health::CrashLoop | Health::Degraded)
            && !self.memory.answered.contains_key(&id);
        if !failed {
            return;
        }
        // Once for each cause: one that was slow at first may turn out to need more memory.
        let code = verdict.diagnosis.as_ref().map(|diagnosis| diagnosis.code);
        let told = self.memory.told.entry(id.clone()).or_default();
        if told.contains(&code) || (code.is_none() && !told.is_empty()) {
            return;
        }
        told.push(code);
        let reason = verdict.findings.iter().min_by_key(|finding| finding.kind).map(|finding| finding.message.as_str());
        let log = match last_exit.filter(|exit| !exit.log.is_empty()) {
            Some(exit) => exit.log.clone(),
            None => log_excerpt(self.world.engine(), &id).await,
        };
        let (now, reason) = (self.world.clock().now(), reason.unwrap_or("it does not answer"));
        let korean = verdict.diagnosis.as_ref().map(|diagnosis| format!("{}\n", diagnosis.korean)).unwrap_or_default();
        let text = format!("{now} the new container does not come up: {reason}\n{korean}{}\n", log.join("\n"));
        if let Err(error) = self.world.folders().append_deploy_log(&self.input.key, &text).await {
            tracing::warn!(app = %self.input.key, %error, "logs/deploy.log could not be written");
        }
    }

    /// The log is only read when the app ended once more.
    async fn last_exit(&self, view: &AppView, crashed: Option<&ObservedContainer>) -> Option<LastExit> {
        let container = crashed?;
        let previous = self.input.previous.as_ref().and_then(|status| status.last_exit.clone());
        let Some(end) = view.last_end(container) else { return previous };
        if let Some(previous) = previous.filter(|previous| previous.at == end.at) {
            return Some(previous);
        }
        let log = match view.ended.get(&container.id).filter(|ended| !ended.log.is_empty()) {
            Some(ended) => ended.log.clone(),
            None => log_excerpt(self.world.engine(), &container.id).await,
        };
        Some(LastExit { code: end.code, oom_killed: end.oom_killed, at: end.at, log })
    }

    /// The world could not be looked at: say so, and keep what was known.
    fn blind(&self, error: &StepError) -> (AppStatus, Next) {
        let (kind, next) = match error.kind {
            ErrorKind::Unreachable => (ConditionKind::EngineUnreachable, Next::Unreachable),
            ErrorKind::Terminal => (ConditionKind::StepFailed, Next::Terminal),
            ErrorKind::Retryable | ErrorKind::NotFound | ErrorKind::Conflict => {
                (ConditionKind::StepFailed, Next::Backoff { over: "look" })
            }
        };
        (self.as_before(vec![Finding::new(kind, format!("{:?}", error.kind), error.to_string())]), next)
    }

    /// What was known, for want of anything newer.
    fn as_before(&self, findings: Vec<Finding>) -> AppStatus {
        let previous = self.input.previous.as_deref();
        let verdict = Assessment {
            sync: SyncState::OutOfSync,
            health: Health::Unknown,
            findings: Vec::new(),
            container: previous.and_then(|status| status.container.clone()),
            // Requests may still get through: Docker being away does not stop containers.
            endpoint: previous.and_then(|status| status.endpoint.clone()),
            restarts: previous.map_or(0, |status| status.restarts),
            started_at: previous.and_then(|status| status.started_at),
            crashed: None,
            diagnosis: None,
            limits: previous.and_then(|status| status.limits),
            motion: Motion::AtRest,
            recheck: None,
        };
        let context = Report {
            key: &self.input.key,
            decision: &self.input.decision,
            settings: &self.input.settings,
            previous,
            row: self.row.as_ref(),
            now: self.world.clock().now(),
        };
        let last_exit = previous.and_then(|status| status.last_exit.clone());
        report(&context, verdict, findings, last_exit, false)
    }
}

/// Docker, or the kernel, will not have these limits, whatever is tried: the container goes on with those it has.
fn is_refusal(step: &Step, error: &StepError) -> bool {
    matches!(step.action, Action::Update { target: Target::Known(_), .. }) && error.kind == ErrorKind::Terminal
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
