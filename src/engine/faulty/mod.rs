//! Faults on demand. The [`Injector`] counts calls over all seams of a run and injects a fault into the chosen one; here is its
//! decorator for the engine, `testing::faulty` has those for folders, store and manifests.

mod fault;
mod injector;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::{
    BuildEvent, BuildSpec, Effect, Engine, EngineError, EngineEvent, ErrorKind, Follow, ListFilter, LogLine,
    NetworkSpec, Result,
};
use crate::model::observed::{ContainerSummary, EngineInfo};
use crate::model::{
    ContainerId, ContainerSpec, Limits, ObservedContainer, ObservedImage, ObservedNetwork, RestartPolicy,
};

pub use fault::{CallFault, CallKind, CallRecord};
pub use injector::{Gap, Injector, Life, Scope, Verdict, guard};

/// [`Engine`] around another one, with faults.
#[derive(Debug)]
pub struct FaultyEngine<E> {
    inner: E,
    life: Life,
    /// What each list answered last, for the stale ones.
    lists: Mutex<BTreeMap<BTreeMap<String, String>, Vec<ContainerSummary>>>,
}

impl<E: Engine> FaultyEngine<E> {
    pub fn new(inner: E, life: Life) -> Self {
        Self { inner, life, lists: Mutex::default() }
    }

    async fn read<T>(&self, point: &'static str, object: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        guard(&self.life, point, object, CallKind::Read, call, |kind| Err(injected(point, kind))).await
    }

    async fn write<T>(&self, point: &'static str, object: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        guard(&self.life, point, object, CallKind::Write, call, |kind| Err(injected(point, kind))).await
    }
}

fn injected(point: &str, kind: ErrorKind) -> EngineError {
    EngineError::new(kind, format!("{point}: injected fault"))
}

impl<E: Engine> Engine for FaultyEngine<E> {
    async fn info(&self) -> Result<EngineInfo> {
        self.read("engine.info", "", self.inner.info()).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<ContainerSummary>> {
        let verdict = self.life.step("engine.list", "", CallKind::Read).await;
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Fail(kind) => return Err(injected("engine.list", kind)),
            Verdict::Stale => {
                // Before the first answer there is nothing to be stale with.
                let previous = lists().get(&filter.labels).cloned();
                if let Some(previous) = previous {
                    return Ok(previous);
                }
            }
            Verdict::Pass | Verdict::DieAfter | Verdict::LoseAnswer => {}
        }
        let answer = self.inner.list(filter).await;
        self.life.settle().await;
        if let Ok(list) = &answer
            && self.life.remembers()
        {
            lists().insert(filter.labels.clone(), list.clone());
        }
        answer
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ObservedContainer>> {
        self.read("engine.inspect", id_or_name, self.inner.inspect(id_or_name)).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        self.write("engine.create", &spec.name, self.inner.create(spec)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Effect> {
        self.write("engine.start", id.short(), self.inner.start(id)).await
    }

    async fn stop(&self, id: &ContainerId, grace_seconds: u32) -> Result<Effect> {
        self.write("engine.stop", id.short(), self.inner.stop(id, grace_seconds)).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<Effect> {
        self.write("engine.remove", id.short(), self.inner.remove(id)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.write("engine.rename", name, self.inner.rename(id, name)).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<Effect> {
        self.write("engine.unpause", id.short(), self.inner.unpause(id)).await
    }

    async fn update(&self, id: &ContainerId, limits: Limits, restart: RestartPolicy) -> Result<()> {
        self.write("engine.update", id.short(), self.inner.update(id, limits, restart)).await
    }

    async fn connect(&self, id: &ContainerId, network: &str, address: Option<Ipv4Addr>) -> Result<()> {
        self.write("engine.connect", id.short(), self.inner.connect(id, network, address)).await
    }

    async fn logs(&self, id: &ContainerId, tail: u32, follow: Follow) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.read("engine.logs", id.short(), self.inner.logs(id, tail, follow)).await
    }

    async fn image(&self, reference: &str) -> Result<Option<ObservedImage>> {
        self.read("engine.image", reference, self.inner.image(reference)).await
    }

    /// The build's steps are places to crash at as well: a build is the longest call there is.
    async fn build(&self, spec: &BuildSpec, context: Vec<u8>) -> Result<BoxStream<'static, Result<BuildEvent>>> {
        let steps = self.write("engine.build", &spec.tag, self.inner.build(spec, context)).await?;
        let life = self.life.clone();
        Ok(stream::unfold((steps, life), |(mut steps, life)| async move {
            let verdict = life.step("engine.build/step", "", CallKind::Inner).await;
            let event = steps.next().await;
            if verdict == Verdict::DieAfter {
                life.die().await;
            }
            let event = event?;
            Some((event, (steps, life)))
        })
        .boxed())
    }

    async fn network(&self, name: &str) -> Result<Option<ObservedNetwork>> {
        self.read("engine.network", name, self.inner.network(name)).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.write("engine.create_network", &spec.name, self.inner.create_network(spec)).await
    }

    async fn remove_network(&self, id: &str) -> Result<Effect> {
        self.write("engine.remove_network", id, self.inner.remove_network(id)).await
    }

    async fn events(&self, since_nanos: Option<i64>) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        self.read("engine.events", "", self.inner.events(since_nanos)).await
    }
}
