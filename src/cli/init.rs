//! `paas init`: what the daemon needs before its first start. Repeating it changes nothing.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use super::context::Context;
use super::exit::Exit;
use crate::accounts::{Accounts, FIRST_USER};
use crate::clock::SystemClock;
use crate::desired::marker;
use crate::model::Settings;
use crate::setup;
use crate::store::SqliteStore;

pub(super) async fn run(context: &mut Context) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
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
    let instance = setup::prepare(&settings, &store, setup::Asked::ByInit).await?;
    context.out.line(format_args!("{verb} {} (installation {instance})", path.display()))?;
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

/// As long as the portal's first password is in force. It is told here again to whoever has lost it.
async fn tell_first_word(context: &mut Context, settings: Settings, store: SqliteStore) -> anyhow::Result<()> {
    let url = settings.portal_url();
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

fn make(context: &mut Context, folder: &Path) -> anyhow::Result<()> {
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: check who owns the one above it", folder.display()))?;
    if !existed {
        context.out.line(format_args!("made {}", folder.display()))?;
    }
    Ok(())
}
