//! The simulator behaves as Docker does: the conformance suite against it. The Docker tier runs the very same suite
//! against a real engine, so a claim that is wrong breaks one of the two.

use minipaas::engine::sim::{Latency, SimConfig, SimDocker};
use minipaas::testing::conformance;

async fn every_sentence_holds(config: SimConfig) {
    let docker = SimDocker::new(config);
    docker.add_image("busybox:test", "busybox", None);
    docker.check_paths(|path| !path.starts_with("/nonexistent"));
    let only = std::env::var("ONLY").unwrap_or_default();
    let report = conformance::run(&docker.engine(), &docker, "busybox:test", "conf", &only).await;
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    assert!(!only.is_empty() || report.held.len() > 60, "checks got lost: {report}");
}

#[tokio::test(start_paused = true)]
async fn the_simulator_conforms() {
    every_sentence_holds(SimConfig::seeded(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_simulator_conforms_when_nothing_takes_time() {
    every_sentence_holds(SimConfig { latency: Latency::none(), ..SimConfig::seeded(2) }).await;
}
