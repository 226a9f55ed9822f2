//! P20: a restore ends with exactly the old data or the new, and nothing of the app runs on the other. P21: what was there before can
//! be had again.

use std::collections::{BTreeMap, BTreeSet};

use minipaas::model::{AppKey, ContainerState};
use minipaas::testing::folders::Files;
use minipaas::testing::seams::World;

use crate::oracle::containers_by_app;

/// What each app had that was restored.
#[derive(Default)]
pub(crate) struct Restores {
    /// What was there when it was asked for, one after the other.
    before: BTreeMap<AppKey, Vec<Files>>,
    wanted: BTreeMap<AppKey, Files>,
}

impl Restores {
    /// Somebody asked for something.
    pub(crate) fn note(&mut self, world: &World, data: &BTreeMap<AppKey, Files>) {
        for (key, files) in world.folders.exchanges().wanted {
            if self.wanted.get(&key) == Some(&files) {
                continue;
            }
            let old = self.wanted.insert(key.clone(), files).or_else(|| data.get(&key).cloned());
            self.before.entry(key).or_default().extend(old);
        }
    }

    /// Whose data this judges, and no other property.
    pub(crate) fn concerns(&self, key: &AppKey) -> bool {
        self.wanted.contains_key(key)
    }

    /// At every moment.
    pub(crate) fn look(&self, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        for (key, wanted) in &self.wanted {
            let before = &self.before[key];
            let found = world.folders.data(key);
            let is_whole = found.as_ref().is_some_and(|files| files == wanted || before.contains(files));
            if !is_whole {
                broken
                    .push(format!("P20 the data of {key} is {found:?}, neither what was there nor what was asked for"));
            }
            for files in before.iter().filter(|files| *files != wanted && found.as_ref() != Some(*files)) {
                if !can_be_had(world, key, files) {
                    broken.push(format!("P21 what {key} had before it was restored is nowhere any more"));
                }
            }
        }
        let amid: BTreeSet<AppKey> = world.folders.exchanges().amid_writing.into_iter().collect();
        broken.extend(amid.into_iter().map(|key| format!("P20 the data of {key} was exchanged while it ran")));
        broken
    }

    /// What was asked for is there, and who runs has it.
    pub(crate) fn at_rest(&self, world: &World, is_retold: bool) -> Vec<String> {
        let mut broken = Vec::new();
        let owned = containers_by_app(world);
        for (key, wanted) in &self.wanted {
            if world.folders.data(key).as_ref() != Some(wanted) && !is_retold {
                broken.push(format!("P20 {key} was to be restored, and was not"));
            }
            let restored = world.store.row(key).and_then(|row| row.restored).map(|restored| restored.at);
            let runs_on_old = owned
                .get(key)
                .into_iter()
                .flatten()
                .any(|container| container.state == ContainerState::Running && container.started_at < restored);
            if runs_on_old {
                broken.push(format!("P20 {key} runs on the data that was there before it was restored"));
            }
        }
        broken
    }
}

fn can_be_had(world: &World, key: &AppKey, files: &Files) -> bool {
    let awaits = world.folders.app(key).and_then(|app| app.incoming).and_then(|awaited| awaited.data);
    let trash = world.folders.trash();
    let in_trash = trash.iter().any(|trashed| trashed.key == *key && trashed.data.as_ref() == Some(files));
    awaits.as_ref() == Some(files) || in_trash
}
