//! `docker-compose.yml`: the way out. Whoever no longer wants minipaas stops it, runs `paas down` and then `docker compose
//! up -d` in the app's folder, and gets the same container, down to its labels: a daemon started again later adopts it.
//!
//! Written for both tools that are around: `docker-compose` 1.29 (Python, in Debian 12) and `docker compose` (v2). The
//! newest format in which the former still knows `mem_limit`, `cpus`, `pids_limit` and `init` is 2.4; the latter ignores
//! the version.
//!
//! The filter of system calls is a file of its own beside it, [`SECCOMP_FILE`], because neither takes one inline; the former
//! looks for it in the current folder.

use std::fmt::Write as _;

use crate::model::MilliCpus;
use crate::model::spec::{
    Access, ContainerSpec, LOG_MAX_FILE, LOG_MAX_SIZE, OOM_SCORE, SECCOMP_FILE, SHM_SIZE, ULIMITS,
};

/// The file's text. Equal specifications give equal text.
#[must_use]
pub fn compose_yaml(spec: &ContainerSpec) -> String {
    let mut out = Text::default();
    out.line(0, "# Written by minipaas, and written again whenever the app changes: edit the app's manifest instead.");
    out.line(
        0,
        "# It is the way to run this app without minipaas: stop the daemon, run `paas down` (the container's name must",
    );
    out.line(0, "# be free), then `docker compose up -d` (or `docker-compose up -d`) in this folder. The container is the same,");
    out.line(0, "# and so is its data.");
    out.line(0, "version: \"2.4\"");
    out.line(0, "services:");
    // Not `app`: folders of one name would be one project, and their services one service.
    out.line(1, &format!("{}:", quote(&spec.hostname)));
    out.value(2, "container_name", &spec.name);
    out.value(2, "image", &spec.image);
    out.value(2, "hostname", &spec.hostname);
    out.value(2, "user", &spec.user);
    out.value(2, "working_dir", &spec.working_dir);
    out.list(2, "command", &spec.command);
    out.map(2, "environment", spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    out.map(2, "labels", spec.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    out.line(2, "volumes:");
    for mount in &spec.mounts {
        out.line(3, "- type: bind");
        out.value(4, "source", &mount.source.to_string_lossy());
        out.value(4, "target", &mount.target);
        out.line(4, &format!("read_only: {}", mount.access == Access::ReadOnly));
    }
    out.list(2, "tmpfs", spec.tmpfs.iter().map(|(path, options)| format!("{path}:{options}")));
    out.line(2, "read_only: true");
    out.line(2, "init: true");
    out.list(2, "cap_drop", ["ALL"]);
    out.list(2, "security_opt", ["no-new-privileges", &format!("seccomp:{SECCOMP_FILE}")]);
    out.line(2, "ulimits:");
    for limit in ULIMITS {
        out.line(3, &format!("{}:", limit.name));
        out.line(4, &format!("soft: {}", limit.soft));
        out.line(4, &format!("hard: {}", limit.hard));
    }
    out.line(2, &format!("shm_size: {}", SHM_SIZE.get()));
    out.line(2, &format!("oom_score_adj: {OOM_SCORE}"));
    out.line(2, &format!("mem_limit: {}", spec.limits.memory.get()));
    out.line(2, &format!("memswap_limit: {}", spec.limits.memory.get()));
    out.line(2, &format!("cpus: {}", cpus(spec.limits.cpus)));
    out.line(2, &format!("pids_limit: {}", spec.limits.pids));
    out.value(2, "restart", &spec.restart.to_string());
    out.value(2, "stop_grace_period", &format!("{}s", spec.stop_grace_seconds));
    out.line(2, "logging:");
    out.line(3, "driver: json-file");
    out.map(3, "options", [("max-size", LOG_MAX_SIZE), ("max-file", LOG_MAX_FILE)]);
    out.line(2, "networks:");
    out.line(3, "- apps");
    out.line(0, "networks:");
    out.line(1, "apps:");
    out.line(2, "external: true");
    out.value(2, "name", &spec.network);
    out.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, depth: usize, text: &str) {
        (0..depth).for_each(|_| self.0.push_str("  "));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn value(&mut self, depth: usize, name: &str, value: &str) {
        self.line(depth, &format!("{name}: {}", quote(&literal(value))));
    }

    /// Nothing at all for an empty list: a name without a value means null.
    fn list(&mut self, depth: usize, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        for (number, value) in values.into_iter().enumerate() {
            if number == 0 {
                self.line(depth, &format!("{name}:"));
            }
            self.line(depth + 1, &format!("- {}", quote(&literal(value.as_ref()))));
        }
    }

    /// Compose substitutes variables in values only, never in names.
    fn map<'a>(&mut self, depth: usize, name: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (number, (key, value)) in pairs.into_iter().enumerate() {
            if number == 0 {
                self.line(depth, &format!("{name}:"));
            }
            self.line(depth + 1, &format!("{}: {}", quote(key), quote(&literal(value))));
        }
    }
}

/// Keeps Compose from substituting variables.
fn literal(value: &str) -> String {
    value.replace('$', "$$")
}

/// A double-quoted YAML scalar. What some YAML reader might refuse, trim or take for a line end is escaped: control
/// characters, the separators U+0085, U+2028 and U+2029, the byte-order mark, and non-characters.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    // Nearly all there is needs no look at each character: this is written at every look at an app.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.push_str(text);
        out.push('"');
        return out;
    }
    for c in text.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' => write!(out, "{c}"),
            '\0'..='\u{ff}' => write!(out, "\\x{:02x}", u32::from(c)),
            '\u{100}'..='\u{ffff}' => write!(out, "\\u{:04x}", u32::from(c)),
            '\u{10000}'..='\u{10ffff}' => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push('"');
    out
}

/// `docker-compose` 1.29 multiplies the number by 10⁹ as a float and refuses what then is no whole number: 0.067 becomes
/// 67000000.00000001. Where that would happen, the next billionth of a core above is written that it takes; the kernel's
/// unit is a hundred thousandth, so the limit in force is the same.
fn cpus(cpus: MilliCpus) -> String {
    let wanted = cpus.nano();
    // Of all values below 512 cores none needs more than a few.
    for nano in wanted..wanted + 50 {
        let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "it is what the tool does, to the bit")]
        let taken = text.parse::<f64>().is_ok_and(|cores| cores * 1e9 == nano as f64);
        if taken {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
    }
    cpus.to_string()
}
