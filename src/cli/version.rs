//! `paas version`: this program's, and the running daemon's, which may be an older one.

use serde::Serialize;

use super::args::Format;
use super::client::Client;
use super::context::Context;
use super::exit::Exit;
use super::output;
use crate::model::DaemonStatus;

#[derive(Serialize)]
struct Versions {
    program: &'static str,
    /// `null` where none runs, or none that may be asked.
    daemon: Option<String>,
}

pub(super) async fn run(context: &mut Context) -> anyhow::Result<Exit> {
    // A bad line in the settings is no reason not to tell a version.
    let daemon = match context.settings_quietly() {
        Ok(settings) => Client::new(settings.socket_path()).get::<DaemonStatus>("/status").await.ok(),
        Err(_) => None,
    };
    let versions = Versions { program: env!("CARGO_PKG_VERSION"), daemon: daemon.map(|status| status.version) };
    match context.format(Format::Table) {
        Format::Table => {
            context.out.line(format_args!("paas {}", versions.program))?;
            match &versions.daemon {
                Some(daemon) if daemon == versions.program => {}
                Some(daemon) => {
                    let daemon = output::harmless(daemon);
                    context.out.line(format_args!("the running daemon is {daemon}: restart it to take this one up"))?;
                }
                None => context.out.line("no daemon is running")?,
            }
        }
        other => context.out.value(other, &versions)?,
    }
    Ok(Exit::Done)
}
