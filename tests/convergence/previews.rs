//! P19: a preview has a copy of the app's data and the code that it says, is its owner's only, is gone when its time is over, and
//! leaves nothing behind. That it keeps no app from what its file says is P1's.

use std::collections::BTreeMap;
use std::time::Duration;

use minipaas::clock::Clock as _;
use minipaas::controller::{Command, PreviewRefused};
use minipaas::model::{
    AppKey, ContainerState, DaemonStatus, ObservedContainer, PreviewId, PreviewSource, Timestamp, VersionId, Visitors,
    labels,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;
use tokio::sync::oneshot;

use crate::visitors::Hearing;

/// Longer than the daemon lets anybody wait.
pub(crate) const ANSWER: Duration = Duration::from_secs(25);

/// From the end of its time to the end of its container: one look, a stop, a removal.
const GOING: i64 = 15_000;

/// What somebody wants of a preview.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// Of the app's code as it once was, which is told by what it consisted of.
    Show(fn() -> VersionId),
    End,
}

/// The answer comes when it is written down; a daemon that dies over it gives none.
pub(crate) async fn ask(
    daemon: &Daemon,
    key: &AppKey,
    wanted: Wanted,
) -> oneshot::Receiver<Result<(), PreviewRefused>> {
    let (answer, reply) = oneshot::channel();
    let key = key.clone();
    let command = match wanted {
        Wanted::Show(version) => Command::Preview { key, source: PreviewSource::Version(version()), answer },
        Wanted::End => Command::EndPreview { key, answer },
    };
    drop(daemon.commands_tx.send(command).await);
    reply
}

/// When each was to end, as it was last written down.
#[derive(Default)]
pub(crate) struct Previews {
    until: BTreeMap<PreviewId, Timestamp>,
}

impl Previews {
    /// At every moment.
    pub(crate) fn look(&mut self, world: &World, status: Option<&DaemonStatus>, hearing: Hearing) -> Vec<String> {
        for record in world.store.preview_records() {
            self.until.insert(record.id, record.until);
        }
        let mut broken = Vec::new();
        for (key, id, container) in containers(world) {
            broken.extend(mounts_what_it_should(world, &key, &id, &container));
            let until = self.until.get(&id).copied().unwrap_or(Timestamp(0));
            let over = world.clock.now().0 - until.0;
            if hearing == Hearing::Undisturbed && over > GOING {
                broken.push(format!("P19 the preview of {key} is there {over} ms after its time"));
            }
        }
        for preview in status.iter().flat_map(|status| status.previews.values()) {
            let key = &preview.app;
            if preview.visitors != Visitors::OWNER {
                broken.push(format!("P19 the preview of {key} lets in {}", preview.visitors));
            }
            let at = preview.endpoint.as_ref().and_then(|endpoint| world.docker.holder(endpoint.ip));
            let holder = at.and_then(|id| world.docker.container(id.as_str()));
            if let Some(holder) = holder
                && labels::preview_of(&holder.labels, &world.instance).is_none_or(|(of, _)| of != *key)
            {
                broken.push(format!("P19 the preview of {key} is said to be where {} is", holder.name));
            }
        }
        broken
    }

    /// Once nothing is left to do.
    pub(crate) fn at_rest(&self, world: &World) -> Vec<String> {
        let now = world.clock.now();
        let records = world.store.preview_records();
        let mut broken = Vec::new();
        for record in &records {
            // What is known of its use is not all written down.
            if record.until.0 + 75_000 < now.0 {
                broken.push(format!("P19 the preview of {} is remembered after its time", record.key));
            }
        }
        let is_known = |id: &PreviewId| records.iter().any(|record| record.id == *id);
        for (key, id, container) in containers(world) {
            if !is_known(&id) {
                broken.push(format!("P19 {} of {key} is left of a preview", container.name));
            }
        }
        for (key, folders) in world.folders.preview_folders() {
            for id in folders.keys().filter(|id| !is_known(id)) {
                broken.push(format!("P19 a folder of the preview {id} of {key} is left"));
            }
        }
        broken
    }
}

fn containers(world: &World) -> Vec<(AppKey, PreviewId, ObservedContainer)> {
    let of = |container: ObservedContainer| {
        let (key, id) = labels::preview_of(&container.labels, &world.instance)?;
        Some((key, id, container))
    };
    world.docker.containers().into_iter().filter_map(of).collect()
}

fn mounts_what_it_should(world: &World, key: &AppKey, id: &PreviewId, container: &ObservedContainer) -> Vec<String> {
    let Some(spec) = world.docker.spec(container.id.as_str()) else { return Vec::new() };
    let mut broken = Vec::new();
    let own = format!(".previews/{key}/{id}");
    for mount in &spec.mounts {
        if !mount.source.to_string_lossy().contains(&own) {
            broken.push(format!("P19 the preview of {key} mounts {}", mount.source.display()));
        }
    }
    let version = container.labels.get(labels::VERSION).and_then(|text| VersionId::parse(text));
    let code = spec.mounts.iter().find(|mount| mount.target == "/app");
    let code = code.and_then(|mount| world.folders.code_at(&mount.source));
    let shown = version.and_then(|version| world.folders.taken_as(&version));
    if container.state == ContainerState::Running && (code.is_none() || code != shown) {
        broken.push(format!("P19 the preview of {key} has {code:?}, and is said to show {shown:?}"));
    }
    broken
}
