//! `.env` edited while the daemon runs.

use super::fixture::{Daemon, PAGE, free_ports, visit};

#[test]
fn a_new_domain_and_new_limits_in_env_alone_reshape_every_app() {
    let mut daemon = Daemon::start();
    let apps = ["alice-page", "bob-page"];
    let before = apps.map(|app| daemon.run(app, PAGE));
    assert_eq!(before[0]["HostConfig"]["Memory"], 256 << 20);

    daemon.set(&[("DEFAULT_MEM_LIMIT", "200m"), ("DEFAULT_RESTART_POLICY", "always")]);
    for (app, before) in apps.iter().zip(&before) {
        daemon.until(&format!("{app} has the new limits"), || {
            let seen = daemon.container(app);
            let host = &seen["HostConfig"];
            (host["Memory"] == 200 << 20 && host["RestartPolicy"]["Name"] == "always").then_some(())
        });
        assert_eq!(daemon.container(app)["State"]["StartedAt"], before["State"]["StartedAt"], "without a restart");
    }

    let old = daemon.host("alice-page");
    daemon.set(&[("PAAS_DOMAIN", "home.example")]);
    for app in apps {
        daemon.until(&format!("{app} answers at its new name"), || {
            let labelled = daemon.container(app)["Config"]["Labels"]["paas.domain"] == format!("{app}.home.example");
            (labelled && daemon.visit(app, "/").is_ok_and(|answer| answer.status == 200)).then_some(())
        });
        assert_eq!(daemon.app(app)["url"], format!("http://{app}.home.example:{}/", daemon.port));
    }
    let answer = visit(daemon.port, "GET", &old, "/", None).unwrap();
    assert_ne!(answer.status, 200, "the old name is no name any more: {}", answer.text());
}

#[test]
fn a_bad_value_is_refused_with_its_place_and_the_last_good_settings_stay() {
    let mut daemon = Daemon::start();
    let before = daemon.run("alice-page", PAGE);
    daemon.set(&[("DEFAULT_MEM_LIMIT", "lots"), ("PAAS_DOMAIN", "home.example")]);
    let text = std::fs::read_to_string(daemon.path(".env")).unwrap();
    let line = text.lines().position(|line| line.starts_with("DEFAULT_MEM_LIMIT")).unwrap() + 1;
    let problem = daemon
        .until("the bad value is told", || daemon.status()["settingsProblems"][0].as_str().map(ToOwned::to_owned));
    for part in [format!(".env:{line}"), "DEFAULT_MEM_LIMIT".to_owned(), "lots".to_owned(), "256m".to_owned()] {
        assert!(problem.contains(&part), "`{part}` is not in: {problem}");
    }
    // Made after the refusal, so it shows what is in force.
    let made = daemon.run("bob-page", PAGE);
    assert_eq!(made["HostConfig"]["Memory"], 256 << 20);
    assert_eq!(made["Config"]["Labels"]["paas.domain"], "bob-page.paas.test", "all of the file or nothing of it");
    assert_eq!(daemon.container("alice-page")["State"]["StartedAt"], before["State"]["StartedAt"]);

    daemon.set(&[("DEFAULT_MEM_LIMIT", "99m")]);
    daemon.until("the repaired file is taken up", || {
        let seen = daemon.container("alice-page");
        (seen["HostConfig"]["Memory"] == 99 << 20).then_some(())
    });
    assert_eq!(daemon.status()["settingsProblems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_new_port_waits_for_a_restart_and_says_so() {
    let mut daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let [port] = free_ports();
    daemon.set(&[("PAAS_GATEWAY_PORT", &port.to_string())]);
    daemon.until("a restart is asked for", || {
        (daemon.status()["restartRequired"][0] == "PAAS_GATEWAY_PORT").then_some(())
    });
    assert!(daemon.paas(&["status"]).done().contains("restart the daemon to take up: PAAS_GATEWAY_PORT"));
    assert_eq!(daemon.get("alice-page", "/").status, 200, "the old port serves until then");
    daemon.restart();
    daemon.port = port;
    daemon.until("the new port serves", || daemon.visit("alice-page", "/").ok().filter(|answer| answer.status == 200));
    assert_eq!(daemon.status()["restartRequired"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_daemon_with_bad_settings_does_not_start_and_says_which() {
    let mut daemon = Daemon::prepared();
    daemon.set(&[("PAAS_GATEWAY_PORT", "eighty")]);
    let ran = daemon.paas(&["serve"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("PAAS_GATEWAY_PORT") && ran.err.contains("eighty"), "{ran:?}");
}

#[test]
fn a_taken_port_is_told_with_the_setting_that_changes_it() {
    let daemon = Daemon::prepared();
    let _taken = std::net::TcpListener::bind(("0.0.0.0", daemon.port)).unwrap();
    let ran = daemon.paas(&["serve"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&daemon.port.to_string()) && ran.err.contains("PAAS_GATEWAY_PORT"), "{ran:?}");
}
