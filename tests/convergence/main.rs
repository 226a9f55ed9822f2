//! The proof of convergence: operator scripts in a simulated world, a fault at every call, and the properties of the design
//! held against every run. `docs/testing.md` tells how to reproduce a failure and how to add a property.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]
#![allow(
    clippy::assigning_clones,
    clippy::if_not_else,
    clippy::semicolon_if_nothing_returned,
    reason = "scripts are tables: a step reads as one expression"
)]
#![allow(clippy::format_push_string, reason = "the text of a failure is not worth a fallible `write!`")]

mod mutants;
mod properties;
mod random;
mod scripts;
mod sweep;
mod world;

/// Runs per script, about, unless the variable of the same name says otherwise: what fits into three minutes on two cores
/// without optimization. A script with more possible strikes has a fixed, scattered part of them tried.
const RUNS_PER_SCRIPT: usize = 60;

fn wanted() -> Vec<scripts::Script> {
    let only = std::env::var("ONLY").unwrap_or_default();
    scripts::all().into_iter().filter(|script| only.is_empty() || script.name == only).collect()
}

#[test]
fn every_script_keeps_the_properties_undisturbed() {
    let scripts = wanted();
    let ended = sweep::parallel(scripts.len(), |number| world::run(&scripts[number], &[], None));
    let mut failures = String::new();
    for (script, ended) in scripts.iter().zip(ended) {
        if !ended.violations.is_empty() {
            failures.push_str(&format!("{}:\n    {}\n{}\n", script.name, ended.violations.join("\n    "), ended.story));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_script_keeps_the_properties_whatever_strikes_wherever() {
    let most = std::env::var("RUNS_PER_SCRIPT").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS_PER_SCRIPT);
    if let Err(failures) = sweep::single_faults(&wanted(), most) {
        panic!("{failures}");
    }
}

/// What was found and repaired: the script and the fault, at every call.
const REPAIRED: [(&str, world::Blow); 3] = [
    ("edit-revert-at-once", world::Blow::Fault(minipaas::engine::faulty::Fault::LoseAnswer)),
    ("purge", world::Blow::Fault(minipaas::engine::faulty::Fault::CrashBefore)),
    ("purge", world::Blow::Fault(minipaas::engine::faulty::Fault::CrashAfter)),
];

#[test]
fn what_was_repaired_stays_repaired() {
    for (name, blow) in REPAIRED {
        let script = scripts::all().into_iter().find(|script| script.name == name).expect("no script has that name");
        let undisturbed = world::run(&script, &[], None);
        let strikes = sweep::strikes_of(&script, &undisturbed.calls);
        for strike in strikes.into_iter().filter(|strike| strike.blow == blow) {
            let ended = world::run(&script, &[strike], Some(&undisturbed));
            let replay = sweep::replay_line(&script, &[strike]);
            assert!(ended.violations.is_empty(), "{replay}\n{}\n{}", ended.violations.join("\n"), ended.story);
        }
    }
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
    let mut name = String::new();
    let mut strikes = Vec::new();
    let mut blow = None;
    for word in line.split_whitespace() {
        match word.split_once('=') {
            Some(("script", text)) => text.clone_into(&mut name),
            Some(("fault", text)) => blow = Some(text.parse::<world::Blow>().unwrap()),
            Some(("call", text)) => {
                let blow = blow.expect("`fault=` comes before its `call=`");
                strikes.push(world::Strike { call: text.parse().unwrap(), blow });
            }
            _ => panic!("`{word}` is neither `script=`, `fault=` nor `call=`"),
        }
    }
    let script = scripts::all().into_iter().find(|script| script.name == name).expect("no script has that name");
    let undisturbed = world::run(&script, &[], None);
    let ended = world::run(&script, &strikes, Some(&undisturbed));
    assert!(ended.violations.is_empty(), "{}\n{}", ended.violations.join("\n"), ended.story);
}
