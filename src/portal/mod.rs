//! The door to the daemon for people and programs: the status, the logs, the event log and a few commands as HTTP.
//!
//! [`router`] knows neither a socket nor who is asking. A door puts it behind its own rule: [`unix`] serves the daemon's
//! own user without a password; the portal's TCP door puts authentication in front of the same router.
//!
//! **Architecture invariants:** nothing here talks to Docker, decides anything, or keeps state of its own. What changes an
//! app writes its manifest and then watches; a command only marks keys dirty in the controller or confirms what it holds.
//!
//! # Guarantees
//! - Every answer is JSON in one of two shapes (see [`envelope`]), 404 and 405 included; streams are server-sent events. Only a
//!   browser that goes to an address reads refusals as a page.
//! - Nothing is buffered for a slow reader: changes of the status coalesce, logs wait at their source, and a reader that
//!   takes nothing for a while is dropped by the door ([`stall`]).

pub mod addresses;
pub mod answer;
pub mod apps;
pub mod auth;
pub mod backups;
pub mod caller;
pub mod changes;
pub mod code;
pub mod commands;
pub mod connection;
mod cookie;
pub mod create;
pub mod describe;
mod docs;
pub mod domains;
mod door;
pub mod drafts;
pub mod edits;
pub mod envelope;
pub mod events;
pub mod extract;
pub mod follow;
mod frame;
mod friendly;
pub mod git;
pub mod health;
mod host;
pub mod image;
pub mod keys;
pub mod leads;
pub mod logs;
mod malformed;
pub mod manifest;
mod metrics;
pub mod names;
pub mod npm;
mod pages;
pub mod people;
pub mod plan;
pub mod previews;
pub mod publish;
mod refuse;
pub mod rest;
pub mod restore;
pub mod room;
pub mod router;
pub mod rule;
mod seat;
pub mod settings;
mod site_gate;
pub mod sse;
mod state;
pub mod tcp;
pub mod templates;
pub mod totp;
pub mod traffic;
pub mod unix;
pub mod upload;
pub mod usage;
pub mod versions;
pub mod view;
pub mod visitors;
pub mod visits;

pub use caller::{Caller, Member, Peer, Person, Presented};
pub use envelope::ApiError;
pub use router::router;
pub use rule::Rule;
pub use site_gate::SiteGate;
pub use state::{EventReader, PortalState};
pub use tcp::TcpDoor;
pub use unix::{BindError, UnixDoor};
