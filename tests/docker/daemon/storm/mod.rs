//! The real thing: the operators' scripts against a real Docker while the daemon is killed at random moments and Docker
//! itself goes away in between. Nothing may be lost, nothing foreign touched, and after each round of scripts the world
//! must become what the files say.
//!
//! `SEED=7` replays the decisions of a run (which is printed), `KILLS=1000` makes it longer, `ONLY=deploy` is one script.

mod actions;
mod check;
mod checksums;
mod foreign;
mod history;
mod ledger;
mod rng;
mod schedule;
mod scripts;
mod verdict;
mod world;

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use schedule::{Round, Step, schedule};
use scripts::Uptime;
use world::World;

const KILLS: usize = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}; write a whole number")))
}

#[test]
fn the_operators_scripts_survive_hundreds_of_kills_and_the_going_and_coming_of_docker() {
    let seed = number("SEED").unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish() % 1_000_000);
    let kills = number("KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    let scripts: Vec<_> =
        scripts::ALL.iter().copied().filter(|script| only.is_empty() || script.name == only).collect();
    assert!(!scripts.is_empty(), "ONLY={only}: there is no such script");
    eprintln!("storm: SEED={seed} KILLS={kills} ONLY={only}");
    let rounds = schedule(seed, kills, &scripts);
    let mut world = World::begin(seed);
    for (number, round) in rounds.iter().enumerate() {
        let names: Vec<_> = round.scripts.iter().map(|(app, script)| format!("{} of {app}", script.name)).collect();
        world.history.say(format!("== round {} of {}: {}", number + 1, rounds.len(), names.join(", ")));
        run(&mut world, round);
        world.rest();
    }
    let tally = world.tally;
    assert!(tally.kills >= kills, "{tally:?}");
    let (written, seconds) = world.verdict();
    println!(
        "storm: SEED={seed}: {} kills of the daemon, {} of Docker and {} restarts of it, {} scripts in {} rounds, {} steps; \
         {written} acknowledged entries, all there; longest wait for convergence {:.1} s; {seconds} s in all; no violation",
        tally.kills,
        tally.engine_kills,
        tally.engine_restarts,
        rounds.iter().map(|round| round.scripts.len()).sum::<usize>(),
        rounds.len(),
        tally.actions,
        tally.longest_rest.as_secs_f64(),
    );
}

fn run(world: &mut World, round: &Round) {
    let interrupted =
        round.scripts.iter().filter(|(_, script)| script.uptime == Uptime::Interrupted).map(|(app, _)| *app);
    let everyone = round
        .scripts
        .iter()
        .any(|(_, script)| script.company == scripts::Company::Alone && script.uptime == Uptime::Interrupted);
    world.expect_no_gap_but_of(&interrupted.collect::<Vec<_>>(), everyone);
    for step in &round.steps {
        match step {
            Step::Action { app, action } => world.perform(app, *action),
            Step::Kill { after, down } => kill(world, *after, *down),
            Step::Engine(outage) => world.begin_outage(*outage),
        }
    }
}

/// The randomness of the moment is the point: nothing is waited for.
fn kill(world: &mut World, after: Duration, down: Duration) {
    let from = Instant::now();
    std::thread::sleep(after);
    world.kill(from.elapsed());
    std::thread::sleep(down);
    world.daemon.spawn();
}
