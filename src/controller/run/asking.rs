//! Whether apps that serve still answer. A container that runs says nothing about its process: one that hangs runs on. So each app
//! is asked over its own port, without a look at Docker, and only who stopped answering is looked at. Whether it then gets a new
//! container is decided there (`pass::hang`).
//!
//! # Guarantees
//! - An app is asked once in [`EVERY`], at a moment of its own, and one question at a time.
//! - One answer that was missed means nothing: a pause of the garbage collector, a busy machine.
//! - What visitors notice makes it be asked earlier, and is believed no further: a slow page is no hanging app.
//! - Nothing of it is written down: a daemon that begins asks everybody anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Controller, Work};
use crate::controller::queue::Urgency;
use crate::controller::seams::{Prober as _, Seams};
use crate::model::status::Endpoint;
use crate::model::{AppKey, ContainerId};

/// A visitor of an app that hangs waits for half of it on average, and a question costs the app a request.
const EVERY: Duration = Duration::from_secs(15);
/// After an answer that was missed.
const AGAIN: Duration = Duration::from_secs(5);
/// Answers missed one after the other before an app counts as not answering.
const MISSES: u32 = 3;
/// When so many apps are silent, and they are more than half of all, the cause lies with the machine, or with whoever asks, and
/// hardly with each of them. Mass deletions are held for the same reason.
const CROWD: usize = 3;
/// Then only one app in this time gets a new container, which an overloaded machine can bear.
const CROWD_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Asking {
    apps: BTreeMap<AppKey, Asked>,
    /// Containers that stopped answering, until a pass has looked at them.
    silent: BTreeMap<AppKey, ContainerId>,
    /// Silent apps that were allowed a new container within [`CROWD_PAUSE`].
    allowed: BTreeMap<AppKey, Instant>,
}

#[derive(Debug)]
struct Asked {
    endpoint: Endpoint,
    next: Instant,
    /// When it was asked last.
    last: Option<Instant>,
    missed: u32,
    under_way: bool,
}

impl Asking {
    /// When the next question is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.apps.values().filter(|asked| !asked.under_way).map(|asked| asked.next).min()
    }

    /// Where the app serves from now on, if it does.
    pub(super) fn follow(&mut self, key: &AppKey, endpoint: Option<&Endpoint>) {
        let Some(endpoint) = endpoint else {
            self.apps.remove(key);
            return;
        };
        if self.apps.get(key).is_none_or(|asked| asked.endpoint != *endpoint) {
            let next = Instant::now() + first(key);
            let asked = Asked { endpoint: endpoint.clone(), next, last: None, missed: 0, under_way: false };
            self.apps.insert(key.clone(), asked);
        }
    }

    /// Visitors doubt that it answers, so it is asked now; but no more often than after an answer that was missed, however many
    /// they are.
    pub(super) fn doubt(&mut self, key: &AppKey, now: Instant) {
        if let Some(asked) = self.apps.get_mut(key) {
            let earliest = asked.last.map_or(now, |last| last + AGAIN);
            asked.next = asked.next.min(earliest.max(now));
        }
    }

    /// The container that stopped answering, told once.
    pub(super) fn take_silent(&mut self, key: &AppKey) -> Option<ContainerId> {
        self.silent.remove(key)
    }

    /// Whether an app may get a new container because it hangs. `told`: those that are known not to answer.
    pub(super) fn may_replace(&mut self, key: &AppKey, told: &BTreeSet<AppKey>, now: Instant) -> bool {
        self.allowed.retain(|_, at| now.saturating_duration_since(*at) < CROWD_PAUSE);
        let missed = self.apps.iter().filter(|(_, asked)| asked.missed > 0).map(|(key, _)| key);
        // The first of a crowd is replaced before the others were asked.
        let silent: BTreeSet<&AppKey> =
            missed.chain(self.silent.keys()).chain(told).chain(self.allowed.keys()).collect();
        if !silent.contains(key) {
            return true;
        }
        let all = self.apps.keys().chain(told).collect::<BTreeSet<_>>().len();
        let is_crowd = silent.len() >= CROWD && silent.len() * 2 > all;
        let allowed = !is_crowd || self.allowed.keys().all(|other| other == key);
        if allowed {
            self.allowed.entry(key.clone()).or_insert(now);
        }
        allowed
    }

    fn due(&mut self, now: Instant) -> Vec<(AppKey, Endpoint)> {
        let due = self.apps.iter_mut().filter(|(_, asked)| !asked.under_way && asked.next <= now);
        let begun = due.map(|(key, asked)| {
            (asked.under_way, asked.last) = (true, Some(now));
            (key.clone(), asked.endpoint.clone())
        });
        begun.collect()
    }

    /// Whether the app has to be looked at.
    fn take(&mut self, key: &AppKey, endpoint: &Endpoint, answered: bool, now: Instant) -> bool {
        // Whoever has moved on meanwhile is asked there.
        let Some(asked) = self.apps.get_mut(key).filter(|asked| asked.endpoint == *endpoint) else { return false };
        asked.under_way = false;
        asked.missed = if answered { 0 } else { asked.missed + 1 };
        asked.next = now + if answered { EVERY } else { AGAIN };
        let silent = asked.missed >= MISSES;
        if silent {
            asked.missed = 0;
            self.silent.insert(key.clone(), endpoint.container.clone());
        }
        silent
    }
}

/// How long the first question is put off: differently for each app, because all that a start of the daemon finds come up at once.
fn first(key: &AppKey) -> Duration {
    let sum = key.to_string().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Duration::from_millis(sum % 15_000)
}

impl<W: Seams> Controller<W> {
    pub(super) fn ask_who_serves(&mut self) {
        for (key, endpoint) in self.asking.due(Instant::now()) {
            let path = self.rows.get(&key).and_then(|row| row.template.health_path.clone());
            let world = Arc::clone(&self.world);
            self.work.spawn(async move {
                let answered = world.prober().probe(&endpoint, path.as_deref()).await.is_ok();
                Work::Asked { key, endpoint, answered }
            });
        }
    }

    pub(super) fn take_answer(&mut self, key: &AppKey, endpoint: &Endpoint, answered: bool) {
        let now = Instant::now();
        if self.asking.take(key, endpoint, answered, now) {
            self.queue.mark(key.clone(), Urgency::Hint, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(container: &str) -> Endpoint {
        Endpoint { container: ContainerId(container.to_owned()), ip: [10, 0, 0, 2].into(), port: 3000 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_falls_silent_gets_new_containers_one_at_a_time() {
        let keys = ["a", "b", "c", "d"].map(|user| AppKey::parse(&format!("{user}aa-diary")).unwrap());
        let mut asking = Asking::default();
        for key in &keys {
            asking.follow(key, Some(&endpoint(key.user.as_str())));
        }
        let told = |silent: &[AppKey]| silent.iter().cloned().collect::<BTreeSet<_>>();
        let now = Instant::now();
        let two = told(&keys[..2]);
        assert!(asking.may_replace(&keys[0], &two, now) && asking.may_replace(&keys[1], &two, now), "half is no crowd");

        let (mut asking, later) = (asking, now + CROWD_PAUSE);
        let three = told(&keys[..3]);
        assert!(asking.may_replace(&keys[3], &three, later), "it answers, so it is not about it");
        assert!(asking.may_replace(&keys[0], &three, later));
        assert!(!asking.may_replace(&keys[1], &three, later) && asking.may_replace(&keys[0], &three, later));
        let later = later + CROWD_PAUSE;
        assert!(asking.may_replace(&keys[1], &three, later));

        // The one that was replaced counts, and those that begin to be missed.
        let later = later + CROWD_PAUSE;
        assert!(asking.may_replace(&keys[0], &told(&keys[..1]), later));
        for key in &keys[2..] {
            let at = asking.apps[key].endpoint.clone();
            asking.take(key, &at, false, later);
        }
        assert!(!asking.may_replace(&keys[2], &told(&[]), later));
    }

    #[tokio::test(start_paused = true)]
    async fn three_misses_in_a_row_make_an_app_one_that_does_not_answer() {
        let (key, at) = (AppKey::parse("alice-diary").unwrap(), endpoint("main"));
        let mut asking = Asking::default();
        asking.follow(&key, Some(&at));
        let mut ask = |answered: bool| {
            let now = asking.next_due().unwrap();
            assert_eq!(asking.due(now), [(key.clone(), at.clone())]);
            assert_eq!(asking.due(now), [], "one question at a time");
            let told = asking.take(&key, &at, answered, now);
            (told, asking.next_due().unwrap() - now)
        };
        assert_eq!([ask(true), ask(false), ask(false)].map(|asked| asked.0), [false; 3]);
        assert_eq!(ask(true), (false, EVERY), "two misses mean nothing");
        assert_eq!([ask(false), ask(false), ask(false)], [(false, AGAIN), (false, AGAIN), (true, AGAIN)]);
        assert_eq!(asking.take_silent(&key), Some(at.container.clone()));
        assert_eq!(asking.take_silent(&key), None);

        let now = asking.next_due().unwrap();
        asking.due(now);
        assert!(!asking.take(&key, &at, true, now));
        asking.doubt(&key, now + Duration::from_secs(1));
        assert_eq!(asking.next_due(), Some(now + AGAIN), "visitors make it no busier than that");
        asking.doubt(&key, now + Duration::from_secs(9));
        assert_eq!(asking.next_due(), Some(now + AGAIN), "nor later");
        asking.due(now + AGAIN);
        assert!(!asking.take(&key, &at, true, now + AGAIN));
        asking.doubt(&key, now + Duration::from_secs(12));
        assert_eq!(asking.next_due(), Some(now + Duration::from_secs(12)));

        asking.due(asking.next_due().unwrap());
        asking.follow(&key, Some(&endpoint("next")));
        assert!(!asking.take(&key, &at, false, Instant::now()), "that was asked of its predecessor");
        asking.follow(&key, None);
        assert_eq!(asking.next_due(), None);
    }
}
