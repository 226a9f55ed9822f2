//! Changes one key of a manifest's text and leaves the rest as it is: comments, order, formatting, line endings. Pure.
//!
//! The result is never trusted: old and new text are parsed, and the new one must say exactly what the old one said
//! plus the change, with every comment still there. Otherwise nothing is written.

use std::str::FromStr as _;

use yaml_edit::{Document, YamlFile};

use super::parse::parse;
use super::snapshot::Diagnostic;
use crate::model::{
    Bytes, CodeMode, DomainName, Manifest, MilliCpus, Restart, RestartPolicy, RunState, Sleep, Strategy, VersionId,
    Visitors,
};

/// One key and its new value; `None` takes the line out, so that the default holds again.
///
/// `keepData` is only accepted beside `state: deleted`: whoever changes the one looks after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    State(RunState),
    KeepData(Option<bool>),
    Redeploy(String),
    EnableApi(bool),
    Memory(Option<Bytes>),
    Cpus(Option<MilliCpus>),
    Pids(Option<u32>),
    Restart(Option<RestartPolicy>),
    Disk(Option<Bytes>),
    Strategy(Option<Strategy>),
    Visitors(Option<Visitors>),
    Sleep(Option<Sleep>),
    Version(Option<VersionId>),
    /// None takes the line out.
    Domains(Vec<DomainName>),
}

/// Why a text could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("{0}; correct the file first. To delete the app instead, remove the file: its data stays")]
    Invalid(Diagnostic),
    /// The change itself is not allowed in this manifest.
    #[error("the change would make the file invalid: {0}")]
    Refused(Diagnostic),
    #[error("{file} is written in a way that cannot be changed safely by program: change `{key}` by hand")]
    NotExact { file: String, key: &'static str },
}

/// Applies the changes. The same text comes back when it already says what is wanted.
pub fn edit_text(file_name: &str, source: &str, changes: &[Change]) -> Result<String, TextError> {
    let before = parse(file_name, source.as_bytes()).map_err(TextError::Invalid)?;
    let mut wanted = before.clone();
    let mut needed = Vec::new();
    for change in changes {
        let last = wanted.clone();
        change.apply(&mut wanted);
        if wanted != last {
            needed.push(change);
        }
    }
    let Some(first) = needed.first() else { return Ok(source.to_owned()) };
    let not_exact = || TextError::NotExact { file: file_name.to_owned(), key: first.key() };
    let text = rewrite(source, &needed).ok_or_else(not_exact)?;
    let after = parse(file_name, text.as_bytes()).map_err(TextError::Refused)?;
    let removes = needed.iter().any(|change| change.removes());
    let kept = if removes { keeps_comment_lines(source, &text) } else { keeps_comments(source, &text) };
    accept(text, &after, &wanted, kept).ok_or_else(not_exact)
}

/// Last door before a file is written.
fn accept(text: String, after: &Manifest, wanted: &Manifest, comments_kept: bool) -> Option<String> {
    (after == wanted && comments_kept).then_some(text)
}

/// Editing knows only bare line feeds and no byte order mark; both are put back afterwards.
fn rewrite(source: &str, changes: &[&Change]) -> Option<String> {
    let (mark, body) = match source.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", source),
    };
    let newlines = body.matches('\n').count();
    let windows = newlines > 0 && body.matches("\r\n").count() == newlines;
    let plain = if windows { body.replace("\r\n", "\n") } else { body.to_owned() };
    // The file and not its document: comments above `---` belong to the file.
    let file = YamlFile::from_str(&plain).ok()?;
    let document = file.document()?;
    for change in changes {
        change.write(&document)?;
    }
    let text = file.to_string();
    let text = if windows { text.replace('\n', "\r\n") } else { text };
    Some(format!("{mark}{text}"))
}

/// yaml-edit loses a comment behind a value that stands on a line of its own.
fn keeps_comments(source: &str, text: &str) -> bool {
    let comments = |text: &str| -> Option<Vec<String>> {
        let file = YamlFile::from_str(text).ok()?;
        Some(file.comments().map(|comment| comment.text().trim().to_owned()).collect())
    };
    comments(source).is_some_and(|before| comments(text) == Some(before))
}

/// A line that is taken out may take the comment behind it along, but no other.
fn keeps_comment_lines(source: &str, text: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| line.starts_with('#')).map(str::to_owned).collect()
    };
    lines(source) == lines(text)
}

impl Change {
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::State(_) => "state",
            Self::KeepData(_) => "keepData",
            Self::Redeploy(_) => "redeploy",
            Self::EnableApi(_) => "enableApi",
            Self::Memory(_) => "memory",
            Self::Cpus(_) => "cpus",
            Self::Pids(_) => "pids",
            Self::Restart(_) => "restart",
            Self::Disk(_) => "disk",
            Self::Strategy(_) => "strategy",
            Self::Visitors(_) => "visitors",
            Self::Sleep(_) => "sleep",
            Self::Version(_) => "version",
            Self::Domains(_) => "domains",
        }
    }

    /// Takes a line out.
    fn removes(&self) -> bool {
        matches!(
            self,
            Self::KeepData(None)
                | Self::Memory(None)
                | Self::Cpus(None)
                | Self::Pids(None)
                | Self::Restart(None)
                | Self::Disk(None)
                | Self::Strategy(None)
                | Self::Visitors(None)
                | Self::Sleep(None)
                | Self::Version(None)
        ) || matches!(self, Self::Domains(names) if names.is_empty())
    }

    /// What the manifest says afterwards.
    fn apply(&self, manifest: &mut Manifest) {
        match self {
            Self::State(state) => manifest.state = *state,
            Self::KeepData(keep) => manifest.keep_data = *keep,
            Self::Redeploy(token) => manifest.redeploy = Some(token.clone()),
            Self::EnableApi(on) => manifest.enable_api = *on,
            Self::Memory(memory) => manifest.memory = *memory,
            Self::Cpus(cpus) => manifest.cpus = *cpus,
            Self::Pids(pids) => manifest.pids = *pids,
            Self::Restart(policy) => {
                let on_hang = manifest.restart.and_then(|restart| restart.on_hang);
                let says = policy.is_some() || on_hang.is_some();
                manifest.restart = says.then_some(Restart { policy: *policy, on_hang });
            }
            Self::Disk(disk) => manifest.disk = *disk,
            Self::Strategy(strategy) => manifest.strategy = *strategy,
            Self::Visitors(visitors) => manifest.visitors = *visitors,
            Self::Sleep(sleep) => manifest.sleep = *sleep,
            Self::Version(version) => manifest.version.clone_from(version),
            Self::Domains(names) => manifest.domains.clone_from(names),
        }
    }

    fn write(&self, document: &Document) -> Option<()> {
        let mapping = document.as_mapping()?;
        let key = self.key();
        let text = |value: Option<String>| match value {
            Some(value) => mapping.set(key, value.as_str()),
            None => drop(mapping.remove(key)),
        };
        match self {
            Self::State(state) => text(Some(state_word(*state).to_owned())),
            Self::KeepData(Some(on)) | Self::EnableApi(on) => mapping.set(key, *on),
            Self::KeepData(None) | Self::Cpus(None) | Self::Pids(None) => text(None),
            Self::Redeploy(token) => text(Some(token.clone())),
            Self::Memory(size) | Self::Disk(size) => text(size.map(|size| size.to_string())),
            // As a number: in quotes `"0.5"` would be right, too, but no one writes it so.
            Self::Cpus(Some(cpus)) => mapping.set(key, f64::from(cpus.0) / 1000.0),
            Self::Pids(Some(pids)) => mapping.set(key, i64::from(*pids)),
            // A group is none of its business: the text then is not what was wanted, and is left to a person.
            Self::Restart(policy) => text(policy.map(|policy| policy.to_string())),
            Self::Strategy(strategy) => text(strategy.map(|strategy| strategy_word(strategy).to_owned())),
            Self::Visitors(Some(visitors)) if visitors.view() != visitors.change() => {
                let written = YamlFile::from_str(&visitors.to_string()).ok()?.document()?;
                mapping.set(key, written.as_mapping()?);
            }
            Self::Sleep(Some(Sleep::After(after))) => {
                let written = YamlFile::from_str(&Sleep::After(*after).to_string()).ok()?.document()?;
                mapping.set(key, written.as_mapping()?);
            }
            Self::Sleep(sleep) => text(sleep.map(|sleep| sleep.to_string())),
            Self::Version(version) => text(version.as_ref().map(ToString::to_string)),
            Self::Domains(names) if names.is_empty() => text(None),
            // As people write them.
            Self::Domains(names) => {
                let list: Vec<_> = names.iter().map(DomainName::readable).collect();
                let written = YamlFile::from_str(&format!("[{}]", list.join(", "))).ok()?.document()?;
                mapping.set(key, written.as_sequence()?);
            }
            Self::Visitors(visitors) => text(visitors.map(|visitors| visitors.to_string())),
        }
        Some(())
    }
}

pub(super) fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Deleted => "deleted",
    }
}

pub(super) fn code_word(code: CodeMode) -> &'static str {
    match code {
        CodeMode::Versions => "versions",
        CodeMode::Live => "live",
    }
}

pub(super) fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling => "rolling",
        Strategy::Recreate => "recreate",
    }
}

#[cfg(test)]
mod tests;
