//! Who changed which key of which manifest, and through which door: rows of the event log.
//!
//! The file is the only truth, so what changed is learned from the file. Who changed it is told beforehand: a door of ours
//! announces the digest that the file will have. A change that nobody announced was made to the file itself.
//!
//! # Guarantees
//! - What came about while the daemon was down was done by whoever signed the file (`desired::signature`), so a crash between
//!   a change and its row loses nobody's name.
//! - A change of a file that the daemon saw is told once. One that came about while the daemon was down is told at its start,
//!   against what the inventory holds, unless it is the last that the event log tells of that file: the inventory follows later
//!   than the log, and may never (a quota, a hold).
//! - Values of `env` are never told.
//!
//! # What remains
//! - Changes that follow each other within the watcher's 10 ms are one reading and one row. It names everybody who had
//!   announced something; an editor that saved the same file in that time is not known.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::desired::{FileEntry, Snapshot, changes};
use crate::history::Did;
use crate::model::shown::message;
use crate::model::{AppKey, Cause, Digest, Event, EventKind, InventoryRow, Manifest, RunState, Timestamp};

/// An announced change that was not seen by then was not made, or was overwritten at once.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Announced and not seen yet. More than that is no person's work, and their edits count as made to the file.
const MOST: usize = 256;
/// Of these by one and the same.
const MOST_OF_ONE: usize = 64;

const UNANNOUNCED: &str = "a file on disk";
const MEANWHILE: &str = "a file on disk, while the daemon was down";
/// What is told of an app whose removal a person has confirmed.
pub(super) const CONFIRMED: &str = "confirmed that it is removed, its manifest having vanished";

/// What was announced, and what was last seen.
#[derive(Debug, Default)]
pub(super) struct Audit {
    announced: VecDeque<Announced>,
    /// The last reading that was complete. What is absent from any other may only be out of sight.
    seen: Option<Arc<Snapshot>>,
    /// What the event log last told of each file, before this life.
    told: BTreeMap<AppKey, String>,
}

#[derive(Debug)]
struct Announced {
    key: AppKey,
    digest: Digest,
    by: String,
    at: Instant,
}

impl Audit {
    /// `told`: what the event log last tells of each file.
    pub(super) fn new(told: BTreeMap<AppKey, String>) -> Self {
        Self { told, ..Self::default() }
    }

    /// The app's file is about to have this digest.
    pub(super) fn announce(&mut self, key: AppKey, digest: Digest, by: String) {
        let now = Instant::now();
        self.announced.retain(|announced| now - announced.at < KEPT_FOR);
        let of_one = self.announced.iter().filter(|made| made.by == by).count();
        if of_one >= MOST_OF_ONE {
            self.drop_oldest_of(&by);
        } else if self.announced.len() >= MOST {
            // Whoever announces the most loses one, so nobody can crowd out the others.
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for made in &self.announced {
                *counts.entry(&made.by).or_default() += 1;
            }
            if let Some(busiest) = counts.into_iter().max_by_key(|(_, count)| *count).map(|(by, _)| by.to_owned()) {
                self.drop_oldest_of(&busiest);
            }
        }
        self.announced.push_back(Announced { key, digest, by, at: now });
    }

    fn drop_oldest_of(&mut self, by: &str) {
        if let Some(place) = self.announced.iter().position(|made| made.by == by) {
            self.announced.remove(place);
        }
    }

    /// The announced change was not made after all.
    pub(super) fn withdraw(&mut self, key: &AppKey, digest: &Digest) {
        let latest = self.announced.iter().rposition(|made| made.key == *key && made.digest == *digest);
        if let Some(place) = latest {
            self.announced.remove(place);
        }
    }

    /// What is different from the reading before, as rows for the event log. `rows` is the inventory.
    pub(super) fn compare(
        &mut self,
        complete: &Arc<Snapshot>,
        rows: &BTreeMap<AppKey, InventoryRow>,
        now: Timestamp,
    ) -> Vec<Event> {
        let seen = self.seen.replace(Arc::clone(complete));
        let told = std::mem::take(&mut self.told);
        let is_told = |key: &AppKey, what: &str| told.get(key).is_some_and(|told| message(told) == message(what));
        let mut events = Vec::new();
        for (key, file) in &complete.files {
            let what = what_changed(seen.as_deref(), key, rows.get(key), file);
            if let Some(what) = what.filter(|what| !is_told(key, what)) {
                let by = self.who(key, file, seen.is_some());
                events.push(Event {
                    at: now,
                    app: Some(key.clone()),
                    kind: EventKind::Changed,
                    what,
                    cause: Cause(by),
                });
            }
        }
        let vanished: Vec<&AppKey> = match &seen {
            Some(seen) => seen.files.keys().filter(|key| !complete.files.contains_key(*key)).collect(),
            None => rows.keys().filter(|key| !complete.files.contains_key(*key)).collect(),
        };
        for key in vanished {
            let what = format!("removed {}", key.file_name());
            let is_confirmed = told.get(key).is_some_and(|told| told == CONFIRMED);
            if is_told(key, &what) || is_confirmed {
                continue;
            }
            let by = if seen.is_some() { UNANNOUNCED } else { MEANWHILE };
            events.push(Event {
                at: now,
                app: Some(key.clone()),
                kind: EventKind::Changed,
                what,
                cause: Cause::new(by),
            });
        }
        events
    }

    /// Whoever announced this very file, after those whose changes it must contain.
    fn who(&mut self, key: &AppKey, file: &FileEntry, was_up: bool) -> String {
        let Some(last) = self.announced.iter().rposition(|made| made.key == *key && made.digest == file.digest) else {
            // A file that is put back with `cp -a` is signed by whoever once wrote it: what nobody announced was done to the file.
            let signed = file.signed.as_deref().filter(|_| !was_up);
            return signed.unwrap_or(if was_up { UNANNOUNCED } else { MEANWHILE }).to_owned();
        };
        let mut names: Vec<String> = Vec::new();
        let mut place = 0;
        self.announced.retain(|made| {
            let contained = place <= last && made.key == *key;
            place += 1;
            if contained && !names.contains(&made.by) {
                names.push(made.by.clone());
            }
            !contained
        });
        names.join(", then ")
    }
}

/// `seen`: the reading before, if there was one. `None` = nothing to tell.
fn what_changed(seen: Option<&Snapshot>, key: &AppKey, row: Option<&InventoryRow>, file: &FileEntry) -> Option<String> {
    let at_start = seen.is_none();
    let before = seen.and_then(|seen| seen.files.get(key));
    if before.is_some_and(|before| before.digest == file.digest) {
        return None;
    }
    let manifest = match &file.parsed {
        Ok(manifest) => manifest,
        // At every start it would be news again: the row stays as it was for as long as the file is not usable.
        Err(_) if at_start => return None,
        Err(diagnostic) => return Some(format!("edited so that it cannot be used: {diagnostic}")),
    };
    if before.is_none() && row.is_some_and(|row| row.digest == file.digest) {
        return (!at_start).then(|| "put the manifest back as it was".to_owned());
    }
    let known = before.and_then(|before| before.parsed.as_ref().ok()).or(row.map(|row| &row.manifest));
    let Some(known) = known else {
        // What was deleted has no row any more, and that it is still deleted is no news.
        return (!at_start || manifest.state != RunState::Deleted).then(|| created(manifest));
    };
    let lines = changes(known, manifest);
    Some(if lines.is_empty() {
        "edited without changing a key".to_owned()
    } else {
        format!("changed {}", lines.join("; "))
    })
}

/// How the row of a new manifest begins.
const CREATED: &str = "created from template ";

fn created(manifest: &Manifest) -> String {
    format!("{CREATED}`{}`", manifest.template)
}

/// What somebody did to an app, by a row of its changes: the event log keeps them in words only.
#[must_use]
pub fn did(row: &str) -> Did {
    let changes = |key: &str| row.contains(&format!("`{key}`: "));
    match () {
        () if row.starts_with(CREATED) => Did::Make,
        // Who deploys after going back changes both.
        () if changes("version") && !changes("redeploy") => Did::GoBack,
        () => Did::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Completeness, parse};
    use crate::model::{InstanceId, Template, TemplateId, TemplateRestart};

    fn key() -> AppKey {
        AppKey::parse("alice-diary").unwrap()
    }

    fn reading(text: Option<&str>) -> Arc<Snapshot> {
        let file = |text: &str| FileEntry {
            path: "alice-diary.yaml".into(),
            digest: Digest::of(text.as_bytes()),
            modified: Timestamp(0),
            parsed: parse("alice-diary.yaml", text.as_bytes()),
            signed: None,
        };
        let instance = InstanceId::parse("00c0ffee00c0ffee").unwrap();
        Arc::new(Snapshot {
            files: text.map(|text| (key(), file(text))).into_iter().collect(),
            completeness: Completeness::Complete { instance },
            ..Snapshot::unread()
        })
    }

    fn rows(text: Option<&str>) -> BTreeMap<AppKey, InventoryRow> {
        let row = |text: &str| InventoryRow {
            key: key(),
            admitted_at: Timestamp(0),
            manifest: parse("alice-diary.yaml", text.as_bytes()).unwrap(),
            template: Template {
                id: TemplateId::parse("diary-v1").unwrap(),
                name: "diary".to_owned(),
                description: String::new(),
                version: "1".to_owned(),
                supports_api: true,
                internal_port: 3000,
                health_path: None,
                start_timeout: None,
                restart: TemplateRestart::default(),
                visitors: None,
                sleep: None,
            },
            digest: Digest::of(text.as_bytes()),
            failed: None,
            versions: None,
            domains: Vec::new(),
            asleep: None,
            restored: None,
        };
        text.map(|text| (key(), row(text))).into_iter().collect()
    }

    fn tell(events: &[Event]) -> String {
        let lines: Vec<_> = events.iter().map(|event| format!("{} - {}", event.what, event.cause)).collect();
        lines.join("\n")
    }

    #[test]
    fn what_somebody_did_is_told_by_the_rows_that_are_written() {
        let version = "version: \"0123456789abcdef\"";
        for (before, after, want) in [
            (None, "redeploy: one".to_owned(), Did::Make),
            (Some("redeploy: one".to_owned()), format!("redeploy: one\n{version}"), Did::GoBack),
            (Some(format!("redeploy: one\n{version}")), "redeploy: two".to_owned(), Did::Other),
            (Some("redeploy: one".to_owned()), "redeploy: two".to_owned(), Did::Other),
            (Some("redeploy: one".to_owned()), "redeploy: one\nenv: {version: a}".to_owned(), Did::Other),
        ] {
            let file = |keys: &String| reading(Some(&format!("{ONE}\n{keys}\n")));
            let (seen, now) = (before.as_ref().map_or_else(|| reading(None), file), file(&after));
            let row = what_changed(Some(&seen), &key(), None, &now.files[&key()]).unwrap();
            assert_eq!(did(&row), want, "{row}");
        }
    }

    const ONE: &str = "template: diary-v1";
    const TWO: &str = "template: diary-v1\nmemory: 512m";
    const THREE: &str = "template: diary-v1\nmemory: 512m\nstate: stopped";

    #[test]
    fn a_start_tells_what_changed_since_the_inventory_was_written() {
        for (row, file, want) in [
            (None, None, ""),
            (Some(ONE), Some(ONE), ""),
            (Some(ONE), Some(TWO), "changed `memory`: default → 512m - a file on disk, while the daemon was down"),
            (Some(ONE), None, "removed alice-diary.yaml - a file on disk, while the daemon was down"),
            (None, Some(ONE), "created from template `diary-v1` - a file on disk, while the daemon was down"),
            (None, Some("template: diary-v1\nstate: deleted"), ""),
            (Some(ONE), Some("template: ["), ""),
        ] {
            let events = Audit::default().compare(&reading(file), &rows(row), Timestamp(0));
            assert_eq!(tell(&events), want, "{row:?} {file:?}");
        }
    }

    #[test]
    fn what_the_event_log_tells_already_is_not_told_at_the_next_start() {
        let removed = "removed alice-diary.yaml";
        let changed = "changed `memory`: default → 512m";
        let created = "created from template `diary-v1`";
        for (told, row, file, want) in [
            (removed, Some(ONE), None, ""),
            (CONFIRMED, Some(ONE), None, ""),
            (changed, Some(ONE), None, "removed alice-diary.yaml - a file on disk, while the daemon was down"),
            (changed, Some(ONE), Some(TWO), ""),
            (
                removed,
                Some(ONE),
                Some(TWO),
                "changed `memory`: default → 512m - a file on disk, while the daemon was down",
            ),
            (created, None, Some(ONE), ""),
            (removed, None, Some(ONE), "created from template `diary-v1` - a file on disk, while the daemon was down"),
        ] {
            let mut audit = Audit::new(BTreeMap::from([(key(), told.to_owned())]));
            let events = audit.compare(&reading(file), &rows(row), Timestamp(0));
            assert_eq!(tell(&events), want, "{told} {row:?} {file:?}");
            // It counts for the first reading only.
            let events = audit.compare(&reading(None), &rows(row), Timestamp(0));
            assert_eq!(events.len(), usize::from(file.is_some()), "{told} {row:?} {file:?}");
        }
    }

    #[test]
    fn at_a_start_a_change_is_whose_name_the_file_has_and_later_whose_announced_it() {
        let signed = |text| {
            let mut snapshot = Snapshot::clone(&reading(Some(text)));
            snapshot.files.get_mut(&key()).unwrap().signed = Some("key 1".to_owned());
            Arc::new(snapshot)
        };
        let mut audit = Audit::default();
        let events = audit.compare(&signed(TWO), &rows(Some(ONE)), Timestamp(0));
        assert_eq!(tell(&events), "changed `memory`: default → 512m - key 1");
        let events = audit.compare(&signed(ONE), &rows(Some(TWO)), Timestamp(0));
        assert_eq!(tell(&events), "changed `memory`: 512m → default - a file on disk");
    }

    #[test]
    fn what_nobody_announced_was_done_to_the_file() {
        for (row, before, after, want) in [
            (None, None, Some(ONE), "created from template `diary-v1` - a file on disk"),
            (Some(ONE), Some(ONE), Some(ONE), ""),
            (Some(ONE), Some(ONE), Some(TWO), "changed `memory`: default → 512m - a file on disk"),
            (
                Some(ONE),
                Some(ONE),
                Some("# hello\ntemplate: diary-v1"),
                "edited without changing a key - a file on disk",
            ),
            (Some(ONE), Some(ONE), None, "removed alice-diary.yaml - a file on disk"),
            (Some(ONE), None, Some(ONE), "put the manifest back as it was - a file on disk"),
            (Some(ONE), None, Some(TWO), "changed `memory`: default → 512m - a file on disk"),
            (Some(ONE), Some("template: ["), Some(TWO), "changed `memory`: default → 512m - a file on disk"),
            (
                Some(ONE),
                Some(ONE),
                Some("template: ["),
                "edited so that it cannot be used: alice-diary.yaml:1:11: not valid YAML: unclosed bracket '[' (give every \
                 opening bracket its closing one) - a file on disk",
            ),
        ] {
            let mut audit = Audit { seen: Some(reading(before)), ..Audit::default() };
            let events = audit.compare(&reading(after), &rows(row), Timestamp(0));
            assert_eq!(tell(&events), want, "{before:?} → {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_announced_the_very_file_is_named_and_those_before_with_them() {
        let announce = |audit: &mut Audit, text: &str, by: &str| {
            audit.announce(key(), Digest::of(text.as_bytes()), by.to_owned());
        };
        let start = || Audit { seen: Some(reading(Some(ONE))), ..Audit::default() };
        let by = |audit: &mut Audit, text: &str| {
            audit.compare(&reading(Some(text)), &rows(Some(ONE)), Timestamp(0))[0].cause.to_string()
        };

        let mut audit = start();
        announce(&mut audit, TWO, "key 1");
        assert_eq!(by(&mut audit, TWO), "key 1");
        assert_eq!(by(&mut audit, ONE), "a file on disk");
        assert_eq!(by(&mut audit, TWO), "a file on disk", "an announcement counts once");

        let mut audit = start();
        announce(&mut audit, TWO, "key 1");
        announce(&mut audit, THREE, "key 2");
        assert_eq!(by(&mut audit, THREE), "key 1, then key 2");

        let mut audit = start();
        announce(&mut audit, TWO, "key 1");
        announce(&mut audit, THREE, "key 2");
        assert_eq!(by(&mut audit, TWO), "key 1", "the second is announced, not written yet");
        assert_eq!(by(&mut audit, THREE), "key 2");

        let mut audit = start();
        announce(&mut audit, TWO, "key 1");
        audit.withdraw(&key(), &Digest::of(TWO.as_bytes()));
        announce(&mut audit, THREE, "key 2");
        assert_eq!(by(&mut audit, THREE), "key 2");

        let mut audit = start();
        announce(&mut audit, THREE, "key 2");
        for number in 0..1000 {
            announce(&mut audit, &number.to_string(), "key 1");
        }
        assert_eq!(audit.announced.len(), MOST_OF_ONE + 1);
        for number in 0..1000 {
            announce(&mut audit, &number.to_string(), &format!("key {}", 3 + number % 10));
        }
        assert_eq!(audit.announced.len(), MOST);
        assert!(audit.announced.iter().any(|made| made.by == "key 2"), "one that announces little is not crowded out");
        tokio::time::advance(KEPT_FOR).await;
        announce(&mut audit, TWO, "key 1");
        assert_eq!(audit.announced.len(), 1, "what did not come about is forgotten");
    }
}
