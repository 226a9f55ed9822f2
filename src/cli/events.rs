//! `paas events [APP]`.

use comfy_table::{Cell, Color};

use super::args::{Events, Format};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::model::{Event, EventKind};

pub(super) async fn run(context: &mut Context, args: &Events) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let limit = format!("limit={}", args.lines);
    let path = match &args.app {
        Some(typed) => {
            let key = Manifests::new(context.settings()?).or_parsed(typed)?;
            app_path(&key, &format!("/events?{limit}"))
        }
        None => format!("/events/log?{limit}"),
    };
    let mut events: Vec<Event> = client.get(&path).await?;
    // By time: who changed a file may be written down after what came of it.
    events.reverse();
    events.sort_by_key(|event| event.at);
    match context.format(Format::Table) {
        Format::Table if events.is_empty() => context.out.line("nothing was done yet")?,
        Format::Table => {
            let mut table = output::table(&["WHEN", "APP", "WHAT", "WHY"]);
            for event in &events {
                table.add_row(row(event));
            }
            context.out.table(&table)?;
        }
        other => context.out.value(other, &events)?,
    }
    Ok(Exit::Done)
}

fn row(event: &Event) -> [Cell; 4] {
    let app = event.app.as_ref().map_or_else(|| "(daemon)".to_owned(), ToString::to_string);
    let what = Cell::new(output::harmless(&event.what));
    let what = match event.kind {
        EventKind::Done => what,
        EventKind::Failed => what.fg(Color::Red),
        EventKind::Noticed => what.fg(Color::Yellow),
        EventKind::Changed => what.fg(Color::Cyan),
    };
    [Cell::new(output::local(event.at)), Cell::new(app), what, Cell::new(output::harmless(&event.cause.0))]
}
