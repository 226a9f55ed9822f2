//! Keeps every history up with the checkouts that are there: the one that writes.
//!
//! It follows the status and changes no app. What it finds to do it finds by looking (checkouts that are not recorded, a
//! version that answers and is not marked), so nothing is lost when the daemon dies in between.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Door, GitHistory, HistoryError, Note, Publication};
use crate::folders::CodeAt;
use crate::model::{AppKey, AppStatus, DaemonStatus, Health, RunState, Timestamp, VersionId};

/// A container that has just been started has the machine to itself for so long.
const QUIET: Duration = Duration::from_millis(1_500);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(60);

/// Who asked for something, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    pub by: String,
    pub did: Did,
}

/// What somebody did to an app, as far as a version may come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// Made it.
    Make,
    /// Let another version run.
    GoBack,
    Other,
}

/// Knows who changed an app's manifest.
pub trait Authors: Send + Sync + 'static {
    /// The last who did until then.
    fn last_until<'a>(
        &'a self,
        key: &'a AppKey,
        at: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Option<Author>> + Send + 'a>>;
}

/// Something to be done now rather than by and by.
#[derive(Debug)]
enum Request {
    CatchUp { key: AppKey, done: oneshot::Sender<Result<(), HistoryError>> },
    Compare { key: AppKey, done: oneshot::Sender<Result<(), HistoryError>> },
    Publish { key: AppKey, publication: Box<Publication>, done: oneshot::Sender<Result<VersionId, HistoryError>> },
    MoveBranch { key: AppKey, to: String, done: oneshot::Sender<Result<(), HistoryError>> },
}

/// What the rest of the daemon holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RecorderHandle {
    requests_tx: mpsc::Sender<Request>,
    history: GitHistory,
}

impl RecorderHandle {
    /// To read from.
    #[must_use]
    pub fn history(&self) -> &GitHistory {
        &self.history
    }

    /// Until every checkout of the app is recorded.
    ///
    /// # Errors
    /// When no history is kept, or one could not be.
    pub async fn catch_up(&self, key: &AppKey) -> Result<(), HistoryError> {
        self.ask(|done| Request::CatchUp { key: key.clone(), done }).await
    }

    /// Until `app/` as it is now can be compared.
    ///
    /// # Errors
    /// When no history is kept, or it cannot be read.
    pub async fn compare_working_copy(&self, key: &AppKey) -> Result<(), HistoryError> {
        self.ask(|done| Request::Compare { key: key.clone(), done }).await
    }

    /// Makes a version without the working copy. It runs once the manifest names it.
    ///
    /// # Errors
    /// When no history is kept, there is no such version, or the changes cannot be made.
    pub async fn publish(&self, key: &AppKey, publication: Publication) -> Result<VersionId, HistoryError> {
        self.ask(|done| Request::Publish { key: key.clone(), publication: Box::new(publication), done }).await
    }

    /// Until the app's branch names that commit, which is in the history.
    ///
    /// # Errors
    /// When no history is kept, or git fails.
    pub async fn move_branch(&self, key: &AppKey, to: &str) -> Result<(), HistoryError> {
        self.ask(|done| Request::MoveBranch { key: key.clone(), to: to.to_owned(), done }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, HistoryError>>) -> Request,
    ) -> Result<T, HistoryError> {
        if let Some(why) = self.history.off() {
            return Err(HistoryError::Off(why.to_owned()));
        }
        let stopping = || HistoryError::Off("the daemon is stopping: ask again in a moment".to_owned());
        let (done_tx, done_rx) = oneshot::channel();
        self.requests_tx.send(request(done_tx)).await.map_err(|_| stopping())?;
        done_rx.await.unwrap_or_else(|_| Err(stopping()))
    }
}

/// The version that answers now.
fn answers(app: &AppStatus) -> Option<(AppKey, VersionId)> {
    let answers = app.health == Health::Running && app.endpoint.is_some();
    Some((app.app.clone(), app.version.clone().filter(|_| answers)?))
}

/// The one that writes histories.
pub struct Recorder {
    history: GitHistory,
    authors: Arc<dyn Authors>,
    requests_rx: mpsc::Receiver<Request>,
    /// Apps whose checkouts may go now.
    recorded_tx: mpsc::Sender<AppKey>,
    /// What was last seen of each app, and dealt with.
    seen: BTreeMap<AppKey, Arc<AppStatus>>,
    /// Versions that were seen to answer and are not marked yet: another one may run by the time that they are recorded.
    answered: BTreeSet<(AppKey, VersionId)>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("history", &self.history).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Tells in the channel which apps' checkouts are recorded; what finds no place there is found by the next look.
    #[must_use]
    pub fn new(history: GitHistory, authors: Arc<dyn Authors>) -> (Self, RecorderHandle, mpsc::Receiver<AppKey>) {
        let (requests_tx, requests_rx) = mpsc::channel(16);
        let (recorded_tx, recorded_rx) = mpsc::channel(16);
        let handle = RecorderHandle { requests_tx, history: history.clone() };
        (
            Self { history, authors, requests_rx, recorded_tx, seen: BTreeMap::new(), answered: BTreeSet::new() },
            handle,
            recorded_rx,
        )
    }

    /// Until `stop`.
    pub async fn run(mut self, mut status_rx: watch::Receiver<Arc<DaemonStatus>>, stop: CancellationToken) {
        if let Some(why) = self.history.off() {
            tracing::warn!("{why}");
            // Handles that wait are told so without asking.
            return stop.cancelled().await;
        }
        let mut next = None;
        loop {
            let wait = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Cancel-safe: a change or a request that is not taken is seen by the next call.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(request) = self.requests_rx.recv() => self.answer(request, &status_rx).await,
                () = wait => {
                    let status = Arc::clone(&status_rx.borrow());
                    next = self.follow(&status, &stop).await.then(|| tokio::time::Instant::now() + AGAIN);
                }
                changed = status_rx.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let status = Arc::clone(&status_rx.borrow_and_update());
                    self.answered.extend(status.apps.values().filter_map(|app| answers(app)));
                    let soon = tokio::time::Instant::now() + QUIET;
                    next = Some(next.map_or(soon, |next| next.min(soon)));
                }
            }
        }
    }

    async fn answer(&mut self, request: Request, status_rx: &watch::Receiver<Arc<DaemonStatus>>) {
        // Whoever asked may have gone.
        match request {
            Request::CatchUp { key, done } => {
                let app = status_rx.borrow().apps.get(&key).cloned();
                let caught_up = match app {
                    Some(app) => self.catch_up(&app).await,
                    None => Ok(()),
                };
                let _ = done.send(caught_up);
            }
            Request::Publish { key, publication, done } => {
                drop(done.send(self.history.publish(&key, *publication).await));
            }
            Request::MoveBranch { key, to, done } => drop(done.send(self.history.move_branch(&key, &to).await)),
            Request::Compare { key, done } => drop(done.send(self.history.note_working_copy(&key).await)),
        }
    }

    /// Every app that was not dealt with as it is now. Whether one of them is to be tried again.
    async fn follow(&mut self, status: &DaemonStatus, stop: &CancellationToken) -> bool {
        self.seen.retain(|key, _| status.apps.contains_key(key));
        self.answered.retain(|(key, _)| status.apps.contains_key(key));
        let mut failed = false;
        for (key, app) in &status.apps {
            if stop.is_cancelled() {
                return false;
            }
            if self.seen.get(key).is_some_and(|seen| Arc::ptr_eq(seen, app)) {
                continue;
            }
            match self.catch_up(app).await {
                Ok(()) => drop(self.seen.insert(key.clone(), Arc::clone(app))),
                Err(error) => {
                    failed = true;
                    tracing::warn!(app = %key, %error, "its history could not be kept up; it is tried again");
                }
            }
        }
        failed
    }

    /// Records what is not recorded, the oldest first.
    async fn catch_up(&mut self, app: &AppStatus) -> Result<(), HistoryError> {
        let key = &app.app;
        if app.desired == RunState::Deleted || app.health == Health::Deleted {
            return Ok(());
        }
        let recorded = self.history.refs(key, "versions").await?;
        let checkouts = self.history.checkouts(key).await?;
        let mut is_first = recorded.is_empty();
        let missing = checkouts.iter().any(|version| !recorded.contains(version));
        // One runs, and one is what the app comes back to.
        let several = checkouts.len() > 1;
        if checkouts.is_empty() && is_first {
            return match self.record(key, CodeAt::Working, Door::Before).await {
                // It is only being made.
                Err(HistoryError::NoCode(_)) => Ok(()),
                recorded => recorded,
            };
        }
        for version in checkouts.into_iter().filter(|version| !recorded.contains(version)) {
            let door = if is_first { Door::Template } else { Door::Deploy };
            is_first = false;
            self.record(key, CodeAt::Version(version), door).await?;
        }
        if missing && several {
            let _ = self.recorded_tx.try_send(key.clone());
        }
        self.answered.extend(answers(app));
        let of_app = self.answered.iter().filter(|(of, _)| of == key).map(|(_, version)| version.clone());
        let answered: BTreeSet<VersionId> = of_app.collect();
        if answered.is_empty() {
            return Ok(());
        }
        let marked = self.history.refs(key, "healthy").await?;
        let recorded = self.history.refs(key, "versions").await?;
        for version in answered.intersection(&recorded).filter(|version| !marked.contains(*version)) {
            self.history.mark_healthy(key, version).await?;
        }
        // The one that answers now is looked for again with each change of the app.
        self.answered.retain(|(of, version)| of != key || !recorded.contains(version));
        Ok(())
    }

    /// `expected`: the door, unless the event log knows better.
    async fn record(&self, key: &AppKey, code: CodeAt, expected: Door) -> Result<(), HistoryError> {
        let at = self.history.taken_at(key, &code).await?;
        let author = self.authors.last_until(key, at).await;
        let did = author.as_ref().map(|author| author.did);
        let door = match (expected, did) {
            (Door::Template, Some(Did::GoBack | Did::Other)) => Door::Before,
            (Door::Deploy, Some(Did::GoBack)) => Door::Saved,
            (door, _) => door,
        };
        let by = author.map_or_else(|| "somebody".to_owned(), |author| author.by);
        let message = match door {
            Door::Template => "made from its template",
            Door::Deploy | Door::Publish | Door::Push => "deployed",
            Door::Saved => "kept before another version ran",
            Door::Before => "what was there when its history began",
        };
        let version = self.history.record(key, code, Note { by, door, message: message.to_owned() }).await?;
        tracing::info!(app = %key, %version, "recorded in its history");
        Ok(())
    }
}
