//! minipaas: a desired-state mini-PaaS for one home server. See `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod controller;
pub mod desired;
pub mod engine;
pub mod folders;
pub mod gateway;
pub mod model;
pub mod store;
