//! Figures per app: counted in atomics on the way, read as a snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::presence::{Here, Presence};
use super::visits::{self, Salt, Today, VisitCount};
use super::workers::WORKERS;
use crate::model::AppKey;

/// Upper bounds of the latency histogram in milliseconds; one more bucket takes the rest.
pub const LATENCY_BUCKETS_MS: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// Counters of one app and one worker: on a cache line of its own, for which no other thread waits.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct AppTraffic {
    /// `None` for what goes to no app.
    app: Option<AppKey>,
    requests: AtomicU64,
    in_flight: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    classes: [AtomicU64; 5],
    refused: [AtomicU64; 5],
    latency: [AtomicU64; LATENCY_BUCKETS_MS.len() + 1],
    latency_sum_us: AtomicU64,
    retries: AtomicU64,
    upgrades: AtomicU64,
    /// Requests in a row that the app has not answered.
    unanswered: AtomicU64,
    pub(super) here: Here,
    pub(super) today: Today,
}

impl AppTraffic {
    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }
    pub(super) fn upgraded(&self) {
        self.upgrades.fetch_add(1, Relaxed);
    }

    pub(super) fn app(&self) -> Option<&AppKey> {
        self.app.as_ref()
    }
    /// How many there are now in a row.
    pub(super) fn count_unanswered(&self) -> u64 {
        self.unanswered.fetch_add(1, Relaxed) + 1
    }
    pub(super) fn forget_unanswered(&self) {
        // Mostly there is nothing to write.
        if self.unanswered.load(Relaxed) != 0 {
            self.unanswered.store(0, Relaxed);
        }
    }

    /// Counts a request until the returned guard is answered or dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    fn answered(&self, status: u16, took: Duration) {
        self.classes[class(status)].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BUCKETS_MS.iter().position(|bound| micros <= bound * 1000);
        self.latency[bucket.unwrap_or(LATENCY_BUCKETS_MS.len())].fetch_add(1, Relaxed);
        self.latency_sum_us.fetch_add(micros, Relaxed);
    }

    fn add_to(&self, sum: &mut TrafficSnapshot) {
        sum.requests += self.requests.load(Relaxed);
        sum.in_flight += self.in_flight.load(Relaxed);
        sum.bytes_in += self.bytes_in.load(Relaxed);
        sum.bytes_out += self.bytes_out.load(Relaxed);
        for (sum, class) in sum.classes.iter_mut().zip(&self.classes) {
            *sum += class.load(Relaxed);
        }
        for (sum, class) in sum.refused.iter_mut().zip(&self.refused) {
            *sum += class.load(Relaxed);
        }
        for (sum, bucket) in sum.latency.iter_mut().zip(&self.latency) {
            *sum += bucket.load(Relaxed);
        }
        sum.latency_sum += Duration::from_micros(self.latency_sum_us.load(Relaxed));
        sum.retries += self.retries.load(Relaxed);
        sum.upgrades += self.upgrades.load(Relaxed);
    }
}

fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, 5) - 1
}

/// A request whose answer has not begun.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AppTraffic>);

impl InFlight {
    pub(super) fn answered(self, status: u16, took: Duration) {
        self.0.answered(status, took);
    }

    /// The gateway has answered in the app's place.
    pub(super) fn refused(self, status: u16) {
        self.0.refused[class(status)].fetch_add(1, Relaxed);
    }
}
impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// One app's figures since the daemon started. The fields are read one after the other, so a snapshot under load may
/// differ by the requests of that moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrafficSnapshot {
    pub requests: u64,
    /// Requests whose response has not begun.
    pub in_flight: u64,
    /// Bytes of request bodies, framing not counted.
    pub bytes_in: u64,
    /// Bytes of response bodies, framing not counted; tunnels when they end.
    pub bytes_out: u64,
    /// The app's responses by status class: 1xx, 2xx, 3xx, 4xx, 5xx. A client that left before its answer is in none.
    pub classes: [u64; 5],
    /// The gateway's own in its place: the app could not be reached, or the request was not passed on.
    pub refused: [u64; 5],
    /// Of the app's responses: time from a request's head to its response's head; counts per bucket of [`LATENCY_BUCKETS_MS`], not cumulated.
    pub latency: [u64; LATENCY_BUCKETS_MS.len() + 1],
    pub latency_sum: Duration,
    /// Requests sent again because a connection turned out to be closed.
    pub retries: u64,
    pub upgrades: u64,
}

/// The figures of every app. An app that leaves the status takes its figures along.
#[derive(Debug, Default)]
pub struct TrafficStats {
    apps: Mutex<BTreeMap<AppKey, [Arc<AppTraffic>; WORKERS]>>,
    unrouted: Arc<AppTraffic>,
    /// Read by nobody: what an owner looks at besides is no visit.
    previews: [Arc<AppTraffic>; WORKERS],
}

impl TrafficStats {
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<AppKey, TrafficSnapshot> {
        self.apps().iter().map(|(key, traffic)| (key.clone(), sum(traffic))).collect()
    }

    /// One app's figures; zeros when nobody asked for it.
    #[must_use]
    pub fn app(&self, key: &AppKey) -> TrafficSnapshot {
        self.apps().get(key).map(|parts| sum(parts)).unwrap_or_default()
    }

    /// When somebody was at a site last.
    pub(super) fn presence(&self, app: &AppKey) -> Presence {
        let apps = self.apps();
        let parts = apps.get(app).into_iter().flatten();
        parts.map(|part| part.here.presence()).max().unwrap_or(Presence::Never)
    }

    /// Whom each site had today, those that had anybody.
    #[must_use]
    pub fn visits(&self) -> BTreeMap<AppKey, VisitCount> {
        let apps = self.apps();
        let counts = apps.iter().map(|(key, parts)| (key, visits::sum(parts.iter().map(|part| &part.today))));
        counts.filter(|(_, count)| count.pages > 0).map(|(key, count)| (key.clone(), count)).collect()
    }

    /// Another day: everybody counts anew, and nobody who was counted can be recognised any more.
    pub fn begin_day(&self) {
        for parts in self.apps().values() {
            let salt = Salt::fresh();
            for part in parts {
                part.today.begin(salt);
            }
        }
    }

    /// Requests for a host that is no app, and refused ones.
    #[must_use]
    pub fn unrouted(&self) -> TrafficSnapshot {
        sum(std::slice::from_ref(&self.unrouted))
    }

    pub(super) fn nobody(&self) -> &Arc<AppTraffic> {
        &self.unrouted
    }

    pub(super) fn of_preview(&self, worker: usize) -> Arc<AppTraffic> {
        Arc::clone(&self.previews[worker])
    }

    /// By worker.
    pub(super) fn of(&self, app: &AppKey) -> [Arc<AppTraffic>; WORKERS] {
        let mut apps = self.apps();
        if let Some(known) = apps.get(app) {
            return known.clone();
        }
        let salt = Salt::fresh();
        let fresh =
            || Arc::new(AppTraffic { app: Some(app.clone()), today: Today::new(salt), ..AppTraffic::default() });
        apps.entry(app.clone()).or_insert_with(|| std::array::from_fn(|_| fresh())).clone()
    }

    pub(super) fn retain(&self, keep: impl Fn(&AppKey) -> bool) {
        self.apps().retain(|key, _| keep(key));
    }

    fn apps(&self) -> MutexGuard<'_, BTreeMap<AppKey, [Arc<AppTraffic>; WORKERS]>> {
        // Nothing in here can panic half-way through a change.
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(parts: &[Arc<AppTraffic>]) -> TrafficSnapshot {
    let mut sum = TrafficSnapshot::default();
    for part in parts {
        part.add_to(&mut sum);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lands_in_its_class_and_bucket() {
        let stats = TrafficStats::default();
        let key = AppKey::parse("alice-diary").unwrap();
        // Whichever worker counts.
        let [first, second] = stats.of(&key);
        first.begin().answered(204, Duration::from_micros(900));
        second.begin().answered(503, Duration::from_secs(60));
        // It took the gateway two seconds to find out that there is no answer: that says nothing about the app's.
        second.begin().refused(503);
        let waiting = second.begin();
        let seen = stats.snapshot()[&key].clone();
        assert_eq!((seen.requests, seen.in_flight, seen.classes), (4, 1, [0, 1, 0, 0, 1]));
        assert_eq!((seen.refused, seen.latency[0], seen.latency[13]), ([0, 0, 0, 0, 1], 1, 1));
        drop(waiting);
        assert_eq!(stats.snapshot()[&key].in_flight, 0);
        stats.retain(|_| false);
        assert!(stats.snapshot().is_empty());
    }
}
