//! The proof of convergence: operator scripts in a simulated world, a disturbance at every call, and the properties of the
//! design held against every run. `docs/testing.md` tells how to reproduce a failure and how to add a property.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]
#![allow(
    clippy::assigning_clones,
    clippy::if_not_else,
    clippy::semicolon_if_nothing_returned,
    clippy::unused_self,
    reason = "scripts are tables: a step reads as one expression, and a property is a method even if it needs no record"
)]
#![allow(clippy::format_push_string, reason = "the text of a failure is not worth a fallible `write!`")]

mod allowance;
mod end_state;
mod endpoints;
mod ends;
mod fault;
mod history;
mod memory;
mod mutants;
mod names;
mod oracle;
mod previews;
mod properties;
mod random;
mod requests;
mod restores;
mod run;
mod scripts;
mod supervisor;
mod sweep;
mod trace;
mod visitors;
mod waiting;
mod world;

use std::time::Instant;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::CallFault;
use minipaas::testing::manifests::Unflushed;

use fault::{Fault, parse_injections};
use sweep::{Batch, Choice};

/// Pairs per script: two minutes on two slow cores.
const PAIRS: usize = 2_500;

fn wanted() -> Vec<scripts::Script> {
    let only = std::env::var("ONLY").unwrap_or_default();
    scripts::all().into_iter().filter(|script| only.is_empty() || script.name == only).collect()
}

/// Tries everything that a list says on every script; `RUNS_PER_SCRIPT` says otherwise.
fn sweep<S: AsRef<[fault::Injection]> + Send + Sync, C: Into<Choice<S>>>(
    name: &'static str,
    most: usize,
    injections: impl Fn(&scripts::Script, &world::Ended) -> C,
) {
    let wish: Option<usize> = std::env::var("RUNS_PER_SCRIPT").ok().and_then(|text| text.parse().ok());
    let scripts = wanted();
    let batch = Batch { name, scripts: &scripts, most: wish.unwrap_or(most), is_unlimited: wish.is_some() };
    if let Err(failures) = batch.run(injections) {
        panic!("{failures}");
    }
}

#[test]
fn every_script_keeps_the_properties_undisturbed() {
    let (scripts, began) = (wanted(), Instant::now());
    let ended = sweep::parallel(scripts.len(), |number| world::run(&scripts[number], &[], None));
    let mut failures = String::new();
    for (script, ended) in scripts.iter().zip(ended) {
        if !ended.violations.is_empty() {
            failures.push_str(&format!("{}:\n    {}\n{}\n", script.name, ended.violations.join("\n    "), ended.trace));
        }
    }
    sweep::tell("undisturbed", scripts.len(), "whole", began);
    assert!(failures.is_empty(), "{failures}");
}

/// Without this a replay line would be a guess.
#[test]
fn a_run_repeats_exactly() {
    let (scripts, began) = (wanted(), Instant::now());
    sweep::parallel(scripts.len(), |number| {
        let script = &scripts[number];
        let [one, two] = [(), ()].map(|()| world::run(script, &[], None));
        assert_eq!(one.calls, two.calls, "{}", script.name);
        assert_eq!((one.end_state, one.late), (two.end_state, two.late), "{}", script.name);
    });
    sweep::tell("run twice", 2 * scripts.len(), "whole", began);
}

#[test]
fn every_script_keeps_the_properties_with_any_fault_at_any_call() {
    sweep("single faults", usize::MAX, sweep::single_faults);
}

#[test]
fn every_script_keeps_the_properties_when_two_faults_come_close_together() {
    sweep("pairs", PAIRS, sweep::pairs);
}

#[test]
fn every_script_keeps_the_properties_while_the_daemon_is_down_and_after_power_losses() {
    sweep("outages", usize::MAX, sweep::outages);
}

#[test]
fn every_script_keeps_the_properties_with_bad_news() {
    sweep("bad news", usize::MAX, sweep::quirks);
}

/// What was found and repaired: the script and the fault, at every call.
const REPAIRED: [(&str, Fault); 14] = [
    ("edit-revert-at-once", Fault::Call(CallFault::LoseAnswer)),
    ("purge", Fault::Call(CallFault::CrashBefore)),
    ("purge", Fault::Call(CallFault::CrashAfter)),
    ("inventory-lost-deleted", Fault::Call(CallFault::CrashBefore)),
    ("inventory-lost", Fault::Call(CallFault::Fail(ErrorKind::Unreachable))),
    ("create", Fault::Call(CallFault::Fail(ErrorKind::Retryable))),
    // A reading that was out of date just when the grace of a vanished file ended took the app's code away.
    ("back-within-grace", Fault::Call(CallFault::StaleList)),
    ("other-within-grace", Fault::Call(CallFault::StaleList)),
    ("rename-back", Fault::Call(CallFault::StaleList)),
    // A file that a power loss had torn was told twice in the event log.
    ("invalid", Fault::Power(Unflushed::Torn)),
    // Forty seconds without Docker doubled the waits between tries that had nothing to do with it.
    ("bad-deploy-unstartable", Fault::Call(CallFault::FailFrom(ErrorKind::Unreachable))),
    // A daemon that died over a confirmed removal brought back what was half gone.
    ("wipe-confirm", Fault::Call(CallFault::CrashBefore)),
    ("wipe-confirm", Fault::Call(CallFault::CrashAfter)),
    // A network made anew: a daemon that had just begun gave one app the address at which it still said that another one was.
    ("network-gone", Fault::Power(Unflushed::Torn)),
];

/// The same for pairs: the script and the first fault, at every call and with every second one.
const REPAIRED_PAIRS: [(&str, Fault); 1] = [
    // An app without file and row, whose container somebody removed while the daemon died over it, left its code behind.
    ("inventory-lost-deleted", Fault::OperatorRemove),
];

fn stay_repaired<S: AsRef<[fault::Injection]>>(
    (name, fault): (&str, Fault),
    list: impl Fn(&scripts::Script, &world::Ended) -> Vec<S>,
) -> usize {
    let script = scripts::all().into_iter().find(|script| script.name == name).expect("no script has that name");
    let undisturbed = world::run(&script, &[], None);
    let mut all = list(&script, &undisturbed);
    all.retain(|injections| injections.as_ref()[0].fault == fault);
    for injections in &all {
        let ended = world::run(&script, injections.as_ref(), Some(&undisturbed));
        let replay = sweep::replay_line(&script, injections.as_ref());
        assert!(ended.violations.is_empty(), "{replay}\n{}\n{}", ended.violations.join("\n"), ended.trace);
    }
    all.len()
}

#[test]
fn what_was_repaired_stays_repaired() {
    let began = Instant::now();
    let singles = |script: &scripts::Script, undisturbed: &world::Ended| {
        [sweep::single_faults, sweep::outages, sweep::quirks].map(|list| list(script, undisturbed)).concat()
    };
    let lives = sweep::parallel(REPAIRED.len() + REPAIRED_PAIRS.len(), |number| match REPAIRED.get(number) {
        Some(repaired) => stay_repaired(*repaired, singles),
        None => stay_repaired(REPAIRED_PAIRS[number - REPAIRED.len()], |script, undisturbed| {
            let Choice { first, rest } = sweep::pairs(script, undisturbed);
            [first, rest].concat()
        }),
    });
    sweep::tell("repaired", lives.into_iter().sum(), "whole", began);
}

#[test]
fn every_planted_bug_is_found() {
    if let Err(survivors) = mutants::kill_all() {
        panic!("{survivors}");
    }
}

/// `REPLAY="script=edit fault=crash-after call=17"` runs exactly that; without the variable it replays one of its own.
#[test]
fn replay() {
    let line = std::env::var("REPLAY").unwrap_or_else(|_| "script=edit fault=crash-after call=17".to_owned());
    let mut words = line.split_whitespace();
    let name = words.next().and_then(|word| word.strip_prefix("script=")).expect("a replay begins with `script=`");
    let injections = parse_injections(words).unwrap();
    let script = scripts::all().into_iter().find(|script| script.name == name).expect("no script has that name");
    let undisturbed = world::run(&script, &[], None);
    let ended = world::run(&script, &injections, Some(&undisturbed));
    assert!(ended.violations.is_empty(), "{}\n{}", ended.violations.join("\n"), ended.trace);
}
