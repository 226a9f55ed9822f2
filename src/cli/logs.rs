//! `paas logs APP [-f]` and `paas logs --image`.

use super::args::{Format, Logs};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::portal::image::BuildLogView;
use crate::portal::logs::{End, Line, Log};

pub(super) async fn run(context: &mut Context, args: &Logs) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let Some(name) = &args.app else { return image(context, args.lines).await };
    let manifests = Manifests::new(context.settings()?);
    let key = manifests.or_parsed(name)?;
    let path = app_path(&key, &format!("/logs?lines={}", args.lines));
    if !args.follow {
        let log: Log = client.get(&path).await.map_err(|error| manifests.explain(name, error))?;
        for line in &log.lines {
            print(context, line)?;
        }
        return Ok(Exit::Done);
    }
    let events = client.events(&format!("{path}&follow=1")).await;
    let mut events = events.map_err(|error| manifests.explain(name, error))?;
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

/// How the runtime image came to be.
async fn image(context: &mut Context, lines: u32) -> anyhow::Result<Exit> {
    let log: BuildLogView = context.client()?.get("/image-log").await?;
    let Some(at) = log.at else {
        context.err.note(format_args!("this installation has built no image yet"));
        return Ok(Exit::Done);
    };
    let last = log.lines.len().saturating_sub(lines as usize);
    match context.format(Format::Table) {
        Format::Json => context.out.json_line(&BuildLogView { at: Some(at), lines: log.lines[last..].to_vec() })?,
        Format::Table | Format::Yaml => {
            context.err.note(format_args!("built at {at}"));
            for line in &log.lines[last..] {
                context.out.foreign(&format!("{line}\n"))?;
            }
        }
    }
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
