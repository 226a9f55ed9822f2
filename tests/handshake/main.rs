//! What `DockerEngine` makes of engines that are not at hand: other versions, and ones that misbehave. A small fake
//! socket plays them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is the point")]

mod answers;
mod fake;
mod following;
mod negotiation;
mod requests;
mod streams;
