//! What the daemon must remember across its own death: the inventory of apps it has made, the event log, and who may use
//! the portal.

pub mod accounts;
mod explain;
mod schema;
mod sqlite;
pub mod visitors;

use std::collections::BTreeMap;
use std::future::Future;

pub use accounts::AccountStore;
pub use sqlite::{MAX_EVENTS, SqliteStore};
pub use visitors::VisitorStore;

pub use crate::model::inventory::{FailedDeploy, InventoryRow, Removals};
use crate::model::{AppKey, Event, InstanceId, PreviewRecord};

/// The store could not do it. The message names the file, the problem and the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// The seam to the database. Every method is one transaction.
pub trait Store: Send + Sync + 'static {
    fn instance(&self) -> impl Future<Output = Result<Option<InstanceId>, StoreError>> + Send;
    fn set_instance(&self, instance: &InstanceId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every row, or an error that names the unreadable ones: an app that is only missing from the answer would look
    /// like one the daemon never made, and nobody would clean up after it or keep its last good manifest.
    fn inventory(&self) -> impl Future<Output = Result<Vec<InventoryRow>, StoreError>> + Send;
    fn put(&self, row: &InventoryRow) -> impl Future<Output = Result<(), StoreError>> + Send;
    fn forget(&self, key: &AppKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Apps whose file vanished and that are not gone yet: whose removal is held, and whose a person has confirmed.
    fn removals(&self) -> impl Future<Output = Result<Removals, StoreError>> + Send;
    fn set_removals(&self, removals: &Removals) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every preview that somebody asked for and that is not gone yet. One that this version cannot read is left out: what is
    /// there of it is taken away as what nobody asked for.
    fn previews(&self) -> impl Future<Output = Result<Vec<PreviewRecord>, StoreError>> + Send;
    fn put_preview(&self, record: &PreviewRecord) -> impl Future<Output = Result<(), StoreError>> + Send;
    fn forget_preview(&self, key: &AppKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends to the event log, which keeps the newest 10,000 rows.
    fn append(&self, events: &[Event]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// What the log last says that somebody did to an app's manifest, for each app that it says that of.
    fn last_changes(&self) -> impl Future<Output = Result<BTreeMap<AppKey, String>, StoreError>> + Send;
    /// Newest first; of one app, or of everything.
    fn events(&self, app: Option<&AppKey>, limit: u32) -> impl Future<Output = Result<Vec<Event>, StoreError>> + Send;
}
