//! minipaas: a desired-state mini-PaaS for one home server. See `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

/// Whether a planted bug is switched on (`testing::mutants`); in the program always `false`, at no cost.
#[cfg(any(test, feature = "testing"))]
macro_rules! planted {
    ($mutant:ident) => {
        crate::testing::mutants::is_on(crate::testing::mutants::Mutant::$mutant)
    };
}
#[cfg(not(any(test, feature = "testing")))]
macro_rules! planted {
    ($mutant:ident) => {
        false
    };
}

#[cfg(feature = "daemon")]
pub mod accounts;
pub mod act;
#[cfg(feature = "daemon")]
pub mod backend;
#[cfg(feature = "daemon")]
pub mod backup;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod clock;
pub mod compose;
#[cfg(feature = "daemon")]
pub mod confined;
pub mod controller;
pub mod desired;
#[cfg(feature = "daemon")]
pub mod drafts;
pub mod engine;
pub mod firewall;
pub mod folders;
mod fswatch;
#[cfg(feature = "daemon")]
pub mod gateway;
pub mod history;
#[cfg(feature = "daemon")]
pub mod log;
#[cfg(feature = "daemon")]
pub mod machine;
#[cfg(feature = "daemon")]
pub mod memory;
pub mod metrics;
pub mod model;
#[cfg(feature = "daemon")]
pub mod npm;
pub mod plan;
#[cfg(feature = "daemon")]
pub mod portal;
pub mod previews;
pub mod runtime;
#[cfg(feature = "daemon")]
pub mod serve;
pub mod service;
pub mod settings;
pub mod setup;
pub mod sockets;
pub mod store;
/// Worlds to prove things in; never part of the program (see `Cargo.toml`).
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
#[cfg(feature = "daemon")]
pub mod usage;
#[cfg(feature = "daemon")]
pub mod visits;
#[cfg(feature = "daemon")]
pub mod web_client;
