//! `paas start APP`.

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
    // `keepData` means something only beside `state: deleted`.
    let client = context.client()?;
    let digest = manifests.edit(&client, &key, &[Change::State(RunState::Running), Change::KeepData(None)]).await?;
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    wait::wait(context, Goal { key, digest, state: RunState::Running, dir }, args.wait).await
}
