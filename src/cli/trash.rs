//! `paas trash list|restore`: what was deleted, and how it comes back.
//!
//! It works on the folders itself, on apps that do not run: nobody else touches those.

use comfy_table::Cell;

use super::args::{Format, Restore, Trash};
use super::client::{Client, app_path};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::{names, output};
use crate::folders::{DiskFolders, Folders as _, Part, Restored, Trashed};
use crate::model::{AppKey, RunState, Settings, TemplateId};
use crate::portal::view::AppView;

pub(super) async fn run(context: &mut Context, command: &Trash) -> anyhow::Result<Exit> {
    match command {
        Trash::List(args) => {
            let only = args.app.as_deref().map(AppKey::parse).transpose()?;
            list(context, only.as_ref()).await
        }
        Trash::Restore(args) => restore(context, args).await,
    }
}

async fn list(context: &mut Context, only: Option<&AppKey>) -> anyhow::Result<Exit> {
    let mut found = DiskFolders::of(&context.settings()?.clone())?.trashed().await?;
    found.retain(|trashed| only.is_none_or(|only| trashed.note.app == *only));
    match context.format(Format::Table) {
        Format::Table if found.is_empty() => context.out.line("there is nothing in the trash")?,
        Format::Table => {
            let mut table = output::table(&["APP", "WHAT", "DELETED", "ENTRY"]);
            for Trashed { entry, note } in &found {
                table.add_row([
                    Cell::new(&note.app),
                    Cell::new(word(note.what)),
                    Cell::new(output::local(note.at)),
                    Cell::new(output::harmless(entry)),
                ]);
            }
            context.out.table(&table)?;
        }
        other => context.out.value(other, &found)?,
    }
    Ok(Exit::Done)
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Code => "code",
        Part::Data => "data",
    }
}

async fn restore(context: &mut Context, args: &Restore) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let folders = DiskFolders::of(&settings)?;
    let found = folders.trashed().await?;
    let Some(trashed) = found.iter().find(|trashed| trashed.entry == args.entry) else {
        match names::closest(&args.entry, found.iter().map(|trashed| trashed.entry.as_str())) {
            Some(meant) => anyhow::bail!("there is no `{}` in the trash: did you mean `{meant}`?", args.entry),
            None => anyhow::bail!("there is no `{}` in the trash: `paas trash list` lists what is there", args.entry),
        }
    };
    let app = &trashed.note.app;
    refuse_running(&settings, &context.client()?, app).await?;
    let restored = folders.restore(trashed).await?;
    let what = word(trashed.note.what);
    context.out.line(format_args!("{app}: its {what} of {} is back", output::local(trashed.note.at)))?;
    if restored == Restored::Exchanged {
        context.out.line(format_args!("what was there is in the trash instead, as {}", trashed.entry))?;
    }
    if Manifests::new(&settings).keys()?.contains(app) {
        context.err.note(format_args!("next: `paas start {app}`"));
    } else {
        context
            .err
            .note(format_args!("{app} has no manifest: `paas create {app}` makes one, of the template that it had"));
    }
    Ok(Exit::Done)
}

/// The code of its own that an app begins with when it is made again of this template.
pub(super) async fn what_comes_back(
    folders: &DiskFolders,
    app: &AppKey,
    template: &TemplateId,
) -> anyhow::Result<Option<Trashed>> {
    if folders.code_dir(app).exists() {
        return Ok(None);
    }
    let found = folders.trashed().await?;
    Ok(found.into_iter().rfind(|trashed| trashed.note.is_code_of(app, template)))
}

pub(super) fn tell_back(context: &mut Context, trashed: &Trashed) {
    let (app, at) = (&trashed.note.app, output::local(trashed.note.at));
    context.err.note(format_args!("{app}: its own code of {at} comes back from the trash"));
}

/// The newest code of an app in the trash.
pub(super) async fn newest_code(folders: &DiskFolders, app: &AppKey) -> anyhow::Result<Option<Trashed>> {
    let found = folders.trashed().await?;
    Ok(found.into_iter().rfind(|trashed| trashed.note.app == *app && trashed.note.what == Part::Code))
}

/// A container goes on with the folders that it has mounted, and writes into what lies in the trash by then.
async fn refuse_running(settings: &Settings, client: &Client, app: &AppKey) -> anyhow::Result<()> {
    let manifests = Manifests::new(settings);
    let wanted = manifests.keys()?.contains(app)
        && manifests.manifest(app).map_or(true, |manifest| manifest.state == RunState::Running);
    let has_container = match client.get::<AppView>(&app_path(app, "")).await {
        Ok(view) => view.status.started_at.is_some() && view.status.health != crate::model::Health::Stopped,
        // Without a daemon only the manifest tells.
        Err(_) => false,
    };
    if wanted || has_container {
        anyhow::bail!("`{app}` is running: `paas stop {app}` first, then this again");
    }
    Ok(())
}
