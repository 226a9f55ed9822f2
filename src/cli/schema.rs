//! `paas schema`.

use super::context::Context;
use super::exit::Exit;
use super::manifests;

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    context.out.line(manifests::schema().trim_end())?;
    Ok(Exit::Done)
}
