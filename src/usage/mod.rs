//! What each app uses of processor, memory and disk: asked of the kernel every five minutes, kept for a day.
//!
//! | task | owns | stops |
//! |---|---|---|
//! | [`Usage::record`] | when a sample is taken; the ring file's only writer | on cancel |
//!
//! At rest it costs a few short reads for each app and one write of some kilobytes in five minutes. The folder of an app's data is
//! walked about once an hour.
//!
//! **Architecture invariant:** Docker is unknown here, and nothing that is asked for waits for a sample.

pub mod cgroup;
pub mod ring;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::cgroup::{Groups, Reading};
use self::ring::{EVERY_SECONDS, Point, Ring, Used};
use crate::clock::Clock;
use crate::folders::Folders;
use crate::model::{AppKey, ContainerId, DaemonStatus};

/// How many samples pass until every app's data was measured once.
const DISK_ROUND: usize = 12;
/// After the start, when the daemon has other things to do.
const FIRST_DISKS: Duration = Duration::from_secs(20);

/// What a container had used when the last sample was taken.
#[derive(Debug, Clone, Copy)]
struct Before {
    at_millis: i64,
    cpu_micros: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// Another container begins anew.
    before: HashMap<ContainerId, Before>,
    disk_kib: BTreeMap<AppKey, u32>,
    /// Since the last sample the groups that are not where they usually are were searched for.
    is_searched: bool,
}

/// Whether a look is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Processor time goes on counting from where it did.
    InBetween,
    Sample,
}

/// The samples, and how to take one. Shared by the task that records and whoever asks.
pub struct Usage {
    file: PathBuf,
    groups: Arc<Groups>,
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Opened by the first who needs it; `None` while it cannot be.
    ring: Mutex<Option<Ring>>,
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usage").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Usage {
    /// Keeps its samples in `file`, whose folder exists, and reads these control groups.
    #[must_use]
    pub fn new(
        file: PathBuf,
        groups: Arc<Groups>,
        status_rx: watch::Receiver<Arc<DaemonStatus>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { file, groups, status_rx, clock, known: Mutex::default(), ring: Mutex::default() }
    }

    /// Takes a sample every five minutes until `stop`, measuring a part of the apps' data each time.
    pub async fn record<F: Folders>(self: Arc<Self>, folders: F, stop: CancellationToken) {
        // Processor time counts from here on.
        Arc::clone(&self).blocking(|usage| drop(usage.look(None, Look::Sample))).await;
        // What lies on the disk is worth knowing before the first sample; which apps there are is known soon.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FIRST_DISKS) => self.measure(&folders, 0, &stop).await,
        }
        let mut round = 0;
        loop {
            let millis = self.clock.now().0.max(0).unsigned_abs();
            let wait = EVERY_SECONDS * 1000 - millis % (EVERY_SECONDS * 1000);
            // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
            self.measure(&folders, round, &stop).await;
            round = (round + 1) % DISK_ROUND;
            Arc::clone(&self).blocking(Self::take).await;
        }
    }

    /// The data of the apps whose turn it is, and of those that were never measured.
    async fn measure<F: Folders>(&self, folders: &F, round: usize, stop: &CancellationToken) {
        let status = self.status_rx.borrow().clone();
        for (number, app) in status.apps.keys().enumerate() {
            let is_due = number % DISK_ROUND == round || !self.known().disk_kib.contains_key(app);
            if is_due
                && !stop.is_cancelled()
                && let Ok(bytes) = folders.data_usage(app).await
            {
                let kib = u32::try_from(bytes.0 / 1024).unwrap_or(u32::MAX - 1);
                self.known().disk_kib.insert(app.clone(), kib);
            }
        }
    }

    /// One app's last day, oldest first, and this moment.
    pub async fn of(self: Arc<Self>, app: AppKey) -> (Vec<Point>, Used) {
        let found = self.blocking(move |usage| {
            let now = usage.look(Some(&app), Look::InBetween).remove(&app).unwrap_or_default();
            let at = usage.seconds();
            (usage.with_ring(|ring| Ok(ring.of(&app, at))).unwrap_or_default(), now)
        });
        found.await.unwrap_or_default()
    }

    /// The present moment in milliseconds since 1970, and every app's last day until then.
    pub async fn all(self: Arc<Self>) -> (i64, BTreeMap<AppKey, (Vec<Point>, Used)>) {
        let found = self.blocking(|usage| {
            let at = usage.seconds();
            let mut days = usage.with_ring(|ring| Ok(ring.all(at))).unwrap_or_default();
            let now = usage.look(None, Look::InBetween).into_iter();
            let of_app = |(app, used)| {
                let points = days.remove(&app).unwrap_or_default();
                (app, (points, used))
            };
            (usage.clock.now().0, now.map(of_app).collect())
        });
        found.await.unwrap_or_default()
    }

    /// What each app holds in memory that runs.
    pub async fn held(self: Arc<Self>) -> Vec<u64> {
        let found = self.blocking(|usage| {
            let readings = usage.readings(None).into_iter();
            readings.filter_map(|(_, _, reading)| reading?.memory).collect()
        });
        found.await.unwrap_or_default()
    }

    fn take(&self) {
        let samples = self.look(None, Look::Sample);
        let at = self.seconds();
        if let Err(error) = self.with_ring(|ring| ring.write(at, &samples)) {
            let file = self.file.display();
            tracing::warn!(%error, "what the apps use cannot be kept in {file}: make room, or check the disk");
        }
    }

    /// What the apps use now; processor time on average since the last sample.
    fn look(&self, only: Option<&AppKey>, look: Look) -> BTreeMap<AppKey, Used> {
        let at_millis = self.clock.now().0;
        let readings = self.readings(only);
        let mut known = self.known();
        if look == Look::Sample {
            let is_there =
                |container: &ContainerId| readings.iter().any(|(_, there, _)| there.as_ref() == Some(container));
            known.before.retain(|container, _| is_there(container));
            known.disk_kib.retain(|app, _| readings.iter().any(|(there, ..)| there == app));
            known.is_searched = false;
        }
        let mut found = BTreeMap::new();
        for (app, container, reading) in readings {
            let disk_kib = known.disk_kib.get(&app).copied();
            let mut used = Used { disk_kib, ..Used::default() };
            if let Some((container, reading)) = container.zip(reading) {
                used.memory_kib = reading.memory.map(|bytes| u32::try_from(bytes / 1024).unwrap_or(u32::MAX - 1));
                if let Some(cpu_micros) = reading.cpu_micros {
                    let now = Before { at_millis, cpu_micros };
                    let before = *known.before.entry(container.clone()).or_insert(now);
                    used.cpu = average(before, now);
                    if look == Look::Sample {
                        known.before.insert(container, now);
                    }
                }
            }
            found.insert(app, used);
        }
        found
    }

    fn readings(&self, only: Option<&AppKey>) -> Vec<(AppKey, Option<ContainerId>, Option<Reading>)> {
        let status = self.status_rx.borrow().clone();
        let apps = status.apps.iter().filter(|(app, _)| only.is_none_or(|only| only == *app));
        let read = |container: &Option<ContainerId>| container.as_ref().and_then(|id| self.groups.read(id));
        let mut found: Vec<_> =
            apps.map(|(app, status)| (app.clone(), status.container.clone(), read(&status.container))).collect();
        let missing = found.iter().filter(|(_, _, reading)| reading.is_none());
        let missing: Vec<ContainerId> = missing.filter_map(|(_, container, _)| container.clone()).collect();
        // Most have ended; a search is for those that run and are elsewhere.
        if !missing.is_empty() && !std::mem::replace(&mut self.known().is_searched, true) {
            self.groups.search(&missing);
            for (_, container, reading) in found.iter_mut().filter(|(_, _, reading)| reading.is_none()) {
                *reading = read(container);
            }
        }
        found
    }

    /// Opens the file when it is not open yet.
    fn with_ring<T>(&self, work: impl FnOnce(&mut Ring) -> io::Result<T>) -> io::Result<T> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match ring.take() {
            Some(open) => open,
            None => Ring::open(&self.file)?,
        };
        let done = work(&mut open);
        *ring = Some(open);
        done
    }

    fn seconds(&self) -> u64 {
        self.clock.now().0.max(0).unsigned_abs() / 1000
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blocking<T: Send + 'static>(self: Arc<Self>, work: impl FnOnce(&Self) -> T + Send + 'static) -> Option<T> {
        // A daemon that stops needs no graph any more.
        tokio::task::spawn_blocking(move || work(&self)).await.ok()
    }
}

/// Thousandths of a core. `None` within the first second, in which nothing can be told.
fn average(before: Before, now: Before) -> Option<u16> {
    let millis = u64::try_from(now.at_millis - before.at_millis).ok().filter(|millis| *millis >= 1000)?;
    let micros = now.cpu_micros.checked_sub(before.cpu_micros)?;
    Some(u16::try_from(micros / millis).unwrap_or(u16::MAX - 1))
}

#[cfg(test)]
mod tests;
