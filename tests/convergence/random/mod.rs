//! Random operator scripts with random faults: a state machine of `proptest`, run against the simulated world.

mod action;
mod apply;
mod harness;
mod mutants;
mod operator;
mod reference;
mod rest;
mod run;
mod trace;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;

use crate::sweep::{parallel, tell};
use action::{Action, RandomScript};
use operator::Operator;

/// Scripts per run, unless `CASES` says otherwise.
const CASES: u64 = 60;
/// The first script's seed, unless `SEED` says otherwise.
const SEED: u64 = 1;
/// Acts per script, the rest and the repairs at its end aside.
const ACTIONS: std::ops::RangeInclusive<usize> = 4..=24;
/// Tries to make a script that fails smaller.
const SHRINKING: u32 = 400;

/// A script that broke a property, made as small as possible.
struct Failure {
    seed: u64,
    script: RandomScript,
    violations: Vec<String>,
    trace: String,
}

fn figure(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn runner(seed: u64, shrinking: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: shrinking, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn script(operator: &Operator, actions: Vec<Action>) -> RandomScript {
    let beginning = operator.beginning().into_iter();
    RandomScript { world: operator.world, actions: beginning.chain(actions).collect() }
}

/// Runs the script of that seed, and when a property breaks, ever smaller ones.
fn try_seed(seed: u64, shrinking: u32) -> Result<(), Box<Failure>> {
    let strategy = Operator::sequential_strategy(ACTIONS);
    let outcome = runner(seed, shrinking).run(&strategy, |(operator, actions, seen)| {
        // The strategy wants the count for shrinking only.
        let counter = seen.filter(|_| shrinking > 0);
        let outcome = run::run(&script(&operator, actions), counter.as_ref());
        match outcome.violations.first() {
            None => Ok(()),
            Some(violation) => Err(TestCaseError::fail(violation.clone())),
        }
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, (operator, actions, _))) => {
            let smallest = script(&operator, actions);
            let outcome = run::run(&smallest, None);
            Err(Box::new(Failure { seed, script: smallest, violations: outcome.violations, trace: outcome.trace }))
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: no script could be made: {reason}"),
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "SEED={} CASES=1 cargo test --test convergence -- random_scripts --nocapture", self.seed)?;
        writeln!(
            f,
            "made smaller: SCRIPT=\"{}\" cargo test --test convergence -- replay_a_random_script --nocapture",
            self.script
        )?;
        writeln!(f, "    {}\n{}", self.violations.join("\n    "), self.trace)
    }
}

#[test]
fn random_scripts_keep_the_properties() {
    let (first, cases) = (figure("SEED").unwrap_or(SEED), figure("CASES").unwrap_or(CASES));
    let began = std::time::Instant::now();
    let results = parallel(usize::try_from(cases).unwrap(), |case| try_seed(first + case as u64, SHRINKING));
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    let share = format!("seeds {first} to {}, {} broke a property", first + cases - 1, failures.len());
    tell("random scripts", usize::try_from(cases).unwrap(), &share, began);
    assert!(failures.is_empty(), "{}", failures.iter().map(ToString::to_string).collect::<String>());
}

/// `SCRIPT="save alice-diary; wait 40ms; crash; rest"` runs exactly that; without the variable it runs one of its own.
#[test]
fn replay_a_random_script() {
    let text = std::env::var("SCRIPT").unwrap_or_else(|_| "save alice-diary; wait 40ms; crash; rest".to_owned());
    let outcome = run::run(&text.parse().unwrap(), None);
    assert!(outcome.violations.is_empty(), "{}\n{}", outcome.violations.join("\n"), outcome.trace);
}

#[test]
fn two_runs_of_one_script_are_the_same() {
    let text = "save alice-diary; fault 9 crash-after; wait 900ms; save bob-notes greeting=1; docker-kill alice-diary; \
                lose-events; wait 3000ms; mv alice-diary alice-journal; crash; wait 20000ms; engine-kill; wait 500ms; rest";
    let script: RandomScript = text.parse().unwrap();
    assert_eq!(
        script.to_string(),
        format!("world 1; {}", text.split("; ").map(str::trim).collect::<Vec<_>>().join("; "))
    );
    let (first, second) = (run::run(&script, None), run::run(&script, None));
    assert_eq!(first.changes, second.changes);
    assert_eq!(first.violations, second.violations);
}

/// What was found and repaired, or must never be broken.
#[test]
fn scripts_that_once_failed_pass() {
    let lines = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let scripts: Vec<RandomScript> = lines.map(|line| line.parse().unwrap()).collect();
    let results = parallel(scripts.len(), |number| run::run(&scripts[number], None));
    for (script, outcome) in scripts.iter().zip(results) {
        assert!(outcome.violations.is_empty(), "{script}\n{}\n{}", outcome.violations.join("\n"), outcome.trace);
    }
}
