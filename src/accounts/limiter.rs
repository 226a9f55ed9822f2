//! Slows down those who guess passwords, or the key of the settings.
//!
//! Three counts, each with its own patience:
//!
//! | of | free | then |
//! |---|---|---|
//! | one user from one network | 5 | 1 s, doubling up to 15 min |
//! | one network, whatever the user | 20 | the same |
//! | one user, from strange networks | 50 | one attempt a second, never more |
//!
//! The key of the settings, which a person has thought of, counts as one more user.
//!
//! A network is an IPv4 address, or the 64 bits of an IPv6 address that one subscriber gets.
//!
//! # Guarantees
//! - An attempt is counted before the password is looked at, so a hundred at once are not a hundred free ones. An attempt
//!   that is refused here counts nothing: whoever waits as long as told gets through.
//! - Nobody can lock the owner out from elsewhere. Failures of one network make only that one wait; a right password clears
//!   the count of that user from that network, and makes it a familiar one, which the two other counts do not concern. What
//!   is left to an attacker with thousands of addresses is one guess a second, and getting in the way of an owner who
//!   comes from a network for the first time; sessions, API keys and familiar networks go on.
//! - Memory is bounded: 4,096 counts. When they are used up, the least guilty give way, so nobody gets rid of a long wait
//!   by filling the table.
//!
//! # Assumptions
//! - The address is the client's. Behind a proxy that hides it everybody is one network, and one who guesses there makes all
//!   of them wait: log in from elsewhere, or with an issued API key.
//! - Counts are forgotten an hour after their last failure, familiar networks after 30 days, all at a restart: a restart is
//!   nothing that a stranger can bring about.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::Timestamp;

const MAX_COUNTS: usize = 4_096;
const LONGEST: Duration = Duration::from_secs(15 * 60);
const FORGET: Duration = Duration::from_secs(60 * 60);
const FORGET_FAMILIAR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6(u64),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

/// A name of any length in few bytes.
type Name = [u8; 16];

/// In the place of a user: the key of the settings. No user's name hashes to it.
const THE_KEY: Name = [0; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    UserFrom(Name, Network),
    Network(Network),
    User(Name),
}

impl Key {
    /// How long after so many failures the next attempt may be made.
    fn wait(self, failures: u32) -> Duration {
        let doubling = |free: u32| match failures.checked_sub(free) {
            None => Duration::ZERO,
            Some(over) => LONGEST.min(Duration::from_secs(1 << over.min(10))),
        };
        match self {
            Self::UserFrom(..) => doubling(5),
            Self::Network(_) => doubling(20),
            Self::User(_) if failures < 50 => Duration::ZERO,
            Self::User(_) => Duration::from_secs(1),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    /// Of the last attempt.
    at: Timestamp,
    /// From then on.
    wait: Duration,
    /// The password was right from here.
    familiar: bool,
    /// The last wrong key of [`THE_KEY`].
    last: Option<Name>,
}

impl Count {
    /// How long ago; nothing at all while a clock that ran ahead has been put back.
    fn age(&self, now: Timestamp) -> Option<Duration> {
        u64::try_from(now.0.checked_sub(self.at.0)?).ok().map(Duration::from_millis)
    }

    fn left(&self, now: Timestamp) -> Duration {
        // No age: whoever waited by the clock before it was put back must not wait for ever.
        self.age(now).map_or(Duration::ZERO, |age| self.wait.saturating_sub(age))
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        let after = if self.familiar && self.failures == 0 { FORGET_FAMILIAR } else { FORGET.max(self.wait) };
        self.age(now).is_some_and(|age| age >= after)
    }
}

/// An attempt that was let through. Unless it is [settled](Limiter::succeeded) otherwise it counts as a failure.
#[derive(Debug)]
pub(super) struct Attempt {
    charged: Vec<Key>,
    familiar: Key,
}

/// A key that was sent, and whether it is that of the settings.
#[derive(Debug)]
pub(super) struct KeyAttempt<'a> {
    pub(super) secret: &'a str,
    pub(super) is_right: bool,
    pub(super) from: IpAddr,
}

type Counts = HashMap<Key, Count>;

#[derive(Debug, Default)]
pub(super) struct Limiter {
    counts: Mutex<Counts>,
}

impl Limiter {
    /// # Errors
    /// How long to wait, in whole seconds.
    pub(super) fn admit(&self, user: &str, from: IpAddr, now: Timestamp) -> Result<Attempt, Duration> {
        admit(&mut self.lock(), name(user), Network::of(from), now)
    }

    /// The password was right.
    pub(super) fn succeeded(&self, attempt: &Attempt, now: Timestamp) {
        succeeded(&mut self.lock(), attempt, now);
    }

    /// The password was not looked at: the attempt was none.
    pub(super) fn undecided(&self, attempt: &Attempt) {
        undecided(&mut self.lock(), attempt);
    }

    /// Whether a key counts that was sent. Looking is quick, so many right ones at once are no failures for each other.
    ///
    /// The same wrong key again tells a guesser nothing and counts nothing: a program that was not told of a changed key
    /// keeps nobody out.
    ///
    /// # Errors
    /// How long to wait, in whole seconds; also where the key is right.
    pub(super) fn key(&self, attempt: &KeyAttempt<'_>, now: Timestamp) -> Result<(), Duration> {
        let (secret, network) = (name(attempt.secret), Network::of(attempt.from));
        let own = Key::UserFrom(THE_KEY, network);
        let mut counts = self.lock();
        let repeated = counts.get(&own).is_some_and(|count| count.last == Some(secret) && !count.is_forgotten(now));
        if repeated && !attempt.is_right {
            return Ok(());
        }
        let admitted = admit(&mut counts, THE_KEY, network, now)?;
        if attempt.is_right {
            succeeded(&mut counts, &admitted, now);
        } else if let Some(count) = counts.get_mut(&own) {
            count.last = Some(secret);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn admit(counts: &mut Counts, name: Name, network: Network, now: Timestamp) -> Result<Attempt, Duration> {
    let user_from = Key::UserFrom(name, network);
    let keys = [user_from, Key::Network(network), Key::User(name)];
    for key in keys {
        if counts.get(&key).is_some_and(|count| count.is_forgotten(now)) {
            counts.remove(&key);
        }
    }
    let familiar = counts.get(&user_from).is_some_and(|count| count.familiar);
    let judged = if familiar { &keys[..1] } else { &keys[..] };
    let left = judged.iter().filter_map(|key| counts.get(key)).map(|count| count.left(now)).max();
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        return Err(Duration::from_secs(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)));
    }
    for key in judged {
        charge(counts, *key, now);
    }
    Ok(Attempt { charged: judged.to_vec(), familiar: user_from })
}

fn succeeded(counts: &mut Counts, attempt: &Attempt, now: Timestamp) {
    undecided(counts, attempt);
    make_room(counts, attempt.familiar, now);
    let fresh = Count { failures: 0, at: now, wait: Duration::ZERO, familiar: true, last: None };
    counts.insert(attempt.familiar, fresh);
}

fn undecided(counts: &mut Counts, attempt: &Attempt) {
    for key in &attempt.charged {
        if let Some(count) = counts.get_mut(key) {
            count.failures = count.failures.saturating_sub(1);
            count.wait = Duration::ZERO;
        }
    }
}

fn charge(counts: &mut Counts, key: Key, now: Timestamp) {
    make_room(counts, key, now);
    let none = Count { failures: 0, at: now, wait: Duration::ZERO, familiar: false, last: None };
    let count = counts.entry(key).or_insert(none);
    count.failures = count.failures.saturating_add(1);
    count.at = now;
    count.wait = key.wait(count.failures);
}

fn make_room(counts: &mut Counts, key: Key, now: Timestamp) {
    if counts.len() < MAX_COUNTS || counts.contains_key(&key) {
        return;
    }
    counts.retain(|_, count| !count.is_forgotten(now));
    if counts.len() < MAX_COUNTS {
        return;
    }
    // Many at once: to look for the least guilty one at every attempt of an attack would be an attack of its own.
    let mut ranked: Vec<_> =
        counts.iter().map(|(key, count)| ((count.familiar, count.failures, count.at), *key)).collect();
    ranked.select_nth_unstable_by_key(MAX_COUNTS / 8, |(guilt, _)| *guilt);
    for (_, key) in &ranked[..MAX_COUNTS / 8] {
        counts.remove(key);
    }
}

fn name(user: &str) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&Sha256::digest(user)[..16]);
    name
}

#[cfg(test)]
mod tests;
