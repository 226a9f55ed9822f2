//! `paas git APP`: where an app's code is cloned from and pushed to.

use serde::Serialize;

use super::args::{Format, OneApp};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;

#[derive(Debug, Serialize)]
struct Address {
    address: String,
}

pub(super) fn run(context: &mut Context, args: &OneApp) -> anyhow::Result<Exit> {
    let settings = context.settings()?;
    let key = Manifests::new(settings).or_parsed(&args.app)?;
    let address = format!("{}/git/{}/{}.git", settings.portal_url().trim_end_matches('/'), key.user, key.app);
    match context.format(Format::Table) {
        Format::Table => {
            context.out.line(&address)?;
            context.out.line("")?;
            context.out.line(format!("  git clone {address}"))?;
            context.out.line("  git push                     what you have committed on `main` runs")?;
            context.out.line("")?;
            context.out.line(
                "Git asks for a name, which may be any, and for a password: an API key, made in the dashboard under",
            )?;
            context.out.line("\"My account\".")?;
        }
        other => context.out.value(other, &Address { address })?,
    }
    Ok(Exit::Done)
}
