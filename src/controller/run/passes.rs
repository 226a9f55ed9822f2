//! Passes: which app is looked at, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::news::tell_backup;
use super::turn::Looked;
use super::{Controller, Work};
use crate::clock::Clock as _;
use crate::controller::domains::{Claims, share};
use crate::controller::goal::{Admission, Circumstances, Decision, decide};
use crate::controller::pass::{Memory, Next, PassInput, PassOutput, pass};
use crate::controller::queue::Urgency;
use crate::controller::report::{Report, in_force, report};
use crate::controller::seams::Seams;
use crate::desired::Dirs;
use crate::folders::Folders as _;
use crate::model::observed::EngineInfo;
use crate::model::{AppKey, AppStatus, ConditionKind, DomainName, Health, OnHang, SyncState, Visitors};
use crate::plan::assess::Finding;
use crate::plan::{Assessment, Motion};

/// When an app is looked at again whose file was missed in one reading and found in the next.
const REREAD_AFTER: Duration = Duration::from_secs(1);

impl<W: Seams> Controller<W> {
    pub(super) fn known(&self) -> BTreeSet<AppKey> {
        let files = self.snapshot.files.keys();
        files.chain(self.rows.keys()).chain(&self.orphans).chain(self.status.apps.keys()).cloned().collect()
    }

    pub(super) fn mark_all(&mut self, urgency: Urgency) {
        let now = Instant::now();
        for key in self.known() {
            self.queue.mark(key, urgency, now);
        }
    }

    /// Starts as many passes as may run. None before the first reading of the folder, none while Docker is away.
    pub(super) fn dispatch(&mut self) {
        let Some(engine) = self.engine.clone().filter(|_| self.loaded) else { return };
        let now = Instant::now();
        while self.running.len() < self.config.parallel
            && let Some(key) = self.queue.pop(now)
        {
            if planted!(FailureAbortsAll) && self.another_fails(&key) {
                self.queue.finish(&key);
                self.queue.mark_after(key, Duration::from_secs(1), now);
                continue;
            }
            if planted!(PreviewHoldsApp) && self.has_preview(&key) {
                self.queue.finish(&key);
                self.queue.mark_after(key, Duration::from_secs(1), now);
                continue;
            }
            // Who is on its way already is only known after the first look.
            let may_move = self.config.first_look.is_cancelled() && self.turn.ask(&key, now);
            self.note_visit(&key);
            let decision = self.decide(&key);
            let replaces = decision.spec().is_some_and(|spec| spec.on_hang == OnHang::Replace);
            let shortage = self.shortage(&key, &decision);
            let silent = self.silent_apps();
            let may_replace = !replaces || self.asking.may_replace(&key, &silent, now);
            let input = PassInput {
                instance: self.config.instance.clone(),
                decision,
                row: self.rows.get(&key).cloned(),
                settings: Arc::clone(&self.news.settings),
                engine: engine.clone(),
                image_id: self.image_id.clone(),
                network_ready: self.network_ready,
                may_move,
                may_replace,
                shortage,
                addresses: Arc::clone(&self.addresses),
                memory: self.memories.get(&key).cloned().unwrap_or_default(),
                previous: self.status.apps.get(&key).cloned(),
                silent: self.asking.take_silent(&key),
                metrics: self.config.metrics.clone(),
                key: key.clone(),
            };
            if planted!(StatusBeforeAction) {
                self.claim(&input);
            }
            self.running.insert(key.clone(), now);
            let world = Arc::clone(&self.world);
            self.work.spawn(async move {
                // A panic is this app's misfortune only.
                let attempt = std::panic::AssertUnwindSafe(pass(&*world, input)).catch_unwind().await;
                attempt.map_or(Work::Panicked(key), |output| Work::Pass(Box::new(output)))
            });
        }
    }

    fn silent_apps(&self) -> BTreeSet<AppKey> {
        let silent = |status: &AppStatus| status.condition(ConditionKind::NotAnswering).is_some();
        self.status.apps.iter().filter(|(_, status)| silent(status)).map(|(key, _)| key.clone()).collect()
    }

    /// For planted bugs.
    pub(super) fn another_fails(&self, key: &AppKey) -> bool {
        let failing = |status: &AppStatus| status.condition(ConditionKind::StepFailed).is_some();
        self.status.apps.values().any(|status| status.app != *key && failing(status))
    }

    /// For planted bugs.
    pub(super) fn claim(&mut self, input: &PassInput) {
        let file_digest = input.decision.file_digest.clone();
        if let Some(previous) = &input.previous {
            let applied_digest = file_digest.clone();
            self.put_status(AppStatus { file_digest, applied_digest, ..(**previous).clone() });
        }
    }

    pub(super) fn decide(&self, key: &AppKey) -> Decision {
        let folders = self.world.folders();
        decide(&Circumstances {
            key,
            snapshot: &self.snapshot,
            row: self.rows.get(key),
            settings: &self.news.settings,
            dirs: Dirs {
                code: folders.code_dir(key),
                data: folders.data_dir(key),
                versions: folders.versions_dir(key),
            },
            capacity: self.engine.as_ref().map(EngineInfo::capacity).unwrap_or_default(),
            absence: self.absence(key),
            admission: self.admissions.get(key).cloned().unwrap_or(Admission::Admitted),
            holders: &self.holders,
            rest: self.resting.rest(key),
            now: self.world.clock().now(),
        })
    }

    pub(super) fn take_pass(&mut self, output: PassOutput) {
        let now = Instant::now();
        self.end_rest(&output);
        let before = self.status.apps.get(&output.key).and_then(|status| status.started_at);
        self.end_start(&output.status, before);
        let key = output.key;
        self.end_pass(&key, output.next.word());
        self.queue.finish(&key);
        let looked = if output.next == Next::Unreachable { Looked::No } else { Looked::Yes };
        self.turn.end(&key, output.motion, looked, now);
        self.memories.insert(key.clone(), output.memory);
        let had_row = self.rows.contains_key(&key);
        let had = self.rows.get(&key).map(|row| row.domains.clone()).unwrap_or_default();
        match output.row {
            Some(row) => self.rows.insert(key.clone(), row),
            None => self.rows.remove(&key),
        };
        match output.next {
            Next::Calm | Next::Recheck(_) => {
                self.backoffs.reset(&key);
                self.queue.release(&key);
                if let Next::Recheck(wait) = output.next {
                    self.queue.mark_after(key.clone(), wait, now);
                }
            }
            Next::Backoff { over } => {
                let wait = self.backoffs.next(key.clone(), over);
                self.queue.hold(key.clone(), wait, now);
                // The network may be gone, and that was not heard.
                if over == "connect" {
                    self.start_network();
                }
            }
            // A change marks it, and so does the next resync: cheap, and right if the world changed unseen.
            Next::Terminal => {}
            Next::Unreachable => {
                // The subscription notices a Docker that is gone; a single call that hung is tried again.
                let wait = self.backoffs.next(key.clone(), "docker");
                self.queue.hold(key.clone(), wait, now);
            }
            Next::Reread => {
                self.start_loading();
                self.queue.mark_after(key.clone(), REREAD_AFTER, now);
            }
        }
        let gone = output.status.health == Health::Deleted
            && !self.rows.contains_key(&key)
            && !self.memories.get(&key).is_some_and(Memory::is_row_in_doubt)
            && !self.snapshot.files.contains_key(&key);
        if gone {
            self.drop_app(&key);
        } else {
            self.put_status(output.status);
        }
        if had_row != self.rows.contains_key(&key) {
            self.readmit();
            // Its file may have vanished while its first pass was under way, when there was no row to miss it.
            self.note_missing();
        } else if self.rows.get(&key).is_some_and(|row| row.domains != had) {
            self.share_domains();
        }
        self.call_next();
    }

    /// Looks at the app whose turn to move it is.
    pub(super) fn call_next(&mut self) {
        let now = Instant::now();
        if !self.config.first_look.is_cancelled() {
            return;
        }
        // One whose pass is under way has been called, and holds up nobody if that hangs.
        if let Some(key) = self.turn.next(now).find(|key| !self.running.contains_key(*key)) {
            self.queue.mark(key.clone(), Urgency::Hint, now);
        }
    }

    pub(super) fn end_pass(&mut self, key: &AppKey, result: &'static str) {
        if let Some(begun) = self.running.remove(key) {
            self.config.metrics.pass(result, begun.elapsed());
        }
    }

    pub(super) fn drop_app(&mut self, key: &AppKey) {
        self.status.apps.remove(key);
        self.addresses.tell(key, None);
        self.asking.follow(key, None);
        self.resting.forget(key);
        self.room.forget(key);
        self.memories.remove(key);
        self.orphans.remove(key);
        self.missing_since.remove(key);
        self.backoffs.reset(key);
        self.queue.forget(key);
        self.turn.forget(key);
        self.changed = true;
        self.judge_removals();
    }

    pub(super) fn take_panic(&mut self, key: &AppKey) {
        tracing::error!(app = %key, "a pass panicked; the app is looked at again after a while");
        self.end_pass(key, "panic");
        self.queue.finish(key);
        self.turn.end(key, Motion::AtRest, Looked::Yes, Instant::now());
        self.call_next();
        let wait = self.backoffs.next(key.clone(), "panic");
        self.queue.hold(key.clone(), wait, Instant::now());
        let finding = Finding::new(
            ConditionKind::StepFailed,
            "InternalError",
            "the daemon stumbled over this app; it is tried again after a while, please report the daemon's log",
        );
        self.report_without_looking(key, &finding, Health::Unknown);
    }

    /// Whom the sites let in is published as soon as it is known: a pass that is under way may take a while.
    /// So are the names that they have.
    pub(super) fn tell_visitors(&mut self) {
        let changed: Vec<AppStatus> = self
            .status
            .apps
            .values()
            .filter_map(|status| {
                let (visitors, domains) = self.open_to(&status.app);
                let same = status.visitors == visitors && status.domains == domains;
                (!same).then(|| AppStatus { visitors, domains, ..(**status).clone() })
            })
            .collect();
        for status in changed {
            self.put_status(status);
        }
    }

    fn open_to(&self, key: &AppKey) -> (Visitors, Vec<DomainName>) {
        let decision = self.decide(key);
        (decision.visitors, in_force(&decision, self.rows.get(key)))
    }

    /// Says anew whose each own host name is, and has those looked at who got one or lost one.
    pub(super) fn share_domains(&mut self) {
        let wishes = self.known().into_iter().filter_map(|key| {
            let file = self.snapshot.files.get(&key).and_then(|file| file.parsed.as_ref().ok());
            let has_any = file.is_some_and(|manifest| !manifest.domains.is_empty())
                || self.rows.get(&key).is_some_and(|row| !row.domains.is_empty());
            let wished = has_any.then(|| self.decide(&key).wished)?;
            Some((key, wished))
        });
        let wishes: BTreeMap<_, _> = wishes.collect();
        let claims = Claims { wishes: &wishes, rows: &self.rows, files: &self.snapshot.files, before: &self.holders };
        let settings = &self.news.settings;
        let holders = share(&claims, |name| settings.is_name_of_the_box(name, &self.machine));
        let before = std::mem::replace(&mut self.holders, holders);
        let now = Instant::now();
        for (key, wished) in wishes {
            if wished.iter().any(|name| before.of(name) != self.holders.of(name)) {
                self.queue.mark(key, Urgency::Edit, now);
            }
        }
        if before != self.holders {
            self.tell_visitors();
        }
    }

    /// What a pass says of visitors and names may be older than the manifest that was read meanwhile.
    pub(super) fn put_status(&mut self, status: AppStatus) {
        let (visitors, domains) = self.open_to(&status.app);
        let mut status = AppStatus { visitors, domains, ..status };
        self.resting.follow(&status, Instant::now());
        self.resting.tell(&mut status);
        let known = self.status.backups.get(&status.app);
        tell_backup(&mut status, known);
        let old = self.status.apps.get(&status.app);
        if old.is_none_or(|old| **old != status) {
            let ip_of = |status: &AppStatus| status.endpoint.as_ref().map(|endpoint| endpoint.ip);
            if old.and_then(|old| ip_of(old)) != ip_of(&status) {
                self.addresses.tell(&status.app, ip_of(&status));
            }
            self.asking.follow(&status.app, status.endpoint.as_ref());
            self.status.apps.insert(status.app.clone(), Arc::new(status));
            self.changed = true;
        }
    }

    /// For apps that could not be looked at.
    pub(super) fn report_without_looking(&mut self, key: &AppKey, finding: &Finding, health: Health) {
        let previous = self.status.apps.get(key).cloned();
        let decision = self.decide(key);
        let verdict = Assessment {
            sync: SyncState::OutOfSync,
            health,
            findings: Vec::new(),
            container: previous.as_ref().and_then(|status| status.container.clone()),
            version: previous.as_ref().and_then(|status| status.version.clone()),
            // Docker being away does not stop containers: requests may still get through.
            endpoint: previous.as_ref().and_then(|status| status.endpoint.clone()),
            restarts: previous.as_ref().map_or(0, |status| status.restarts),
            started_at: previous.as_ref().and_then(|status| status.started_at),
            crashed: None,
            diagnosis: None,
            limits: previous.as_ref().and_then(|status| status.limits),
            motion: Motion::AtRest,
            woken: false,
            recheck: None,
        };
        let context = Report {
            key,
            decision: &decision,
            settings: &self.news.settings,
            previous: previous.as_deref(),
            row: self.rows.get(key),
            now: self.world.clock().now(),
        };
        let last_exit = previous.as_ref().and_then(|status| status.last_exit.clone());
        let status = report(&context, verdict, vec![finding.clone()], last_exit, false);
        self.put_status(status);
    }
}

#[cfg(test)]
mod daemon_tests;
