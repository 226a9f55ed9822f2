//! The scripts run where nothing is set: no variable but the home and the search path, as in a new terminal or in cron.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_file());
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

#[test]
fn every_script_explains_itself_when_it_is_called_wrongly_with_nothing_set() {
    for script in scripts() {
        let ran = Command::new(&script)
            .arg("--no-such-option")
            .env_clear()
            .envs(["HOME", "PATH"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        let script = script.display();
        assert_eq!(ran.status.code(), Some(64), "{script}: {told}");
        assert!(told.contains("scripts/"), "{script} does not say how it is called: {told}");
        assert!(!told.contains("unbound variable"), "{script}: {told}");
    }
}

/// Cargo, for one, refuses an empty `CARGO_TARGET_DIR`: what nobody set must not be handed on as set to nothing.
#[test]
fn no_script_hands_on_what_is_not_set() {
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        for line in text.lines() {
            let name = line.split_once(":-}").and_then(|(before, _)| before.rsplit_once("${")).map(|(_, name)| name);
            let hands_on = name.is_some_and(|name| line.contains(&format!("{name}=${{{name}:-}}")));
            assert!(!hands_on, "{}: {line}", script.display());
        }
    }
}
