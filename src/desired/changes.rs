//! What differs between two manifests, in words for the event log. Pure.
//!
//! Values of `env` may be secrets and are never told, only the variables' names.

use std::fmt::Display;

use super::edit::{code_word, state_word, strategy_word};
use crate::model::manifest::{BackupPolicy, Restart};
use crate::model::{DomainName, Manifest, Shown};

/// Longest value that is told whole.
const MAX_VALUE: usize = 60;

/// A line per key that differs, in the order of the manifest's documentation. Empty when both say the same.
#[must_use]
pub fn changes(before: &Manifest, after: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    let mut key = |name: &str, before: Option<String>, after: Option<String>| {
        if before != after {
            let told = |value: Option<String>| value.map_or_else(|| "default".to_owned(), |value| clipped(&value));
            lines.push(format!("`{name}`: {} → {}", told(before), told(after)));
        }
    };
    key("template", text(Some(&before.template)), text(Some(&after.template)));
    key("enableApi", text(Some(before.enable_api)), text(Some(after.enable_api)));
    key("state", text(Some(state_word(before.state))), text(Some(state_word(after.state))));
    key("memory", text(before.memory), text(after.memory));
    key("cpus", text(before.cpus), text(after.cpus));
    key("pids", text(before.pids), text(after.pids));
    key("restart", before.restart.and_then(restart), after.restart.and_then(restart));
    key("redeploy", text(before.redeploy.as_ref()), text(after.redeploy.as_ref()));
    key("keepData", text(before.keep_data), text(after.keep_data));
    key("backup", before.backup.as_ref().map(backup), after.backup.as_ref().map(backup));
    key("disk", text(before.disk), text(after.disk));
    key("strategy", text(before.strategy.map(strategy_word)), text(after.strategy.map(strategy_word)));
    key("startTimeout", text(before.start_timeout), text(after.start_timeout));
    key("code", text(before.code.map(code_word)), text(after.code.map(code_word)));
    key("version", text(before.version.as_ref()), text(after.version.as_ref()));
    key("visitors", text(before.visitors), text(after.visitors));
    key("domains", domains(before), domains(after));
    key("sleep", text(before.sleep), text(after.sleep));
    let names = before.env.keys().chain(after.env.keys().filter(|name| !before.env.contains_key(*name)));
    for name in names {
        let what = match (before.env.get(name), after.env.get(name)) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(before), Some(after)) if before != after => "changed",
            (Some(_), Some(_)) => continue,
        };
        lines.push(format!("`env`: {} {what}", clipped(name)));
    }
    lines
}

fn text(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn domains(manifest: &Manifest) -> Option<String> {
    let names: Vec<_> = manifest.domains.iter().map(DomainName::readable).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn backup(policy: &BackupPolicy) -> String {
    let schedule = policy.schedule.as_deref().unwrap_or("default");
    let keep = policy.keep.map_or_else(|| "default".to_owned(), |keep| keep.to_string());
    format!("schedule {schedule}, keep {keep}")
}

fn restart(restart: Restart) -> Option<String> {
    let policy = restart.policy.map(|policy| policy.to_string());
    let on_hang = restart.on_hang.map(|on_hang| format!("onHang {on_hang}"));
    let parts: Vec<_> = policy.into_iter().chain(on_hang).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// On one line and not too long: a token may be any text.
fn clipped(value: &str) -> String {
    let mut start: String = value.chars().take(MAX_VALUE).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    Shown::at_most(&start, 4 * start.len()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::parse;

    fn told(before: &str, after: &str) -> String {
        let manifest = |text: &str| parse("x.yaml", format!("template: diary-v1\n{text}").as_bytes()).unwrap();
        changes(&manifest(before), &manifest(after)).join("; ")
    }

    #[test]
    fn every_key_that_differs_is_told_and_no_other() {
        for (before, after, want) in [
            ("", "", ""),
            ("# a comment", "state: running", ""),
            ("memory: 256m", "memory: 512m", "`memory`: 256m → 512m"),
            ("memory: 256m", "", "`memory`: 256m → default"),
            (
                "",
                "cpus: 0.5\npids: 9\nrestart: on-failure:3",
                "`cpus`: default → 0.5; `pids`: default → 9; `restart`: default → on-failure:3",
            ),
            ("", "enableApi: true", "`enableApi`: false → true"),
            (
                "state: stopped",
                "state: deleted\nkeepData: false",
                "`state`: stopped → deleted; `keepData`: default → false",
            ),
            ("redeploy: a", "redeploy: b", "`redeploy`: a → b"),
            ("", "backup: {keep: 3}", "`backup`: default → schedule default, keep 3"),
            ("startTimeout: 120s", "", "`startTimeout`: 2m → default"),
            ("restart: always", "restart: {policy: always, onHang: true}", "`restart`: always → always, onHang true"),
            ("disk: 1g", "disk: 2g\nstrategy: recreate", "`disk`: 1g → 2g; `strategy`: default → recreate"),
            ("", "code: live", "`code`: default → live"),
            ("domains: [A.kr]", "domains: [a.kr, 일기.한국]", "`domains`: a.kr → a.kr, 일기.한국"),
            ("version: 3f2a91c04be7d815", "", "`version`: 3f2a91c04be7d815 → default"),
            ("sleep: never", "sleep: {after: 90s}", "`sleep`: never → {after: 90s}"),
            (
                "visitors: owner",
                "visitors: {view: guests, change: owner}",
                "`visitors`: owner → {view: guests, change: owner}",
            ),
        ] {
            assert_eq!(told(before, after), want, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn values_of_the_environment_are_never_told() {
        let told = told("env: {A: secret1, B: secret2, C: same}", "env: {B: secret3, C: same, D: secret4}");
        assert_eq!(told, "`env`: A removed; `env`: B changed; `env`: D added");
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = told("", &format!("redeploy: {}", "z".repeat(100)));
        assert_eq!(long, format!("`redeploy`: default → {}…", "z".repeat(60)));
    }
}
