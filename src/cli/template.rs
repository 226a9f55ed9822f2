//! `paas template check FOLDER` and `paas template new NAME`: for whoever makes a template (docs/templates.md).

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use owo_colors::OwoColorize as _;
use serde::Serialize;
use serde_json::Value;

use super::args::{self, Format};
use super::context::Context;
use super::exit::Exit;
use crate::desired::templates;
use crate::folders::write_atomic;
use crate::model::content::{MAX_CONTENT, MAX_SCHEMA, Problem, Schema};
use crate::model::{Shown, TemplateId};

const PREVIEW: &str = "preview.webp";
/// Of a card on a phone: it is there before one has read what it says.
const MAX_PICTURE: u64 = 40 << 10;
const MAX_BYTES: u64 = 64 << 20;
const MAX_ENTRIES: usize = 2_000;

pub(super) fn run(context: &mut Context, command: &args::Template) -> anyhow::Result<Exit> {
    match command {
        args::Template::Check(args) => check(context, &args.folder),
        args::Template::New(args) => new(context, args),
    }
}

// --- check -------------------------------------------------------------------------------------------------------------

/// Something about one file of the template.
#[derive(Serialize)]
struct Finding {
    file: String,
    #[serde(flatten)]
    problem: Said,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said {
    /// About a place in a schema or a content, in both languages.
    Inside(Problem),
    Whole {
        message: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    template: String,
    ok: bool,
    /// Whether its owner can fill it in without code.
    has_form: bool,
    problems: Vec<Finding>,
}

fn check(context: &mut Context, folder: &Path) -> anyhow::Result<Exit> {
    let shown = Shown::path(folder).to_string();
    let Ok(whole) = fs::canonicalize(folder) else {
        anyhow::bail!("there is no folder {shown}, or it cannot be opened: name that of a template");
    };
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut findings = Findings::default();
    match (TemplateId::parse(&name), whole.parent()) {
        (Ok(id), Some(parent)) => {
            if let Err(problem) = templates::read(parent, &id) {
                let start = format!("template `{id}`: ");
                findings.say("template.json", problem.strip_prefix(&start).unwrap_or(&problem));
            }
        }
        _ => anyhow::bail!("{shown} is no name of a template: call the folder by small letters, digits and hyphens"),
    }
    if let Err(error) = entries(&whole) {
        findings.say("", error.to_string());
    }
    findings.preview(&whole);
    let has_form = findings.content(&whole);
    let report = Report { template: name, ok: findings.all.is_empty(), has_form, problems: findings.all };
    match context.format(Format::Table) {
        Format::Table => show(context, &report)?,
        other => context.out.value(other, &report)?,
    }
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

fn show(context: &mut Context, report: &Report) -> anyhow::Result<()> {
    for Finding { file, problem } in &report.problems {
        let said = match problem {
            Said::Inside(problem) => problem.to_string(),
            Said::Whole { message } => message.clone(),
        };
        let file = if file.is_empty() { String::new() } else { format!("/{file}") };
        context.out.line(format_args!("{}{file}: {said}", report.template))?;
    }
    if report.ok {
        let form = if report.has_form {
            ""
        } else {
            "; without a content.schema.json it can be changed by editing its files only"
        };
        context.out.line(format_args!("{}: {}{form}", report.template, "ok".green()))?;
    }
    Ok(())
}

#[derive(Default)]
struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    fn say(&mut self, file: &str, message: impl Into<String>) {
        self.all.push(Finding { file: file.to_owned(), problem: Said::Whole { message: message.into() } });
    }

    fn preview(&mut self, folder: &Path) {
        let path = folder.join(PREVIEW);
        match path.symlink_metadata() {
            Err(_) => self.say(PREVIEW, "is missing: put a picture of what it makes there, WebP, 600 by 432"),
            Ok(about) if !about.is_file() => self.say(PREVIEW, "is not a file: put a WebP picture there"),
            Ok(about) if about.len() > MAX_PICTURE => {
                let (size, most) = (about.len().div_ceil(1 << 10), MAX_PICTURE >> 10);
                self.say(
                    PREVIEW,
                    format!("has {size} KiB: make it at most {most} KiB, for example with `cwebp -q 60`"),
                );
            }
            Ok(_) => {
                let mut start = [0; 12];
                let read = fs::File::open(&path).and_then(|mut file| file.read_exact(&mut start));
                if read.is_err() || !start.starts_with(b"RIFF") || !start.ends_with(b"WEBP") {
                    self.say(PREVIEW, "is no WebP picture: save it in that format");
                }
            }
        }
    }

    /// The form, and what it is filled in with. `false` where there is none.
    fn content(&mut self, folder: &Path) -> bool {
        const SCHEMA: &str = "app/content.schema.json";
        let text = match text_of(&folder.join(SCHEMA), MAX_SCHEMA) {
            Ok(Some(text)) => text,
            Ok(None) => return false,
            Err(problem) => {
                self.say(SCHEMA, problem);
                return true;
            }
        };
        let schema = match Schema::parse(&text) {
            Ok(schema) => schema,
            Err(problems) => {
                self.inside(SCHEMA, problems);
                return true;
            }
        };
        for (file, why) in [
            ("app/content.json", "is missing: fill the form in with an example, so that a new site is not empty"),
            ("content.en.json", "is missing: write the example in English too, beside template.json"),
        ] {
            match text_of(&folder.join(file), MAX_CONTENT) {
                Ok(Some(text)) => {
                    self.inside(file, schema.check_text(&text));
                    self.pictures(folder, file, &text);
                }
                Ok(None) => self.say(file, why),
                Err(problem) => self.say(file, problem),
            }
        }
        true
    }

    fn inside(&mut self, file: &str, problems: Vec<Problem>) {
        let finding = |problem| Finding { file: file.to_owned(), problem: Said::Inside(problem) };
        self.all.extend(problems.into_iter().map(finding));
    }

    /// That the pictures which a content names are there.
    fn pictures(&mut self, folder: &Path, file: &str, text: &str) {
        let Ok(content) = serde_json::from_str::<Value>(text) else { return };
        let mut named = BTreeSet::new();
        sources(&content, &mut named);
        for src in named {
            // One that leads elsewhere was told of already.
            let leads_out = src.split('/').any(|part| part.is_empty() || part.starts_with('.'));
            if !leads_out && !folder.join("app/public").join(src).is_file() {
                let src = Shown::new(src);
                self.say(file, format!("names the picture `{src}`, which is not in app/public/: put it there"));
            }
        }
    }
}

fn sources<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("src").and_then(Value::as_str));
            object.values().for_each(|value| sources(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| sources(value, found)),
        _ => {}
    }
}

/// `None` where there is no such file.
fn text_of(path: &Path, most: u64) -> Result<Option<String>, String> {
    let Ok(about) = path.symlink_metadata() else { return Ok(None) };
    if !about.is_file() {
        return Err("is not a plain file: links are not followed, copy it".to_owned());
    }
    if about.len() > most {
        return Err(format!("is larger than {} KiB: shorten it", most >> 10));
    }
    fs::read_to_string(path).map(Some).map_err(|error| format!("cannot be read ({error}): save it as UTF-8 text"))
}

/// Files and folders below `folder`, in an order in which each stands after the folder that it is in.
fn entries(folder: &Path) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        let path = folder.join(&inside);
        let cannot = || format!("{} cannot be read: check its permissions", Shown::path(&path));
        for entry in fs::read_dir(&path).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let inside = inside.join(entry.file_name());
            let about = entry.metadata().with_context(cannot)?;
            let shown = Shown::path(&inside);
            anyhow::ensure!(
                about.is_dir() || about.is_file(),
                "{shown} is neither a file nor a folder: a template has no links"
            );
            bytes += about.len();
            anyhow::ensure!(bytes <= MAX_BYTES, "it has more than {} MiB: make its pictures smaller", MAX_BYTES >> 20);
            if about.is_dir() {
                open.push(inside.clone());
            }
            found.push((inside, about.is_dir()));
            anyhow::ensure!(
                found.len() <= MAX_ENTRIES,
                "it has more than {MAX_ENTRIES} files: has node_modules got into it?"
            );
        }
    }
    Ok(found)
}

// --- new ---------------------------------------------------------------------------------------------------------------

/// A copy of another one, under its own name: the easiest beginning is something that works.
fn new(context: &mut Context, args: &args::NewTemplate) -> anyhow::Result<Exit> {
    let folder = context.settings()?.templates_dir.clone();
    let (name, from) = (&args.name, &args.from);
    templates::read(&folder, from)
        .map_err(|problem| anyhow::anyhow!("{problem}; `paas templates` lists those that are there"))?;
    let target = folder.join(name.as_str());
    if target.symlink_metadata().is_ok() {
        anyhow::bail!("{} is there already: choose another name", Shown::path(&target));
    }
    // Beside it first, and whole: the daemon reads this folder.
    let dir = Dir::open_ambient_dir(&folder, ambient_authority())
        .with_context(|| format!("cannot open {}: check its permissions", Shown::path(&folder)))?;
    let part = format!(".{name}.new");
    let _ = dir.remove_dir_all(&part);
    let made = copy(&folder, from, name, &dir, &part)
        .and_then(|()| dir.rename(&part, &dir, name.as_str()).map_err(anyhow::Error::from));
    if let Err(error) = made {
        let _ = dir.remove_dir_all(&part);
        return Err(error.context(format!("cannot make {}: check the space on its disk", Shown::path(&target))));
    }
    context.out.line(format_args!("made {}", Shown::path(&target)))?;
    context.err.note(format_args!(
        "change its name in template.json and what you like in app/, then: paas template check {}",
        Shown::path(&target)
    ));
    Ok(Exit::Done)
}

fn copy(folder: &Path, from: &TemplateId, name: &TemplateId, to: &Dir, part: &str) -> anyhow::Result<()> {
    let source = folder.join(from.as_str());
    let target = folder.join(part);
    to.create_dir(part)?;
    for (inside, is_folder) in entries(&source)? {
        if is_folder {
            fs::create_dir(target.join(&inside))?;
        } else {
            fs::copy(source.join(&inside), target.join(&inside))?;
        }
    }
    let text = fs::read_to_string(source.join("template.json"))?;
    let text = text.replacen(&format!("\"{from}\""), &format!("\"{name}\""), 1);
    // It was usable under its old name.
    templates::parse(name, &text).map_err(anyhow::Error::msg)?;
    write_atomic(&to.open_dir(part)?, "template.json", text.as_bytes(), 0o644)?;
    Ok(())
}
