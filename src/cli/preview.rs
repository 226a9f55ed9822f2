//! `paas preview APP [VERSION] [--stop]`: a look at a version before others see it.

use std::time::Duration;

use tokio::time::Instant;

use super::args::{Format, Preview};
use super::client::{Client, ClientError, app_path};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::{output, versions};
use crate::model::AppKey;
use crate::model::preview::PreviewState;
use crate::portal::previews::{PreviewEnded, PreviewView, StartPreview};
use crate::portal::versions::Versions;

const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// Longer than copying data, and an app's start, may take.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) async fn run(context: &mut Context, args: &Preview) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    let (client, path) = (context.client()?, app_path(&key, "/preview"));
    if args.stop {
        let ended: PreviewEnded = client.delete(&path, &serde_json::json!({})).await?;
        match context.format(Format::Table) {
            Format::Table if ended.ended => context.out.line(format!("the preview of {key} is taken away"))?,
            Format::Table => context.out.line(format!("nothing of {key} is looked at"))?,
            other => context.out.value(other, &ended)?,
        }
        return Ok(Exit::Done);
    }
    let found: Versions = client.get(&app_path(&key, "/versions")).await?;
    let version = match &args.version {
        Some(typed) => versions::named(&key, typed, &found)?,
        None => versions::before(&found).ok_or_else(|| {
            anyhow::anyhow!("`{key}` has no earlier version that has ever answered: `paas versions {key}` lists all")
        })?,
    };
    let begun: PreviewView = client.post(&path, &StartPreview { version }).await?;
    let view = wait(&client, &path, begun).await?;
    tell(context, &key, &view)
}

/// Until it is there or cannot be.
async fn wait(client: &Client, path: &str, first: PreviewView) -> Result<PreviewView, ClientError> {
    let (since, mut view) = (Instant::now(), first);
    while matches!(view.state, PreviewState::Preparing | PreviewState::Starting) && since.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK_AGAIN).await;
        view = client.get(path).await?;
    }
    Ok(view)
}

fn tell(context: &mut Context, key: &AppKey, view: &PreviewView) -> anyhow::Result<Exit> {
    match context.format(Format::Table) {
        Format::Table if view.state == PreviewState::Ready => {
            context.out.line(&view.url)?;
            let until = output::local(view.until);
            context.out.line(format!(
                "for its owner only, on a copy of the data, until {until}; each visit puts that off by a quarter of an hour"
            ))?;
        }
        Format::Table => {}
        other => context.out.value(other, view)?,
    }
    if view.state == PreviewState::Ready {
        return Ok(Exit::Done);
    }
    let why = view.reason.as_deref().unwrap_or("it is not there yet: run the same once more");
    context.err.warning(format_args!("{key}: {}", output::harmless(why)));
    for line in &view.log {
        context.err.note(line);
    }
    Ok(Exit::NotYet)
}
