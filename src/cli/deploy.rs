//! `paas deploy APP…`, and `paas restart APP…`, which people reach for: both give an app a fresh container.

use super::args;
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::desired::Change;
use crate::model::{AppKey, RunState};

pub(super) async fn run(context: &mut Context, args: &args::Change, verb: &str) -> anyhow::Result<Exit> {
    let Some(mut apps) = chosen::apps(context, &args.chosen, verb)? else { return Ok(Exit::Failed) };
    if args.chosen.all {
        // Of all apps, those that run are meant.
        let manifests = Manifests::new(context.settings()?);
        apps.retain(|app| manifests.manifest(app).is_ok_and(|manifest| manifest.state == RunState::Running));
    }
    chosen::change(context, apps, args.wait, |context, key| fresh_container(context, key, verb)).await
}

fn fresh_container(context: &mut Context, key: &AppKey, verb: &str) -> anyhow::Result<(Vec<Change>, RunState)> {
    let state = Manifests::new(context.settings()?).manifest(key)?.state;
    match state {
        RunState::Running => {}
        RunState::Stopped => {
            context.err.note(format_args!("{key} is stopped: the new container comes with `paas start {key}`"));
        }
        RunState::Deleted => {
            anyhow::bail!("`{key}` is deleted, so there is nothing to {verb}: bring it back with `paas start {key}`")
        }
    }
    Ok((vec![Change::Redeploy(jiff::Timestamp::now().to_string())], state))
}
