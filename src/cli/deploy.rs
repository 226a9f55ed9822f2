//! `paas deploy APP…` and `paas restart APP…`: both give an app a fresh container, the former with the code that is in `app/` now,
//! the latter with the version that runs.

use super::args;
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::desired::Change;
use crate::model::version::restarted;
use crate::model::{AppKey, RunState};

/// Whose code the fresh container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    Deploy,
    Restart,
}

impl Fresh {
    fn verb(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Restart => "restart",
        }
    }
}

pub(super) async fn run(context: &mut Context, args: &args::Change, fresh: Fresh) -> anyhow::Result<Exit> {
    let Some(mut apps) = chosen::apps(context, &args.chosen, fresh.verb())? else { return Ok(Exit::Failed) };
    if args.chosen.all {
        // Of all apps, those that run are meant.
        let manifests = Manifests::new(context.settings()?);
        apps.retain(|app| manifests.manifest(app).is_ok_and(|manifest| manifest.state == RunState::Running));
    }
    chosen::change(context, apps, args.wait, |context, key| fresh_container(context, key, fresh)).await
}

fn fresh_container(context: &mut Context, key: &AppKey, fresh: Fresh) -> anyhow::Result<(Vec<Change>, RunState)> {
    let manifest = Manifests::new(context.settings()?).manifest(key)?;
    let state = manifest.state;
    match state {
        RunState::Running => {}
        RunState::Stopped => {
            context.err.note(format_args!("{key} is stopped: the new container comes with `paas start {key}`"));
        }
        RunState::Deleted => {
            anyhow::bail!(
                "`{key}` is deleted, so there is nothing to {}: bring it back with `paas start {key}`",
                fresh.verb()
            )
        }
    }
    let now = jiff::Timestamp::now().to_string();
    let token = match fresh {
        Fresh::Deploy => now,
        Fresh::Restart => restarted(manifest.redeploy.as_deref(), &now),
    };
    Ok((vec![Change::Redeploy(token)], state))
}
