//! `paas validate [FILES|FOLDERS|-]`: exit code 1 when one of them is refused, or when there was nothing to check.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use owo_colors::OwoColorize;
use serde::Serialize;

use super::args::{Format, Validate};
use super::context::Context;
use super::diagnostic::Caret;
use super::exit::Exit;
use super::manifests::{self, Naming};
use crate::clock::{Clock as _, SystemClock};
use crate::controller::{Admission, admit};
use crate::desired::parse::Problems;
use crate::desired::resolve::{exceeds, lacks_api};
use crate::desired::{
    self, Diagnostic, FileEntry, ManifestFolder, Manifests as _, lacks_gate, sleep_lacks_gateway, templates,
};
use crate::model::observed::Capacity;
use crate::model::{AppKey, Bytes, DomainName, Manifest, RunState, Settings, Template, TemplateId, Timestamp};
use crate::store::{AccountStore as _, SqliteStore, Store as _};

#[derive(Serialize)]
struct Report {
    path: String,
    ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Diagnostic>,
}

pub(super) async fn run(context: &mut Context, args: &Validate) -> anyhow::Result<Exit> {
    let asked = match args.files.as_slice() {
        [] => vec![context.settings()?.manifests_dir.clone()],
        files => files.to_vec(),
    };
    // Named files can be checked anywhere, with no settings at all or with some that are none of ours.
    let here = match context.settings_quietly() {
        Ok(settings) => Some(Here::look(settings).await),
        Err(_) => None,
    };
    let format = context.format(Format::Table);
    let mut checked = Vec::new();
    for path in &asked {
        if path == Path::new("-") {
            checked.push(check_stdin(here.as_ref())?);
        } else if path.is_dir() {
            checked.extend(check_folder(path, here.as_ref())?);
        } else {
            match check_file(path, here.as_ref()) {
                Some(file) => checked.push(file),
                None if format == Format::Table => {
                    context.err.note(format_args!("{}: skipped, it is no manifest", path.display()));
                }
                None => {}
            }
        }
    }
    if checked.is_empty() {
        // In a git hook an empty yes would let everything pass.
        let asked: Vec<_> = asked.iter().map(|path| path.display().to_string()).collect();
        anyhow::bail!(
            "nothing was checked, because there is no manifest in {}: name a file `userid-appname.yaml`, or the folder that \
             has some (folders inside of it are not read)",
            asked.join(", ")
        );
    }
    let bad = checked.iter().filter(|file| !file.problems.is_empty()).count();
    match format {
        Format::Table => {
            for Checked { path, source, problems } in &checked {
                for diagnostic in problems {
                    context.out.line(Caret { path, source, diagnostic })?;
                }
            }
            if bad == 0 {
                context.out.line(format_args!("{}: {}", plural(checked.len()), "ok".green()))?;
            } else {
                context.err.note(format_args!("{bad} of {} refused", plural(checked.len())));
            }
        }
        other => {
            let report =
                |file: Checked| Report { path: file.path, ok: file.problems.is_empty(), problems: file.problems };
            let reports: Vec<Report> = checked.into_iter().map(report).collect();
            context.out.value(other, &reports)?;
        }
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

fn plural(count: usize) -> String {
    if count == 1 { "1 manifest".to_owned() } else { format!("{count} manifests") }
}

/// One file, and what is wrong with it in the order of its lines.
struct Checked {
    /// As the person named it.
    path: String,
    source: String,
    problems: Vec<Diagnostic>,
}

fn check_stdin(here: Option<&Here>) -> anyhow::Result<Checked> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(manifests::MAX_READ).read_to_end(&mut bytes)?;
    Ok(check("-".to_owned(), "<stdin>", &bytes, None, here))
}

/// Every manifest that the daemon would find in this folder, by its own reading: links that lead out of it, or two files about
/// one app, are refused as there.
fn check_folder(folder: &Path, here: Option<&Here>) -> anyhow::Result<Vec<Checked>> {
    let shown = folder.display();
    std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {shown}: check the path and who may read it"))?;
    let reading = as_the_daemon(folder).load_blocking();
    let mut checked: BTreeMap<PathBuf, Checked> = BTreeMap::new();
    for problem in reading.problems {
        let path = folder.join(&problem.file);
        let found = refused_as_a_whole(&path, &problem.file, problem.message, RENAME);
        checked.insert(path, found);
    }
    for (key, entry) in reading.files {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = entry.path.clone();
        checked.insert(path, check_entry(entry, &name, &key, here));
    }
    Ok(checked.into_values().collect())
}

/// Its templates are judged by what is `here`.
fn as_the_daemon(folder: &Path) -> ManifestFolder {
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    ManifestFolder::new(folder.to_owned(), folder.to_owned(), Arc::new(move || now))
}

fn check_entry(entry: FileEntry, name: &str, key: &AppKey, here: Option<&Here>) -> Checked {
    let path = entry.path.display().to_string();
    match entry.parsed {
        // About the file as such, not about a line of it: it may be a pipe, which nobody opens.
        Err(diagnostic) if diagnostic.line == 0 => Checked { path, source: String::new(), problems: vec![diagnostic] },
        _ => match manifests::read(&entry.path) {
            Ok(bytes) => check(path, name, &bytes, Some(key), here),
            Err(error) => refused_as_a_whole(&entry.path, name, format!("cannot be read: {error}"), READABLE),
        },
    }
}

const RENAME: &str = "rename the file to `userid-appname.yaml`";
const READABLE: &str = "check the path and who may read it";

fn refused_as_a_whole(path: &Path, name: &str, message: String, help: &str) -> Checked {
    let problem = Diagnostic { file: name.to_owned(), line: 0, column: 0, message, help: Some(help.to_owned()) };
    Checked { path: path.display().to_string(), source: String::new(), problems: vec![problem] }
}

/// `None` for a file that the daemon would ignore.
fn check_file(path: &Path, here: Option<&Here>) -> Option<Checked> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let key = match manifests::naming(&name) {
        Naming::Ignored => return None,
        Naming::Bad(message) => return Some(refused_as_a_whole(path, &name, message, RENAME)),
        Naming::App(key) => key,
    };
    // In the folder that it is in, which the daemon would have to open it in.
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Some(match as_the_daemon(folder).load_one(&name) {
        // Under the path that the person named.
        Some(entry) => check_entry(FileEntry { path: path.to_owned(), ..entry }, &name, &key, here),
        None => refused_as_a_whole(path, &name, "cannot be read: there is no such file".to_owned(), READABLE),
    })
}

fn check(path: String, name: &str, bytes: &[u8], key: Option<&AppKey>, here: Option<&Here>) -> Checked {
    let source = String::from_utf8_lossy(bytes).into_owned();
    let mut problems = match desired::check(name, bytes) {
        Ok(manifest) => {
            let refused = here.map(|here| here.refuses(&manifest, key)).unwrap_or_default();
            let held = here.zip(key).filter(|(here, _)| here.has(Path::new(&path)));
            let held = held.and_then(|(here, key)| Some(("", here.over_quota.get(key)?.clone())));
            let all = refused.into_iter().chain(held);
            let all = all.map(|(key, message)| at_key(name, &source, key, &message));
            let open = here.and_then(|here| here.leaves_open(name, &source, &manifest));
            let sleeps = here.and_then(|here| here.sleeps_for_ever(name, &source, &manifest));
            all.chain(open).chain(sleeps).collect()
        }
        Err(Problems { first, mut others }) => {
            others.push(first);
            others
        }
    };
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Checked { path, source, problems }
}

/// What the daemon of this machine would refuse besides, as far as this machine has an installation.
struct Here {
    settings: Settings,
    /// `None` where there is no templates folder.
    templates: Option<BTreeMap<TemplateId, Result<Template, String>>>,
    /// Unknown where no manifests folder of ours is: a manifest that is only edited here runs on another machine.
    capacity: Capacity,
    /// Apps that the daemon would not let in, and why. None where the database may not be read.
    over_quota: BTreeMap<AppKey, String>,
    /// Who has which own host name, as far as the database may be read.
    domains: BTreeMap<DomainName, AppKey>,
}

impl Here {
    async fn look(settings: &Settings) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let ours = manifests::instance(settings).is_ok();
        let capacity = Capacity {
            memory: read("/proc/meminfo").as_deref().and_then(total_memory).filter(|_| ours),
            cpus: read("/proc/stat").as_deref().and_then(cores).filter(|_| ours),
        };
        let (over_quota, domains) =
            if ours { inventory(settings).await.unwrap_or_default() } else { Default::default() };
        let templates = templates::load(&settings.templates_dir).ok();
        Self { templates, capacity, over_quota, domains, settings: settings.clone() }
    }

    /// Whether this is a file of the manifests folder, and no draft of one.
    fn has(&self, path: &Path) -> bool {
        let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let folder = folder.and_then(|folder| folder.canonicalize().ok());
        folder.is_some() && folder == self.settings.manifests_dir.canonicalize().ok()
    }

    /// The keys that are wrong and the daemon's words about each.
    fn refuses(&self, manifest: &Manifest, key: Option<&AppKey>) -> Vec<(&'static str, String)> {
        // Nothing is needed to delete an app.
        if manifest.state == RunState::Deleted {
            return Vec::new();
        }
        let excess = exceeds(manifest, &self.settings, self.capacity);
        let excess = excess.map(|excess| (excess.key.unwrap_or(""), excess.message));
        let name = self.refuses_name(manifest, key).map(|message| ("domains", message));
        self.refuses_template(manifest, key).into_iter().chain(excess).chain(name).collect()
    }

    /// Of its own host names the first that it would not get.
    fn refuses_name(&self, manifest: &Manifest, key: Option<&AppKey>) -> Option<String> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        manifest.domains.iter().find_map(|name| {
            if self.settings.is_name_of_the_box(name, &machine) {
                return Some(format!("`{}` is a name of this server itself: take it out", name.told()));
            }
            let holder = self.domains.get(name).filter(|holder| Some(*holder) != key)?;
            Some(format!("`{}` belongs to {holder} already: take it out of one of the two manifests", name.told()))
        })
    }

    /// A site that nobody can guard here, which the daemon stops.
    fn leaves_open(&self, file: &str, source: &str, manifest: &Manifest) -> Option<Diagnostic> {
        if manifest.state != RunState::Running {
            return None;
        }
        let lacks = lacks_gate(manifest, &self.settings)?;
        let place = at_key(file, source, if lacks.by_manifest { "visitors" } else { "" }, "");
        Some(Diagnostic { message: lacks.problem(), help: Some(lacks.remedy().to_owned()), ..place })
    }

    /// A site that sleeps where nobody would wake it.
    fn sleeps_for_ever(&self, file: &str, source: &str, manifest: &Manifest) -> Option<Diagnostic> {
        let (message, help) = sleep_lacks_gateway(manifest, &self.settings)?;
        Some(Diagnostic { message, help: Some(help.to_owned()), ..at_key(file, source, "sleep", "") })
    }

    fn refuses_template(&self, manifest: &Manifest, key: Option<&AppKey>) -> Option<(&'static str, String)> {
        let known = self.templates.as_ref()?;
        match known.get(&manifest.template) {
            Some(Ok(template)) => Some(("enableApi", lacks_api(manifest, template)?)),
            // An app that has its code already goes on without its template.
            _ if key.is_some_and(|key| self.has_code(key)) => None,
            Some(Err(message)) => Some(("template", message.clone())),
            None => Some(("template", templates::missing(&manifest.template, known))),
        }
    }

    fn has_code(&self, key: &AppKey) -> bool {
        self.settings.apps_dir.join(key.user.as_str()).join(key.app.as_str()).join("app").is_dir()
    }
}

/// Judged as the controller judges it.
async fn inventory(settings: &Settings) -> Option<(BTreeMap<AppKey, String>, BTreeMap<DomainName, AppKey>)> {
    // To open it would make it.
    if !settings.portal_db_path.exists() {
        return None;
    }
    let store = SqliteStore::open(&settings.portal_db_path).ok()?;
    let (rows, quotas) = (store.inventory().await.ok()?, store.quotas().await.ok()?);
    let now = Arc::new(|| SystemClock.now());
    let folder = ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now);
    let files = folder.load().await.files;
    let verdicts = admit(&files, &rows.iter().map(|row| &row.key).collect(), settings, &quotas);
    let refused = verdicts.into_iter().filter_map(|(key, verdict)| match verdict {
        Admission::Refused(quota) => Some((key, quota.to_string())),
        Admission::Admitted => None,
    });
    let domains = rows.iter().flat_map(|row| row.domains.iter().map(|name| (name.clone(), row.key.clone())));
    Some((refused.collect(), domains.collect()))
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
