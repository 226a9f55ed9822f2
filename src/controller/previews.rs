//! One look at one app's preview, and what follows from it. As with an app's own pass: it gets values and gives a value back, and
//! whatever happens in it concerns this preview alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::addresses::Addresses;
use super::handle::PreviewRefused;
use super::seams::{Drain as _, Prober as _, Seams};
use crate::act::{StepError, log_excerpt};
use crate::clock::Clock as _;
use crate::engine::{Effect, Engine as _, ErrorKind, ListFilter};
use crate::model::observed::ContainerState;
use crate::model::preview::{PreviewSpec, PreviewState, PreviewStatus};
use crate::model::spec::STOP_GRACE_SECONDS;
use crate::model::status::Endpoint;
use crate::model::{
    AppKey, Cause, ContainerId, ContainerSpec, Diagnosis, Event, EventKind, InstanceId, PreviewId, PreviewRecord,
    Timestamp, Visitors, labels,
};
use crate::plan::preview::{
    MAX_STARTS, PreviewAction, PreviewContainer, PreviewGoal, PreviewTarget, PreviewView, diff,
};
use crate::previews::Previews as _;
use crate::store::Store as _;

/// Looks per pass.
const MAX_ROUNDS: usize = 5;

/// When one that does not answer yet is asked again: soon at first, as somebody waits for it.
const ASK_AGAIN: Duration = Duration::from_millis(200);
const ASK_LATER: Duration = Duration::from_secs(2);
const SOON_MS: i64 = 10_000;

/// Longest pause between two looks: what is told of its end is never older.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// For a container that Docker is removing.
const LEAVING: Duration = Duration::from_secs(1);

/// Whoever waits until it is written down.
pub type Told = oneshot::Sender<Result<(), PreviewRefused>>;

/// What is remembered of a preview between two looks. Losing it costs another try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreviewMemory {
    /// The container that answered, and the start after which it did.
    answered: Option<(ContainerId, Option<Timestamp>)>,
    starts: BTreeMap<ContainerId, u32>,
    /// What cannot be made, and why.
    given_up: Option<(PreviewId, String)>,
    /// Its last lines, of the container that has ended for good.
    log: Option<(ContainerId, Vec<String>, Option<Diagnosis>)>,
}

/// What a look works on.
#[derive(Debug)]
pub struct PreviewInput {
    pub key: AppKey,
    pub instance: InstanceId,
    pub goal: PreviewGoal,
    pub record: Option<PreviewRecord>,
    pub recorded: Option<PreviewRecord>,
    pub told: Vec<Told>,
    pub host: String,
    pub image_id: Option<String>,
    pub network_ready: bool,
    pub addresses: Arc<Addresses>,
    pub memory: PreviewMemory,
}

/// What came of it.
#[derive(Debug)]
pub struct PreviewOutput {
    pub key: AppKey,
    /// As the store has it.
    pub recorded: Option<PreviewRecord>,
    /// `None`: there is nothing of it any more.
    pub status: Option<PreviewStatus>,
    pub memory: PreviewMemory,
    pub next: PreviewNext,
}

/// When it is to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewNext {
    /// When something happens.
    Calm,
    After(Duration),
    Backoff,
}

/// Never fails: what went wrong is in the status.
pub async fn look_after<W: Seams>(world: &W, input: PreviewInput) -> PreviewOutput {
    let mut run =
        Run { world, recorded: input.recorded.clone(), memory: input.memory.clone(), events: Vec::new(), input };
    let failure = run.converge().await;
    for told in run.input.told.drain(..) {
        let why = failure.as_ref().map_or_else(|| "it is being looked at".to_owned(), ToString::to_string);
        // Nobody waits any more: it stands, or not, all the same.
        let _ = told.send(Err(PreviewRefused::Unwritten { reason: why }));
    }
    if !run.events.is_empty()
        && let Err(error) = world.store().append(&run.events).await
    {
        tracing::warn!(app = %run.input.key, %error, "the event log could not be written");
    }
    let (status, next) = run.conclude(failure).await;
    PreviewOutput { key: run.input.key, recorded: run.recorded, status, memory: run.memory, next }
}

struct Run<'w, W: Seams> {
    world: &'w W,
    recorded: Option<PreviewRecord>,
    memory: PreviewMemory,
    events: Vec<Event>,
    input: PreviewInput,
}

impl<W: Seams> Run<'_, W> {
    async fn converge(&mut self) -> Option<StepError> {
        for _ in 0..MAX_ROUNDS {
            let view = match self.observe().await {
                Ok(view) => view,
                Err(error) => return Some(error),
            };
            let steps = diff(&view);
            let writes = steps.iter().any(|step| matches!(step, PreviewAction::Record(_)));
            if !writes {
                self.tell_written();
            }
            if steps.is_empty() {
                return None;
            }
            let mut created = None;
            for step in &steps {
                match self.carry_out(step, &mut created).await {
                    Ok(()) => self.note(step, view.shown().err()),
                    Err(error) => {
                        tracing::warn!(app = %self.input.key, %error, "could not {step}");
                        if error.kind == ErrorKind::Terminal
                            && let Some(record) = &self.input.record
                        {
                            self.memory.given_up = Some((record.id.clone(), error.to_string()));
                        }
                        return Some(error);
                    }
                }
            }
        }
        None
    }

    fn tell_written(&mut self) {
        for told in self.input.told.drain(..) {
            let _ = told.send(Ok(()));
        }
    }

    async fn observe(&mut self) -> Result<PreviewView, StepError> {
        let (world, key) = (self.world, self.input.key.clone());
        let filter = ListFilter {
            labels: [
                (labels::TYPE, labels::TYPE_PREVIEW),
                (labels::INSTANCE, self.input.instance.as_str()),
                (labels::USER, key.user.as_str()),
                (labels::APP, key.app.as_str()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        };
        let mut containers = Vec::new();
        for summary in world.engine().list(&filter).await? {
            if let Some(container) = world.engine().inspect(summary.id.as_str()).await? {
                containers.extend(PreviewContainer::prove(container, &key, &self.input.instance));
            }
        }
        self.memory.starts.retain(|id, _| containers.iter().any(|container| container.id() == id));
        let name = key.preview_container_name();
        let is_ours = containers.iter().any(|container| container.get().name == name);
        let asks = matches!(self.input.goal, PreviewGoal::Show(_)) && !is_ours;
        let squatted = asks && world.engine().inspect(&name).await?.is_some();
        let used = containers.iter().filter_map(|container| world.drain().last_used(container.id())).min();
        let now = world.clock().now();
        let of_record = |id: &PreviewId| self.input.record.as_ref().is_some_and(|record| record.id == *id);
        let starts = containers.iter().filter_map(|container| self.memory.starts.get(container.id())).sum();
        Ok(PreviewView {
            goal: self.input.goal.clone(),
            record: self.input.record.clone(),
            recorded: self.recorded.clone(),
            folders: world.previews().look(&key).await?,
            containers,
            squatted,
            used_at: used.map(|ago| Timestamp(now.0 - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))),
            given_up: self.memory.given_up.as_ref().filter(|(id, _)| of_record(id)).map(|(_, why)| why.clone()),
            starts,
            image_id: self.input.image_id.clone(),
            network_ready: self.input.network_ready,
            now,
            key,
        })
    }

    async fn carry_out(&mut self, step: &PreviewAction, created: &mut Option<ContainerId>) -> Result<(), StepError> {
        let (world, key) = (self.world, &self.input.key);
        match step {
            PreviewAction::Record(record) => {
                world.store().put_preview(record).await?;
                self.recorded = Some((**record).clone());
                self.tell_written();
            }
            PreviewAction::PutCode(record) => world.previews().put_code(key, &record.id, &record.source).await?,
            PreviewAction::CopyData { id, most } => world.previews().copy_data(key, id, *most).await?,
            PreviewAction::Create(spec) => *created = Some(self.create(spec).await?),
            PreviewAction::Start(target) => {
                let id = match target {
                    PreviewTarget::Known(container) => container.id().clone(),
                    PreviewTarget::Created => created.clone().ok_or_else(not_created)?,
                };
                *self.memory.starts.entry(id.clone()).or_default() += 1;
                world.engine().start(&id).await?;
            }
            PreviewAction::Stop(target) => {
                if let Some(id) = self.still_ours(target).await? {
                    world.engine().stop(&id, STOP_GRACE_SECONDS).await?;
                }
            }
            PreviewAction::Remove(target) => {
                if let Some(id) = self.still_ours(target).await? {
                    let _: Effect = world.engine().remove(&id).await?;
                }
            }
            PreviewAction::DropFolders { kept } => world.previews().keep(key, kept.as_ref()).await?,
            PreviewAction::Forget => {
                world.store().forget_preview(key).await?;
                self.recorded = None;
            }
        }
        Ok(())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, StepError> {
        let filter = ListFilter::of_instance(&self.input.instance);
        let listed = self.world.engine().list(&filter).await?;
        let taken: BTreeSet<Ipv4Addr> = listed.into_iter().flat_map(|container| container.fixed).collect();
        let address = self.input.addresses.next_for_preview(&self.input.key, &taken);
        let address = address.map_err(|error| StepError::new(ErrorKind::Retryable, error.to_string()))?;
        Ok(self.world.engine().create(&ContainerSpec { address, ..spec.clone() }).await?)
    }

    /// Looks again right before a destructive call. `None` = it is gone already.
    async fn still_ours(&self, target: &PreviewTarget) -> Result<Option<ContainerId>, StepError> {
        let PreviewTarget::Known(known) = target else { return Err(not_created()) };
        let Some(container) = self.world.engine().inspect(known.id().as_str()).await? else { return Ok(None) };
        match PreviewContainer::prove(container, &self.input.key, &self.input.instance) {
            Some(owned) => Ok(Some(owned.id().clone())),
            None => Err(StepError::new(ErrorKind::Conflict, "the container is no preview of ours: it is left alone")),
        }
    }

    /// For the event log: what somebody looking for the reason of a container wants to know.
    fn note(&mut self, step: &PreviewAction, ended: Option<&str>) {
        tracing::info!(app = %self.input.key, "{step}");
        let what = match (step, &self.input.record) {
            (PreviewAction::Create(_), Some(record)) => format!("preview of {}", record.source),
            (PreviewAction::Forget, _) => "end of the preview".to_owned(),
            _ => return,
        };
        let cause = Cause::new(ended.unwrap_or("somebody has asked for it"));
        let (at, app) = (self.world.clock().now(), Some(self.input.key.clone()));
        self.events.push(Event { at, app, kind: EventKind::Done, what, cause });
    }

    /// One more look, for the status.
    async fn conclude(&mut self, failure: Option<StepError>) -> (Option<PreviewStatus>, PreviewNext) {
        let Ok(view) = self.observe().await else { return (self.blind(failure), PreviewNext::Backoff) };
        let Some(record) = view.present().or_else(|| view.recorded.clone()) else {
            let is_gone = view.containers.is_empty() && view.folders.is_empty();
            return (None, if is_gone && failure.is_none() { PreviewNext::Calm } else { PreviewNext::Backoff });
        };
        if view.recorded.is_none() && view.shown().is_err() && view.containers.is_empty() && view.folders.is_empty() {
            return (None, PreviewNext::Calm);
        }
        let (standing, next) = self.standing(&view, failure).await;
        let endpoint = if standing.state == PreviewState::Ready { standing.endpoint } else { None };
        let status = PreviewStatus {
            app: self.input.key.clone(),
            source: record.source,
            state: standing.state,
            host: self.input.host.clone(),
            since: record.since,
            until: record.until,
            reason: standing.reason,
            log: standing.log,
            container: view.container().map(|container| container.id().clone()),
            endpoint,
            visitors: if planted!(PreviewForEveryone) { Visitors::EVERYONE } else { Visitors::OWNER },
        };
        (Some(status), next)
    }

    /// Nothing could be seen: nothing more can be said than what somebody asked for.
    fn blind(&self, failure: Option<StepError>) -> Option<PreviewStatus> {
        let record = self.input.record.clone().or_else(|| self.recorded.clone())?;
        Some(PreviewStatus {
            app: self.input.key.clone(),
            source: record.source,
            state: if record.stopped { PreviewState::Ending } else { PreviewState::Preparing },
            host: self.input.host.clone(),
            since: record.since,
            until: record.until,
            reason: failure.map(|error| error.to_string()),
            log: Vec::new(),
            container: None,
            endpoint: None,
            visitors: Visitors::OWNER,
        })
    }

    async fn standing(&mut self, view: &PreviewView, failure: Option<StepError>) -> (Standing, PreviewNext) {
        let Ok((record, spec)) = view.shown() else {
            let next = if failure.is_some() { PreviewNext::Backoff } else { PreviewNext::After(LEAVING) };
            return (Standing::of(PreviewState::Ending), next);
        };
        let until = Duration::from_millis(u64::try_from(record.until.0 - view.now.0).unwrap_or_default());
        let calm = PreviewNext::After(until.min(LOOK_AGAIN));
        if let Some(why) = &view.given_up {
            return (Standing::failed(why.clone()), calm);
        }
        if let Some(error) = failure {
            let standing = Standing { reason: Some(error.to_string()), ..Standing::of(PreviewState::Preparing) };
            return (standing, PreviewNext::Backoff);
        }
        let Some(container) = view.container() else {
            let leaving = view.containers.iter().any(|owned| owned.get().state == ContainerState::Removing);
            let reason = view.squatted.then(|| {
                let name = view.key.preview_container_name();
                format!("somebody else's container is called {name}: remove or rename it")
            });
            let next = if leaving { PreviewNext::After(LEAVING) } else { calm };
            return (Standing { reason, ..Standing::of(PreviewState::Preparing) }, next);
        };
        let container = container.clone();
        if !container.runs() {
            if view.starts < MAX_STARTS {
                return (Standing::of(PreviewState::Starting), PreviewNext::After(ASK_AGAIN));
            }
            return (self.ended(&container, spec).await, calm);
        }
        match self.ask(&container, spec).await {
            Ok(endpoint) => (Standing { endpoint: Some(endpoint), ..Standing::of(PreviewState::Ready) }, calm),
            Err(why) => {
                let age = container.get().started_at.map_or(0, |started| view.now.0 - started.0);
                if age > spec.start_timeout.millis() {
                    let reason = format!("it has not answered within {}: {why}", spec.start_timeout);
                    return (Standing::failed(reason), calm);
                }
                let pause = if age < SOON_MS { ASK_AGAIN } else { ASK_LATER };
                (Standing::of(PreviewState::Starting), PreviewNext::After(pause))
            }
        }
    }

    async fn ask(&mut self, container: &PreviewContainer, spec: &PreviewSpec) -> Result<Endpoint, String> {
        let observed = container.get();
        let address = observed.networks.get(&spec.container.network).copied().flatten();
        let ip = address.ok_or_else(|| "it has no address".to_owned())?;
        let endpoint = Endpoint { container: observed.id.clone(), ip, port: spec.container.port };
        let start = Some((observed.id.clone(), observed.started_at));
        if self.memory.answered != start {
            self.world.prober().probe(&endpoint, spec.health_path.as_deref()).await?;
            self.memory.answered = start;
        }
        Ok(endpoint)
    }

    /// Its process has ended again and again.
    async fn ended(&mut self, container: &PreviewContainer, spec: &PreviewSpec) -> Standing {
        if self.memory.log.as_ref().is_none_or(|(of, ..)| of != container.id()) {
            let log = log_excerpt(self.world.engine(), container.id()).await;
            let end = container.get().last_end();
            let diagnosis = end.and_then(|end| Diagnosis::of_end(end, &log, Some(spec.container.limits.memory)));
            self.memory.log = Some((container.id().clone(), log, diagnosis));
        }
        let (log, diagnosis) = match &self.memory.log {
            Some((_, log, diagnosis)) => (log.clone(), diagnosis.clone()),
            None => (Vec::new(), None),
        };
        let end = container.get().last_end().map_or_else(String::new, |end| format!(" ({end})"));
        let reason = match diagnosis {
            Some(diagnosis) => diagnosis.english,
            None => format!("it ended by itself{end}"),
        };
        Standing { log, ..Standing::failed(reason) }
    }
}

fn not_created() -> StepError {
    StepError::new(ErrorKind::NotFound, "the preview's container was not created; it is tried again")
}

/// How it is.
struct Standing {
    state: PreviewState,
    reason: Option<String>,
    log: Vec<String>,
    endpoint: Option<Endpoint>,
}

impl Standing {
    fn of(state: PreviewState) -> Self {
        Self { state, reason: None, log: Vec::new(), endpoint: None }
    }

    fn failed(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::of(PreviewState::Failed) }
    }
}
