//! `paas stop APP…`.

use super::args;
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use crate::desired::Change;
use crate::model::RunState;

pub(super) async fn run(context: &mut Context, args: &args::Change) -> anyhow::Result<Exit> {
    let Some(apps) = chosen::apps(context, &args.chosen, "stop")? else { return Ok(Exit::Failed) };
    // `keepData` means something only beside `state: deleted`.
    let changes = |_: &mut Context, _: &_| {
        Ok((vec![Change::State(RunState::Stopped), Change::KeepData(None)], RunState::Stopped))
    };
    chosen::change(context, apps, args.wait, changes).await
}
