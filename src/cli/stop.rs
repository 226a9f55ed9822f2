//! `paas stop APP`.

use super::args;
use super::context::Context;
use super::exit::Exit;
use super::manifests::{Edit, Manifests};
use super::wait::{self, Goal};
use crate::model::RunState;

pub(super) async fn run(context: &mut Context, args: &args::Change) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.known(&args.app)?;
    let written = manifests.edit(&key, &[Edit::State(RunState::Stopped), Edit::NoKeepData])?;
    wait::wait(context, Goal { key, digest: written.digest, state: RunState::Stopped }, args.wait).await
}
