//! `paas domains`.

use clap::{Args, Subcommand};

use super::Wait;

#[derive(Debug, Args)]
pub struct Domains {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    #[command(flatten)]
    pub wait: Wait,
    #[command(subcommand)]
    pub verb: Option<OfDomains>,
}

#[derive(Debug, Subcommand)]
pub enum OfDomains {
    /// Give the site another host name
    #[command(after_help = "Examples:\n  paas domains alice-diary add www.example.kr")]
    Add(OneDomain),
    /// Take a host name from the site
    #[command(after_help = "Examples:\n  paas domains alice-diary remove www.example.kr")]
    Remove(OneDomain),
}

#[derive(Debug, Args)]
pub struct OneDomain {
    /// The name, in any script, for example `www.example.kr`
    #[arg(value_name = "NAME")]
    pub name: String,
}
