//! `paas plan [APP]`: exit code 2 when something would be done.

use super::args::{Format, OptionalApp};
use super::backend::{Backend, Preview, PreviewStep};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;

pub(super) async fn run<B: Backend>(context: &mut Context, args: &OptionalApp, backend: &B) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let mut preview = backend.preview(&settings).await?;
    if let Some(typed) = &args.app {
        preview = of_app(preview, typed, &Manifests::new(&settings))?;
    }
    match context.format(Format::Table) {
        Format::Table => show(context, &preview)?,
        other => context.out.value(other, &preview)?,
    }
    Ok(if preview.steps.is_empty() { Exit::Done } else { Exit::Changes })
}

/// An app that has no manifest any more may still have steps.
fn of_app(preview: Preview, typed: &str, manifests: &Manifests) -> anyhow::Result<Preview> {
    let belongs = |step: &PreviewStep| step.app.as_ref().is_some_and(|app| app.to_string() == typed);
    let preview = Preview {
        steps: preview.steps.into_iter().filter(belongs).collect(),
        notes: preview.notes.into_iter().filter(belongs).collect(),
    };
    if preview.steps.is_empty() && preview.notes.is_empty() {
        manifests.known(typed)?;
    }
    Ok(preview)
}

fn show(context: &mut Context, preview: &Preview) -> anyhow::Result<()> {
    if preview.steps.is_empty() {
        context.out.line("nothing to do: the world equals the manifests")?;
    } else {
        rows(context, "WOULD DO", &preview.steps)?;
    }
    if !preview.notes.is_empty() {
        rows(context, "LEFT ALONE", &preview.notes)?;
    }
    Ok(())
}

fn rows(context: &mut Context, what: &str, steps: &[PreviewStep]) -> anyhow::Result<()> {
    let mut table = output::table(&["APP", what, "BECAUSE"]);
    for step in steps {
        let app = step.app.as_ref().map_or_else(|| "(all)".to_owned(), ToString::to_string);
        table.add_row([app, output::harmless(&step.action), output::harmless(&step.cause)]);
    }
    context.out.table(&table)?;
    Ok(())
}
