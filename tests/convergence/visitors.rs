//! P18: nobody passes who may not. With the gateway in front, who passes is what the status says of an app that can be reached; with
//! direct routing everybody passes who reaches a container, so that of a restricted app must not run.

use std::collections::BTreeMap;
use std::time::Duration;

use minipaas::desired::parse;
use minipaas::engine::sim::{Actor, JournalEntry};
use minipaas::model::{
    AppKey, AppStatus, ContainerState, DaemonStatus, InventoryRow, ObservedContainer, Routing, RunState, Visitors,
};
use minipaas::testing::seams::World;
use tokio::time::Instant;

use crate::oracle::{containers_by_app, owner};

/// How long what was saved may take until it counts: an event's way, and a reading.
const PROMPT: Duration = Duration::from_secs(1);

/// Whether something hinders the daemon from hearing what people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    Undisturbed,
    Disturbed,
}

/// What was ever asked for.
#[derive(Default)]
pub(crate) struct Gates {
    /// Each app's, as long as there is a trace of the app.
    ever: BTreeMap<AppKey, Vec<Visitors>>,
    /// What an app's file last said when it could be used, and was there for long enough to be heard.
    heard: BTreeMap<AppKey, Option<Visitors>>,
    row_changes: usize,
}

impl Gates {
    /// Somebody did something.
    pub(crate) fn note(&mut self, world: &World) {
        let keys = world.manifests.names().into_iter().filter_map(|name| AppKey::parse(name.rsplit_once('.')?.0).ok());
        for key in keys.collect::<Vec<_>>() {
            let now = self.asked(world, &key);
            let ever = self.ever.entry(key).or_default();
            if !ever.contains(&now) {
                ever.push(now);
            }
        }
    }

    /// Who may enter by what is written at this moment. Of what cannot be used the last that could counts, and of what nobody knows
    /// anything of nobody may.
    fn asked(&self, world: &World, key: &AppKey) -> Visitors {
        let row = row(world, key);
        let by_file = written(world, key, row.as_ref());
        let default = world.settings_tx.borrow().settings.visitors;
        let last = || self.heard.get(key).copied().or_else(|| row.map(|row| row.manifest.visitors));
        by_file.or_else(last).map_or(Visitors::OWNER, |asked| asked.unwrap_or(default))
    }

    /// What the daemon says now. `since`: when a person did something last.
    pub(crate) fn look(
        &mut self,
        world: &World,
        status: Option<&DaemonStatus>,
        hearing: Hearing,
        since: Option<Instant>,
    ) -> Vec<String> {
        let is_heard = hearing == Hearing::Undisturbed && since.is_none_or(|since| since.elapsed() >= PROMPT);
        let mut broken = Vec::new();
        for app in status.iter().flat_map(|status| status.apps.values()).filter(|app| app.endpoint.is_some()) {
            let key = &app.app;
            let now = self.asked(world, key);
            if is_heard && let Some(asked) = written(world, key, row(world, key).as_ref()) {
                self.heard.insert(key.clone(), asked);
            }
            let mut allowed = vec![now];
            if !is_heard {
                allowed.extend(self.ever.get(key).into_iter().flatten());
            }
            broken.extend(lets_in_more(app, &allowed, ""));
        }
        let gone = |key: &AppKey| world.manifests.get(&key.file_name()).is_none() && row(world, key).is_none();
        self.heard.retain(|key, _| !gone(key));
        broken
    }

    /// What the daemon has just done in Docker.
    pub(crate) fn done(&mut self, world: &World, news: &[JournalEntry]) -> Vec<String> {
        let settings = world.settings_tx.borrow().settings.clone();
        if settings.routing != Routing::Direct {
            return Vec::new();
        }
        // One whose row is as it was before: a step that was decided before it is none that was decided on it.
        let changes = world.store.row_changes();
        let just_recorded: Vec<AppKey> =
            changes[self.row_changes.min(changes.len())..].iter().map(|change| change.key.clone()).collect();
        self.row_changes = changes.len();
        let opens = |entry: &&JournalEntry| {
            entry.actor == Actor::Daemon
                && entry.changed()
                && matches!(entry.call, "start" | "restart" | "unpause" | "connect")
        };
        let mut broken = Vec::new();
        for entry in news.iter().filter(opens) {
            let Some(key) = owner(world, &entry.labels).filter(|key| !just_recorded.contains(key)) else { continue };
            let restricted =
                row(world, &key).is_some_and(|row| !row.manifest.visitors.unwrap_or(settings.visitors).is_open());
            let reached = || {
                let container = entry.container.as_ref().and_then(|id| world.docker.container(id.as_str()));
                container.is_some_and(|container| {
                    runs(&container) && container.networks.contains_key(&settings.app_network())
                })
            };
            if restricted && reached() {
                broken.push(format!("P18 {key} asks who comes, and nobody asks where it was put: {entry}"));
            }
        }
        broken
    }

    /// Once nothing is left to do.
    pub(crate) fn at_rest(&self, world: &World, status: &DaemonStatus) -> Vec<String> {
        let mut broken = Vec::new();
        let is_direct = world.settings_tx.borrow().settings.routing == Routing::Direct;
        let owned = if is_direct { containers_by_app(world) } else { BTreeMap::new() };
        for app in status.apps.values() {
            let now = self.asked(world, &app.app);
            if app.endpoint.is_some() {
                broken.extend(lets_in_more(app, &[now], " at rest"));
            }
            let containers = owned.get(&app.app).map(Vec::as_slice).unwrap_or_default();
            if !now.is_open() && containers.iter().any(runs) {
                broken.push(format!("P18 {} is for {now}, and runs where nobody asks who comes", app.app));
            }
        }
        broken
    }
}

fn lets_in_more(app: &AppStatus, allowed: &[Visitors], when: &str) -> Option<String> {
    let (key, told) = (&app.app, app.visitors);
    let is_wider = |allowed: &Visitors| told.view() < allowed.view() || told.change() < allowed.change();
    allowed.iter().all(is_wider).then(|| format!("P18 {key} lets in {told}{when}, and is for {}", allowed[0]))
}

fn runs(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
}

fn row(world: &World, key: &AppKey) -> Option<InventoryRow> {
    world.store.row(key).filter(|row| !row.is_tombstone())
}

/// What the file says, if it can be used. The outer `None`: it cannot; the inner: it is silent.
#[expect(clippy::option_option, reason = "both are said above")]
fn written(world: &World, key: &AppKey, row: Option<&InventoryRow>) -> Option<Option<Visitors>> {
    let bytes = world.manifests.get(&key.file_name())?;
    let manifest = parse(&key.file_name(), &bytes).ok()?;
    let is_usable = manifest.state != RunState::Deleted && row.is_none_or(|row| row.template.id == manifest.template);
    is_usable.then_some(manifest.visitors)
}
