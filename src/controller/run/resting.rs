//! Who may sleep: when nobody has come to an app for as long as its manifest says, and who is wanted again.
//!
//! # Guarantees
//! - The time counts from the last byte of the last answer, from when the app began to serve, or from the daemon's begin, whichever
//!   is latest. An answer that has not ended, a WebSocket or an event stream keeps it awake.
//! - Who is wanted stays wanted until it is written down that it is awake, whatever fails meanwhile.
//! - Only an app that serves and is as its manifest says falls asleep: never one whose change is on trial, nor one that is broken.
//! - Nothing is asked while nobody's time has come: one look per app and time.
//!
//! That an app sleeps stands in the inventory; nothing of this does.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Controller;
use crate::clock::Clock as _;
use crate::controller::pass::PassOutput;
use crate::controller::queue::Urgency;
use crate::controller::rest::Rest;
use crate::controller::seams::{Drain as _, LastVisit, Seams};
use crate::model::status::WokenBy;
use crate::model::{AppKey, AppStatus, Cause, ContainerId, Event, EventKind, Health, SyncState, Timestamp, Wake};

/// When it is tried again to send an app to sleep that did not.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Resting {
    apps: BTreeMap<AppKey, App>,
}

#[derive(Debug, Default)]
struct App {
    serves: Option<Serving>,
    wish: Wish,
    wakes: u64,
    woken_by: Option<WokenBy>,
}

/// An app that may fall asleep.
#[derive(Debug)]
struct Serving {
    container: ContainerId,
    after: Duration,
    since: Instant,
    /// When to look at its visitors.
    next: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wish {
    #[default]
    None,
    /// It is to sleep, unless somebody has come since.
    Due {
        at: Instant,
    },
    Wanted,
}

impl Resting {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.apps.values().filter_map(|app| Some(app.serves.as_ref()?.next)).min()
    }

    pub(super) fn rest(&self, key: &AppKey) -> Rest {
        match self.apps.get(key).map(|app| app.wish).unwrap_or_default() {
            Wish::None => Rest::AsBefore,
            Wish::Due { .. } => Rest::Due,
            Wish::Wanted => Rest::Wanted,
        }
    }

    /// What the status says from now on.
    pub(super) fn follow(&mut self, status: &AppStatus, now: Instant) {
        let may_sleep = status.health == Health::Running && status.sync == SyncState::Synced;
        let serving = status.sleep.as_ref().zip(status.endpoint.as_ref()).filter(|_| may_sleep);
        let Some((sleep, endpoint)) = serving else {
            if let Some(app) = self.apps.get_mut(&status.app) {
                app.serves = None;
            }
            return;
        };
        let after = Duration::from_secs(sleep.after_seconds.into());
        let app = self.apps.entry(status.app.clone()).or_default();
        match &mut app.serves {
            Some(serving) if serving.container == endpoint.container && serving.after == after => {}
            Some(serving) if serving.container == endpoint.container => {
                (serving.after, serving.next) = (after, now.max(serving.since + after));
            }
            _ => {
                let container = endpoint.container.clone();
                app.serves = Some(Serving { container, after, since: now, next: now + after });
            }
        }
    }

    /// Whose time has come.
    fn due(&mut self, now: Instant, last_visit: impl Fn(&AppKey) -> LastVisit) -> Vec<AppKey> {
        let mut due = Vec::new();
        for (key, app) in &mut self.apps {
            let Some(serving) = app.serves.as_mut().filter(|serving| serving.next <= now) else { continue };
            let quiet_since = match last_visit(key) {
                LastVisit::Now if planted!(StreamsUncounted) => serving.since,
                LastVisit::At(_) if planted!(VisitsUncounted) => serving.since,
                LastVisit::Now => now,
                LastVisit::At(at) => at.max(serving.since),
                LastVisit::Never => serving.since,
            };
            serving.next = quiet_since + serving.after;
            if serving.next <= now {
                serving.next = now + AGAIN;
                if app.wish != Wish::Wanted {
                    app.wish = Wish::Due { at: now };
                    due.push(key.clone());
                }
            }
        }
        due
    }

    /// Somebody came to an app that was just to fall asleep.
    fn note_visit(&mut self, key: &AppKey, sleeps: bool, visit: LastVisit) {
        let Some(app) = self.apps.get_mut(key) else {
            if sleeps && visit == LastVisit::Now && !planted!(VisitorsOverlooked) {
                self.apps.entry(key.clone()).or_default().wish = Wish::Wanted;
            }
            return;
        };
        let came = match (app.wish, visit) {
            (Wish::Due { at }, LastVisit::At(last)) => last > at,
            (Wish::Due { .. }, LastVisit::Now) => !planted!(StreamsUncounted),
            (Wish::None, LastVisit::Now) => sleeps,
            _ => false,
        };
        if came && !planted!(VisitorsOverlooked) {
            app.wish = Wish::Wanted;
        }
    }

    /// A pass is over; `asleep`: what is written down.
    fn end(&mut self, key: &AppKey, asleep: Option<Timestamp>, output: &AppStatus, woken: bool, now: Instant) {
        let Some(app) = self.apps.get_mut(key) else {
            if woken {
                self.apps.entry(key.clone()).or_default().wish = Wish::Wanted;
            }
            return;
        };
        let sleeps = output.health == Health::Asleep && output.sync == SyncState::Synced;
        match app.wish {
            _ if woken => app.wish = Wish::Wanted,
            Wish::Wanted | Wish::Due { .. } if asleep.is_none() => {
                app.wish = Wish::None;
                if let Some(serving) = &mut app.serves {
                    serving.next = serving.next.min(now + AGAIN);
                }
            }
            Wish::Due { .. } if sleeps => app.wish = Wish::None,
            Wish::None | Wish::Due { .. } | Wish::Wanted => {}
        }
    }

    /// Whoever may sleep and is at nobody's service now, who was visited the longest ago first.
    pub(super) fn idle(&self, last_visit: impl Fn(&AppKey) -> LastVisit) -> Vec<AppKey> {
        let since = |key: &AppKey, serving: &Serving| match last_visit(key) {
            LastVisit::Now => None,
            LastVisit::At(at) => Some(at.max(serving.since)),
            LastVisit::Never => Some(serving.since),
        };
        let serving = self.apps.iter().filter(|(_, app)| app.wish == Wish::None);
        let idle = serving.filter_map(|(key, app)| Some((since(key, app.serves.as_ref()?)?, key)));
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Who is on their way to sleep.
    pub(super) fn falling_asleep(&self) -> impl Iterator<Item = &AppKey> {
        self.apps.iter().filter(|(_, app)| matches!(app.wish, Wish::Due { .. })).map(|(key, _)| key)
    }

    /// One of those that are idle is to sleep before its time.
    pub(super) fn send(&mut self, key: &AppKey, now: Instant) {
        if let Some(app) = self.apps.get_mut(key) {
            app.wish = Wish::Due { at: now };
        }
    }

    pub(super) fn forget(&mut self, key: &AppKey) {
        self.apps.remove(key);
    }

    /// Adds what only this knows.
    pub(super) fn tell(&self, status: &mut AppStatus) {
        if let (Some(sleep), Some(app)) = (&mut status.sleep, self.apps.get(&status.app)) {
            (sleep.wakes, sleep.woken_by) = (app.wakes, app.woken_by.clone());
        }
    }
}

impl<W: Seams> Controller<W> {
    pub(super) fn send_to_sleep(&mut self) {
        let (world, now) = (&self.world, Instant::now());
        for key in self.resting.due(now, |key| world.drain().last_visit(key)) {
            self.queue.mark(key, Urgency::Hint, now);
        }
    }

    /// Before anything is decided about an app that falls asleep, or sleeps.
    pub(super) fn note_visit(&mut self, key: &AppKey) {
        let sleeps = self.rows.get(key).is_some_and(|row| row.asleep.is_some());
        if sleeps || self.resting.rest(key) == Rest::Due {
            self.resting.note_visit(key, sleeps, self.world.drain().last_visit(key));
        }
    }

    /// A person sends an app to sleep. One that does not run as its manifest says stays as it is.
    pub(super) fn sleep_now(&mut self, key: &AppKey, by: String) {
        let now = Instant::now();
        let Some(app) = self.resting.apps.get_mut(key).filter(|app| app.serves.is_some()) else { return };
        app.wish = Wish::Due { at: now };
        let (at, what) = (self.world.clock().now(), "the app was sent to sleep".to_owned());
        self.log(vec![Event { at, app: Some(key.clone()), kind: EventKind::Noticed, what, cause: Cause::new(by) }]);
        self.queue.mark(key.clone(), Urgency::Edit, now);
    }

    /// Somebody wants an app.
    pub(super) fn take_wake(&mut self, wake: Wake) {
        let Wake { app: key, path, agent } = wake;
        let sleeps = self.rows.get(&key).is_some_and(|row| row.asleep.is_some());
        let rest = self.resting.rest(&key);
        if rest == Rest::Wanted || !(sleeps || rest == Rest::Due) {
            return;
        }
        let at = self.world.clock().now();
        let app = self.resting.apps.entry(key.clone()).or_default();
        app.wish = Wish::Wanted;
        if sleeps {
            app.wakes += 1;
            let by = match (&path, &agent) {
                (Some(path), Some(agent)) => format!("a request for {path} by {agent}"),
                (Some(path), None) => format!("a request for {path}"),
                (None, Some(agent)) => agent.clone(),
                (None, None) => "a request".to_owned(),
            };
            app.woken_by = Some(WokenBy { at, path, agent });
            self.config.metrics.woken();
            let what = "the app was woken".to_owned();
            let event = Event { at, app: Some(key.clone()), kind: EventKind::Noticed, what, cause: Cause::new(by) };
            self.log(vec![event]);
        }
        self.queue.mark(key, Urgency::Edit, Instant::now());
    }

    /// What a pass found of an app's sleep.
    pub(super) fn end_rest(&mut self, output: &PassOutput) {
        let now = Instant::now();
        let asleep = output.row.as_ref().and_then(|row| row.asleep);
        self.resting.end(&output.key, asleep, &output.status, output.woken, now);
        if self.resting.rest(&output.key) == Rest::Wanted && asleep.is_some() && output.woken {
            self.queue.mark(output.key.clone(), Urgency::Hint, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunState;
    use crate::model::status::{Endpoint, SleepStatus};

    const AFTER: Duration = Duration::from_secs(60);

    fn key() -> AppKey {
        AppKey::parse("alice-diary").unwrap()
    }

    fn status(container: &str) -> AppStatus {
        AppStatus {
            health: Health::Running,
            sync: SyncState::Synced,
            endpoint: Some(Endpoint {
                container: ContainerId(container.to_owned()),
                ip: [10, 0, 0, 2].into(),
                port: 3000,
            }),
            sleep: Some(SleepStatus { after_seconds: 60, since: None, wakes: 0, woken_by: None }),
            ..AppStatus::unseen(&key(), RunState::Running, None, "localhost")
        }
    }

    fn followed() -> (Resting, Instant) {
        let (mut resting, now) = (Resting::default(), Instant::now());
        resting.follow(&status("main"), now);
        (resting, now)
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_counts_from_the_last_byte() {
        let (mut resting, begun) = followed();
        assert_eq!(resting.next_due(), Some(begun + AFTER));
        let last = begun + Duration::from_secs(50);
        assert_eq!(resting.due(begun + AFTER, |_| LastVisit::At(last)), []);
        assert_eq!(resting.next_due(), Some(last + AFTER));
        assert_eq!(resting.due(last + AFTER, |_| LastVisit::Now), [], "an open stream keeps it awake");
        assert_eq!(resting.next_due(), Some(last + AFTER + AFTER));
        assert_eq!(resting.due(last + AFTER + AFTER, |_| LastVisit::At(last)), [key()]);
        assert_eq!(resting.rest(&key()), Rest::Due);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_visited_at_all_sleeps_and_a_new_container_counts_anew() {
        let (mut resting, begun) = followed();
        resting.follow(&status("next"), begun + AFTER / 2);
        assert_eq!(resting.due(begun + AFTER, |_| LastVisit::Never), []);
        assert_eq!(resting.due(begun + AFTER / 2 + AFTER, |_| LastVisit::Never), [key()]);
        let broken = AppStatus { health: Health::Degraded, ..status("next") };
        let (mut resting, begun) = followed();
        resting.follow(&broken, begun);
        assert_eq!(resting.next_due(), None, "who is broken stays awake, for its owner to see");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_while_it_falls_asleep_is_not_too_late() {
        let (mut resting, begun) = followed();
        let now = begun + AFTER;
        resting.due(now, |_| LastVisit::Never);
        resting.note_visit(&key(), true, LastVisit::At(begun));
        assert_eq!(resting.rest(&key()), Rest::Due, "that was before");
        resting.note_visit(&key(), true, LastVisit::At(now + Duration::from_millis(1)));
        assert_eq!(resting.rest(&key()), Rest::Wanted);
        let asleep = AppStatus { health: Health::Asleep, ..status("main") };
        resting.end(&key(), Some(Timestamp(1)), &asleep, false, now);
        assert_eq!(resting.rest(&key()), Rest::Wanted, "until it is written down that it is awake");
        resting.end(&key(), None, &status("main"), false, now);
        assert_eq!(resting.rest(&key()), Rest::AsBefore);
    }
}
