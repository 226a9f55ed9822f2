//! Data that is put back in a simulated world: what waits, and what was seen when it took its place.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::folders::Files;
use crate::folders::{Incoming, restore_of};
use crate::model::{AppKey, Restore, Timestamp};

/// Data beside an app's: what is to come, and after the exchange what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    pub restore: Restore,
    pub data: Option<Files>,
    pub swapped: bool,
}

impl Awaited {
    pub(super) fn of(key: &AppKey, data: Files, now: Timestamp) -> Self {
        Self { restore: restore_of(key, now, Some(now)), data: Some(data), swapped: false }
    }

    pub(super) fn told(&self) -> Incoming {
        Incoming { restore: self.restore.clone(), swapped: self.swapped }
    }

    /// In one step; `false`: it was done before.
    pub(super) fn exchange(&mut self, data: &mut Option<Files>) -> bool {
        if self.swapped {
            return false;
        }
        std::mem::swap(&mut self.data, data);
        self.swapped = true;
        true
    }
}

/// What people asked to put back, and how it was done.
#[derive(Debug, Clone)]
pub struct Exchanges {
    /// What was asked for last.
    pub wanted: BTreeMap<AppKey, Files>,
    /// Apps whose data changed places while a container of theirs ran.
    pub amid_writing: Vec<AppKey>,
    pub(super) start_before: BTreeSet<AppKey>,
    asked_tx: watch::Sender<Option<AppKey>>,
}

impl Default for Exchanges {
    fn default() -> Self {
        let (wanted, start_before) = (BTreeMap::new(), BTreeSet::new());
        Self { wanted, amid_writing: Vec::new(), start_before, asked_tx: watch::Sender::new(None) }
    }
}

impl Exchanges {
    pub(super) fn asked(&mut self, key: &AppKey, data: Files) {
        self.wanted.insert(key.clone(), data);
        self.asked_tx.send_replace(Some(key.clone()));
    }

    pub(super) fn done(&mut self, key: &AppKey, is_mounted: bool) {
        if is_mounted {
            self.amid_writing.push(key.clone());
        }
    }

    /// For whom data waits, as it is asked for.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Option<AppKey>> {
        self.asked_tx.subscribe()
    }
}
