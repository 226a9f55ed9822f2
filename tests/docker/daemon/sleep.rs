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
