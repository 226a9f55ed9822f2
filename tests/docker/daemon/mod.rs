//! The whole daemon against a real Docker, from the operator's and the visitor's point of view. Each test has an
//! installation of its own (see [`fixture::Daemon`]); some stop and kill the engine, so they run one at a time.

mod browser;
mod by_hand;
mod crash;
mod crashing;
mod deletion;
mod described;
mod diagnosis;
mod direct;
mod disk;
mod drift;
mod engine;
mod everyday;
mod fixture;
mod http;
mod image;
mod isolation;
mod lifecycle;
mod manifests;
mod outage;
mod portal;
mod previews;
mod push;
mod restart;
mod restore;
mod settings;
mod sleep;
mod storm;
mod studio;
mod versions;
