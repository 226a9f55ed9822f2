//! What the routes stand on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::changes::Changes;
use super::cookie;
use super::git::GitDoor;
use super::plan::Planner;
use super::sse::{LOOK_AGAIN, MAX_STREAMS};
use crate::accounts::{Accounts, SiteAccess};
use crate::backup::BackupHandle;
use crate::controller::ControllerHandle;
use crate::drafts::Drafts;
use crate::gateway::TrafficStats;
use crate::history::RecorderHandle;
use crate::metrics::Metrics;
use crate::model::{AppKey, Event, Settings};
use crate::settings::SettingsSource;
use crate::store::{Store, StoreError};
use crate::usage::Usage;
use crate::visits::Visits;

/// Reads the event log. A [`Store`] that can stand behind a pointer.
pub trait EventReader: Send + Sync + 'static {
    /// Newest first; of one app, or of everything.
    fn events(
        &self,
        app: Option<AppKey>,
        limit: u32,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Event>, StoreError>> + Send + '_>>;
}

impl<S: Store> EventReader for S {
    fn events(
        &self,
        app: Option<AppKey>,
        limit: u32,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Event>, StoreError>> + Send + '_>> {
        Box::pin(async move { Store::events(self, app.as_ref(), limit).await })
    }
}

/// A wait holds a connection; a few dozen of 256 may.
const MAX_WAITS: usize = 64;
const MAX_LOG_READS: usize = 4;

/// Cheap to clone; one per door.
#[derive(Clone)]
pub struct PortalState {
    pub controller: ControllerHandle,
    pub events: Arc<dyn EventReader>,
    /// Who may enter.
    pub accounts: Arc<Accounts>,
    /// Who is let into which site; the daemon always has it.
    pub sites: Option<Arc<SiteAccess>>,
    /// Versions of the apps' code; the daemon always has it.
    pub history: Option<RecorderHandle>,
    /// What people have changed and not published; the daemon always has it.
    pub drafts: Option<Arc<Drafts>>,
    /// Backups of the apps' data; the daemon always has it.
    pub backups: Option<BackupHandle>,
    /// What pushes and clones have in common.
    pub git: Arc<GitDoor>,
    /// Places for streams, see [`MAX_STREAMS`](super::sse::MAX_STREAMS).
    pub streams: Arc<Semaphore>,
    /// How often an open stream looks whether its session or key still opens anything.
    pub look_again: Duration,
    /// Places for calls that wait for the world; who finds none is answered at once.
    pub waits: Arc<Semaphore>,
    /// Places for logs that are read whole, each of which may hold some megabytes.
    pub log_reads: Arc<Semaphore>,
    /// What the readers of live events have in common.
    pub changes: Arc<Changes>,
    pub metrics: Metrics,
    /// The gateway's figures; `None` in direct mode.
    pub traffic: Option<Arc<TrafficStats>>,
    /// What apps use; the daemon always has it.
    pub usage: Option<Arc<Usage>>,
    /// How many came; `None` in direct mode.
    pub visits: Option<Arc<Visits>>,
    /// Makes plans; the daemon always has one.
    pub planner: Option<Arc<dyn Planner>>,
    /// Places for plans, each of which asks Docker of every app.
    pub plans: Arc<Semaphore>,
    /// Where the settings come from; the daemon always has it.
    pub settings_source: Option<SettingsSource>,
    /// The settings in force: addresses shown to people follow them.
    pub settings_rx: watch::Receiver<Arc<Settings>>,
    /// Cancelled when the daemon stops: every stream then ends.
    pub stopping: CancellationToken,
}

impl PortalState {
    pub fn new(
        controller: ControllerHandle,
        events: Arc<dyn EventReader>,
        accounts: Arc<Accounts>,
        settings_rx: watch::Receiver<Arc<Settings>>,
        stopping: CancellationToken,
    ) -> Self {
        let mut boot = [0_u8; 8];
        // Without the kernel's random numbers a reader might take this daemon for another one of the same number, which
        // never counts further than its own status: it would only be told too much.
        let _ = rustix::rand::getrandom(&mut boot, rustix::rand::GetRandomFlags::empty());
        Self {
            controller,
            events,
            accounts,
            sites: None,
            history: None,
            drafts: None,
            backups: None,
            git: Arc::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            look_again: LOOK_AGAIN,
            waits: Arc::new(Semaphore::new(MAX_WAITS)),
            log_reads: Arc::new(Semaphore::new(MAX_LOG_READS)),
            metrics: Metrics::default(),
            traffic: None,
            usage: None,
            visits: None,
            planner: None,
            plans: Arc::new(Semaphore::new(1)),
            settings_source: None,
            changes: Arc::new(Changes::new(u64::from_ne_bytes(boot))),
            settings_rx,
            stopping,
        }
    }

    /// What `/metrics` tells besides the status.
    #[must_use]
    pub fn measured(mut self, metrics: Metrics, traffic: Option<Arc<TrafficStats>>) -> Self {
        (self.metrics, self.traffic) = (metrics, traffic);
        self
    }

    /// With what the routes about visitors stand on.
    #[must_use]
    pub fn with_sites(mut self, sites: Arc<SiteAccess>) -> Self {
        self.sites = Some(sites);
        self
    }

    /// With what the routes about versions stand on.
    #[must_use]
    pub fn with_history(mut self, history: RecorderHandle) -> Self {
        self.history = Some(history);
        self
    }

    /// With what the routes about drafts stand on.
    #[must_use]
    pub fn with_drafts(mut self, drafts: Arc<Drafts>) -> Self {
        self.drafts = Some(drafts);
        self
    }

    /// With what the routes about backups stand on.
    #[must_use]
    pub fn with_backups(mut self, backups: BackupHandle) -> Self {
        self.backups = Some(backups);
        self
    }

    /// With what is recorded of apps.
    #[must_use]
    pub fn recorded(mut self, usage: Arc<Usage>, visits: Option<Arc<Visits>>) -> Self {
        (self.usage, self.visits) = (Some(usage), visits);
        self
    }

    /// With what the routes for operators stand on.
    #[must_use]
    pub fn operated(mut self, planner: Arc<dyn Planner>, source: SettingsSource) -> Self {
        (self.planner, self.settings_source) = (Some(planner), Some(source));
        self
    }

    /// Of the session cookie, as the settings are now.
    #[must_use]
    pub fn cookie_name(&self) -> String {
        cookie::name(&self.settings_rx.borrow())
    }
}

impl fmt::Debug for PortalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalState").finish_non_exhaustive()
    }
}
