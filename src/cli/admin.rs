//! `paas admin …`: what an operator does about the portal's users. Works on the database, so whether the daemon runs does
//! not matter: it looks there for every request.

use std::sync::Arc;

use anyhow::bail;
use tokio::sync::watch;

use super::args::{Admin, Format, ResetPassword};
use super::context::Context;
use super::exit::Exit;
use crate::accounts::Accounts;
use crate::clock::SystemClock;
use crate::store::SqliteStore;

pub(super) async fn run(context: &mut Context, command: &Admin) -> anyhow::Result<Exit> {
    match command {
        Admin::ResetPassword(args) => reset_password(context, args).await,
    }
}

/// Only the password goes to standard output, so that a script can take it from there.
async fn reset_password(context: &mut Context, args: &ResetPassword) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    if !settings.portal_db_path.exists() {
        bail!("{} was never set up: run `paas init` first", settings.root.display());
    }
    let store = SqliteStore::open(&settings.portal_db_path)?;
    let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
    let accounts = Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx);
    let reset = accounts.reset_password(&args.username).await?;
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
    if !reset.keys.is_empty() {
        let keys: Vec<String> = reset.keys.iter().map(|key| format!("{} ({}…)", key.name, key.prefix)).collect();
        context.err.note(format_args!(
            "API keys stay: {}; they work again once the password is changed, delete those you do not know",
            keys.join(", ")
        ));
    }
    Ok(Exit::Done)
}
