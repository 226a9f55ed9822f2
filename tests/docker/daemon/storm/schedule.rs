//! A seed becomes everything that is decided in a run, before it begins: which script for which app, what happens at the
//! same time, and when the daemon is killed. So a seed replays the decisions; how far the daemon had got by then is
//! the machine's.

use std::time::Duration;

use super::rng::Rng;
use super::scripts::{ALL, Action, Cast, Company, Script};

/// Apps that scripts are about. The last one's data may be given up.
pub(super) const APPS: [&str; 6] = ["alice-diary", "alice-notes", "bob-page", "bob-diary", "dave-journal", SCRATCH];
pub(super) const SCRATCH: &str = "erin-scratch";

/// Scripts at the same time.
const TOGETHER: usize = 4;
/// Most kills from one rest to the next.
const MOST_KILLS: usize = 14;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Action {
        app: &'static str,
        action: Action,
    },
    /// The daemon lives for so long, is killed, and is started again after a while.
    Kill {
        after: Duration,
        down: Duration,
    },
    Engine(Outage),
}

/// Of Docker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    Restart,
    Kill,
}

/// Scripts at the same time, then rest.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) scripts: Vec<(&'static str, Script)>,
    pub(super) steps: Vec<Step>,
}

/// Every script at least once, and at least so many kills; Docker goes away in every other round of scripts that bear it.
pub(super) fn schedule(seed: u64, kills: usize, scripts: &[Script]) -> Vec<Round> {
    let mut rng = Rng::new(seed);
    let mut rounds = Vec::new();
    let (mut planned, mut bearing) = (0, 0);
    while planned < kills {
        let groups = casting(&mut rng, scripts);
        let each = (kills - planned).div_ceil(groups.len()).min(MOST_KILLS);
        for scripts in groups {
            bearing += usize::from(scripts[0].1.company == Company::Any);
            let outage = match (scripts[0].1.company, bearing % 4) {
                (Company::Any, 1) => Some(Outage::Restart),
                (Company::Any, 3) => Some(Outage::Kill),
                _ => None,
            };
            let steps = steps(&mut rng, &scripts, outage, each);
            planned += each;
            rounds.push(Round { scripts, steps });
        }
    }
    rounds
}

/// All scripts once, in groups that may run at the same time, each with an app of its own.
fn casting(rng: &mut Rng, scripts: &[Script]) -> Vec<Vec<(&'static str, Script)>> {
    let mut groups: Vec<Vec<(&'static str, Script)>> = Vec::new();
    let mut scripts = scripts.to_vec();
    rng.shuffle(&mut scripts);
    for script in scripts {
        let size = if script.company == Company::Alone { 1 } else { TOGETHER };
        let fits = |group: &Vec<(&'static str, Script)>| {
            let scratch_is_taken = group.iter().any(|(app, _)| *app == SCRATCH);
            group.len() < size
                && group[0].1.company == script.company
                && !(script.cast == Cast::Scratch && scratch_is_taken)
        };
        let found = groups.iter().position(fits).unwrap_or(groups.len());
        if found == groups.len() {
            groups.push(Vec::new());
        }
        let group = &mut groups[found];
        let mut free: Vec<_> = APPS.into_iter().filter(|app| group.iter().all(|(taken, _)| taken != app)).collect();
        if script.cast == Cast::Scratch {
            free.retain(|app| *app == SCRATCH);
        }
        group.push((free[rng.below(free.len())], script));
    }
    rng.shuffle(&mut groups);
    groups
}

fn steps(rng: &mut Rng, scripts: &[(&'static str, Script)], outage: Option<Outage>, kills: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left: Vec<_> = scripts.iter().map(|(app, script)| (*app, script.actions)).collect();
    while !left.is_empty() {
        let chosen = rng.below(left.len());
        let (app, actions) = left[chosen];
        match actions.split_first() {
            Some((action, rest)) => {
                steps.push(Step::Action { app, action: *action });
                left[chosen].1 = rest;
                let alone = scripts[0].1.company == Company::Alone;
                if !alone && !rest.is_empty() && rng.percent(15) {
                    steps.push(Step::Action { app, action: Action::Settle });
                }
            }
            None => drop(left.remove(chosen)),
        }
    }
    if let Some(outage) = outage {
        let place = rng.below(steps.len() + 1);
        steps.insert(place, Step::Engine(outage));
    }
    for _ in 0..kills {
        // Not before the first action: nothing would be under way.
        let place = 1 + rng.below(steps.len());
        let kill = Step::Kill { after: lifetime(rng), down: downtime(rng) };
        steps.insert(place, kill);
    }
    steps
}

/// During the start, on the way, or late in a roll-over.
fn lifetime(rng: &mut Rng) -> Duration {
    Duration::from_millis(match rng.below(100) {
        0..35 => rng.between(0, 100),
        35..80 => rng.between(100, 800),
        _ => rng.between(800, 2000),
    })
}

/// Mostly as a supervisor does it; sometimes long enough for things to be done meanwhile.
fn downtime(rng: &mut Rng) -> Duration {
    Duration::from_millis(if rng.percent(80) { 0 } else { rng.between(50, 500) })
}

#[test]
fn the_same_seed_is_the_same_schedule_and_every_script_is_in_it() {
    let (one, again, other) = (schedule(7, 200, ALL), schedule(7, 200, ALL), schedule(8, 200, ALL));
    let steps = |rounds: &[Round]| rounds.iter().flat_map(|round| round.steps.clone()).collect::<Vec<_>>();
    assert_eq!(steps(&one), steps(&again));
    assert_ne!(steps(&one), steps(&other));
    let kills = steps(&one).iter().filter(|step| matches!(step, Step::Kill { .. })).count();
    assert!((200..300).contains(&kills), "{kills}");
    for script in ALL {
        let times = one.iter().flat_map(|round| &round.scripts).filter(|(_, cast)| cast.name == script.name).count();
        assert_eq!(times, 1, "{}", script.name);
    }
    for outage in [Outage::Restart, Outage::Kill] {
        assert!(steps(&one).contains(&Step::Engine(outage)), "{outage:?}");
    }
}
