//! A seed becomes everything that is decided in a run, before it begins: which script for which app, what happens at the
//! same time, and where the blows fall. So a seed replays the decisions; how far the daemon had got when it was struck is
//! the machine's.

use std::time::Duration;

use super::dice::Dice;
use super::scripts::{ALL, Cast, Company, Deed, Script};

/// Apps that scripts are about. The last one's data may be given up.
pub(super) const ACTORS: [&str; 6] = ["alice-diary", "alice-notes", "bob-page", "bob-diary", "dave-journal", SCRATCH];
pub(super) const SCRATCH: &str = "erin-scratch";

/// Scripts at the same time.
const TOGETHER: usize = 4;
/// Most kills from one rest to the next.
const MOST_BLOWS: usize = 14;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beat {
    Deed {
        app: &'static str,
        deed: Deed,
    },
    /// The daemon lives for so long, is killed, and is started again after a while.
    Blow {
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
    pub(super) beats: Vec<Beat>,
}

/// Every script at least once, and at least so many kills; Docker goes away in every other round of scripts that bear it.
pub(super) fn course(seed: u64, kills: usize, scripts: &[Script]) -> Vec<Round> {
    let mut dice = Dice::new(seed);
    let mut rounds = Vec::new();
    let (mut blows, mut bearing) = (0, 0);
    while blows < kills {
        let groups = casting(&mut dice, scripts);
        let each = (kills - blows).div_ceil(groups.len()).min(MOST_BLOWS);
        for scripts in groups {
            bearing += usize::from(scripts[0].1.company == Company::Any);
            let outage = match (scripts[0].1.company, bearing % 4) {
                (Company::Any, 1) => Some(Outage::Restart),
                (Company::Any, 3) => Some(Outage::Kill),
                _ => None,
            };
            let beats = beats(&mut dice, &scripts, outage, each);
            blows += each;
            rounds.push(Round { scripts, beats });
        }
    }
    rounds
}

/// All scripts once, in groups that may run at the same time, each with an app of its own.
fn casting(dice: &mut Dice, scripts: &[Script]) -> Vec<Vec<(&'static str, Script)>> {
    let mut groups: Vec<Vec<(&'static str, Script)>> = Vec::new();
    let mut scripts = scripts.to_vec();
    dice.shuffle(&mut scripts);
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
        let mut free: Vec<_> =
            ACTORS.into_iter().filter(|actor| group.iter().all(|(taken, _)| taken != actor)).collect();
        if script.cast == Cast::Scratch {
            free.retain(|actor| *actor == SCRATCH);
        }
        group.push((free[dice.below(free.len())], script));
    }
    dice.shuffle(&mut groups);
    groups
}

fn beats(dice: &mut Dice, scripts: &[(&'static str, Script)], outage: Option<Outage>, blows: usize) -> Vec<Beat> {
    let mut beats = Vec::new();
    let mut left: Vec<_> = scripts.iter().map(|(app, script)| (*app, script.deeds)).collect();
    while !left.is_empty() {
        let chosen = dice.below(left.len());
        let (app, deeds) = left[chosen];
        match deeds.split_first() {
            Some((deed, rest)) => {
                beats.push(Beat::Deed { app, deed: *deed });
                left[chosen].1 = rest;
                let alone = scripts[0].1.company == Company::Alone;
                if !alone && !rest.is_empty() && dice.percent(15) {
                    beats.push(Beat::Deed { app, deed: Deed::Settle });
                }
            }
            None => drop(left.remove(chosen)),
        }
    }
    if let Some(outage) = outage {
        let place = dice.below(beats.len() + 1);
        beats.insert(place, Beat::Engine(outage));
    }
    for _ in 0..blows {
        // Not before the first deed: nothing would be under way.
        let place = 1 + dice.below(beats.len());
        let blow = Beat::Blow { after: lifetime(dice), down: downtime(dice) };
        beats.insert(place, blow);
    }
    beats
}

/// During the start, on the way, or late in a roll-over.
fn lifetime(dice: &mut Dice) -> Duration {
    Duration::from_millis(match dice.below(100) {
        0..35 => dice.between(0, 100),
        35..80 => dice.between(100, 800),
        _ => dice.between(800, 2000),
    })
}

/// Mostly as a supervisor does it; sometimes long enough for things to be done meanwhile.
fn downtime(dice: &mut Dice) -> Duration {
    Duration::from_millis(if dice.percent(80) { 0 } else { dice.between(50, 500) })
}

#[test]
fn the_same_seed_is_the_same_course_and_every_script_is_in_it() {
    let (one, again, other) = (course(7, 200, ALL), course(7, 200, ALL), course(8, 200, ALL));
    let beats = |rounds: &[Round]| rounds.iter().flat_map(|round| round.beats.clone()).collect::<Vec<_>>();
    assert_eq!(beats(&one), beats(&again));
    assert_ne!(beats(&one), beats(&other));
    let blows = beats(&one).iter().filter(|beat| matches!(beat, Beat::Blow { .. })).count();
    assert!((200..300).contains(&blows), "{blows}");
    for script in ALL {
        let times = one.iter().flat_map(|round| &round.scripts).filter(|(_, cast)| cast.name == script.name).count();
        assert_eq!(times, 1, "{}", script.name);
    }
    for outage in [Outage::Restart, Outage::Kill] {
        assert!(beats(&one).contains(&Beat::Engine(outage)), "{outage:?}");
    }
}
