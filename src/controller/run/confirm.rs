//! Confirmed removals, on their way into the store: a daemon that dies over a confirmed removal goes on with it in its next
//! life, instead of bringing back what was half gone.
//!
//! # Guarantees
//! - Nothing is removed on the strength of a confirmation that is not written down, and nobody is told that it stands before.
//! - Nobody can confirm what the daemon cannot see: while the manifests folder cannot be trusted, each is refused.
//! - One write at a time, each of the whole set, so an older one never lands on a newer one.
//! - A confirmation ends in memory first: one that should be struck off and still is in the store when the daemon dies is
//!   struck off by the first complete reading of the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Controller, Work};
use crate::clock::Clock as _;
use crate::controller::handle::ConfirmError;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::model::status::ManifestsStatus;
use crate::model::{AppKey, Cause, Event, EventKind};
use crate::store::{Store as _, StoreError};

/// When a write that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

impl<W: Seams> Controller<W> {
    pub(super) fn confirm(
        &mut self,
        token: &str,
        by: &str,
        answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>,
    ) {
        let result = match (&self.status.manifests, &self.held) {
            (ManifestsStatus::Unknown, _) => {
                Err(ConfirmError::OutOfSight { reason: "it was not read yet; wait a moment".to_owned() })
            }
            (ManifestsStatus::Unavailable { reason, .. }, _) => {
                Err(ConfirmError::OutOfSight { reason: reason.clone() })
            }
            (ManifestsStatus::Complete, None) => Err(ConfirmError::NothingHeld),
            (ManifestsStatus::Complete, Some(held)) if held.token != token => {
                Err(ConfirmError::Changed { current: held.token.clone() })
            }
            (ManifestsStatus::Complete, Some(held)) => Ok(held.apps.clone()),
        };
        match result {
            Ok(apps) if !planted!(ConfirmationForgotten) => {
                self.confirmations.ask(Asked { apps, by: by.to_owned(), answer });
                self.note_confirmed();
            }
            // Nobody waits any more: nothing came of it anyway.
            result => drop(answer.send(result)),
        }
    }

    /// Writes down what is confirmed, if the store does not hold that already.
    pub(super) fn note_confirmed(&mut self) {
        let Some(writing) = self.confirmations.next(self.guard.confirmed()) else { return };
        let world = Arc::clone(&self.world);
        self.work.spawn(async move {
            tokio::time::sleep(writing.wait).await;
            if planted!(ConfirmationUnwritten) {
                return Work::Confirmed(writing, Ok(()));
            }
            let result = world.store().set_confirmed(&writing.apps).await;
            Work::Confirmed(writing, result)
        });
    }

    pub(super) fn take_confirmed(&mut self, writing: Writing, result: &Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "confirmed removals could not be written down");
        }
        self.confirmations.written(&writing.apps, result.is_ok());
        for Asked { apps, by, answer } in writing.asked {
            if let Err(error) = result {
                // Nobody waits any more: nothing came of it anyway.
                drop(answer.send(Err(ConfirmError::Unwritten { reason: error.0.clone() })));
                continue;
            }
            self.guard.confirm(apps.iter().cloned());
            for key in &apps {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
            self.judge_removals();
            let at = self.world.clock().now();
            let confirmed = |key: &AppKey| Event {
                at,
                app: Some(key.clone()),
                kind: EventKind::Changed,
                what: "confirmed that it is removed, its manifest having vanished".to_owned(),
                cause: Cause::new(by.as_str()),
            };
            self.log(apps.iter().map(confirmed).collect());
            // Nobody waits any more: the confirmation stands all the same.
            drop(answer.send(Ok(apps)));
        }
        // What came or went meanwhile, or could not be written.
        self.note_confirmed();
    }
}

/// A confirmation that waits to be written down.
#[derive(Debug)]
struct Asked {
    apps: Vec<AppKey>,
    by: String,
    answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>,
}

/// What is in the store, and what is to be.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    stored: BTreeSet<AppKey>,
    asked: Vec<Asked>,
    writing: bool,
    /// The last write failed.
    failed: bool,
}

/// One write, and whom it is for.
#[derive(Debug)]
pub(super) struct Writing {
    apps: BTreeSet<AppKey>,
    asked: Vec<Asked>,
    /// Before it: who waits for an answer does not wait for this.
    wait: Duration,
}

impl Confirmations {
    pub(super) fn new(stored: BTreeSet<AppKey>) -> Self {
        Self { stored, ..Self::default() }
    }

    fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// What is to be written now, if anything is. `confirmed`: what stands at present.
    fn next(&mut self, confirmed: &BTreeSet<AppKey>) -> Option<Writing> {
        if self.writing || (self.asked.is_empty() && *confirmed == self.stored) {
            return None;
        }
        self.writing = true;
        let asked = std::mem::take(&mut self.asked);
        let wait = if self.failed && asked.is_empty() { RETRY_AFTER } else { Duration::ZERO };
        let apps = confirmed.iter().chain(asked.iter().flat_map(|asked| &asked.apps)).cloned().collect();
        Some(Writing { apps, asked, wait })
    }

    /// The write ended. What was written in vain is written again after a while.
    fn written(&mut self, apps: &BTreeSet<AppKey>, is_stored: bool) {
        (self.writing, self.failed) = (false, !is_stored);
        if is_stored {
            self.stored.clone_from(apps);
        }
    }
}

#[cfg(test)]
mod daemon_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<AppKey> {
        names.iter().map(|name| AppKey::parse(name).unwrap()).collect()
    }

    #[test]
    fn one_write_at_a_time_of_all_that_stands_and_was_asked_for() {
        let mut confirmations = Confirmations::new(keys(&["alice-one"]));
        assert!(confirmations.next(&keys(&["alice-one"])).is_none(), "it is in the store already");
        let ask = |name: &str| Asked {
            apps: keys(&[name]).into_iter().collect(),
            by: "a person".to_owned(),
            answer: oneshot::channel().0,
        };
        confirmations.ask(ask("alice-two"));
        let writing = confirmations.next(&keys(&["alice-one"])).unwrap();
        assert_eq!((writing.apps.clone(), writing.asked.len()), (keys(&["alice-one", "alice-two"]), 1));
        confirmations.ask(ask("alice-three"));
        assert!(confirmations.next(&keys(&["alice-one"])).is_none(), "one is under way");
        confirmations.written(&writing.apps, true);
        let writing = confirmations.next(&keys(&["alice-two"])).unwrap();
        assert_eq!(writing.apps, keys(&["alice-two", "alice-three"]));
        confirmations.written(&writing.apps, false);
        assert!(confirmations.next(&keys(&["alice-one", "alice-two"])).is_none(), "that is in the store");
        let again = confirmations.next(&keys(&["alice-two"])).unwrap();
        assert_eq!((again.apps, again.wait), (keys(&["alice-two"]), RETRY_AFTER));
    }
}
