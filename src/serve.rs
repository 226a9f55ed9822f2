//! `paas serve`: everything wired together. Each task is owned by one tracker, and each ends when the token is cancelled.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Accounts, FIRST_USER, SiteAccess};
use crate::backend;
use crate::backup::{self, BackupHandle, Backups};
use crate::clock::{Clock, SystemClock};
use crate::confined::Confined;
use crate::controller::network;
use crate::controller::probe::HttpProber;
use crate::controller::{
    Config, Controller, ControllerHandle, Drain, Input, LastVisit, LogReader, LogStream, Seams, SettingsNews, did,
};
use crate::desired::{Changed, ManifestFolder, WatchPaths};
use crate::drafts::Drafts;
use crate::engine::docker::{Deadlines, DockerEngine, DockerHost};
use crate::engine::{Engine, EngineError, Follow, events};
use crate::folders::{DiskFolders, RootLock};
use crate::gateway::{Gateway, GatewayConfig, PortalNames, Presence, TrafficStats, Tuning};
use crate::history::{Author, Authors, GitHistory, Recorder};
use crate::log;
use crate::machine::KernelGauge;
use crate::memory;
use crate::metrics::Metrics;
use crate::model::{
    AppKey, ContainerId, DaemonStatus, EventKind, InstanceId, Quotas, Routing, Settings, Subnet, Timestamp,
};
use crate::npm::{self, HttpWire};
use crate::portal::plan::{PlanView, Planner};
use crate::portal::{PortalState, SiteGate, TcpDoor, UnixDoor, router};
use crate::previews::DiskPreviews;
use crate::runtime::RuntimeFolder;
use crate::service;
use crate::settings::{self, SettingsSource, SettingsState};
use crate::setup;
use crate::sockets::PassedSockets;
use crate::store::{SqliteStore, Store as _};
use crate::usage::{Usage, cgroup};
use crate::visits::Visits;

/// How long a stop waits for running requests before it ends them.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// How long visitors wait at the start for the first look at every app. Without it they would be told that their app does
/// not exist; with a Docker that hangs they are told so in the end.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How often the daemon looks whether its database is still there.
const LOOK_AT_DATABASE: Duration = Duration::from_secs(30);

/// The real world.
#[derive(Debug)]
pub struct World {
    pub engine: Arc<DockerEngine>,
    pub store: SqliteStore,
    pub folders: DiskFolders,
    pub backups: Backups,
    pub history: GitHistory,
    pub previews: DiskPreviews,
    pub manifests: ManifestFolder,
    pub runtime: RuntimeFolder,
    pub prober: HttpProber,
    pub visitors: Visitors,
    pub groups: Arc<cgroup::Groups>,
    pub gauge: KernelGauge,
    pub clock: SystemClock,
    pub metrics: Metrics,
}

impl Seams for World {
    type Engine = DockerEngine;
    type Store = SqliteStore;
    type Folders = DiskFolders;
    type History = GitHistory;
    type Previews = DiskPreviews;
    type Manifests = ManifestFolder;
    type Prober = HttpProber;
    type Drain = Visitors;
    type Gauge = KernelGauge;
    type Runtime = RuntimeFolder;
    type Clock = SystemClock;

    fn engine(&self) -> &DockerEngine {
        &self.engine
    }
    fn store(&self) -> &SqliteStore {
        &self.store
    }
    fn folders(&self) -> &DiskFolders {
        &self.folders
    }
    fn history(&self) -> &GitHistory {
        &self.history
    }
    fn previews(&self) -> &DiskPreviews {
        &self.previews
    }
    fn manifests(&self) -> &ManifestFolder {
        &self.manifests
    }
    fn prober(&self) -> &HttpProber {
        &self.prober
    }
    fn drain(&self) -> &Visitors {
        &self.visitors
    }
    fn gauge(&self) -> &KernelGauge {
        &self.gauge
    }
    fn runtime(&self) -> &RuntimeFolder {
        &self.runtime
    }
    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}

impl World {
    /// Opens everything below the root of these settings.
    ///
    /// # Errors
    /// What cannot be opened, and the remedy.
    pub fn open(settings: &Settings) -> Result<Self> {
        let now = Arc::new(|| SystemClock.now());
        let metrics = Metrics::default();
        let folders = DiskFolders::of(settings)?;
        let backups = Backups::open(settings, folders.clone(), Confined::default())?;
        let host = DockerHost::parse(&std::env::var("DOCKER_HOST").unwrap_or_default())?;
        let history = GitHistory::new(folders.clone());
        let groups = Arc::new(cgroup::Groups::new(cgroup::ROOT.into()));
        Ok(Self {
            gauge: KernelGauge::open(Path::new("/proc"), Arc::clone(&groups)),
            groups,
            engine: Arc::new(DockerEngine::measured(host, Deadlines::default(), metrics.clone())?),
            metrics,
            store: SqliteStore::open(&settings.portal_db_path)?,
            previews: DiskPreviews::new(folders.clone(), history.clone(), Confined::default()),
            history,
            folders: folders.guarded(Arc::new(backups.clone())),
            backups,
            manifests: ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now),
            runtime: RuntimeFolder::new(settings.runtime_dir(), settings.image_log()),
            prober: HttpProber,
            visitors: Visitors::default(),
            clock: SystemClock,
        })
    }
}

/// Who still answers visitors, as the gateway knows. Without one nobody knows, and nothing waits.
#[derive(Debug, Default)]
pub struct Visitors(OnceLock<Gateway>);

impl Drain for Visitors {
    fn is_busy(&self, container: &ContainerId) -> bool {
        self.0.get().is_some_and(|gateway| gateway.is_busy(container))
    }

    fn last_visit(&self, app: &AppKey) -> LastVisit {
        match self.0.get().map(|gateway| gateway.presence(app)) {
            None | Some(Presence::Never) => LastVisit::Never,
            Some(Presence::Until(at)) => LastVisit::At(at),
            Some(Presence::Now) => LastVisit::Now,
        }
    }

    fn last_used(&self, container: &ContainerId) -> Option<Duration> {
        self.0.get()?.last_used(container)
    }
}

/// Who changed which manifest, as the event log tells it.
#[derive(Debug)]
struct EventAuthors(SqliteStore);

impl Authors for EventAuthors {
    fn last_until<'a>(
        &'a self,
        key: &'a AppKey,
        at: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Option<Author>> + Send + 'a>> {
        /// The file is read before its version is taken, and the clocks of a file system are coarse.
        const COARSE_MS: i64 = 100;
        Box::pin(async move {
            let events = self.0.events(Some(key), 200).await.ok()?;
            let mut changes = events.into_iter().filter(|event| event.kind == EventKind::Changed);
            let last = changes.find(|event| event.at.0 <= at.0 + COARSE_MS)?;
            Some(Author { did: did(&last.what), by: last.cause.0 })
        })
    }
}

/// Reads app logs for those who may not know the engine.
#[derive(Debug)]
pub struct EngineLogs<E>(pub Arc<E>);

impl<E: Engine> LogReader for EngineLogs<E> {
    fn logs(
        &self,
        container: ContainerId,
        tail: u32,
        follow: Follow,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>> {
        let engine = Arc::clone(&self.0);
        Box::pin(async move { engine.logs(&container, tail, follow).await })
    }
}

/// Makes plans for whoever asks.
struct Plans {
    world: Arc<World>,
    instance: InstanceId,
    settings_rx: watch::Receiver<Arc<Settings>>,
    quotas_rx: watch::Receiver<Arc<Quotas>>,
}

impl Planner for Plans {
    fn plan(&self, app: Option<AppKey>) -> Pin<Box<dyn Future<Output = Result<PlanView, String>> + Send + '_>> {
        Box::pin(async move {
            let (settings, quotas) = (self.settings_rx.borrow().clone(), self.quotas_rx.borrow().clone());
            backend::plan(&self.world, settings, &quotas, &self.instance, app.as_ref()).await
        })
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the daemon cannot start; while it runs it reports instead of ending.
pub async fn serve(source: SettingsSource, mut sockets: PassedSockets) -> Result<()> {
    // From the first moment on, so that a stop during the start is an orderly one, too.
    let told_to_stop = told_to_stop()?;
    let settings = first_settings(&source)?;
    std::fs::create_dir_all(&settings.root)
        .with_context(|| format!("cannot make the root {}: set PAAS_ROOT, or run as root", settings.root.display()))?;
    if let Some(advice) = settings::advice(&settings, source.file()) {
        tracing::warn!("{advice}");
    }
    let _lock = RootLock::acquire(&settings.root)?;
    let world = Arc::new(World::open(&settings)?);
    let instance = setup::prepare(&settings, &world.store, setup::Asked::ByStart).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), root = %settings.root.display(), %instance, "starting");

    // Every door is opened before anything is done: a daemon that cannot be reached does not touch the apps either.
    let listener = sockets.gateway(&settings, source.file().to_owned()).await?;
    let portal_listener = sockets.portal(&settings, source.file().to_owned()).await?;
    let door = UnixDoor::bind(&settings.socket_path()).await?;

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (settings_rx, following) = settings::follow(source.clone(), settings.clone(), stop.clone());
    tasks.spawn(following);

    let instance_id = instance.to_string();
    let mut config = Config::new(instance.clone(), u64::from(std::process::id()) << 32 | 0x9e37);
    config.metrics = world.metrics.clone();
    config.avoid = host_routes().into();
    let first_look = config.first_look.clone();
    let state_rx = settings_rx;
    let settings_rx = only_settings(state_rx.clone(), &tasks, stop.clone());
    let accounts = Arc::new(accounts(&world.store, settings_rx.clone()).await?);
    let quotas_rx = accounts.quotas();
    let first_news = news(&state_rx.borrow(), &quotas_rx.borrow());
    let planner =
        Plans { world: Arc::clone(&world), instance, settings_rx: settings_rx.clone(), quotas_rx: quotas_rx.clone() };
    let (controller, ends) = Controller::new(Arc::clone(&world), config, first_news).await?;
    let logs = Arc::new(EngineLogs(Arc::clone(&world.engine)));
    let handle = ControllerHandle::new(ends.status_rx.clone(), ends.commands_tx, logs);
    tasks.spawn(service::keep_alive(handle.clone(), stop.clone()));
    tasks.spawn(memory::stay_small(stop.clone()));
    tasks.spawn(log::tell_what_was_left_out(stop.clone()));
    tasks.spawn(log::tell_troubles(ends.status_rx.clone(), stop.clone()));

    let (changes_rx, watching) = crate::desired::watch(WatchPaths::from(&settings), stop.clone());
    tasks.spawn(watching);
    let signals_rx = events::subscribe(Arc::clone(&world.engine), &tasks, stop.clone());
    tasks.spawn(watch_database(world.store.clone(), LOOK_AT_DATABASE, ends.inputs_tx.clone(), stop.clone()));
    let doubts_tx = ends.inputs_tx.clone();
    let proxy_inputs_tx = ends.inputs_tx.clone();
    tasks.spawn(bring_news((state_rx, quotas_rx), changes_rx, signals_rx, ends.inputs_tx, stop.clone()));

    let config_rx = gateway_config(settings_rx.clone(), ends.status_rx.clone(), &tasks, stop.clone());
    let store = Arc::new(world.store.clone());
    let sites = Arc::new(SiteAccess::new(store, &accounts, Arc::new(SystemClock), settings_rx.clone()));
    sites.refresh().await?;
    tasks.spawn(Arc::clone(&sites).keep_up(stop.clone()));
    // From here on nothing can keep the daemon from starting.
    tasks.spawn(controller.run(stop.clone()));
    look_after_npm(
        proxy_inputs_tx,
        (settings_rx.clone(), ends.status_rx.clone()),
        instance_id,
        first_look.clone(),
        &tasks,
        &stop,
    );

    let authors = Arc::new(EventAuthors(world.store.clone()));
    let (recorder, recorder_handle, recorded_rx) = Recorder::new(world.history.clone(), authors);
    tasks.spawn(recorder.run(ends.status_rx.clone(), stop.clone()));
    tasks.spawn(bring(recorded_rx, Input::Recorded, doubts_tx.clone(), stop.clone()));

    let backups = make_backups(&world, doubts_tx.clone(), settings_rx.clone(), &tasks, &stop);

    let events = Arc::new(world.store.clone());
    let traffic = listener.is_some().then(|| Arc::new(TrafficStats::default()));
    let beside = |name| settings.portal_db_path.with_file_name(name);
    let usage =
        Usage::new(beside("usage.ring"), Arc::clone(&world.groups), ends.status_rx.clone(), Arc::new(SystemClock));
    let usage = Arc::new(usage);
    tasks.spawn(Arc::clone(&usage).record(world.folders.clone(), stop.clone()));
    let visits = traffic.clone().map(|traffic| {
        let visits = Arc::new(Visits::open(beside("visits.json"), traffic, Arc::new(SystemClock)));
        tasks.spawn(Arc::clone(&visits).keep(stop.clone()));
        visits
    });
    let state = PortalState::new(handle, events, accounts, settings_rx, stop.clone())
        .measured(world.metrics.clone(), traffic.clone())
        .recorded(usage, visits)
        .operated(Arc::new(planner), source)
        .with_sites(Arc::clone(&sites))
        .with_history(recorder_handle)
        .with_drafts(Arc::new(Drafts::new(world.folders.clone(), Arc::new(SystemClock))))
        .with_backups(backups);
    let portal = router(state);
    if let Some((listener, traffic)) = listener.zip(traffic) {
        let (config_rx, portal) = (config_rx.clone(), portal.clone());
        let gateway = Gateway::counting(ends.status_rx, config_rx, Some(portal), tuning(), traffic)
            .gated(Arc::new(SiteGate(sites)));
        tasks.spawn(bring(gateway.doubts(), Input::Unanswered, doubts_tx.clone(), stop.clone()));
        tasks.spawn(bring(gateway.wakes(), Input::Wanted, doubts_tx, stop.clone()));
        // It is set once, here.
        let _ = world.visitors.0.set(gateway.clone());
        let (first_look, gateway_stop) = (first_look.clone(), stop.clone());
        tasks.spawn(async move {
            looked(&first_look, &gateway_stop).await;
            gateway.serve(listener, gateway_stop).await;
        });
    }
    tasks.spawn(TcpDoor::new(portal_listener, config_rx).serve(portal.clone(), stop.clone()));
    tasks.spawn(door.serve(portal, stop.clone()));
    let ready_stop = stop.clone();
    tasks.spawn(async move {
        looked(&first_look, &ready_stop).await;
        service::ready();
    });

    told_to_stop.await;
    tracing::info!("stopping; the apps keep running");
    service::stopping();
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    Ok(())
}

/// The ranges of addresses in use on this host; none where its routes cannot be read.
fn host_routes() -> Vec<Subnet> {
    std::fs::read_to_string("/proc/net/route").map(|table| network::routed(&table)).unwrap_or_default()
}

/// At its start the daemon has no last good settings to fall back to.
fn first_settings(source: &SettingsSource) -> Result<Settings> {
    let (settings, problems) = source.read();
    if problems.is_empty() {
        return Ok(settings);
    }
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    bail!("the settings cannot be used:\n  {}", lines.join("\n  "))
}

fn news(state: &SettingsState, quotas: &Arc<Quotas>) -> SettingsNews {
    SettingsNews {
        settings: Arc::clone(&state.settings),
        quotas: Arc::clone(quotas),
        problems: state.problems.iter().map(ToString::to_string).collect(),
        restart_required: state.restart_required.clone(),
    }
}

/// Carries what the watchers see to the controller.
async fn bring_news(
    (mut settings_rx, mut quotas_rx): (watch::Receiver<Arc<SettingsState>>, watch::Receiver<Arc<Quotas>>),
    mut changes_rx: mpsc::Receiver<Changed>,
    mut signals_rx: mpsc::Receiver<events::Signal>,
    inputs_tx: mpsc::Sender<Input>,
    stop: CancellationToken,
) {
    loop {
        // Cancel-safe: each receive takes an item only when it is returned.
        let input = tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = settings_rx.changed() => Input::Settings(news(&settings_rx.borrow_and_update(), &quotas_rx.borrow())),
            Ok(()) = quotas_rx.changed() => Input::Settings(news(&settings_rx.borrow(), &quotas_rx.borrow_and_update())),
            Some(change) = changes_rx.recv() => match change {
                Changed::Manifests | Changed::Templates => Input::Folders,
                Changed::Runtime => Input::Runtime,
            },
            Some(signal) = signals_rx.recv() => Input::Engine(signal),
            else => return,
        };
        if inputs_tx.send(input).await.is_err() {
            return;
        }
    }
}

/// Carries what others noticed about apps to the controller.
async fn bring<T>(
    mut apps_rx: mpsc::Receiver<T>,
    what: fn(T) -> Input,
    inputs_tx: mpsc::Sender<Input>,
    stop: CancellationToken,
) {
    loop {
        // Cancel-safe: an app is taken only when it is returned.
        let app = tokio::select! {
            () = stop.cancelled() => return,
            Some(app) = apps_rx.recv() => app,
            else => return,
        };
        if inputs_tx.send(what(app)).await.is_err() {
            return;
        }
    }
}

/// Tells the controller what becomes of the database, which may be for long without anybody needing it.
pub async fn watch_database(
    store: SqliteStore,
    every: Duration,
    inputs_tx: mpsc::Sender<Input>,
    stop: CancellationToken,
) {
    let mut trouble_rx = store.trouble();
    loop {
        // Cancel-safe: what changed meanwhile is seen by the next call.
        let changed = tokio::select! {
            () = stop.cancelled() => return,
            changed = trouble_rx.changed() => changed.is_ok(),
            () = tokio::time::sleep(every) => {
                // What it finds comes by the channel.
                let _ = store.look().await;
                continue;
            }
        };
        let trouble = trouble_rx.borrow_and_update().as_ref().map(ToString::to_string);
        if !changed || inputs_tx.send(Input::Database(trouble)).await.is_err() {
            return;
        }
    }
}

/// Keeps Nginx Proxy Manager as the settings say, and tells the controller of it.
fn look_after_npm(
    inputs_tx: mpsc::Sender<Input>,
    (settings_rx, status_rx): (watch::Receiver<Arc<Settings>>, watch::Receiver<Arc<DaemonStatus>>),
    instance: String,
    first_look: CancellationToken,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let (report_tx, mut report_rx) = watch::channel(None);
    let task = npm::Task {
        dial: Box::new(|npm| HttpWire::new(&npm.url)),
        clock: Arc::new(SystemClock),
        instance,
        here: Box::new(npm::here),
        settings_rx,
        status_rx,
        report_tx,
        first_look,
    };
    tasks.spawn(task.run(stop.clone()));
    tasks.spawn(async move {
        // Ends with the task above, which holds the other end.
        while report_rx.changed().await.is_ok() {
            let proxy = report_rx.borrow_and_update().clone();
            if inputs_tx.send(Input::Proxy(proxy)).await.is_err() {
                return;
            }
        }
    });
}

/// Starts the one that makes backups; what is known of them becomes a part of the status.
fn make_backups(
    world: &World,
    inputs_tx: mpsc::Sender<Input>,
    settings_rx: watch::Receiver<Arc<Settings>>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> BackupHandle {
    let (task, handle) = backup::Task::new(world.backups.clone(), world.store.clone(), SystemClock, settings_rx);
    let (waiting_tx, waiting_rx) = mpsc::channel(16);
    tasks.spawn(bring(waiting_rx, Input::DataWaits, inputs_tx.clone(), stop.clone()));
    let task = task.telling(waiting_tx);
    let mut report_rx = handle.report();
    tasks.spawn(task.run(stop.clone()));
    tasks.spawn(async move {
        // Ends with the task above, which holds the other end.
        while report_rx.changed().await.is_ok() {
            let report = report_rx.borrow_and_update().clone();
            if inputs_tx.send(Input::Backups(report)).await.is_err() {
                return;
            }
        }
    });
    handle
}

/// The settings alone, for those who need nothing else of their state.
fn only_settings(
    mut state_rx: watch::Receiver<Arc<SettingsState>>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> watch::Receiver<Arc<Settings>> {
    let (settings_tx, settings_rx) = watch::channel(Arc::clone(&state_rx.borrow_and_update().settings));
    tasks.spawn(async move {
        loop {
            // Cancel-safe: a change that is not taken is seen by the next call.
            tokio::select! {
                () = stop.cancelled() => return,
                changed = state_rx.changed() => if changed.is_err() { return },
            }
            settings_tx.send_replace(Arc::clone(&state_rx.borrow_and_update().settings));
        }
    });
    settings_rx
}

/// Until every app was looked at once, or there is no use in waiting any longer.
async fn looked(first_look: &CancellationToken, stop: &CancellationToken) {
    // Cancel-safe: tokens stay cancelled.
    tokio::select! {
        () = first_look.cancelled() => {}
        () = stop.cancelled() => {}
        () = tokio::time::sleep(FIRST_LOOK) => {
            tracing::warn!("not every app could be looked at in time: some are not routed yet");
        }
    }
}

/// Makes the first user where there is none, before anybody can ask for them.
async fn accounts(store: &SqliteStore, settings_rx: watch::Receiver<Arc<Settings>>) -> Result<Accounts> {
    let url = crate::gateway::portal_from_elsewhere(&settings_rx.borrow());
    let accounts = Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx);
    accounts.bootstrap().await.context("cannot make the portal's first user")?;
    if let Some(word) = accounts.first_word().await? {
        let word = word.reveal();
        tracing::warn!(
            "the portal's first user is `{FIRST_USER}` with the password `{FIRST_USER}` until that is changed, and does \
             nothing else: sign in on this machine, or at {url}/first#{word} from its private network, where it also takes \
             the first word {word}"
        );
    }
    Ok(accounts)
}

/// As many connections as there are descriptors for, after the limit was raised as far as this process may. A connection takes
/// two: the visitor's and the app's.
fn tuning() -> Tuning {
    use rustix::process::{Resource, getrlimit, setrlimit};
    const OTHERS: usize = 512;
    let mut limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    let files = limit.current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let tuning = Tuning::default();
    let max_connections = tuning.max_connections.min((files.saturating_sub(OTHERS) / 2).max(64));
    if max_connections < tuning.max_connections {
        tracing::warn!(
            max_connections,
            "few files may be open at a time, so the gateway has fewer places: raise LimitNOFILE to 16384"
        );
    }
    Tuning { max_connections, ..tuning }
}

/// What the gateway takes from the settings, and from what Docker tells of the apps' network, as they change.
fn gateway_config(
    mut settings_rx: watch::Receiver<Arc<Settings>>,
    mut status_rx: watch::Receiver<Arc<DaemonStatus>>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> watch::Receiver<Arc<GatewayConfig>> {
    let config = |settings: &Settings, status: &DaemonStatus| {
        // With direct routing the proxy itself is on that network.
        let apps = status.network_ranges.iter().filter(|_| settings.routing == Routing::Gateway);
        let apps = apps.filter_map(|range| range.parse().ok()).collect();
        let trusted_proxies = settings.trusted_proxies.clone();
        let portal = if settings.portal_on_gateway { PortalNames::ThePortal } else { PortalNames::Nothing };
        let tunnel_idle = settings.tunnel_idle;
        let portal_url = match portal {
            PortalNames::ThePortal if settings.public_url.is_none() => String::new(),
            PortalNames::ThePortal | PortalNames::Nothing => settings.portal_url(),
        };
        let rest = GatewayConfig::new(&settings.domain);
        let own_portal = settings.portal_url();
        Arc::new(GatewayConfig { portal, trusted_proxies, tunnel_idle, apps, portal_url, own_portal, ..rest })
    };
    let (config_tx, config_rx) =
        watch::channel(config(&settings_rx.borrow_and_update(), &status_rx.borrow_and_update()));
    tasks.spawn(async move {
        loop {
            // Cancel-safe: a change that is not taken is seen by the next call.
            tokio::select! {
                () = stop.cancelled() => return,
                changed = settings_rx.changed() => if changed.is_err() { return },
                changed = status_rx.changed() => if changed.is_err() { return },
            }
            let now = config(&settings_rx.borrow_and_update(), &status_rx.borrow_and_update());
            // The status changes far more often than what is taken from it.
            config_tx.send_if_modified(|before| {
                *before != now && {
                    *before = now;
                    true
                }
            });
        }
    });
    config_rx
}

fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_gateway_goes_by_the_settings_as_they_change() {
        let (settings_tx, settings_rx) = watch::channel(Arc::new(Settings::defaults("/paas")));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (status_tx, status_rx) = watch::channel(Arc::new(DaemonStatus::unseen()));
        let mut config_rx = gateway_config(settings_rx, status_rx, &tasks, stop.clone());
        let own_portal = "http://localhost:3000".to_owned();
        let begun = GatewayConfig { own_portal, ..GatewayConfig::new("localhost") };
        assert_eq!(**config_rx.borrow_and_update(), begun);
        settings_tx.send_modify(|settings| {
            let settings = Arc::make_mut(settings);
            settings.portal_on_gateway = false;
            settings.tunnel_idle = Duration::from_secs(90);
            settings.trusted_proxies = vec!["10.0.0.7".parse().unwrap()];
        });
        tokio::time::timeout(STOP_GRACE, config_rx.changed()).await.unwrap().unwrap();
        let expected = GatewayConfig {
            portal: PortalNames::Nothing,
            trusted_proxies: vec!["10.0.0.7".parse().unwrap()],
            tunnel_idle: Duration::from_secs(90),
            portal_url: "http://localhost:3000".to_owned(),
            ..begun
        };
        assert_eq!(**config_rx.borrow_and_update(), expected);
        status_tx.send_modify(|status| Arc::make_mut(status).network_ranges = vec!["10.201.0.0/20".to_owned()]);
        tokio::time::timeout(STOP_GRACE, config_rx.changed()).await.unwrap().unwrap();
        let expected = GatewayConfig { apps: vec!["10.201.0.0/20".parse().unwrap()], ..expected };
        assert_eq!(**config_rx.borrow_and_update(), expected);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
