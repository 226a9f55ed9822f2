//! Containers that hang: which do, and which of them gives way to a new one now.
//!
//! # Guarantees
//! - Only who has answered, or ran before this daemon began, hangs: an app that never comes up is no better off with one more
//!   container.
//! - While many apps are silent at once, they are replaced one at a time (`run::asking`).
//! - Between two replacements of an app lies a wait that doubles with each, up to an hour. A change of the app, and an hour of
//!   answers, begin anew.
//! - Nothing of it is written down. A daemon that has just begun has to find an app silent for [`WATCH_MS`] before it believes
//!   that, so one that dies again and again replaces nothing faster either.

use std::collections::BTreeMap;

use crate::model::{AppSpec, ContainerId, Identity, OnHang, Timestamp};
use crate::plan::Readiness;
use crate::plan::view::OwnedContainer;

/// As long as it takes to find out that an app which was seen to answer does no more.
const WATCH_MS: i64 = 30_000;
/// Until it is tried again whether the app may have a new container.
const ASK_AGAIN_MS: i64 = 20_000;
const FIRST_WAIT_MS: i64 = 60_000;
const LONGEST_WAIT_MS: i64 = 3_600_000;
/// Who has answered for so long hangs for another reason than the last time.
const CALM_MS: i64 = 3_600_000;

/// One app's containers, as far as they hang.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hangs {
    hung: BTreeMap<ContainerId, Hung>,
    /// Containers that ran before this daemon's first look: nobody knows whether they have answered. `None` before that look.
    unwatched: Option<BTreeMap<ContainerId, Unwatched>>,
    giving_way: Option<GivingWay>,
    replaced: Option<Replaced>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hung {
    /// The start after which it hung.
    started_at: Option<Timestamp>,
    /// It was seen to answer after that start.
    has_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unwatched {
    started_at: Option<Timestamp>,
    silent_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct GivingWay {
    container: ContainerId,
    /// Its successor was there.
    was_tried: bool,
}

/// New containers that an app of this make got because it hung.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Replaced {
    identity: Identity,
    times: u32,
    at: Timestamp,
}

impl Replaced {
    fn next(&self) -> Timestamp {
        let doublings = self.times.saturating_sub(1).min(16);
        let wait = if planted!(HangsReplacedAtOnce) { 0 } else { (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS) };
        Timestamp(self.at.0 + wait)
    }
}

impl Hangs {
    /// Before every look: what is gone, or was started anew, hangs no more.
    pub(super) fn keep(&mut self, containers: &[OwnedContainer]) {
        let same = |id: &ContainerId, started_at: Option<Timestamp>| {
            containers.iter().any(|owned| owned.id() == id && owned.get().started_at == started_at)
        };
        self.hung.retain(|id, hung| same(id, hung.started_at));
        let unwatched = self.unwatched.get_or_insert_with(|| {
            let runs = containers.iter().filter(|owned| owned.runs());
            let unknown = |owned: &OwnedContainer| Unwatched { started_at: owned.get().started_at, silent_since: None };
            runs.map(|owned| (owned.id().clone(), unknown(owned))).collect()
        });
        unwatched.retain(|id, unwatched| same(id, unwatched.started_at));
    }

    pub(super) fn hangs(&self, id: &ContainerId) -> bool {
        self.hung.contains_key(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &ContainerId> {
        self.hung.keys()
    }

    /// Nobody waits for the answer of one whose successor is on trial.
    pub(super) fn is_past_asking(&self, id: &ContainerId, containers: &[OwnedContainer]) -> bool {
        self.giving_way.as_ref().is_some_and(|giving| giving.container == *id) && beside(id, containers)
    }

    pub(super) fn answers(&mut self, id: &ContainerId) {
        self.hung.remove(id);
        if let Some(unwatched) = &mut self.unwatched {
            unwatched.remove(id);
        }
    }

    /// One that had answered does no more.
    pub(super) fn stopped_answering(&mut self, owned: &OwnedContainer) {
        let hung = Hung { started_at: owned.get().started_at, has_answered: true };
        self.hung.insert(owned.id().clone(), hung);
    }

    /// Containers that nobody saw answer, and that have been silent for so long that they hang as well.
    pub(super) fn watch(
        &mut self,
        spec: &AppSpec,
        readiness: &BTreeMap<ContainerId, Readiness>,
        now: Timestamp,
    ) -> Vec<ContainerId> {
        let mut found = Vec::new();
        for (id, unwatched) in self.unwatched.iter_mut().flatten() {
            let age = unwatched.started_at.map_or(0, |started| now.0 - started.0);
            if !matches!(readiness.get(id), Some(Readiness::Silent(_))) || age <= spec.start_timeout.millis() {
                continue;
            }
            let since = *unwatched.silent_since.get_or_insert(now);
            if now.0 - since.0 >= WATCH_MS && !self.hung.contains_key(id) {
                self.hung.insert(id.clone(), Hung { started_at: unwatched.started_at, has_answered: false });
                found.push(id.clone());
            }
        }
        found
    }

    /// An hour of answers makes up for what was before.
    pub(super) fn note_calm(&mut self, readiness: &BTreeMap<ContainerId, Readiness>) {
        if readiness.values().any(|it| matches!(it, Readiness::Answers { for_ms: CALM_MS.. })) {
            self.replaced = None;
        }
    }

    /// The container that gives way to a new one, from when on if it is too early, and neither where nothing is replaced.
    pub(super) fn decide(
        &mut self,
        spec: &AppSpec,
        containers: &[OwnedContainer],
        may_replace: bool,
        now: Timestamp,
    ) -> (Option<ContainerId>, Option<Timestamp>) {
        let wanted = spec.on_hang == OnHang::Replace || planted!(HangsReplacedUnasked);
        if !wanted || planted!(HangsLeftAlone) {
            self.giving_way = None;
            return (None, None);
        }
        if self.replaced.as_ref().is_some_and(|replaced| replaced.identity != spec.identity()) {
            self.replaced = None;
        }
        if let Some(mut giving) = self.giving_way.take().filter(|giving| self.hung.contains_key(&giving.container)) {
            let is_tried = beside(&giving.container, containers);
            if is_tried || !giving.was_tried {
                giving.was_tried |= is_tried;
                let container = giving.container.clone();
                self.giving_way = Some(giving);
                return (Some(container), None);
            }
            // Its successor does not answer either. A container that was never seen to answer does not hang: it does not come up.
            if self.hung.get(&giving.container).is_some_and(|hung| !hung.has_answered) {
                self.answers(&giving.container);
            }
        }
        let runs = |id: &ContainerId| containers.iter().any(|owned| owned.id() == id && owned.runs());
        let alone = self.hung.keys().find(|id| runs(id) && !beside(id, containers)).cloned();
        let Some(container) = alone else { return (None, None) };
        let next = self.replaced.as_ref().map(Replaced::next).filter(|next| *next > now);
        if next.is_some() {
            return (None, next);
        }
        if !may_replace {
            return (None, Some(Timestamp(now.0 + ASK_AGAIN_MS)));
        }
        let times = self.replaced.as_ref().map_or(0, |replaced| replaced.times) + 1;
        self.replaced = Some(Replaced { identity: spec.identity(), times, at: now });
        self.giving_way = Some(GivingWay { container: container.clone(), was_tried: false });
        (Some(container), None)
    }
}

/// There is another container than this one.
fn beside(id: &ContainerId, containers: &[OwnedContainer]) -> bool {
    containers.iter().any(|owned| owned.id() != id && !owned.is_leaving())
}
