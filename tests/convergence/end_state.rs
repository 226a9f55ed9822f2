//! The end of a run as text, to be held against another run's end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use minipaas::model::{Digest, SyncState, labels};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;

/// Everything that outlives a run, ids, times and addresses aside.
pub(crate) fn end_state(world: &World, daemon: Option<&Daemon>) -> String {
    let mut text = String::new();
    // Own host names are on a container's labels as they were when it was made, whenever that was.
    let told = world.docker.end_state();
    for line in told.lines().filter(|line| !line.trim_start().starts_with(labels::DOMAINS)) {
        // How an earlier run ended is history.
        let words: Vec<&str> = line.split(' ').filter(|word| !word.starts_with("exit=")).collect();
        let _ = writeln!(text, "{}", words.join(" "));
    }
    for (key, folder) in world.folders.apps() {
        let compose = folder.compose.map(|text| Digest::of(text.as_bytes()).short().to_owned());
        let _ = writeln!(
            text,
            "folder {key}: code={:?} staged={} data={:?} owned={} compose={compose:?}",
            folder.code,
            folder.staged,
            folder.data.map(|files| files.into_keys().collect::<Vec<_>>()),
            folder.data_owned,
        );
    }
    // A crash may leave an app without `logs/`: it is made when the first line is written.
    let trash = world.folders.trash();
    let trash = trash.iter().filter(|trashed| trashed.part != "logs");
    let trash: BTreeSet<String> = trash.map(|trashed| format!("trash {} {}", trashed.key, trashed.part)).collect();
    for line in trash {
        let _ = writeln!(text, "{line}");
    }
    for row in world.store.rows() {
        let failed = row.failed.map(|failed| failed.identity.to_string());
        let _ = writeln!(text, "row {}: {} {:?} failed={failed:?}", row.key, row.digest.short(), row.domains);
    }
    if let Some(daemon) = daemon {
        let status = daemon.status();
        for app in status.apps.values() {
            let conditions: Vec<String> = app
                .conditions
                .iter()
                .map(|condition| format!("{:?}={}:{}", condition.kind, condition.status, condition.reason))
                .collect();
            // Of a file that does not count, whether it once did is history.
            let applied = (app.sync != SyncState::Invalid).then_some(app.applied_digest == app.file_digest);
            let _ = writeln!(
                text,
                "status {}: {:?} {:?} {:?} {:?} applied={applied:?} {}",
                app.app,
                app.domains,
                app.desired,
                app.sync,
                app.health,
                conditions.join(" ")
            );
        }
        let _ = writeln!(text, "held {:?}", status.held.as_ref().map(|held| &held.apps));
    }
    text
}

pub(crate) fn difference(what: &str, wanted: &str, found: &str) -> Option<String> {
    let (wanted, found): (BTreeSet<&str>, BTreeSet<&str>) = (wanted.lines().collect(), found.lines().collect());
    if wanted == found {
        return None;
    }
    let lines = wanted.difference(&found).map(|line| format!("\n       - {line}"));
    let lines: String = lines.chain(found.difference(&wanted).map(|line| format!("\n       + {line}"))).collect();
    Some(format!("{what}{lines}"))
}

/// The same without what tells of the way instead of the end: a daemon that was down for some of the steps never trashed, nor
/// gave up, what the other one did on them, and never made a data folder for an app that was created and deleted meanwhile.
pub(crate) fn without_history(end_state: &str) -> String {
    let left_over = |line: &str| line.starts_with("folder ") && line.contains(" code=None ");
    let lines = end_state.lines().filter(|line| !line.starts_with("trash ") && !left_over(line));
    let lines = lines.map(|line| line.split(" failed=").next().unwrap_or_default());
    lines.fold(String::new(), |text, line| text + line + "\n")
}
