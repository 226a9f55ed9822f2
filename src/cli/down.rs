//! `paas down`: removes every container of this installation, and nothing else.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};

use anyhow::Context as _;
use futures_util::{StreamExt, stream};

use super::args::Yes;
use super::backend::Backend;
use super::context::Context;
use super::exit::Exit;
use super::manifests;
use crate::engine::{Engine, ListFilter};
use crate::folders::{LockError, RootLock};
use crate::model::spec::STOP_GRACE_SECONDS;
use crate::model::{AppKey, ContainerId, InstanceId, Ownership, labels};

/// Containers stopped at a time: each may use up its grace.
const PARALLEL: usize = 8;

const RUNNING: &str = "the daemon is running and would put the containers back at once: stop it first, or stop single \
                       apps with `paas stop APP`";

pub(super) async fn run<B: Backend>(context: &mut Context, args: &Yes, backend: &B) -> anyhow::Result<Exit> {
    let client = context.client()?;
    if client.is_running().await {
        anyhow::bail!(RUNNING);
    }
    // A daemon that is just starting or ending has no socket, but the lock. Kept, so that none begins meanwhile.
    let _lock = match RootLock::acquire(&context.settings()?.root) {
        Err(LockError::Held { .. }) => anyhow::bail!(RUNNING),
        lock => lock?,
    };
    let instance = manifests::instance(context.settings()?)?;
    let engine = backend.engine()?;
    engine.info().await.context("cannot ask Docker")?;
    let found = owned(&engine, &instance).await.context("cannot list the containers")?;
    if found.is_empty() {
        context.out.line("no container of this installation is there")?;
        return Ok(Exit::Done);
    }
    if !args.yes && !agreed(context, found.len())? {
        context.err.note("nothing was changed");
        return Ok(Exit::Failed);
    }
    let mut results = stream::iter(found)
        .map(|(name, id)| {
            let (engine, instance) = (&engine, &instance);
            async move { (name, remove(engine, instance, &id).await) }
        })
        .buffer_unordered(PARALLEL);
    let mut exit = Exit::Done;
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(Removal::Removed(app)) => context.out.line(format_args!("{app}: removed {name}"))?,
            Ok(Removal::NotOurs) => context.out.line(format_args!("{name}: left alone, it is not ours any more"))?,
            Err(error) => {
                exit = Exit::Failed;
                context.err.error(&anyhow::Error::from(error).context(format!("{name} could not be removed")));
            }
        }
    }
    context.out.line("files and data are untouched; `paas serve` brings the apps back")?;
    Ok(exit)
}

fn agreed(context: &mut Context, count: usize) -> anyhow::Result<bool> {
    may_ask(io::stdin().is_terminal(), count)?;
    context.err.note(format_args!("This removes {count} containers; files and data stay. Go on? [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A script that forgot to say what it wants must not take everything down.
fn may_ask(terminal: bool, count: usize) -> anyhow::Result<()> {
    if terminal {
        return Ok(());
    }
    anyhow::bail!(
        "this would remove {count} containers, and there is no terminal to ask: say so with `paas down --yes`; files and data \
         stay either way"
    )
}

/// Names and ids of the containers that carry our labels.
async fn owned<E: Engine>(engine: &E, instance: &InstanceId) -> crate::engine::Result<Vec<(String, ContainerId)>> {
    let found = engine.list(&ListFilter::of_instance(instance)).await?.into_iter();
    let ours = found.filter(|container| app_of(&container.labels, instance).is_some());
    Ok(ours.map(|container| (container.name, container.id)).collect())
}

/// The app that a container of ours is of, or shows to its owner besides.
fn app_of(labels: &BTreeMap<String, String>, instance: &InstanceId) -> Option<AppKey> {
    match Ownership::of(labels, instance) {
        Ownership::Owned(app) => Some(app),
        Ownership::Foreign => labels::preview_of(labels, instance).map(|(app, _)| app),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Removal {
    Removed(AppKey),
    NotOurs,
}

/// Looks again by id right before: the list may be older than somebody's change.
async fn remove<E: Engine>(engine: &E, instance: &InstanceId, id: &ContainerId) -> crate::engine::Result<Removal> {
    let Some(container) = engine.inspect(id.as_str()).await? else { return Ok(Removal::NotOurs) };
    let Some(app) = app_of(&container.labels, instance) else { return Ok(Removal::NotOurs) };
    engine.stop(&container.id, STOP_GRACE_SECONDS).await?;
    engine.remove(&container.id).await?;
    Ok(Removal::Removed(app))
}

#[cfg(test)]
mod tests;
