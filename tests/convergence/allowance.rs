//! What a disturbance may cost: how much later everything may be as it should be, how many more changes that may take, and how
//! long the status may be wrong meanwhile. Each figure is a wait of the product, plus its jitter, plus the work itself.

use std::time::Duration;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::{CallRecord, Fault};
use minipaas::testing::seams::World;

use crate::blow::{Blow, Quirk, Strike};
use crate::scripts::Script;

/// An event's way, one look, and a few calls.
const PROMPT: Duration = Duration::from_secs(3);
/// The full look that finds what was missed: 60 s, a tenth of jitter, and the work.
const RESYNC: Duration = Duration::from_secs(72);
/// A new life: a second until it begins, and the grace of a vanished file, which begins anew. The looks at image, network and
/// engine are repeated within that time as well.
const LIFE: Duration = Duration::from_secs(16);
/// The wait after a failed build: 300 s, and a tenth of jitter.
const BUILD: Duration = Duration::from_secs(340);
/// How long the status may lag behind Docker when nothing is wrong: an event's way, and a pass that is under way.
const LAG: Duration = Duration::from_secs(1);
/// Changes of a whole deploy and a repair: a fault may let an edit through that would have been taken back before it began.
const DEPLOY: usize = 8;

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
        struck.map(|call| of_call(call, script)).fold(none, most)
    });
    strikes.iter().map(|strike| most(of_blow(strike.blow), calls)).fold(none, |sum, one| Allowance {
        time: sum.time + one.time,
        changes: sum.changes + one.changes,
        lag: sum.lag.max(one.lag),
    })
}

fn most(one: Allowance, other: Allowance) -> Allowance {
    Allowance { time: one.time.max(other.time), changes: one.changes.max(other.changes), lag: one.lag.max(other.lag) }
}

fn of_blow(blow: Blow) -> Allowance {
    let (time, changes, lag) = match blow {
        Blow::Fault(_) | Blow::Quirk(Quirk::Double | Quirk::Reorder | Quirk::Nameless) => (PROMPT, 2, LAG),
        Blow::HandKill | Blow::HandRemove => (PROMPT, DEPLOY, LAG),
        Blow::Down(_) => (LIFE, DEPLOY, LAG),
        Blow::Power(_) => (RESYNC, 12, LAG),
        // Two failures more on top of those that a script has of its own: the waits go on doubling.
        Blow::Quirk(Quirk::RemovalsFail) => (Duration::from_secs(35), 6, LAG),
        Blow::Quirk(Quirk::LoseAll | Quirk::LoseHalf | Quirk::ListLags) => (RESYNC, 4, RESYNC),
        // Every third event cuts the daemon off once more: that lasts as long as anything happens.
        Blow::Quirk(Quirk::StreamEnds) => (Duration::from_secs(300), 4, RESYNC),
    };
    Allowance { time, changes, lag }
}

fn of_call(call: &CallRecord, script: &Script) -> Allowance {
    let (mut time, lag) = match call.struck {
        Some(Fault::CrashBefore | Fault::CrashAfter) => (LIFE, LAG),
        Some(Fault::Fail(ErrorKind::Terminal) | Fault::FailFrom(_) | Fault::StaleList) => (RESYNC, RESYNC),
        Some(Fault::Fail(_) | Fault::LoseAnswer) | None => (PROMPT, LAG),
    };
    // The outage has doubled the waits between the script's own failures.
    if script.name == "bad-deploy-unstartable" && matches!(call.struck, Some(Fault::FailFrom(_))) {
        time += Duration::from_secs(400);
    }
    // A reading that failed is only tried again when something changes.
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
        time = time.max(LIFE);
    }
    Allowance { time, changes: DEPLOY, lag }
}
