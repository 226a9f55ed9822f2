//! Random operator scripts with random faults: a state machine of `proptest`, played against the simulated world.

mod act;
mod belief;
mod deeds;
mod mutants;
mod operator;
mod play;
mod rest;
mod stage;
mod story;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;

use crate::sweep::{parallel, tell};
use act::{Act, Play};
use operator::Operator;

/// Scripts per run, unless `CASES` says otherwise.
const CASES: u64 = 60;
/// The first script's seed, unless `SEED` says otherwise.
const SEED: u64 = 1;
/// Acts per script, the rest and the repairs at its end aside.
const ACTS: std::ops::RangeInclusive<usize> = 4..=24;
/// Tries to make a script that fails smaller.
const SHRINKING: u32 = 400;

/// A script that broke a property, made as small as possible.
struct Failure {
    seed: u64,
    play: Play,
    violations: Vec<String>,
    story: String,
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

fn script(operator: &Operator, acts: Vec<Act>) -> Play {
    let beginning = operator.beginning().into_iter();
    Play { world: operator.world, acts: beginning.chain(acts).collect() }
}

/// Plays the script of that seed, and when a property breaks, ever smaller ones.
fn try_seed(seed: u64, shrinking: u32) -> Result<(), Box<Failure>> {
    let strategy = Operator::sequential_strategy(ACTS);
    let outcome = runner(seed, shrinking).run(&strategy, |(operator, acts, seen)| {
        // The strategy wants the count for shrinking only.
        let counter = seen.filter(|_| shrinking > 0);
        let played = play::play(&script(&operator, acts), counter.as_ref());
        match played.violations.first() {
            None => Ok(()),
            Some(violation) => Err(TestCaseError::fail(violation.clone())),
        }
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, (operator, acts, _))) => {
            let play = script(&operator, acts);
            let played = play::play(&play, None);
            Err(Box::new(Failure { seed, play, violations: played.violations, story: played.story }))
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: no script could be made: {reason}"),
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "SEED={} CASES=1 cargo test --test convergence -- random_scripts --nocapture", self.seed)?;
        writeln!(f, "made smaller: PLAY=\"{}\" cargo test --test convergence -- replay_a_play --nocapture", self.play)?;
        writeln!(f, "    {}\n{}", self.violations.join("\n    "), self.story)
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

/// `PLAY="save alice-diary; wait 40ms; crash; rest"` plays exactly that; without the variable it plays one of its own.
#[test]
fn replay_a_play() {
    let text = std::env::var("PLAY").unwrap_or_else(|_| "save alice-diary; wait 40ms; crash; rest".to_owned());
    let played = play::play(&text.parse().unwrap(), None);
    assert!(played.violations.is_empty(), "{}\n{}", played.violations.join("\n"), played.story);
}

#[test]
fn two_plays_of_one_script_are_the_same() {
    let text = "save alice-diary; fault 9 crash-after; wait 900ms; save bob-notes greeting=1; docker-kill alice-diary; \
                lose-events; wait 3000ms; mv alice-diary alice-journal; crash; wait 20000ms; engine-kill; wait 500ms; rest";
    let script: Play = text.parse().unwrap();
    assert_eq!(
        script.to_string(),
        format!("world 1; {}", text.split("; ").map(str::trim).collect::<Vec<_>>().join("; "))
    );
    let (first, second) = (play::play(&script, None), play::play(&script, None));
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.violations, second.violations);
}

/// What was found and repaired, or must never be broken.
#[test]
fn plays_that_once_failed_pass() {
    let lines = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let plays: Vec<Play> = lines.map(|line| line.parse().unwrap()).collect();
    let results = parallel(plays.len(), |number| play::play(&plays[number], None));
    for (play, played) in plays.iter().zip(results) {
        assert!(played.violations.is_empty(), "{play}\n{}\n{}", played.violations.join("\n"), played.story);
    }
}
