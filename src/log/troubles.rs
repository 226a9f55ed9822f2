//! What is wrong for a while stands in the log as well: one warning when it begins, one line when it is over. The status tells
//! it only to who asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::model::status::ManifestsStatus;
use crate::model::{ConditionKind, DaemonStatus};

/// What is over in the end, and what is to be done about it until then.
type Troubles = BTreeMap<String, String>;

/// Runs until told to stop.
pub async fn tell_troubles(mut status_rx: watch::Receiver<Arc<DaemonStatus>>, stop: CancellationToken) {
    let mut told = Troubles::new();
    loop {
        let now = troubles(&status_rx.borrow_and_update());
        for (what, message) in begun(&told, &now) {
            tracing::warn!("{what}: {message}");
        }
        for what in over(&told, &now) {
            tracing::info!("{what}: over");
        }
        told = now;
        // Cancel-safe: a change that is not taken is seen by the next call.
        tokio::select! {
            () = stop.cancelled() => return,
            changed = status_rx.changed() => if changed.is_err() { return },
        }
    }
}

fn troubles(status: &DaemonStatus) -> Troubles {
    let mut found = Troubles::new();
    if let ManifestsStatus::Unavailable { reason, .. } = &status.manifests {
        found.insert("manifests cannot be read".to_owned(), format!("nothing is removed meanwhile: {reason}"));
    }
    if let Some(held) = &status.held {
        found.insert("a removal is held".to_owned(), held.message.clone());
    }
    if !status.settings_problems.is_empty() {
        let mut lines = "the last good settings stay in force".to_owned();
        for problem in &status.settings_problems {
            let _ = write!(lines, "; {problem}");
        }
        found.insert("settings are refused".to_owned(), lines);
    }
    for problem in &status.file_problems {
        found.insert(format!("the file {} is refused", problem.file), problem.message.clone());
    }
    for (key, app) in &status.apps {
        let invalid = app.condition(ConditionKind::Invalid).filter(|condition| condition.status);
        if let Some(invalid) = invalid {
            found.insert(format!("the manifest of {key} is refused"), invalid.message.clone());
        }
    }
    found
}

/// What was not told yet, or reads otherwise by now.
fn begun<'a>(told: &Troubles, now: &'a Troubles) -> impl Iterator<Item = (&'a String, &'a String)> {
    now.iter().filter(|(what, message)| told.get(*what) != Some(message))
}

fn over<'a>(told: &'a Troubles, now: &Troubles) -> impl Iterator<Item = &'a String> {
    told.keys().filter(|what| !now.contains_key(*what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::status::{FileProblem, HeldRemoval};

    #[test]
    fn a_trouble_is_told_when_it_begins_when_it_changes_and_when_it_is_over() {
        let calm = DaemonStatus::unseen();
        let mut bad = calm.clone();
        bad.manifests = ManifestsStatus::Unavailable { reason: "no marker".to_owned(), since: Timestamp(0) };
        bad.settings_problems = vec![".env:1: one".to_owned(), ".env:2: two".to_owned()];
        bad.file_problems = vec![FileProblem { file: "Bob.yaml".to_owned(), message: "no app".to_owned() }];
        bad.held = Some(HeldRemoval {
            token: "3f9c2a41".to_owned(),
            apps: Vec::new(),
            message: "3 of 3 manifests vanished together".to_owned(),
            since: Timestamp(0),
        });
        let (none, first) = (troubles(&calm), troubles(&bad));
        let told: Vec<String> = begun(&none, &first).map(|(what, message)| format!("{what}: {message}")).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        a removal is held: 3 of 3 manifests vanished together
        manifests cannot be read: nothing is removed meanwhile: no marker
        settings are refused: the last good settings stay in force; .env:1: one; .env:2: two
        the file Bob.yaml is refused: no app
        ");
        assert_eq!(begun(&first, &first).count(), 0, "once");
        // As time goes by nothing new is told.
        if let ManifestsStatus::Unavailable { since, .. } = &mut bad.manifests {
            *since = Timestamp(5);
        }
        assert_eq!(begun(&first, &troubles(&bad)).count(), 0);
        bad.settings_problems.pop();
        bad.file_problems.clear();
        let second = troubles(&bad);
        let again: Vec<_> = begun(&first, &second).map(|(what, _)| what.as_str()).collect();
        assert_eq!(again, ["settings are refused"]);
        assert_eq!(over(&first, &second).collect::<Vec<_>>(), ["the file Bob.yaml is refused"]);
        assert_eq!(over(&first, &none).count(), 4);
    }
}
