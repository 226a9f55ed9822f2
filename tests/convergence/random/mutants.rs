//! Whether random scripts see what they are meant to see: a good part of the planted bugs has to break a property within a
//! few of them. The sweep (`mutants.rs` beside this folder) hunts every one with the script that is made for it.

use minipaas::testing::mutants::{Mutant, plant};

use super::{SEED, SHRINKING, figure, try_seed};
use crate::sweep::{parallel, tell};

/// Scripts per planted bug, unless `CASES` says otherwise.
const CASES: u64 = 25;
/// No random script edits an app's code or its folder, lets a process hang or an app sleep, says who may enter, looks at a
/// preview, or puts data back, which is what these are about; the sweep has scripts for them.
const UNTRIED: [Mutant; 26] = [
    Mutant::VersionIsLive,
    Mutant::CheckoutDroppedEarly,
    Mutant::CodeBackFromTemplate,
    Mutant::TrashWithoutTemplate,
    Mutant::HangsLeftAlone,
    Mutant::HangsReplacedAtOnce,
    Mutant::HangsReplacedUnasked,
    Mutant::BrokenFileOpens,
    Mutant::DefaultVisitorsIgnored,
    Mutant::UnguardedInDirect,
    Mutant::SleepsAmidVisitors,
    Mutant::VisitorsOverlooked,
    Mutant::VisitsUncounted,
    Mutant::StreamsUncounted,
    Mutant::PressureIgnored,
    Mutant::SleepTakenForEnd,
    Mutant::AwakeNotedEarly,
    Mutant::PreviewOnRealData,
    Mutant::PreviewNeverEnds,
    Mutant::PreviewForEveryone,
    Mutant::PreviewTakenForApp,
    Mutant::PreviewHoldsApp,
    Mutant::SwapsAmidWriting,
    Mutant::SwapMissed,
    Mutant::SwapsInTwoSteps,
    Mutant::OldDataDropped,
];
/// In hundredths.
const GOOD_PART: usize = 40;

/// Which script broke what.
struct Death {
    scripts: u64,
    by: String,
    how: String,
}

fn hunt(mutant: Mutant, first: u64, cases: u64) -> Option<Death> {
    let _planted = plant(mutant);
    (first..first + cases).zip(1..).find_map(|(seed, scripts)| {
        // Small only for those who want to read it.
        let failure = try_seed(seed, if is_chosen() { SHRINKING } else { 0 }).err()?;
        let violation = failure.violations.first()?.clone();
        let by = violation.split(' ').next().unwrap_or_default().to_owned();
        Some(Death { scripts, by, how: format!("{violation}\n    SCRIPT=\"{}\"", failure.script) })
    })
}

fn is_chosen() -> bool {
    std::env::var_os("MUTANT").is_some()
}

/// `MUTANT=NoGrace CASES=200` hunts one, and shows how it died.
#[test]
fn random_scripts_find_a_good_part_of_the_planted_bugs() {
    let only = std::env::var("MUTANT").ok();
    let wanted = |mutant: &Mutant| match &only {
        Some(only) => format!("{mutant:?}") == *only,
        None => !UNTRIED.contains(mutant),
    };
    let mutants: Vec<Mutant> = Mutant::ALL.iter().copied().filter(wanted).collect();
    let (first, cases) = (figure("SEED").unwrap_or(SEED), figure("CASES").unwrap_or(CASES));
    let began = std::time::Instant::now();
    let deaths = parallel(mutants.len(), |number| hunt(mutants[number], first, cases));
    let scripts = deaths.iter().map(|death| death.as_ref().map_or(cases, |death| death.scripts)).sum::<u64>();
    tell("planted bugs, by random scripts", usize::try_from(scripts).unwrap(), "the first that finds each", began);
    println!("{:<28}{:<10}{:>8}", "planted bug", "found by", "scripts");
    let mut found = 0;
    for (mutant, death) in mutants.iter().zip(&deaths) {
        let name = format!("{mutant:?}");
        match death {
            None => println!("{name:<28}{:<10}{:>8}", "-", format!("> {cases}")),
            Some(death) => {
                found += 1;
                println!("{name:<28}{:<10}{:>8}", death.by, death.scripts);
                if is_chosen() {
                    println!("    {}", death.how);
                }
            }
        }
    }
    println!("random scripts found {found} of {} planted bugs", mutants.len());
    assert!(found * 100 >= mutants.len() * GOOD_PART, "only {found} of {} were found", mutants.len());
}
