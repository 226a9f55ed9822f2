//! `paas user`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum User {
    /// Everybody who has an account or is invited
    #[command(after_help = "Examples:\n  paas user list")]
    List,
    /// Make a link with which somebody chooses a password; it works once, for seven days
    #[command(after_help = "\
The name is the userid of their apps: `alice` has `alice-diary` and sees no app of anybody else.

Examples:
  paas user invite alice
  paas user invite alice --admin")]
    Invite(InviteUser),
    /// Make a new link for somebody who has forgotten their password, or lost the link before
    #[command(after_help = "Examples:\n  paas user reset alice")]
    Reset(OneUser),
    /// Change what somebody may do, and how many apps they may have
    #[command(after_help = "\
What is left out stays. A role counts from their next request on. A quota refuses new apps; what they have beyond it stays.

Examples:
  paas user set alice --role admin
  paas user set alice --role member --max-apps 3
  paas user set alice --max-apps default")]
    Set(SetUser),
    /// Switch off the second step of somebody who has lost their phone and the recovery codes
    #[command(after_help = "\
Their password goes on. They switch it on again in the dashboard, with another phone.

Examples:
  paas user totp-off alice")]
    TotpOff(OneUser),
    /// Remove somebody, and say what becomes of their apps
    #[command(after_help = "\
The data of their apps stays in each case. Without --apps it asks, if there are apps.

Examples:
  paas user remove alice --apps keep")]
    Remove(RemoveUser),
}

#[derive(Debug, Args)]
pub struct InviteUser {
    /// Their name, for example `alice`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Let them run the server, too
    #[arg(long)]
    pub admin: bool,
    /// How many apps they may have, instead of `MAX_APPS_PER_USER`
    #[arg(long, value_name = "NUMBER")]
    pub max_apps: Option<u32>,
}

#[derive(Debug, Args)]
pub struct SetUser {
    /// Their name, for example `alice`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// `admin` runs the server, `member` has apps of their own
    #[arg(long, value_name = "ROLE", required_unless_present = "max_apps")]
    pub role: Option<RoleOfUser>,
    /// How many apps they may have, or `default` for `MAX_APPS_PER_USER`
    #[arg(long, value_name = "NUMBER", value_parser = quota)]
    pub max_apps: Option<Quota>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleOfUser {
    /// Runs the server
    Admin,
    /// Has apps of their own
    Member,
}

/// How many apps somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// As `MAX_APPS_PER_USER` says.
    Default,
    Own(u32),
}

fn quota(text: &str) -> Result<Quota, String> {
    match text {
        "default" => Ok(Quota::Default),
        number => {
            number.parse().map(Quota::Own).map_err(|_| "write a whole number, for example `3`, or `default`".to_owned())
        }
    }
}

#[derive(Debug, Args)]
pub struct OneUser {
    /// Their name, for example `alice`
    #[arg(value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, Args)]
pub struct RemoveUser {
    /// Their name, for example `alice`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What becomes of their apps
    #[arg(long, value_name = "WHAT")]
    pub apps: Option<AppsOfRemoved>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AppsOfRemoved {
    /// They go on
    Keep,
    /// They are stopped
    Stop,
    /// Their containers go, their data stays
    Delete,
}
