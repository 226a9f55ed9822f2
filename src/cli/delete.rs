//! `paas delete APP [--purge]`.

use std::io::{self, BufRead, IsTerminal};

use super::args;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::wait::{self, Goal};
use crate::desired::Change;
use crate::model::{AppKey, RunState};

pub(super) async fn run(context: &mut Context, args: &args::Delete) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.known(&args.app)?;
    if args.purge && !args.yes && !agreed(context, &key)? {
        context.err.note(format_args!("{key}: nothing was changed"));
        return Ok(Exit::Failed);
    }
    // Both in one write: the daemon must never see the deletion without the word about the data.
    let keep = Some(!args.purge);
    let digest = manifests.edit(&key, &[Change::State(RunState::Deleted), Change::KeepData(keep)])?;
    wait::wait(context, Goal { key, digest, state: RunState::Deleted }, args.wait).await
}

fn agreed(context: &mut Context, key: &AppKey) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        anyhow::bail!(
            "`--purge` gives up the data of `{key}` and there is no terminal to ask on: add --yes if that is meant"
        );
    }
    context.err.note(format_args!(
        "This deletes {key} together with its data (a backup goes to trash and is kept for a while).\nType the app's name to go on:"
    ));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == key.to_string())
}
