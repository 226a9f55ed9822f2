//! What is held and what is confirmed of removals, on its way into the store. A daemon that dies over a confirmed removal goes on
//! with it in its next life, instead of bringing back what was half gone; one that dies over a hold goes on holding.
//!
//! # Guarantees
//! - Nothing is removed on the strength of a confirmation that is not written down, and nobody is told that it stands before.
//! - Nobody is told of a hold before it is written down, unless with the word that it cannot be. It is in force at once.
//! - One write at a time, each of everything, so an older one never lands on a newer one.
//! - Both end in memory first: what should be struck off and still is in the store when the daemon dies is struck off by the
//!   first complete reading of the next.
//! - A write that failed may have landed all the same, so it is made again until one succeeds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Controller, Work};
use crate::clock::Clock as _;
use crate::controller::audit::CONFIRMED;
use crate::controller::handle::ConfirmError;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::model::inventory::Removals;
use crate::model::status::HeldRemoval;
use crate::model::{AppKey, Cause, Event, EventKind};
use crate::store::{Store as _, StoreError};

/// When a write that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

impl<W: Seams> Controller<W> {
    /// Writes down what is held and confirmed, if the store does not know that for certain.
    pub(super) fn note_removals(&mut self) {
        let Some(writing) = self.removal_writer.next(self.guard.removals(), Instant::now()) else { return };
        let world = Arc::clone(&self.world);
        self.work.spawn(async move {
            let mut removals = writing.removals.clone();
            if planted!(ConfirmationUnwritten) {
                removals.confirmed.clear();
            }
            if planted!(HoldUnwritten) {
                removals.held.clear();
            }
            let result = world.store().set_removals(&removals).await;
            Work::Noted(writing, result)
        });
    }

    pub(super) fn take_noted(&mut self, writing: Writing, result: &Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "what is held and confirmed of removals could not be written down");
        }
        self.removal_writer.written(writing.removals, result.is_ok(), Instant::now());
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
                what: CONFIRMED.to_owned(),
                cause: Cause::new(by.as_str()),
            };
            self.log(apps.iter().map(confirmed).collect());
            // Nobody waits any more: the confirmation stands all the same.
            drop(answer.send(Ok(apps)));
        }
        // What came or went meanwhile.
        self.note_removals();
        self.tell_held();
    }

    /// Puts the hold into the status, as far as it may be told already.
    pub(super) fn tell_held(&mut self) {
        let told = match &self.held {
            None => None,
            Some(held) => match self.removal_writer.knows(&held.apps) {
                Knows::Yes => Some(held.clone()),
                Knows::NotYet => return,
                Knows::Unsure => Some(HeldRemoval {
                    message: format!(
                        "{}; the database could not take that down, so keep the daemon running: one that is started anew \
                         may not know of it",
                        held.message
                    ),
                    ..held.clone()
                }),
            },
        };
        if told != self.status.held {
            self.status.held = told;
            self.changed = true;
        }
    }
}

/// A confirmation that waits to be written down.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) apps: Vec<AppKey>,
    pub(super) by: String,
    pub(super) answer: oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>,
}

/// What is in the store, and what is to be.
#[derive(Debug, Default)]
pub(super) struct RemovalWriter {
    /// `None` after a write that failed: it may have happened all the same.
    stored: Option<Removals>,
    asked: Vec<Asked>,
    writing: bool,
    retry_at: Option<Instant>,
}

/// One write, and whom it is for.
#[derive(Debug)]
pub(super) struct Writing {
    removals: Removals,
    asked: Vec<Asked>,
}

/// Whether the store knows of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knows {
    Yes,
    /// It is about to be written.
    NotYet,
    /// The last write failed.
    Unsure,
}

impl RemovalWriter {
    pub(super) fn new(stored: Removals) -> Self {
        Self { stored: Some(stored), ..Self::default() }
    }

    fn knows(&self, held: &[AppKey]) -> Knows {
        match &self.stored {
            None => Knows::Unsure,
            Some(stored) if held.iter().all(|key| stored.held.contains(key)) => Knows::Yes,
            Some(_) => Knows::NotYet,
        }
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// When a write that failed is to be made again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// What is to be written now, if anything is. `present`: what stands. Who waits for an answer does not wait
    /// for the time of a retry.
    fn next(&mut self, present: &Removals, now: Instant) -> Option<Writing> {
        let is_due = self.stored.is_some() || self.retry_at.is_some_and(|at| at <= now);
        let is_stored = self.stored.as_ref() == Some(present);
        if self.writing || (self.asked.is_empty() && (is_stored || !is_due)) {
            return None;
        }
        (self.writing, self.retry_at) = (true, None);
        let asked = std::mem::take(&mut self.asked);
        let mut removals = present.clone();
        removals.confirmed.extend(asked.iter().flat_map(|asked| &asked.apps).cloned());
        Some(Writing { removals, asked })
    }

    /// The write ended.
    fn written(&mut self, removals: Removals, succeeded: bool, now: Instant) {
        self.writing = false;
        self.stored = succeeded.then_some(removals);
        self.retry_at = (!succeeded && !planted!(FailedWriteForgotten)).then(|| now + RETRY_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<AppKey> {
        names.iter().map(|name| AppKey::parse(name).unwrap()).collect()
    }

    fn confirmed(names: &[&str]) -> Removals {
        Removals { confirmed: keys(names), ..Removals::default() }
    }

    fn asked_for(name: &str) -> Asked {
        Asked { apps: keys(&[name]).into_iter().collect(), by: "a person".to_owned(), answer: oneshot::channel().0 }
    }

    #[tokio::test(start_paused = true)]
    async fn one_write_at_a_time_of_all_that_stands_and_was_asked_for() {
        let now = Instant::now();
        let mut writer = RemovalWriter::new(confirmed(&["alice-one"]));
        assert!(writer.next(&confirmed(&["alice-one"]), now).is_none(), "it is in the store already");
        writer.ask(asked_for("alice-two"));
        let writing = writer.next(&confirmed(&["alice-one"]), now).unwrap();
        assert_eq!((writing.removals.clone(), writing.asked.len()), (confirmed(&["alice-one", "alice-two"]), 1));
        writer.ask(asked_for("alice-three"));
        assert!(writer.next(&confirmed(&["alice-one"]), now).is_none(), "one is under way");
        writer.written(writing.removals.clone(), true, now);
        let writing = writer.next(&confirmed(&["alice-two"]), now).unwrap();
        assert_eq!(writing.removals, confirmed(&["alice-two", "alice-three"]));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_write_that_failed_nothing_is_known_until_one_succeeds() {
        let now = Instant::now();
        let mut writer = RemovalWriter::new(confirmed(&[]));
        writer.ask(asked_for("alice-one"));
        let failed = writer.next(&confirmed(&[]), now).unwrap();
        writer.written(failed.removals.clone(), false, now);
        // Nothing is confirmed, as before: the store may say otherwise.
        assert_eq!(writer.retry_at(), Some(now + RETRY_AFTER));
        assert!(writer.next(&confirmed(&[]), now).is_none(), "it has its time");
        writer.ask(asked_for("alice-two"));
        let at_once = writer.next(&confirmed(&[]), now).unwrap();
        assert_eq!(at_once.removals, confirmed(&["alice-two"]), "a person does not wait for that time");
        writer.written(at_once.removals.clone(), false, now);
        let again = writer.next(&confirmed(&[]), now + RETRY_AFTER).unwrap();
        assert_eq!((again.removals.clone(), writer.retry_at()), (confirmed(&[]), None));
        writer.written(again.removals.clone(), true, now + RETRY_AFTER);
        assert!(writer.next(&confirmed(&[]), now + RETRY_AFTER).is_none(), "it is in the store");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_known_when_it_is_written_and_unsure_after_a_write_that_failed() {
        let now = Instant::now();
        let apps: Vec<AppKey> = keys(&["alice-one", "alice-two"]).into_iter().collect();
        let held = Removals { held: keys(&["alice-one", "alice-two"]), ..Removals::default() };
        let mut writer = RemovalWriter::new(Removals::default());
        assert_eq!(writer.knows(&apps), Knows::NotYet);
        let writing = writer.next(&held, now).unwrap();
        assert_eq!(writer.knows(&apps), Knows::NotYet);
        writer.written(writing.removals, true, now);
        assert_eq!(writer.knows(&apps), Knows::Yes);
        let writing = writer.next(&Removals::default(), now).unwrap();
        writer.written(writing.removals, false, now);
        assert_eq!(writer.knows(&apps), Knows::Unsure);
    }
}
