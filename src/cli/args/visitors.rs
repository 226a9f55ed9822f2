//! `paas visitors`.

use clap::{Args, Subcommand, ValueEnum};

use super::Wait;

#[derive(Debug, Args)]
pub struct Visitors {
    /// The app, for example `alice-diary`
    #[arg(value_name = "APP")]
    pub app: String,
    /// Who may see the site
    #[arg(long, value_name = "WHO")]
    pub view: Option<Circle>,
    /// Who may change something in it
    #[arg(long, value_name = "WHO")]
    pub change: Option<Circle>,
    #[command(flatten)]
    pub wait: Wait,
    #[command(subcommand)]
    pub verb: Option<OfVisitors>,
}

/// A circle of visitors; each holds those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Circle {
    /// Everybody who knows the address
    Everyone,
    /// Whoever has an invitation link or the password, and the owner
    Guests,
    /// The owner, and admins
    Owner,
}

#[derive(Debug, Subcommand)]
pub enum OfVisitors {
    /// List the invitation links
    #[command(after_help = "Examples:\n  paas visitors alice-diary links")]
    Links,
    /// Make or take back an invitation link
    #[command(subcommand)]
    Link(Link),
    /// Set or take away the password with which guests come in
    #[command(subcommand)]
    Password(SitePassword),
    /// Everybody out, also the owner, who signs in anew; links and the password go on
    #[command(after_help = "Examples:\n  paas visitors alice-diary sign-out")]
    SignOut,
}

#[derive(Debug, Subcommand)]
pub enum Link {
    /// Make a link with which somebody is a guest of the site; it is shown once
    #[command(after_help = "\
Examples:
  paas visitors alice-diary link add grandmother
  paas visitors alice-diary link add grandmother --expires 30d")]
    Add(AddLink),
    /// Take a link back; whoever came in by it is out from the next request on
    #[command(after_help = "Examples:\n  paas visitors alice-diary link remove 3")]
    Remove(RemoveLink),
}

#[derive(Debug, Args)]
pub struct AddLink {
    /// Whom it is for, for example `grandmother`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long it is good, for example `30d`; without it, until it is taken back
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub expires: Option<u32>,
}

/// `30d`: days, as there is no link that is good for less.
fn days(text: &str) -> Result<u32, String> {
    text.strip_suffix('d')
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| "write whole days, for example `30d`".to_owned())
}

#[derive(Debug, Args)]
pub struct RemoveLink {
    /// Number of the link, as `paas visitors APP links` shows it
    #[arg(value_name = "ID")]
    pub id: i64,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum SitePassword {
    /// Set it: read from standard input, or asked for on a terminal; whoever came in by the one before is out
    #[command(after_help = "\
Examples:
  paas visitors alice-diary password set
  paas visitors alice-diary password set < password.txt")]
    Set,
    /// Take it away; whoever came in by it is out
    #[command(after_help = "Examples:\n  paas visitors alice-diary password clear")]
    Clear,
}
