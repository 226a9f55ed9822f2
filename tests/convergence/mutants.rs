//! Whether the properties see what they are meant to see: each planted bug has to break one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use minipaas::testing::mutants::{Mutant, plant};

use crate::fault::Injection;
use crate::scripts::{Script, all};
use crate::sweep::{outages, parallel, quirks, replay_line, single_faults, tell};
use crate::world::{Ended, run};

/// Where to look first; the other scripts follow, undisturbed.
fn likely_script(mutant: Mutant) -> &'static str {
    match mutant {
        Mutant::MissingFolderMeansEmpty => "folder-gone",
        Mutant::PartialListingTrusted => "partial-listing",
        Mutant::FailedListMeansEmpty | Mutant::ForgetFirst | Mutant::DeletionTakesData => "delete",
        Mutant::InvalidMeansDeleted => "invalid",
        Mutant::NoGrace | Mutant::AbsenceTakenOnTrust => "back-within-grace",
        Mutant::NoMassGuard => "wipe-restore",
        Mutant::ConfirmationForgotten | Mutant::ConfirmationUnwritten => "wipe-confirm",
        Mutant::HoldUnwritten => "wipe-restore-some",
        Mutant::FailedWriteForgotten => "wipe-confirm-restore",
        Mutant::AddressHandedOn => "docker-kill-beside",
        Mutant::NoResync | Mutant::EventDroppedWhileBusy | Mutant::LostAnswerForgotten => "edit-revert-at-once",
        Mutant::LossUnreported => "engine-restart",
        Mutant::ReadyWhateverHealth => "crash-loop",
        Mutant::CreatedMeansRunning | Mutant::RecordLast => "create",
        Mutant::PausedMeansRunning => "docker-pause",
        Mutant::StoppedMeansWanted => "docker-stop",
        Mutant::NetworkIgnored => "docker-disconnect",
        Mutant::LimitsNeverRepaired | Mutant::LimitBecomesZero => "limits",
        Mutant::RenameForgotten
        | Mutant::StopBeforeStart
        | Mutant::EnvIgnored
        | Mutant::StatusBeforeAction
        | Mutant::LostAnswerTwice
        | Mutant::AddressKept => "edit",
        Mutant::OldGoesFirst | Mutant::TrialNeverFails | Mutant::FailureForgotten => "bad-deploy",
        Mutant::StartTimeoutIgnored => "slow-start",
        Mutant::VersionIsLive => "code-edit",
        Mutant::CheckoutDroppedEarly => "deploy",
        Mutant::CheckoutDroppedUnrecorded => "rollback-recorder-stuck",
        Mutant::EditsUnsaved => "rollback-unpublished",
        Mutant::EditsOverwritten => "rollback-edited-meanwhile",
        Mutant::CodeBroughtEarly => "rollback-bad",
        Mutant::OtherCodeCheckedOut => "rollback-old",
        Mutant::CodeBackFromTemplate => "code-removed",
        Mutant::TrashWithoutTemplate => "delete-create-own",
        Mutant::TurnIgnored => "network",
        Mutant::SleepsAmidVisitors | Mutant::VisitorsOverlooked => "sleep-at-the-door",
        Mutant::PressureIgnored => "memory-pressure",
        Mutant::VisitsUncounted => "sleep-after-a-visit",
        Mutant::StreamsUncounted => "sleep-after-a-stream",
        Mutant::SleepTakenForEnd | Mutant::AwakeNotedEarly => "sleep-on-failure",
        Mutant::SwapsAmidWriting | Mutant::SwapsInTwoSteps | Mutant::OldDataDropped => "restore",
        Mutant::SwapMissed => "restore-started-by-hand",
        Mutant::HangsLeftAlone => "hang",
        Mutant::HangsReplacedAtOnce => "hang-in-vain",
        Mutant::HangsReplacedUnasked => "hang-told",
        Mutant::BrokenFileOpens => "visitors-broken",
        Mutant::DefaultVisitorsIgnored => "visitors-default",
        Mutant::UnguardedInDirect => "visitors-direct",
        Mutant::NameOfTwo => "name-taken",
        Mutant::PreviewOnRealData
        | Mutant::PreviewNeverEnds
        | Mutant::PreviewForEveryone
        | Mutant::PreviewTakenForApp => "preview",
        Mutant::PreviewHoldsApp => "preview-beside-edits",
        Mutant::StopIgnored => "stop",
        Mutant::ImageIgnored => "image-broken",
        Mutant::OwnedByName => "lookalike-before",
        Mutant::FailureAbortsAll => "broken-neighbour",
    }
}

struct Death {
    runs: usize,
    /// The property, by its number.
    by: String,
    script: &'static str,
    /// The disturbance that it took, if any.
    injection: Option<Injection>,
    violation: String,
}

/// The first violation that the bug causes where the healthy daemon has none.
fn hunt(mutant: Mutant, scripts: &[Script], healthy: &BTreeMap<&str, Ended>) -> Option<Death> {
    let likely = scripts.iter().find(|script| script.name == likely_script(mutant)).expect("no script has that name");
    let undisturbed: Vec<(&Script, Option<Injection>)> = scripts.iter().map(|script| (script, None)).collect();
    let mut injected = [quirks, outages, single_faults].map(|list| list(likely, &healthy[likely.name])).concat();
    // Scattered: neighbours tell the same.
    injected.sort_by_key(|injection| injection.call().unwrap_or_default() * 7_919 % 1_009);
    let injected = injected.into_iter().map(|injection| (likely, Some(injection)));
    for (before, (script, injection)) in std::iter::once((likely, None)).chain(injected).chain(undisturbed).enumerate()
    {
        let planted = plant(mutant);
        let ended = run(script, injection.as_slice(), Some(&healthy[script.name]));
        drop(planted);
        let seen = ended.violations;
        if let Some(violation) = seen.first().cloned() {
            // A disturbance that the healthy daemon does not bear either says nothing about the bug.
            let sound = || run(script, injection.as_slice(), Some(&healthy[script.name])).violations.is_empty();
            if injection.is_some() && !sound() {
                continue;
            }
            return Some(Death { runs: before + 1, by: seen_by(&seen), script: script.name, injection, violation });
        }
    }
    None
}

/// The properties that a bug broke, each once.
fn seen_by(violations: &[String]) -> String {
    let by: BTreeSet<&str> = violations.iter().filter_map(|violation| violation.split(' ').next()).collect();
    by.into_iter().collect::<Vec<_>>().join(" ")
}

/// Prints the table; returns the bugs that nobody saw, and those that others saw than the one property they are planted for.
pub(crate) fn kill_all() -> Result<(), String> {
    let scripts: Vec<Script> = all().into_iter().filter(|script| script.name != "fifty").collect();
    let ended = parallel(scripts.len(), |number| run(&scripts[number], &[], None));
    let healthy: BTreeMap<&str, Ended> = scripts.iter().map(|script| script.name).zip(ended).collect();
    let only = std::env::var("MUTANT").unwrap_or_default();
    let mutants: Vec<Mutant> =
        Mutant::ALL.iter().copied().filter(|mutant| only.is_empty() || format!("{mutant:?}") == only).collect();
    let began = Instant::now();
    let deaths = parallel(mutants.len(), |number| hunt(mutants[number], &scripts, &healthy));
    let runs = deaths.iter().flatten().map(|death| death.runs).sum();
    tell("planted bugs", runs, "whole", began);
    let mut survivors = Vec::new();
    println!("{:<26}{:<10}{:>6}  in", "planted bug", "killed by", "runs");
    for (mutant, death) in mutants.iter().zip(deaths) {
        let name = format!("{mutant:?}");
        let Some(death) = death else {
            survivors.push(name);
            continue;
        };
        if mutant.seen_only_by().is_some_and(|only| death.by != only) {
            survivors.push(format!("{name} (seen by {} as well)", death.by));
        }
        let injection = death.injection.map(|injection| format!(", {injection}")).unwrap_or_default();
        println!("{name:<26}{:<10}{:>6}  {}{injection}", death.by, death.runs, death.script);
        if !only.is_empty() {
            let script = scripts.iter().find(|script| script.name == death.script).expect("it was just run");
            println!("    {}\n    {}", death.violation, replay_line(script, death.injection.as_slice()));
        }
    }
    if survivors.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "these planted bugs survived, or were seen by others than the one property: {}",
            survivors.join(", ")
        ))
    }
}
