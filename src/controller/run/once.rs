//! Jobs of which one runs at a time, and how long it has been running.

use std::time::Duration;

use tokio::time::Instant;

/// One job at a time, and once more if it was asked for meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Once {
    Idle,
    Busy { since: Instant },
    BusyAndAskedAgain { since: Instant },
}

impl Once {
    /// True when the job is to be started now.
    pub(super) fn ask(&mut self) -> bool {
        match *self {
            Self::Idle => {
                *self = Self::Busy { since: Instant::now() };
                true
            }
            Self::Busy { since } | Self::BusyAndAskedAgain { since } => {
                *self = Self::BusyAndAskedAgain { since };
                false
            }
        }
    }

    /// True when it was asked for while it ran.
    pub(super) fn done(&mut self) -> bool {
        matches!(std::mem::replace(self, Self::Idle), Self::BusyAndAskedAgain { .. })
    }

    /// Since when it has been under way.
    pub(super) fn since(self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Busy { since } | Self::BusyAndAskedAgain { since } => Some(since),
        }
    }
}

/// How long the longest of the jobs has been under way; zero when there is none.
pub(super) fn longest<'a>(
    passes: impl IntoIterator<Item = &'a Instant>,
    jobs: impl IntoIterator<Item = Once>,
) -> Duration {
    let jobs = jobs.into_iter().filter_map(Once::since);
    passes.into_iter().copied().chain(jobs).min().map_or(Duration::ZERO, |since| since.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_job_counts_however_often_it_was_asked_for_meanwhile() {
        let at = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        tokio::time::advance(Duration::from_secs(100)).await;
        let busy = |seconds| Once::Busy { since: at(seconds) };
        for (passes, jobs, want) in [
            (vec![], [Once::Idle, Once::Idle], 0),
            (vec![3, 5], [Once::Idle, Once::Idle], 5),
            (vec![], [busy(7), busy(2)], 7),
            (vec![5], [Once::Idle, Once::BusyAndAskedAgain { since: at(9) }], 9),
            (vec![12], [busy(7), Once::Idle], 12),
        ] {
            let passes: Vec<Instant> = passes.into_iter().map(at).collect();
            assert_eq!(longest(&passes, jobs), Duration::from_secs(want), "{passes:?} {jobs:?}");
        }

        let mut job = Once::Idle;
        assert!(job.ask());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!job.ask() && !job.ask());
        assert_eq!(longest([], [job]), Duration::from_secs(30));
        assert!(job.done() && !job.done());
        assert_eq!(longest([], [job]), Duration::ZERO);
    }
}
