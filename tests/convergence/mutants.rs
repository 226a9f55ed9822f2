//! Whether the properties see what they are meant to see: each planted bug has to break one.

use std::collections::BTreeMap;

use minipaas::testing::mutants::{Mutant, plant};

use crate::scripts::{Script, all};
use crate::sweep::{parallel, replay_line, strikes_of};
use crate::world::{Ended, Strike, run};

/// No script shows these yet: they are not hunted, and the table says so.
const UNSEEN: [Mutant; 3] = [Mutant::FailedListMeansEmpty, Mutant::EventDroppedWhileBusy, Mutant::ForgetFirst];

/// Where to look first; the other scripts follow, undisturbed.
fn haunt(mutant: Mutant) -> &'static str {
    match mutant {
        Mutant::MissingFolderMeansEmpty => "folder-gone",
        Mutant::FailedListMeansEmpty | Mutant::ForgetFirst => "delete",
        Mutant::InvalidMeansDeleted => "invalid",
        Mutant::NoGrace => "back-within-grace",
        Mutant::NoMassGuard => "wipe-restore",
        Mutant::ConfirmationForgotten => "wipe-confirm",
        Mutant::NoResync | Mutant::EventDroppedWhileBusy | Mutant::LostAnswerForgotten => "edit-revert-at-once",
        Mutant::LossUnreported => "engine-restart",
        Mutant::ReadyWhateverHealth => "crash-loop",
        Mutant::CreatedMeansRunning => "create",
        Mutant::PausedMeansRunning => "docker-pause",
        Mutant::StoppedMeansWanted => "docker-stop",
        Mutant::NetworkIgnored => "docker-disconnect",
        Mutant::LimitsNeverRepaired => "limits",
        Mutant::RenameForgotten | Mutant::StopBeforeStart | Mutant::EnvIgnored => "edit",
        Mutant::OldGoesFirst | Mutant::TrialNeverFails | Mutant::FailureForgotten => "bad-deploy",
        Mutant::StopIgnored => "stop",
        Mutant::ImageIgnored => "image-broken",
        Mutant::OwnedByName => "lookalike-before",
    }
}

struct Death {
    runs: usize,
    by: String,
    how: String,
}

/// The first violation that the bug causes where the undisturbed and healthy run has none.
fn hunt(mutant: Mutant, scripts: &[Script], healthy: &BTreeMap<&str, Ended>) -> Option<Death> {
    let haunt = scripts.iter().find(|script| script.name == haunt(mutant)).expect("no script has that name");
    let undisturbed: Vec<(&Script, Option<Strike>)> = scripts.iter().map(|script| (script, None)).collect();
    let mut struck: Vec<_> =
        strikes_of(haunt, &healthy[haunt.name].calls).into_iter().map(|strike| (haunt, Some(strike))).collect();
    // Scattered: neighbours tell the same.
    struck.sort_by_key(|(_, strike)| strike.map(|strike| strike.call * 7_919 % 1_009));
    for (before, (script, strike)) in std::iter::once((haunt, None)).chain(struck).chain(undisturbed).enumerate() {
        let _planted = plant(mutant);
        let ended = run(script, strike.as_slice(), Some(&healthy[script.name]));
        if let Some(violation) = ended.violations.first() {
            let by = violation.split(' ').next().unwrap_or_default().to_owned();
            let how = format!("{violation}\n    {}", replay_line(script, strike.as_slice()));
            return Some(Death { runs: before + 1, by, how });
        }
    }
    None
}

pub(crate) fn kill_all() -> Result<(), String> {
    let scripts: Vec<Script> = all().into_iter().filter(|script| !script.expect.is_empty()).collect();
    let ended = parallel(scripts.len(), |number| run(&scripts[number], &[], None));
    let healthy: BTreeMap<&str, Ended> = scripts.iter().map(|script| script.name).zip(ended).collect();
    let only = std::env::var("MUTANT").unwrap_or_default();
    let mutants: Vec<Mutant> = Mutant::ALL
        .iter()
        .copied()
        .filter(|mutant| !UNSEEN.contains(mutant))
        .filter(|mutant| only.is_empty() || format!("{mutant:?}") == only)
        .collect();
    let deaths = parallel(mutants.len(), |number| {
        let death = hunt(mutants[number], &scripts, &healthy);
        if std::env::var_os("VERBOSE").is_some() {
            println!("{:?}: {:?}", mutants[number], death.as_ref().map(|death| &death.how));
        }
        death
    });
    println!("not seen by any script yet: {UNSEEN:?}");
    let mut survivors = Vec::new();
    println!("{:<26}{:<10}{:>6}", "planted bug", "killed by", "runs");
    for (mutant, death) in mutants.iter().zip(deaths) {
        match death {
            Some(death) => {
                println!("{:<26}{:<10}{:>6}", format!("{mutant:?}"), death.by, death.runs);
                if !only.is_empty() {
                    println!("    {}", death.how);
                }
            }
            None => survivors.push(format!("{mutant:?}")),
        }
    }
    if survivors.is_empty() { Ok(()) } else { Err(format!("these planted bugs survived: {}", survivors.join(", "))) }
}
