//! `paas get APP`: the manifest as it is on disk; as JSON together with the app's status.

use serde::Serialize;

use super::args::{Format, OneApp};
use super::client::{ClientError, app_path};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::model::{AppKey, Manifest};
use crate::portal::view::AppView;

#[derive(Serialize)]
struct Whole {
    app: AppKey,
    manifest: Manifest,
    /// `null` while the daemon is not running or has not seen the app yet.
    status: Option<AppView>,
}

pub(super) async fn run(context: &mut Context, args: &OneApp) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.known(&args.app)?;
    if context.format(Format::Yaml) != Format::Json {
        context.out.foreign(&manifests.text(&key)?)?;
        return Ok(Exit::Done);
    }
    let manifest = manifests.manifest(&key)?;
    let status = match context.client()?.get::<AppView>(&app_path(&key, "")).await {
        Ok(view) => Some(view),
        Err(ClientError::NotRunning { .. }) => None,
        Err(error) if matches!(error.code(), Some("no-such-app" | "starting")) => None,
        Err(error) => return Err(error.into()),
    };
    context.out.value(Format::Json, &Whole { app: key, manifest, status })?;
    Ok(Exit::Done)
}
