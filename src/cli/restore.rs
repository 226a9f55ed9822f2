//! `paas restore APP`: an app's data as it was in a backup, and back again.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{Format, RestoreApp};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::backup::{Backup, BackupId};
use crate::model::{AppKey, Restored, Timestamp};
use crate::portal::backups::BackupsView;
use crate::portal::restore::RestoreDone;
use crate::portal::view::{AppView, trouble};

/// How often it is asked whether one that takes longer is done.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &mut Context, args: &RestoreApp) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let before = app(context, &key).await?.status.restored;
    let path = if args.undo {
        "/restore/undo".to_owned()
    } else {
        let found: BackupsView = context.client()?.get(&app_path(&key, "/backups")).await?;
        let backup = choose(&key, &found.backups, args.at.as_deref(), &TimeZone::system())?;
        context.err.note(format_args!("{key}: back to {}", output::local(backup.at)));
        format!("/backups/{}/restore", backup.id)
    };
    let mut done: RestoreDone = context.client()?.post(&app_path(&key, &path), &json!({})).await?;
    if done.restored.is_none() {
        done = wait(context, &key, before.as_ref()).await?;
    }
    tell(context, &key, &done)
}

/// The newest that is not known to be broken, of that moment or before.
fn choose<'b>(key: &AppKey, backups: &'b [Backup], at: Option<&str>, zone: &TimeZone) -> anyhow::Result<&'b Backup> {
    let list = format!("`paas backup list {key}` lists those that there are");
    let mut sound = backups.iter().filter(|backup| !backup.is_broken());
    let found = match at {
        None => sound.next(),
        Some(text) if BackupId::parse(text).is_some() => backups.iter().find(|backup| backup.id.as_str() == text),
        Some(text) => {
            let Some(until) = moment(text, zone) else {
                anyhow::bail!(
                    "`{}` is no time: write a day (`2026-11-29`), a moment (`2026-11-29 14:30`), or a backup; {list}",
                    output::harmless(text)
                )
            };
            sound.find(|backup| backup.at <= until)
        }
    };
    found.ok_or_else(|| anyhow::anyhow!("`{key}` has no such backup: {list}"))
}

/// The end of a day, or the moment itself; by the host's clock unless it says otherwise.
fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let at = if let Ok(at) = text.parse::<jiff::Timestamp>() {
        at
    } else if text.len() == "2026-11-29".len() {
        let end = text.parse::<Date>().ok()?.at(23, 59, 59, 999_999_999);
        end.to_zoned(zone.clone()).ok()?.timestamp()
    } else {
        text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp()
    };
    Some(Timestamp(at.as_millisecond()))
}

/// One that takes longer than an answer goes on in the daemon.
async fn wait(context: &mut Context, key: &AppKey, before: Option<&Restored>) -> anyhow::Result<RestoreDone> {
    context.err.note("it takes a while and goes on by itself; Ctrl-C does not end it");
    loop {
        tokio::time::sleep(LOOK).await;
        let view: BackupsView = context.client()?.get(&app_path(key, "/backups")).await?;
        if let Some(problem) = view.restore_problem.filter(|_| !view.restoring) {
            anyhow::bail!("`{key}` could not be restored, and is as it was: {}", output::harmless(&problem));
        }
        let status = app(context, key).await?.status;
        if status.restored.as_ref() != before {
            let ready = status.is_ready();
            let reason = trouble(&status).filter(|_| !ready).map(|condition| condition.message.clone());
            return Ok(RestoreDone { restored: status.restored, ready, reason });
        }
    }
}

async fn app(context: &mut Context, key: &AppKey) -> anyhow::Result<AppView> {
    Ok(context.client()?.get(&app_path(key, "")).await?)
}

fn tell(context: &mut Context, key: &AppKey, done: &RestoreDone) -> anyhow::Result<Exit> {
    match context.format(Format::Table) {
        Format::Table => {
            let of = done.restored.as_ref().and_then(|restored| restored.restore.of);
            match of {
                Some(of) => context.out.line(format_args!("{key}: its data is that of {}", output::local(of)))?,
                None => context.out.line(format_args!("{key}: its data is back as it was before"))?,
            }
        }
        other => context.out.value(other, done)?,
    }
    if done.ready {
        context.err.note(format_args!("to take it back: `paas restore {key} --undo`"));
        return Ok(Exit::Done);
    }
    let reason = done.reason.as_deref().unwrap_or("the app is starting");
    anyhow::bail!(
        "`{key}` is not ready with it: {}. To take it back: `paas restore {key} --undo`",
        output::harmless(reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Proof, Why};

    fn backups() -> Vec<Backup> {
        ["2026-11-30T03:00:00.000Z", "2026-11-29T03:00:00.000Z", "2026-11-28T03:00:00.000Z"]
            .into_iter()
            .map(|at| {
                let at: Timestamp = at.parse().unwrap();
                Backup { id: BackupId::of(at), at, why: Why::Schedule, bytes: 1, proof: None }
            })
            .collect()
    }

    #[test]
    fn a_day_is_its_last_backup_and_a_moment_the_one_before_it_by_the_hosts_clock() {
        let key = AppKey::parse("alice-diary").unwrap();
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let chosen = |at: Option<&str>| {
            let chosen = choose(&key, &backups(), at, &zone).map(|backup| backup.id.to_string());
            chosen.unwrap_or_else(|error| error.to_string())
        };
        assert_eq!(chosen(None), "20261130T030000000Z");
        assert_eq!(chosen(Some("2026-11-29")), "20261129T030000000Z");
        assert_eq!(chosen(Some("2026-11-29 11:59")), "20261128T030000000Z");
        assert_eq!(chosen(Some("2026-11-29T12:00")), "20261129T030000000Z");
        assert_eq!(chosen(Some("2026-11-29T02:00:00Z")), "20261128T030000000Z");
        assert_eq!(chosen(Some("20261128T030000000Z")), "20261128T030000000Z");
        assert!(chosen(Some("2026-11-01")).contains("has no such backup: `paas backup list alice-diary`"));
        assert!(chosen(Some("yesterday")).contains("`yesterday` is no time: write a day"));
    }

    #[test]
    fn a_backup_that_is_broken_is_passed_over() {
        let key = AppKey::parse("alice-diary").unwrap();
        let mut backups = backups();
        let problem = Some("damaged".to_owned());
        backups[0].proof = Some(Proof { at: Timestamp(0), files: 0, bytes: 0, databases: 0, problem });
        assert_eq!(choose(&key, &backups, None, &TimeZone::UTC).unwrap().id, backups[1].id);
    }
}
