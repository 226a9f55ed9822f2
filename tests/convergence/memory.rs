//! P22: the kernel never kills for want of memory while something that may sleep is awake.

use std::time::Duration;

use minipaas::engine::faulty::CallFault;
use minipaas::engine::sim::Kill;
use minipaas::model::AppKey;
use minipaas::testing::seams::World;
use minipaas::testing::visitors::Stage;
use tokio::time::Instant;

use crate::fault::{Fault, Quirk};
use crate::history;
use crate::oracle::owner;

/// So long the daemon has from when memory runs short: a look, a call that has to be made twice or a new life, and a stop. In the
/// scripts memory is taken in steps that are further apart.
const NOTICE: Duration = Duration::from_secs(15);

/// Whether the daemon is at work again before memory is gone.
pub(crate) fn is_brief(fault: Fault) -> bool {
    match fault {
        Fault::Call(CallFault::CrashBefore | CallFault::CrashAfter | CallFault::LoseAnswer)
        | Fault::Quirk(Quirk::Double | Quirk::Reorder) => true,
        Fault::Call(CallFault::Fail(_) | CallFault::FailFrom(_) | CallFault::StaleList)
        | Fault::OperatorKill
        | Fault::OperatorRemove
        | Fault::Down(_)
        | Fault::Power(_)
        | Fault::Quirk(_) => false,
    }
}

/// Who ran for long, might have slept, and was at nobody's service.
pub(crate) fn might_have_slept(world: &World, kill: &Kill) -> Vec<String> {
    let at = history::origin(world) + kill.at;
    let default = world.settings_tx.borrow().settings.sleep;
    let mut broken = Vec::new();
    for (_, labels, started) in &kill.ran {
        let Some(key) = owner(world, labels) else { continue };
        let Some(row) = world.store.row(&key) else { continue };
        let may_sleep = row.manifest.sleep.unwrap_or(default).after().is_some();
        if may_sleep && *started + NOTICE < kill.at && !is_visited(world, &key, at) {
            broken.push(format!("P22 the kernel killed {} while {key} was awake, which may sleep", kill.victim));
        }
    }
    broken
}

fn is_visited(world: &World, key: &AppKey, at: Instant) -> bool {
    world.visitors.requests().iter().any(|request| {
        let left = match request.stage {
            Stage::Answered(left) => Some(left),
            Stage::Waits | Stage::Runs { .. } => None,
        };
        request.app == *key && request.came <= at && left.is_none_or(|left| left + NOTICE > at)
    })
}
