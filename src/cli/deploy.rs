//! `paas deploy APP`.

use super::args;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::wait::{self, Goal};
use crate::desired::{Change, ManifestDir};
use crate::model::RunState;

pub(super) async fn run(context: &mut Context, args: &args::Change) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.known(&args.app)?;
    let state = manifests.manifest(&key)?.state;
    match state {
        RunState::Running => {}
        RunState::Stopped => {
            context.err.note(format_args!("{key} is stopped: the new container comes with `paas start {key}`"));
        }
        RunState::Deleted => {
            anyhow::bail!("`{key}` is deleted, so there is nothing to deploy: bring it back with `paas start {key}`")
        }
    }
    let token = jiff::Timestamp::now().to_string();
    let client = context.client()?;
    let digest = manifests.edit(&client, &key, &[Change::Redeploy(token)]).await?;
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    wait::wait(context, Goal { key, digest, state, dir }, args.wait).await
}
