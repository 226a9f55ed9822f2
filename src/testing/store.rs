//! The store in memory: it survives the daemon, as the file does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{AppKey, Event, InstanceId};
use crate::store::{InventoryRow, Store, StoreError};

/// How many rows the event log keeps.
const EVENTS_KEPT: usize = 10_000;

#[derive(Debug, Default)]
struct Tables {
    instance: Option<InstanceId>,
    inventory: BTreeMap<AppKey, InventoryRow>,
    /// Oldest first.
    events: Vec<Event>,
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
        self.lock().inventory.insert(row.key.clone(), row.clone());
        Ok(())
    }

    async fn forget(&self, key: &AppKey) -> Result<(), StoreError> {
        self.lock().inventory.remove(key);
        Ok(())
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        let log = &mut self.lock().events;
        log.extend_from_slice(events);
        let surplus = log.len().saturating_sub(EVENTS_KEPT);
        log.drain(..surplus);
        Ok(())
    }

    async fn events(&self, app: Option<&AppKey>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let wanted = |event: &&Event| app.is_none() || event.app.as_ref() == app;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.lock().events.iter().rev().filter(wanted).take(limit).cloned().collect())
    }
}
