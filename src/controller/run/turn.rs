//! Whose turn it is to move to another network. Each way of routing has its own, so a change of it moves every app; one at a
//! time, or visitors of half the apps would have to wait at once.
//!
//! # Guarantees
//! - A pass may move its app only while no other app is on its way.
//! - Whoever fails, is gone or is at rest gives the turn back: nobody waits behind a broken app for ever.
//! - Nothing of it is written down. A daemon that begins lets nobody move before it has looked at every app, and who is on its
//!   way by then has the turn.

use std::collections::BTreeSet;

use crate::model::AppKey;
use crate::plan::Motion;

#[derive(Debug, Default)]
pub(super) struct Turn {
    holder: Option<AppKey>,
    waiting: BTreeSet<AppKey>,
}

impl Turn {
    /// A pass begins: whether it may move its app. It takes a free turn, and keeps it while it is under way.
    pub(super) fn ask(&mut self, key: &AppKey) -> bool {
        self.holder.get_or_insert_with(|| key.clone()) == key
    }

    /// A pass is over, or the app with it.
    pub(super) fn end(&mut self, key: &AppKey, motion: Motion) {
        self.waiting.remove(key);
        match motion {
            Motion::Moves if self.holder.is_none() => self.holder = Some(key.clone()),
            Motion::Moves => {}
            Motion::Waits | Motion::AtRest => {
                self.holder.take_if(|holder| holder == key);
            }
        }
        if motion == Motion::Waits {
            self.waiting.insert(key.clone());
        }
    }

    /// Who is to be looked at because the turn is free. Waits on until a pass of it has ended.
    pub(super) fn next(&self) -> Option<&AppKey> {
        self.waiting.first().filter(|_| self.holder.is_none())
    }
}

#[cfg(test)]
mod daemon_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_whoever_does_not_move_gives_it_back() {
        let [a, b, c] = ["alice-diary", "bob-diary", "carol-diary"].map(|key| AppKey::parse(key).unwrap());
        let mut turn = Turn::default();
        assert!(turn.ask(&a) && !turn.ask(&b) && !turn.ask(&c));
        turn.end(&c, Motion::Waits);
        turn.end(&a, Motion::Moves);
        assert!(!turn.ask(&b) && turn.ask(&a), "until it is there");
        turn.end(&b, Motion::Waits);
        assert_eq!(turn.next(), None);
        turn.end(&a, Motion::AtRest);
        assert_eq!(turn.next(), Some(&b));
        assert!(turn.ask(&b) && !turn.ask(&c));
        turn.end(&b, Motion::AtRest);
        assert_eq!(turn.next(), Some(&c));
        turn.end(&c, Motion::AtRest);
        assert_eq!(turn.next(), None, "it was stopped, or is gone");
        // Found on its way by a daemon that has just begun.
        turn.end(&b, Motion::Moves);
        assert!(!turn.ask(&a) && turn.ask(&b));
    }
}
