//! How long to wait after a failure: 1 s, doubling to 5 min, with jitter, per app (DESIGN rule 3).
//!
//! The waits after each kind of failure double on their own: forty seconds without Docker say nothing about how often a
//! container refused to start.

use std::collections::BTreeMap;
use std::time::Duration;

use backoff::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(300);

/// One backoff per key and kind of failure. Jitter comes from a seed, so that a simulated run can be repeated exactly.
#[derive(Debug)]
pub struct Backoffs<K> {
    running: BTreeMap<K, BTreeMap<&'static str, ExponentialBackoff>>,
    jitter: Jitter,
}

impl<K: Ord> Backoffs<K> {
    pub fn new(seed: u64) -> Self {
        Self { running: BTreeMap::new(), jitter: Jitter::new(seed) }
    }

    /// The wait after one more failure of this kind.
    pub fn next(&mut self, key: K, kind: &'static str) -> Duration {
        let fresh = || {
            ExponentialBuilder::default()
                .with_min_delay(MIN)
                .with_max_delay(MAX)
                .with_factor(2.0)
                .without_max_times()
                .build()
        };
        let wait = self.running.entry(key).or_default().entry(kind).or_insert_with(fresh).next().unwrap_or(MAX);
        self.jitter.spread(wait)
    }

    /// It worked.
    pub fn reset(&mut self, key: &K) {
        self.running.remove(key);
    }
}

/// Spreads waits by up to a tenth, so that what failed together is not retried together.
#[derive(Debug)]
pub struct Jitter {
    state: u64,
}

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// The wait, plus or minus up to 10 %.
    pub fn spread(&mut self, wait: Duration) -> Duration {
        // xorshift64: any sequence will do, it only has to differ from app to app.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let percent = 90 + u32::try_from(self.state % 21).unwrap_or(10);
        wait * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_five_minutes_and_start_over_after_success() {
        let mut backoffs = Backoffs::new(7);
        let waits: Vec<f64> = (0..12).map(|_| backoffs.next("a", "start").as_secs_f64()).collect();
        for (n, wait) in waits.iter().enumerate() {
            let nominal = f64::from(1u32 << n).min(300.0);
            assert!((nominal * 0.9..=nominal * 1.1).contains(wait), "attempt {n}: {wait}");
        }
        assert!(backoffs.next("a", "look") < Duration::from_secs(2), "another failure waits for itself");
        backoffs.reset(&"a");
        assert!(backoffs.next("a", "start") < Duration::from_secs(2));
    }
}
