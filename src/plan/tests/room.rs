//! A start that finds no room in memory.

use crate::model::memory::Shortage;

use super::*;

fn short(mut view: AppView) -> AppView {
    view.shortage = Some(Shortage { needs: Bytes::mib(60), free: Bytes::mib(500), reserve: Bytes::mib(512) });
    view
}

/// What is planned, and the verdict.
fn told(view: AppView) -> String {
    let view = short(view);
    let plan = diff(&view);
    let verdict = assess(&view, &plan);
    let findings: Vec<_> = verdict.findings.iter().map(|finding| finding.reason.as_str()).collect();
    format!("{plan}{:?} {:?} {}", verdict.sync, verdict.health, findings.join(" ")).trim_end().to_owned()
}

fn run(spec: &AppSpec) -> Goal {
    Goal::Run(Box::new(spec.clone()))
}

#[test]
fn a_new_app_waits_with_everything_prepared() {
    let mut new = view(run(&spec()), vec![]);
    (new.recorded, new.folder) = (None, FolderState::default());
    insta::assert_snapshot!(told(new), @r"
    alice-diary: record in the inventory - a new app
    alice-diary: make the app's folders from template diary-v1 - the app's folder is missing or incomplete
    alice-diary: write docker-compose.yml - it differs from the app's specification
    Held Starting NotEnoughMemory
    ");
    assert_eq!(told(view(run(&spec()), vec![])), "Held Starting NotEnoughMemory");
}

#[test]
fn what_sleeps_goes_on_sleeping_until_there_is_room() {
    let sleeper = AppSpec { sleep: Some(Seconds(60)), ..spec() };
    let stopped = ObservedContainer { state: ContainerState::Exited, ..main_container(&sleeper) };
    let mut wanted = view(run(&sleeper), vec![stopped]);
    let asleep = InventoryRow { asleep: Some(Timestamp(NOW - 1_000)), ..row() };
    (wanted.record, wanted.recorded) = (Some(row()), Some(asleep));
    assert_eq!(told(wanted), "Held Starting NotEnoughMemory");
}

#[test]
fn what_runs_goes_on_while_its_successor_waits() {
    assert_eq!(told(view(run(&changed_spec()), vec![main_container(&spec())])), "Held Running NotEnoughMemory");
    assert_eq!(told(view(run(&spec()), vec![main_container(&spec())])), "Synced Running");
}

#[test]
fn in_place_the_one_that_goes_makes_the_room() {
    let mut direct = view(run(&changed_spec()), vec![main_container(&spec())]);
    direct.routing = Routing::Direct;
    let told = told(direct);
    assert!(told.contains("stop container") && told.contains("start container"), "{told}");
}

#[test]
fn the_message_says_what_would_help() {
    let view = short(view(run(&spec()), vec![]));
    let verdict = assess(&view, &diff(&view));
    insta::assert_snapshot!(verdict.findings[0].message, @"not enough memory to start it: it takes about 60 MB beside the 512 MB that are kept free for Docker and the rest of the machine, and 500 MB are free. It starts by itself when there is room: let sites sleep while nobody comes (`sleep: {after: 30m}` in their manifests, or DEFAULT_SLEEP_AFTER), stop one, or lower PAAS_MEMORY_RESERVE");
}
