//! What the value of each key may be.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::super::yaml::{Entry, Refusal, Spot, Value, clip};
use super::MAX_REDEPLOY_CHARS;
use super::fields::{Fields, Refusals, listed, nearest};
use crate::model::domain_name::MAX_DOMAINS;
use crate::model::manifest::{BackupPolicy, MAX_START_TIMEOUT, MIN_CPUS, MIN_START_TIMEOUT, RESERVED_ENV};
use crate::model::sleep::{MAX_SLEEP_AFTER, MIN_SLEEP_AFTER};
use crate::model::version;
use crate::model::{
    Audience, Bytes, CodeMode, DomainName, MilliCpus, Restart, RestartPolicy, RunState, Seconds, Sleep, Strategy,
    VersionId, Visitors, cron,
};

/// The text of a single value; anything else is the wrong type.
pub(super) fn single<'a>(entry: &'a Entry, expected: &str) -> Result<&'a str, Refusal> {
    match &entry.value.value {
        Value::Plain(text) | Value::Text(text) => Ok(text),
        Value::Empty => Err(no_value(entry)),
        other => Err(wrong_type(entry, other, expected)),
    }
}

pub(super) fn no_value(entry: &Entry) -> Refusal {
    Refusal::new(entry.key_at, format!("`{}` has no value", entry.key), "write a value, or remove the line")
}

pub(super) fn wrong_type(entry: &Entry, value: &Value, expected: &str) -> Refusal {
    Refusal::new(entry.value.at, format!("`{}` is {}", entry.key, value.describe()), format!("write {expected}"))
}

/// A value that `FromStr` of its type judges. Its messages have the form "problem: remedy".
pub(super) fn parsed<T>(entry: &Entry, expected: &str) -> Result<T, Refusal>
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

pub(super) fn told(key: &str, at: Spot, error: &str) -> Refusal {
    let (problem, remedy) = error.rsplit_once(": ").unwrap_or((error, ""));
    let help = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
    Refusal { at, message: format!("`{key}`: {problem}"), help }
}

pub(super) fn size(entry: &Entry, least: Bytes) -> Result<Bytes, Refusal> {
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

pub(super) fn cpus(entry: &Entry) -> Result<MilliCpus, Refusal> {
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

pub(super) fn boolean(entry: &Entry) -> Result<bool, Refusal> {
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

pub(super) fn whole(entry: &Entry, least: u32, most: u32, example: &str) -> Result<u32, Refusal> {
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
pub(super) fn word<T: Copy>(entry: &Entry, what: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
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

pub(super) fn state(entry: &Entry) -> Result<RunState, Refusal> {
    let words = [("running", RunState::Running), ("stopped", RunState::Stopped), ("deleted", RunState::Deleted)];
    word(entry, "a state", &words).map_err(|refusal| match meant_state(&entry.value.value) {
        Some(meant) => Refusal { help: Some(format!("did you mean `{meant}`?")), ..refusal },
        None => refusal,
    })
}

/// The commands have shorter words than the states that they write.
pub(super) fn meant_state(value: &Value) -> Option<&'static str> {
    let (Value::Plain(text) | Value::Text(text)) = value else { return None };
    match text.to_ascii_lowercase().as_str() {
        "start" | "started" | "run" | "up" | "on" => Some("running"),
        "stop" | "down" | "off" => Some("stopped"),
        "delete" | "remove" | "removed" => Some("deleted"),
        _ => None,
    }
}

pub(super) fn strategy(entry: &Entry) -> Result<Strategy, Refusal> {
    word(entry, "a strategy", &[("rolling", Strategy::Rolling), ("recreate", Strategy::Recreate)])
}

pub(super) fn start_timeout(entry: &Entry) -> Result<Seconds, Refusal> {
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

pub(super) fn code(entry: &Entry) -> Result<CodeMode, Refusal> {
    word(entry, "what can run", &[("versions", CodeMode::Versions), ("live", CodeMode::Live)])
}

pub(super) fn version(entry: &Entry) -> Result<VersionId, Refusal> {
    let text = single(entry, "a version such as `3f2a91c04be7d815`")?;
    VersionId::parse(text).ok_or_else(|| {
        Refusal::new(
            entry.value.at,
            format!("`version`: `{}` is no version", clip(text)),
            "write one that `paas versions APP` lists: 16 digits and letters from a to f",
        )
    })
}

pub(super) fn visitors(entry: &Entry) -> Result<Visitors, Refusals> {
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

pub(super) fn sleep(entry: &Entry) -> Result<Sleep, Refusals> {
    let example = "`never`, or a group, for example `sleep: {after: 30m}`";
    if !matches!(entry.value.value, Value::Group(_)) {
        let word = word(entry, "an answer", &[("never", Sleep::Never)]);
        return Ok(word.map_err(|refusal| match &refusal.help {
            Some(help) if help.starts_with("did you mean") => refusal,
            _ => Refusal { help: Some(format!("write {example}")), ..refusal },
        })?);
    }
    let mut fields = Fields::of(group(entry, example)?, &["after"]);
    let missing = || Refusal::new(entry.key_at, "`sleep`: `after` is missing", format!("write {example}"));
    let after = fields.read("after", |entry| {
        let after: Seconds = parsed(entry, "a length of time such as `30m`")?;
        if Sleep::After(after).is_accepted() {
            return Ok(after);
        }
        Err(Refusal::new(
            entry.value.at,
            format!("`after`: {after} is not accepted"),
            format!("write {MIN_SLEEP_AFTER} to {MAX_SLEEP_AFTER}, for example `30m`"),
        ))
    });
    if fields.get("after").is_none() {
        fields.note(missing());
    }
    fields.end()?;
    Ok(Sleep::After(after.ok_or_else(missing)?))
}

pub(super) fn audience(entry: &Entry) -> Result<Audience, Refusal> {
    word(entry, "a circle of visitors", &Audience::ALL.map(|audience| (audience.word(), audience)))
}

pub(super) fn domains(entry: &Entry) -> Result<Vec<DomainName>, Refusals> {
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
pub(super) fn redeploy(entry: &Entry) -> Result<String, Refusal> {
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

pub(super) fn env(entry: &Entry) -> Result<BTreeMap<String, String>, Refusals> {
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

pub(super) fn group<'a>(entry: &'a Entry, expected: &str) -> Result<&'a [Entry], Refusal> {
    match &entry.value.value {
        Value::Group(entries) => Ok(entries),
        Value::Empty => Err(no_value(entry)),
        other => Err(wrong_type(entry, other, expected)),
    }
}

pub(super) fn env_name(variable: &Entry) -> Result<String, Refusal> {
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
pub(super) fn env_value(variable: &Entry) -> Result<String, Refusal> {
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

pub(super) fn backup(entry: &Entry) -> Result<BackupPolicy, Refusals> {
    let example = "a group, for example `backup: {schedule: \"0 3 * * *\", keep: 7}`";
    let mut fields = Fields::of(group(entry, example)?, &["schedule", "keep"]);
    let schedule = fields.read("schedule", schedule);
    let keep = fields.read("keep", |entry| whole(entry, 1, 1000, "7"));
    fields.end()?;
    Ok(BackupPolicy { schedule, keep })
}

/// The policy alone, or a group.
pub(super) fn restart(entry: &Entry) -> Result<Restart, Refusals> {
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

pub(super) fn schedule(entry: &Entry) -> Result<String, Refusal> {
    let text = single(entry, "five cron fields in quotes, for example `\"0 3 * * *\"`")?;
    match cron::check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(told("schedule", entry.value.at, &format!("`{}` {error}", clip(text)))),
    }
}
