//! `paas delete APP [--purge]`.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use super::args;
use super::client::Client;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::names;
use super::wait::{self, Goal};
use crate::desired::{Change, ManifestDir};
use crate::model::manifest::Manifest;
use crate::model::{AppKey, Digest, RunState, Settings, TemplateId};

/// What a manifest names that only says that an app is to go: nothing is made from it, so it need not exist.
const TEMPLATE_OF_LEFTOVERS: &str = "diary-v1";

/// What there is to delete.
enum Target {
    /// An app with a manifest.
    Declared(AppKey),
    /// Data of an app whose manifest was removed earlier.
    LeftOver { key: AppKey, data: PathBuf },
}

pub(super) async fn run(context: &mut Context, args: &args::Delete) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let manifests = Manifests::new(&settings);
    let target = find(&manifests, &settings, args)?;
    if args.purge && !args.yes && !agreed(context, &settings, &target)? {
        context.err.note(format_args!("{}: nothing was changed", target.key()));
        return Ok(Exit::Failed);
    }
    let client = context.client()?;
    let digest = match &target {
        // Both in one write: the daemon must never see the deletion without the word about the data.
        Target::Declared(key) => {
            manifests
                .edit(
                    &client,
                    key,
                    &[Change::State(RunState::Deleted), Change::KeepData(Some(!args.purge)), Change::Version(None)],
                )
                .await?
        }
        Target::LeftOver { key, data } => ask_for_purge(context, &client, &manifests, key, data, &settings).await?,
    };
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    wait::wait(context, Goal { key: target.key().clone(), digest, state: RunState::Deleted, dir }, args.wait).await
}

impl Target {
    fn key(&self) -> &AppKey {
        match self {
            Self::Declared(key) | Self::LeftOver { key, .. } => key,
        }
    }
}

fn find(manifests: &Manifests, settings: &Settings, args: &args::Delete) -> anyhow::Result<Target> {
    let typed = &args.app;
    let known = manifests.keys()?;
    if let Some(key) = known.iter().find(|key| key.to_string() == *typed) {
        return Ok(Target::Declared(key.clone()));
    }
    let Ok(key) = AppKey::parse(typed) else { return Err(names::unknown_app(typed, &known)) };
    let data = settings.apps_dir.join(key.user.as_str()).join(key.app.as_str()).join("data");
    if !data.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return Err(names::unknown_app(typed, &known));
    }
    if !args.purge {
        anyhow::bail!(
            "`{key}` has no manifest any more, only its data is left in {}: `paas delete {key} --purge` moves it to trash",
            data.display()
        );
    }
    Ok(Target::LeftOver { key, data })
}

/// The daemon moves data for one reason only, a manifest that says so: writes one.
async fn ask_for_purge(
    context: &mut Context,
    client: &Client,
    manifests: &Manifests,
    key: &AppKey,
    data: &std::path::Path,
    settings: &Settings,
) -> anyhow::Result<Digest> {
    let manifest = Manifest {
        state: RunState::Deleted,
        keep_data: Some(false),
        ..Manifest::of(TemplateId::parse(TEMPLATE_OF_LEFTOVERS)?)
    };
    let (path, digest) = manifests.create(client, key, &manifest, || Ok(())).await?;
    context.err.note(format_args!(
        "{key} had no manifest any more: wrote {} with `state: deleted` and `keepData: false`, by which the daemon moves \
         {} to {}",
        path.display(),
        data.display(),
        settings.trash_dir().display()
    ));
    Ok(digest)
}

fn agreed(context: &mut Context, settings: &Settings, target: &Target) -> anyhow::Result<bool> {
    let key = target.key();
    if !io::stdin().is_terminal() {
        anyhow::bail!(
            "`--purge` gives up the data of `{key}` and there is no terminal to ask on: add --yes if that is meant"
        );
    }
    let what = match target {
        Target::Declared(_) => format!("This deletes {key} together with its data"),
        Target::LeftOver { data, .. } => {
            format!(
                "{key} has no manifest any more; this takes away what is left of it, its data in {}",
                data.display()
            )
        }
    };
    context.err.note(format_args!(
        "{what}.\nThe data is backed up, then moves to {} and stays there until you remove it.\nType the app's name to go \
         on:",
        settings.trash_dir().display()
    ));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == key.to_string())
}
