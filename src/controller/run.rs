//! The loop. One task owns everything the controller knows; passes, folder readings, builds and looks at the network are
//! tasks that get values and give values back. Nothing in the loop itself waits for anything but news.
//!
//! Tasks and channels:
//! - in: [`Input`] (`mpsc`): settings, folder hints, engine signals · [`Command`] (`mpsc`): the doors of the daemon
//! - out: [`DaemonStatus`] (`watch`), after every change
//! - own: a `JoinSet` of [`Work`]; ending the loop aborts what is still running, which is safe at any point (DESIGN,
//!   rules 6 and 10) · one writer of the event log, whose rows are still written when the loop ends

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock as _;
use crate::desired::{Completeness, Dirs, Manifests as _, Snapshot};
use crate::engine::events::Signal;
use crate::engine::{Engine as _, EngineEvent, ErrorKind, ListFilter};
use crate::folders::Folders as _;
use crate::metrics::Metrics;
use crate::model::observed::EngineInfo;
use crate::model::status::{EngineStatus, HeldRemoval, ImageStatus, ManifestsStatus, NetworkStatus};
use crate::model::{
    AppKey, AppStatus, Bytes, Cause, ConditionKind, DaemonStatus, Event, EventKind, Health, InstanceId, InventoryRow,
    Ownership, RunState, Settings, Subnet, SyncState, labels,
};
use crate::plan::Assessment;
use crate::plan::assess::Finding;
use crate::plan::{Guard, RemovalGuard};
use crate::store::{Store as _, StoreError};

use super::addresses::Addresses;
use super::admission::admit;
use super::audit::Audit;
use super::backoff::{Backoffs, Jitter};
use super::goal::{Absence, Admission, Circumstances, Decision, decide};
use super::handle::{Command, ConfirmError};
use super::image::{self, ImageNext, ImageOutcome};
use super::network::{self, NetworkOutcome};
use super::pass::{Memory, Next, PassInput, PassOutput, pass};
use super::queue::{Queue, Urgency};
use super::report::{Report, report};
use super::seams::Seams;

/// News from the daemon's watchers.
#[derive(Debug, Clone)]
pub enum Input {
    Settings(SettingsNews),
    /// Something in the manifests or templates folder may have changed.
    Folders,
    /// Something in the runtime folder may have changed.
    Runtime,
    Engine(Signal),
}

/// The settings in force, and what there is to say about `.env`.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsNews {
    pub settings: Arc<Settings>,
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
        }
    }
}

/// What a task of the controller has to say.
enum Work {
    Pass(Box<PassOutput>),
    /// A pass that panicked; its key only.
    Panicked(AppKey),
    Loaded(Snapshot),
    /// Apps that have containers of ours.
    Listed(Option<BTreeSet<AppKey>>),
    Image(ImageOutcome),
    Network(NetworkOutcome),
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
    rows: BTreeMap<AppKey, InventoryRow>,
    admissions: BTreeMap<AppKey, Admission>,
    /// Apps that have containers but neither file nor row: the inventory was lost.
    orphans: BTreeSet<AppKey>,
    missing_since: BTreeMap<AppKey, Instant>,
    guard: RemovalGuard,
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

    queue: Queue<AppKey>,
    /// Passes under way, and since when.
    running: BTreeMap<AppKey, Instant>,
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

/// One job at a time, and once more if it was asked for meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    Idle,
    Busy { since: Instant },
    BusyAndAskedAgain { since: Instant },
}

impl Once {
    /// True when the job is to be started now.
    fn ask(&mut self) -> bool {
        match *self {
            Self::Idle => {
                *self = Self::Busy { since: Instant::now() };
                true
            }
            Self::Busy { since } | Self::BusyAndAskedAgain { since } => {
                *self = Self::BusyAndAskedAgain { since };
                false
            }
        }
    }

    /// True when it was asked for while it ran.
    fn done(&mut self) -> bool {
        matches!(std::mem::replace(self, Self::Idle), Self::BusyAndAskedAgain { .. })
    }

    /// Since when it has been under way.
    fn since(self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Busy { since } | Self::BusyAndAskedAgain { since } => Some(since),
        }
    }
}

/// How long the longest of the jobs has been under way; zero when there is none.
fn longest<'a>(passes: impl IntoIterator<Item = &'a Instant>, jobs: impl IntoIterator<Item = Once>) -> Duration {
    let jobs = jobs.into_iter().filter_map(Once::since);
    passes.into_iter().copied().chain(jobs).min().map_or(Duration::ZERO, |since| since.elapsed())
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
        let (inputs_tx, inputs) = mpsc::channel(256);
        let (commands_tx, commands) = mpsc::channel(64);
        let (progress_tx, progress_rx) = mpsc::channel(16);
        let status = DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: EngineStatus::Connecting,
            manifests: ManifestsStatus::Unknown,
            image: ImageStatus::Unknown,
            network: NetworkStatus::Unknown,
            apps: BTreeMap::new(),
            held: None,
            file_problems: Vec::new(),
            settings_problems: news.problems.clone(),
            restart_required: news.restart_required.clone(),
            last_resync: None,
        };
        let (status_tx, status_rx) = watch::channel(Arc::new(status.clone()));
        let mut jitter = Jitter::new(config.seed);
        let controller = Self {
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
            rows,
            admissions: BTreeMap::new(),
            orphans: BTreeSet::new(),
            missing_since: BTreeMap::new(),
            guard: RemovalGuard::default(),
            held: None,
            audit: Audit::default(),
            unlogged: Vec::new(),
            logging: JoinSet::new(),
            engine: None,
            image_id: None,
            image_job: Once::Idle,
            network_ready: false,
            network_job: Once::Idle,
            image_retry: None,
            network_retry: None,
            queue: Queue::default(),
            running: BTreeMap::new(),
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

    /// What was seen and not yet written down: the next daemon would not know who it was.
    async fn end_logging(&mut self) {
        let ended = tokio::time::timeout(LOG_PATIENCE, async {
            while self.logging.join_next().await.is_some() {
                self.start_logging();
            }
        });
        if ended.await.is_err() {
            tracing::warn!("the last rows of the event log were not written: its database does not answer");
        }
    }

    // ------------------------------------------------------------------ news

    fn take_input(&mut self, input: Input) {
        match input {
            Input::Settings(news) => self.take_settings(news),
            Input::Folders => self.start_loading(),
            Input::Runtime => self.start_image(),
            Input::Engine(Signal::Connected(info)) => self.take_engine(info),
            Input::Engine(Signal::Lost { reason }) => self.lose_engine(&reason.to_string(), reason.kind()),
            Input::Engine(Signal::Resync) => self.resync(),
            Input::Engine(Signal::Event(event)) => self.take_event(&event),
        }
    }

    fn take_settings(&mut self, news: SettingsNews) {
        let old = std::mem::replace(&mut self.news, news);
        self.status.settings_problems.clone_from(&self.news.problems);
        self.status.restart_required.clone_from(&self.news.restart_required);
        self.changed = true;
        if old.settings == self.news.settings {
            return;
        }
        self.readmit();
        self.start_image();
        self.start_network();
        self.mark_all(Urgency::Edit);
    }

    fn take_engine(&mut self, info: EngineInfo) {
        tracing::info!(version = %info.version, api = %info.api_version, "connected to Docker");
        self.status.engine = EngineStatus::Connected { info: info.clone() };
        self.engine = Some(info);
        self.changed = true;
        // Whatever failed while Docker was away may work now: no backoff of those failures counts any more.
        self.mark_all(Urgency::Edit);
    }

    fn lose_engine(&mut self, reason: &str, kind: ErrorKind) {
        tracing::warn!(reason, "Docker is not reachable");
        self.status.engine = if kind == ErrorKind::Terminal {
            EngineStatus::Unsupported { reason: reason.to_owned() }
        } else {
            EngineStatus::Unreachable { reason: reason.to_owned(), since: self.world.clock().now() }
        };
        self.engine = None;
        self.changed = true;
        let finding = Finding::new(
            ConditionKind::EngineUnreachable,
            "EngineUnreachable",
            format!("Docker cannot be reached, so nothing is known or changed until it is back: {reason}"),
        );
        for key in self.known() {
            if planted!(LossUnreported) {
                break;
            }
            self.report_without_looking(&key, &finding, Health::Unknown);
        }
    }

    fn take_event(&mut self, event: &EngineEvent) {
        match event.object.as_str() {
            "container" => {
                // Looking at a container, or somebody typing in one, is no change.
                let quiet =
                    ["exec_", "health_status", "top", "attach", "resize", "copy", "export", "commit", "archive"];
                if !quiet.iter().any(|prefix| event.action.starts_with(prefix)) {
                    for key in apps_of_event(event) {
                        self.queue.mark(key, Urgency::Hint, Instant::now());
                    }
                }
            }
            "image" => self.start_image(),
            "network" => {
                if event.attributes.get("name") == Some(&self.news.settings.network)
                    && matches!(event.action.as_str(), "create" | "destroy" | "remove")
                {
                    self.start_network();
                }
                if let Some(id) = event.attributes.get("container").filter(|_| event.action == "disconnect") {
                    let owner = self
                        .status
                        .apps
                        .values()
                        .find(|status| status.container.as_ref().is_some_and(|container| container.as_str() == id));
                    if let Some(key) = owner.map(|status| status.app.clone()) {
                        self.queue.mark(key, Urgency::Hint, Instant::now());
                    }
                }
            }
            _ => {}
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Announce { key, digest, by } => self.audit.announce(key, digest, by),
            Command::Withdraw { key, digest } => self.audit.withdraw(&key, &digest),
            Command::Mark(key) => self.queue.mark(key, Urgency::Edit, Instant::now()),
            Command::Resync => self.resync(),
            Command::Confirm { token, by, answer } => self.confirm(&token, &by, answer),
            Command::Progress { answer } => {
                // A folder on a dead NFS is read for ever. Builds are left out: they take long and have a limit of their own.
                let jobs = [self.loading, self.listing, self.network_job];
                // Nobody waits any more: nothing was lost.
                let _ = answer.send(longest(self.running.values(), jobs));
            }
        }
    }

    fn confirm(&mut self, token: &str, by: &str, answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>) {
        let result = match &self.held {
            None => Err(ConfirmError::NothingHeld),
            Some(held) if held.token != token => Err(ConfirmError::Changed { current: held.token.clone() }),
            Some(held) => Ok(held.apps.clone()),
        };
        if let Ok(apps) = &result
            && !planted!(ConfirmationForgotten)
        {
            self.guard.confirm(apps.iter().cloned());
            for key in apps {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
            self.judge_removals();
            let at = self.world.clock().now();
            let confirmed = |key: &AppKey| Event {
                at,
                app: Some(key.clone()),
                kind: EventKind::Changed,
                what: "confirmed that it is removed, its manifest having vanished".to_owned(),
                cause: Cause::new(by),
            };
            self.log(apps.iter().map(confirmed).collect());
        }
        // Nobody waits any more: the confirmation stands all the same.
        let _ = answer.send(result);
    }

    fn take_progress(&mut self, progress: ImageStatus) {
        if self.image_job != Once::Idle {
            self.status.image = progress;
            self.changed = true;
        }
    }

    fn take_work(&mut self, work: Work) {
        match work {
            Work::Pass(output) => self.take_pass(*output),
            Work::Panicked(key) => self.take_panic(&key),
            Work::Loaded(snapshot) => self.take_snapshot(snapshot),
            Work::Listed(keys) => self.take_listing(keys),
            Work::Image(outcome) => self.take_image(outcome),
            Work::Network(outcome) => self.take_network(outcome),
        }
    }

    fn take_pass(&mut self, output: PassOutput) {
        let now = Instant::now();
        let key = output.key;
        self.end_pass(&key, output.next.word());
        self.queue.finish(&key);
        self.memories.insert(key.clone(), output.memory);
        let had_row = self.rows.contains_key(&key);
        match output.row {
            Some(row) => self.rows.insert(key.clone(), row),
            None => self.rows.remove(&key),
        };
        match output.next {
            Next::Calm | Next::Recheck(_) => {
                self.backoffs.reset(&key);
                self.queue.release(&key);
                if let Next::Recheck(wait) = output.next {
                    self.queue.mark_after(key.clone(), wait, now);
                }
            }
            Next::Backoff => {
                let wait = self.backoffs.next(key.clone());
                self.queue.hold(key.clone(), wait, now);
            }
            // A change marks it, and so does the next resync: cheap, and right if the world changed unseen.
            Next::Terminal => {}
            Next::Unreachable => {
                // The subscription notices a Docker that is gone; a single call that hung is tried again.
                let wait = self.backoffs.next(key.clone());
                self.queue.hold(key.clone(), wait, now);
            }
        }
        let gone = output.status.health == Health::Deleted
            && !self.rows.contains_key(&key)
            && !self.memories.get(&key).is_some_and(Memory::is_row_in_doubt)
            && !self.snapshot.files.contains_key(&key);
        if gone {
            self.drop_app(&key);
        } else {
            self.put_status(output.status);
        }
        if had_row != self.rows.contains_key(&key) {
            self.readmit();
            // Its file may have vanished while its first pass was under way, when there was no row to miss it.
            self.note_missing();
        }
    }

    fn end_pass(&mut self, key: &AppKey, result: &'static str) {
        if let Some(begun) = self.running.remove(key) {
            self.config.metrics.pass(result, begun.elapsed());
        }
    }

    fn drop_app(&mut self, key: &AppKey) {
        self.status.apps.remove(key);
        self.memories.remove(key);
        self.orphans.remove(key);
        self.missing_since.remove(key);
        self.backoffs.reset(key);
        self.queue.forget(key);
        self.changed = true;
        self.judge_removals();
    }

    fn take_panic(&mut self, key: &AppKey) {
        tracing::error!(app = %key, "a pass panicked; the app is looked at again after a while");
        self.end_pass(key, "panic");
        self.queue.finish(key);
        let wait = self.backoffs.next(key.clone());
        self.queue.hold(key.clone(), wait, Instant::now());
        let finding = Finding::new(
            ConditionKind::StepFailed,
            "InternalError",
            "the daemon stumbled over this app; it is tried again after a while, please report the daemon's log",
        );
        self.report_without_looking(key, &finding, Health::Unknown);
    }

    // ------------------------------------------------------------------ folders

    fn start_loading(&mut self) {
        if self.loading.ask() {
            let world = Arc::clone(&self.world);
            self.work.spawn(async move { Work::Loaded(world.manifests().load().await) });
        }
    }

    fn take_snapshot(&mut self, mut snapshot: Snapshot) {
        if planted!(PartialListingTrusted) && !snapshot.files.is_empty() {
            snapshot.completeness = Completeness::Complete { instance: self.config.instance.clone() };
        }
        if self.loading.done() {
            self.start_loading();
        }
        let first = !std::mem::replace(&mut self.loaded, true);
        let old = std::mem::replace(&mut self.snapshot, Arc::new(snapshot));
        let new = Arc::clone(&self.snapshot);
        self.status.file_problems.clone_from(&new.problems);
        let manifests = match &new.completeness {
            Completeness::Complete { .. } if new.complete(&self.config.instance).is_some() => ManifestsStatus::Complete,
            Completeness::Complete { instance } => self.unavailable(format!(
                "the manifests folder carries the marker of another installation ({instance}); put the right folder in place"
            )),
            Completeness::Partial { reason } => self.unavailable(reason.clone()),
        };
        let trust_changed = manifests != self.status.manifests;
        self.status.manifests = manifests;
        self.changed = true;
        self.audit();
        self.note_missing();
        self.readmit();
        if first || trust_changed || old.templates != new.templates {
            self.mark_all(Urgency::Edit);
            return;
        }
        let now = Instant::now();
        let keys: BTreeSet<_> = old.files.keys().chain(new.files.keys()).collect();
        for key in keys {
            let (before, after) = (old.files.get(key), new.files.get(key));
            let same = match (before, after) {
                (Some(before), Some(after)) => before.digest == after.digest && before.parsed == after.parsed,
                (None, None) => true,
                _ => false,
            };
            if !same {
                self.queue.mark(key.clone(), Urgency::Edit, now);
            }
        }
    }

    /// Writes down who changed what.
    fn audit(&mut self) {
        if self.snapshot.complete(&self.config.instance).is_none() {
            return;
        }
        // Whoever wrote a file had announced it before: what waits in the channel may be about this very reading.
        while let Ok(command) = self.commands.try_recv() {
            self.take_command(command);
        }
        let events = self.audit.compare(&self.snapshot, &self.rows, self.world.clock().now());
        self.log(events);
    }

    fn log(&mut self, events: Vec<Event>) {
        for event in &events {
            let app = event.app.as_ref().map(tracing::field::display);
            tracing::info!(app, by = %event.cause, "{}", event.what);
        }
        self.unlogged.extend(events);
        if self.logging.is_empty() {
            self.start_logging();
        }
    }

    fn start_logging(&mut self) {
        if self.unlogged.is_empty() {
            return;
        }
        let (world, events) = (Arc::clone(&self.world), std::mem::take(&mut self.unlogged));
        self.logging.spawn(async move {
            if let Err(error) = world.store().append(&events).await {
                tracing::warn!(%error, "the event log could not be written");
            }
        });
    }

    fn unavailable(&self, reason: String) -> ManifestsStatus {
        let since = match &self.status.manifests {
            ManifestsStatus::Unavailable { since, .. } => *since,
            ManifestsStatus::Unknown | ManifestsStatus::Complete => self.world.clock().now(),
        };
        ManifestsStatus::Unavailable { reason, since }
    }

    /// Starts and ends the grace of vanished files.
    fn note_missing(&mut self) {
        let Some(complete) = self.snapshot.complete(&self.config.instance) else {
            // Out of sight is not gone: any grace begins anew once the folder can be trusted again.
            self.missing_since.clear();
            return;
        };
        let now = Instant::now();
        let candidates: BTreeSet<AppKey> = self.rows.keys().chain(&self.orphans).cloned().collect();
        self.missing_since.retain(|key, _| complete.lacks(key) && candidates.contains(key));
        for key in candidates {
            if complete.lacks(&key) {
                self.missing_since.entry(key).or_insert(now);
            }
        }
        self.judge_removals();
    }

    fn judge_removals(&mut self) {
        let vanished: BTreeSet<AppKey> = self.missing_since.keys().cloned().collect();
        self.guard.forget_all_but(&vanished);
        let known = self.rows.keys().chain(&self.orphans).collect::<BTreeSet<_>>().len();
        let held = match self.guard.judge(&vanished, known) {
            Guard::Allowed => None,
            Guard::Held { token, apps } => {
                let since = match &self.held {
                    Some(held) if held.token == token => held.since,
                    _ => self.world.clock().now(),
                };
                let message = format!(
                    "{} of {known} manifests vanished together: nothing is removed until they are back or you run \
                     `paas confirm {token}`",
                    apps.len()
                );
                Some(HeldRemoval { token, apps: apps.into_iter().collect(), message, since })
            }
        };
        if held != self.held {
            // Files that are put back one by one end the hold before the last is there: the others have their grace again.
            let released = self.held.iter().flat_map(|held| &held.apps).filter(|key| !self.guard.is_confirmed(key));
            for key in released {
                self.missing_since.entry(key.clone()).and_modify(|since| *since = Instant::now());
            }
            for key in &vanished {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
            self.held.clone_from(&held);
            self.status.held = held;
            self.changed = true;
        }
    }

    fn absence(&self, key: &AppKey) -> Absence {
        if let ManifestsStatus::Unavailable { reason, .. } = &self.status.manifests {
            if planted!(MissingFolderMeansEmpty) {
                return Absence::Certain;
            }
            return Absence::Uncertain { reason: reason.clone() };
        }
        match (&self.held, self.missing_since.get(key)) {
            (Some(held), _) if held.apps.contains(key) => Absence::Held { token: held.token.clone() },
            (_, Some(since)) if planted!(NoGrace) || since.elapsed() >= self.config.grace => Absence::Certain,
            // Never had a row, a container or a file: nothing to be careful about.
            (_, None) if !self.rows.contains_key(key) && !self.orphans.contains(key) => Absence::Certain,
            _ => Absence::Grace,
        }
    }

    fn readmit(&mut self) {
        let admissions = admit(&self.snapshot.files, &self.rows.keys().collect(), &self.news.settings);
        for (key, admission) in &admissions {
            if self.admissions.get(key) != Some(admission) {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
        }
        self.admissions = admissions;
    }

    // ------------------------------------------------------------------ Docker

    /// A full look: what was missed is found here.
    fn resync(&mut self) {
        self.next_resync = Instant::now() + self.jitter.spread(self.config.resync);
        if planted!(NoResync) && self.status.last_resync.is_some() {
            return;
        }
        self.start_loading();
        // A build that failed keeps its own, longer wait; what changes meanwhile is heard of. A look that failed does not.
        let soon = Instant::now() + 2 * image::LOOK_AGAIN_AFTER;
        if self.image_retry.is_none_or(|at| at <= soon) {
            self.start_image();
        }
        self.start_network();
        self.start_listing();
        self.mark_all(Urgency::Hint);
        self.status.last_resync = Some(self.world.clock().now());
        self.changed = true;
    }

    fn start_listing(&mut self) {
        if self.engine.is_none() || !self.listing.ask() {
            return;
        }
        let world = Arc::clone(&self.world);
        let instance = self.config.instance.clone();
        self.work.spawn(async move {
            let filter = ListFilter::of_instance(&instance);
            Work::Listed(world.engine().list(&filter).await.ok().map(|containers| {
                let owner = |labels| match Ownership::of(labels, &instance) {
                    Ownership::Owned(key) => Some(key),
                    Ownership::Foreign => None,
                };
                containers.iter().filter_map(|container| owner(&container.labels)).collect()
            }))
        });
    }

    fn take_listing(&mut self, keys: Option<BTreeSet<AppKey>>) {
        if self.listing.done() {
            self.start_listing();
        }
        let Some(keys) = keys else { return };
        self.orphans = keys.into_iter().filter(|key| !self.rows.contains_key(key)).collect();
        for key in self.orphans.clone() {
            self.queue.mark(key, Urgency::Hint, Instant::now());
        }
        if self.loaded {
            self.note_missing();
        }
    }

    fn start_image(&mut self) {
        if self.engine.is_none() || !self.image_job.ask() {
            return;
        }
        let (world, settings) = (Arc::clone(&self.world), Arc::clone(&self.news.settings));
        let progress = self.progress_tx.clone();
        self.work.spawn(async move { Work::Image(image::ensure(&*world, &settings, progress).await) });
    }

    fn take_image(&mut self, outcome: ImageOutcome) {
        if self.image_job.done() {
            self.start_image();
        }
        self.image_retry = match outcome.next {
            ImageNext::Calm => None,
            ImageNext::Unseen => Some(Instant::now() + self.jitter.spread(image::LOOK_AGAIN_AFTER)),
            ImageNext::Retry => Some(Instant::now() + self.jitter.spread(image::RETRY_AFTER)),
        };
        self.status.image = outcome.status;
        self.changed = true;
        if outcome.next != ImageNext::Unseen && self.image_id != outcome.id {
            self.image_id = outcome.id;
            self.mark_all(Urgency::Edit);
        }
    }

    fn start_network(&mut self) {
        if self.engine.is_none() || !self.network_job.ask() {
            return;
        }
        let (world, settings) = (Arc::clone(&self.world), Arc::clone(&self.news.settings));
        let (instance, avoid) = (self.config.instance.clone(), Arc::clone(&self.config.avoid));
        self.work.spawn(async move { Work::Network(network::ensure(&*world, &settings, &instance, &avoid).await) });
    }

    fn take_network(&mut self, outcome: NetworkOutcome) {
        if self.network_job.done() {
            self.start_network();
        }
        self.network_retry = (!outcome.usable).then(|| Instant::now() + self.jitter.spread(network::RETRY_AFTER));
        self.status.network = outcome.status;
        if outcome.usable {
            self.addresses.set_subnet(outcome.subnet);
        }
        self.changed = true;
        if std::mem::replace(&mut self.network_ready, outcome.usable) != outcome.usable {
            self.mark_all(Urgency::Edit);
        }
    }

    // ------------------------------------------------------------------ passes

    fn known(&self) -> BTreeSet<AppKey> {
        let files = self.snapshot.files.keys();
        files.chain(self.rows.keys()).chain(&self.orphans).chain(self.status.apps.keys()).cloned().collect()
    }

    fn mark_all(&mut self, urgency: Urgency) {
        let now = Instant::now();
        for key in self.known() {
            self.queue.mark(key, urgency, now);
        }
    }

    /// Starts as many passes as may run. None before the first reading of the folder, none while Docker is away.
    fn dispatch(&mut self) {
        let Some(engine) = self.engine.clone().filter(|_| self.loaded) else { return };
        let now = Instant::now();
        while self.running.len() < self.config.parallel
            && let Some(key) = self.queue.pop(now)
        {
            if planted!(FailureAbortsAll) && self.another_fails(&key) {
                self.queue.finish(&key);
                self.queue.mark_after(key, Duration::from_secs(1), now);
                continue;
            }
            let input = PassInput {
                instance: self.config.instance.clone(),
                decision: self.decide(&key),
                row: self.rows.get(&key).cloned(),
                settings: Arc::clone(&self.news.settings),
                engine: engine.clone(),
                image_id: self.image_id.clone(),
                network_ready: self.network_ready,
                addresses: Arc::clone(&self.addresses),
                memory: self.memories.get(&key).cloned().unwrap_or_default(),
                previous: self.status.apps.get(&key).cloned(),
                metrics: self.config.metrics.clone(),
                key: key.clone(),
            };
            if planted!(StatusBeforeAction) {
                self.claim(&input);
            }
            self.running.insert(key.clone(), now);
            let world = Arc::clone(&self.world);
            self.work.spawn(async move {
                // A panic is this app's misfortune only.
                let attempt = std::panic::AssertUnwindSafe(pass(&*world, input)).catch_unwind().await;
                attempt.map_or(Work::Panicked(key), |output| Work::Pass(Box::new(output)))
            });
        }
    }

    /// For planted bugs.
    fn another_fails(&self, key: &AppKey) -> bool {
        let failing = |status: &AppStatus| status.condition(ConditionKind::StepFailed).is_some();
        self.status.apps.values().any(|status| status.app != *key && failing(status))
    }

    /// For planted bugs.
    fn claim(&mut self, input: &PassInput) {
        let file_digest = input.decision.file_digest.clone();
        if let Some(previous) = &input.previous {
            let applied_digest = file_digest.clone();
            self.put_status(AppStatus { file_digest, applied_digest, ..(**previous).clone() });
        }
    }

    fn decide(&self, key: &AppKey) -> Decision {
        let folders = self.world.folders();
        decide(&Circumstances {
            key,
            snapshot: &self.snapshot,
            row: self.rows.get(key),
            settings: &self.news.settings,
            dirs: Dirs { code: folders.code_dir(key), data: folders.data_dir(key) },
            host_memory: self.engine.as_ref().map(|engine| Bytes(engine.memory)).filter(|memory| memory.get() > 0),
            absence: self.absence(key),
            admission: self.admissions.get(key).cloned().unwrap_or(Admission::Admitted),
            now: self.world.clock().now(),
        })
    }

    // ------------------------------------------------------------------ time

    fn next_wake(&self) -> Instant {
        let ready = self.engine.is_some() && self.loaded && self.running.len() < self.config.parallel;
        let queue = self.queue.next_due().filter(|_| ready);
        let grace =
            self.missing_since.values().map(|since| *since + self.config.grace).filter(|end| *end > Instant::now());
        grace
            .chain(queue)
            .chain(self.image_retry)
            .chain(self.network_retry)
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

    /// Its removal was decided already: the queue's own backoff sees to the rest.
    fn is_known_gone(&self, key: &AppKey) -> bool {
        self.status.apps.get(key).is_some_and(|status| status.desired == RunState::Deleted)
            || self.held.as_ref().is_some_and(|held| held.apps.contains(key))
    }

    // ------------------------------------------------------------------ status

    fn put_status(&mut self, status: AppStatus) {
        let unchanged = self.status.apps.get(&status.app).is_some_and(|old| **old == status);
        if !unchanged {
            self.status.apps.insert(status.app.clone(), Arc::new(status));
            self.changed = true;
        }
    }

    /// For apps that could not be looked at.
    fn report_without_looking(&mut self, key: &AppKey, finding: &Finding, health: Health) {
        let previous = self.status.apps.get(key).cloned();
        let decision = self.decide(key);
        let verdict = Assessment {
            sync: SyncState::OutOfSync,
            health,
            findings: Vec::new(),
            container: previous.as_ref().and_then(|status| status.container.clone()),
            // Docker being away does not stop containers: requests may still get through.
            endpoint: previous.as_ref().and_then(|status| status.endpoint.clone()),
            restarts: previous.as_ref().map_or(0, |status| status.restarts),
            started_at: previous.as_ref().and_then(|status| status.started_at),
            crashed: None,
            recheck: None,
        };
        let context = Report {
            key,
            decision: &decision,
            settings: &self.news.settings,
            previous: previous.as_deref(),
            row: self.rows.get(key),
            now: self.world.clock().now(),
        };
        let last_exit = previous.as_ref().and_then(|status| status.last_exit.clone());
        let status = report(&context, verdict, vec![finding.clone()], last_exit, false);
        self.put_status(status);
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.status_tx.send_replace(Arc::new(self.status.clone()));
        }
    }
}

/// The apps an event is about: by its labels, else (for somebody else's container with our name) by its name, and by the
/// name that a rename gave up, which may be what an app is waiting for.
fn apps_of_event(event: &EngineEvent) -> BTreeSet<AppKey> {
    let get = |name: &str| event.attributes.get(name).map(String::as_str);
    let by_label = || AppKey::parse(&format!("{}-{}", get(labels::USER)?, get(labels::APP)?)).ok();
    let by_name = |attribute: &str| {
        let name = get(attribute)?.trim_start_matches('/').strip_prefix("paas-app-")?;
        AppKey::parse(name.strip_suffix(".next").or(name.strip_suffix(".prev")).unwrap_or(name)).ok()
    };
    by_label().or_else(|| by_name("name")).into_iter().chain(by_name("oldName")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_job_counts_however_often_it_was_asked_for_meanwhile() {
        let at = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        tokio::time::advance(Duration::from_secs(100)).await;
        let busy = |seconds| Once::Busy { since: at(seconds) };
        for (passes, jobs, want) in [
            (vec![], [Once::Idle, Once::Idle], 0),
            (vec![3, 5], [Once::Idle, Once::Idle], 5),
            (vec![], [busy(7), busy(2)], 7),
            (vec![5], [Once::Idle, Once::BusyAndAskedAgain { since: at(9) }], 9),
            (vec![12], [busy(7), Once::Idle], 12),
        ] {
            let passes: Vec<Instant> = passes.into_iter().map(at).collect();
            assert_eq!(longest(&passes, jobs), Duration::from_secs(want), "{passes:?} {jobs:?}");
        }

        let mut job = Once::Idle;
        assert!(job.ask());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!job.ask() && !job.ask());
        assert_eq!(longest([], [job]), Duration::from_secs(30));
        assert!(job.done() && !job.done());
        assert_eq!(longest([], [job]), Duration::ZERO);
    }
}
