//! The rest of the daemon's view of the controller: a status to watch and a few commands to send. Nobody outside hands
//! it work; a command only marks keys dirty, or confirms what was held.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{EngineError, Follow, LogLine};
use crate::model::{AppKey, ContainerId, DaemonStatus, Digest};

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
    /// How long the longest of the present passes has been under way; zero when there is none.
    Progress { answer: oneshot::Sender<Duration> },
    /// Let exactly the held removal with this token go on.
    Confirm { token: String, answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>> },
}

/// Why a confirmation was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    #[error("nothing is held: there is no removal to confirm")]
    NothingHeld,
    #[error("the held removal has changed since it was shown: look at `paas status` again, then confirm `{current}`")]
    Changed { current: String },
    #[error("the daemon is stopping: start it again, then confirm")]
    Stopping,
}

/// Cheap to clone; every door of the daemon holds one.
#[derive(Clone)]
pub struct ControllerHandle {
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    commands_tx: mpsc::Sender<Command>,
    logs: Arc<dyn LogReader>,
}

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
        Self { status_rx, commands_tx, logs }
    }

    /// The present status.
    pub fn status(&self) -> Arc<DaemonStatus> {
        self.status_rx.borrow().clone()
    }

    /// The status as it changes. A new value is published after every change, so waiting needs no polling.
    pub fn watch(&self) -> watch::Receiver<Arc<DaemonStatus>> {
        self.status_rx.clone()
    }

    /// Says who is about to write an app's file, so that the event log can name them. Never waits: when the controller is
    /// too busy to listen, the change counts as made to the file itself.
    pub fn announce(&self, key: AppKey, digest: Digest, by: String) {
        if self.commands_tx.try_send(Command::Announce { key, digest, by }).is_err() {
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

    /// Returns the apps that are now removed.
    pub async fn confirm(&self, token: String) -> Result<Vec<AppKey>, ConfirmError> {
        let (answer, reply) = oneshot::channel();
        let command = Command::Confirm { token, answer };
        self.commands_tx.send(command).await.map_err(|_| ConfirmError::Stopping)?;
        reply.await.map_err(|_| ConfirmError::Stopping)?
    }

    /// How long the longest of the present passes has been under way. Does not return while the loop stands still: give it
    /// a deadline. `None` when the daemon is stopping.
    pub async fn progress(&self) -> Option<Duration> {
        let (answer, reply) = oneshot::channel();
        self.commands_tx.send(Command::Progress { answer }).await.ok()?;
        reply.await.ok()
    }

    pub async fn logs(&self, container: ContainerId, tail: u32, follow: Follow) -> Result<LogStream, EngineError> {
        self.logs.logs(container, tail, follow).await
    }
}
