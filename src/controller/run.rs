//! The loop. One task owns everything the controller knows; passes, folder readings, builds and looks at the network are
//! tasks that get values and give values back. Nothing in the loop itself waits for anything but news.
//!
//! Tasks and channels:
//! - in: [`Input`] (`mpsc`): settings, folder hints, engine signals · [`Command`] (`mpsc`): the doors of the daemon
//! - out: [`DaemonStatus`] (`watch`), after every change
//! - own: a `JoinSet` of [`Work`]; ending the loop aborts what is still running, which is safe at any point (DESIGN,
//!   rules 6 and 10) · one writer of the event log, whose rows are still written when the loop ends
//!
//! What it does is told in parts: `news` from the watchers and the doors, `folders` with the manifests, `absence` of files that
//! vanished, what is `shared` by all apps, `passes` over them and whose `turn` it is to move, `asking` those that serve, who is `resting`, whether there is `room` in memory, the event
//! `log`.
//! Here are what it owns, its loop, and time.

mod absence;
mod asking;
mod confirm;
mod folders;
mod log;
mod news;
mod once;
mod passes;
mod previews;
mod removals;
mod resting;
mod room;
mod shared;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::asking::Asking;
use self::once::Once;
use self::previews::Previews;
use self::removals::RemovalWriter;
use self::resting::Resting;
use self::room::Room;
use self::turn::Turn;
use super::addresses::Addresses;
use super::audit::Audit;
use super::backoff::{Backoffs, Jitter};
use super::domains::Holders;
use super::goal::Admission;
use super::handle::Command;
use super::image::ImageOutcome;
use super::network::NetworkOutcome;
use super::pass::{Memory, PassOutput};
use super::previews::PreviewOutput;
use super::queue::{Queue, Urgency};
use super::seams::Seams;
use crate::desired::Snapshot;
use crate::engine::events::Signal;
use crate::metrics::Metrics;
use crate::model::observed::EngineInfo;
use crate::model::proxy::ProxyStatus;
use crate::model::status::{BackupStatus, DaemonFolders, Endpoint, EngineStatus, HeldRemoval, ImageStatus};
use crate::model::{AppKey, DaemonStatus, Event, InstanceId, InventoryRow, Quotas, Settings, Subnet, Wake};
use crate::plan::RemovalGuard;
use crate::store::{Store as _, StoreError};

/// News from the daemon's watchers.
#[derive(Debug, Clone)]
pub enum Input {
    Settings(SettingsNews),
    /// Something in the manifests or templates folder may have changed.
    Folders,
    /// Something in the runtime folder may have changed.
    Runtime,
    Engine(Signal),
    /// Visitors of this app were left without an answer.
    Unanswered(AppKey),
    /// Somebody waits for an app that sleeps.
    Wanted(Wake),
    /// The history has versions of this app that it had not before: checkouts may go.
    Recorded(AppKey),
    /// Data lies beside this app's to take its place.
    DataWaits(AppKey),
    /// What is wrong with the database as a whole; `None`: nothing any more.
    Database(Option<String>),
    /// What there is to say of Nginx Proxy Manager.
    Proxy(Option<ProxyStatus>),
    /// What is known of the apps' backups.
    Backups(Arc<BTreeMap<AppKey, BackupStatus>>),
}

/// The settings in force, and what there is to say about `.env`.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsNews {
    pub settings: Arc<Settings>,
    /// What of them counts otherwise for single people.
    pub quotas: Arc<Quotas>,
    pub problems: Vec<String>,
    pub restart_required: Vec<String>,
}

/// What does not change while the daemon runs.
#[derive(Debug, Clone)]
pub struct Config {
    pub instance: InstanceId,
    /// Full look at everything, jittered by a tenth.
    pub resync: Duration,
    /// How long a vanished file may come back.
    pub grace: Duration,
    /// Passes at a time.
    pub parallel: usize,
    /// Ranges of addresses that the host uses already: the app network takes none of them by itself.
    pub avoid: Arc<[Subnet]>,
    /// For jitter only.
    pub seed: u64,
    pub metrics: Metrics,
    /// Cancelled when the status tells of every app for the first time, were it only that Docker cannot be asked about it.
    pub first_look: CancellationToken,
}

impl Config {
    /// The figures of DESIGN.
    #[must_use]
    pub fn new(instance: InstanceId, seed: u64) -> Self {
        Self {
            instance,
            resync: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            parallel: 6,
            avoid: Arc::default(),
            seed,
            metrics: Metrics::default(),
            first_look: CancellationToken::new(),
        }
    }
}

/// What a task of the controller has to say.
enum Work {
    Pass(Box<PassOutput>),
    /// Whether an app that serves still answers.
    Asked {
        key: AppKey,
        endpoint: Endpoint,
        answered: bool,
    },
    /// A pass that panicked; its key only.
    Panicked(AppKey),
    Loaded(Snapshot),
    /// Apps that have containers of ours.
    Listed(Option<Listed>),
    Preview(Box<PreviewOutput>),
    PreviewPanicked(AppKey),
    /// Apps that have folders of previews.
    PreviewFolders(Option<BTreeSet<AppKey>>),
    Image(ImageOutcome),
    Network(NetworkOutcome),
    /// What is held and what is confirmed was written down, or not.
    Noted(removals::Writing, Result<(), StoreError>),
}

/// Who has containers of ours.
#[derive(Debug, Default)]
struct Listed {
    apps: BTreeSet<AppKey>,
    previews: BTreeSet<AppKey>,
}

/// How long a daemon that stops goes on writing the event log.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// The controller. [`Controller::run`] is the loop.
pub struct Controller<W: Seams> {
    world: Arc<W>,
    config: Config,
    inputs: mpsc::Receiver<Input>,
    commands: mpsc::Receiver<Command>,
    status_tx: watch::Sender<Arc<DaemonStatus>>,
    work: JoinSet<Work>,
    progress_tx: mpsc::Sender<ImageStatus>,
    progress_rx: mpsc::Receiver<ImageStatus>,

    news: SettingsNews,
    snapshot: Arc<Snapshot>,
    loaded: bool,
    loading: Once,
    listing: Once,
    /// When Docker last told which apps have containers.
    listed_at: Option<Instant>,
    rows: BTreeMap<AppKey, InventoryRow>,
    admissions: BTreeMap<AppKey, Admission>,
    /// Who has which own host name.
    holders: Holders,
    /// What the machine calls itself.
    machine: String,
    /// Apps that have containers but neither file nor row: the inventory was lost.
    orphans: BTreeSet<AppKey>,
    missing_since: BTreeMap<AppKey, Instant>,
    guard: RemovalGuard,
    removal_writer: RemovalWriter,
    /// In force at once; told in the status when it is written down, or cannot be.
    held: Option<HeldRemoval>,
    audit: Audit,
    /// Rows of the event log that wait for the ones being written.
    unlogged: Vec<Event>,
    /// The write under way: one at a time, so the rows stay in order.
    logging: JoinSet<()>,

    engine: Option<EngineInfo>,
    image_id: Option<String>,
    image_job: Once,
    network_ready: bool,
    addresses: Arc<Addresses>,
    network_job: Once,
    image_retry: Option<Instant>,
    network_retry: Option<Instant>,
    listing_retry: Option<Instant>,

    queue: Queue<AppKey>,
    /// Passes under way, and since when.
    running: BTreeMap<AppKey, Instant>,
    turn: Turn,
    asking: Asking,
    resting: Resting,
    previews: Previews,
    room: Room,
    backoffs: Backoffs<AppKey>,
    memories: BTreeMap<AppKey, Memory>,
    jitter: Jitter,
    next_resync: Instant,
    status: DaemonStatus,
    changed: bool,
}

impl<W: Seams> std::fmt::Debug for Controller<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The two ends that the rest of the daemon needs.
#[derive(Debug)]
pub struct Ends {
    pub inputs_tx: mpsc::Sender<Input>,
    pub commands_tx: mpsc::Sender<Command>,
    pub status_rx: watch::Receiver<Arc<DaemonStatus>>,
}

impl<W: Seams> Controller<W> {
    /// Reads the inventory; everything else is learned in the loop.
    ///
    /// # Errors
    /// When the inventory cannot be read: without it nothing may be touched.
    pub async fn new(world: Arc<W>, config: Config, news: SettingsNews) -> Result<(Self, Ends), StoreError> {
        let rows: BTreeMap<_, _> =
            world.store().inventory().await?.into_iter().map(|row| (row.key.clone(), row)).collect();
        let removals = world.store().removals().await?;
        let told = world.store().last_changes().await?;
        let previews = world.store().previews().await?;
        let (inputs_tx, inputs) = mpsc::channel(256);
        let (commands_tx, commands) = mpsc::channel(64);
        let (progress_tx, progress_rx) = mpsc::channel(16);
        let status = DaemonStatus {
            folders: Some(DaemonFolders::of(&news.settings)),
            settings_problems: news.problems.clone(),
            restart_required: news.restart_required.clone(),
            ..DaemonStatus::unseen()
        };
        let (status_tx, status_rx) = watch::channel(Arc::new(status.clone()));
        let mut jitter = Jitter::new(config.seed);
        let controller = Self {
            previews: Previews::new(previews, config.seed),
            backoffs: Backoffs::new(config.seed),
            addresses: Arc::new(Addresses::new(config.seed)),
            next_resync: Instant::now() + jitter.spread(config.resync),
            world,
            config,
            inputs,
            commands,
            status_tx,
            work: JoinSet::new(),
            progress_tx,
            progress_rx,
            news,
            snapshot: Arc::new(Snapshot::unread()),
            loaded: false,
            loading: Once::Idle,
            listing: Once::Idle,
            listed_at: None,
            rows,
            admissions: BTreeMap::new(),
            holders: Holders::default(),
            machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            orphans: BTreeSet::new(),
            missing_since: BTreeMap::new(),
            guard: RemovalGuard::of(removals.clone()),
            removal_writer: RemovalWriter::new(removals),
            held: None,
            audit: Audit::new(told),
            unlogged: Vec::new(),
            logging: JoinSet::new(),
            engine: None,
            image_id: None,
            image_job: Once::Idle,
            network_ready: false,
            network_job: Once::Idle,
            image_retry: None,
            network_retry: None,
            listing_retry: None,
            queue: Queue::default(),
            running: BTreeMap::new(),
            turn: Turn::default(),
            asking: Asking::default(),
            resting: Resting::default(),
            room: Room::default(),
            memories: BTreeMap::new(),
            jitter,
            status,
            changed: false,
        };
        Ok((controller, Ends { inputs_tx, commands_tx, status_rx }))
    }

    /// Runs until cancelled. Dropping the future at any point is safe: the next start looks at the world again.
    pub async fn run(mut self, cancel: CancellationToken) {
        self.start_loading();
        loop {
            self.dispatch();
            self.dispatch_previews();
            self.publish();
            self.config.metrics.queue(self.queue.depth(), self.running.len());
            let wake = self.next_wake();
            // Every arm is cancel-safe: receiving from a channel or a JoinSet takes an item only when it is returned,
            // and sleeping keeps nothing.
            tokio::select! {
                // In a fixed order, so that a simulated run repeats exactly. Nothing starves: people and finished work
                // come in by the handful, and each waits for calls to Docker before it can come again.
                biased;
                () = cancel.cancelled() => break,
                Some(command) = self.commands.recv() => self.take_command(command),
                Some(progress) = self.progress_rx.recv() => self.take_progress(progress),
                Some(done) = self.work.join_next() => match done {
                    Ok(work) => self.take_work(work),
                    Err(error) => tracing::error!(%error, "a task of the controller ended without an answer"),
                },
                Some(_) = self.logging.join_next() => self.start_logging(),
                Some(input) = self.inputs.recv() => self.take_input(input),
                () = tokio::time::sleep_until(wake) => {}
            }
            self.take_time();
        }
        self.work.abort_all();
        self.end_logging().await;
    }

    fn take_work(&mut self, work: Work) {
        match work {
            Work::Pass(output) => self.take_pass(*output),
            Work::Asked { key, endpoint, answered } => self.take_answer(&key, &endpoint, answered),
            Work::Panicked(key) => self.take_panic(&key),
            Work::Loaded(snapshot) => self.take_snapshot(snapshot),
            Work::Listed(listed) => self.take_listing(listed),
            Work::Preview(output) => self.take_preview(*output),
            Work::PreviewPanicked(key) => self.take_preview_panic(&key),
            Work::PreviewFolders(found) => self.take_preview_folders(found),
            Work::Image(outcome) => self.take_image(outcome),
            Work::Network(outcome) => self.take_network(outcome),
            Work::Noted(writing, result) => self.take_noted(writing, &result),
        }
    }

    fn next_wake(&self) -> Instant {
        let ready = self.engine.is_some() && self.loaded && self.running.len() < self.config.parallel;
        let queue = self.queue.next_due().filter(|_| ready);
        let previews = self.previews.next_due().filter(|_| self.engine.is_some() && self.loaded);
        let grace =
            self.missing_since.values().map(|since| *since + self.config.grace).filter(|end| *end > Instant::now());
        let turn = self.turn.free_at().filter(|at| *at > Instant::now());
        grace
            .chain(queue)
            .chain(previews)
            .chain(turn)
            .chain(self.image_retry)
            .chain(self.network_retry)
            .chain(self.listing_retry)
            .chain(self.removal_writer.retry_at())
            .chain(self.asking.next_due())
            .chain(self.resting.next_due())
            .chain(self.room.next_due())
            .min()
            .unwrap_or(self.next_resync)
            .min(self.next_resync)
    }

    fn take_time(&mut self) {
        let now = Instant::now();
        if self.next_resync <= now {
            self.resync();
        }
        if self.image_retry.is_some_and(|at| at <= now) {
            self.image_retry = None;
            self.start_image();
        }
        if self.network_retry.is_some_and(|at| at <= now) {
            self.network_retry = None;
            self.start_network();
        }
        if self.listing_retry.is_some_and(|at| at <= now) {
            self.listing_retry = None;
            self.start_listing();
        }
        if self.turn.free_at().is_some_and(|at| at <= now) {
            self.call_next();
        }
        if self.removal_writer.retry_at().is_some_and(|at| at <= now) {
            self.note_removals();
        }
        self.ask_who_serves();
        self.send_to_sleep();
        self.look_at_memory();
        let over: Vec<AppKey> = self
            .missing_since
            .iter()
            .filter(|(key, since)| now - **since >= self.config.grace && !self.is_known_gone(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.queue.mark(key, Urgency::Hint, now);
        }
    }

    fn has_looked(&self) -> bool {
        match self.status.engine {
            EngineStatus::Connecting => false,
            EngineStatus::Unreachable { .. } | EngineStatus::Unsupported { .. } | EngineStatus::Connected { .. } => {
                self.loaded && self.known().iter().all(|key| self.status.apps.contains_key(key))
            }
        }
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.status_tx.send_replace(Arc::new(self.status.clone()));
            if !self.config.first_look.is_cancelled() && self.has_looked() {
                self.config.first_look.cancel();
                self.call_next();
            }
        }
    }
}
