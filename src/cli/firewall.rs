//! `paas firewall`: the rules as text. The program changes no firewall itself.

use super::context::Context;
use super::exit::Exit;
use crate::firewall::rules;

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    context.out.line(rules().trim_end())?;
    Ok(Exit::Done)
}
