//! A minute of load on an app that is deployed ten times, while the daemon restarts three times.

use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::wrk::{self, Load};

const SECONDS: u32 = 60;
const DEPLOYS: u32 = 10;
/// After which deploys.
const RESTARTS: [u32; 3] = [2, 5, 8];

pub(crate) fn run() {
    let mut daemon = Daemon::start();
    let (url, host) = (format!("http://{}/", daemon.address()), Daemon::host());
    let wrk = wrk::start(&Load { connections: 64, seconds: SECONDS, url: &url, host: &host, cookie: None });
    let begun = Instant::now();
    let mut times = Vec::new();
    for deploy in 1..=DEPLOYS {
        // Spread over the minute, with a rest at its end.
        let due = Duration::from_secs(u64::from((SECONDS - 5) * deploy / (DEPLOYS + 1)));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let asked = Instant::now();
        daemon.deploy();
        times.push(format!("deploy {:.1} s", asked.elapsed().as_secs_f64()));
        if RESTARTS.contains(&deploy) {
            let asked = Instant::now();
            daemon.restart();
            times.push(format!("restart {:.2} s", asked.elapsed().as_secs_f64()));
        }
    }
    let took = begun.elapsed();
    let report = wrk::end(wrk);
    println!(
        "\n{SECONDS} s of wrk over 64 connections, {DEPLOYS} deploys and {} restarts of the daemon in the first {:.0} s",
        RESTARTS.len(),
        took.as_secs_f64()
    );
    println!("  {}", times.join(", "));
    println!(
        "  {:.0} requests, {:.0} a second, p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms",
        report.requests, report.per_second, report.p50_ms, report.p99_ms, report.max_ms
    );
    let failures = if report.failures.is_empty() { "none".to_owned() } else { report.failures.join("; ") };
    println!("  failed requests: {failures}");
}
