//! The dirty set: which apps are to be looked at, and not before when.
//!
//! # Guarantees
//! - One worker per key: a key marked while it is being worked on becomes ready again after [`Queue::finish`].
//! - Marks coalesce: however many arrive, one look follows.
//! - A hint (a Docker event, a resync) never cuts a backoff short; an edit by a person does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// Why a key is marked, as far as waiting is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Something a person changed: now, whatever failed before.
    Edit,
    /// Something that may have changed: soon, but respecting a running backoff.
    Hint,
}

/// How long hints are collected: Docker tells of one change in several events.
const COALESCE: Duration = Duration::from_millis(15);

#[derive(Debug)]
pub struct Queue<K> {
    due: BTreeMap<K, Instant>,
    held_until: BTreeMap<K, Instant>,
    active: BTreeSet<K>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), held_until: BTreeMap::new(), active: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Queue<K> {
    pub fn mark(&mut self, key: K, urgency: Urgency, now: Instant) {
        if planted!(EventDroppedWhileBusy) && self.active.contains(&key) {
            return;
        }
        let at = match urgency {
            Urgency::Edit => {
                self.held_until.remove(&key);
                now
            }
            Urgency::Hint => self.held_until.get(&key).copied().unwrap_or(now).max(now + COALESCE),
        };
        self.schedule(key, at);
    }

    /// Look at it again after the wait, unless something calls earlier.
    pub fn mark_after(&mut self, key: K, wait: Duration, now: Instant) {
        self.schedule(key, now + wait);
    }

    /// It failed: only an edit may call it before the wait is over.
    pub fn hold(&mut self, key: K, wait: Duration, now: Instant) {
        let until = now + wait;
        // Marks that came during the failed pass wait as well; the failure is younger than they are.
        self.due.remove(&key);
        self.held_until.insert(key.clone(), until);
        self.schedule(key, until);
    }

    /// It worked: nothing holds it back any more.
    pub fn release(&mut self, key: &K) {
        self.held_until.remove(key);
    }

    fn schedule(&mut self, key: K, at: Instant) {
        self.due.entry(key).and_modify(|due| *due = (*due).min(at)).or_insert(at);
    }

    /// The next key that is due and not being worked on. It counts as being worked on until [`Self::finish`].
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let key = self
            .due
            .iter()
            .filter(|(key, at)| **at <= now && !self.active.contains(*key))
            .min_by_key(|(_, at)| **at)
            .map(|(key, _)| key.clone())?;
        self.due.remove(&key);
        self.active.insert(key.clone());
        Some(key)
    }

    pub fn finish(&mut self, key: &K) {
        self.active.remove(key);
    }

    /// When [`Self::pop`] may next return something.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.iter().filter(|(key, _)| !self.active.contains(*key)).map(|(_, at)| *at).min()
    }

    /// Nothing will ever come of this key again.
    pub fn forget(&mut self, key: &K) {
        self.due.remove(key);
        self.held_until.remove(key);
    }

    pub fn depth(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_worked_on_once_at_a_time_and_again_afterwards() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.mark("a", Urgency::Edit, now);
        assert_eq!(queue.pop(now), Some("a"));
        queue.mark("a", Urgency::Edit, now);
        assert_eq!(queue.pop(now), None, "still being worked on");
        queue.finish(&"a");
        assert_eq!(queue.pop(now), Some("a"));
        queue.finish(&"a");
        assert_eq!(queue.pop(now + SECOND), None);
    }

    #[test]
    fn hints_coalesce_and_respect_a_backoff_that_an_edit_cuts_short() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.mark("a", Urgency::Hint, now);
        queue.mark("a", Urgency::Hint, now);
        assert_eq!(queue.pop(now), None, "hints are collected first");
        assert_eq!(queue.pop(now + COALESCE), Some("a"));
        queue.mark("a", Urgency::Hint, now);
        queue.finish(&"a");
        queue.hold("a", SECOND * 10, now);
        queue.mark("a", Urgency::Hint, now + SECOND);
        assert_eq!(queue.pop(now + SECOND * 9), None, "a hint waits for the backoff");
        queue.mark("a", Urgency::Edit, now + SECOND);
        assert_eq!(queue.pop(now + SECOND), Some("a"), "an edit does not");
    }

    #[test]
    fn the_longest_waiting_goes_first() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.mark_after("late", SECOND, now);
        queue.mark("early", Urgency::Edit, now);
        assert_eq!(queue.next_due(), Some(now));
        assert_eq!(queue.pop(now + SECOND), Some("early"));
        assert_eq!(queue.pop(now + SECOND), Some("late"));
    }
}
