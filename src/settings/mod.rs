//! `.env` → [`Settings`] (SPEC §1), and the task that follows the file while the daemon runs.
//!
//! # Guarantees
//! - One bad value refuses the whole file: the last good settings stay in force together, never a mixture.
//! - What only a restart can take up keeps its running value and is reported, see [`Reloaded::restart_required`].
//! - The value of a secret is in no message.

mod advice;
mod dotenv;
mod keys;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use self::keys::{At, KEYS, Key, ROOT, SECRET, Takes};
use crate::model::{Settings, Shown};

pub use advice::advice;
pub use source::{Env, SettingsSource};
pub use task::{SettingsState, follow};
pub use told::{InForce, Origin, in_force};

/// Default of `PAAS_ROOT`.
pub const DEFAULT_ROOT: &str = "/paas";

/// A refused line or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The `.env` file, or `environment` for a variable of the process.
    pub file: String,
    /// 1-based; 0 when there is no line.
    pub line: u32,
    /// Empty when the line has none.
    pub key: String,
    /// What was written; secrets are masked.
    pub value: String,
    pub problem: Problem,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The value is not of the accepted form.
    Value {
        accepted: &'static str,
    },
    /// The line is no assignment.
    Line {
        accepted: &'static str,
    },
    Unknown {
        near: Option<&'static str>,
    },
    Duplicate {
        first: u32,
    },
    /// The file as a whole.
    File(String),
}

impl fmt::Display for SettingProblem {
    /// `/paas/.env:3: PAAS_DOMAIN=exa mple is not accepted: write a host name without port, …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown::new(&self.file).fmt(f)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": ")?;
        let key = Shown::new(&self.key);
        match &self.problem {
            Problem::Value { accepted } if self.value.is_empty() => {
                write!(f, "{key} is empty: write {accepted}; without the line the default holds")
            }
            Problem::Value { accepted } => write!(f, "{key}={} is not accepted: write {accepted}", self.value),
            Problem::Line { accepted } if self.key.is_empty() => write!(f, "not a setting: {accepted}"),
            Problem::Line { accepted } => write!(f, "the value of {key} cannot be read: {accepted}"),
            Problem::Unknown { near: Some(near) } => write!(f, "there is no setting {key}: did you mean {near}?"),
            Problem::Unknown { near: None } => {
                write!(f, "there is no setting {key}: remove the line, or see .env.example for the settings")
            }
            Problem::Duplicate { first } => {
                write!(f, "{key} is set twice: keep this line or line {first}")
            }
            Problem::File(message) => f.write_str(message),
        }
    }
}

/// What relative paths start from.
#[derive(Debug, Clone, Copy)]
pub struct Bases<'a> {
    /// Folder of the `.env` file (absolute), for the values in it.
    pub file: &'a Path,
    /// Working folder (absolute), for real environment variables.
    pub process: &'a Path,
}

/// Where a value was found.
struct Found {
    /// 0 = a real environment variable.
    line: u32,
    value: String,
}

/// Reads the text of a `.env` file. A real environment variable (`env`) wins over the file; an empty one counts as unset,
/// because `KEY= paas serve` is how shells and Compose pass on what nobody set.
///
/// The settings are usable only when there is no problem.
pub fn parse_env(
    text: &str,
    file: &str,
    bases: Bases<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Settings, Vec<SettingProblem>) {
    let (lines, bad_lines) = dotenv::lines(text);
    let mut problems: Vec<SettingProblem> = bad_lines
        .into_iter()
        .map(|bad| SettingProblem {
            file: file.to_owned(),
            line: bad.number,
            key: bad.key,
            value: String::new(),
            problem: Problem::Line { accepted: bad.accepted },
        })
        .collect();
    let mut found: BTreeMap<&'static str, Found> = BTreeMap::new();
    for line in lines {
        let problem = match known(&line.key) {
            Ok(None) => continue,
            Ok(Some(key)) => {
                let Some(first) = found.get(key) else {
                    found.insert(key, Found { line: line.number, value: line.value });
                    continue;
                };
                Problem::Duplicate { first: first.line }
            }
            Err(near) => Problem::Unknown { near },
        };
        let (file, value) = (file.to_owned(), String::new());
        problems.push(SettingProblem { file, line: line.number, key: line.key, value, problem });
    }
    for key in all_keys() {
        if let Some(value) = env(key.name).filter(|value| !value.is_empty()) {
            found.insert(key.name, Found { line: 0, value });
        }
    }

    let mut put = |settings: &mut Settings, key: &Key| {
        let Some(Found { line, value }) = found.get(key.name) else { return };
        let root = settings.root.clone();
        let at = At { folder: if *line == 0 { bases.process } else { bases.file }, root: &root };
        if (key.put)(settings, value, at).is_none() {
            problems.push(SettingProblem {
                file: if *line == 0 { "environment".to_owned() } else { file.to_owned() },
                line: *line,
                key: key.name.to_owned(),
                value: shown(key.name, value),
                problem: Problem::Value { accepted: key.accepted },
            });
        }
    };
    let mut rooted = Settings::defaults(DEFAULT_ROOT);
    put(&mut rooted, &ROOT);
    let mut settings = Settings::defaults(rooted.root);
    for key in &KEYS {
        put(&mut settings, key);
    }
    if settings.portal_port == settings.gateway_port && overlap(&settings) {
        let at = found.get("PORTAL_PORT").or_else(|| found.get("PAAS_GATEWAY_PORT"));
        problems.push(SettingProblem {
            file: if at.is_some_and(|at| at.line == 0) { "environment".to_owned() } else { file.to_owned() },
            line: at.map_or(0, |at| at.line),
            key: "PORTAL_PORT".to_owned(),
            value: settings.portal_port.to_string(),
            problem: Problem::Value { accepted: "another port than PAAS_GATEWAY_PORT, for example `3000`" },
        });
    }
    let apps = settings.network_subnet;
    if apps.is_some_and(|apps| settings.trusted_proxies.iter().any(|range| range.touches(apps))) {
        let at = found.get("PAAS_TRUSTED_PROXIES");
        problems.push(SettingProblem {
            file: if at.is_some_and(|at| at.line == 0) { "environment".to_owned() } else { file.to_owned() },
            line: at.map_or(0, |at| at.line),
            key: "PAAS_TRUSTED_PROXIES".to_owned(),
            value: at.map_or_else(String::new, |at| shown("PAAS_TRUSTED_PROXIES", &at.value)),
            problem: Problem::Value {
                accepted: "ranges outside of PAAS_NETWORK_SUBNET: an app in it would be believed whoever it says it speaks for",
            },
        });
    }
    problems.sort_by_key(|problem| problem.line);
    (settings, problems)
}

/// Two listeners cannot share a port on the same address, nor beside one on every address.
fn overlap(settings: &Settings) -> bool {
    let (portal, gateway) = (settings.portal_bind, settings.gateway_bind);
    portal == gateway || portal.is_unspecified() || gateway.is_unspecified()
}

fn all_keys() -> impl Iterator<Item = &'static Key> {
    std::iter::once(&ROOT).chain(&KEYS)
}

/// `Ok(None)`: somebody else's variable. `Err`: looks like ours but is none.
fn known(name: &str) -> Result<Option<&'static str>, Option<&'static str>> {
    if let Some(key) = all_keys().find(|key| key.name == name) {
        return Ok(Some(key.name));
    }
    // `PAAS_ENV_FILE` says where this very file is; in the file it would be too late.
    let near = all_keys()
        .map(|key| (strsim::damerau_levenshtein(&name.to_ascii_uppercase(), key.name), key.name))
        .filter(|(distance, _)| name.len() <= 64 && *distance <= 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key);
    let ours = ["PAAS_", "PORTAL_", "DEFAULT_"].iter().any(|prefix| name.starts_with(prefix));
    if ours || near.is_some() { Err(near) } else { Ok(None) }
}

fn shown(key: &str, value: &str) -> String {
    if SECRET.contains(&key) {
        return "(hidden)".to_owned();
    }
    Shown::new(value).to_string()
}

/// What holds after the file was read again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reloaded {
    /// In force: the candidate where it may be, the last good ones otherwise.
    pub settings: Settings,
    /// Empty when the candidate was accepted.
    pub problems: Vec<SettingProblem>,
    /// Keys whose new value waits for a restart of the daemon.
    pub restart_required: Vec<String>,
}

/// Decides what is in force when a candidate replaces the last good settings.
///
/// `running` are the settings in force now; in what needs a restart they still are those the daemon was started with.
pub fn reload(running: &Settings, candidate: &Settings, problems: Vec<SettingProblem>) -> Reloaded {
    if !problems.is_empty() {
        return Reloaded { settings: running.clone(), problems, restart_required: Vec::new() };
    }
    let mut settings = candidate.clone();
    let mut restart_required = Vec::new();
    let (old_defaults, new_defaults) = (Settings::defaults(&running.root), Settings::defaults(&candidate.root));
    for key in all_keys().filter(|key| key.takes == Takes::Restart) {
        if (key.same)(running, candidate) {
            continue;
        }
        (key.copy)(&mut settings, running);
        // Folders that merely follow the root are not worth a line of their own.
        if !((key.same)(running, &old_defaults) && (key.same)(candidate, &new_defaults)) || key.name == ROOT.name {
            restart_required.push(key.name.to_owned());
        }
    }
    Reloaded { settings, problems, restart_required }
}
