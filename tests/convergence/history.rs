//! What can only be judged from the whole of a run: every status that was published, every change of a container and
//! every write of a row, each with its time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use minipaas::engine::sim::Transition;
use minipaas::model::{
    AppKey, AppStatus, ContainerId, ContainerState, DaemonStatus, Health, RunState, SyncState, labels,
};
use minipaas::testing::seams::World;
use minipaas::testing::store::RowChange;
use tokio::time::Instant;

use crate::oracle::owner;

/// An app's container cannot be more than its predecessor and its successor.
const MOST_CONTAINERS: usize = 2;

/// What the daemon claimed, and when.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// What is claimed at present: the app is ready in that container, since then.
    open: BTreeMap<AppKey, (ContainerId, Instant)>,
    /// Claims that ended: app, container, from, to.
    closed: Vec<(AppKey, ContainerId, Instant, Instant)>,
    /// What was said last of each app.
    said: BTreeMap<AppKey, Arc<AppStatus>>,
    /// When the world or the gist of the status changed last.
    pub(crate) changed_at: Option<Instant>,
}

impl History {
    /// The daemon says this from now on; a dead one says nothing.
    pub(crate) fn note(&mut self, status: Option<&DaemonStatus>) {
        let now = Instant::now();
        let nothing = BTreeMap::new();
        let apps = status.map_or(&nothing, |status| &status.apps);
        let dropped: Vec<AppKey> = self.said.keys().filter(|key| !apps.contains_key(*key)).cloned().collect();
        for key in dropped {
            self.said.remove(&key);
            self.claim(&key, None, now);
            self.changed_at = Some(now);
        }
        for (key, app) in apps {
            let before = self.said.get(key);
            if before.is_some_and(|before| Arc::ptr_eq(before, app)) {
                continue;
            }
            if before.map(|before| gist(before)) != Some(gist(app)) {
                self.changed_at = Some(now);
            }
            self.said.insert(key.clone(), Arc::clone(app));
            self.claim(key, app.container.as_ref().filter(|_| app.is_ready() && app.health != Health::Asleep), now);
        }
    }

    /// From now on the app is said to be ready in that container, or not at all.
    fn claim(&mut self, key: &AppKey, container: Option<&ContainerId>, now: Instant) {
        if self.open.get(key).map(|(claimed, _)| claimed) == container {
            return;
        }
        if let Some((claimed, since)) = self.open.remove(key) {
            self.closed.push((key.clone(), claimed, since, now));
        }
        self.open.extend(container.map(|container| (key.clone(), (container.clone(), now))));
    }

    /// P10: whoever is said to be ready runs, or stopped to so short a time ago that nobody can have heard of it.
    pub(crate) fn lies(&self, world: &World, lag: Duration) -> Vec<String> {
        let (now, origin) = (Instant::now(), origin(world));
        let open = self.open.iter().map(|(key, (container, since))| (key, container, *since, now));
        let closed = self.closed.iter().map(|(key, container, from, to)| (key, container, *from, *to));
        let mut lies = Vec::new();
        world.docker.with_transitions(|transitions| {
            for (key, container, from, to) in closed.chain(open) {
                let mut down_since = Some(origin);
                let mut judge = |down_since: Option<Instant>, until: Instant| {
                    let Some(down) = down_since else { return };
                    let wrong = until.min(to).saturating_duration_since(down.max(from));
                    if wrong > lag {
                        lies.push(format!("P10 {key} was said to be ready for {wrong:?} while it did not run"));
                    }
                };
                for change in transitions.iter().filter(|change| change.container == *container) {
                    let runs = change.to == Some(ContainerState::Running);
                    match (runs, down_since) {
                        (true, Some(_)) => judge(down_since.take(), origin + change.at),
                        (false, None) => down_since = Some(origin + change.at),
                        (true, None) | (false, Some(_)) => {}
                    }
                }
                judge(down_since, to);
            }
        });
        lies
    }
}

/// When the world began.
pub(crate) fn origin(world: &World) -> Instant {
    let now = Instant::now();
    now.checked_sub(world.docker.age()).unwrap_or(now)
}

/// What of a status counts as a change.
fn gist(app: &AppStatus) -> (SyncState, Health, RunState, bool) {
    (app.sync, app.health, app.desired, app.is_ready())
}

/// P6: from its first run on an app always has a running container.
pub(crate) fn gaps(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut running: BTreeMap<AppKey, BTreeSet<&ContainerId>> = BTreeMap::new();
    let mut gaps = Vec::new();
    for change in transitions {
        let Some(key) = owner(world, &change.labels) else { continue };
        let set = running.entry(key.clone()).or_default();
        if change.to == Some(ContainerState::Running) {
            set.insert(&change.container);
        } else if set.remove(&change.container) && set.is_empty() {
            gaps.push(format!("P6 {key} had no running container from {:.3}s on", change.at.as_secs_f64()));
        }
    }
    gaps
}

/// P5: an app never has a third container, whatever answers were lost.
pub(crate) fn crowds(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut present: BTreeMap<AppKey, BTreeSet<&ContainerId>> = BTreeMap::new();
    let mut crowds = Vec::new();
    for change in transitions {
        let Some(key) = owner(world, &change.labels) else { continue };
        let set = present.entry(key.clone()).or_default();
        if matches!(change.to, None | Some(ContainerState::Removing | ContainerState::Dead)) {
            set.remove(&change.container);
        } else if set.insert(&change.container) && set.len() > MOST_CONTAINERS {
            crowds.push(format!("P5 {key} had {} containers at {:.3}s", set.len(), change.at.as_secs_f64()));
        }
    }
    crowds
}

/// P16: the first wait between two new containers for an app that hangs; each is twice as long as the one before, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// P16: an app that hangs gets new containers no faster than that. A container beside a running one of the same make is one.
pub(crate) fn hasty_replacements(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut running: BTreeMap<AppKey, BTreeMap<&ContainerId, Option<&String>>> = BTreeMap::new();
    let mut last: BTreeMap<AppKey, (Duration, Duration)> = BTreeMap::new();
    let mut hasty = Vec::new();
    for change in transitions {
        let Some(key) = owner(world, &change.labels) else { continue };
        let make = change.labels.get(labels::IDENTITY);
        let set = running.entry(key.clone()).or_default();
        if change.from.is_none() && set.values().any(|other| *other == make) {
            let (before, wait) = last.get(&key).copied().unwrap_or_default();
            let gap = change.at.saturating_sub(before);
            if gap + Duration::from_secs(1) < wait {
                hasty.push(format!("P16 {key} hangs and had a new container {gap:?} after the last one, not {wait:?}"));
            }
            last.insert(key, (change.at, if wait.is_zero() { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) }));
        }
        if change.to == Some(ContainerState::Running) {
            set.insert(&change.container, make);
        } else if change.from.is_some() {
            set.remove(&change.container);
        }
    }
    hasty
}

/// P6: apps that move to another network do so one at a time, also where each of them has no gap.
pub(crate) fn moving_together(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut present: BTreeMap<AppKey, BTreeSet<&ContainerId>> = BTreeMap::new();
    let mut together = Vec::new();
    for change in transitions {
        let Some(key) = owner(world, &change.labels) else { continue };
        let set = present.entry(key).or_default();
        if change.to.is_none() {
            set.remove(&change.container);
        } else {
            set.insert(&change.container);
        }
        let moving = || present.iter().filter(|(_, containers)| containers.len() > 1).map(|(key, _)| key.to_string());
        if moving().count() > 1 {
            let names = moving().collect::<Vec<_>>().join(" and ");
            together.push(format!("P6 {names} moved at the same time, at {:.3}s", change.at.as_secs_f64()));
        }
    }
    together
}

/// P11: the inventory knows an app from before its first container until after its last (rule 6 of the design).
pub(crate) fn unrecorded(
    world: &World,
    origin: Instant,
    transitions: &[Transition],
    rows: &[RowChange],
) -> Vec<String> {
    enum News<'a> {
        Row(bool),
        Container(&'a ContainerId, bool),
    }
    let mut news: Vec<(Duration, u8, AppKey, News<'_>)> = Vec::new();
    for row in rows {
        // What was written and created in one instant was so in that order, and what was removed and forgotten too.
        let rank = if row.present { 0 } else { 2 };
        news.push((row.at.saturating_duration_since(origin), rank, row.key.clone(), News::Row(row.present)));
    }
    for change in transitions {
        if let Some(key) = owner(world, &change.labels) {
            news.push((change.at, 1, key, News::Container(&change.container, change.to.is_some())));
        }
    }
    news.sort_by_key(|(at, rank, ..)| (*at, *rank));
    let mut apps: BTreeMap<AppKey, (bool, BTreeSet<&ContainerId>)> = BTreeMap::new();
    let mut unrecorded = Vec::new();
    for (at, _, key, news) in news {
        let (recorded, containers) = apps.entry(key.clone()).or_default();
        match news {
            News::Row(present) => *recorded = present,
            News::Container(id, true) => drop(containers.insert(id)),
            News::Container(id, false) => drop(containers.remove(id)),
        }
        if !*recorded && !containers.is_empty() {
            unrecorded.push(format!("P11 {key} had a container at {:.3}s that no row tells of", at.as_secs_f64()));
        }
    }
    unrecorded
}
