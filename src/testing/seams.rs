//! The controller's whole outside world in memory, for one life of the daemon.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::clock::SimClock;
use super::faulty::{FaultyFolders, FaultyManifests, FaultyStore};
use super::folders::{FolderWorld, MemFolders, MemHistory};
use super::manifests::ManifestWorld;
use super::previews::MemPreviews;
use super::store::MemStore;
use super::visitors::SimVisitors;
use crate::controller::{Gauge, Prober, RuntimeContext, RuntimeSource, Seams, SettingsNews};
use crate::desired::Manifests;
use crate::engine::faulty::{FaultyEngine, Injector, Life};
use crate::engine::sim::{SimConfig, SimDocker, SimEngine};
use crate::folders::Folders;
use crate::model::memory::MemoryReading;
use crate::model::status::Endpoint;
use crate::model::{
    Bytes, ContainerId, Digest, InstanceId, ObservedContainer, Settings, Template, TemplateId, TemplateRestart,
};
use crate::store::Store;

/// The template that apps of a simulated world are usually made from.
#[must_use]
#[expect(clippy::unwrap_used, reason = "the id is a constant")]
pub fn diary() -> Template {
    Template {
        id: TemplateId::parse("diary-v1").unwrap(),
        name: "diary".to_owned(),
        description: String::new(),
        version: "1".to_owned(),
        supports_api: true,
        internal_port: 3000,
        health_path: Some("/healthz".to_owned()),
        start_timeout: None,
        restart: TemplateRestart::default(),
        visitors: None,
        sleep: None,
    }
}

/// Everything that outlives the daemon. Cheap to clone; all clones are one world.
#[derive(Debug, Clone)]
pub struct World {
    pub docker: SimDocker,
    pub folders: FolderWorld,
    pub manifests: ManifestWorld,
    pub store: MemStore,
    pub runtime: RuntimeFolder,
    pub clock: SimClock,
    pub injector: Injector,
    pub instance: InstanceId,
    /// Who still answers visitors: nobody, unless a test says so.
    pub visitors: SimVisitors,
    /// What `.env` says.
    pub settings_tx: Arc<watch::Sender<SettingsNews>>,
}

impl World {
    /// An installation that was just set up: a marker, no apps, no image, an engine without containers. Mounts of folders
    /// that are not there fail as on Docker.
    ///
    /// # Panics
    /// Never: the instance id is well-formed.
    #[must_use]
    pub fn new(config: SimConfig, injector: Injector) -> Self {
        let docker = SimDocker::new(config);
        let clock = SimClock::of(&docker);
        let instance = InstanceId::parse("00c0ffee00c0ffee").expect("16 lower-case hex digits");
        let present = FolderWorld::new("/paas");
        // Only one of both knows the other: they go when the world does.
        let folders = present.clone().mounted_by(&docker);
        docker.check_paths(move |path| present.exists(path));
        Self {
            manifests: ManifestWorld::new(instance.clone(), clock.clone()),
            store: MemStore::default(),
            runtime: RuntimeFolder::default(),
            folders,
            docker,
            clock,
            injector,
            instance,
            visitors: SimVisitors::default(),
            settings_tx: Arc::new(watch::Sender::new(SettingsNews {
                settings: Arc::new(Settings::defaults("/paas")),
                quotas: Arc::default(),
                problems: Vec::new(),
                restart_required: Vec::new(),
            })),
        }
    }

    /// Edits `.env`.
    pub fn edit_settings(&self, edit: impl FnOnce(&mut Settings)) {
        self.settings_tx.send_modify(|news| edit(Arc::make_mut(&mut news.settings)));
    }

    /// Puts a template there, usable, under `templates/`.
    pub fn add_template(&self, template: Template) {
        self.folders.add_template(template.id.clone());
        self.manifests.put_template(template.id.clone(), Ok(template));
    }

    /// Takes a template away again.
    pub fn remove_template(&self, id: &TemplateId) {
        self.folders.remove_template(id);
        self.manifests.remove_template(id);
    }

    /// The seams for the next life of the daemon; the one before is over.
    #[must_use]
    pub fn seams(&self) -> SimSeams {
        let life = self.injector.life();
        self.visitors.begin();
        SimSeams {
            engine: Arc::new(FaultyEngine::new(self.docker.engine(), life.clone())),
            store: FaultyStore::new(self.store.clone(), life.clone()),
            history: self.folders.history(life.clone()),
            previews: self.folders.previews(life.clone()),
            folders: FaultyFolders::new(self.folders.folders(life.clone()), life.clone()),
            manifests: FaultyManifests::new(self.manifests.clone(), life.clone()),
            prober: SimProber { docker: self.docker.clone() },
            drain: self.visitors.clone(),
            gauge: SimGauge { docker: self.docker.clone() },
            runtime: self.runtime.clone(),
            clock: self.clock.clone(),
            life,
        }
    }
}

/// [`Seams`] over a [`World`], of which a test may make single ones real.
#[derive(Debug)]
pub struct SimSeams<S = FaultyStore<MemStore>, F = FaultyFolders<MemFolders>, M = FaultyManifests<ManifestWorld>> {
    /// Shared with the subscription to its events.
    pub engine: Arc<FaultyEngine<SimEngine>>,
    store: S,
    folders: F,
    history: MemHistory,
    previews: MemPreviews,
    manifests: M,
    prober: SimProber,
    drain: SimVisitors,
    gauge: SimGauge,
    runtime: RuntimeFolder,
    clock: SimClock,
    /// Ends when the injector lets the daemon crash: whoever runs it then drops it.
    pub life: Life,
}

impl<S, F, M> SimSeams<S, F, M> {
    /// The same with this folder of manifests.
    pub fn with_manifests<N>(self, manifests: N) -> SimSeams<S, F, N> {
        let Self {
            engine,
            store,
            folders,
            history,
            previews,
            manifests: _,
            prober,
            drain,
            gauge,
            runtime,
            clock,
            life,
        } = self;
        SimSeams { engine, store, folders, history, previews, manifests, prober, drain, gauge, runtime, clock, life }
    }

    /// The same with this database and these folders.
    pub fn with_disk<T, G>(self, store: T, folders: G) -> SimSeams<T, G, M> {
        let Self {
            engine,
            store: _,
            folders: _,
            history,
            previews,
            manifests,
            prober,
            drain,
            gauge,
            runtime,
            clock,
            life,
        } = self;
        SimSeams { engine, store, folders, history, previews, manifests, prober, drain, gauge, runtime, clock, life }
    }
}

impl<S: Store, F: Folders, M: Manifests> Seams for SimSeams<S, F, M> {
    type Engine = FaultyEngine<SimEngine>;
    type Store = S;
    type Folders = F;
    type History = MemHistory;
    type Previews = MemPreviews;
    type Manifests = M;
    type Prober = SimProber;
    type Drain = SimVisitors;
    type Gauge = SimGauge;
    type Runtime = RuntimeFolder;
    type Clock = SimClock;

    fn engine(&self) -> &Self::Engine {
        &self.engine
    }
    fn store(&self) -> &Self::Store {
        &self.store
    }
    fn folders(&self) -> &Self::Folders {
        &self.folders
    }
    fn history(&self) -> &Self::History {
        &self.history
    }
    fn previews(&self) -> &Self::Previews {
        &self.previews
    }
    fn manifests(&self) -> &Self::Manifests {
        &self.manifests
    }
    fn prober(&self) -> &Self::Prober {
        &self.prober
    }
    fn drain(&self) -> &Self::Drain {
        &self.drain
    }
    fn gauge(&self) -> &Self::Gauge {
        &self.gauge
    }
    fn runtime(&self) -> &Self::Runtime {
        &self.runtime
    }
    fn clock(&self) -> &Self::Clock {
        &self.clock
    }
}

/// Asks the simulated process behind an address.
#[derive(Debug, Clone)]
pub struct SimProber {
    docker: SimDocker,
}

impl Prober for SimProber {
    async fn probe(&self, endpoint: &Endpoint, _path: Option<&str>) -> Result<(), String> {
        self.docker.answers(endpoint.ip, endpoint.port)
    }

    async fn listening(&self, container: &ObservedContainer) -> Option<Vec<SocketAddr>> {
        self.docker.listening(container.id.as_str())
    }
}

/// Reads the simulated machine's memory.
#[derive(Debug, Clone)]
pub struct SimGauge {
    docker: SimDocker,
}

impl Gauge for SimGauge {
    fn memory(&self) -> Option<MemoryReading> {
        self.docker.memory()
    }

    fn used_by(&self, container: &ContainerId) -> Option<Bytes> {
        self.docker.used_by(container)
    }
}

/// `runtime/`: a Dockerfile in memory.
#[derive(Debug, Clone)]
pub struct RuntimeFolder {
    content_tx: Arc<watch::Sender<Result<String, String>>>,
}

impl Default for RuntimeFolder {
    fn default() -> Self {
        Self { content_tx: Arc::new(watch::Sender::new(Ok("FROM node:24-alpine\n".to_owned()))) }
    }
}

impl RuntimeFolder {
    /// Changes the Dockerfile, or says why the folder cannot be read.
    pub fn set(&self, content: Result<&str, &str>) {
        self.content_tx.send_replace(content.map(str::to_owned).map_err(str::to_owned)).ok();
    }

    /// What a file watcher would report.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Result<String, String>> {
        self.content_tx.subscribe()
    }
}

impl RuntimeSource for RuntimeFolder {
    async fn context(&self) -> Result<RuntimeContext, String> {
        let tar = self.content_tx.borrow().clone()?.into_bytes();
        Ok(RuntimeContext { digest: Digest::of(&tar), tar })
    }
}
