//! What the routes stand on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::caller::Credentials;
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
    /// Who may enter.
    pub credentials: Arc<dyn Credentials>,
    /// The settings in force: addresses shown to people follow them.
    pub settings_rx: watch::Receiver<Arc<Settings>>,
    /// Cancelled when the daemon stops: every stream then ends.
    pub stopping: CancellationToken,
}

impl PortalState {
    /// With `PORTAL_COOKIE_SECURE` the browser itself guards that nobody but this very host, over TLS, has set the cookie.
    #[must_use]
    pub fn cookie_name(&self) -> String {
        let settings = self.settings_rx.borrow();
        let prefix = if settings.portal_cookie_secure { "__Host-" } else { "" };
        format!("{prefix}{}", settings.session_cookie_name)
    }
}

impl fmt::Debug for PortalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalState").finish_non_exhaustive()
    }
}
