//! `paas serve`.

use super::backend::Backend;
use super::context::Context;
use super::exit::Exit;

pub(super) fn run<B: Backend>(context: &Context, backend: &B) -> anyhow::Result<Exit> {
    backend.serve(context.source()?)?;
    Ok(Exit::Done)
}
