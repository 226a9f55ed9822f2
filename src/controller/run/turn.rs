//! Whose turn it is to move to another network. Each way of routing has its own, so a change of it moves every app; one at a
//! time, or visitors of half the apps would have to wait at once.
//!
//! # Guarantees
//! - A pass may move its app only while no other app is on its way, or while that one takes longer than [`PATIENCE`]: an app
//!   that runs and does not answer, or a pass that hangs, holds up nobody for longer.
//! - Whoever fails, is gone or is at rest gives the turn back: nobody waits behind a broken app for ever.
//! - Nothing of it is written down. A daemon that begins lets nobody move before it has looked at every app, and who is on its
//!   way by then has the turn. It is the same when Docker is back after it was lost: nobody knows how far they have come.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::AppKey;
use crate::plan::Motion;

/// So long the others wait for the app on its way, and for those that nobody has looked at yet. A successor answers within
/// a second or two, and its predecessor has ten for the requests that run on it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a pass could see its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    Yes,
    /// Docker did not answer.
    No,
}

#[derive(Debug, Default)]
pub(super) struct Turn {
    holder: Option<(AppKey, Instant)>,
    waiting: BTreeSet<AppKey>,
    /// Apps that may be on their way unseen, and since when.
    unseen: Option<(BTreeSet<AppKey>, Instant)>,
}

impl Turn {
    /// Docker is there (again): whoever of these is on its way goes first.
    pub(super) fn look_first(&mut self, apps: BTreeSet<AppKey>, now: Instant) {
        self.unseen = Some((apps, now));
    }

    /// A pass begins: whether it may move its app. It takes a free turn, and keeps it while it is under way.
    pub(super) fn ask(&mut self, key: &AppKey, now: Instant) -> bool {
        match &self.holder {
            Some((holder, _)) if holder == key => true,
            _ if self.is_free(now) => {
                self.holder = Some((key.clone(), now));
                true
            }
            _ => false,
        }
    }

    fn is_free(&self, now: Instant) -> bool {
        let waited = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        self.holder.as_ref().is_none_or(|(_, since)| waited(*since))
            && self.unseen.as_ref().is_none_or(|(_, since)| waited(*since))
    }

    /// A pass is over.
    pub(super) fn end(&mut self, key: &AppKey, motion: Motion, looked: Looked, now: Instant) {
        self.waiting.remove(key);
        if looked == Looked::Yes {
            self.saw(key);
        }
        match motion {
            Motion::Moves if self.holder.is_none() => self.holder = Some((key.clone(), now)),
            Motion::Moves => {}
            Motion::Waits | Motion::AtRest => {
                self.holder.take_if(|(holder, _)| holder == key);
            }
        }
        if motion == Motion::Waits {
            self.waiting.insert(key.clone());
        }
    }

    /// There is no such app any more.
    pub(super) fn forget(&mut self, key: &AppKey) {
        self.saw(key);
        self.waiting.remove(key);
        self.holder.take_if(|(holder, _)| holder == key);
    }

    fn saw(&mut self, key: &AppKey) {
        self.unseen.take_if(|(apps, _)| {
            apps.remove(key);
            apps.is_empty()
        });
    }

    /// Who may be looked at because the turn is free, in that order. Each waits on until a pass of it has ended.
    pub(super) fn next(&self, now: Instant) -> impl Iterator<Item = &AppKey> {
        self.waiting.iter().filter(move |_| self.is_free(now))
    }

    /// When nobody is waited for any longer, if anybody waits.
    pub(super) fn free_at(&self) -> Option<Instant> {
        let since = self.holder.as_ref().map(|(_, since)| *since).max(self.unseen.as_ref().map(|(_, since)| *since));
        since.filter(|_| !self.waiting.is_empty()).map(|since| since + PATIENCE)
    }
}

#[cfg(test)]
mod daemon_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> [AppKey; 3] {
        ["alice-diary", "bob-diary", "carol-diary"].map(|key| AppKey::parse(key).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_whoever_does_not_move_gives_it_back() {
        let ([a, b, c], now) = (keys(), Instant::now());
        let mut turn = Turn::default();
        let end = |turn: &mut Turn, key: &AppKey, motion| turn.end(key, motion, Looked::Yes, now);
        assert!(turn.ask(&a, now) && !turn.ask(&b, now) && !turn.ask(&c, now));
        end(&mut turn, &c, Motion::Waits);
        end(&mut turn, &a, Motion::Moves);
        assert!(!turn.ask(&b, now) && turn.ask(&a, now), "until it is there");
        end(&mut turn, &b, Motion::Waits);
        assert_eq!(turn.next(now).next(), None);
        end(&mut turn, &a, Motion::AtRest);
        assert_eq!(turn.next(now).next(), Some(&b));
        assert!(turn.ask(&b, now) && !turn.ask(&c, now));
        end(&mut turn, &b, Motion::AtRest);
        assert_eq!(turn.next(now).next(), Some(&c));
        end(&mut turn, &c, Motion::AtRest);
        assert_eq!(turn.next(now).next(), None, "it was stopped, or is gone");
        // Found on its way by a daemon that has just begun.
        end(&mut turn, &b, Motion::Moves);
        assert!(!turn.ask(&a, now) && turn.ask(&b, now));
        turn.forget(&b);
        assert!(turn.ask(&a, now));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_too_long_holds_up_nobody() {
        let ([a, b, c], now) = (keys(), Instant::now());
        let mut turn = Turn::default();
        assert!(turn.ask(&a, now));
        turn.end(&b, Motion::Waits, Looked::Yes, now);
        assert_eq!(turn.free_at(), Some(now + PATIENCE));
        let later = now + PATIENCE;
        assert_eq!(turn.next(later).next(), Some(&b));
        assert!(turn.ask(&b, later) && !turn.ask(&c, later) && !turn.ask(&a, later), "one more, not all");
        turn.end(&a, Motion::AtRest, Looked::Yes, later);
        assert!(!turn.ask(&c, later), "it is no longer its turn that ends");
        // A pass of b that hangs never ends; whoever calls passes over it.
        turn.end(&c, Motion::Waits, Looked::Yes, later);
        assert_eq!(turn.next(later + PATIENCE).collect::<Vec<_>>(), [&b, &c]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_docker_is_back_whoever_was_on_its_way_goes_first() {
        let ([a, b, c], now) = (keys(), Instant::now());
        let mut turn = Turn::default();
        turn.look_first(keys().into_iter().collect(), now);
        assert!(!turn.ask(&a, now));
        turn.end(&a, Motion::Waits, Looked::Yes, now);
        turn.end(&c, Motion::AtRest, Looked::No, now);
        turn.end(&b, Motion::Moves, Looked::Yes, now);
        assert!(!turn.ask(&a, now) && turn.ask(&b, now));
        turn.end(&c, Motion::AtRest, Looked::Yes, now);
        turn.end(&b, Motion::AtRest, Looked::Yes, now);
        assert_eq!(turn.next(now).next(), Some(&a));
        // One that nobody can look at.
        turn.look_first(keys().into_iter().collect(), now);
        assert!(!turn.ask(&a, now) && turn.ask(&a, now + PATIENCE));
    }
}
