//! The bytes of a manifest file → [`Manifest`], or what is wrong with it and where. Pure.
//!
//! What is refused is refused whole: a manifest that half applies would be worse than the last good one.

mod fields;
mod values;

use self::fields::{Fields, Refusals, nearest};
use self::values::{
    backup, boolean, code, cpus, domains, env, parsed, redeploy, restart, size, sleep, start_timeout, state, strategy,
    version, visitors, whole,
};
use super::snapshot::Diagnostic;
use super::yaml::{self, Node, Refusal, Value};
use crate::model::manifest::MIN_MEMORY;
use crate::model::{Bytes, CodeMode, Manifest, RunState, Shown, TemplateId};

/// Largest manifest file in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// Every key of a manifest, in the order the documentation shows them.
pub const KEYS: [&str; 19] = [
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
    "sleep",
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
    let sleep = fields.read("sleep", sleep);
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
        sleep,
    })
}

#[cfg(test)]
mod tests;
