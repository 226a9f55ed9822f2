//! `paas init`: what the daemon needs before its first start. Repeating it changes nothing.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tokio::sync::watch;

use super::args::Yes;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::accounts::{Accounts, FIRST_USER};
use crate::clock::SystemClock;
use crate::desired::{manifest_schema, marker};
use crate::folders::{LockError, RootLock, write_atomic};
use crate::model::{AppKey, Settings};
use crate::setup;
use crate::store::{SqliteStore, Store as _};

const SCHEMA: &str = "manifest.schema.json";

pub(super) async fn run(context: &mut Context, args: &Yes) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    // Kept until the marker is there, so that no daemon begins meanwhile.
    let (_lock, gone) = match may_mark(context, &settings, args).await? {
        May::Mark => (None, BTreeSet::new()),
        May::MarkAndHold { lock, gone } => (Some(lock), gone),
        May::Not => return Ok(Exit::Failed),
    };
    let folders = [
        &settings.manifests_dir,
        &settings.apps_dir,
        &settings.templates_dir,
        &settings.runtime_dir(),
        &settings.trash_dir(),
        &settings.root.join("backups"),
        &settings.root.join("portal-data"),
    ];
    for folder in folders {
        make(context, folder)?;
    }
    let path = settings.manifests_dir.join(marker::FILE);
    let verb = if marker::read(&settings.manifests_dir).is_ok() { "kept" } else { "made" };
    // The installation's id is what its containers carry: a marker that was lost gets the same one again.
    let store = SqliteStore::open(&settings.portal_db_path)?;
    // Before the marker: from that on an absent manifest counts.
    hold(&store, &gone).await?;
    let instance = setup::prepare(&settings, &store, setup::Asked::ByInit).await?;
    context.out.line(format_args!("{verb} {} (installation {instance})", path.display()))?;
    if !gone.is_empty() {
        let gone: Vec<String> = gone.iter().map(ToString::to_string).collect();
        context.err.note(format_args!(
            "nothing is removed yet: {} stay until their removal is confirmed. With the daemon running, `paas confirm` shows \
             what would go and asks for it; put their manifests back to keep them",
            gone.join(", ")
        ));
    }
    write_schema(&settings.manifests_dir)?;
    let env_file = settings.root.join(".env");
    if !env_file.exists() {
        let file = env_file.display();
        context.out.line(format_args!(
            "settings: all defaults; to change one, write it into {file}, for example PAAS_DOMAIN=example.org"
        ))?;
    }
    if std::fs::read_dir(&settings.templates_dir).map_or(0, Iterator::count) == 0 {
        let folder = settings.templates_dir.display();
        context
            .err
            .warning(format_args!("{folder} is empty: copy the product's `templates/` there, or no app can be made"));
    }
    tell_first_word(context, settings, store).await?;
    context.out.line("next: `paas doctor`, then `paas serve`")?;
    Ok(Exit::Done)
}

enum May {
    /// No removal follows from the marker.
    Mark,
    /// These have no manifest. The lock keeps a daemon from beginning before they are held.
    MarkAndHold { lock: RootLock, gone: BTreeSet<AppKey> },
    /// The question was answered no.
    Not,
}

/// The next daemon finds them held, as after a mass deletion, however few they are.
async fn hold(store: &SqliteStore, gone: &BTreeSet<AppKey>) -> anyhow::Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut removals = store.removals().await?;
    removals.held.extend(gone.iter().cloned());
    // What somebody confirmed was confirmed of another folder.
    removals.confirmed.retain(|key| !gone.contains(key));
    Ok(store.set_removals(&removals).await?)
}

/// A new marker says "these manifests are all there are": every app that the inventory knows and that has none goes then, its
/// container removed and its code moved to trash. Nobody who only follows an advice shall bring that about unseen.
async fn may_mark(context: &mut Context, settings: &Settings, args: &Yes) -> anyhow::Result<May> {
    if !settings.portal_db_path.exists() {
        return Ok(May::Mark);
    }
    let store = SqliteStore::open(&settings.portal_db_path)?;
    if let (Some(stored), Ok(marked)) = (store.instance().await?, marker::read(&settings.manifests_dir))
        && stored == marked
    {
        return Ok(May::Mark);
    }
    let here = Manifests::new(settings).keys().unwrap_or_default();
    let rows = store.inventory().await?.into_iter();
    let gone: BTreeSet<AppKey> = rows.map(|row| row.key).filter(|key| !here.contains(key)).collect();
    if gone.is_empty() {
        return Ok(May::Mark);
    }
    let folder = settings.manifests_dir.display();
    let what = format!(
        "{folder} has no manifest of {} of the apps that this installation knows: {}. A new marker there says that they are to \
         go: once that is confirmed (`paas confirm`), their containers are removed and their code moves to trash; their data stays",
        gone.len(),
        gone.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    let remedy = "put the manifests back, or mount their disk";
    let lock = match RootLock::acquire(&settings.root) {
        Ok(lock) => lock,
        Err(LockError::Held { .. }) => {
            anyhow::bail!("{what}. {remedy}; if that is meant, stop the daemon first, then `paas init --yes`")
        }
        Err(error) => return Err(error.into()),
    };
    if args.yes {
        return Ok(May::MarkAndHold { lock, gone });
    }
    if !io::stdin().is_terminal() {
        anyhow::bail!("{what}. {remedy}; if that is meant, say so with `paas init --yes`");
    }
    context.err.note(format_args!("{what}.\nTo keep them: {remedy}.\nMake the marker all the same? [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(May::MarkAndHold { lock, gone });
    }
    context.err.note("nothing was changed");
    Ok(May::Not)
}

/// As long as the portal's first password is in force. It is told here again to whoever has lost it.
async fn tell_first_word(context: &mut Context, settings: Settings, store: SqliteStore) -> anyhow::Result<()> {
    let url = crate::gateway::portal_from_elsewhere(&settings);
    let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
    let accounts = Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx);
    if let Some(word) = accounts.first_word().await? {
        let word = word.reveal();
        context.out.line(format_args!(
            "portal: sign in as {FIRST_USER} / {FIRST_USER} and change that; from another machine it takes the first word {word}"
        ))?;
        context.out.line(format_args!("        {url}/first#{word}"))?;
    }
    Ok(())
}

/// Beside the manifests, where the first line of the examples points editors at it. Always that of this program.
fn write_schema(folder: &Path) -> anyhow::Result<()> {
    let schema = manifest_schema();
    if std::fs::read_to_string(folder.join(SCHEMA)).is_ok_and(|there| there == schema) {
        return Ok(());
    }
    Dir::open_ambient_dir(folder, ambient_authority())
        .and_then(|dir| write_atomic(&dir, SCHEMA, schema.as_bytes(), 0o644))
        .with_context(|| {
            format!("cannot write {}: check its permissions and the space on its disk", folder.join(SCHEMA).display())
        })
}

fn make(context: &mut Context, folder: &Path) -> anyhow::Result<()> {
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: check who owns the one above it", folder.display()))?;
    if !existed {
        context.out.line(format_args!("made {}", folder.display()))?;
    }
    Ok(())
}
