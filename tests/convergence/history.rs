//! What can only be judged from the whole course of a run: every status that was published, every change of a container and
//! every write of a row, each with its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::engine::sim::Transition;
use minipaas::model::{
    AppKey, ContainerId, ContainerState, DaemonStatus, Health, InstanceId, Ownership, RunState, SyncState,
};
use minipaas::testing::seams::World;
use minipaas::testing::store::RowChange;
use tokio::time::Instant;

/// An app's container cannot be more than its predecessor and its successor.
const MOST_CONTAINERS: usize = 2;

type Claims = BTreeMap<AppKey, (ContainerId, Instant)>;

/// What the daemon claimed, and when.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// What is claimed at present: the app is ready in that container, since then.
    open: Claims,
    /// Claims that ended: app, container, from, to.
    closed: Vec<(AppKey, ContainerId, Instant, Instant)>,
    /// The gist of the last status, to see when it changes.
    gist: Vec<(AppKey, SyncState, Health, RunState, bool)>,
    /// When the world or the gist changed last.
    pub(crate) changed_at: Option<Instant>,
}

impl History {
    /// The daemon says this from now on; a dead one says nothing.
    pub(crate) fn note(&mut self, status: Option<&DaemonStatus>) {
        let now = Instant::now();
        let apps = || status.into_iter().flat_map(|status| status.apps.values());
        let claimed: BTreeMap<&AppKey, &ContainerId> =
            apps().filter(|app| app.is_ready()).filter_map(|app| Some((&app.app, app.container.as_ref()?))).collect();
        let same = |key: &AppKey, container: &ContainerId| claimed.get(key) == Some(&container);
        for (key, (container, since)) in std::mem::take(&mut self.open) {
            if same(&key, &container) {
                self.open.insert(key, (container, since));
            } else {
                self.closed.push((key, container, since, now));
            }
        }
        for (key, container) in claimed {
            self.open.entry(key.clone()).or_insert_with(|| (container.clone(), now));
        }
        let gist: Vec<_> =
            apps().map(|app| (app.app.clone(), app.sync, app.health, app.desired, app.is_ready())).collect();
        if gist != self.gist {
            self.gist = gist;
            self.changed_at = Some(now);
        }
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

fn owner(labels: &BTreeMap<String, String>, instance: &InstanceId) -> Option<AppKey> {
    match Ownership::of(labels, instance) {
        Ownership::Owned(key) => Some(key),
        Ownership::Foreign => None,
    }
}

/// P6: from its first run on an app always has a running container.
pub(crate) fn gaps(world: &World, transitions: &[Transition]) -> Vec<String> {
    let mut running: BTreeMap<AppKey, BTreeSet<&ContainerId>> = BTreeMap::new();
    let mut gaps = Vec::new();
    for change in transitions {
        let Some(key) = owner(&change.labels, &world.instance) else { continue };
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
        let Some(key) = owner(&change.labels, &world.instance) else { continue };
        let set = present.entry(key.clone()).or_default();
        if matches!(change.to, None | Some(ContainerState::Removing | ContainerState::Dead)) {
            set.remove(&change.container);
        } else if set.insert(&change.container) && set.len() > MOST_CONTAINERS {
            crowds.push(format!("P5 {key} had {} containers at {:.3}s", set.len(), change.at.as_secs_f64()));
        }
    }
    crowds
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
        if let Some(key) = owner(&change.labels, &world.instance) {
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
