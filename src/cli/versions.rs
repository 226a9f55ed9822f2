//! `paas versions APP` and `paas diff APP [A [B]]`: the history of an app's code.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Cell, Color};

use super::args::{self, Diff, Format, Rollback};
use super::chosen;
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::desired::Change;
use crate::history::{ChangeKind, Door, FileChange};
use crate::model::{AppKey, Bytes, CodeMode, VersionId};
use crate::portal::versions::{Difference, Versions};

/// Files that are named before the rest is counted.
const NAMED: usize = 3;

pub(super) async fn list(context: &mut Context, args: &args::Versions) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let found: Versions = context.client()?.get(&app_path(&key, "/versions")).await?;
    if let Some(file) = &args.archive {
        return save(context, &key, (args.version.as_deref(), file), &found).await;
    }
    match context.format(Format::Table) {
        Format::Table if found.versions.is_empty() => context.out.line("no version was taken yet")?,
        Format::Table => {
            let mut table = output::table(&["VERSION", "", "WHEN", "BY", "HOW", "CHANGED", "SIZE"]);
            for version in &found.versions {
                let runs = found.running.as_ref() == Some(&version.id);
                let mark = match (runs, version.healthy) {
                    (true, _) => Cell::new("runs").fg(Color::Green),
                    (false, true) => Cell::new(""),
                    (false, false) => Cell::new("never answered").fg(Color::Yellow),
                };
                table.add_row([
                    Cell::new(version.id.as_str()),
                    mark,
                    Cell::new(output::local(version.at)),
                    Cell::new(output::harmless(&version.by)),
                    Cell::new(how(version.door)),
                    Cell::new(output::harmless(&changed(&version.changes))),
                    Cell::new(size(version.bytes)),
                ]);
            }
            context.out.table(&table)?;
        }
        other => context.out.value(other, &found)?,
    }
    Ok(Exit::Done)
}

/// A half-written file never has the name.
async fn save(
    context: &mut Context,
    key: &AppKey,
    (typed, file): (Option<&str>, &Path),
    found: &Versions,
) -> anyhow::Result<Exit> {
    let version = match typed {
        Some(typed) => named(key, typed, found)?,
        None => found.running.clone().ok_or_else(|| {
            anyhow::anyhow!("`{key}` runs no version: write which one, of those that `paas versions {key}` lists")
        })?,
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write into {}: write another path", folder.display()))?;
    let to = written.reopen()?;
    context.client()?.download(&app_path(key, &format!("/versions/{version}/archive")), to).await?;
    written.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
    context.out.line(format_args!("{key}: version {version} is in {}", file.display()))?;
    Ok(Exit::Done)
}

fn how(door: Door) -> &'static str {
    match door {
        Door::Template => "created",
        Door::Deploy => "deployed",
        Door::Before => "found",
        Door::Saved => "kept",
        Door::Publish => "published",
        Door::Push => "pushed",
    }
}

fn size(bytes: u64) -> String {
    if bytes < Bytes::MIB {
        format!("{} KiB", bytes.div_ceil(Bytes::KIB))
    } else {
        format!("{} MiB", bytes / Bytes::MIB)
    }
}

fn changed(changes: &[FileChange]) -> String {
    let sign = |kind| match kind {
        ChangeKind::Added => '+',
        ChangeKind::Changed => '~',
        ChangeKind::Removed => '-',
    };
    let named = changes.iter().take(NAMED).map(|change| format!("{}{}", sign(change.kind), change.path));
    let mut text = named.collect::<Vec<_>>().join(" ");
    if changes.len() > NAMED {
        let _ = write!(text, " and {} more", changes.len() - NAMED);
    }
    text
}

pub(super) async fn rollback(context: &mut Context, args: &Rollback) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let found: Versions = context.client()?.get(&app_path(&key, "/versions")).await?;
    let version = match &args.version {
        Some(typed) => named(&key, typed, &found)?,
        None => before(&found).ok_or_else(|| {
            anyhow::anyhow!("`{key}` has no earlier version that has ever answered: `paas versions {key}` lists all")
        })?,
    };
    chosen::change(context, vec![key], args.wait, |context, key| {
        let manifest = Manifests::new(context.settings()?).manifest(key)?;
        if manifest.code == Some(CodeMode::Live) {
            anyhow::bail!("`{key}` runs its `app/` folder itself: remove `code: live` from its manifest first");
        }
        Ok((vec![Change::Version(Some(version.clone()))], manifest.state))
    })
    .await
}

/// The beginning of a version is enough, where it is that of one only.
pub(super) fn named(key: &AppKey, typed: &str, found: &Versions) -> anyhow::Result<VersionId> {
    let mut meant = found.versions.iter().map(|version| &version.id).filter(|id| id.as_str().starts_with(typed));
    match (meant.next(), meant.next()) {
        (Some(version), None) if !typed.is_empty() => Ok(version.clone()),
        (Some(_), Some(_)) => anyhow::bail!("several versions of `{key}` begin with `{typed}`: write more of it"),
        _ => anyhow::bail!("`{key}` has no version `{typed}`: `paas versions {key}` lists those that there are"),
    }
}

/// The newest that has answered, of those that are older than the one that runs.
pub(super) fn before(found: &Versions) -> Option<VersionId> {
    let running = found.versions.iter().position(|version| Some(&version.id) == found.running.as_ref());
    let older = found.versions.iter().skip(running.map_or(0, |place| place + 1));
    older.into_iter().find(|version| version.healthy).map(|version| version.id.clone())
}

pub(super) async fn diff(context: &mut Context, args: &Diff) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let query = match (&args.from, &args.to) {
        (None, _) => String::new(),
        (Some(from), None) => format!("?from={from}"),
        (Some(from), Some(to)) => format!("?from={from}&to={to}"),
    };
    let found: Difference = context.client()?.get(&app_path(&key, &format!("/diff{query}"))).await?;
    match context.format(Format::Table) {
        Format::Table if found.text.is_empty() => context.out.line("nothing differs")?,
        Format::Table => {
            for line in found.text.lines() {
                context.out.line(output::harmless(line))?;
            }
        }
        other => context.out.value(other, &found)?,
    }
    Ok(Exit::Done)
}
