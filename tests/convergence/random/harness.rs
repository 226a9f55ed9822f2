//! The world with the daemon living, dying and coming back in it, and what holds at every moment whatever anybody does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::engine::sim::Actor;
use minipaas::model::{AppKey, ContainerState, Digest};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::folders::checksum;
use minipaas::testing::seams::World;
use tokio::time::Instant;

use crate::endpoints::{Endpoints, misled_at_rest};
use crate::oracle::{self, OneMoreLook, containers_by_app, is_at_ease, owner};
use crate::supervisor::{Came, RESTART, next_event};

/// How long the status may lag behind Docker: an event's way and one look.
const LAG: Duration = Duration::from_secs(1);
/// Longer than the waits between two tries that an outage leads to.
const UNEASY: Duration = Duration::from_secs(200);
/// Longer than the daemon's resync takes to come.
const LOOK: Duration = Duration::from_secs(70);
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Whether the status can be held responsible for what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    True,
    /// Docker loses or delays what it should tell.
    Doubtful,
}

pub(crate) struct Harness {
    pub(crate) world: World,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) news: News,
    pub(crate) violations: Vec<String>,
    /// Entries of Docker's journal that were looked at.
    journal: usize,
    /// What each app has in its data folder.
    data: BTreeMap<AppKey, Digest>,
    /// Apps whose owner gave up their data in writing at some time.
    purged: BTreeSet<AppKey>,
    endpoints: Endpoints,
}

impl Harness {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            daemon: None,
            news: News::True,
            violations: Vec::new(),
            journal: 0,
            data: BTreeMap::new(),
            purged: BTreeSet::new(),
            endpoints: Endpoints::default(),
        }
    }

    pub(crate) fn broken(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            if !self.violations.contains(&text) {
                self.violations.push(text);
            }
        }
    }

    /// Files were changed: what do they permit from now on?
    pub(crate) fn note_purges(&mut self) {
        self.purged.extend(oracle::given_up(&self.world));
    }

    /// Lets time pass; whenever the daemon dies it is started again.
    pub(crate) async fn pump(&mut self, wait: Duration) {
        let end = Instant::now() + wait;
        loop {
            match next_event(&self.world, &mut self.daemon, end).await {
                Came::Status => self.look_at_status(),
                Came::Death => {
                    self.look_at_status();
                    tokio::time::sleep(RESTART).await;
                }
                Came::Nothing => break,
            }
        }
        self.look_at_data();
        self.look_at_journal();
        self.look_at_status();
    }

    /// Until the daemon has done nothing for so long, and longer when it is not at ease.
    pub(crate) async fn until_calm(&mut self, calm: Duration) {
        let first = Duration::from_millis(500);
        let began = Instant::now();
        let (mut writes, mut was_calm, mut since) = (self.world.injector.writes(), false, Instant::now());
        let mut slice = first;
        while since.elapsed() < if was_calm { calm } else { calm.max(UNEASY) } {
            self.pump(slice).await;
            let (writes_now, is_calm) = (self.world.injector.writes(), self.is_calm());
            let moved = std::mem::replace(&mut writes, writes_now) != writes_now;
            // What became calm only now may still have something due: a grace, a trial.
            if moved || std::mem::replace(&mut was_calm, is_calm) != is_calm {
                (since, slice) = (Instant::now(), first);
            }
            slice = (slice * 2).min(Duration::from_secs(5));
            if began.elapsed() >= PATIENCE {
                return self.broken(["P1 it is still at it after twenty minutes".to_owned()]);
            }
        }
    }

    fn is_calm(&self) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| is_at_ease(&daemon.status()))
    }

    /// P2.
    pub(crate) async fn look_once_more(&mut self) {
        let before = OneMoreLook::begin(&self.world, self.daemon.as_ref()).await;
        self.pump(LOOK).await;
        let broken = before.broken(&self.world);
        self.broken(broken);
    }

    /// `paas confirm` of what is held, if anything is. Tells whether it was accepted.
    pub(crate) async fn confirm(&mut self) -> bool {
        oracle::confirm(self.daemon.as_ref()).await.is_some_and(|answer| answer.is_ok())
    }

    /// P3.
    fn look_at_data(&mut self) {
        let folders = self.world.folders.clone();
        for key in folders.apps().keys() {
            if !self.data.contains_key(key) && folders.write_data(key, "diary", key.to_string().as_bytes()) {
                self.data.extend(folders.data_checksum(key).map(|sum| (key.clone(), sum)));
            }
        }
        for (key, sum) in self.data.clone() {
            if folders.data_checksum(&key).as_ref() == Some(&sum) {
                continue;
            }
            self.data.remove(&key);
            let mut trash = folders.trash().into_iter().filter(|trashed| trashed.key == key);
            if !self.purged.contains(&key) {
                self.broken([format!("P3 the data of {key} disappeared or changed without a token")]);
            } else if !trash.any(|trashed| trashed.data.is_some_and(|data| checksum(&data) == sum)) {
                self.broken([format!("P3 the purged data of {key} is not in the trash")]);
            }
        }
    }

    /// P4.
    fn look_at_journal(&mut self) {
        let news = self.world.docker.journal_since(self.journal);
        self.journal += news.len();
        let ours = |labels| owner(&self.world, labels).is_some();
        let by_daemon = news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.container.is_some());
        let foreign = by_daemon.filter(|entry| !entry.call.contains("network") && !ours(&entry.labels));
        let texts: Vec<_> = foreign.map(|entry| format!("P4 something foreign was touched: {entry}")).collect();
        self.broken(texts);
    }

    /// P12; and P10, while things move: what is said to be ready runs, or did a moment ago.
    fn look_at_status(&mut self) {
        let status = self.daemon.as_ref().filter(|daemon| !daemon.life.is_over()).map(Daemon::status);
        let misled = self.endpoints.note(&self.world, status.as_deref());
        self.broken(misled);
        let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.life.is_over()) else { return };
        if self.news == News::Doubtful {
            return;
        }
        let (docker, mut lies) = (&self.world.docker, Vec::new());
        for app in daemon.status().apps.values().filter(|app| app.is_ready()) {
            let Some(id) = &app.container else {
                lies.push(format!("P10 {} is ready without a container", app.app));
                continue;
            };
            if docker.container(id.as_str()).is_some_and(|container| container.state == ContainerState::Running) {
                continue;
            }
            // Where they are: a daemon that runs in circles makes tens of thousands of them.
            let left = docker.with_transitions(|transitions| {
                let mut back = transitions.iter().rev();
                let left = back.find(|change| change.container == *id && change.from == Some(ContainerState::Running));
                left.map(|left| left.at)
            });
            let ago = left.map_or(Duration::MAX, |left| docker.age().saturating_sub(left));
            if ago > LAG {
                lies.push(format!("P10 {} is said to be ready but has not run for {ago:?}", app.app));
            }
        }
        self.broken(lies);
    }

    /// P10 and P12 at rest: whatever the status says is so.
    pub(crate) fn lies_at_rest(&self) -> Vec<String> {
        let Some(daemon) = &self.daemon else { return vec!["P1 the daemon does not run".to_owned()] };
        let (status, owned) = (daemon.status(), containers_by_app(&self.world));
        let mut lies = oracle::lies_at_rest(&status, &owned);
        lies.extend(misled_at_rest(&status, &owned));
        lies
    }
}
