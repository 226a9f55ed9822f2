//! Limits and restart policy: what is in force, held against what should be.

use crate::model::observed::EngineInfo;
use crate::model::{AppSpec, Bytes, ObservedContainer};

/// What `docker update` can change, where it is not as it should be; in the words and units of the manifest.
pub(in crate::plan) fn tunables_differ(
    engine: &EngineInfo,
    spec: &AppSpec,
    container: &ObservedContainer,
) -> Option<String> {
    let (want, have) = (spec.limits, container.limits);
    let memory = i64::try_from(want.memory.get()).unwrap_or(i64::MAX);
    let mut differences = Vec::new();
    let mut differs = |name: &str, want: &dyn std::fmt::Display, have: String| {
        differences.push(format!("{name} is {have} instead of {want}"));
    };
    if engine.memory_limit && memory != have.memory {
        differs("memory", &want.memory, bytes(have.memory));
    }
    // Both move together; saying it twice tells nobody more.
    let said_already = engine.memory_limit && memory != have.memory && have.memory_swap == have.memory;
    if engine.swap_limit && memory != have.memory_swap && !said_already {
        differs("memory with swap", &want.memory, bytes(have.memory_swap));
    }
    if engine.cpu_limit && want.cpus.nano() != have.nano_cpus {
        differs("cpus", &want.cpus, cores(have.nano_cpus));
    }
    if engine.pids_limit && i64::from(want.pids) != have.pids {
        differs("pids", &want.pids, limit(have.pids).map_or_else(unlimited, |pids| pids.to_string()));
    }
    if container.restart != Some(spec.restart) {
        let have = container.restart.map_or("unknown".to_owned(), |policy| policy.to_string());
        differences.push(format!("restart is {have} instead of {}", spec.restart));
    }
    (!differences.is_empty() && !planted!(LimitsNeverRepaired)).then(|| differences.join(", "))
}

/// Docker writes "no limit" as 0 or below.
fn limit(observed: i64) -> Option<u64> {
    u64::try_from(observed).ok().filter(|limit| *limit > 0)
}

fn unlimited() -> String {
    "unlimited".to_owned()
}

fn bytes(observed: i64) -> String {
    limit(observed).map_or_else(unlimited, |bytes| Bytes(bytes).to_string())
}

/// All nine decimals: what somebody set by hand need not be whole thousandths.
fn cores(observed: i64) -> String {
    limit(observed).map_or_else(unlimited, |nano| {
        let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    })
}
