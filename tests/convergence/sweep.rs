//! Every fault at every call of every script.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::{CallKind, CallRecord, Fault};

use crate::scripts::Script;
use crate::world::{Blow, Ended, Strike, run};

const FAULTS: [Fault; 8] = Fault::SWEEP;

/// Runs of a script with so many apps that one run takes as long as fifty others.
const CROWD_RUNS: usize = 12;

/// Does all jobs on as many threads as there are cores, in order of their numbers; the results keep that order.
pub(crate) fn parallel<T: Send>(jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return;
                    }
                    let result = work(job);
                    results.lock().unwrap().insert(job, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

/// What to try at each call. A read is only worth a fault near a write: the looks of a daemon at rest all are alike.
pub(crate) fn strikes_of(script: &Script, calls: &[CallRecord]) -> Vec<Strike> {
    let writes: Vec<u64> = calls.iter().filter(|call| call.kind != CallKind::Read).map(|call| call.number).collect();
    let mut strikes = Vec::new();
    for call in calls {
        let near = writes.iter().any(|write| call.number < *write + 5 && *write < call.number + 9);
        if call.kind == CallKind::Read && !near {
            continue;
        }
        for fault in FAULTS.into_iter().filter(|fault| fault.applies_to(call)) {
            // Dying before a read is dying before the next write, a moment earlier.
            let same = call.kind == CallKind::Read
                && matches!(fault, Fault::CrashBefore | Fault::Fail(ErrorKind::Terminal) | Fault::FailFrom(_));
            if !same {
                strikes.push(Strike { call: call.number, blow: Blow::Fault(fault) });
            }
        }
        if call.kind == CallKind::Write && call.point.starts_with("engine") {
            strikes.push(Strike { call: call.number, blow: Blow::HandKill });
            if script.replaceable() {
                strikes.push(Strike { call: call.number, blow: Blow::HandRemove });
            }
        }
    }
    strikes
}

pub(crate) fn replay_line(script: &Script, strikes: &[Strike]) -> String {
    let words: Vec<String> =
        strikes.iter().map(|strike| format!("fault={} call={}", strike.blow, strike.call)).collect();
    format!("REPLAY=\"script={} {}\" cargo test --test convergence -- replay --nocapture", script.name, words.join(" "))
}

/// Runs everything, at most `most` runs per script; returns the failures' text.
pub(crate) fn single_faults(scripts: &[Script], most: usize) -> Result<(), String> {
    let began = Instant::now();
    let undisturbed: Vec<Ended> = parallel(scripts.len(), |number| run(&scripts[number], &[], None));
    let mut failures = String::new();
    for (script, ended) in scripts.iter().zip(&undisturbed) {
        if !ended.violations.is_empty() {
            let text = ended.violations.join("\n    ");
            failures.push_str(&format!("{} undisturbed:\n    {text}\n{}\n", script.name, ended.story));
        }
    }
    let mut jobs: Vec<(usize, Strike)> = Vec::new();
    let (mut possible, mut calls) = (0, 0);
    for (number, ended) in undisturbed.iter().enumerate().filter(|(_, ended)| ended.violations.is_empty()) {
        let strikes = strikes_of(&scripts[number], &ended.calls);
        possible += strikes.len();
        calls += ended.calls.iter().filter(|call| call.kind != CallKind::Read).count();
        let most = if scripts[number].expect.is_empty() { most.min(CROWD_RUNS) } else { most };
        let stride = strikes.len().div_ceil(most).max(1);
        // Scattered, so that no kind of fault falls through the same gap at every call; the same ones every time.
        let chosen = |index: usize| stride == 1 || ((index * 7_919 + number) % 10_007).is_multiple_of(stride);
        let strikes = strikes.into_iter().enumerate().filter(|(index, _)| chosen(*index));
        jobs.extend(strikes.map(|(_, strike)| (number, strike)));
    }
    let results = parallel(jobs.len(), |job| {
        let (script, strike) = &jobs[job];
        let began = Instant::now();
        let ended = run(&scripts[*script], &[*strike], Some(&undisturbed[*script]));
        (ended.violations, ended.story, began.elapsed(), ended.missed)
    });
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut broken = 0;
    let mut spent: BTreeMap<&str, (usize, std::time::Duration)> = BTreeMap::new();
    let missed: usize = results.iter().map(|result| result.3).sum();
    for ((script, strike), (violations, story, took, _)) in jobs.iter().zip(&results) {
        let script = &scripts[*script];
        let entry = spent.entry(script.name).or_default();
        *entry = (entry.0 + 1, entry.1 + *took);
        if violations.is_empty() {
            continue;
        }
        broken += 1;
        let first = violations[0].lines().next().unwrap_or_default();
        let kind = kinds.entry(format!("{} {} {first}", script.name, strike.blow)).or_default();
        *kind += 1;
        if *kind == 1 {
            let text = violations.join("\n    ");
            failures.push_str(&format!("{}\n    {text}\n{story}\n", replay_line(script, &[*strike])));
        }
    }
    if std::env::var_os("VERBOSE").is_some() {
        for (name, (runs, took)) in &spent {
            println!("{name:>24} {runs:>5} runs {:>8.2} s", took.as_secs_f64());
        }
    }
    println!(
        "single faults: {} scripts, {calls} writing calls, {} of {possible} runs in {:.1} s, {broken} with violations, {missed} strikes \
         never came",
        scripts.len(),
        jobs.len(),
        began.elapsed().as_secs_f64()
    );
    for (kind, count) in &kinds {
        println!("{count:>5} × {kind}");
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}
