//! Confirmed removals, on their way into the store: a daemon that dies over a confirmed removal goes on with it in its next
//! life, instead of bringing back what was half gone.
//!
//! # Guarantees
//! - Nothing is removed on the strength of a confirmation that is not written down, and nobody is told that it stands before.
//! - Nobody can confirm what the daemon cannot see: while the manifests folder cannot be trusted, each is refused.
//! - One write at a time, each of the whole set, so an older one never lands on a newer one.
//! - A confirmation ends in memory first: one that should be struck off and still is in the store when the daemon dies is
//!   struck off by the first complete reading of the next.
//! - A write that failed may have landed all the same, so it is made again until one succeeds.

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

    /// Writes down what is confirmed, if the store does not hold that for certain.
    pub(super) fn note_confirmed(&mut self) {
        let Some(writing) = self.confirmations.next(self.guard.confirmed(), Instant::now()) else { return };
        let world = Arc::clone(&self.world);
        self.work.spawn(async move {
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
        self.confirmations.written(&writing.apps, result.is_ok(), Instant::now());
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
        // What came or went meanwhile.
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
    /// `None` after a write that failed: it may have happened all the same.
    stored: Option<BTreeSet<AppKey>>,
    asked: Vec<Asked>,
    writing: bool,
    retry_at: Option<Instant>,
}

/// One write, and whom it is for.
#[derive(Debug)]
pub(super) struct Writing {
    apps: BTreeSet<AppKey>,
    asked: Vec<Asked>,
}

impl Confirmations {
    pub(super) fn new(stored: BTreeSet<AppKey>) -> Self {
        Self { stored: Some(stored), ..Self::default() }
    }

    fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// When a write that failed is to be made again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// What is to be written now, if anything is. `confirmed`: what stands at present. Who waits for an answer does not wait
    /// for the time of a retry.
    fn next(&mut self, confirmed: &BTreeSet<AppKey>, now: Instant) -> Option<Writing> {
        let is_due = self.stored.is_some() || self.retry_at.is_some_and(|at| at <= now);
        let is_stored = self.stored.as_ref() == Some(confirmed);
        if self.writing || (self.asked.is_empty() && (is_stored || !is_due)) {
            return None;
        }
        (self.writing, self.retry_at) = (true, None);
        let asked = std::mem::take(&mut self.asked);
        let apps = confirmed.iter().chain(asked.iter().flat_map(|asked| &asked.apps)).cloned().collect();
        Some(Writing { apps, asked })
    }

    /// The write ended.
    fn written(&mut self, apps: &BTreeSet<AppKey>, succeeded: bool, now: Instant) {
        self.writing = false;
        self.stored = succeeded.then(|| apps.clone());
        self.retry_at = (!succeeded && !planted!(FailedWriteForgotten)).then(|| now + RETRY_AFTER);
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

    fn asked_for(name: &str) -> Asked {
        Asked { apps: keys(&[name]).into_iter().collect(), by: "a person".to_owned(), answer: oneshot::channel().0 }
    }

    #[tokio::test(start_paused = true)]
    async fn one_write_at_a_time_of_all_that_stands_and_was_asked_for() {
        let now = Instant::now();
        let mut confirmations = Confirmations::new(keys(&["alice-one"]));
        assert!(confirmations.next(&keys(&["alice-one"]), now).is_none(), "it is in the store already");
        confirmations.ask(asked_for("alice-two"));
        let writing = confirmations.next(&keys(&["alice-one"]), now).unwrap();
        assert_eq!((writing.apps.clone(), writing.asked.len()), (keys(&["alice-one", "alice-two"]), 1));
        confirmations.ask(asked_for("alice-three"));
        assert!(confirmations.next(&keys(&["alice-one"]), now).is_none(), "one is under way");
        confirmations.written(&writing.apps, true, now);
        let writing = confirmations.next(&keys(&["alice-two"]), now).unwrap();
        assert_eq!(writing.apps, keys(&["alice-two", "alice-three"]));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_write_that_failed_nothing_is_known_until_one_succeeds() {
        let now = Instant::now();
        let mut confirmations = Confirmations::new(keys(&[]));
        confirmations.ask(asked_for("alice-one"));
        let failed = confirmations.next(&keys(&[]), now).unwrap();
        confirmations.written(&failed.apps, false, now);
        // Nothing is confirmed, as before: the store may say otherwise.
        assert_eq!(confirmations.retry_at(), Some(now + RETRY_AFTER));
        assert!(confirmations.next(&keys(&[]), now).is_none(), "it has its time");
        confirmations.ask(asked_for("alice-two"));
        let at_once = confirmations.next(&keys(&[]), now).unwrap();
        assert_eq!(at_once.apps, keys(&["alice-two"]), "a person does not wait for that time");
        confirmations.written(&at_once.apps, false, now);
        let again = confirmations.next(&keys(&[]), now + RETRY_AFTER).unwrap();
        assert_eq!((again.apps.clone(), confirmations.retry_at()), (keys(&[]), None));
        confirmations.written(&again.apps, true, now + RETRY_AFTER);
        assert!(confirmations.next(&keys(&[]), now + RETRY_AFTER).is_none(), "it is in the store");
    }
}
