//! Requests that wait for their app instead of being refused: it restarts after a crash, or is on its way up.
//!
//! # Guarantees
//! - Whoever waits is woken by a new table of routes, and by the first of them whose connection the app takes.
//! - One request of an app tries at a time, so that an app that is down is not asked a hundred times for a hundred visitors.
//! - Those who wait are bounded in number, for one app and in all; the others are told at once.
//!
//! An app that answers costs this nothing: an entry is there only as long as somebody waits.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::routes::Routes;
use crate::model::AppKey;

/// From the first try on that a connection is not taken; twice as long after each.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Who waits, for every app.
pub(super) struct Holds {
    most: usize,
    most_of_one: usize,
    apps: Mutex<HashMap<AppKey, Arc<App>>>,
    all: AtomicUsize,
}

/// An app that somebody waits for.
#[derive(Default)]
struct App {
    held: AtomicUsize,
    /// One of them tries from time to time.
    is_tried: AtomicBool,
    woken: Notify,
}

impl Holds {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, apps: Mutex::default(), all: AtomicUsize::new(0) }
    }

    /// A place among those who wait, until `until`. None: there are too many.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: &AppKey,
        routes_rx: watch::Receiver<Arc<Routes>>,
        until: Instant,
    ) -> Option<Held> {
        let mut apps = self.apps();
        let has = apps.get(key).map_or(0, |app| app.held.load(Relaxed));
        if has >= self.most_of_one || self.all.load(Relaxed) >= self.most {
            return None;
        }
        let app = Arc::clone(apps.entry(key.clone()).or_default());
        app.held.fetch_add(1, Relaxed);
        self.all.fetch_add(1, Relaxed);
        Some(Held {
            holds: Arc::clone(self),
            key: key.clone(),
            app,
            routes_rx,
            until,
            tries: false,
            pause: FIRST_PAUSE,
        })
    }

    /// Nothing in here panics half-way through a change.
    fn apps(&self) -> MutexGuard<'_, HashMap<AppKey, Arc<App>>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that waits.
pub(super) struct Held {
    holds: Arc<Holds>,
    key: AppKey,
    app: Arc<App>,
    routes_rx: watch::Receiver<Arc<Routes>>,
    until: Instant,
    /// It is the one that tries.
    tries: bool,
    pause: Duration,
}

/// Why a request does not wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitedEnough;

impl Held {
    /// Returns when it is worth another try.
    pub(super) async fn wait(&mut self) -> Result<(), WaitedEnough> {
        let mut woken = pin!(self.app.woken.notified());
        // From here on it is not missed.
        woken.as_mut().enable();
        self.tries = self.tries || !self.app.is_tried.swap(true, Relaxed);
        let pause = if self.tries { self.pause } else { Duration::MAX };
        // Cancel-safe: all of them only wait, and a table that was not looked at yet is still new.
        tokio::select! {
            changed = self.routes_rx.changed() => match changed {
                Ok(()) => self.pause = FIRST_PAUSE,
                // No table comes any more.
                Err(_) => return Err(WaitedEnough),
            },
            () = woken => {}
            () = tokio::time::sleep(pause) => self.pause = (self.pause * 2).min(LONGEST_PAUSE),
            () = tokio::time::sleep_until(self.until) => return Err(WaitedEnough),
        }
        Ok(())
    }

    /// Returns when there is another table: what is tried by the present one may be given up.
    pub(super) async fn rerouted(&mut self) {
        if self.routes_rx.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The app takes connections: everybody may try.
    pub(super) fn succeeded(self) {
        self.app.woken.notify_waiters();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut apps = self.holds.apps();
        self.holds.all.fetch_sub(1, Relaxed);
        if self.app.held.fetch_sub(1, Relaxed) == 1 {
            apps.remove(&self.key);
        }
        drop(apps);
        if self.tries {
            // Somebody else does.
            self.app.is_tried.store(false, Relaxed);
            self.app.woken.notify_waiters();
        }
    }
}
