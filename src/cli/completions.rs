//! `paas completions SHELL`.

use std::io::Write;

use clap::CommandFactory;

use super::args::{Cli, Completions};
use super::context::Context;
use super::exit::Exit;

pub(super) fn run(context: &mut Context, args: &Completions) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when the reader of its output leaves.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "paas", &mut script);
    context.out.write_all(&script)?;
    Ok(Exit::Done)
}
