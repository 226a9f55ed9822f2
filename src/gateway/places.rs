//! Who has a place at the gateway, and who gives way when none is left.
//!
//! # Guarantees
//! - Whoever comes finds a place as long as somebody waits for their client: for a request, for the rest of a head or a body, or
//!   for the client to take an answer. Who has waited longest gives way. A request that is whole is never cut off by that.
//! - One visitor (an IPv4 address, a /64 of IPv6) has at most half of all places, and makes room for itself only. Trusted proxies
//!   are not counted as one: they speak for many.
//! - The last places, the reserve, are never an app's: when everything else is taken, the portal is still reached.
//! - Tunnels and event streams, which have no end to wait for, take at most half of all places for one app or one visitor, and three
//!   quarters in all.
//! - Of heads that are not complete yet no more is held than [`Limits::heads`] and [`FREE_HEAD`] a connection.
//!
//! The table's lock is taken when a connection comes and when it goes. A request only changes its own connection's slot.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::workers::WORKERS;
use crate::model::AppKey;

/// What of an unfinished head counts for nothing: hyper's first buffer has that size.
pub(super) const FREE_HEAD: usize = 8 * 1024;
/// Connections that were told to give way and have not ended yet. More of them, and nobody is let in.
const MAX_ENDING: usize = 256;
/// Whoever finds nobody that could give way looks again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Slots of one chunk.
const CHUNK: usize = 64;
/// In place of a visitor.
const NOBODY: u64 = u64::MAX;
/// In place of a time: somebody else has the place.
const GIVEN: u64 = u64::MAX;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Places without the reserve.
    pub(super) places: usize,
    pub(super) reserve: usize,
    /// Bytes of unfinished heads beyond [`FREE_HEAD`] of each.
    pub(super) heads: usize,
}

impl Limits {
    /// Of one visitor, or of one app's tunnels.
    fn share(&self) -> usize {
        self.places.div_ceil(2)
    }

    fn tunnels(&self) -> usize {
        self.places.div_ceil(4) * 3
    }
}

/// Whom a connection is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Visitor(u64);

impl Visitor {
    /// An IPv4 address, or the /64 that one household or server has of IPv6 at least.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // No host has an address below ffff::.
            IpAddr::V4(address) => 0xffff_ffff << 32 | u64::from(address.to_bits()),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(0),
        })
    }
}

/// Nobody made room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The visitor has its share, and a request runs on each of it.
    OfThisVisitor,
    OfAll,
}

/// The place was given to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the connection had to give way to another")]
pub(super) struct GivenAway;

/// All places.
pub(super) struct Places {
    limits: Limits,
    epoch: Instant,
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    table: Mutex<Table>,
    heads: AtomicUsize,
    /// Somebody who gave way has ended.
    ended: Notify,
}

/// Slots of one worker's connections, so that no two threads write to the same cache line. In columns, because who has waited
/// longest is found by looking at all of them.
#[repr(align(64))]
struct Chunk {
    /// Nanoseconds since the epoch; 0 while busy or free, [`GIVEN`] from when it had to give way.
    since: [AtomicU64; CHUNK],
    visitor: [AtomicU64; CHUNK],
    /// Bytes of an unfinished head beyond [`FREE_HEAD`].
    head: [AtomicU32; CHUNK],
}

#[derive(Default)]
struct Table {
    entries: Vec<Option<Entry>>,
    free: [Vec<usize>; WORKERS],
    chunks: usize,
    regular: usize,
    reserve: usize,
    ending: usize,
    by_visitor: HashMap<Visitor, usize>,
    tunnels: usize,
    tunnels_by_app: HashMap<AppKey, usize>,
    tunnels_by_visitor: HashMap<Visitor, usize>,
}

/// A connection as long as its place is not free.
struct Entry {
    visitor: Option<Visitor>,
    standing: Standing,
    end: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Regular,
    Reserve,
    /// It was told to give way, and is counted no more.
    Ending,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        let most = (limits.places + limits.reserve + MAX_ENDING).div_ceil(CHUNK) + WORKERS;
        Self {
            limits,
            epoch: Instant::now(),
            chunks: (0..most).map(|_| OnceLock::new()).collect(),
            table: Mutex::default(),
            heads: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// A place for a connection of this worker; it waits from now on. No visitor: it is not counted for one.
    ///
    /// Cancel-safe: a place that was not handed out is free.
    pub(super) async fn find(self: &Arc<Self>, visitor: Option<Visitor>, worker: usize) -> Result<Arc<Place>, Full> {
        loop {
            let ended = self.ended.notified();
            match self.try_find(visitor, worker) {
                Ok(place) => return Ok(place),
                Err(Full::OfThisVisitor) => return Err(Full::OfThisVisitor),
                Err(Full::OfAll) => {
                    let _ = tokio::time::timeout(LOOK_AGAIN, ended).await;
                }
            }
        }
    }

    fn try_find(self: &Arc<Self>, visitor: Option<Visitor>, worker: usize) -> Result<Arc<Place>, Full> {
        let mut table = self.table();
        if table.ending >= MAX_ENDING {
            return Err(Full::OfAll);
        }
        if let Some(visitor) = visitor
            && table.by_visitor.get(&visitor).is_some_and(|has| *has >= self.limits.share())
            && !self.make_room(&mut table, |chunk, at| chunk.visitor[at].load(Relaxed) == visitor.0)
        {
            return Err(Full::OfThisVisitor);
        }
        let standing = if table.regular < self.limits.places || self.make_room(&mut table, |_, _| true) {
            // Whoever gave way may have been in the reserve.
            if table.regular < self.limits.places { Standing::Regular } else { Standing::Reserve }
        } else if table.reserve < self.limits.reserve {
            Standing::Reserve
        } else {
            return Err(Full::OfAll);
        };
        let index = self.free_slot(&mut table, worker).ok_or(Full::OfAll)?;
        let end = Arc::new(Notify::new());
        let place = Arc::new(Place {
            places: Arc::clone(self),
            index,
            worker,
            is_reserve: AtomicBool::new(standing == Standing::Reserve),
            began: AtomicU64::new(0),
            head: AtomicUsize::new(0),
            phase: AtomicU8::new(Phase::Request as u8),
            end: Arc::clone(&end),
            said_431: AtomicBool::new(false),
        });
        table.entries[index] = Some(Entry { visitor, standing, end });
        table.count(standing, visitor);
        if let Some((chunk, at)) = self.slot(index) {
            chunk.visitor[at].store(visitor.map_or(NOBODY, |visitor| visitor.0), Relaxed);
        }
        // It is nobody else's yet.
        let _ = place.wait();
        Ok(place)
    }

    fn free_slot(&self, table: &mut Table, worker: usize) -> Option<usize> {
        if table.free[worker].is_empty() {
            let chunk = table.chunks;
            self.chunks.get(chunk)?.get_or_init(|| {
                Box::new(Chunk {
                    since: std::array::from_fn(|_| AtomicU64::new(0)),
                    visitor: std::array::from_fn(|_| AtomicU64::new(0)),
                    head: std::array::from_fn(|_| AtomicU32::new(0)),
                })
            });
            table.chunks += 1;
            table.entries.resize_with(table.chunks * CHUNK, || None);
            table.free[worker].extend((chunk * CHUNK..table.chunks * CHUNK).rev());
        }
        table.free[worker].pop()
    }

    fn slot(&self, index: usize) -> Option<(&Chunk, usize)> {
        self.chunks.get(index / CHUNK)?.get().map(|chunk| (&**chunk, index % CHUNK))
    }

    /// Has whoever has waited longest give way, and counts them as gone. Whether there was somebody.
    fn make_room(&self, table: &mut Table, may: impl Fn(&Chunk, usize) -> bool) -> bool {
        let Some(index) = self.give_away(may) else { return false };
        table.end(index);
        true
    }

    /// Marks the slot of whoever has waited longest; from then on they begin nothing any more.
    fn give_away(&self, may: impl Fn(&Chunk, usize) -> bool) -> Option<usize> {
        loop {
            let mut oldest: Option<(u64, usize)> = None;
            for (number, chunk) in self.chunks.iter().map_while(OnceLock::get).enumerate() {
                for at in 0..CHUNK {
                    let since = chunk.since[at].load(Relaxed);
                    if since != 0 && oldest.is_none_or(|(least, _)| since < least) && since != GIVEN && may(chunk, at) {
                        oldest = Some((since, number * CHUNK + at));
                    }
                }
            }
            let (since, index) = oldest?;
            let (chunk, at) = self.slot(index)?;
            // Else its request came at this very moment.
            if chunk.since[at].compare_exchange(since, GIVEN, Relaxed, Relaxed).is_ok() {
                self.forget_head(chunk, at);
                return Some(index);
            }
        }
    }

    fn forget_head(&self, chunk: &Chunk, at: usize) {
        let had = chunk.head[at].swap(0, Relaxed);
        self.heads.fetch_sub(usize::try_from(had).unwrap_or(0), Relaxed);
    }

    /// A place among the tunnels for as long as the guard lives; none when the app or the visitor has its share of them.
    pub(super) fn open_tunnel(self: &Arc<Self>, app: &AppKey, visitor: Visitor) -> Option<Tunnel> {
        let mut table = self.table();
        let share = self.limits.share();
        let is_full = table.tunnels >= self.limits.tunnels()
            || table.tunnels_by_app.get(app).is_some_and(|has| *has >= share)
            || table.tunnels_by_visitor.get(&visitor).is_some_and(|has| *has >= share);
        if is_full {
            return None;
        }
        table.tunnels += 1;
        *table.tunnels_by_app.entry(app.clone()).or_default() += 1;
        *table.tunnels_by_visitor.entry(visitor).or_default() += 1;
        Some(Tunnel { places: Arc::clone(self), app: app.clone(), visitor })
    }

    /// Nothing in here panics half-way through a change.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&mut self, standing: Standing, visitor: Option<Visitor>) {
        *self.of(standing) += 1;
        if let Some(visitor) = visitor {
            *self.by_visitor.entry(visitor).or_default() += 1;
        }
    }

    fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Regular => &mut self.regular,
            Standing::Reserve => &mut self.reserve,
            Standing::Ending => &mut self.ending,
        }
    }

    /// Tells a connection to end, and counts its place as free.
    fn end(&mut self, index: usize) {
        let Some(entry) = &mut self.entries[index] else { return };
        let (was, visitor) = (entry.standing, entry.visitor.take());
        entry.standing = Standing::Ending;
        entry.end.notify_one();
        *self.of(was) -= 1;
        self.ending += 1;
        if let Some(visitor) = visitor {
            less(&mut self.by_visitor, visitor);
        }
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// What a connection waits for its client with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The head of a request, or nothing yet.
    Head,
    /// A request runs.
    Request,
}

/// One connection's place. It is free again when nobody holds it any more.
pub(super) struct Place {
    places: Arc<Places>,
    index: usize,
    worker: usize,
    is_reserve: AtomicBool,
    /// When it last began to wait for a request.
    began: AtomicU64,
    /// Bytes of an unfinished head.
    head: AtomicUsize,
    phase: AtomicU8,
    end: Arc<Notify>,
    /// The last answer to a request was a 431: what looks like hyper's own may be that one.
    pub(super) said_431: AtomicBool,
}

impl Place {
    /// Ready when the connection has to end.
    pub(super) async fn given_away(&self) {
        self.end.notified().await;
    }

    /// For a request, from now on.
    pub(super) fn wait(&self) -> Result<(), GivenAway> {
        let now = self.now();
        self.began.store(now, Relaxed);
        self.phase.store(Phase::Head as u8, Relaxed);
        self.put(now)
    }

    /// For more of a body: as long as it waited before the request began, so that nobody stays young by sending little at a time.
    pub(super) fn wait_on(&self) -> Result<(), GivenAway> {
        self.put(self.began.load(Relaxed))
    }

    /// For the client to take what is sent, from now on.
    pub(super) fn stall(&self) -> Result<(), GivenAway> {
        match self.phase() {
            Phase::Request => self.put(self.now()),
            // The answer is complete: it has waited since then.
            Phase::Head => Ok(()),
        }
    }

    /// A request's head is complete: from now on nobody takes the connection away; unless somebody has.
    pub(super) fn begin(&self) -> Result<(), GivenAway> {
        self.put(0)?;
        self.phase.store(Phase::Request as u8, Relaxed);
        if self.head.swap(0, Relaxed) > FREE_HEAD {
            self.forget_head();
        }
        Ok(())
    }

    /// The client has moved: on with the request.
    pub(super) fn go_on(&self) -> Result<(), GivenAway> {
        match self.phase() {
            Phase::Request => self.put(0),
            Phase::Head => Ok(()),
        }
    }

    /// So much more was read from the client.
    pub(super) fn read(&self, bytes: usize) -> Result<(), GivenAway> {
        if self.phase() == Phase::Request {
            return Ok(());
        }
        let before = self.head.fetch_add(bytes, Relaxed);
        let beyond = (before + bytes).saturating_sub(FREE_HEAD) - before.saturating_sub(FREE_HEAD);
        if beyond == 0 {
            return Ok(());
        }
        let Some((chunk, at)) = self.places.slot(self.index) else { return Err(GivenAway) };
        chunk.head[at].fetch_add(u32::try_from(beyond).unwrap_or(u32::MAX), Relaxed);
        self.places.heads.fetch_add(beyond, Relaxed);
        while self.places.heads.load(Relaxed) > self.places.limits.heads {
            let mut table = self.places.table();
            if !self.places.make_room(&mut table, |chunk, at| chunk.head[at].load(Relaxed) > 0) {
                break;
            }
            drop(table);
        }
        if chunk.since[at].load(Relaxed) == GIVEN { Err(GivenAway) } else { Ok(()) }
    }

    /// Takes a place that is no reserve, for a request that goes to an app. None: there is none.
    pub(super) fn leave_reserve(&self) -> Option<()> {
        if !self.is_reserve.load(Relaxed) {
            return Some(());
        }
        let mut table = self.places.table();
        while table.regular >= self.places.limits.places {
            if !self.places.make_room(&mut table, |_, _| true) {
                return None;
            }
        }
        let table = &mut *table;
        let entry = table.entries[self.index].as_mut().filter(|entry| entry.standing == Standing::Reserve)?;
        entry.standing = Standing::Regular;
        table.reserve -= 1;
        table.regular += 1;
        self.is_reserve.store(false, Relaxed);
        Some(())
    }

    fn phase(&self) -> Phase {
        if self.phase.load(Relaxed) == Phase::Head as u8 { Phase::Head } else { Phase::Request }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.places.epoch.elapsed().as_nanos()).unwrap_or(GIVEN).clamp(1, GIVEN - 1)
    }

    fn put(&self, value: u64) -> Result<(), GivenAway> {
        let Some((chunk, at)) = self.places.slot(self.index) else { return Err(GivenAway) };
        let mut seen = chunk.since[at].load(Relaxed);
        while seen != GIVEN {
            match chunk.since[at].compare_exchange_weak(seen, value, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
        Err(GivenAway)
    }

    fn forget_head(&self) {
        if let Some((chunk, at)) = self.places.slot(self.index) {
            self.places.forget_head(chunk, at);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.forget_head();
        if let Some((chunk, at)) = self.places.slot(self.index) {
            chunk.since[at].store(0, Relaxed);
            chunk.visitor[at].store(0, Relaxed);
        }
        let mut table = self.places.table();
        if let Some(entry) = table.entries[self.index].take() {
            *table.of(entry.standing) -= 1;
            if let Some(visitor) = entry.visitor {
                less(&mut table.by_visitor, visitor);
            }
        }
        table.free[self.worker].push(self.index);
        drop(table);
        self.places.ended.notify_waiters();
    }
}

/// One tunnel, or one event stream.
pub(super) struct Tunnel {
    places: Arc<Places>,
    app: AppKey,
    visitor: Visitor,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let mut table = self.places.table();
        table.tunnels -= 1;
        less(&mut table.tunnels_by_visitor, self.visitor);
        if let Some(count) = table.tunnels_by_app.get_mut(&self.app) {
            *count -= 1;
            if *count == 0 {
                table.tunnels_by_app.remove(&self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(places: usize, reserve: usize) -> Arc<Places> {
        Arc::new(Places::new(Limits { places, reserve, heads: 1000 }))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a place is asked for")]
    fn from(address: &str) -> Option<Visitor> {
        Some(Visitor::of(address.parse().unwrap()))
    }

    async fn is_told(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.given_away()).await.is_ok()
    }

    #[test]
    fn one_visitor_is_an_ipv4_address_or_a_network_of_ipv6() {
        for (one, other, is_one) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::1", "0.0.0.1", false),
        ] {
            assert_eq!(from(one) == from(other), is_one, "{one} {other}");
        }
    }

    #[tokio::test]
    async fn one_visitor_makes_room_for_itself_only() {
        let places = places(4, 0);
        let other = places.try_find(from("192.0.2.9"), 0).unwrap();
        let own: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|one| places.try_find(from(one), 0).unwrap()).into();
        let third = places.try_find(from("2001:db8::3"), 1).unwrap();
        assert!(is_told(&own[0]).await && !is_told(&own[1]).await && !is_told(&other).await);
        own[0].begin().unwrap_err();
        // Both of its places are busy.
        own[1].begin().unwrap();
        third.begin().unwrap();
        assert_eq!(places.try_find(from("2001:db8::4"), 1).err(), Some(Full::OfThisVisitor));
        assert!(places.try_find(None, 1).is_ok(), "whoever speaks for many is no one visitor");
    }

    #[tokio::test]
    async fn whoever_waits_longest_gives_way_and_what_has_begun_does_not() {
        let places = places(3, 0);
        let [first, second, third] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|one| places.try_find(from(one), 0).unwrap());
        first.begin().unwrap();
        let fourth = places.try_find(from("192.0.2.4"), 1).unwrap();
        assert!(is_told(&second).await && !is_told(&first).await && !is_told(&third).await);
        // Waiting for the rest of its body the first is as old as before, not younger than the third.
        first.wait_on().unwrap();
        let fifth = places.try_find(from("192.0.2.5"), 1).unwrap();
        assert!(is_told(&first).await && !is_told(&third).await);
        first.go_on().unwrap_err();
        // With an answer behind it the third is the youngest.
        third.begin().unwrap();
        third.wait().unwrap();
        let _sixth = places.try_find(from("192.0.2.6"), 1).unwrap();
        assert!(is_told(&fourth).await && !is_told(&third).await && !is_told(&fifth).await);
    }

    #[tokio::test]
    async fn the_reserve_is_left_for_an_app_only_when_there_is_room() {
        let places = places(1, 1);
        let regular = places.try_find(from("192.0.2.1"), 0).unwrap();
        regular.begin().unwrap();
        let reserve = places.try_find(from("192.0.2.2"), 0).unwrap();
        assert_eq!(places.try_find(from("192.0.2.3"), 0).err(), None, "who waits in the reserve gives way");
        assert!(is_told(&reserve).await);
        drop(reserve);
        let reserve = places.try_find(from("192.0.2.4"), 0).unwrap();
        reserve.begin().unwrap();
        assert_eq!(places.try_find(from("192.0.2.5"), 0).err(), Some(Full::OfAll));
        assert!(reserve.leave_reserve().is_none());
        drop(regular);
        assert!(reserve.leave_reserve().is_some());
        assert!(places.try_find(from("192.0.2.5"), 0).is_ok(), "and the reserve is free again");
    }

    #[tokio::test]
    async fn whoever_waits_longest_with_half_a_head_gives_way_and_a_finished_one_costs_nothing() {
        let places = places(10, 0);
        let [short, first, second] = [(); 3].map(|()| places.try_find(None, 0).unwrap());
        short.read(FREE_HEAD).unwrap();
        first.read(FREE_HEAD + 600).unwrap();
        first.begin().unwrap();
        assert_eq!(places.heads.load(Relaxed), 0);
        // A body is no head.
        first.read(1 << 20).unwrap();
        first.wait().unwrap();
        first.read(FREE_HEAD + 600).unwrap();
        second.read(FREE_HEAD).unwrap();
        second.read(600).unwrap_err();
        assert!(
            is_told(&second).await && !is_told(&short).await && !is_told(&first).await,
            "it is older than the first"
        );
        drop(second);
        assert_eq!(places.heads.load(Relaxed), 600, "of the first");
        drop(first);
        assert_eq!(places.heads.load(Relaxed), 0);
    }
}
