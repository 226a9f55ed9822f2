//! `kill -9` in the middle of a roll-over, the same moments in every run. Any moment of anything: see `storm`.

use std::time::Duration;

use super::fixture::{DIARY, Daemon};

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
