//! Manifests that vanished: their grace, the hold when many vanish together, and what that means for an app.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::Controller;
use crate::clock::Clock as _;
use crate::controller::goal::Absence;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::model::inventory::Removals;
use crate::model::status::{HeldRemoval, ManifestsStatus};
use crate::model::{AppKey, RunState};
use crate::plan::Guard;

impl<W: Seams> Controller<W> {
    /// Starts and ends the grace of vanished files.
    pub(super) fn note_missing(&mut self) {
        let Some(complete) = self.snapshot.complete(&self.config.instance) else {
            // Out of sight is not gone: any grace begins anew once the folder can be trusted again.
            self.missing_since.clear();
            return;
        };
        let now = Instant::now();
        let candidates: BTreeSet<AppKey> = self.rows.keys().chain(&self.orphans).cloned().collect();
        self.missing_since.retain(|key, _| complete.lacks(key) && candidates.contains(key));
        for key in candidates {
            if complete.lacks(&key) {
                self.missing_since.entry(key).or_insert(now);
            }
        }
        self.judge_removals();
    }

    /// What is held, and which confirmations stand. Looks at the last reading: one that cannot be trusted changes nothing, or
    /// it would strike off what a person has confirmed as if all files were back.
    pub(super) fn judge_removals(&mut self) {
        let Some(complete) = self.snapshot.complete(&self.config.instance) else { return };
        let mut vanished: BTreeSet<AppKey> = self.missing_since.keys().cloned().collect();
        if self.listed_at.is_none() {
            // An app without a row is known by its containers only, and those are not known yet.
            let Removals { held, confirmed } = self.guard.removals();
            vanished.extend(held.iter().chain(confirmed).filter(|key| complete.lacks(key)).cloned());
        }
        self.guard.forget_all_but(&vanished);
        let known = self.rows.keys().chain(&self.orphans).collect::<BTreeSet<_>>().len();
        let held = match self.guard.judge(&vanished, known) {
            Guard::Allowed => None,
            Guard::Held { token, apps } => {
                let since = match &self.held {
                    Some(held) if held.token == token => held.since,
                    _ => self.world.clock().now(),
                };
                let message = format!(
                    "{} of {known} manifests vanished together: nothing is removed until they are back or you run \
                     `paas confirm {token}`",
                    apps.len()
                );
                Some(HeldRemoval { token, apps: apps.into_iter().collect(), message, since })
            }
        };
        if held != self.held {
            for key in &vanished {
                self.queue.mark(key.clone(), Urgency::Edit, Instant::now());
            }
            self.held = held;
        }
        self.note_removals();
        self.tell_held();
    }

    pub(super) fn absence(&self, key: &AppKey) -> Absence {
        if let ManifestsStatus::Unavailable { reason, .. } = &self.status.manifests {
            if planted!(MissingFolderMeansEmpty) {
                return Absence::Certain;
            }
            return Absence::Uncertain { reason: reason.clone() };
        }
        match (&self.held, self.missing_since.get(key)) {
            (Some(held), _) if held.apps.contains(key) => Absence::Held { token: held.token.clone() },
            // A person has seen that it is gone; so has the daemon, maybe in an earlier life.
            (_, Some(_)) if self.guard.is_confirmed(key) => Absence::Certain,
            (_, Some(since)) if planted!(NoGrace) || since.elapsed() >= self.config.grace => Absence::Certain,
            // Never had a row, a container or a file: nothing to be careful about.
            (_, None) if !self.rows.contains_key(key) && !self.orphans.contains(key) => Absence::Certain,
            _ => Absence::Grace,
        }
    }

    /// Its removal was decided already: the queue's own backoff sees to the rest.
    pub(super) fn is_known_gone(&self, key: &AppKey) -> bool {
        self.status.apps.get(key).is_some_and(|status| status.desired == RunState::Deleted)
            || self.held.as_ref().is_some_and(|held| held.apps.contains(key))
    }
}
