//! The hidden `paas man FOLDER`: a manual page for the program and for each of its commands, for packages.

use anyhow::Context as _;
use clap::CommandFactory;

use super::args::{Cli, Man};
use super::context::Context;
use super::exit::Exit;

/// `paas.1`, `paas-create.1` and so on. What is there under these names is replaced.
pub(super) fn run(context: &mut Context, args: &Man) -> anyhow::Result<Exit> {
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("cannot make {folder} for the manual pages"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("cannot write the manual pages into {folder}"))?;
    context.out.line(format_args!("manual pages: {folder}"))?;
    Ok(Exit::Done)
}
