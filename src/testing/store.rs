//! The store in memory: it survives the daemon, as the file does, and a power loss as well, because what the real one has
//! answered is flushed (`store`: WAL with `synchronous=FULL`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::model::{AppKey, Event, EventKind, InstanceId, PreviewRecord};
use crate::store::{InventoryRow, Removals, Store, StoreError};

/// How many rows the event log keeps.
const EVENTS_KEPT: usize = 10_000;

/// A write of an app's row: when, whose, and whether there is one afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    pub at: Instant,
    pub key: AppKey,
    pub present: bool,
}

#[derive(Debug, Default)]
struct Tables {
    instance: Option<InstanceId>,
    inventory: BTreeMap<AppKey, InventoryRow>,
    removals: Removals,
    previews: BTreeMap<AppKey, PreviewRecord>,
    /// Oldest first.
    events: Vec<Event>,
    row_changes: Vec<RowChange>,
}

/// Cheap to clone; all clones are one database.
#[derive(Debug, Clone, Default)]
pub struct MemStore {
    tables: Arc<Mutex<Tables>>,
}

impl MemStore {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the inventory really holds.
    #[must_use]
    pub fn rows(&self) -> Vec<InventoryRow> {
        self.lock().inventory.values().cloned().collect()
    }

    /// What it really holds of one app.
    #[must_use]
    pub fn row(&self, key: &AppKey) -> Option<InventoryRow> {
        self.lock().inventory.get(key).cloned()
    }

    /// Whose removal it knows to be held, and whose to be confirmed.
    #[must_use]
    pub fn noted_removals(&self) -> Removals {
        self.lock().removals.clone()
    }

    /// The previews that it knows of.
    #[must_use]
    pub fn preview_records(&self) -> Vec<PreviewRecord> {
        self.lock().previews.values().cloned().collect()
    }

    /// The database is lost; an empty one takes its place. The installation's id is known from the marker.
    pub fn lose_inventory(&self) {
        let mut tables = self.lock();
        tables.inventory.clear();
        tables.removals = Removals::default();
        tables.previews.clear();
    }

    /// Every write of a row so far.
    #[must_use]
    pub fn row_changes(&self) -> Vec<RowChange> {
        self.lock().row_changes.clone()
    }

    /// The whole event log, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Event> {
        self.lock().events.clone()
    }
}

impl Store for MemStore {
    async fn instance(&self) -> Result<Option<InstanceId>, StoreError> {
        Ok(self.lock().instance.clone())
    }

    async fn set_instance(&self, instance: &InstanceId) -> Result<(), StoreError> {
        self.lock().instance = Some(instance.clone());
        Ok(())
    }

    async fn inventory(&self) -> Result<Vec<InventoryRow>, StoreError> {
        Ok(self.rows())
    }

    async fn put(&self, row: &InventoryRow) -> Result<(), StoreError> {
        let mut tables = self.lock();
        tables.inventory.insert(row.key.clone(), row.clone());
        tables.row_changes.push(RowChange { at: Instant::now(), key: row.key.clone(), present: true });
        Ok(())
    }

    async fn forget(&self, key: &AppKey) -> Result<(), StoreError> {
        let mut tables = self.lock();
        tables.inventory.remove(key);
        tables.row_changes.push(RowChange { at: Instant::now(), key: key.clone(), present: false });
        Ok(())
    }

    async fn removals(&self) -> Result<Removals, StoreError> {
        Ok(self.noted_removals())
    }

    async fn set_removals(&self, removals: &Removals) -> Result<(), StoreError> {
        self.lock().removals.clone_from(removals);
        Ok(())
    }

    async fn previews(&self) -> Result<Vec<PreviewRecord>, StoreError> {
        Ok(self.preview_records())
    }

    async fn put_preview(&self, record: &PreviewRecord) -> Result<(), StoreError> {
        self.lock().previews.insert(record.key.clone(), record.clone());
        Ok(())
    }

    async fn forget_preview(&self, key: &AppKey) -> Result<(), StoreError> {
        self.lock().previews.remove(key);
        Ok(())
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        let log = &mut self.lock().events;
        log.extend_from_slice(events);
        let surplus = log.len().saturating_sub(EVENTS_KEPT);
        log.drain(..surplus);
        Ok(())
    }

    async fn last_changes(&self) -> Result<BTreeMap<AppKey, String>, StoreError> {
        let log = &self.lock().events;
        let changes = log.iter().filter(|event| event.kind == EventKind::Changed);
        Ok(changes.filter_map(|event| Some((event.app.clone()?, event.what.clone()))).collect())
    }

    async fn events(&self, app: Option<&AppKey>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let wanted = |event: &&Event| app.is_none() || event.app.as_ref() == app;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.lock().events.iter().rev().filter(wanted).take(limit).cloned().collect())
    }
}
