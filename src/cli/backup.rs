//! `paas backup APP`, `paas backup list`, `paas backup check`: what there is to go back to.

use std::time::Duration;

use comfy_table::{Cell, Color};

use super::args::{Backup as Args, CheckBackup, Format, OfBackup, OptionalApp};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::backup::{Backup, BackupId, Why};
use crate::model::{AppKey, Bytes};
use crate::portal::backups::{BackupDone, BackupsView};
use crate::portal::view::AppView;

/// How often it is asked whether one that takes longer is done.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Exit> {
    match (&args.command, &args.app) {
        (Some(OfBackup::List(args)), _) => list(context, args).await,
        (Some(OfBackup::Check(args)), _) => check(context, args).await,
        (None, Some(app)) => take(context, app).await,
        (None, None) => {
            anyhow::bail!("name an app; `paas backup list` lists all backups")
        }
    }
}

async fn take(context: &mut Context, app: &str) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(app)?;
    let before = view(context, &key).await?;
    let done: BackupDone = context.client()?.post(&app_path(&key, "/backups"), &serde_json::json!({})).await?;
    let backup = match done.backup {
        Some(backup) => backup,
        None => {
            wait(context, &key, |view| {
                let newest = view.backups.first().filter(|newest| before.backups.first() != Some(newest));
                (newest.cloned(), view.problem.clone().filter(|problem| before.problem.as_ref() != Some(problem)))
            })
            .await?
        }
    };
    tell(context, &key, &backup, "backed up")
}

async fn check(context: &mut Context, args: &CheckBackup) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let found = view(context, &key).await?;
    let wanted = match &args.backup {
        None => found.backups.first(),
        Some(text) => found.backups.iter().find(|backup| backup.id.as_str() == text),
    };
    let Some(wanted) = wanted else {
        anyhow::bail!("`{key}` has no such backup: `paas backup list {key}` lists those that there are")
    };
    let before = wanted.proof.as_ref().map(|proof| proof.at);
    let path = app_path(&key, &format!("/backups/{}/check", wanted.id));
    let done: BackupDone = context.client()?.post(&path, &serde_json::json!({})).await?;
    let backup = if let Some(backup) = done.backup {
        backup
    } else {
        let id = wanted.id.clone();
        wait(context, &key, move |view| (proven_anew(view, &id, before), None)).await?
    };
    if let Some(problem) = backup.proof.as_ref().and_then(|proof| proof.problem.as_deref()) {
        anyhow::bail!("{} of `{key}` cannot be restored: {}", backup.id, output::harmless(problem));
    }
    tell(context, &key, &backup, "can be restored")
}

fn proven_anew(view: &BackupsView, id: &BackupId, before: Option<crate::model::Timestamp>) -> Option<Backup> {
    let backup = view.backups.iter().find(|backup| backup.id == *id)?;
    let at = backup.proof.as_ref()?.at;
    (Some(at) != before).then(|| backup.clone())
}

/// One that takes longer than an answer goes on in the daemon.
async fn wait(
    context: &mut Context,
    key: &AppKey,
    done: impl Fn(&BackupsView) -> (Option<Backup>, Option<String>),
) -> anyhow::Result<Backup> {
    context.err.note("it takes a while and goes on by itself; Ctrl-C does not end it");
    loop {
        tokio::time::sleep(LOOK).await;
        match done(&view(context, key).await?) {
            (Some(backup), _) => return Ok(backup),
            (None, Some(problem)) => anyhow::bail!("{}", output::harmless(&problem)),
            (None, None) => {}
        }
    }
}

async fn view(context: &mut Context, key: &AppKey) -> anyhow::Result<BackupsView> {
    Ok(context.client()?.get(&app_path(key, "/backups")).await?)
}

fn tell(context: &mut Context, key: &AppKey, backup: &Backup, what: &str) -> anyhow::Result<Exit> {
    match context.format(Format::Table) {
        Format::Table => {
            let size = Bytes(backup.bytes.div_ceil(Bytes::KIB) * Bytes::KIB);
            context.out.line(format_args!("{key}: {what}, {} ({size})", backup.id))?;
        }
        other => context.out.value(other, backup)?,
    }
    Ok(Exit::Done)
}

async fn list(context: &mut Context, args: &OptionalApp) -> anyhow::Result<Exit> {
    let keys = if let Some(app) = &args.app {
        vec![Manifests::new(context.settings()?).or_parsed(app)?]
    } else {
        let apps: Vec<AppView> = context.client()?.get("/apps").await?;
        apps.into_iter().map(|app| app.status.app).collect()
    };
    let mut found = Vec::new();
    for key in keys {
        found.push((view(context, &key).await?, key));
    }
    match context.format(Format::Table) {
        Format::Table if found.iter().all(|(view, _)| view.backups.is_empty()) => {
            context.out.line("there is no backup yet")?;
        }
        Format::Table => {
            let mut table = output::table(&["APP", "BACKUP", "WHEN", "WHY", "SIZE", "PROVEN"]);
            for (view, key) in &found {
                for backup in &view.backups {
                    table.add_row([
                        Cell::new(key),
                        Cell::new(&backup.id),
                        Cell::new(output::local(backup.at)),
                        Cell::new(word(backup.why)),
                        Cell::new(Bytes(backup.bytes.div_ceil(Bytes::KIB) * Bytes::KIB)),
                        proven(backup),
                    ]);
                }
            }
            context.out.table(&table)?;
        }
        other => {
            let by_app: std::collections::BTreeMap<_, _> = found.iter().map(|(view, key)| (key, view)).collect();
            context.out.value(other, &by_app)?;
        }
    }
    for (view, key) in &found {
        if let Some(problem) = &view.problem {
            context.err.note(format_args!("{key}: {}", output::harmless(problem)));
        }
    }
    Ok(Exit::Done)
}

fn word(why: Why) -> &'static str {
    match why {
        Why::Schedule => "schedule",
        Why::Asked => "asked for",
        Why::Purge => "before a purge",
        Why::Restore => "before a restore",
    }
}

fn proven(backup: &Backup) -> Cell {
    match &backup.proof {
        None => Cell::new("not yet"),
        Some(proof) if proof.problem.is_none() => Cell::new(output::local(proof.at)).fg(Color::Green),
        Some(_) => Cell::new("broken").fg(Color::Red),
    }
}
