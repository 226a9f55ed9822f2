//! The API against its own description, by a program that knows nothing else about it, and the metrics against
//! Prometheus' own checker. `scripts/test` installs both; without them these tests fail.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::fixture::Daemon;

const KEY: &str = "schemathesis-and-promtool";

fn program(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_owned())
}

#[test]
fn the_api_does_what_its_description_says_and_nothing_else() {
    let daemon = Daemon::start_with(&[
        ("PORTAL_API_KEY", KEY),
        // A container for every name it can think of would only take time.
        ("MAX_TOTAL_APPS", "2"),
    ]);
    daemon.run("alice-diary", "template: diary-v1\nenableApi: true\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker");
    let work = tempfile::tempdir().unwrap();
    let ran = Command::new(program("MINIPAAS_SCHEMATHESIS", "schemathesis"))
        .current_dir(work.path())
        .env("SCHEMATHESIS_HOOKS", folder.join("schemathesis_hooks.py"))
        .env("MINIPAAS_KEY", KEY)
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", &format!("http://127.0.0.1:{}/openapi.json", daemon.portal_port)])
        .args(["--checks", "all"])
        // A stream does not end, so there is no answer to check; streams have tests of their own.
        .args(["--exclude-path", "/events"])
        .args(["--max-examples", "15", "--seed", "1", "--workers", "1", "--request-timeout", "60", "--no-color"])
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis is missing: `scripts/schemathesis` installs it, MINIPAAS_SCHEMATHESIS names it");
    let said = String::from_utf8_lossy(&ran.stdout);
    let warnings: Vec<String> = daemon.log().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect();
    assert!(ran.status.success(), "{said}\n{}\n{}", String::from_utf8_lossy(&ran.stderr), warnings.join("\n"));
    let summary = said.lines().skip_while(|line| !line.contains("SUMMARY")).collect::<Vec<_>>().join("\n");
    assert!(!summary.is_empty(), "{said}");
    println!("{summary}");
    // All that happened to it, and it still does its work.
    assert_eq!(daemon.health(), (200, String::new()));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn prometheus_own_checker_accepts_the_metrics() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", "template: diary-v1\n");
    assert_eq!(daemon.get("alice-diary", "/").status, 200);
    let metrics = daemon.text("/metrics");
    let mut child = Command::new(program("MINIPAAS_PROMTOOL", "promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: install Debian's package `prometheus`");
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.trim().is_empty(), "{said}\n{metrics}");
    for line in [
        "minipaas_engine_up 1",
        "minipaas_apps{phase=\"Running\"} 1",
        "minipaas_app_ready{app=\"alice-diary\"} 1",
        "minipaas_app_responses_total{app=\"alice-diary\",class=\"2xx\"} 1",
        "minipaas_steps_total{action=\"create\",result=\"done\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in:\n{metrics}");
    }
    assert!(!metrics.contains("drift_repairs_total{"), "nothing was repaired yet:\n{metrics}");

    daemon.docker.post("/containers/paas-app-alice-diary/stop");
    daemon.until("the stopped container is put back, as drift", || {
        daemon.text("/metrics").contains("minipaas_drift_repairs_total{action=\"start\"} 1").then_some(())
    });
}
