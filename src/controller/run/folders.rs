//! The manifests folder: reading it, and what a reading changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Controller, Work};
use crate::clock::Clock as _;
use crate::controller::admission::admit;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::desired::{Completeness, Manifests as _, Snapshot};
use crate::model::status::ManifestsStatus;

impl<W: Seams> Controller<W> {
    pub(super) fn start_loading(&mut self) {
        if self.loading.ask() {
            let world = Arc::clone(&self.world);
            self.work.spawn(async move { Work::Loaded(world.manifests().load().await) });
        }
    }

    pub(super) fn take_snapshot(&mut self, mut snapshot: Snapshot) {
        if planted!(PartialListingTrusted) && !snapshot.files.is_empty() {
            snapshot.completeness = Completeness::Complete { instance: self.config.instance.clone() };
        }
        if self.loading.done() {
            self.start_loading();
        }
        let first = !std::mem::replace(&mut self.loaded, true);
        let old = std::mem::replace(&mut self.snapshot, Arc::new(snapshot));
        let new = Arc::clone(&self.snapshot);
        self.status.file_problems.clone_from(&new.problems);
        let manifests = match &new.completeness {
            Completeness::Complete { .. } if new.complete(&self.config.instance).is_some() => ManifestsStatus::Complete,
            Completeness::Complete { instance } => self.unavailable(format!(
                "the manifests folder carries the marker of another installation ({instance}); put the right folder in place"
            )),
            Completeness::Partial { reason } => self.unavailable(reason.clone()),
        };
        let trust_changed = manifests != self.status.manifests;
        self.status.manifests = manifests;
        self.changed = true;
        self.audit();
        self.note_missing();
        self.readmit();
        self.tell_without_engine();
        self.tell_visitors();
        if first || trust_changed || old.templates != new.templates {
            self.mark_all(Urgency::Edit);
            return;
        }
        let now = Instant::now();
        let keys: BTreeSet<_> = old.files.keys().chain(new.files.keys()).collect();
        for key in keys {
            let (before, after) = (old.files.get(key), new.files.get(key));
            let same = match (before, after) {
                (Some(before), Some(after)) => before.digest == after.digest && before.parsed == after.parsed,
                (None, None) => true,
                _ => false,
            };
            if !same {
                self.queue.mark(key.clone(), Urgency::Edit, now);
            }
        }
    }

    pub(super) fn unavailable(&self, reason: String) -> ManifestsStatus {
        let since = match &self.status.manifests {
            ManifestsStatus::Unavailable { since, .. } => *since,
            ManifestsStatus::Unknown | ManifestsStatus::Complete => self.world.clock().now(),
        };
        ManifestsStatus::Unavailable { reason, since }
    }

    pub(super) fn readmit(&mut self) {
        let admissions =
            admit(&self.snapshot.files, &self.rows.keys().collect(), &self.news.settings, &self.news.quotas);
        for (key, admission) in &admissions {
            if self.admissions.get(key) != Some(admission) {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
        }
        self.admissions = admissions;
        self.share_domains();
        // One may have to give way, or go with its app.
        self.mark_previews(Urgency::Hint);
    }
}
