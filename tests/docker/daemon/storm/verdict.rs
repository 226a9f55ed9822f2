//! The end: every acknowledged entry, every checksum, every foreign container.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use super::ledger::{Ledger, Way, entries_in};
use super::world::{Expect, World};

/// Where an entry was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    app: String,
    data: PathBuf,
    id: i64,
}

impl World {
    /// Returns how many entries were acknowledged, and how many seconds the run took.
    pub(super) fn verdict(mut self) -> (usize, u64) {
        self.history.say("== the verdict");
        let ledgers = self.writers.ledgers();
        let mut violations = Vec::new();
        let shown = self.shown_entries();
        self.stop_everything();
        let found = self.found_entries(&mut violations);
        judge_ledgers(&ledgers, &found, &mut violations);
        for (app, entries) in &shown {
            let data = self.daemon.folder(app).join("data");
            let of_file = found.iter().flat_map(|(text, places)| places.iter().map(move |place| (text, place)));
            let in_file: BTreeSet<_> =
                of_file.filter(|(_, place)| place.data == data).map(|(text, place)| (place.id, text.clone())).collect();
            if in_file != *entries {
                violations.push(format!("{app} shows {} entries, its file has {}", entries.len(), in_file.len()));
            }
        }
        self.judge_folders(&mut violations);
        let written = ledgers.values().map(|ledger| ledger.acknowledged.len()).sum();
        for (app, ledger) in &ledgers {
            let by = |way| ledger.acknowledged.iter().filter(|entry| entry.way == way).count();
            let (gateway, direct) = (by(Way::Gateway), by(Way::Direct));
            let line = format!("{app}: {} attempts, {gateway} + {direct} acknowledged", ledger.attempts);
            self.history.say(&line);
            println!("  {line} (gateway + direct)");
            if gateway == 0 || direct == 0 {
                violations.push(format!("{line}: a way that never worked proves nothing"));
            }
        }
        assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
        (written, self.history.seconds())
    }

    /// All entries of the running diaries, as their owners see them.
    fn shown_entries(&self) -> BTreeMap<String, BTreeSet<(i64, String)>> {
        let running = self.slots.iter().filter(|(_, slot)| slot.expect == Expect::Running && slot.is_diary());
        running.map(|(app, _)| (app.clone(), self.pages_of(app))).collect()
    }

    fn pages_of(&self, app: &str) -> BTreeSet<(i64, String)> {
        let mut entries = BTreeSet::new();
        let mut before = String::new();
        loop {
            let answer = self.daemon.get(app, &format!("/api/entries?limit=100{before}"));
            assert_eq!(answer.status, 200, "{app}: {}", answer.text());
            let page = answer.json();
            for entry in page["entries"].as_array().unwrap() {
                entries.insert((entry["id"].as_i64().unwrap(), entry["excerpt"].as_str().unwrap().to_owned()));
            }
            let Some(next) = page["next"].as_i64() else { return entries };
            before = format!("&before={next}");
        }
    }

    /// In good order, as at the end of a day; the files are looked at only when nobody writes any more.
    fn stop_everything(&mut self) {
        self.daemon.kill();
        for container in self.containers().expect("Docker answers") {
            // 304: it stopped between the listing and now, as one that crashes again and again does.
            let answer = self.daemon.docker.ask("POST", &format!("/containers/{}/stop?t=10", container.id), None);
            assert!(matches!(answer.status, 204 | 304), "{}: {}", container.name, answer.text());
        }
    }

    /// Every place where data of an app may lie: its folder, and what was purged.
    fn data_of(&self, app: &str) -> Vec<PathBuf> {
        let trashed = self.daemon.trashed(app, "data");
        let places = std::iter::once(self.daemon.folder(app)).chain(trashed);
        places.map(|place| place.join("data")).filter(|data| data.exists()).collect()
    }

    fn found_entries(&self, violations: &mut Vec<String>) -> BTreeMap<String, Vec<Found>> {
        let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        for (app, _) in self.slots.iter().filter(|(_, slot)| slot.is_diary()) {
            for data in self.data_of(app) {
                // An app that was given up before its first start.
                if !data.join("db.sqlite3").exists() {
                    continue;
                }
                match entries_in(&data) {
                    Ok(entries) => {
                        for (id, text) in entries {
                            found.entry(text).or_default().push(Found { app: app.clone(), data: data.clone(), id });
                        }
                    }
                    Err(error) => violations.push(format!("{}: {error}", data.display())),
                }
            }
        }
        found
    }

    fn judge_folders(&mut self, violations: &mut Vec<String>) {
        let outside = self.outside();
        for kept in &self.checksums {
            violations.extend(kept.trouble(&self.data_of(&kept.app), &outside));
        }
        for (app, slot) in &self.slots {
            let trashed = self.daemon.trashed(app, "data");
            if !slot.purged && !trashed.is_empty() {
                violations.push(format!("data of {app} is in the trash, and nobody gave it up: {trashed:?}"));
            }
        }
        for (file, text) in [("outside/treasure", "not yours"), ("apps/zed/notours/data/keep", "zed's")] {
            if fs::read_to_string(self.daemon.path(file)).ok().as_deref() != Some(text) {
                violations.push(format!("{file} was touched"));
            }
        }
        let docker = self.daemon.docker.clone();
        violations.extend(self.foreign.iter_mut().filter_map(|container| container.trouble(&docker, false)));
    }
}

/// What was acknowledged is there, once, under its id; what is there was written by its owner, into its owner's
/// diary, also when no answer came.
fn judge_ledgers(
    ledgers: &BTreeMap<String, Ledger>,
    found: &BTreeMap<String, Vec<Found>>,
    violations: &mut Vec<String>,
) {
    for (app, ledger) in ledgers {
        for entry in &ledger.acknowledged {
            let places = found.get(&entry.text).map(Vec::as_slice).unwrap_or_default();
            match places {
                // Whose diary that is, is looked at below.
                [place] if place.id == entry.id => {}
                _ => violations.push(format!("acknowledged to {app}: {entry:?}, found: {places:?}")),
            }
        }
    }
    for (text, places) in found {
        let (app, number) = text.split_once(" #").unwrap_or_default();
        let tried =
            ledgers.get(app).is_some_and(|ledger| number.parse().is_ok_and(|number: usize| number < ledger.attempts));
        if !tried || places.len() > 1 {
            violations.push(format!("`{text}` was not written by its owner, or not once: {places:?}"));
        }
        // A direct writer's own address may have become another's; through the gateway nothing gets into another app's diary.
        let by_gateway = number.parse::<usize>().is_ok_and(|number| number % 2 == 0);
        if by_gateway && places.iter().any(|place| place.app != app) {
            violations.push(format!("`{text}` went through the gateway into another app: {places:?}"));
        }
    }
}
