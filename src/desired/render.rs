//! A manifest as the text that a new file starts with. Pure.

use std::fmt::Write as _;

use super::edit::{code_word, state_word, strategy_word};
use crate::model::{AppKey, Manifest, RunState};

/// YAML that parses back to the same manifest, with comments for whoever opens the file next. Only what differs from a
/// default is written.
pub fn render(key: &AppKey, manifest: &Manifest) -> String {
    let mut text = format!(
        "# The app `{key}`. Save this file and the daemon makes the app match it.\n\
         # All keys and examples: examples/README.md\n\
         template: {}\n",
        manifest.template
    );
    if manifest.enable_api {
        line(&mut text, "enableApi", "true");
    }
    if manifest.state != RunState::Running {
        line(&mut text, "state", state_word(manifest.state));
    }
    if let Some(memory) = manifest.memory {
        line(&mut text, "memory", &memory.to_string());
    }
    if let Some(cpus) = manifest.cpus {
        line(&mut text, "cpus", &cpus.to_string());
    }
    if let Some(pids) = manifest.pids {
        line(&mut text, "pids", &pids.to_string());
    }
    if let Some(restart) = manifest.restart {
        // In quotes: other programs read a bare `no` as false.
        let policy = restart.policy.map(|policy| quoted(&policy.to_string()));
        let value = match (policy, restart.on_hang) {
            (Some(policy), None) => policy,
            (policy, on_hang) => {
                let policy = policy.map(|policy| format!("policy: {policy}"));
                let on_hang = on_hang.map(|on_hang| format!("onHang: {on_hang}"));
                format!("{{{}}}", policy.into_iter().chain(on_hang).collect::<Vec<_>>().join(", "))
            }
        };
        line(&mut text, "restart", &value);
    }
    if !manifest.env.is_empty() {
        text.push_str("env:\n");
        for (name, value) in &manifest.env {
            line(&mut text, &format!("  {name}"), &quoted(value));
        }
    }
    if let Some(token) = &manifest.redeploy {
        line(&mut text, "redeploy", &quoted(token));
    }
    if let Some(keep) = manifest.keep_data {
        line(&mut text, "keepData", &keep.to_string());
    }
    if let Some(backup) = &manifest.backup {
        let schedule = backup.schedule.as_ref().map(|schedule| format!("schedule: {}", quoted(schedule)));
        let keep = backup.keep.map(|keep| format!("keep: {keep}"));
        let parts: Vec<String> = schedule.into_iter().chain(keep).collect();
        line(&mut text, "backup", &format!("{{{}}}", parts.join(", ")));
    }
    if let Some(disk) = manifest.disk {
        line(&mut text, "disk", &disk.to_string());
    }
    if let Some(strategy) = manifest.strategy {
        line(&mut text, "strategy", strategy_word(strategy));
    }
    if let Some(timeout) = manifest.start_timeout {
        line(&mut text, "startTimeout", &timeout.to_string());
    }
    if let Some(code) = manifest.code {
        line(&mut text, "code", code_word(code));
    }
    if let Some(version) = &manifest.version {
        line(&mut text, "version", &quoted(version.as_str()));
    }
    if let Some(visitors) = manifest.visitors {
        line(&mut text, "visitors", &visitors.to_string());
    }
    if !manifest.domains.is_empty() {
        let names: Vec<_> = manifest.domains.iter().map(|name| quoted(&name.readable())).collect();
        line(&mut text, "domains", &format!("[{}]", names.join(", ")));
    }
    if let Some(sleep) = manifest.sleep {
        line(&mut text, "sleep", &sleep.to_string());
    }
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{key}: {value}");
}

/// In double quotes, where any text can be written. What is not plain ASCII is kept as it is, except for characters that
/// YAML does not allow in a file.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Control characters, line and paragraph separators, byte order mark, non-characters.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::parse;

    #[test]
    fn every_manifest_reads_back_as_it_was() {
        let key = AppKey::parse("alice-diary").unwrap();
        for text in [
            "template: diary-v1",
            "template: diary-v1\nenableApi: true\nstate: deleted\nmemory: 64m\ncpus: 1.25\npids: 7\nrestart: 'no'\n\
             env: {A: '', B: \"it's: #1\\n\\ttab \\u0001 \\uFEFF \\u2028\", no: 'no', C: 한글 😀}\nredeploy: \"'x\\\\\"\n\
             keepData: false\nbackup: {schedule: \"0 3 * * *\", keep: 9}\ndisk: 1025k\nstrategy: recreate\n\
             startTimeout: 90s\nvisitors: {view: guests, change: owner}",
            "template: diary-v1\nvisitors: owner",
            "template: diary-v1\ndomains: [www.example.kr, 일기.한국, xn--80ak6aa92e.com]",
            "template: diary-v1\nsleep: never",
            "template: diary-v1\nsleep: {after: 30m}",
            "template: diary-v1\nbackup: {}",
            "template: diary-v1\nrestart: {onHang: true}",
            "template: diary-v1\nrestart: {policy: 'no', onHang: false}",
            "template: diary-v1\nrestart: {}",
            "template: diary-v1\nbackup: {keep: 1}\nstate: stopped",
        ] {
            let manifest = parse("x.yaml", text.as_bytes()).unwrap();
            let rendered = render(&key, &manifest);
            assert_eq!(parse("y.yaml", rendered.as_bytes()), Ok(manifest), "{rendered}");
        }
    }
}
