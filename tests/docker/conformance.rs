//! The suite that the simulator is held to, against the real thing.

use minipaas::testing::conformance;
use minipaas::testing::operator::CliOperator;

use crate::common::{self, Place};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_docker_is_what_the_simulator_claims_it_to_be() {
    let place = Place::new().await;
    // Only an engine of the tests' own may lose its power.
    let path = |name| std::env::var_os(name).map(std::path::PathBuf::from);
    let operator = CliOperator {
        host: std::env::var("MINIPAAS_TEST_DOCKER").unwrap(),
        engine: path("MINIPAAS_TEST_ENGINE").zip(path("MINIPAAS_TEST_ENGINE_DIR")),
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let prefix = place.name("conf").to_lowercase();
    let report = conformance::run(&*place.engine, &operator, common::IMAGE, &prefix, &only).await;
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    assert!(!only.is_empty() || report.held.len() > 60, "checks got lost: {report}");
}
