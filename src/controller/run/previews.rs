//! Previews: who is shown what, and for how long. They have a queue of their own and no part in what becomes of the apps: no
//! app waits for a preview, and no preview is in an app's pass.
//!
//! # Guarantees
//! - One look at a time at one app's preview.
//! - Whoever asked is answered when it is written down.
//! - A preview counts as one of the apps ([`admit_preview`]), and gives way to an app that is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{Controller, Work};
use crate::clock::Clock as _;
use crate::controller::admission::admit_preview;
use crate::controller::backoff::Backoffs;
use crate::controller::handle::PreviewRefused;
use crate::controller::previews::{PreviewInput, PreviewMemory, PreviewNext, PreviewOutput, Told, look_after};
use crate::controller::queue::{Queue, Urgency};
use crate::controller::seams::Seams;
use crate::model::preview::{PREVIEW_IDLE_MS, PreviewSpec, PreviewState, PreviewStatus};
use crate::model::{AppKey, PreviewId, PreviewRecord, PreviewSource, Routing, Timestamp, Visitors};
use crate::plan::preview::PreviewGoal;
use crate::previews::Previews as _;

/// Looks at previews at a time: a copy of much data keeps nobody else from being shown theirs.
const PARALLEL: usize = 3;

/// What is known of all previews.
#[derive(Debug)]
pub(super) struct Previews {
    /// As the store has them.
    records: BTreeMap<AppKey, PreviewRecord>,
    /// What was asked for and is not in the store yet, with those who wait for that.
    wishes: BTreeMap<AppKey, (PreviewRecord, Vec<Told>)>,
    /// Apps of which there is something that nobody asked for.
    orphans: BTreeSet<AppKey>,
    queue: Queue<AppKey>,
    running: BTreeMap<AppKey, Instant>,
    memories: BTreeMap<AppKey, PreviewMemory>,
    backoffs: Backoffs<AppKey>,
    /// Whether the folders of an earlier life were looked for.
    has_swept: bool,
}

impl Previews {
    pub(super) fn new(records: Vec<PreviewRecord>, seed: u64) -> Self {
        Self {
            records: records.into_iter().map(|record| (record.key.clone(), record)).collect(),
            wishes: BTreeMap::new(),
            orphans: BTreeSet::new(),
            queue: Queue::default(),
            running: BTreeMap::new(),
            memories: BTreeMap::new(),
            backoffs: Backoffs::new(seed),
            has_swept: false,
        }
    }

    /// As it is to be.
    fn wanted(&self, key: &AppKey) -> Option<&PreviewRecord> {
        self.wishes.get(key).map(|(record, _)| record).or_else(|| self.records.get(key))
    }

    fn known(&self) -> BTreeSet<AppKey> {
        self.records.keys().chain(self.wishes.keys()).chain(&self.orphans).cloned().collect()
    }

    fn concerns(&self, key: &AppKey) -> bool {
        self.records.contains_key(key) || self.wishes.contains_key(key) || self.orphans.contains(key)
    }

    /// Those that are to be shown, in the order in which they were asked for.
    fn shown(&self) -> Vec<(Timestamp, AppKey)> {
        let shown = self.known().into_iter().filter_map(|key| {
            let record = self.wanted(&key).filter(|record| !record.stopped)?;
            Some((record.since, key))
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        shown
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due().filter(|_| self.running.len() < PARALLEL)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Instant> {
        self.running.values()
    }
}

impl<W: Seams> Controller<W> {
    /// Somebody wants to see it, or to see it for longer.
    pub(super) fn ask_for_preview(&mut self, key: &AppKey, source: PreviewSource, told: Told) {
        if let Err(refused) = self.may_be_shown(key) {
            // Nobody waits any more: nothing was done.
            let _ = told.send(Err(refused));
            return;
        }
        let now = self.world.clock().now();
        let until = Timestamp(now.0 + PREVIEW_IDLE_MS);
        let has_failed = self.status.previews.get(key).is_some_and(|it| it.state == PreviewState::Failed);
        let goes_on =
            |record: &&PreviewRecord| !record.stopped && record.source == source && record.until > now && !has_failed;
        let record = if let Some(record) = self.previews.wanted(key).filter(goes_on) {
            PreviewRecord { until, ..record.clone() }
        } else {
            let id = PreviewId::of(key, &source, now);
            PreviewRecord { key: key.clone(), id, source, since: now, until, stopped: false }
        };
        self.wish(record, told);
    }

    /// Somebody has seen enough.
    pub(super) fn end_preview(&mut self, key: &AppKey, told: Told) {
        match self.previews.wanted(key) {
            Some(record) => self.wish(PreviewRecord { stopped: true, ..record.clone() }, told),
            None => drop(told.send(Ok(()))),
        }
    }

    fn wish(&mut self, record: PreviewRecord, told: Told) {
        let key = record.key.clone();
        let before = self.status.previews.get(&key);
        let same = |status: &&Arc<PreviewStatus>| status.since == record.since && !record.stopped;
        let status = match before.filter(same) {
            Some(status) => PreviewStatus { until: record.until, ..(**status).clone() },
            None => PreviewStatus {
                app: key.clone(),
                source: record.source.clone(),
                state: if record.stopped { PreviewState::Ending } else { PreviewState::Preparing },
                host: key.preview_host(&self.news.settings.domain),
                since: record.since,
                until: record.until,
                reason: None,
                log: Vec::new(),
                container: None,
                endpoint: None,
                visitors: Visitors::OWNER,
            },
        };
        let waiting = self.previews.wishes.remove(&key).map(|(_, waiting)| waiting);
        let waiting = waiting.into_iter().flatten().chain([told]).collect();
        self.previews.wishes.insert(key.clone(), (record, waiting));
        self.put_preview(&key, Some(status));
        self.previews.queue.mark(key, Urgency::Edit, Instant::now());
    }

    /// Why this app cannot be looked at besides.
    fn may_be_shown(&self, key: &AppKey) -> Result<(), PreviewRefused> {
        if self.news.settings.routing != Routing::Gateway {
            return Err(PreviewRefused::NeedsGateway);
        }
        if self.engine.is_none() {
            return Err(PreviewRefused::EngineAway);
        }
        if !self.rows.contains_key(key) || self.decide(key).spec().is_none() {
            return Err(PreviewRefused::NoApp);
        }
        let taken = |other: &AppKey| other.taken_for_preview_of().as_ref() == Some(key);
        if let Some(other) = self.known().into_iter().find(taken) {
            return Err(PreviewRefused::NameTaken { other });
        }
        self.has_room(key).map_err(PreviewRefused::Quota)
    }

    fn has_room(&self, key: &AppKey) -> Result<(), crate::controller::QuotaReached> {
        let shown = self.previews.shown();
        let before = shown.iter().map(|(_, other)| other).take_while(|other| *other != key);
        admit_preview(key, &self.rows.keys().collect(), before, &self.news.settings, &self.news.quotas)
    }

    fn preview_goal(&self, key: &AppKey, record: Option<&PreviewRecord>) -> PreviewGoal {
        let Some(record) = record else { return PreviewGoal::End("nobody has asked for it".to_owned()) };
        if self.news.settings.routing != Routing::Gateway {
            return PreviewGoal::End("nothing stands in front of it that asks who comes".to_owned());
        }
        if !self.rows.contains_key(key) {
            return PreviewGoal::End("its app is gone".to_owned());
        }
        let decision = self.decide(key);
        let Some(spec) = decision.spec() else {
            return PreviewGoal::End("its app goes, or cannot be used".to_owned());
        };
        if let Err(quota) = self.has_room(key) {
            return PreviewGoal::End(format!("an app has taken its place: {quota}"));
        }
        let host = key.preview_host(&self.news.settings.domain);
        let dirs = self.world.previews().dirs(key, &record.id);
        PreviewGoal::Show(Box::new(PreviewSpec::of(spec, record, &host, dirs, &self.config.instance)))
    }

    /// For a planted bug.
    pub(super) fn has_preview(&self, key: &AppKey) -> bool {
        self.previews.records.contains_key(key)
    }

    pub(super) fn mark_previews(&mut self, urgency: Urgency) {
        let now = Instant::now();
        for key in self.previews.known() {
            self.previews.queue.mark(key, urgency, now);
        }
    }

    /// Something happened to a container that is one.
    pub(super) fn mark_preview(&mut self, key: AppKey) {
        self.previews.orphans.insert(key.clone());
        self.previews.queue.mark(key, Urgency::Hint, Instant::now());
    }

    /// What there is of previews: their containers, and once in a daemon's life their folders.
    pub(super) fn take_previews(&mut self, found: BTreeSet<AppKey>) {
        for key in found {
            if !self.previews.concerns(&key) {
                self.mark_preview(key);
            }
        }
        if !std::mem::replace(&mut self.previews.has_swept, true) {
            let world = Arc::clone(&self.world);
            self.work.spawn(async move { Work::PreviewFolders(world.previews().all().await.ok()) });
        }
    }

    pub(super) fn take_preview_folders(&mut self, found: Option<BTreeSet<AppKey>>) {
        match found {
            Some(found) => self.take_previews(found),
            // With the next list.
            None => self.previews.has_swept = false,
        }
    }

    /// Starts as many looks as may run.
    pub(super) fn dispatch_previews(&mut self) {
        if self.engine.is_none() || !self.loaded {
            return;
        }
        let now = Instant::now();
        while self.previews.running.len() < PARALLEL
            && let Some(key) = self.previews.queue.pop(now)
        {
            let wish = self.previews.wishes.remove(&key);
            let recorded = self.previews.records.get(&key).cloned();
            let (record, told) = match wish {
                Some((record, told)) => (Some(record), told),
                None => (recorded.clone(), Vec::new()),
            };
            let goal = self.preview_goal(&key, record.as_ref());
            let input = PreviewInput {
                instance: self.config.instance.clone(),
                goal,
                record,
                recorded,
                told,
                host: key.preview_host(&self.news.settings.domain),
                image_id: self.image_id.clone(),
                network_ready: self.network_ready,
                addresses: Arc::clone(&self.addresses),
                memory: self.previews.memories.get(&key).cloned().unwrap_or_default(),
                key: key.clone(),
            };
            self.previews.running.insert(key.clone(), now);
            let world = Arc::clone(&self.world);
            self.work.spawn(async move {
                let attempt = std::panic::AssertUnwindSafe(look_after(&*world, input)).catch_unwind().await;
                attempt.map_or(Work::PreviewPanicked(key), |output| Work::Preview(Box::new(output)))
            });
        }
    }

    pub(super) fn take_preview(&mut self, output: PreviewOutput) {
        let PreviewOutput { key, recorded, status, memory, next } = output;
        let now = Instant::now();
        self.previews.running.remove(&key);
        self.previews.queue.finish(&key);
        match recorded {
            Some(record) => drop(self.previews.records.insert(key.clone(), record)),
            None => drop(self.previews.records.remove(&key)),
        }
        match next {
            PreviewNext::Calm => self.previews.backoffs.reset(&key),
            PreviewNext::After(wait) => {
                self.previews.backoffs.reset(&key);
                self.previews.queue.release(&key);
                self.previews.queue.mark_after(key.clone(), wait, now);
            }
            PreviewNext::Backoff => {
                let wait = self.previews.backoffs.next(key.clone(), "preview");
                if self.previews.wishes.contains_key(&key) {
                    self.previews.queue.mark(key.clone(), Urgency::Edit, now);
                } else {
                    self.previews.queue.hold(key.clone(), wait, now);
                }
            }
        }
        // What somebody asked for meanwhile is told already.
        let is_told = self.previews.wishes.contains_key(&key);
        match status {
            None if next == PreviewNext::Calm => {
                self.previews.orphans.remove(&key);
                self.previews.memories.remove(&key);
                if !is_told {
                    self.previews.queue.forget(&key);
                    self.put_preview(&key, None);
                }
            }
            status => {
                self.previews.memories.insert(key.clone(), memory);
                if !is_told {
                    self.put_preview(&key, status);
                }
            }
        }
    }

    pub(super) fn take_preview_panic(&mut self, key: &AppKey) {
        tracing::error!(app = %key, "the look at a preview panicked; it is looked at again after a while");
        self.previews.running.remove(key);
        self.previews.queue.finish(key);
        let wait = self.previews.backoffs.next(key.clone(), "panic");
        self.previews.queue.hold(key.clone(), wait, Instant::now());
    }

    fn put_preview(&mut self, key: &AppKey, status: Option<PreviewStatus>) {
        let old = self.status.previews.get(key);
        if old.map(Arc::as_ref) == status.as_ref() {
            return;
        }
        let ip = status.as_ref().and_then(|status| status.endpoint.as_ref()).map(|endpoint| endpoint.ip);
        self.addresses.tell_preview(key, ip);
        match status {
            Some(status) => drop(self.status.previews.insert(key.clone(), Arc::new(status))),
            None => drop(self.status.previews.remove(key)),
        }
        self.changed = true;
    }
}
