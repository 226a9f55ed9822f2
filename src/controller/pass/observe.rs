//! Observing: everything about one app, freshly looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::act::{StepError, log_excerpt};
use crate::clock::Clock as _;
use crate::engine::{Engine as _, EngineError, ListFilter};
use crate::folders::Folders as _;
use crate::history::History as _;
use crate::model::observed::ContainerState;
use crate::model::status::Endpoint;
use crate::model::{
    AppSpec, Bytes, Cause, ContainerId, Diagnosis, Event, EventKind, FailedDeploy, FolderState, ObservedContainer,
    Timestamp, labels,
};
use crate::plan::assess::CALM_MS;
use crate::plan::view::{Ended, OwnedContainer, RefusedLimits};
use crate::plan::{AppView, Goal, Readiness, asks_history};

use super::super::seams::{Drain as _, Prober as _, Seams};

use super::{Answered, Pass};

/// Failed starts of one container after which it is replaced instead of started again.
const MAX_START_FAILURES: u32 = 3;

/// A container that has run for less may be about to listen.
const LISTENS_AFTER_MS: i64 = 1_000;

impl<W: Seams> Pass<'_, W> {
    /// What the pass itself wrote into the row, about a failed deploy or a version that it took, is younger than the decision.
    pub(super) fn follow_row(&mut self) {
        let decision = &mut self.input.decision;
        if let (Some(record), Some(row)) = (&mut decision.record, &self.row) {
            record.failed.clone_from(&row.failed);
            record.restored.clone_from(&row.restored);
            if record.versions.is_some() && row.versions.is_some() {
                record.versions.clone_from(&row.versions);
            }
        }
        let row = decision.record.as_ref().or(self.row.as_ref());
        if let (Goal::Run(spec) | Goal::Stop(spec) | Goal::Sleep { spec, .. }, Some(row)) = (&mut decision.goal, row) {
            spec.code = row.code();
        }
    }

    /// Everything about this app, freshly looked up.
    pub(super) async fn observe(&mut self) -> Result<AppView, StepError> {
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
            Goal::Run(_) | Goal::Stop(_) | Goal::Sleep { .. } | Goal::Remove { .. } => {
                world.folders().look(&key).await?
            }
        };
        // Asked only where something depends on it.
        let history = match spec.as_ref() {
            Some(spec) if asks_history(&folder, &containers, self.row.as_ref(), spec) => {
                world.history().recorded(&key).await?
            }
            _ => None,
        };
        let now = world.clock().now();
        self.note_calm(&containers, &readiness);
        if let (Goal::Run(_), Some(spec)) = (&self.input.decision.goal, &spec) {
            for id in self.memory.hangs.watch(spec, &readiness, now) {
                self.tell_hang(&id, &readiness).await;
            }
        }
        let published = self.input.previous.as_ref().and_then(|status| status.endpoint.as_ref());
        let published = published.map(|endpoint| endpoint.container.clone());
        let listening = self.observe_listening(&containers, &readiness, now).await;
        let draining = self.observe_draining(&containers, published.as_ref(), now);
        let (giving_way, next_replacement) = match (&self.input.decision.goal, &spec) {
            (Goal::Run(_), Some(spec)) => self.memory.hangs.decide(spec, &containers, self.input.may_replace, now),
            _ => (None, None),
        };
        // One that was given up for want of time may run after all, since it was allowed more.
        let runs_after_all = |failed: &mut FailedDeploy| {
            containers.iter().map(OwnedContainer::get).any(|container| {
                container.is_of(&failed.identity)
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
            history,
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
            uncreatable: self.memory.uncreatable(spec.as_ref()),
            readiness,
            calm_restarts: self.memory.calm_restarts.clone(),
            ended: self.memory.ended.clone(),
            hung: self.memory.hangs.all().cloned().collect(),
            giving_way,
            next_replacement,
            listening,
            refused: self.memory.refused.clone().filter(|refused| now.0 - refused.at.0 < RefusedLimits::RETRY_MS),
            image_id: self.input.image_id.clone(),
            published,
            draining,
            network_ready: self.input.network_ready,
            may_move: self.input.may_move,
            shortage: self.input.shortage,
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
        let sleeps = matches!(self.input.decision.goal, Goal::Sleep { .. });
        let leaves = |owned: &&OwnedContainer| owned.runs() && published.map_or(sleeps, |id| id != owned.id());
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
            // The names of a successor and a predecessor are only worth a question when one is about to be used. What does not
            // run needs no successor beside it, but may be put aside.
            let running = owned.iter().any(OwnedContainer::runs);
            for (name, is_used) in
                [(key.next_container_name(), running), (key.previous_container_name(), !owned.is_empty())]
            {
                let ours = owned.iter().any(|container| container.name() == name);
                if is_used && !ours && self.replacement_is_due(&owned) && self.is_squatted(&name).await? {
                    squatted.insert(name);
                }
            }
        }
        Ok((owned, squatted))
    }

    fn replacement_is_due(&self, owned: &[OwnedContainer]) -> bool {
        let Some(spec) = self.input.decision.spec() else { return false };
        if self.memory.hangs.all().next().is_some() {
            return true;
        }
        let identity = spec.identity();
        !owned.iter().any(|container| {
            container.get().is_of(&identity)
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
        self.memory.hangs.keep(containers);
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
            let doubted = self.input.silent.take_if(|silent| silent == owned.id()).is_some()
                && self.memory.answered.remove(owned.id()).is_some();
            let answered = self.memory.answered.get(owned.id()).filter(|it| it.started_at == container.started_at);
            let found = match answered {
                Some(Answered { since, .. }) => Readiness::Answers { for_ms: self.world.clock().now().0 - since.0 },
                None if self.memory.hangs.is_past_asking(owned.id(), containers) => {
                    Readiness::Silent("it had stopped answering before its successor was made".to_owned())
                }
                None => match self.ask(container, spec).await {
                    Ok(()) => {
                        let (started_at, since) = (container.started_at, self.world.clock().now());
                        self.memory.answered.insert(owned.id().clone(), Answered { started_at, since });
                        self.memory.hangs.answers(owned.id());
                        Readiness::Answers { for_ms: 0 }
                    }
                    Err(why) => Readiness::Silent(why),
                },
            };
            let hangs = doubted && matches!(found, Readiness::Silent(_));
            readiness.insert(owned.id().clone(), found);
            if hangs {
                self.memory.hangs.stopped_answering(owned);
                self.tell_hang(owned.id(), &readiness).await;
            }
        }
        self.memory.hangs.note_calm(&readiness);
        readiness
    }

    /// In the event log and in `logs/deploy.log`: whoever looks there later sees when it began.
    async fn tell_hang(&mut self, id: &ContainerId, readiness: &BTreeMap<ContainerId, Readiness>) {
        let why = match readiness.get(id) {
            Some(Readiness::Silent(why)) => why.as_str(),
            Some(Readiness::Answers { .. }) | None => "it gives no answer",
        };
        let (at, app) = (self.world.clock().now(), self.input.key.clone());
        tracing::warn!(%app, container = %id.short(), why, "the app has stopped answering");
        let what = "the app has stopped answering".to_owned();
        self.events.push(Event { at, app: Some(app), kind: EventKind::Noticed, what, cause: Cause::new(why) });
        let Diagnosis { english, korean, .. } = Diagnosis::of_hang();
        let log = log_excerpt(self.world.engine(), id).await.join("\n");
        let text = format!("{at} the app has stopped answering ({why}): {english}\n{korean}\n{log}\n");
        if let Err(error) = self.world.folders().append_deploy_log(&self.input.key, &text).await {
            tracing::warn!(app = %self.input.key, %error, "logs/deploy.log could not be written");
        }
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
}
