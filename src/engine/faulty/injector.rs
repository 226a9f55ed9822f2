//! Counts the daemon's calls to the outside and injects a fault into the chosen one.
//!
//! One [`Injector`] stands behind all decorators of one run, so that "the 17th call" means the same whichever seam it
//! goes through. It survives the daemon's deaths and goes on counting; each life of the daemon gets a [`Life`], and once
//! that has ended, whatever still runs of it hangs at its next call, as a killed process does nothing more.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{self, Future};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::{CallFault, CallKind, CallRecord};
use crate::engine::ErrorKind;

/// Which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// What can change the world, inner steps included.
    #[default]
    Mutating,
    All,
}

type BeforeCall = Box<dyn FnOnce() + Send>;

/// How long after another fault the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// At the n-th call after it, or the first later one that the fault applies to.
    Calls(u64),
    /// The same, counting only calls that can change the world: what lies between a crash and them is looking.
    Writes(u64),
}

#[derive(Debug)]
struct FollowUp {
    after: u64,
    gap: Gap,
    fault: CallFault,
}

impl FollowUp {
    /// Whether its fault belongs to this call.
    fn meets(&mut self, call: &CallRecord) -> bool {
        if call.number <= self.after {
            return false;
        }
        let due = match &mut self.gap {
            Gap::Calls(calls) => call.number >= self.after + *calls,
            Gap::Writes(left) => {
                *left = left.saturating_sub(u64::from(call.kind != CallKind::Read));
                *left == 0
            }
        };
        due && self.fault.applies_to(call)
    }
}

#[derive(Default)]
struct State {
    scope: Scope,
    /// Counted so far.
    count: u64,
    /// Calls that can change the world, whether counted, injected into, or neither.
    writes: u64,
    calls: Vec<CallRecord>,
    faults: BTreeMap<u64, CallFault>,
    follow_ups: Vec<FollowUp>,
    /// What to do right before the call with that number.
    actions: BTreeMap<u64, Vec<BeforeCall>>,
    /// Seams that fail until healed.
    failing: BTreeMap<&'static str, ErrorKind>,
    deaths: u64,
    last_injected_at: Option<Instant>,
    forgetful: bool,
}

/// Shared by all decorators of a run; cheap to clone.
#[derive(Clone)]
pub struct Injector {
    state: Arc<Mutex<State>>,
    /// Number of the life that may still act; a crash raises it.
    alive_tx: Arc<watch::Sender<u64>>,
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Injector")
            .field("count", &state.count)
            .field("faults", &state.faults)
            .field("failing", &state.failing)
            .finish_non_exhaustive()
    }
}

/// How a decorator is to make its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail(ErrorKind),
    /// Make the call, then die.
    DieAfter,
    LoseAnswer,
    Stale,
}

impl Injector {
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let state = State { scope, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), alive_tx: Arc::new(watch::Sender::new(0)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Injects a fault into the call with that number, counted from 1 over the whole run.
    pub fn inject_at(&self, number: u64, fault: CallFault) {
        self.lock().faults.insert(number, fault);
    }

    /// Injects a fault into the `nth` call from now (1 = the next).
    pub fn inject_in(&self, nth: u64, fault: CallFault) {
        let mut state = self.lock();
        let number = state.count + nth;
        state.faults.insert(number, fault);
    }

    /// Injects another fault, a while after the call with that number: where exactly the way goes then, nobody knows before.
    pub fn inject_after(&self, number: u64, gap: Gap, fault: CallFault) {
        self.lock().follow_ups.push(FollowUp { after: number, gap, fault });
    }

    /// Does something right before the call with that number.
    pub fn before_call(&self, number: u64, action: impl FnOnce() + Send + 'static) {
        self.lock().actions.entry(number).or_default().push(Box::new(action));
    }

    /// The decorators need not remember earlier answers: none will be asked to be stale.
    pub fn forget_answers(&self) {
        self.lock().forgetful = true;
    }

    /// Ends every failure that was to last, and forgets the faults that did not come yet.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.failing.clear();
        state.faults.clear();
        state.follow_ups.clear();
        state.actions.clear();
    }

    /// Calls counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Calls so far that could have changed the world, failed ones included: while this stands still the daemon rests.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.lock().calls.clone()
    }

    /// Looks at the calls so far where they are.
    pub fn with_calls<R>(&self, look: impl FnOnce(&[CallRecord]) -> R) -> R {
        look(&self.lock().calls)
    }

    /// Faults that were ordered and did not come yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let state = self.lock();
        state.faults.len() + state.follow_ups.len() + state.actions.len()
    }

    /// When a fault was last injected, a call that a lasting failure refused included.
    #[must_use]
    pub fn last_injected_at(&self) -> Option<Instant> {
        self.lock().last_injected_at
    }

    #[must_use]
    pub fn deaths(&self) -> u64 {
        self.lock().deaths
    }

    /// The next life of the daemon. The one before, if it still lives, is dead from here on.
    #[must_use]
    pub fn life(&self) -> Life {
        let mut number = 0;
        self.alive_tx.send_modify(|alive| {
            *alive += 1;
            number = *alive;
        });
        Life { injector: Some(self.clone()), number }
    }

    /// Ends the present life, as `kill -9` from outside.
    pub fn kill(&self) {
        self.lock().deaths += 1;
        self.alive_tx.send_modify(|alive| *alive += 1);
    }
}

/// One life of the daemon, held by its decorators.
#[derive(Debug, Clone)]
pub struct Life {
    /// `None`: no faults.
    injector: Option<Injector>,
    number: u64,
}

impl Life {
    /// A life that nothing happens to.
    #[must_use]
    pub fn charmed() -> Self {
        Self { injector: None, number: 0 }
    }

    /// Counts a call and says how to make it. Never returns once this life is over.
    pub async fn step(&self, point: &'static str, object: impl fmt::Display, kind: CallKind) -> Verdict {
        let Some(injector) = &self.injector else { return Verdict::Pass };
        self.hang_if_dead(injector).await;
        let (fault, actions) = injector.count_call(point, object, kind);
        // Outside of the lock: an action may well count calls itself.
        for action in actions {
            action();
        }
        match fault {
            None => Verdict::Pass,
            Some(CallFault::CrashBefore) => self.die().await,
            Some(CallFault::CrashAfter) => Verdict::DieAfter,
            Some(CallFault::Fail(kind) | CallFault::FailFrom(kind)) => Verdict::Fail(kind),
            Some(CallFault::LoseAnswer) => Verdict::LoseAnswer,
            Some(CallFault::StaleList) => Verdict::Stale,
        }
    }

    /// An answer arrives: not any more, if this life ended meanwhile.
    pub async fn settle(&self) {
        if let Some(injector) = &self.injector {
            self.hang_if_dead(injector).await;
        }
    }

    /// Dies. Never returns.
    pub async fn die(&self) -> ! {
        if let Some(injector) = &self.injector
            && *injector.alive_tx.borrow() == self.number
        {
            injector.kill();
        }
        match future::pending::<std::convert::Infallible>().await {}
    }

    async fn hang_if_dead(&self, injector: &Injector) {
        if *injector.alive_tx.borrow() != self.number {
            future::pending::<()>().await;
        }
    }

    /// Whether an answer may be needed once more, for a stale one.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.injector.as_ref().is_some_and(|injector| !injector.lock().forgetful)
    }

    /// Waits until this life has ended: the harness then drops what is left of the daemon.
    pub async fn ended(&self) {
        let Some(injector) = &self.injector else { return future::pending().await };
        let mut alive_rx = injector.alive_tx.subscribe();
        let number = self.number;
        // The sender lives as long as the injector, which is borrowed here.
        let _ = alive_rx.wait_for(|alive| *alive != number).await;
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.injector.as_ref().is_some_and(|injector| *injector.alive_tx.borrow() != self.number)
    }
}

impl Injector {
    fn count_call(
        &self,
        point: &'static str,
        object: impl fmt::Display,
        kind: CallKind,
    ) -> (Option<CallFault>, Vec<BeforeCall>) {
        let mut state = self.lock();
        let seam = point.split('.').next().unwrap_or(point);
        state.writes += u64::from(kind != CallKind::Read);
        let lasting = (kind != CallKind::Inner).then(|| state.failing.get(seam).copied()).flatten();
        if state.scope == Scope::Mutating && kind == CallKind::Read {
            return (lasting.map(CallFault::Fail), Vec::new());
        }
        state.count += 1;
        let number = state.count;
        let actions = state.actions.remove(&number).unwrap_or_default();
        let mut record = CallRecord { number, point, object: object.to_string(), kind, injected: None };
        let mut ordered = state.faults.remove(&number).filter(|fault| fault.applies_to(&record));
        if let Some(met) = state.follow_ups.iter_mut().position(|follow_up| follow_up.meets(&record)) {
            ordered = ordered.or(Some(state.follow_ups.remove(met).fault));
        }
        if let Some(CallFault::FailFrom(kind)) = ordered {
            state.failing.insert(seam, kind);
        }
        record.injected = ordered.or(lasting.map(CallFault::Fail));
        let injected = record.injected;
        if injected.is_some() || !actions.is_empty() {
            state.last_injected_at = Some(Instant::now());
        }
        state.calls.push(record);
        (injected, actions)
    }
}

/// Makes one call the way the life says.
pub async fn guard<T>(
    life: &Life,
    point: &'static str,
    object: impl fmt::Display,
    kind: CallKind,
    call: impl Future<Output = T>,
    fail: impl FnOnce(ErrorKind) -> T,
) -> T {
    match life.step(point, object, kind).await {
        Verdict::Pass | Verdict::Stale => {
            let answer = call.await;
            life.settle().await;
            answer
        }
        Verdict::Fail(kind) => fail(kind),
        Verdict::DieAfter => {
            call.await;
            life.die().await
        }
        Verdict::LoseAnswer => {
            call.await;
            life.settle().await;
            fail(ErrorKind::Unreachable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn the_chosen_call_gets_the_fault_and_no_other() {
        let injector = Injector::new(Scope::Mutating);
        let life = injector.life();
        injector.inject_at(2, CallFault::Fail(ErrorKind::Retryable));
        let step = |point, kind| life.step(point, "x", kind).now_or_never();
        assert_eq!(step("engine.create", CallKind::Write), Some(Verdict::Pass));
        assert_eq!(step("engine.list", CallKind::Read), Some(Verdict::Pass), "reads are not counted");
        assert_eq!(step("store.put", CallKind::Write), Some(Verdict::Fail(ErrorKind::Retryable)));
        assert_eq!(step("store.put", CallKind::Write), Some(Verdict::Pass));
        assert_eq!(injector.count(), 3);
    }

    #[test]
    fn a_lasting_failure_stays_with_its_seam_until_healed() {
        let injector = Injector::new(Scope::Mutating);
        let life = injector.life();
        injector.inject_at(1, CallFault::FailFrom(ErrorKind::Unreachable));
        let step = |point, kind| life.step(point, "x", kind).now_or_never();
        let down = Some(Verdict::Fail(ErrorKind::Unreachable));
        assert_eq!(step("engine.create", CallKind::Write), down);
        assert_eq!(step("engine.list", CallKind::Read), down, "reads fail as well");
        assert_eq!(step("store.put", CallKind::Write), Some(Verdict::Pass));
        injector.heal();
        assert_eq!(step("engine.create", CallKind::Write), Some(Verdict::Pass));
    }

    #[test]
    fn after_a_crash_the_old_life_does_nothing_more_and_a_new_one_works() {
        let injector = Injector::new(Scope::All);
        let life = injector.life();
        injector.inject_at(1, CallFault::CrashBefore);
        assert_eq!(life.step("engine.create", "x", CallKind::Write).now_or_never(), None);
        assert!(life.is_over());
        assert_eq!(life.ended().now_or_never(), Some(()));
        assert_eq!(life.step("engine.create", "x", CallKind::Write).now_or_never(), None, "dead stays dead");
        let next = injector.life();
        assert_eq!(next.ended().now_or_never(), None);
        assert_eq!(next.step("engine.create", "x", CallKind::Write).now_or_never(), Some(Verdict::Pass));
        assert_eq!(injector.deaths(), 1);
    }

    #[test]
    fn a_second_fault_comes_so_many_calls_or_writes_after_the_first() {
        for (gap, expected) in [(Gap::Calls(2), 3), (Gap::Writes(2), 4)] {
            let injector = Injector::new(Scope::All);
            let life = injector.life();
            let failed = Some(Verdict::Fail(ErrorKind::Retryable));
            injector.inject_at(1, CallFault::Fail(ErrorKind::Retryable));
            injector.inject_after(1, gap, CallFault::Fail(ErrorKind::Retryable));
            let kinds = [CallKind::Write, CallKind::Write, CallKind::Read, CallKind::Write, CallKind::Write];
            let injected: Vec<usize> = (1..)
                .zip(kinds)
                .filter(|(_, kind)| life.step("engine.list", "", *kind).now_or_never() == failed)
                .map(|(number, _)| number)
                .collect();
            assert_eq!(injected, [1, expected], "{gap:?}");
            assert_eq!(injector.outstanding(), 0);
        }
    }

    #[test]
    fn an_action_happens_right_before_its_call() {
        let injector = Injector::new(Scope::All);
        let life = injector.life();
        let counter = injector.clone();
        let (seen_tx, seen_rx) = std::sync::mpsc::channel();
        injector.before_call(2, move || seen_tx.send(counter.count()).unwrap());
        life.step("engine.list", "", CallKind::Read).now_or_never();
        assert!(seen_rx.try_recv().is_err());
        life.step("engine.start", "", CallKind::Write).now_or_never();
        assert_eq!(seen_rx.try_recv(), Ok(2));
    }
}
