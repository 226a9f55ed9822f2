//! `paas templates`: what an app can be made from. Reads the folder, so that it works before the daemon's first start.

use comfy_table::{Cell, Color, Table};
use serde::Serialize;

use super::args::Format;
use super::context::Context;
use super::exit::Exit;
use super::output;
use crate::desired::templates;
use crate::model::{Settings, Shown, Template, TemplateId};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: TemplateId,
    name: String,
    description: String,
    supports_api: bool,
    /// Why no app can be made from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    let rows = rows(&context.settings()?.clone())?;
    match context.format(Format::Table) {
        Format::Table => context.out.table(&table(&rows))?,
        other => context.out.value(other, &rows)?,
    }
    Ok(Exit::Done)
}

/// The same as a text, for who has to choose one.
pub(super) fn listed(settings: &Settings) -> anyhow::Result<String> {
    let lines: Vec<String> = table(&rows(settings)?).lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(lines.join("\n"))
}

fn rows(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let folder = Shown::path(&settings.templates_dir).to_string();
    let found = templates::load(&settings.templates_dir).map_err(|error| {
        anyhow::anyhow!("the templates folder {folder} cannot be read ({error}): copy the product's `templates/` there")
    })?;
    if found.is_empty() {
        anyhow::bail!("{folder} has no templates: copy the product's `templates/` there");
    }
    let row = |(id, template): (TemplateId, Result<Template, String>)| match template {
        Ok(Template { id, name, description, supports_api, .. }) => {
            Row { id, name, description, supports_api, problem: None }
        }
        Err(problem) => {
            Row { name: id.to_string(), id, description: String::new(), supports_api: false, problem: Some(problem) }
        }
    };
    Ok(found.into_iter().map(row).collect())
}

fn table(rows: &[Row]) -> Table {
    let mut table = output::table(&["TEMPLATE", "NAME", "API", "DESCRIPTION"]);
    for row in rows {
        let api = if row.supports_api { "yes" } else { "no" };
        let about = match &row.problem {
            Some(problem) => Cell::new(output::harmless(problem)).fg(Color::Red),
            None => Cell::new(output::harmless(&row.description)),
        };
        table.add_row([Cell::new(&row.id), Cell::new(output::harmless(&row.name)), Cell::new(api), about]);
    }
    table
}
