//! The loop: whose backup is due, what is asked for, and which backup was not proven yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::due::due;
use super::{Backup, BackupError, BackupId, Backups, Why};
use crate::clock::Clock;
use crate::model::status::BackupStatus;
use crate::model::{AppKey, InventoryRow, Restore, Settings, Timestamp};
use crate::store::Store;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(30);
/// After a failure, doubling with each.
const FIRST_WAIT_MS: i64 = 10 * 60 * 1_000;
const LONGEST_WAIT_MS: i64 = 6 * 60 * 60 * 1_000;
/// The newest backup is proven when nothing of the app was for so long.
const DRILL_EVERY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Something that a person asks for.
#[derive(Debug)]
enum Request {
    Take { key: AppKey, done: oneshot::Sender<Result<Backup, BackupError>> },
    Check { key: AppKey, id: BackupId, done: oneshot::Sender<Result<Backup, BackupError>> },
    Restore { key: AppKey, what: Wanted, done: oneshot::Sender<Result<Restore, BackupError>> },
}

/// Which data is to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Backup(BackupId),
    /// What the last restore has put aside, by its entry of the trash.
    Before(String),
}

/// How far a restore is, before its data waits for the app to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restoring {
    UnderWay,
    Failed { problem: String },
}

type Restores = BTreeMap<AppKey, Restoring>;

/// What the rest of the daemon holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BackupHandle {
    requests_tx: mpsc::Sender<Request>,
    report_rx: watch::Receiver<Report>,
    restores_rx: watch::Receiver<Restores>,
    backups: Backups,
}

type Report = Arc<BTreeMap<AppKey, BackupStatus>>;

impl BackupHandle {
    /// To read from.
    #[must_use]
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// What is known of each app's backups.
    #[must_use]
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report_rx.clone()
    }

    /// Makes one now. Who goes away does not end it.
    pub async fn take(&self, key: &AppKey) -> Result<Backup, BackupError> {
        self.ask(|done| Request::Take { key: key.clone(), done }).await
    }

    /// Looks now whether one can be restored.
    pub async fn check(&self, key: &AppKey, id: &BackupId) -> Result<Backup, BackupError> {
        self.ask(|done| Request::Check { key: key.clone(), id: id.clone(), done }).await
    }

    /// How far a restore is that is under way, or how the last one failed.
    #[must_use]
    pub fn restoring(&self, key: &AppKey) -> Option<Restoring> {
        self.restores_rx.borrow().get(key).cloned()
    }

    /// Makes data ready to take the place of an app's. That it does is the controller's, which hears of it.
    pub async fn restore(&self, key: &AppKey, what: Wanted) -> Result<Restore, BackupError> {
        self.ask(|done| Request::Restore { key: key.clone(), what, done }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, BackupError>>) -> Request,
    ) -> Result<T, BackupError> {
        let (done_tx, done_rx) = oneshot::channel();
        self.requests_tx.send(request(done_tx)).await.map_err(|_| BackupError::Stopping)?;
        done_rx.await.unwrap_or(Err(BackupError::Stopping))
    }
}

/// The last attempts of an app that failed.
#[derive(Debug, Clone)]
struct Trouble {
    problem: String,
    since: Timestamp,
    attempts: u32,
    again: Timestamp,
}

/// The one that makes backups.
pub struct Task<S, C> {
    backups: Backups,
    store: S,
    clock: C,
    settings_rx: watch::Receiver<Arc<Settings>>,
    requests_rx: mpsc::Receiver<Request>,
    report_tx: watch::Sender<Report>,
    restores_tx: watch::Sender<Restores>,
    /// Whose data waits to be exchanged.
    waiting_tx: Option<mpsc::Sender<AppKey>>,
    troubles: BTreeMap<AppKey, Trouble>,
}

impl<S, C> std::fmt::Debug for Task<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("backups", &self.backups).finish_non_exhaustive()
    }
}

/// What is to be done for an app.
enum Job {
    Take,
    Prove(BackupId),
}

impl<S: Store, C: Clock> Task<S, C> {
    #[must_use]
    pub fn new(
        backups: Backups,
        store: S,
        clock: C,
        settings_rx: watch::Receiver<Arc<Settings>>,
    ) -> (Self, BackupHandle) {
        let (requests_tx, requests_rx) = mpsc::channel(16);
        let (report_tx, report_rx) = watch::channel(Report::default());
        let (restores_tx, restores_rx) = watch::channel(Restores::new());
        let handle = BackupHandle { requests_tx, report_rx, restores_rx, backups: backups.clone() };
        let (waiting_tx, troubles) = (None, BTreeMap::new());
        let task =
            Self { backups, store, clock, settings_rx, requests_rx, report_tx, restores_tx, waiting_tx, troubles };
        (task, handle)
    }

    /// Tells somebody whose data waits to be exchanged.
    #[must_use]
    pub fn telling(mut self, waiting_tx: mpsc::Sender<AppKey>) -> Self {
        self.waiting_tx = Some(waiting_tx);
        self
    }

    /// Until `stop`. Dropping it at any point is safe: the next life looks again at what is there.
    pub async fn run(mut self, stop: CancellationToken) {
        // What a crash has left of a restore takes much of a disk.
        for row in self.rows().await {
            let _ = self.backups.forget_half_made(&row.key).await;
        }
        loop {
            // Cancel-safe: a half-made backup is none, and its child is killed with it.
            let wait = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                did = self.look() => if did { Duration::ZERO } else { LOOK },
            };
            // Cancel-safe: a request that is not taken is seen by the next call.
            let request = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(request) = self.requests_rx.recv() => request,
                () = tokio::time::sleep(wait) => continue,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.answer(request) => {}
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::Take { key, done } => {
                let keep = match self.rows().await.iter().find(|row| row.key == key) {
                    Some(row) => self.policy(row).1,
                    None => self.settings_rx.borrow().backup_keep,
                };
                let _ = done.send(self.take(&key, Why::Asked, keep).await);
            }
            Request::Check { key, id, done } => {
                let _ = done.send(self.backups.check(&key, &id).await);
            }
            Request::Restore { key, what, done } => {
                let _ = done.send(self.restore(&key, &what).await);
            }
        }
    }

    async fn restore(&mut self, key: &AppKey, what: &Wanted) -> Result<Restore, BackupError> {
        self.restores_tx.send_modify(|restores| drop(restores.insert(key.clone(), Restoring::UnderWay)));
        let ready = match what {
            Wanted::Backup(id) => self.backups.restore(key, id).await,
            Wanted::Before(entry) => self.backups.undo_restore(key, entry).await,
        };
        match &ready {
            Ok(_) => {
                self.restores_tx.send_modify(|restores| drop(restores.remove(key)));
                if let Some(waiting_tx) = &self.waiting_tx {
                    // A loop that has ended looks at everything when it begins.
                    let _ = waiting_tx.send(key.clone()).await;
                }
            }
            Err(error) => {
                tracing::warn!(app = %key, %error, "its data could not be put back");
                let failed = Restoring::Failed { problem: error.to_string() };
                self.restores_tx.send_modify(|restores| drop(restores.insert(key.clone(), failed)));
            }
        }
        ready
    }

    async fn rows(&self) -> Vec<InventoryRow> {
        // A database that cannot be read is told of elsewhere.
        self.store.inventory().await.unwrap_or_default()
    }

    fn policy(&self, row: &InventoryRow) -> (String, u32) {
        let settings = self.settings_rx.borrow();
        let own = row.manifest.backup.as_ref();
        let schedule = own.and_then(|own| own.schedule.clone()).unwrap_or_else(|| settings.backup_schedule.clone());
        (schedule, own.and_then(|own| own.keep).unwrap_or(settings.backup_keep))
    }

    /// One thing that is due, if there is any; whether it was done. Publishes what is known.
    async fn look(&mut self) -> bool {
        let rows = self.rows().await;
        let zone = TimeZone::system();
        let mut report = BTreeMap::new();
        let mut job = None;
        self.troubles.retain(|key, _| rows.iter().any(|row| row.key == *key));
        for row in rows.iter().filter(|row| !row.is_tombstone()) {
            let key = &row.key;
            let (schedule, _) = self.policy(row);
            let listed = self.backups.list(key).await;
            let backups = listed.as_deref().unwrap_or_default();
            let newest = backups.iter().find(|backup| !backup.is_broken());
            let next = due(&schedule, newest.map_or(row.admitted_at, |backup| backup.at), key, &zone);
            let trouble = self.troubles.get(key);
            let now = self.clock.now();
            let may = trouble.is_none_or(|trouble| trouble.again <= now);
            if job.is_none() && may {
                let due = next.is_some_and(|next| next <= now);
                job = if due { Some(Job::Take) } else { to_prove(backups, now).map(Job::Prove) }.map(|job| (row, job));
            }
            report.insert(key.clone(), status(backups, next, trouble));
        }
        let old = Arc::clone(&self.report_tx.borrow());
        if *old != report {
            self.report_tx.send_replace(Arc::new(report));
        }
        let Some((row, job)) = job else { return false };
        match job {
            Job::Take => {
                let keep = self.policy(row).1;
                // Its data may be on the way still, or its folder taken away: that is told by its status.
                let _ = self.take(&row.key, Why::Schedule, keep).await;
            }
            Job::Prove(id) => {
                if let Err(error) = self.backups.check(&row.key, &id).await {
                    self.note(&row.key, &error);
                }
            }
        }
        true
    }

    async fn take(&mut self, key: &AppKey, why: Why, keep: u32) -> Result<Backup, BackupError> {
        let taken = self.backups.take(key, why, keep).await;
        match &taken {
            Ok(backup) => {
                self.troubles.remove(key);
                tracing::info!(app = %key, id = %backup.id, bytes = backup.bytes, "backed up");
            }
            Err(error) => self.note(key, error),
        }
        taken
    }

    fn note(&mut self, key: &AppKey, error: &BackupError) {
        tracing::warn!(app = %key, %error, "it could not be backed up; it is tried again");
        let now = self.clock.now();
        let attempts = self.troubles.get(key).map_or(0, |trouble| trouble.attempts) + 1;
        let since = self.troubles.get(key).map_or(now, |trouble| trouble.since);
        let wait = FIRST_WAIT_MS.saturating_mul(1 << attempts.min(16).saturating_sub(1)).min(LONGEST_WAIT_MS);
        let trouble = Trouble { problem: error.to_string(), since, attempts, again: Timestamp(now.0 + wait) };
        self.troubles.insert(key.clone(), trouble);
    }
}

/// The newest, if nobody has looked at it, and at no other for a day.
fn to_prove(backups: &[Backup], now: Timestamp) -> Option<BackupId> {
    let newest = backups.first().filter(|backup| backup.proof.is_none())?;
    let last = backups.iter().filter_map(|backup| backup.proof.as_ref()).map(|proof| proof.at).max();
    last.is_none_or(|last| now.0 - last.0 >= DRILL_EVERY_MS).then(|| newest.id.clone())
}

fn status(backups: &[Backup], next: Option<Timestamp>, trouble: Option<&Trouble>) -> BackupStatus {
    let broken = backups.first().filter(|backup| backup.is_broken()).and_then(|backup| backup.proof.as_ref());
    let problem = trouble.map(|trouble| trouble.problem.clone());
    let since = trouble.map(|trouble| trouble.since);
    BackupStatus {
        last: backups.iter().find(|backup| !backup.is_broken()).map(|backup| backup.at),
        proven: backups.iter().find(|backup| backup.is_proven()).map(|backup| backup.at),
        proven_at: backups
            .iter()
            .filter(|backup| backup.is_proven())
            .filter_map(|backup| backup.proof.as_ref())
            .map(|proof| proof.at)
            .max(),
        count: backups.iter().map(|backup| &backup.id).collect::<BTreeSet<_>>().len() as u64,
        bytes: backups.iter().map(|backup| backup.bytes).sum(),
        next,
        problem: problem.or_else(|| broken.and_then(|proof| proof.problem.clone())),
        since: since.or_else(|| broken.map(|proof| proof.at)),
    }
}
