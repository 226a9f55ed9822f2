//! `paas user …`: who may use the portal. Asks the daemon, which knows whose apps there are.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::bail;

use super::args::{AppsOfRemoved, Format, InviteUser, OneUser, Quota, RemoveUser, RoleOfUser, SetUser, User};
use super::context::Context;
use super::exit::Exit;
use super::output::{Err, table};
use crate::accounts::Role;
use crate::model::UserId;
use crate::portal::people::{
    AppsThen, InvitationLink, Invite, MaxApps, Patch, PersonState, PersonView, Remove, Removed,
};

pub(super) async fn run(context: &mut Context, command: &User) -> anyhow::Result<Exit> {
    match command {
        User::List => list(context).await,
        User::Invite(args) => invite(context, args).await,
        User::Reset(args) => reset(context, args).await,
        User::Set(args) => set(context, args).await,
        User::TotpOff(args) => totp_off(context, args).await,
        User::Remove(args) => remove(context, args).await,
    }
}

async fn list(context: &mut Context) -> anyhow::Result<Exit> {
    let people: Vec<PersonView> = context.client()?.get("/users").await?;
    match context.format(Format::Table) {
        Format::Table => {
            let mut rows = table(&["NAME", "ROLE", "STATE", "APPS"]);
            for person in people {
                let state = match (person.state, person.invited_until) {
                    (PersonState::Active, None) => "active",
                    (PersonState::Active | PersonState::MustChangePassword, Some(_)) => "has a link for a new password",
                    (PersonState::MustChangePassword, None) => "must change the password",
                    (PersonState::Invited, Some(_)) => "invited",
                    (PersonState::Invited, None) => "the invitation is over",
                };
                rows.add_row([
                    &person.name,
                    person.role.word(),
                    state,
                    &format!("{}/{}", person.apps.len(), person.apps_allowed),
                ]);
            }
            context.out.table(&rows)?;
        }
        format => context.out.value(format, &people)?,
    }
    Ok(Exit::Done)
}

async fn invite(context: &mut Context, args: &InviteUser) -> anyhow::Result<Exit> {
    let role = if args.admin { Role::Admin } else { Role::Member };
    let link =
        context.client()?.post("/users", &Invite { name: args.name.clone(), role, max_apps: args.max_apps }).await?;
    tell(context, &link)
}

async fn reset(context: &mut Context, args: &OneUser) -> anyhow::Result<Exit> {
    let path = format!("{}/invitation", path_of(&args.name)?);
    let link = context.client()?.post(&path, &serde_json::json!({})).await?;
    tell(context, &link)
}

/// Both in one request: nobody is an admin with the quota of a member in between.
async fn set(context: &mut Context, args: &SetUser) -> anyhow::Result<Exit> {
    let patch = Patch { role: args.role.map(Role::from), max_apps: args.max_apps.map(MaxApps::from) };
    let person: PersonView = context.client()?.patch(&path_of(&args.name)?, &patch).await?;
    match context.format(Format::Table) {
        Format::Table => {
            context.out.line(format_args!("`{}` is `{}`, with {}", person.name, person.role.word(), has(&person)))?;
        }
        format => context.out.value(format, &person)?,
    }
    Ok(Exit::Done)
}

fn has(person: &PersonView) -> String {
    let from = if person.max_apps.is_some() { "" } else { ", as MAX_APPS_PER_USER says" };
    format!("{} of {} apps{from}", person.apps.len(), person.apps_allowed)
}

async fn totp_off(context: &mut Context, args: &OneUser) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let path = path_of(&args.name)?;
    let before: PersonView = client.get(&path).await?;
    let person: PersonView = client.delete(&format!("{path}/totp"), &serde_json::json!({})).await?;
    match context.format(Format::Table) {
        Format::Table if before.second_step => {
            context.out.line(format_args!("`{}` signs in with the password alone now", person.name))?;
        }
        Format::Table => context.out.line(format_args!("`{}` had no second step", person.name))?,
        format => context.out.value(format, &person)?,
    }
    Ok(Exit::Done)
}

/// Only the link goes to standard output, so that a script can take it from there.
fn tell(context: &mut Context, link: &InvitationLink) -> anyhow::Result<Exit> {
    match context.format(Format::Table) {
        Format::Table => {
            context.err.note(format_args!("link for `{}`, shown only now; it works once, for seven days:", link.name));
            context.out.line(&link.url)?;
        }
        format => {
            let link = serde_json::json!({
                "name": link.name, "link": link.url, "token": link.token, "expiresAt": link.expires_at,
            });
            context.out.value(format, &link)?;
        }
    }
    Ok(Exit::Done)
}

async fn remove(context: &mut Context, args: &RemoveUser) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let path = path_of(&args.name)?;
    let person: PersonView = client.get(&path).await?;
    let apps = match (args.apps, person.apps.is_empty()) {
        (Some(apps), _) => apps.into(),
        (None, true) => AppsThen::Keep,
        (None, false) => ask(&mut context.err, &person)?,
    };
    let removed: Removed = client.delete(&path, &Remove { apps }).await?;
    match context.format(Format::Table) {
        Format::Table => {
            context.out.line(format_args!("`{}` is removed; sessions and API keys have ended", removed.name))?;
            let what = match apps {
                AppsThen::Keep => "goes on",
                AppsThen::Stop => "is stopped",
                AppsThen::Delete => "is deleted, its data stays",
            };
            for app in &removed.apps {
                context.out.line(format_args!("  {app} {what}"))?;
            }
            for failed in &removed.failed {
                context.err.warning(format_args!("{} is as it was: {}", failed.app, failed.reason));
            }
        }
        format => context.out.value(format, &removed)?,
    }
    Ok(if removed.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

fn ask(err: &mut Err, person: &PersonView) -> anyhow::Result<AppsThen> {
    let apps: Vec<String> = person.apps.iter().map(ToString::to_string).collect();
    let apps = apps.join(", ");
    if !io::stdin().is_terminal() {
        bail!(
            "`{}` has {apps}, and there is no terminal to ask: say what becomes of them with `--apps keep`, `--apps stop` or \
             `--apps delete` (their data stays)",
            person.name
        );
    }
    err.note(format_args!("`{}` has {apps}. What becomes of them? [keep/stop/delete]", person.name));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(match answer.trim() {
        "keep" => AppsThen::Keep,
        "stop" => AppsThen::Stop,
        "delete" => AppsThen::Delete,
        other => bail!("`{other}` is none of keep, stop and delete: nothing was done"),
    })
}

/// What is no name must not become another path.
fn path_of(name: &str) -> anyhow::Result<String> {
    Ok(format!("/users/{}", UserId::parse(name)?))
}

impl From<AppsOfRemoved> for AppsThen {
    fn from(apps: AppsOfRemoved) -> Self {
        match apps {
            AppsOfRemoved::Keep => Self::Keep,
            AppsOfRemoved::Stop => Self::Stop,
            AppsOfRemoved::Delete => Self::Delete,
        }
    }
}

impl From<Quota> for MaxApps {
    fn from(quota: Quota) -> Self {
        match quota {
            Quota::Default => Self(None),
            Quota::Own(most) => Self(Some(most)),
        }
    }
}

impl From<RoleOfUser> for Role {
    fn from(role: RoleOfUser) -> Self {
        match role {
            RoleOfUser::Admin => Self::Admin,
            RoleOfUser::Member => Self::Member,
        }
    }
}
