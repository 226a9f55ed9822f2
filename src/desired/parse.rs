//! The bytes of a manifest file → [`Manifest`], or what is wrong with it and where. Pure.
//!
//! What is refused is refused whole: a manifest that half applies would be worse than the last good one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::snapshot::Diagnostic;
use super::yaml::{self, Entry, Node, Refusal, Spot, Value, clip};
use crate::model::domain_name::MAX_DOMAINS;
use crate::model::manifest::{BackupPolicy, MAX_START_TIMEOUT, MIN_CPUS, MIN_MEMORY, MIN_START_TIMEOUT, RESERVED_ENV};
use crate::model::version;
use crate::model::{
    Audience, Bytes, CodeMode, DomainName, Manifest, MilliCpus, Restart, RestartPolicy, RunState, Seconds, Shown,
    Strategy, TemplateId, VersionId, Visitors, cron,
};

/// Largest manifest file in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// Every key of a manifest, in the order the documentation shows them.
pub const KEYS: [&str; 18] = [
    "template",
    "enableApi",
    "state",
    "memory",
    "cpus",
    "pids",
    "restart",
    "env",
    "redeploy",
    "keepData",
    "backup",
    "disk",
    "strategy",
    "startTimeout",
    "code",
    "version",
    "visitors",
    "domains",
];

/// So many problems of a file are told; whoever has more has them told when these are mended.
pub const MOST_PROBLEMS: usize = 20;

const MIN_DISK: Bytes = Bytes::mib(1);
pub(super) const MAX_REDEPLOY_CHARS: usize = 200;
const SMALLEST: &str = "the smallest manifest is one line: `template: diary-v1`";

/// What is wrong with a file: at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub first: Diagnostic,
    /// At most [`MOST_PROBLEMS`] together with the first.
    pub others: Vec<Diagnostic>,
}

/// Reads one manifest. `file_name` only goes into the message.
///
/// The message never contains text from another line than the one it points at, and never a value of `env`.
pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Manifest, Diagnostic> {
    check(file_name, bytes).map_err(|problems| problems.first)
}

/// As [`parse`], with everything that is wrong. A text that is no YAML has one problem: what follows it cannot be judged.
pub fn check(file_name: &str, bytes: &[u8]) -> Result<Manifest, Problems> {
    let diagnostic = |(line, column), message: String, help: Option<String>| Diagnostic {
        file: Shown::new(file_name).to_string(),
        line,
        column,
        message,
        help,
    };
    let refused = |refusal: Refusal| diagnostic((refusal.at.line, refusal.at.column), refusal.message, refusal.help);
    let only = |first| Problems { first, others: Vec::new() };
    let text = match text_of(bytes) {
        Ok(text) => text,
        Err((at, message, help)) => return Err(only(diagnostic(at, message, Some(help.to_owned())))),
    };
    match yaml::read(text).map_err(|refusal| only(refused(refusal)))? {
        None => Err(only(diagnostic((0, 0), "the file is empty".to_owned(), Some(SMALLEST.to_owned())))),
        Some(root) => manifest(root).map_err(|Refusals { first, others }| Problems {
            first: refused(first),
            others: others.into_iter().map(refused).collect(),
        }),
    }
}

type FileRefusal = ((u32, u32), String, &'static str);

fn text_of(bytes: &[u8]) -> Result<&str, FileRefusal> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file is larger than {} KiB", MAX_BYTES >> 10);
        return Err(((0, 0), message, "a manifest needs a few lines: remove what is not for this app"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let message = format!("byte 0x{:02x} is not UTF-8 text", bytes[error.valid_up_to()]);
        (place_after(before), message, "save the file in the encoding UTF-8")
    })?;
    if let Some(index) = text.find('\0') {
        let at = place_after(&bytes[..index]);
        return Err((at, "the file contains a zero byte".to_owned(), "save it as plain text"));
    }
    Ok(text)
}

/// Line and column of the character that follows the given bytes, which are valid UTF-8.
fn place_after(before: &[u8]) -> (u32, u32) {
    let text = String::from_utf8_lossy(before);
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn manifest(root: Node) -> Result<Manifest, Refusals> {
    let Value::Group(entries) = root.value else {
        let message = format!("a manifest is made of `key: value` lines, not of {}", root.value.describe());
        let help = match &root.value {
            Value::Plain(text) if text.contains(':') => "write a space after the colon: `template: diary-v1`",
            _ => SMALLEST,
        };
        return Err(Refusal::new(root.at, message, help).into());
    };
    let mut fields = Fields::of(&entries, &KEYS);
    let missing =
        || Refusal::new(root.at, "`template` is missing", "every manifest names one, for example `template: diary-v1`");
    let template = match fields.get("template") {
        None => {
            // A mistyped key is told already, with what it was meant to be.
            if !entries.iter().any(|entry| nearest(&entry.key, &KEYS) == Some("template")) {
                fields.note(missing());
            }
            None
        }
        Some(_) => {
            fields.read("template", |entry| parsed::<TemplateId>(entry, "the name of a template such as `diary-v1`"))
        }
    };
    let enable_api = fields.read("enableApi", boolean).unwrap_or(false);
    let state = fields.read("state", state);
    let memory = fields.read("memory", |entry| size(entry, MIN_MEMORY));
    let cpus = fields.read("cpus", cpus);
    let pids = fields.read("pids", |entry| whole(entry, 1, u32::MAX, "128"));
    let restart = fields.read("restart", restart);
    let env = fields.read("env", env).unwrap_or_default();
    let redeploy = fields.read("redeploy", redeploy);
    let keep_data = fields.read("keepData", boolean);
    let backup = fields.read("backup", backup);
    let disk = fields.read("disk", |entry| size(entry, MIN_DISK));
    let strategy = fields.read("strategy", strategy);
    let start_timeout = fields.read("startTimeout", start_timeout);
    let code = fields.read("code", code);
    let version = fields.read("version", version);
    let visitors = fields.read("visitors", visitors);
    let domains = fields.read("domains", domains).unwrap_or_default();
    // A state that cannot be read may have been meant to be that one.
    let is_kept = fields.get("state").is_none() || state.is_some_and(|state| state != RunState::Deleted);
    if let Some(entry) = fields.get("keepData").filter(|_| is_kept) {
        fields.note(Refusal::new(
            entry.key_at,
            "`keepData` only means something together with `state: deleted`",
            "remove it, or write `state: deleted`",
        ));
    }
    if let Some(entry) = fields.get("version").filter(|_| code == Some(CodeMode::Live)) {
        fields.note(Refusal::new(
            entry.key_at,
            "`version` and `code: live` exclude each other: live code is `app/` itself",
            "remove one of them",
        ));
    }
    fields.end()?;
    Ok(Manifest {
        template: template.ok_or_else(missing)?,
        enable_api,
        state: state.unwrap_or_default(),
        memory,
        cpus,
        pids,
        restart,
        env,
        redeploy,
        keep_data,
        backup,
        disk,
        strategy,
        start_timeout,
        code,
        version,
        visitors,
        domains,
    })
}

/// Refusals of one text: at least one.
#[derive(Debug)]
struct Refusals {
    first: Refusal,
    others: Vec<Refusal>,
}

impl From<Refusal> for Refusals {
    fn from(first: Refusal) -> Self {
        Self { first, others: Vec::new() }
    }
}

/// The keys of a group, and what is wrong with them so far.
struct Fields<'a> {
    entries: &'a [Entry],
    refused: Option<Refusals>,
}

impl<'a> Fields<'a> {
    /// `keys`: those that the group may have.
    fn of(entries: &'a [Entry], keys: &[&str]) -> Self {
        let mut fields = Self { entries, refused: None };
        for entry in entries {
            // Each costs a comparison with every key, and a file may hold thousands.
            if fields.is_full() {
                break;
            }
            if let Err(refusal) = known_key(entry, keys) {
                fields.note(refusal);
            }
        }
        fields
    }

    fn is_full(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| refused.others.len() + 1 >= MOST_PROBLEMS)
    }

    fn note(&mut self, found: impl Into<Refusals>) {
        let found = found.into();
        match &mut self.refused {
            None => self.refused = Some(found),
            Some(refused) => {
                refused.others.push(found.first);
                refused.others.extend(found.others);
                refused.others.truncate(MOST_PROBLEMS - 1);
            }
        }
    }

    fn get(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// `None` where the key is absent, and where its value is refused.
    fn read<T, E: Into<Refusals>>(&mut self, key: &str, read: impl FnOnce(&'a Entry) -> Result<T, E>) -> Option<T> {
        match read(self.get(key)?) {
            Ok(value) => Some(value),
            Err(refused) => {
                self.note(refused);
                None
            }
        }
    }

    fn end(self) -> Result<(), Refusals> {
        self.refused.map_or(Ok(()), Err)
    }
}

fn known_key(entry: &Entry, keys: &[&str]) -> Result<(), Refusal> {
    if keys.contains(&entry.key.as_str()) {
        return Ok(());
    }
    let help = match nearest(&entry.key, keys) {
        Some(near) => format!("did you mean `{near}`?"),
        None if entry.key == "<<" => "merge keys are not accepted: write the lines out".to_owned(),
        None => format!("the keys here are {}", listed(keys)),
    };
    Err(Refusal::new(entry.key_at, format!("unknown key `{}`", clip(&entry.key)), help))
}

/// The candidate a typing error away from the text.
fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // The comparison's cost grows with the product of both lengths, and nobody mistypes a key at this length.
    if text.len() > 64 {
        return None;
    }
    let lower = text.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The text of a single value; anything else is the wrong type.
fn single<'a>(entry: &'a Entry, expected: &str) -> Result<&'a str, Refusal> {
    match &entry.value.value {
        Value::Plain(text) | Value::Text(text) => Ok(text),
        Value::Empty => Err(no_value(entry)),
        other => Err(wrong_type(entry, other, expected)),
    }
}

fn no_value(entry: &Entry) -> Refusal {
    Refusal::new(entry.key_at, format!("`{}` has no value", entry.key), "write a value, or remove the line")
}

fn wrong_type(entry: &Entry, value: &Value, expected: &str) -> Refusal {
    Refusal::new(entry.value.at, format!("`{}` is {}", entry.key, value.describe()), format!("write {expected}"))
}

/// A value that `FromStr` of its type judges. Its messages have the form "problem: remedy".
fn parsed<T>(entry: &Entry, expected: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    let text = single(entry, expected)?;
    text.parse().or_else(|_: T::Err| {
        // Judged again in its clipped form, only to keep the message short: no valid value is that long.
        clip(text).parse().map_err(|error: T::Err| told(&entry.key, entry.value.at, &error.to_string()))
    })
}

fn told(key: &str, at: Spot, error: &str) -> Refusal {
    let (problem, remedy) = error.rsplit_once(": ").unwrap_or((error, ""));
    let help = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
    Refusal { at, message: format!("`{key}`: {problem}"), help }
}

fn size(entry: &Entry, least: Bytes) -> Result<Bytes, Refusal> {
    let bytes: Bytes = parsed(entry, "a size such as `256m`")?;
    if bytes < least {
        return Err(Refusal::new(
            entry.value.at,
            format!("`{}`: {bytes} is too little", entry.key),
            format!("write {least} or more"),
        ));
    }
    Ok(bytes)
}

fn cpus(entry: &Entry) -> Result<MilliCpus, Refusal> {
    let cpus: MilliCpus = parsed(entry, "a number of CPU cores such as `0.5`")?;
    if cpus < MIN_CPUS {
        return Err(Refusal::new(
            entry.value.at,
            format!("`{}`: {cpus} is too little", entry.key),
            format!("write {MIN_CPUS} or more"),
        ));
    }
    Ok(cpus)
}

fn boolean(entry: &Entry) -> Result<bool, Refusal> {
    match &entry.value.value {
        Value::Plain(text) if text == "true" => Ok(true),
        Value::Plain(text) if text == "false" => Ok(false),
        Value::Empty => Err(no_value(entry)),
        Value::Plain(text) | Value::Text(text) => Err(Refusal::new(
            entry.value.at,
            format!("`{}`: `{}` is neither true nor false", entry.key, clip(text)),
            "write `true` or `false`, without quotes",
        )),
        other => Err(wrong_type(entry, other, "`true` or `false`")),
    }
}

fn whole(entry: &Entry, least: u32, most: u32, example: &str) -> Result<u32, Refusal> {
    let accepted = match most {
        u32::MAX => format!("a whole number from {least} on, without quotes, for example `{example}`"),
        most => format!("a whole number from {least} to {most}, without quotes, for example `{example}`"),
    };
    match &entry.value.value {
        Value::Plain(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().ok().filter(|number| (least..=most).contains(number))
        }
        Value::Empty => return Err(no_value(entry)),
        _ => None,
    }
    .ok_or_else(|| match &entry.value.value {
        Value::Plain(text) | Value::Text(text) => Refusal::new(
            entry.value.at,
            format!("`{}`: `{}` is not accepted", entry.key, clip(text)),
            format!("write {accepted}"),
        ),
        other => wrong_type(entry, other, &accepted),
    })
}

/// One of a few words.
fn word<T: Copy>(entry: &Entry, what: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = format!("one of {}", listed(&names));
    let text = single(entry, &expected)?;
    words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let help = match nearest(text, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {expected}"),
        };
        Refusal::new(entry.value.at, format!("`{}`: `{}` is not {what}", entry.key, clip(text)), help)
    })
}

fn state(entry: &Entry) -> Result<RunState, Refusal> {
    let words = [("running", RunState::Running), ("stopped", RunState::Stopped), ("deleted", RunState::Deleted)];
    word(entry, "a state", &words).map_err(|refusal| match meant_state(&entry.value.value) {
        Some(meant) => Refusal { help: Some(format!("did you mean `{meant}`?")), ..refusal },
        None => refusal,
    })
}

/// The commands have shorter words than the states that they write.
fn meant_state(value: &Value) -> Option<&'static str> {
    let (Value::Plain(text) | Value::Text(text)) = value else { return None };
    match text.to_ascii_lowercase().as_str() {
        "start" | "started" | "run" | "up" | "on" => Some("running"),
        "stop" | "down" | "off" => Some("stopped"),
        "delete" | "remove" | "removed" => Some("deleted"),
        _ => None,
    }
}

fn strategy(entry: &Entry) -> Result<Strategy, Refusal> {
    word(entry, "a strategy", &[("rolling", Strategy::Rolling), ("recreate", Strategy::Recreate)])
}

fn start_timeout(entry: &Entry) -> Result<Seconds, Refusal> {
    let timeout: Seconds = parsed(entry, "a length of time such as `90s`")?;
    if (MIN_START_TIMEOUT..=MAX_START_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    Err(Refusal::new(
        entry.value.at,
        format!("`{}`: {timeout} is not accepted", entry.key),
        format!("write {MIN_START_TIMEOUT} to {MAX_START_TIMEOUT}, for example `90s`"),
    ))
}

fn code(entry: &Entry) -> Result<CodeMode, Refusal> {
    word(entry, "what can run", &[("versions", CodeMode::Versions), ("live", CodeMode::Live)])
}

fn version(entry: &Entry) -> Result<VersionId, Refusal> {
    let text = single(entry, "a version such as `3f2a91c04be7d815`")?;
    VersionId::parse(text).ok_or_else(|| {
        Refusal::new(
            entry.value.at,
            format!("`version`: `{}` is no version", clip(text)),
            "write one that `paas versions APP` lists: 16 digits and letters from a to f",
        )
    })
}

fn visitors(entry: &Entry) -> Result<Visitors, Refusals> {
    let Value::Group(entries) = &entry.value.value else { return Ok(audience(entry).map(Visitors::both)?) };
    let mut fields = Fields::of(entries, &["view", "change"]);
    let missing = || {
        let help = "write who may see it, for example `visitors: {view: everyone, change: owner}`";
        Refusal::new(entry.key_at, "`visitors`: `view` is missing", help)
    };
    let view = fields.read("view", audience);
    let change = fields.read("change", audience);
    if fields.get("view").is_none() {
        fields.note(missing());
    }
    fields.end()?;
    let view = view.ok_or_else(missing)?;
    let change = change.unwrap_or(view);
    Ok(Visitors::new(view, change).ok_or_else(|| {
        Refusal::new(
            entry.value.at,
            format!("`visitors`: `change: {change}` lets in more than `view: {view}`"),
            "who may change something has to see it: widen `view`, or narrow `change`",
        )
    })?)
}

fn audience(entry: &Entry) -> Result<Audience, Refusal> {
    word(entry, "a circle of visitors", &Audience::ALL.map(|audience| (audience.word(), audience)))
}

fn domains(entry: &Entry) -> Result<Vec<DomainName>, Refusals> {
    let items = match &entry.value.value {
        Value::List(items) => items,
        Value::Empty => return Err(no_value(entry).into()),
        other => return Err(wrong_type(entry, other, "a list, for example `domains: [www.example.kr]`").into()),
    };
    let mut fields = Fields { entries: &[], refused: None };
    let mut names: Vec<DomainName> = Vec::new();
    for item in items {
        let refused = |message: String, help: &str| Refusal::new(item.at, format!("`domains`: {message}"), help);
        let read = match &item.value {
            Value::Plain(text) | Value::Text(text) => {
                text.parse::<DomainName>().map_err(|error| told("domains", item.at, &error.to_string()))
            }
            other => {
                Err(refused(format!("{} is no host name", other.describe()), "write one such as `www.example.kr`"))
            }
        };
        match read {
            Ok(name) if names.contains(&name) => {
                fields.note(refused(format!("`{}` is written twice", name.told()), "keep one of the two"));
            }
            Ok(name) if names.len() >= MAX_DOMAINS => {
                let message = format!("`{}` is one too many", name.told());
                fields.note(refused(message, &format!("an app has at most {MAX_DOMAINS}")));
                break;
            }
            Ok(name) => names.push(name),
            Err(refusal) => fields.note(refusal),
        }
    }
    fields.end()?;
    Ok(names)
}

/// Any text is a token: a time that was not quoted, too.
fn redeploy(entry: &Entry) -> Result<String, Refusal> {
    let text = single(entry, "any short text, for example the time")?;
    // `paas restart` adds its mark to what is there, however long that is.
    let typed = version::deployed(Some(text)).unwrap_or_default();
    let too_long = typed.chars().count() > MAX_REDEPLOY_CHARS
        || text.chars().count() > MAX_REDEPLOY_CHARS + version::MAX_MARK_CHARS;
    if too_long || text.chars().any(char::is_control) {
        return Err(Refusal::new(
            entry.value.at,
            format!("`redeploy` is longer than {MAX_REDEPLOY_CHARS} characters or has more than one line"),
            "write any short text, for example the time",
        ));
    }
    Ok(text.to_owned())
}

fn env(entry: &Entry) -> Result<BTreeMap<String, String>, Refusals> {
    let entries = group(entry, "a group of variables, for example `env: {GREETING: hello}`")?;
    let mut fields = Fields { entries, refused: None };
    let mut variables = BTreeMap::new();
    for variable in entries {
        match env_name(variable).and_then(|name| Ok((name, env_value(variable)?))) {
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err(refusal) => fields.note(refusal),
        }
    }
    fields.end()?;
    Ok(variables)
}

fn group<'a>(entry: &'a Entry, expected: &str) -> Result<&'a [Entry], Refusal> {
    match &entry.value.value {
        Value::Group(entries) => Ok(entries),
        Value::Empty => Err(no_value(entry)),
        other => Err(wrong_type(entry, other, expected)),
    }
}

fn env_name(variable: &Entry) -> Result<String, Refusal> {
    let name = &variable.key;
    if RESERVED_ENV.contains(&name.as_str()) {
        return Err(Refusal::new(
            variable.key_at,
            format!("`env`: `{name}` is set by the platform"),
            "choose another name",
        ));
    }
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(Refusal::new(
            variable.key_at,
            format!("`env`: `{}` is not a variable name", clip(name)),
            "use letters, digits and underscores, not starting with a digit, for example `GREETING`",
        ));
    }
    Ok(name.clone())
}

/// The value as it was written. It is a secret more often than not, so no message quotes it.
fn env_value(variable: &Entry) -> Result<String, Refusal> {
    let name = clip(&variable.key);
    let at = variable.value.at;
    match &variable.value.value {
        Value::Plain(text) | Value::Text(text) if text.contains('\0') => Err(Refusal::new(
            at,
            format!("`env`: the value of `{name}` contains a zero character"),
            "write text without `\\0`",
        )),
        Value::Plain(text) | Value::Text(text) => Ok(text.clone()),
        Value::Empty => Err(Refusal::new(
            variable.key_at,
            format!("`env`: `{name}` has no value"),
            "write one, `\"\"` for an empty one, or remove the line",
        )),
        other => Err(Refusal::new(
            at,
            format!("`env`: `{name}` is {}", other.describe()),
            "a variable holds one text: write it in quotes",
        )),
    }
}

fn backup(entry: &Entry) -> Result<BackupPolicy, Refusals> {
    let example = "a group, for example `backup: {schedule: \"0 3 * * *\", keep: 7}`";
    let mut fields = Fields::of(group(entry, example)?, &["schedule", "keep"]);
    let schedule = fields.read("schedule", schedule);
    let keep = fields.read("keep", |entry| whole(entry, 1, 1000, "7"));
    fields.end()?;
    Ok(BackupPolicy { schedule, keep })
}

/// The policy alone, or a group.
fn restart(entry: &Entry) -> Result<Restart, Refusals> {
    let example = "a restart policy such as `unless-stopped`, or a group, for example `restart: {onHang: true}`";
    let policy = |entry: &Entry| parsed::<RestartPolicy>(entry, "a restart policy such as `unless-stopped`");
    match &entry.value.value {
        Value::Group(_) => {
            let mut fields = Fields::of(group(entry, example)?, &["policy", "onHang"]);
            let policy = fields.read("policy", policy);
            let on_hang = fields.read("onHang", boolean);
            fields.end()?;
            Ok(Restart { policy, on_hang })
        }
        _ => Ok(parsed::<RestartPolicy>(entry, example)?.into()),
    }
}

fn schedule(entry: &Entry) -> Result<String, Refusal> {
    let text = single(entry, "five cron fields in quotes, for example `\"0 3 * * *\"`")?;
    match cron::check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(told("schedule", entry.value.at, &format!("`{}` {error}", clip(text)))),
    }
}

#[cfg(test)]
mod tests;
