//! The parts of the program that the command line uses but does not own.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};

use crate::cli::{Backend, Preview, PreviewStep, manifests};
use crate::controller::preview;
use crate::desired::marker;
use crate::engine::docker::{DockerEngine, DockerHost};
use crate::memory;
use crate::model::{AppKey, InstanceId, Quotas, Settings};
use crate::serve::{World, serve};
use crate::settings::SettingsSource;
use crate::sockets::PassedSockets;
use crate::store::{AccountStore as _, Store as _};

/// Worker threads of the daemon: it waits far more than it computes.
const WORKERS: usize = 2;

/// What a daemon that stops gives to work on files and the database that has begun.
const LAST_WORK: std::time::Duration = std::time::Duration::from_secs(1);

/// The real backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Daemon;

impl Backend for Daemon {
    type Engine = DockerEngine;

    fn serve(&self, source: SettingsSource) -> Result<()> {
        // Before the runtime, whose threads would have to share the environment.
        let sockets = PassedSockets::take()?;
        memory::begin_small();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            // Folder and database work is short and rare; many idle threads would only cost stacks.
            .max_blocking_threads(8)
            .thread_stack_size(1 << 20)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let served = runtime.block_on(serve(source, sockets));
        // A folder on a dead network disk is read for ever; whoever stops the daemon does not wait for it.
        runtime.shutdown_timeout(LAST_WORK);
        served
    }

    fn engine(&self) -> Result<DockerEngine> {
        let host = DockerHost::parse(&std::env::var("DOCKER_HOST").unwrap_or_default())?;
        Ok(DockerEngine::new(host)?)
    }

    async fn preview(&self, settings: &Settings) -> Result<Preview> {
        if !settings.portal_db_path.exists() {
            return Err(manifests::no_database(settings));
        }
        let world = World::open(settings)?;
        let instance = match world.store.instance().await? {
            Some(instance) => instance,
            None => marker::read(&settings.manifests_dir).map_err(|error| anyhow!("the manifests folder {error}"))?,
        };
        let (settings, quotas) = (Arc::new(settings.clone()), world.store.quotas().await?);
        plan(&world, settings, &quotas, &instance, None).await.map_err(|message| anyhow!(message))
    }
}

/// What the daemon would do, in the words of the plan.
pub(crate) async fn plan(
    world: &World,
    settings: Arc<Settings>,
    quotas: &Quotas,
    instance: &InstanceId,
    only: Option<&AppKey>,
) -> Result<Preview, String> {
    let found = preview::preview(world, settings, quotas, instance, only).await?;
    let missing = |action| PreviewStep { app: None, action, cause: "it is missing".to_owned() };
    let shared = found.shared.into_iter().map(missing);
    let steps = found.plans.into_iter().flat_map(|plan| {
        let app = plan.app;
        plan.steps.into_iter().map(move |step| PreviewStep {
            app: Some(app.clone()),
            action: step.to_string(),
            cause: step.cause.to_string(),
        })
    });
    let notes = found.notes.into_iter().map(|(app, cause)| PreviewStep {
        app: Some(app),
        action: "leave as it is".to_owned(),
        cause,
    });
    let is_wanted = |note: &PreviewStep| only.is_none_or(|only| note.app.as_ref() == Some(only));
    Ok(Preview { steps: shared.chain(steps).collect(), notes: notes.filter(is_wanted).collect() })
}
