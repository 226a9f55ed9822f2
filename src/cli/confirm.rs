//! `paas confirm [TOKEN]`: the one command that speaks to the daemon to change something, since what it lets go on is a
//! removal that the files already ask for.

use super::args::{Confirm, Format};
use super::context::Context;
use super::exit::Exit;
use crate::model::DaemonStatus;
use crate::model::status::HeldRemoval;
use crate::portal::commands::{self, Confirmed};

pub(super) async fn run(context: &mut Context, args: &Confirm) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let Some(token) = &args.token else {
        let status: DaemonStatus = client.get("/status").await?;
        match context.format(Format::Table) {
            Format::Table => show(context, status.held.as_ref())?,
            other => context.out.value(other, &status.held)?,
        }
        return Ok(Exit::Done);
    };
    let confirmed: Confirmed = client.post("/confirm", &commands::Confirm { token: token.clone() }).await?;
    match context.format(Format::Table) {
        Format::Table => {
            let apps: Vec<String> = confirmed.apps.iter().map(ToString::to_string).collect();
            context
                .out
                .line(format_args!("confirmed: the containers of {} are removed, their data stays", apps.join(", ")))?;
        }
        other => context.out.value(other, &confirmed)?,
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, held: Option<&HeldRemoval>) -> anyhow::Result<()> {
    let Some(held) = held else {
        context.out.line("nothing is held")?;
        return Ok(());
    };
    context.out.line(&held.message)?;
    for app in &held.apps {
        context.out.line(format_args!("  {app}"))?;
    }
    context.out.line(format_args!("To let exactly this removal go on: paas confirm {}", held.token))?;
    context.out.line("To keep the apps: put their manifests back.")?;
    Ok(())
}
