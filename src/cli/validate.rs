//! `paas validate [FILES|-]`: exit code 1 when one of them is refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use owo_colors::OwoColorize;
use serde::Serialize;

use super::args::{Format, Validate};
use super::context::Context;
use super::diagnostic::Caret;
use super::exit::Exit;
use super::manifests::{self, Manifests, Naming};
use crate::desired::resolve::{exceeds, lacks_api};
use crate::desired::{self, Diagnostic, templates};
use crate::model::observed::Capacity;
use crate::model::{AppKey, Bytes, Manifest, RunState, Settings, Template, TemplateId};

#[derive(Serialize)]
struct Report {
    path: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Diagnostic>,
}

pub(super) fn run(context: &mut Context, args: &Validate) -> anyhow::Result<Exit> {
    let files = if args.files.is_empty() { Manifests::new(context.settings()?).files()? } else { args.files.clone() };
    // Named files can be checked anywhere, with no settings at all or with some that are none of ours.
    let here = context.settings_quietly().ok().map(Here::look);
    let format = context.format(Format::Table);
    let mut reports = Vec::new();
    for path in &files {
        let shown = path.display().to_string();
        let checked =
            if path == Path::new("-") { Some(check_stdin(here.as_ref())?) } else { check_file(path, here.as_ref()) };
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

fn check_stdin(here: Option<&Here>) -> anyhow::Result<Checked> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(manifests::MAX_READ).read_to_end(&mut bytes)?;
    Ok(check("<stdin>", &bytes, None, here))
}

/// `None` for a file that the daemon would ignore.
fn check_file(path: &Path, here: Option<&Here>) -> Option<Checked> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let whole_file = |message: String, help: &str| {
        let help = Some(help.to_owned());
        Some((String::new(), Err(Diagnostic { file: name.clone(), line: 0, column: 0, message, help })))
    };
    let key = match manifests::naming(&name) {
        Naming::Ignored => return None,
        Naming::Bad(message) => return whole_file(message, "rename the file to `userid-appname.yaml`"),
        Naming::App(key) => key,
    };
    match manifests::read(path) {
        Ok(bytes) => Some(check(&name, &bytes, Some(&key), here)),
        Err(error) => whole_file(format!("cannot be read: {error}"), "check the path and who may read it"),
    }
}

fn check(name: &str, bytes: &[u8], key: Option<&AppKey>, here: Option<&Here>) -> Checked {
    let source = String::from_utf8_lossy(bytes).into_owned();
    let result =
        desired::parse(name, bytes).and_then(|manifest| match here.and_then(|here| here.refuses(&manifest, key)) {
            None => Ok(()),
            Some((key, message)) => Err(at_key(name, &source, key, &message)),
        });
    (source, result)
}

/// What the daemon of this machine would refuse besides, as far as this machine has an installation.
struct Here {
    settings: Settings,
    /// `None` where there is no templates folder.
    templates: Option<BTreeMap<TemplateId, Result<Template, String>>>,
    /// Unknown where no manifests folder of ours is: a manifest that is only edited here runs on another machine.
    capacity: Capacity,
}

impl Here {
    fn look(settings: &Settings) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let ours = manifests::instance(settings).is_ok();
        let capacity = Capacity {
            memory: read("/proc/meminfo").as_deref().and_then(total_memory).filter(|_| ours),
            cpus: read("/proc/stat").as_deref().and_then(cores).filter(|_| ours),
        };
        Self { templates: templates::load(&settings.templates_dir).ok(), capacity, settings: settings.clone() }
    }

    /// The key that is wrong and the daemon's words about it.
    fn refuses(&self, manifest: &Manifest, key: Option<&AppKey>) -> Option<(&'static str, String)> {
        // Nothing is needed to delete an app.
        if manifest.state == RunState::Deleted {
            return None;
        }
        if let Some(known) = &self.templates {
            match known.get(&manifest.template) {
                Some(Ok(template)) => {
                    if let Some(message) = lacks_api(manifest, template) {
                        return Some(("enableApi", message));
                    }
                }
                // An app that has its code already goes on without its template.
                _ if key.is_some_and(|key| self.has_code(key)) => {}
                Some(Err(message)) => return Some(("template", message.clone())),
                None => return Some(("template", templates::missing(&manifest.template, known))),
            }
        }
        let excess = exceeds(manifest, &self.settings, self.capacity)?;
        Some((excess.key.unwrap_or(""), excess.message))
    }

    fn has_code(&self, key: &AppKey) -> bool {
        self.settings.apps_dir.join(key.user.as_str()).join(key.app.as_str()).join("app").is_dir()
    }
}

/// From `MemTotal:  8028560 kB`: what Docker reports too.
fn total_memory(meminfo: &str) -> Option<Bytes> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kib * Bytes::KIB))
}

/// From a line `cpu3 …` for each core that is online: what Docker counts too.
fn cores(stat: &str) -> Option<u32> {
    let of_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    u32::try_from(stat.lines().filter(of_core).count()).ok().filter(|cores| *cores > 0)
}

/// Points at the value of a top-level key; at the whole file where it has no line of its own.
fn at_key(file: &str, source: &str, key: &str, message: &str) -> Diagnostic {
    let spot = source.lines().enumerate().find_map(|(index, line)| {
        let value = line.strip_prefix(key).filter(|_| !key.is_empty())?.trim_start().strip_prefix(':')?.trim_start();
        let column = line.chars().count() - value.chars().count() + 1;
        Some((u32::try_from(index).ok()? + 1, u32::try_from(column).ok()?))
    });
    let (line, column) = spot.unwrap_or((0, 0));
    // `problem: remedy`, as all messages of the daemon are.
    let (message, help) = match message.rsplit_once(": ") {
        Some((message, help)) => (message, Some(help.to_owned())),
        None => (message, None),
    };
    Diagnostic { file: file.to_owned(), line, column, message: message.to_owned(), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read_the_way_the_kernel_writes_it() {
        assert_eq!(total_memory("MemTotal:        8028560 kB\nMemFree: 1 kB\n"), Some(Bytes(8_028_560 << 10)));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
        assert_eq!(total_memory("MemTotal: lots\n"), None);
    }

    #[test]
    fn its_cores_are_counted_and_not_their_sum() {
        assert_eq!(cores("cpu  9 0 9\ncpu0 4 0 4\ncpu10 5 0 5\nintr 1\ncpus\n"), Some(2));
        assert_eq!(cores("intr 1\n"), None);
    }

    #[test]
    fn a_key_is_pointed_at_where_it_has_a_line() {
        let spot = |source: &str| {
            let found = at_key("x", source, "memory", "too much: write less");
            (found.line, found.column, found.help.unwrap())
        };
        assert_eq!(spot("template: t\nmemory : 9g\n"), (2, 10, "write less".to_owned()));
        assert_eq!(spot("{template: t, memory: 9g}"), (0, 0, "write less".to_owned()));
    }
}
