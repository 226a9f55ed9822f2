//! `paas schema`.

use super::context::Context;
use super::exit::Exit;
use crate::desired::manifest_schema;

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    context.out.line(manifest_schema().trim_end())?;
    Ok(Exit::Done)
}
