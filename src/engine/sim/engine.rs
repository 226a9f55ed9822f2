//! A daemon's connection to the simulated engine.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::adjust::Update;
use super::calls::Pending;
use super::image::BuildScript;
use super::journal::Actor;
use super::world::{Reach, World, error};
use super::{SimDocker, events};
use crate::engine::{
    BuildEvent, BuildSpec, Effect, Engine, EngineError, EngineEvent, ErrorKind, Follow, ListFilter, LogLine,
    NetworkSpec, Result,
};
use crate::model::observed::{ContainerSummary, EngineInfo};
use crate::model::{
    ContainerId, ContainerSpec, ContainerState, Limits, ObservedContainer, ObservedImage, ObservedNetwork,
    RestartPolicy,
};

/// After this long without an answer a call gives up.
const DEADLINE: Duration = Duration::from_secs(15);

/// [`Engine`] over a [`SimDocker`].
#[derive(Debug, Clone)]
pub struct SimEngine {
    docker: SimDocker,
}

pub(super) fn unreachable() -> EngineError {
    error(ErrorKind::Unreachable, "the simulated Docker does not answer")
}

impl SimEngine {
    pub(super) fn new(docker: SimDocker) -> Self {
        Self { docker }
    }

    /// The engine's life this call belongs to.
    async fn knock(&self) -> Result<u64> {
        match self.docker.look(|world| (world.reach, world.incarnation)) {
            (Reach::Up, incarnation) => Ok(incarnation),
            (Reach::Down, _) => Err(unreachable()),
            (Reach::Hung, _) => {
                tokio::time::sleep(DEADLINE).await;
                Err(unreachable())
            }
        }
    }

    /// The way there, the effect, the way back. Whoever drops this in between finds the effect there or not, as with a
    /// socket; an engine that goes away in between leaves the caller in the same doubt.
    async fn call<R>(
        &self,
        cost: impl Fn(&super::Latency) -> Duration,
        work: impl FnOnce(&mut World) -> Result<R>,
    ) -> Result<R> {
        let incarnation = self.knock().await?;
        let half = self.docker.look(|world| {
            let base = cost(&world.config.latency);
            if base.is_zero() {
                base
            } else {
                base * u32::try_from(500 + world.rng.next() % 1000).unwrap_or(1000) / 2000
            }
        });
        // A sleep of nothing would still let other tasks in between.
        if !half.is_zero() {
            tokio::time::sleep(half).await;
        }
        self.still_connected(incarnation).await?;
        let result = self.docker.with(work);
        if !half.is_zero() {
            tokio::time::sleep(half).await;
            self.still_connected(incarnation).await?;
        }
        result
    }

    async fn still_connected(&self, incarnation: u64) -> Result<()> {
        if self.knock().await? == incarnation { Ok(()) } else { Err(unreachable()) }
    }

    async fn plain<R>(&self, work: impl FnOnce(&mut World) -> Result<R>) -> Result<R> {
        self.call(|latency| latency.call, work).await
    }

    /// Waits for something that was begun, as long as the connection lasts.
    async fn wait_until(&self, due: u64, allowed: Duration) -> Result<()> {
        let incarnation = self.knock().await?;
        let due = self.docker.look(|world| world.instant(due));
        let give_up = tokio::time::Instant::now() + allowed;
        loop {
            self.still_connected(incarnation).await?;
            let now = tokio::time::Instant::now();
            if now >= due {
                return Ok(());
            }
            if now >= give_up {
                return Err(unreachable());
            }
            tokio::select! {
                biased;
                // Both only wait: nothing is lost when the other ends first.
                () = tokio::time::sleep_until(due.min(give_up)) => {}
                () = self.docker.changed() => {}
            }
        }
    }
}

/// A Docker that can limit everything.
#[must_use]
pub fn engine_info() -> EngineInfo {
    EngineInfo {
        version: "20.10.24-sim".to_owned(),
        api_version: "1.41".to_owned(),
        memory: 8 << 30,
        cpus: 4,
        cgroup_version: "2".to_owned(),
        memory_limit: true,
        swap_limit: true,
        pids_limit: true,
        cpu_limit: true,
        seccomp: true,
        apparmor: true,
    }
}

impl Engine for SimEngine {
    async fn info(&self) -> Result<EngineInfo> {
        self.plain(|_| Ok(engine_info())).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<ContainerSummary>> {
        self.plain(|world| Ok(world.list(&filter.labels))).await
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ObservedContainer>> {
        self.plain(|world| {
            let container = world.resolve(id_or_name).and_then(|id| world.containers.get(&id));
            Ok(container.map(|container| container.observed(World::timestamp)))
        })
        .await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        self.call(|latency| latency.create, |world| world.create(Actor::Daemon, spec)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Effect> {
        self.call(|latency| latency.start, |world| world.start(Actor::Daemon, id.as_str())).await
    }

    async fn stop(&self, id: &ContainerId, grace_seconds: u32) -> Result<Effect> {
        let grace = Duration::from_secs(u64::from(grace_seconds));
        match self.plain(|world| world.begin_stop(Actor::Daemon, id.as_str(), grace)).await? {
            Pending::Already => Ok(Effect::Already),
            Pending::Until(due) => self.wait_until(due, grace + DEADLINE).await.map(|()| Effect::Done),
        }
    }

    async fn remove(&self, id: &ContainerId) -> Result<Effect> {
        match self.plain(|world| world.begin_remove(Actor::Daemon, id.as_str())).await? {
            Pending::Already => Ok(Effect::Already),
            Pending::Until(due) => {
                self.wait_until(due, DEADLINE).await?;
                match self.docker.container(id.as_str()) {
                    Some(left) if left.state == ContainerState::Dead => Err(error(
                        ErrorKind::Retryable,
                        format!("container {id}: driver failed to remove root filesystem: device or resource busy"),
                    )),
                    _ => Ok(Effect::Done),
                }
            }
        }
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.plain(|world| world.rename(Actor::Daemon, id.as_str(), name)).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<Effect> {
        self.plain(|world| world.unpause(Actor::Daemon, id.as_str())).await
    }

    async fn update(&self, id: &ContainerId, limits: Limits, restart: RestartPolicy) -> Result<()> {
        self.plain(|world| world.update(Actor::Daemon, id.as_str(), Update::all(limits, restart))).await
    }

    async fn connect(&self, id: &ContainerId, network: &str, address: Option<Ipv4Addr>) -> Result<()> {
        self.plain(|world| world.connect(Actor::Daemon, id.as_str(), network, address)).await.map(|_| ())
    }

    async fn logs(&self, id: &ContainerId, tail: u32, follow: Follow) -> Result<BoxStream<'static, Result<LogLine>>> {
        let first = self
            .plain(|world| {
                let id = world.resolve_or_error(id.as_str())?;
                let length = world.containers[&id].log.len();
                Ok(length.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX)))
            })
            .await?;
        let state = (self.docker.clone(), id.clone(), first);
        Ok(stream::unfold(state, move |(docker, id, at)| async move {
            let line = next_line(&docker, &id, at, follow).await?;
            Some((Ok(line), (docker, id, at + 1)))
        })
        .boxed())
    }

    async fn image(&self, reference: &str) -> Result<Option<ObservedImage>> {
        self.plain(|world| Ok(world.images.observed(reference))).await
    }

    async fn build(&self, spec: &BuildSpec, context: Vec<u8>) -> Result<BoxStream<'static, Result<BuildEvent>>> {
        let (script, incarnation) = self
            .plain(|world| {
                world.images.builds_started += 1;
                Ok((world.images.script.clone(), world.incarnation))
            })
            .await?;
        // The one instruction that the conformance suite lets fail, found in the context's bytes.
        let script = match failing_instruction(&context) {
            Some(code) => BuildScript::Fails {
                steps: 2,
                each: Duration::from_millis(10),
                text: format!("The command '/bin/sh -c exit {code}' returned a non-zero code: {code}"),
            },
            None => script,
        };
        let build = Build { engine: self.clone(), spec: spec.clone(), context, script, incarnation, step: 0 };
        Ok(stream::unfold(Some(build), |build| async move { build?.next().await }).boxed())
    }

    async fn network(&self, name: &str) -> Result<Option<ObservedNetwork>> {
        self.plain(|world| Ok(world.network(name))).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.plain(|world| world.create_network(Actor::Daemon, spec)).await
    }

    async fn remove_network(&self, id: &str) -> Result<Effect> {
        self.plain(|world| world.remove_network(Actor::Daemon, id)).await
    }

    async fn events(&self, since_nanos: Option<i64>) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        let subscription =
            self.plain(|world| Ok(events::Subscription::new(self.docker.clone(), world, since_nanos))).await?;
        Ok(subscription.into_stream())
    }
}

/// The code of a `RUN exit N` in a build context.
fn failing_instruction(context: &[u8]) -> Option<u8> {
    const INSTRUCTION: &[u8] = b"RUN exit ";
    let at = context.windows(INSTRUCTION.len()).position(|window| window == INSTRUCTION)?;
    let digit = context.get(at + INSTRUCTION.len())?;
    digit.checked_sub(b'0').filter(|code| (1..=9).contains(code))
}

/// The log line at that place, once it is there; `None` when none will come.
async fn next_line(docker: &SimDocker, id: &ContainerId, at: usize, follow: Follow) -> Option<LogLine> {
    loop {
        let changed = docker.shared.changed.notified();
        tokio::pin!(changed);
        // Before looking, so that what happens between the look and the wait still wakes.
        changed.as_mut().enable();
        let (line, running, deadline) = docker.look(|world| {
            let container = world.containers.get(id)?;
            Some((container.log.get(at).cloned(), container.counts_as_running(), world.next_deadline()))
        })?;
        if line.is_some() || follow == Follow::No || !running {
            return line;
        }
        events::wait(changed, deadline).await;
    }
}

/// A build in progress. Docker's classic builder stops between steps when its caller goes away, and so does this one:
/// it only moves while its stream is asked.
struct Build {
    engine: SimEngine,
    spec: BuildSpec,
    context: Vec<u8>,
    script: BuildScript,
    incarnation: u64,
    step: u32,
}

impl Build {
    /// The next event, and the build to go on with.
    async fn next(mut self) -> Option<(Result<BuildEvent>, Option<Self>)> {
        let (steps, each) = match &self.script {
            BuildScript::Succeeds { steps, each, .. } | BuildScript::Fails { steps, each, .. } => (*steps, *each),
            BuildScript::Hangs => (1, Duration::ZERO),
        };
        if !each.is_zero() {
            tokio::time::sleep(each).await;
        }
        if let Err(gone) = self.engine.still_connected(self.incarnation).await {
            return Some((Err(gone), None));
        }
        if self.step < steps {
            self.step += 1;
            let text = format!("Step {}/{steps} : RUN something", self.step);
            return Some((Ok(BuildEvent::Output(text)), Some(self)));
        }
        match &self.script {
            BuildScript::Succeeds { behaviour, .. } => {
                let id = self.engine.docker.with(|world| world.finish_build(&self.spec, &self.context, *behaviour));
                Some((Ok(BuildEvent::Built(id)), None))
            }
            BuildScript::Fails { text, .. } => Some((Err(error(ErrorKind::Terminal, text.clone())), None)),
            BuildScript::Hangs => {
                // The engine's own deadline for builds.
                tokio::time::sleep(Duration::from_secs(30 * 60)).await;
                Some((Err(unreachable()), None))
            }
        }
    }
}
