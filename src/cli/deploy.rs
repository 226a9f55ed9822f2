//! `paas deploy APP…` and `paas restart APP…`: both give an app a fresh container, the former with the code that is in `app/` now,
//! the latter with the version that runs.

use super::args;
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::desired::Change;
use crate::model::version::restarted;
use crate::model::{AppKey, ConditionKind, RunState};
use crate::portal::view::AppView;

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
    if fresh == Fresh::Restart {
        let given_up = given_up(context).await;
        for app in apps.extract_if(.., |app| given_up.contains(app)) {
            if !args.chosen.all {
                anyhow::bail!("{}", not_restarted(&app));
            }
            context.err.note(not_restarted(&app));
        }
    }
    if args.chosen.all {
        // Of all apps, those that run are meant.
        let manifests = Manifests::new(context.settings()?);
        apps.retain(|app| manifests.manifest(app).is_ok_and(|manifest| manifest.state == RunState::Running));
    }
    chosen::change(context, apps, args.wait, |context, key| fresh_container(context, key, fresh)).await
}

/// The apps whose last change was not taken over. Nobody knows without the daemon.
async fn given_up(context: &mut Context) -> Vec<AppKey> {
    let Ok(client) = context.client() else { return Vec::new() };
    let apps: Vec<AppView> = client.get("/apps").await.unwrap_or_default();
    let failed =
        |app: &AppView| app.status.condition(ConditionKind::DeployFailed).is_some_and(|condition| condition.status);
    apps.into_iter().filter(failed).map(|app| app.status.app).collect()
}

/// The manifest asks for what was given up: whatever a restart adds to it would try that again, and not what serves.
fn not_restarted(app: &AppKey) -> String {
    format!(
        "the last change of `{app}` was not taken over (see `paas status {app}`), and a restart would only try it again: the previous \
         version goes on serving. Repair the change, then `paas deploy {app}`"
    )
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
    let changes = match fresh {
        // What is deployed is `app/`, also where the manifest had gone back to an earlier version.
        Fresh::Deploy => vec![Change::Redeploy(now), Change::Version(None)],
        Fresh::Restart => vec![Change::Redeploy(restarted(manifest.redeploy.as_deref(), &now))],
    };
    Ok((changes, state))
}
