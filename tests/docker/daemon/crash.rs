//! `kill -9` at any moment: nothing is lost, and the next start brings about what the files say.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fixture::{DIARY, Daemon, PAGE, container};

#[test]
fn twenty_kills_in_the_middle_of_edits_lose_nothing_and_converge() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "before the storm");
    for round in 0_u64..20 {
        match round % 5 {
            0 => daemon.save("alice-diary", &format!("{DIARY}env: {{ROUND: r{round}}}\n")),
            1 => daemon.save("alice-diary", &format!("{DIARY}env: {{ROUND: r{round}}}\nmemory: {}m\n", 150 + round)),
            2 => daemon.save("bob-page", PAGE),
            3 => daemon.save("bob-page", "template: static-v1\nstate: deleted\n"),
            _ => daemon.save("alice-diary", &format!("{DIARY}redeploy: r{round}\n")),
        }
        // Anywhere between the first look at the folder and the end of the roll-over.
        std::thread::sleep(Duration::from_millis(round * 7919 % 700));
        daemon.kill();
        daemon.spawn();
    }
    daemon.until("the daemon answers", || (!daemon.status().is_null()).then_some(()));
    let diary = daemon.run("alice-diary", &format!("{DIARY}memory: 123m\nenv: {{ROUND: last}}\n"));
    daemon.run("bob-page", PAGE);
    assert_eq!(diary["HostConfig"]["Memory"], 123 << 20);
    assert_eq!(daemon.entries("alice-diary"), ["before the storm"]);
    let expected = BTreeSet::from([container("alice-diary"), container("bob-page")]);
    daemon.until("nothing is left over", || (daemon.docker.names_on(&daemon.network) == expected).then_some(()));
    let plan = daemon.paas(&["plan"]);
    assert_eq!(plan.code, 0, "{plan:?}");
}

#[test]
fn an_app_still_runs_when_the_daemon_is_killed_in_the_middle_of_its_roll_over() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    for wait in [0, 150, 400, 800, 1200] {
        daemon.save("alice-diary", &format!("{DIARY}redeploy: after-{wait}\n"));
        std::thread::sleep(Duration::from_millis(wait));
        daemon.kill();
        let running = daemon.docker.names_on(&daemon.network);
        let serving = running
            .iter()
            .filter(|name| daemon.docker.inspect(name).is_some_and(|seen| seen["State"]["Status"] == "running"));
        assert!(serving.count() >= 1, "with the daemon dead, an app that ran still runs: {running:?}");
        daemon.serve();
        daemon.ready("alice-diary");
    }
}
