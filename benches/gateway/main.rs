//! Figures of the gateway, printed and not judged:
//!
//! 1. `throughput`: `wrk` through the gateway and through nginx to the same upstream, taking turns (goal: at least 1.0 × the
//!    requests per second, at most 1.2 × the 99th percentile), of a public app and of a private one with an owner's cookie
//! 2. `restarts`: a minute of `wrk` on an app that is deployed ten times while the daemon restarts three times (goal: no
//!    failed request)
//! 3. `slow`: the daemon's memory before, with and after 2,000 slow visitors
//! 4. `hostile`: what a visitor notices of 10,000 connections of one address (goal: at most 2 × the 99th percentile), and the
//!    daemon's memory with 3,000 heads that never end
//!
//! All of it with the real daemon and a Docker with the runtime image (`DOCKER_HOST`); `scripts/bench-gateway` sees to
//! everything. `PAAS_BIN` names another binary than the one just built.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends at the first surprise, and prints")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod daemon;
mod hostile;
mod process;
#[path = "../../tests/restart_support/mod.rs"]
mod restart_support;
mod restarts;
mod slow;
mod throughput;
mod wrk;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("throughput") => throughput::run(),
        Some("restarts") => restarts::run(),
        Some("slow") => slow::run(),
        Some("hostile") => hostile::run(),
        None => {
            throughput::run();
            restarts::run();
            slow::run();
            hostile::run();
        }
        Some(other) => panic!("`{other}` is no part of this benchmark: throughput, restarts, slow or hostile"),
    }
}
