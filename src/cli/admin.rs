//! `paas admin …`: what an operator does about the portal's users. Works on the database, so whether the daemon runs does
//! not matter: it looks there for every request.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;

use tokio::sync::watch;

use super::args::{Admin, Format, ResetPassword, RevokeAll};
use super::context::Context;
use super::exit::Exit;
use super::manifests;
use super::output::Err;
use crate::accounts::{Accounts, ApiKey, Keys, Removed, Revoked};
use crate::clock::SystemClock;
use crate::store::SqliteStore;

pub(super) async fn run(context: &mut Context, command: &Admin) -> anyhow::Result<Exit> {
    match command {
        Admin::ResetPassword(args) => reset_password(context, args).await,
        Admin::Revoke(args) => revoke(context, args).await,
    }
}

fn accounts(context: &mut Context) -> anyhow::Result<Accounts> {
    let settings = context.settings()?.clone();
    if !settings.portal_db_path.exists() {
        return Err(manifests::no_database(&settings));
    }
    let store = SqliteStore::open(&settings.portal_db_path)?;
    // Nobody changes them while a command runs; the receiver keeps the last value.
    let (_, settings_rx) = watch::channel(Arc::new(settings));
    Ok(Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx))
}

/// Only the password goes to standard output, so that a script can take it from there.
async fn reset_password(context: &mut Context, args: &ResetPassword) -> anyhow::Result<Exit> {
    let accounts = accounts(context)?;
    let keys = match (args.revoke_all, args.keep) {
        (true, _) => Keys::RevokeAll,
        (false, true) => Keys::Keep,
        (false, false) => ask(&mut context.err, &accounts.keys_of(&args.username).await?)?,
    };
    let reset = accounts.reset_password(&args.username, keys).await?;
    match context.format(Format::Table) {
        Format::Table => {
            context.err.note(format_args!("password of `{}`, shown only now:", args.username));
            context.out.line(reset.password.reveal())?;
        }
        format => {
            let value = serde_json::json!({"username": args.username, "password": reset.password.reveal()});
            context.out.value(format, &value)?;
        }
    }
    context.err.note("it must be changed at the first login; every session of this user has ended");
    if reset.second_step == Removed::Something {
        context.err.note("the second step is off as well: the password alone opens until it is switched on again");
    }
    if !reset.keys.is_empty() {
        let names = names(&reset.keys);
        context.err.note(match keys {
            Keys::Keep => format!(
                "API keys stay: {names}; they work again once the password is changed, delete those you do not know or revoke \
                 all with `paas admin revoke`"
            ),
            Keys::RevokeAll => format!("API keys are revoked: {names}"),
        });
    }
    Ok(Exit::Done)
}

/// Who resets a forgotten password keeps the keys; who resets one that leaked does not. Only a person knows which.
fn ask(err: &mut Err, keys: &[ApiKey]) -> anyhow::Result<Keys> {
    if keys.is_empty() || !io::stdin().is_terminal() {
        return Ok(Keys::Keep);
    }
    err.note(format_args!("The API keys {} go on working. Revoke them all, too? [y/N]", names(keys)));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(if matches!(answer.trim(), "y" | "Y" | "yes") { Keys::RevokeAll } else { Keys::Keep })
}

fn names(keys: &[ApiKey]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("{} ({}…)", key.name, key.prefix)).collect();
    names.join(", ")
}

async fn revoke(context: &mut Context, args: &RevokeAll) -> anyhow::Result<Exit> {
    let revoked = accounts(context)?.revoke_all_of(&args.username).await?;
    let Revoked { sessions, keys } = revoked;
    match context.format(Format::Table) {
        Format::Table => context.out.line(format_args!(
            "`{}` is signed out everywhere; sessions ended: {sessions}, API keys revoked: {keys}",
            args.username
        ))?,
        format => context.out.value(format, &revoked)?,
    }
    Ok(Exit::Done)
}
