//! `paas validate [FILES|-]`: exit code 1 when one of them is refused.

use std::io::Read;
use std::path::Path;

use owo_colors::OwoColorize;
use serde::Serialize;

use super::args::{Format, Validate};
use super::context::Context;
use super::diagnostic::Caret;
use super::exit::Exit;
use super::manifests::{self, Manifests, Naming};
use crate::desired::{self, Diagnostic};

#[derive(Serialize)]
struct Report {
    path: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Diagnostic>,
}

pub(super) fn run(context: &mut Context, args: &Validate) -> anyhow::Result<Exit> {
    let files = if args.files.is_empty() { Manifests::new(context.settings()?).files()? } else { args.files.clone() };
    let format = context.format(Format::Table);
    let mut reports = Vec::new();
    for path in &files {
        let shown = path.display().to_string();
        let checked = if path == Path::new("-") { Some(check_stdin()?) } else { check_file(path) };
        let Some((source, result)) = checked else {
            if format == Format::Table {
                context.err.note(format_args!("{shown}: skipped, it is no manifest"));
            }
            continue;
        };
        if let (Format::Table, Err(diagnostic)) = (format, &result) {
            context.out.line(Caret { path: &shown, source: &source, diagnostic })?;
        }
        reports.push(Report { path: shown, ok: result.is_ok(), problem: result.err() });
    }
    let bad = reports.iter().filter(|report| !report.ok).count();
    match format {
        Format::Table if bad == 0 => context.out.line(format_args!("{}: {}", plural(reports.len()), "ok".green()))?,
        Format::Table => context.err.note(format_args!("{bad} of {} refused", plural(reports.len()))),
        other => context.out.value(other, &reports)?,
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

fn plural(count: usize) -> String {
    if count == 1 { "1 manifest".to_owned() } else { format!("{count} manifests") }
}

type Checked = (String, Result<(), Diagnostic>);

fn check_stdin() -> anyhow::Result<Checked> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(manifests::MAX_READ).read_to_end(&mut bytes)?;
    Ok(check("<stdin>", &bytes))
}

/// `None` for a file that the daemon would ignore.
fn check_file(path: &Path) -> Option<Checked> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let whole_file = |message: String, help: &str| {
        let help = Some(help.to_owned());
        Some((String::new(), Err(Diagnostic { file: name.clone(), line: 0, column: 0, message, help })))
    };
    match manifests::naming(&name) {
        Naming::Ignored => return None,
        Naming::Bad(message) => return whole_file(message, "rename the file to `userid-appname.yaml`"),
        Naming::App(_) => {}
    }
    match manifests::read(path) {
        Ok(bytes) => Some(check(&name, &bytes)),
        Err(error) => whole_file(format!("cannot be read: {error}"), "check the path and who may read it"),
    }
}

fn check(name: &str, bytes: &[u8]) -> Checked {
    let source = String::from_utf8_lossy(bytes).into_owned();
    (source, desired::parse(name, bytes).map(drop))
}
