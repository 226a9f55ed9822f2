//! What a disturbance may cost: how much later everything may be as it should be, how many more changes that may take, and how
//! long the status may be wrong meanwhile. Each figure is a wait of the product, plus its jitter, plus the work itself.

use std::time::Duration;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::{CallRecord, Fault};
use minipaas::testing::manifests::Unflushed;
use minipaas::testing::seams::World;

use crate::blow::{Blow, Quirk, Strike};
use crate::scripts::{Change, Deed, Script};

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

/// What a call that went wrong may cost: the same change once more, or one that brings its container back.
const REPAIR: usize = 2;
/// What a life that was cut off may leave half-done: a successor, started and unknown, is stopped, removed and made again.
const ANEW: usize = 4;
/// A whole deploy: an edit that nobody would have seen, because it was taken back at once, is carried out and taken back.
const DEPLOY: usize = 6;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) time: Duration,
    pub(crate) changes: usize,
    pub(crate) lag: Duration,
}

pub(crate) fn allowance(world: &World, script: &Script, strikes: &[Strike]) -> Allowance {
    let none = Allowance { time: PROMPT, changes: 0, lag: LAG };
    let calls = world.injector.with_calls(|calls| {
        let struck = calls.iter().filter(|call| call.struck.is_some());
        struck.map(of_call).fold(none, most)
    });
    let hasty = script.steps.iter().any(|step| matches!(step.deed, Deed::Quick(Change::Save(_), _)));
    let sum = strikes.iter().map(|strike| most(of_blow(strike.blow), calls)).fold(none, |sum, one| Allowance {
        time: sum.time + one.time,
        changes: sum.changes + one.changes,
        lag: sum.lag.max(one.lag),
    });
    Allowance { changes: sum.changes + if hasty { DEPLOY } else { 0 }, ..sum }
}

fn most(one: Allowance, other: Allowance) -> Allowance {
    Allowance { time: one.time.max(other.time), changes: one.changes.max(other.changes), lag: one.lag.max(other.lag) }
}

fn of_blow(blow: Blow) -> Allowance {
    let (time, changes, lag) = match blow {
        // What the struck calls cost comes on top.
        Blow::Fault(_) => (PROMPT, 0, LAG),
        Blow::HandKill | Blow::HandRemove | Blow::Quirk(Quirk::Double | Quirk::Reorder | Quirk::Nameless) => {
            (PROMPT, REPAIR, LAG)
        }
        Blow::Down(_) => (LIFE, ANEW, LAG),
        Blow::Power(Unflushed::Kept) => (POWER, ANEW, LAG),
        // The app of a file that was lost goes after its grace, and is made once more when the file is back.
        Blow::Power(Unflushed::Lost | Unflushed::Torn) => (POWER, 2 * DEPLOY, LAG),
        // Two failures more on top of those that a script has of its own: the waits go on doubling.
        Blow::Quirk(Quirk::RemovalsFail) => (Duration::from_secs(35), DEPLOY, LAG),
        Blow::Quirk(Quirk::LoseAll | Quirk::LoseHalf | Quirk::ListLags) => (RESYNC, ANEW, RESYNC),
        // Every third event cuts the daemon off once more: that lasts as long as anything happens.
        Blow::Quirk(Quirk::StreamEnds) => (Duration::from_secs(300), ANEW, RESYNC),
    };
    Allowance { time, changes, lag }
}

fn of_call(call: &CallRecord) -> Allowance {
    let (mut time, changes, lag) = match call.struck {
        Some(Fault::CrashBefore | Fault::CrashAfter) => (LIFE, ANEW, LAG),
        // Tried again with the next full look, or change.
        Some(Fault::Fail(ErrorKind::Terminal) | Fault::FailFrom(_)) => (RESYNC, REPAIR, LAG),
        // Whoever was shown the past knows better only then.
        Some(Fault::StaleList) => (RESYNC, REPAIR, RESYNC),
        Some(Fault::Fail(_) | Fault::LoseAnswer) | None => (PROMPT, REPAIR, LAG),
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
