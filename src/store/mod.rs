//! What the daemon must remember across its own death: the inventory of apps it has made, and the event log.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::model::{AppKey, Digest, Event, Identity, InstanceId, Manifest, Template, Timestamp};

/// One app the daemon is responsible for. Written before its first container is created, dropped after its last clean-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryRow {
    pub key: AppKey,
    /// When the app was first admitted: under a quota the oldest go first.
    pub admitted_at: Timestamp,
    /// The last manifest that parsed and resolved, and the template it named: what stays in force when the file breaks.
    pub manifest: Manifest,
    pub template: Template,
    /// Digest of that manifest's file.
    pub digest: Digest,
    /// A successor that never became healthy: not tried again until the app's identity changes.
    #[serde(default)]
    pub failed: Option<FailedDeploy>,
}

/// A deploy that was given up while the previous container went on serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedDeploy {
    pub identity: Identity,
    pub image_id: String,
    pub reason: String,
    pub at: Timestamp,
}

/// The store could not do it. The message names the file, the problem and the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// The seam to the database. Every method is one transaction.
pub trait Store: Send + Sync + 'static {
    fn instance(&self) -> impl Future<Output = Result<Option<InstanceId>, StoreError>> + Send;
    fn set_instance(&self, instance: &InstanceId) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn inventory(&self) -> impl Future<Output = Result<Vec<InventoryRow>, StoreError>> + Send;
    fn put(&self, row: &InventoryRow) -> impl Future<Output = Result<(), StoreError>> + Send;
    fn forget(&self, key: &AppKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends to the event log, which keeps the newest 10,000 rows.
    fn append(&self, events: &[Event]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Newest first; of one app, or of everything.
    fn events(&self, app: Option<&AppKey>, limit: u32) -> impl Future<Output = Result<Vec<Event>, StoreError>> + Send;
}
