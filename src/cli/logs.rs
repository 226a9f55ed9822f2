//! `paas logs APP [-f]`.

use super::args::{Format, Logs};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::portal::logs::{End, Line, Log};

pub(super) async fn run(context: &mut Context, args: &Logs) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.or_parsed(&args.app)?;
    let path = app_path(&key, &format!("/logs?lines={}", args.lines));
    if !args.follow {
        let log: Log = client.get(&path).await.map_err(|error| manifests.explain(&args.app, error))?;
        for line in &log.lines {
            print(context, line)?;
        }
        return Ok(Exit::Done);
    }
    let events = client.events(&format!("{path}&follow=1")).await;
    let mut events = events.map_err(|error| manifests.explain(&args.app, error))?;
    while let Some(event) = events.next().await? {
        match event.event.as_str() {
            "log" => print(context, &event.json()?)?,
            "end" => {
                let end: End = event.json()?;
                context.err.note(format_args!("{key}: {}", end.message));
                return Ok(Exit::Done);
            }
            _ => {}
        }
    }
    context.err.note(format_args!("{key}: the daemon stopped"));
    Ok(Exit::Done)
}

/// A line as it is, or one JSON object per line.
fn print(context: &mut Context, line: &Line) -> anyhow::Result<()> {
    match context.format(Format::Table) {
        Format::Json => context.out.json_line(line)?,
        Format::Table | Format::Yaml => context.out.foreign(&format!("{}\n", line.text))?,
    }
    Ok(())
}
