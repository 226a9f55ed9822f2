//! The rest of the daemon's view of the controller: a status to watch and a few commands to send. Nobody outside hands
//! it work; a command only marks keys dirty, or confirms what was held.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::admission::QuotaReached;
use crate::engine::{EngineError, Follow, LogLine};
use crate::model::{AppKey, ContainerId, DaemonStatus, Digest, PreviewSource};

/// An app's log, oldest line first.
pub type LogStream = BoxStream<'static, Result<LogLine, EngineError>>;

/// Reads container logs on behalf of those who may not know the engine.
pub trait LogReader: Send + Sync + 'static {
    fn logs(
        &self,
        container: ContainerId,
        tail: u32,
        follow: Follow,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>>;
}

/// What can be asked of the controller.
#[derive(Debug)]
pub enum Command {
    /// A door is about to write an app's file, which will have this digest; for the event log only.
    Announce { key: AppKey, digest: Digest, by: String },
    /// It was not written after all.
    Withdraw { key: AppKey, digest: Digest },
    /// Look at this app now; an edit skips its backoff.
    Mark(AppKey),
    /// Read the folder and look at everything now.
    Resync,
    /// How long the longest of the present jobs (passes, readings, looks at Docker; not builds, which have their own limit)
    /// has been under way; zero when there is none.
    Progress { answer: oneshot::Sender<Duration> },
    /// Let an app sleep that may, before its time. Who says so is for the event log only.
    Sleep { key: AppKey, by: String },
    /// Wake an app that sleeps.
    Wake { key: AppKey, by: String },
    /// Let exactly the held removal with this token go on. Who says so is for the event log only.
    Confirm { token: String, by: String, answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>> },
    /// Show the app's owner other code than its visitors see, or go on showing it.
    Preview { key: AppKey, source: PreviewSource, answer: oneshot::Sender<Result<(), PreviewRefused>> },
    /// Take it away.
    EndPreview { key: AppKey, answer: oneshot::Sender<Result<(), PreviewRefused>> },
}

/// Why there is no preview.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreviewRefused {
    #[error(
        "with PAAS_ROUTING=direct nobody asks who comes, so everybody would see the preview: it takes PAAS_ROUTING=gateway"
    )]
    NeedsGateway,
    #[error("there is no such app, or its manifest cannot be used: look at `paas status`")]
    NoApp,
    #[error("Docker cannot be reached: look at `paas doctor`, then try again")]
    EngineAway,
    #[error("the app {other} has the address of this preview: give it another name")]
    NameTaken { other: AppKey },
    #[error("{0}")]
    Quota(QuotaReached),
    #[error("the preview could not be written down: {reason}; try again")]
    Unwritten { reason: String },
    #[error("the daemon is busy with what was to be seen before: try again in a moment")]
    Busy,
    #[error("the daemon is stopping: try again when it is back")]
    Stopping,
}

/// Why a confirmation was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    #[error("nothing is held: there is no removal to confirm")]
    NothingHeld,
    #[error(
        "the manifests folder cannot be trusted, so nobody can say what has vanished from it: {reason}; then look at `paas \
         status` again, and confirm what is held by then"
    )]
    OutOfSight { reason: String },
    #[error(
        "this token is wrong: it is mistyped, or what is held has changed since it was shown; look at `paas confirm` again, then \
         confirm `{current}`"
    )]
    Changed { current: String },
    #[error("the confirmation could not be written down, so nothing is removed: {reason}; then confirm once more")]
    Unwritten { reason: String },
    #[error("the daemon is stopping: start it again, then confirm")]
    Stopping,
}

/// Cheap to clone; every door of the daemon holds one.
#[derive(Clone)]
pub struct ControllerHandle {
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    commands_tx: mpsc::Sender<Command>,
    logs: Arc<dyn LogReader>,
    /// The one question after the progress that may be under way: anybody may ask, and edits go through the same channel.
    asked: Arc<Mutex<Option<oneshot::Receiver<Duration>>>>,
}

/// How long an announcement waits for the controller to listen.
const ANNOUNCE_PATIENCE: Duration = Duration::from_secs(1);

/// How long somebody waits until a preview is written down: another one of the same app may be under way.
const PREVIEW_PATIENCE: Duration = Duration::from_secs(20);

impl fmt::Debug for ControllerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerHandle").finish_non_exhaustive()
    }
}

impl ControllerHandle {
    pub fn new(
        status_rx: watch::Receiver<Arc<DaemonStatus>>,
        commands_tx: mpsc::Sender<Command>,
        logs: Arc<dyn LogReader>,
    ) -> Self {
        Self { status_rx, commands_tx, logs, asked: Arc::default() }
    }

    /// The present status.
    pub fn status(&self) -> Arc<DaemonStatus> {
        self.status_rx.borrow().clone()
    }

    /// The status as it changes. A new value is published after every change, so waiting needs no polling.
    pub fn watch(&self) -> watch::Receiver<Arc<DaemonStatus>> {
        self.status_rx.clone()
    }

    /// Says who is about to write an app's file, so that the event log can name them. Returns once the controller will hear
    /// it before it reads the file; when it does not listen for a second, the change counts as made to the file itself.
    pub async fn announce(&self, key: AppKey, digest: Digest, by: String) {
        let told = self.commands_tx.send(Command::Announce { key, digest, by });
        if !matches!(tokio::time::timeout(ANNOUNCE_PATIENCE, told).await, Ok(Ok(()))) {
            tracing::warn!("the controller was too busy to hear who edits a manifest");
        }
    }

    /// Takes an announcement back.
    pub fn withdraw(&self, key: AppKey, digest: Digest) {
        // One that stays expires by itself.
        let _ = self.commands_tx.try_send(Command::Withdraw { key, digest });
    }

    pub async fn mark(&self, key: AppKey) {
        // A closed channel means the daemon is stopping; the next start looks at everything.
        let _ = self.commands_tx.send(Command::Mark(key)).await;
    }

    pub async fn resync(&self) {
        let _ = self.commands_tx.send(Command::Resync).await;
    }

    /// It falls asleep when nobody is there any more.
    pub async fn sleep(&self, key: AppKey, by: String) {
        // A closed channel means the daemon is stopping.
        let _ = self.commands_tx.send(Command::Sleep { key, by }).await;
    }

    pub async fn wake(&self, key: AppKey, by: String) {
        let _ = self.commands_tx.send(Command::Wake { key, by }).await;
    }

    /// Returns the apps that are now removed.
    pub async fn confirm(&self, token: String, by: String) -> Result<Vec<AppKey>, ConfirmError> {
        let (answer, reply) = oneshot::channel();
        let command = Command::Confirm { token, by, answer };
        self.commands_tx.send(command).await.map_err(|_| ConfirmError::Stopping)?;
        reply.await.map_err(|_| ConfirmError::Stopping)?
    }

    /// Returns once it is written down; the status tells how far it is.
    ///
    /// # Errors
    /// When it cannot be shown.
    pub async fn preview(&self, key: AppKey, source: PreviewSource) -> Result<(), PreviewRefused> {
        self.about_preview(|answer| Command::Preview { key, source, answer }).await
    }

    /// Returns once that is written down.
    ///
    /// # Errors
    /// When that could not be done.
    pub async fn end_preview(&self, key: AppKey) -> Result<(), PreviewRefused> {
        self.about_preview(|answer| Command::EndPreview { key, answer }).await
    }

    async fn about_preview(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), PreviewRefused>>) -> Command,
    ) -> Result<(), PreviewRefused> {
        let (answer, reply) = oneshot::channel();
        self.commands_tx.send(command(answer)).await.map_err(|_| PreviewRefused::Stopping)?;
        match tokio::time::timeout(PREVIEW_PATIENCE, reply).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(PreviewRefused::Stopping),
            Err(_) => Err(PreviewRefused::Busy),
        }
    }

    /// How long the longest of the present jobs has been under way. Does not return while the loop stands still: give it
    /// a deadline. `None` when the daemon is stopping.
    ///
    /// However many ask, one question at a time is in the controller's channel.
    pub async fn progress(&self) -> Option<Duration> {
        // Cancel-safe: a question that nobody waits for any more stays, and the next one waits for its answer.
        let mut asked = self.asked.lock().await;
        // An answer that came after its asker had gone is an old one.
        let is_open = asked.as_mut().is_some_and(|reply| matches!(reply.try_recv(), Err(TryRecvError::Empty)));
        if !is_open {
            let (answer, reply) = oneshot::channel();
            self.commands_tx.send(Command::Progress { answer }).await.ok()?;
            *asked = Some(reply);
        }
        let answer = asked.as_mut()?.await.ok();
        *asked = None;
        answer
    }

    pub async fn logs(&self, container: ContainerId, tail: u32, follow: Follow) -> Result<LogStream, EngineError> {
        self.logs.logs(container, tail, follow).await
    }
}

#[cfg(test)]
mod tests {

    use futures_util::future::join_all;

    use super::*;

    struct NoLogs;

    impl LogReader for NoLogs {
        fn logs(
            &self,
            _: ContainerId,
            _: u32,
            _: Follow,
        ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>> {
            unreachable!("nobody reads logs here")
        }
    }

    /// A loop that stands still: nobody takes what is sent.
    fn handle(room: usize) -> (ControllerHandle, mpsc::Receiver<Command>, watch::Sender<Arc<DaemonStatus>>) {
        let (commands_tx, commands_rx) = mpsc::channel(room);
        let (status_tx, status_rx) = watch::channel(Arc::new(DaemonStatus::unseen()));
        (ControllerHandle::new(status_rx, commands_tx, Arc::new(NoLogs)), commands_rx, status_tx)
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_for_the_progress_an_announcement_is_heard() {
        let (handle, mut commands_rx, _status_tx) = handle(2);
        let ask = || tokio::time::timeout(Duration::from_millis(10), handle.progress());
        let answers = join_all((0..100).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_err), "nobody answers");
        handle.announce(AppKey::parse("alice-diary").unwrap(), Digest::of(b"new"), "key 1".to_owned()).await;

        let Some(Command::Progress { answer }) = commands_rx.recv().await else { panic!("no question") };
        assert!(matches!(commands_rx.try_recv(), Ok(Command::Announce { .. })));
        // Too late for those who asked; who asks now gets an answer of now.
        answer.send(Duration::from_secs(1)).unwrap();
        let answered = async {
            let Some(Command::Progress { answer }) = commands_rx.recv().await else { panic!("no question") };
            answer.send(Duration::from_secs(2)).unwrap();
        };
        let (got, ()) = tokio::join!(handle.progress(), answered);
        assert_eq!(got, Some(Duration::from_secs(2)));
    }
}
