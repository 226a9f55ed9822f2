//! TLS on both sides: the client for other people's servers, and Debian's real nginx in front of the gateway, as Nginx Proxy Manager
//! is. The certificates are made here.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

mod authority;
mod client;
mod doctor;
mod front;
#[path = "../gateway_support/mod.rs"]
mod gateway_support;
mod nginx;
#[path = "../restart_support/mod.rs"]
mod restart_support;
