//! News: what the watchers saw and what the doors of the daemon ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::once::{Once, longest};
use super::turn::Turn;
use super::{Controller, Input, SettingsNews};
use crate::clock::Clock as _;
use crate::controller::handle::Command;
use crate::controller::pass::Memory;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::engine::events::Signal;
use crate::engine::{EngineEvent, ErrorKind};
use crate::model::observed::EngineInfo;
use crate::model::shown::message;
use crate::model::status::{BackupStatus, Condition, DatabaseStatus, EngineStatus, ImageStatus};
use crate::model::{AppKey, AppStatus, ConditionKind, Health, Wake, labels};
use crate::plan::assess::Finding;

impl<W: Seams> Controller<W> {
    pub(super) fn take_input(&mut self, input: Input) {
        match input {
            Input::Settings(news) => self.take_settings(news),
            Input::Folders => self.start_loading(),
            Input::Runtime => self.start_image(),
            Input::Unanswered(key) => self.asking.doubt(&key, Instant::now()),
            Input::Wanted(wake) => self.take_wake(wake),
            Input::Recorded(key) => self.queue.mark(key, Urgency::Hint, Instant::now()),
            Input::DataWaits(key) => self.take_waiting_data(key),
            Input::Database(trouble) => self.take_database(trouble),
            Input::Proxy(proxy) => {
                self.status.proxy = proxy;
                self.changed = true;
            }
            Input::Backups(backups) => self.take_backups(backups),
            Input::Engine(Signal::Connected(info)) => self.take_engine(info),
            Input::Engine(Signal::Lost { reason }) => self.lose_engine(&reason.to_string(), reason.kind()),
            Input::Engine(Signal::Resync) => self.resync(),
            Input::Engine(Signal::Event(event)) => self.take_event(&event),
        }
    }

    /// Who asked for it wants to see it, so an app that sleeps is woken.
    fn take_waiting_data(&mut self, key: AppKey) {
        let by = "its data was put back".to_owned();
        self.take_wake(Wake { app: key.clone(), path: None, agent: Some(by) });
        self.queue.mark(key, Urgency::Edit, Instant::now());
    }

    pub(super) fn take_settings(&mut self, news: SettingsNews) {
        let old = std::mem::replace(&mut self.news, news);
        self.tell_of_settings();
        self.status.restart_required.clone_from(&self.news.restart_required);
        self.changed = true;
        if old.settings == self.news.settings {
            if old.quotas != self.news.quotas {
                self.readmit();
            }
            return;
        }
        if old.settings.app_network() != self.news.settings.app_network() {
            // Nothing is made on a network that nobody has seen yet.
            self.network_ready = false;
        }
        self.tell_visitors();
        self.read_memory(Instant::now());
        self.readmit();
        self.start_image();
        self.start_network();
        self.mark_all(Urgency::Edit);
        self.mark_previews(Urgency::Edit);
    }

    /// No pass is needed for it: nothing about the app itself has changed.
    fn take_backups(&mut self, backups: Arc<BTreeMap<AppKey, BackupStatus>>) {
        for (key, app) in &mut self.status.apps {
            if backups.get(key) != self.status.backups.get(key) {
                tell_backup(Arc::make_mut(app), backups.get(key));
            }
        }
        self.status.backups = backups;
        self.changed = true;
    }

    pub(super) fn take_database(&mut self, trouble: Option<String>) {
        self.status.database = match trouble {
            None => {
                tracing::info!("the database can be used again");
                // What had to be written down first may be done now.
                self.mark_all(Urgency::Edit);
                self.mark_previews(Urgency::Edit);
                DatabaseStatus::Usable
            }
            Some(reason) => {
                tracing::error!("{reason}");
                DatabaseStatus::Unusable { reason, since: self.world.clock().now() }
            }
        };
        self.changed = true;
    }

    pub(super) fn take_engine(&mut self, info: EngineInfo) {
        tracing::info!(version = %info.version, api = %info.api_version, "connected to Docker");
        self.status.engine = EngineStatus::Connected { info: info.clone() };
        self.engine = Some(info);
        self.changed = true;
        self.turn.look_first(self.known(), Instant::now());
        // Whatever failed while Docker was away may work now: no backoff of those failures counts any more.
        self.mark_all(Urgency::Edit);
        self.mark_previews(Urgency::Edit);
    }

    pub(super) fn lose_engine(&mut self, reason: &str, kind: ErrorKind) {
        tracing::warn!(reason, "Docker is not reachable");
        self.status.engine = if kind == ErrorKind::Terminal {
            EngineStatus::Unsupported { reason: reason.to_owned() }
        } else {
            EngineStatus::Unreachable { reason: reason.to_owned(), since: self.world.clock().now() }
        };
        self.engine = None;
        // Whoever waits is looked at when Docker is back, and whoever moves takes its turn again.
        self.turn = Turn::default();
        self.changed = true;
        self.tell_without_engine();
    }

    /// While Docker cannot be asked: what the files say of each app. That nobody can look at it is no reason to say nothing, and
    /// least of all that there is no such app.
    pub(super) fn tell_without_engine(&mut self) {
        let reason = match &self.status.engine {
            EngineStatus::Connecting | EngineStatus::Connected { .. } => return,
            _ if planted!(LossUnreported) => return,
            EngineStatus::Unreachable { reason, .. } | EngineStatus::Unsupported { reason } => reason,
        };
        let finding = Finding::new(
            ConditionKind::EngineUnreachable,
            "EngineUnreachable",
            format!("Docker cannot be reached, so nothing is known or changed until it is back: {reason}"),
        );
        for key in self.known() {
            let is_in_doubt = self.memories.get(&key).is_some_and(Memory::is_row_in_doubt);
            let is_left = self.rows.contains_key(&key) || self.orphans.contains(&key) || is_in_doubt;
            if is_left || self.snapshot.files.contains_key(&key) || !self.loaded {
                self.report_without_looking(&key, &finding, Health::Unknown);
            } else if !self.running.contains_key(&key) {
                // Its file came and went while nothing could be made of it.
                self.drop_app(&key);
            }
        }
    }

    pub(super) fn take_event(&mut self, event: &EngineEvent) {
        match event.object.as_str() {
            "container" => {
                // Looking at a container, or somebody typing in one, is no change.
                let quiet =
                    ["exec_", "health_status", "top", "attach", "resize", "copy", "export", "commit", "archive"];
                if !quiet.iter().any(|prefix| event.action.starts_with(prefix)) {
                    let is_preview =
                        event.attributes.get(labels::TYPE).is_some_and(|kind| kind == labels::TYPE_PREVIEW);
                    for key in apps_of_event(event) {
                        if is_preview {
                            self.mark_preview(key);
                        } else {
                            self.queue.mark(key, Urgency::Hint, Instant::now());
                        }
                    }
                }
            }
            "image" => self.start_image(),
            "network" => {
                if event.attributes.get("name") == Some(&self.news.settings.app_network())
                    && matches!(event.action.as_str(), "create" | "destroy" | "remove")
                {
                    self.start_network();
                }
                if let Some(id) = event.attributes.get("container").filter(|_| event.action == "disconnect") {
                    let owner = self
                        .status
                        .apps
                        .values()
                        .find(|status| status.container.as_ref().is_some_and(|container| container.as_str() == id));
                    if let Some(key) = owner.map(|status| status.app.clone()) {
                        self.queue.mark(key, Urgency::Hint, Instant::now());
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn take_command(&mut self, command: Command) {
        match command {
            Command::Announce { key, digest, by } => self.audit.announce(key, digest, by),
            Command::Withdraw { key, digest } => self.audit.withdraw(&key, &digest),
            Command::Mark(key) => self.queue.mark(key, Urgency::Edit, Instant::now()),
            Command::Sleep { key, by } => self.sleep_now(&key, by),
            Command::Wake { key, by } => self.take_wake(Wake { app: key, path: None, agent: Some(by) }),
            Command::Resync => self.resync(),
            Command::Confirm { token, by, answer } => self.confirm(&token, &by, answer),
            Command::Preview { key, source, answer } => self.ask_for_preview(&key, source, answer),
            Command::EndPreview { key, answer } => self.end_preview(&key, answer),
            Command::Progress { answer } => {
                // A folder on a dead NFS is read for ever. Builds are left out: they take long and have a limit of their own.
                let jobs = [self.loading, self.listing, self.network_job];
                // Nobody waits any more: nothing was lost.
                let _ = answer.send(longest(self.running.values().chain(self.previews.running()), jobs));
            }
        }
    }

    pub(super) fn take_progress(&mut self, progress: ImageStatus) {
        if self.image_job != Once::Idle {
            self.status.image = progress;
            self.changed = true;
        }
    }
}

/// The apps an event is about: by its labels, else (for somebody else's container with our name) by its name, and by the
/// name that a rename gave up, which may be what an app is waiting for.
fn apps_of_event(event: &EngineEvent) -> BTreeSet<AppKey> {
    let get = |name: &str| event.attributes.get(name).map(String::as_str);
    let by_label = || AppKey::parse(&format!("{}-{}", get(labels::USER)?, get(labels::APP)?)).ok();
    let by_name = |attribute: &str| {
        let name = get(attribute)?.trim_start_matches('/').strip_prefix("paas-app-")?;
        let suffix = [".next", ".prev", ".preview"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        AppKey::parse(suffix.unwrap_or(name)).ok()
    };
    by_label().or_else(|| by_name("name")).into_iter().chain(by_name("oldName")).collect()
}

/// Of backups the one who makes them knows, and no pass.
pub(super) fn tell_backup(app: &mut AppStatus, known: Option<&BackupStatus>) {
    app.conditions.retain(|condition| condition.kind != ConditionKind::BackupFailed);
    let problem = known.and_then(|known| Some((known.problem.as_deref()?, known.since?)));
    app.conditions.extend(problem.map(|(problem, since)| Condition {
        kind: ConditionKind::BackupFailed,
        status: true,
        reason: "BackupFailed".to_owned(),
        message: message(problem),
        digest: None,
        since,
    }));
    app.conditions.sort_by_key(|condition| condition.kind);
}

#[cfg(test)]
mod daemon_tests;
