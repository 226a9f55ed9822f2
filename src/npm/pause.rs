//! How long to wait after a failure: 1 s, doubling to 5 minutes, each a little shorter or longer than the last time, so that
//! installations that lost the same Nginx Proxy Manager do not come back to it together.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Of one thing that may fail. Jitter comes from the installation's id, so a test's run repeats exactly.
#[derive(Debug)]
pub(super) struct Pauses {
    failures: u32,
    jitter: u64,
}

impl Pauses {
    pub(super) fn new(instance: &str) -> Self {
        // FNV-1a: any spread will do.
        let seed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self { failures: 0, jitter: instance.bytes().fold(0xcbf2_9ce4_8422_2325, seed) | 1 }
    }

    /// After one more failure.
    pub(super) fn next(&mut self) -> Duration {
        self.failures += 1;
        let wait = doubling(FIRST, LONGEST, self.failures);
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        // 90 to 110 %.
        let percent = 90 + u32::try_from(self.jitter % 21).unwrap_or(10);
        wait * percent / 100
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

pub(super) fn doubling(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_differ_between_installations() {
        let waits = |instance: &str| {
            let mut pauses = Pauses::new(instance);
            (0..14).map(|_| pauses.next()).collect::<Vec<_>>()
        };
        let (one, other) = (waits("0123456789abcdef"), waits("fedcba9876543210"));
        assert_eq!(one, waits("0123456789abcdef"));
        assert_ne!(one, other);
        for (number, wait) in one.iter().chain(&other).enumerate() {
            let plain = FIRST.saturating_mul(1 << (number % 14)).min(LONGEST);
            assert!(*wait >= plain * 9 / 10 && *wait <= plain * 11 / 10, "{number}: {wait:?}");
        }
        let mut pauses = Pauses::new("x");
        pauses.next();
        pauses.next();
        pauses.reset();
        assert!(pauses.next() < Duration::from_millis(1_101));
    }
}
