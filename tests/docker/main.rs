//! Tests against the real Docker that `MINIPAAS_TEST_DOCKER` names (`unix:///path/to/docker.sock`). They make what they
//! need under names and labels of their own, take it away again, and leave everything else alone.
//!
//! `MINIPAAS_TEST_DOCKER=unix:///var/run/docker.sock cargo test --features docker-tests --test docker`

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is the point")]

mod common;
mod compose;
mod conformance;
mod daemon;
mod engine;
#[path = "../files_support/mod.rs"]
mod files_support;
mod kernel;
#[path = "../restart_support/mod.rs"]
mod restart_support;
