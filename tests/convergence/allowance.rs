//! What a disturbance may cost: how much later everything may be as it should be, how many more changes that may take, and how
//! long the status may be wrong meanwhile. Each figure is a wait of the product, plus its jitter, plus the work itself.

use std::collections::BTreeSet;
use std::time::Duration;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::{CallFault, CallRecord};
use minipaas::testing::manifests::Unflushed;
use minipaas::testing::seams::World;

use crate::fault::{Fault, Injection, Quirk};
use crate::scripts::{Action, Change, Expect, Script};

/// An event's way, one look, and a few calls.
const PROMPT: Duration = Duration::from_secs(3);
/// The full look that finds what was missed: 60 s, a tenth of jitter, and the work.
const RESYNC: Duration = Duration::from_secs(72);
/// A new life: a second until it begins, and what it is prompt about.
const LIFE: Duration = Duration::from_secs(5);
/// The looks at engine, image and network are repeated by themselves: after at most ten seconds, and a tenth.
const LOOK_AGAIN: Duration = Duration::from_secs(16);
/// The wait after a failed build: 300 s, and a tenth of jitter.
const BUILD: Duration = Duration::from_secs(340);
/// After a power loss files are missing until they are saved once more: their grace begins, and Docker is up 3 s later.
const POWER: Duration = Duration::from_secs(16);
/// How long the status may lag behind Docker when nothing is wrong: an event's way, and a pass that is under way.
const LAG: Duration = Duration::from_secs(1);

/// A life that was cut off knows nobody who hangs: the next one watches a container, once it is older than its `startTimeout`, for
/// half a minute, and sees it every ten seconds only. Without that, the wait of a failure comes on top of one that is due anyway.
const WATCH: Duration = Duration::from_secs(85);

/// Whoever is kept waiting leaves later, and only then the time begins after which an app sleeps: so twice in the scripts, and a
/// half of it for what comes on top.
const SLEEPS: u32 = 3;

/// What a call that went wrong may cost: the same change once more, or one that brings its container back.
const REPAIR: usize = 2;
/// What a life that was cut off may leave half-done: a successor, started and unknown, is stopped, removed and made again.
const ANEW: usize = 4;
/// Docker starts no preview when the machine is up again: the daemon does, as long as its time is not over.
const REVIVE: usize = 1;
/// A whole deploy: an edit that nobody would have seen, because it was taken back at once, is carried out and taken back.
const DEPLOY: usize = 6;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) time: Duration,
    pub(crate) changes: usize,
    pub(crate) lag: Duration,
}

pub(crate) fn allowance(world: &World, script: &Script, injections: &[Injection]) -> Allowance {
    let none = Allowance { time: PROMPT, changes: 0, lag: LAG };
    let calls = world.injector.with_calls(|calls| {
        let injected = calls.iter().filter(|call| call.injected.is_some());
        injected.map(of_call).fold(none, most)
    });
    let hasty = script.steps.iter().any(|step| matches!(step.action, Action::Quick(Change::Save(_), _)));
    let sum = injections.iter().map(|injection| most(of_fault(injection.fault), calls)).fold(none, |sum, one| {
        Allowance { time: sum.time + one.time, changes: sum.changes + one.changes, lag: sum.lag.max(one.lag) }
    });
    let forgot = script.hangs && world.injector.deaths() > 0;
    let time = sum.time + if script.hangs && !injections.is_empty() { WATCH } else { Duration::ZERO };
    let sleeps = script.expect.iter().any(|(_, expect)| *expect == Expect::Asleep) && !injections.is_empty();
    let time = time + if sleeps { script.sleeps_after * SLEEPS } else { Duration::ZERO };
    let extra = if hasty { DEPLOY } else { 0 } + if begins_blind(world, script) { REPAIR * apps(world) } else { 0 };
    let extra = extra + if forgot { DEPLOY } else { 0 };
    let looks = script.steps.iter().any(|step| matches!(step.action, Action::Preview(..)));
    let revived = injections.iter().filter(|injection| looks && matches!(injection.fault, Fault::Power(_))).count();
    let extra = extra + REVIVE * revived;
    Allowance { time, changes: sum.changes + extra, ..sum }
}

/// A life that cannot read its files at first does not know that somebody has confirmed they are gone: the last good manifests
/// are in force until it can, so what the life before had stopped on its way to removing it runs once more.
fn begins_blind(world: &World, script: &Script) -> bool {
    let unread = |call: &CallRecord| call.point == "manifests.load" && call.injected.is_some();
    script.wipes && world.injector.deaths() > 0 && world.injector.with_calls(|calls| calls.iter().any(unread))
}

fn apps(world: &World) -> usize {
    world.store.row_changes().iter().map(|change| &change.key).collect::<BTreeSet<_>>().len()
}

fn most(one: Allowance, other: Allowance) -> Allowance {
    Allowance { time: one.time.max(other.time), changes: one.changes.max(other.changes), lag: one.lag.max(other.lag) }
}

fn of_fault(fault: Fault) -> Allowance {
    let (time, changes, lag) = match fault {
        // What the calls with a fault cost comes on top.
        Fault::Call(_) => (PROMPT, 0, LAG),
        Fault::OperatorKill
        | Fault::OperatorRemove
        | Fault::Quirk(Quirk::Double | Quirk::Reorder | Quirk::Nameless) => (PROMPT, REPAIR, LAG),
        Fault::Down(_) => (LIFE, ANEW, LAG),
        Fault::Power(Unflushed::Kept) => (POWER, ANEW, LAG),
        // The app of a file that was lost goes after its grace, and is made once more when the file is back.
        Fault::Power(Unflushed::Lost | Unflushed::Torn) => (POWER, 2 * DEPLOY, LAG),
        // Two failures more on top of those that a script has of its own: the waits go on doubling.
        Fault::Quirk(Quirk::RemovalsFail) => (Duration::from_secs(35), DEPLOY, LAG),
        Fault::Quirk(Quirk::LoseAll | Quirk::LoseHalf | Quirk::ListLags) => (RESYNC, ANEW, RESYNC),
        // Every third event cuts the daemon off once more: that lasts as long as anything happens.
        Fault::Quirk(Quirk::StreamEnds) => (Duration::from_secs(300), ANEW, RESYNC),
    };
    Allowance { time, changes, lag }
}

fn of_call(call: &CallRecord) -> Allowance {
    let (mut time, changes, lag) = match call.injected {
        Some(CallFault::CrashBefore | CallFault::CrashAfter) => (LIFE, ANEW, LAG),
        // Tried again with the next full look, or change.
        Some(CallFault::Fail(ErrorKind::Terminal) | CallFault::FailFrom(_)) => (RESYNC, REPAIR, LAG),
        // Whoever was shown the past knows better only then.
        Some(CallFault::StaleList) => (RESYNC, REPAIR, RESYNC),
        Some(CallFault::Fail(_) | CallFault::LoseAnswer) | None => (PROMPT, REPAIR, LAG),
    };
    // A reading that failed is only tried again when something changes, or with the next full look.
    if matches!(call.point, "manifests.load" | "engine.list") {
        time = time.max(RESYNC);
    }
    if call.point.starts_with("engine.build") {
        time = time.max(BUILD);
    }
    if matches!(
        call.point,
        "engine.info" | "engine.events" | "engine.image" | "engine.network" | "engine.create_network"
    ) {
        time = time.max(LOOK_AGAIN);
    }
    Allowance { time, changes, lag }
}
