//! A site that sleeps while nobody comes: on a real Docker, with a real app.

use std::time::Instant;

use super::everyday::Visitor;
use super::fixture::{DIARY, Daemon, container, visit};

fn sleepy() -> String {
    format!("{DIARY}sleep: {{after: 10s}}\n")
}

fn runs(daemon: &Daemon) -> bool {
    daemon.container("alice-diary")["State"]["Running"].as_bool().unwrap()
}

fn until_asleep(daemon: &Daemon) {
    daemon.until("it sleeps", || {
        let status = daemon.app("alice-diary");
        (status["health"] == "Asleep" && status["sync"] == "Synced" && !runs(daemon)).then_some(())
    });
}

#[test]
fn what_finds_no_room_in_memory_waits_and_who_may_sleep_does_so_early() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", &format!("{DIARY}sleep: {{after: 2h}}\n"));
    // More than the machine has.
    daemon.set(&[("PAAS_MEMORY_RESERVE", "4000g")]);
    until_asleep(&daemon);
    let events = daemon.paas(&["events", "alice-diary"]).done();
    assert!(events.contains("the app was sent to sleep early") && events.contains("memory is short"), "{events}");

    daemon.save("bob-diary", DIARY);
    daemon.until("it waits for room", || {
        let told = daemon.app("bob-diary")["conditions"].to_string();
        (told.contains("NotEnoughMemory") && daemon.app("bob-diary")["phase"] == "Held").then_some(())
    });
    let told = daemon.paas(&["status"]).done();
    assert!(told.contains("not enough memory to start it") && told.contains("PAAS_MEMORY_RESERVE"), "{told}");
    assert!(!daemon.docker.names_on(&daemon.network).contains(&container("bob-diary")), "nothing was made");

    daemon.set(&[("PAAS_MEMORY_RESERVE", "0")]);
    daemon.ready("bob-diary");
    assert_eq!(daemon.visit("alice-diary", "/").unwrap().status, 200, "whoever comes wakes it");
    let told = daemon.paas(&["status"]).done();
    assert!(told.contains("sites of this size are awake"), "{told}");
    let host = daemon.container("bob-diary")["HostConfig"].clone();
    assert_eq!(host["OomScoreAdj"], 300);
}

#[test]
fn a_site_that_nobody_visits_sleeps_and_whoever_comes_is_answered_by_it() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", &sleepy());
    daemon.write_entry("alice-diary", "before the night");
    until_asleep(&daemon);
    assert_eq!(daemon.app("alice-diary")["phase"], "Asleep");

    // Asleep is no drift, also for the next life of the daemon.
    daemon.restart();
    daemon.until("it is known to sleep", || (daemon.app("alice-diary")["health"] == "Asleep").then_some(()));
    assert!(!runs(&daemon));

    // What Docker's start and the app's own take by hand, and what waking it takes.
    let begun = Instant::now();
    let body = br#"{"body":"who wakes it"}"#;
    let answer = visit(daemon.port, "POST", &daemon.host("alice-diary"), "/api/entries", Some(body)).unwrap();
    println!("woken by a form and answered after {} ms", begun.elapsed().as_millis());
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
    assert_eq!(daemon.entries("alice-diary").len(), 2);
    let sleep = daemon.app("alice-diary")["sleep"].clone();
    assert_eq!((&sleep["wakes"], &sleep["wokenBy"]["path"]), (&1.into(), &"/api/entries".into()), "{sleep}");

    // A visitor who never tires keeps it awake and is always answered.
    until_asleep(&daemon);
    let visitor = Visitor::of(&daemon, "alice-diary", "/");
    daemon.until("it is awake", || runs(&daemon).then_some(()));
    assert!(visitor.was_always_served() > 0);

    // By hand.
    daemon.paas(&["sleep", "alice-diary"]).done();
    until_asleep(&daemon);
    daemon.paas(&["wake", "alice-diary"]).done();
    daemon.ready("alice-diary");
    daemon.until("it is awake", || runs(&daemon).then_some(()));
    daemon.paas(&["sleep", "alice-diary"]).done();
    until_asleep(&daemon);
    daemon.docker.post(&format!("/containers/{}/start", container("alice-diary")));
    daemon.until("it is taken for awake", || (daemon.app("alice-diary")["health"] == "Running").then_some(()));
    until_asleep(&daemon);
}
