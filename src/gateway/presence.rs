//! Who is at a site: from when a request is let in to the last byte of its answer, or to the end of its tunnel or stream. Whoever
//! wants to know whether a site may sleep asks here.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};

use tokio::time::{Duration, Instant};

use super::traffic::AppTraffic;

/// When somebody was at a site last. In the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Nobody was, since the daemon began.
    Never,
    Until(Instant),
    Now,
}

/// Times are counted from here.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Of one app and one worker.
#[derive(Debug, Default)]
pub(super) struct Here {
    people: AtomicU64,
    /// When the last one left, in milliseconds; one more, so that 0 is never.
    left: AtomicU64,
}

impl Here {
    pub(super) fn presence(&self) -> Presence {
        if self.people.load(SeqCst) > 0 {
            return Presence::Now;
        }
        match self.left.load(SeqCst) {
            0 => Presence::Never,
            millis => Presence::Until(*BEGUN + Duration::from_millis(millis - 1)),
        }
    }
}

/// Somebody who is there until this is dropped.
#[derive(Debug)]
pub(super) struct Guest(Arc<AppTraffic>);

impl Guest {
    pub(super) fn of(traffic: Arc<AppTraffic>) -> Self {
        // Before anybody leaves.
        LazyLock::force(&BEGUN);
        traffic.here.people.fetch_add(1, SeqCst);
        Self(traffic)
    }
}

impl Deref for Guest {
    type Target = AppTraffic;

    fn deref(&self) -> &AppTraffic {
        &self.0
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let millis = u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        // First the time: whoever sees that nobody is there sees since when.
        self.0.here.left.fetch_max(millis + 1, SeqCst);
        self.0.here.people.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::TrafficStats;
    use crate::model::AppKey;

    #[tokio::test(start_paused = true)]
    async fn somebody_is_there_until_the_last_one_has_left_whichever_worker_serves_them() {
        let (stats, key) = (TrafficStats::default(), AppKey::parse("alice-diary").unwrap());
        let [first, second] = stats.of(&key);
        assert_eq!(stats.presence(&key), Presence::Never);
        let guests = (Guest::of(Arc::clone(&first)), Guest::of(second));
        assert_eq!(stats.presence(&key), Presence::Now);
        drop(guests.0);
        assert_eq!(stats.presence(&key), Presence::Now);
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(guests.1);
        let Presence::Until(left) = stats.presence(&key) else { panic!("{:?}", stats.presence(&key)) };
        assert!(left.elapsed() < Duration::from_millis(2));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(stats.presence(&key), Presence::Until(left));
    }
}
