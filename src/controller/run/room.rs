//! Room in memory: who sleeps early because it runs short, and who waits before they are started.
//!
//! # Guarantees
//! - Nothing is started that would take of what is kept free (`PAAS_MEMORY_RESERVE`): it waits, and is started when there is room. What
//!   runs goes on.
//! - While less than that is available, or the kernel tells that much time is spent waiting for memory, whoever may sleep and is at
//!   nobody's service is sent to sleep, who was visited the longest ago first, and no more of them than it takes.
//! - What is being started counts from the decision on, since the kernel sees it later.
//!
//! Looked at every five seconds, every second while it is tight, and before anything is started. Nothing of this is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Controller;
use crate::clock::Clock as _;
use crate::controller::goal::Decision;
use crate::controller::queue::Urgency;
use crate::controller::seams::{Drain as _, Gauge as _, Seams};
use crate::model::memory::{MemoryReading, Shortage};
use crate::model::{AppKey, AppStatus, Bytes, Cause, ConditionKind, Event, EventKind, Health, SyncState, Timestamp};
use crate::plan::Goal;

const CALM: Duration = Duration::from_secs(5);
const TIGHT: Duration = Duration::from_secs(1);
/// A reading that is as fresh is good enough to start something by.
const FRESH: Duration = Duration::from_millis(200);
/// How long a process that was started may take until it holds what it usually does.
const SETTLES: Duration = Duration::from_secs(3);
/// What an app is taken to hold as long as none was measured: an idle one of Node holds 41 MB, and its code something.
const TYPICAL: Bytes = Bytes::mib(64);
/// Somebody waits for memory for a fifth of the time, in hundredths of a percent.
const PRESSED: u32 = 2_000;
/// The kernel's figure is of the last ten seconds: so long it tells of what was before somebody slept.
const PRESSURE_LASTS: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Room {
    reading: Option<(MemoryReading, Instant)>,
    /// When somebody was last sent to sleep because of pressure alone.
    relieved_at: Option<Instant>,
    /// What apps were last seen to hold.
    sizes: BTreeMap<AppKey, Bytes>,
    /// What is being started, and until when it may grow; `None`: as long as its pass lasts.
    starting: BTreeMap<AppKey, (Bytes, Option<Instant>)>,
    reserve: Bytes,
    /// Who is not started for want of room.
    waiting: BTreeSet<AppKey>,
}

impl Room {
    /// `None`: the machine does not tell, or nothing is kept free.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let (reading, at) = self.reading.filter(|_| self.reserve.0 > 0)?;
        let is_tight = reading.available.0 < self.reserve.0.saturating_mul(2) || is_pressed(&reading);
        Some(at + if is_tight { TIGHT } else { CALM })
    }

    fn take(&mut self, reading: Option<MemoryReading>, reserve: impl Fn(Bytes) -> Bytes, now: Instant) {
        self.reading = reading.map(|reading| (reading, now));
        self.reserve = reading.map_or(Bytes(0), |reading| reserve(reading.total));
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.reading.is_some_and(|(_, at)| now.saturating_duration_since(at) < FRESH)
    }

    /// What is not kept free and nobody is about to take.
    fn free(&self, except: &AppKey) -> Option<Bytes> {
        let (reading, _) = self.reading.filter(|_| self.reserve.0 > 0)?;
        let taken: u64 = self.starting.iter().filter(|(key, _)| *key != except).map(|(_, (size, _))| size.0).sum();
        Some(Bytes(reading.available.0.saturating_sub(taken)))
    }

    /// About what an app holds, within its limit.
    fn size_of(&self, key: &AppKey, limit: Option<Bytes>) -> Bytes {
        let all: u64 = self.sizes.values().map(|size| size.0).sum();
        let average = u64::try_from(self.sizes.len()).ok().and_then(|count| all.checked_div(count));
        let typical = || average.map_or(TYPICAL, Bytes);
        let size = self.sizes.get(key).copied().unwrap_or_else(typical);
        limit.map_or(size, |limit| size.min(limit))
    }

    fn shortage(&self, key: &AppKey, needs: Bytes) -> Option<Shortage> {
        let free = self.free(key)?;
        (free.0 < needs.0 + self.reserve.0).then_some(Shortage { needs, free, reserve: self.reserve })
    }

    /// So much would have to become free, whoever may be waiting.
    fn lacks(&self, now: Instant) -> Bytes {
        let Some((reading, _)) = self.reading else { return Bytes(0) };
        let lacks = self.reserve.0.saturating_sub(reading.available.0);
        let relieved = self.relieved_at.is_some_and(|at| now.saturating_duration_since(at) < PRESSURE_LASTS);
        Bytes(if lacks == 0 && is_pressed(&reading) && !relieved { 1 } else { lacks })
    }

    /// A pass is over, in which the app was started or not.
    fn end(&mut self, key: &AppKey, is_started: bool, now: Instant) {
        if !is_started {
            self.starting.remove(key);
        } else if let Some((_, until)) = self.starting.get_mut(key) {
            *until = Some(now + SETTLES);
        }
    }

    /// Who holds by now what they usually do.
    fn settled(&mut self, now: Instant) -> Vec<AppKey> {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let settled = self.starting.iter().filter(|(_, (_, until))| is_over(*until)).map(|(key, _)| key.clone());
        let settled: Vec<_> = settled.collect();
        self.starting.retain(|_, (_, until)| !is_over(*until));
        settled
    }

    pub(super) fn forget(&mut self, key: &AppKey) {
        self.sizes.remove(key);
        self.starting.remove(key);
        self.waiting.remove(key);
    }
}

fn is_pressed(reading: &MemoryReading) -> bool {
    reading.pressure.is_some_and(|pressure| pressure >= PRESSED)
}

/// Nothing of it is about to be started: it runs, or is on its way, as its manifest says or as it goes over to it.
fn is_up(status: &AppStatus, decision: &Decision) -> bool {
    let runs = matches!(status.health, Health::Running | Health::Starting | Health::CrashLoop | Health::Degraded);
    let goes_over = status.sync == SyncState::OutOfSync;
    runs && status.container.is_some()
        && status.condition(ConditionKind::NotEnoughMemory).is_none()
        && (goes_over || status.applied_digest == decision.file_digest)
}

impl<W: Seams> Controller<W> {
    /// Whether an app would find no room, were it started now. If it is about to be, room is made for it as far as that is possible.
    pub(super) fn shortage(&mut self, key: &AppKey, decision: &Decision) -> Option<Shortage> {
        let Goal::Run(spec) = &decision.goal else {
            self.room.starting.remove(key);
            return None;
        };
        let now = Instant::now();
        if !self.room.is_fresh(now) {
            self.read_memory(now);
        }
        let needs = self.room.size_of(key, Some(spec.limits.memory));
        let shortage = self.room.shortage(key, needs);
        if self.status.apps.get(key).is_some_and(|status| is_up(status, decision)) {
            return shortage;
        }
        match shortage {
            None => drop(self.room.starting.insert(key.clone(), (needs, None))),
            Some(shortage) => self.make_room(shortage.lacks(), now),
        }
        shortage
    }

    pub(super) fn look_at_memory(&mut self) {
        let now = Instant::now();
        if self.room.next_due().is_none_or(|at| at > now) {
            return;
        }
        self.read_memory(now);
        for key in self.room.settled(now) {
            self.measure(&key);
        }
        let lacks = self.room.lacks(now);
        if lacks.0 > 0 {
            self.make_room(lacks, now);
        }
        self.call_who_waits(now);
    }

    /// Also when the settings have changed: what was read just now goes by the reserve of before.
    pub(super) fn read_memory(&mut self, now: Instant) {
        let (reading, reserve) = (self.world.gauge().memory(), self.news.settings.memory_reserve);
        self.room.take(reading, |total| reserve.of(total), now);
    }

    fn measure(&mut self, key: &AppKey) {
        let container = self.status.apps.get(key).and_then(|status| status.container.as_ref());
        if let Some(size) = container.and_then(|container| self.world.gauge().used_by(container)) {
            self.room.sizes.insert(key.clone(), size);
        }
    }

    /// Sends to sleep whoever may, until so much will be free.
    fn make_room(&mut self, lacks: Bytes, now: Instant) {
        if planted!(PressureIgnored) {
            return;
        }
        let falling: u64 = self.resting.falling_asleep().map(|key| self.room.size_of(key, None).0).sum();
        let mut lacks = lacks.0.saturating_sub(falling);
        let world = &self.world;
        let idle = self.resting.idle(|key| world.drain().last_visit(key));
        let mut events = Vec::new();
        for key in idle {
            if lacks == 0 {
                break;
            }
            self.measure(&key);
            lacks = lacks.saturating_sub(self.room.size_of(&key, None).0);
            self.resting.send(&key, now);
            self.room.relieved_at = Some(now);
            events.push(self.tell_early(&key));
            self.queue.mark(key, Urgency::Edit, now);
        }
        if !events.is_empty() {
            self.log(events);
        }
    }

    fn tell_early(&self, key: &AppKey) -> Event {
        let (free, reserve) = (self.room.reading.map_or(0, |(reading, _)| reading.available.0), self.room.reserve.0);
        let cause = format!(
            "memory is short: {} MB are free, and {} MB are to be",
            free.div_ceil(Bytes::MIB),
            reserve.div_ceil(Bytes::MIB)
        );
        let (at, what) = (self.world.clock().now(), "the app was sent to sleep early".to_owned());
        Event { at, app: Some(key.clone()), kind: EventKind::Noticed, what, cause: Cause::new(cause) }
    }

    /// Looks at those who waited and fit by now, and makes room for the first who does not.
    fn call_who_waits(&mut self, now: Instant) {
        let waiting = self.room.waiting.iter().filter_map(|key| {
            let status = self.status.apps.get(key)?;
            let since = status.condition(ConditionKind::NotEnoughMemory)?.since;
            Some((since, key.clone(), status.limits.map(|limits| limits.memory)))
        });
        let mut waiting: Vec<(Timestamp, AppKey, Option<Bytes>)> = waiting.collect();
        waiting.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        for (_, key, limit) in waiting {
            if self.running.contains_key(&key) {
                continue;
            }
            let needs = self.room.size_of(&key, limit);
            if let Some(shortage) = self.room.shortage(&key, needs) {
                self.make_room(shortage.lacks(), now);
                return;
            }
            self.room.starting.insert(key.clone(), (needs, None));
            self.queue.mark(key, Urgency::Hint, now);
        }
    }

    /// A pass is over. `before`: when the app's container had been started.
    pub(super) fn end_start(&mut self, status: &AppStatus, before: Option<Timestamp>) {
        let now = Instant::now();
        let is_new = status.started_at.is_some() && status.started_at != before;
        let is_started = is_new || status.health == Health::Starting;
        let waits = status.condition(ConditionKind::NotEnoughMemory).is_some();
        self.room.end(&status.app, is_started && !waits, now);
        if waits {
            self.room.waiting.insert(status.app.clone());
        } else {
            self.room.waiting.remove(&status.app);
        }
        // Somebody may have waited for this.
        let is_down = matches!(status.health, Health::Asleep | Health::Stopped | Health::Deleted);
        if is_down
            && !self.room.waiting.is_empty()
            && let Some((_, at)) = &mut self.room.reading
        {
            *at = at.checked_sub(CALM).unwrap_or(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> AppKey {
        AppKey::parse(text).unwrap()
    }

    fn room(available: u64, pressure: Option<u32>) -> (Room, Instant) {
        let (mut room, now) = (Room::default(), Instant::now());
        let reading = MemoryReading { total: Bytes::mib(1000), available: Bytes::mib(available), pressure };
        room.take(Some(reading), |_| Bytes::mib(100), now);
        (room, now)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_started_counts_before_the_kernel_sees_it() {
        let (mut room, now) = room(250, None);
        let [one, two, three] = ["a-one", "a-two", "a-three"].map(|app| key(&format!("alic{app}")));
        let needs = room.size_of(&one, None);
        assert_eq!(needs, TYPICAL);
        assert_eq!(room.shortage(&one, needs), None);
        room.starting.insert(one.clone(), (needs, None));
        assert_eq!(room.shortage(&two, needs), None);
        room.starting.insert(two.clone(), (needs, None));
        let shortage = room.shortage(&three, needs).unwrap();
        assert_eq!((shortage.free, shortage.lacks()), (Bytes::mib(122), Bytes::mib(42)));
        // One was started and holds what it does, the other was not.
        room.end(&one, true, now);
        room.end(&two, false, now);
        assert_eq!(room.settled(now), []);
        assert_eq!(room.settled(now + SETTLES), [one]);
        assert_eq!(room.shortage(&three, needs), None);
    }

    #[tokio::test(start_paused = true)]
    async fn sizes_are_what_was_measured_then_what_others_hold_and_never_above_the_limit() {
        let (mut room, _) = room(900, None);
        room.sizes.insert(key("alice-one"), Bytes::mib(30));
        room.sizes.insert(key("alice-two"), Bytes::mib(50));
        assert_eq!(room.size_of(&key("alice-one"), None), Bytes::mib(30));
        assert_eq!(room.size_of(&key("alice-new"), None), Bytes::mib(40));
        assert_eq!(room.size_of(&key("alice-new"), Some(Bytes::mib(32))), Bytes::mib(32));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_more_often_while_it_is_tight_and_not_at_all_without_a_reserve() {
        let (calm, now) = room(900, None);
        assert_eq!((calm.next_due(), calm.lacks(now)), (Some(now + CALM), Bytes(0)));
        let (close, now) = room(150, None);
        assert_eq!((close.next_due(), close.lacks(now)), (Some(now + TIGHT), Bytes(0)));
        let (short, now) = room(60, None);
        assert_eq!((short.next_due(), short.lacks(now)), (Some(now + TIGHT), Bytes::mib(40)));
        let (mut pressed, now) = room(900, Some(PRESSED));
        assert_eq!((pressed.next_due(), pressed.lacks(now)), (Some(now + TIGHT), Bytes(1)));
        pressed.relieved_at = Some(now);
        assert_eq!(pressed.lacks(now + TIGHT), Bytes(0), "it tells of what was before");
        assert_eq!(pressed.lacks(now + PRESSURE_LASTS), Bytes(1));
        let (mut none, _) = room(10, None);
        none.reserve = Bytes(0);
        assert_eq!((none.next_due(), none.shortage(&key("alice-one"), TYPICAL)), (None, None));
    }
}
