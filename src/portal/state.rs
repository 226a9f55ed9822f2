//! What the routes stand on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::controller::ControllerHandle;
use crate::model::{AppKey, Event, Settings};
use crate::store::{Store, StoreError};

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

/// Cheap to clone; one per door.
#[derive(Clone)]
pub struct PortalState {
    pub controller: ControllerHandle,
    pub events: Arc<dyn EventReader>,
    /// The settings in force: addresses shown to people follow them.
    pub settings_rx: watch::Receiver<Arc<Settings>>,
    /// Cancelled when the daemon stops: every stream then ends.
    pub stopping: CancellationToken,
}

impl fmt::Debug for PortalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalState").finish_non_exhaustive()
    }
}
