//! Which of an app's containers is which. Names are not trusted: a person may have renamed one.

use crate::model::observed::ContainerState;
use crate::model::{AppSpec, ObservedContainer};

use super::view::{AppView, OwnedContainer};

/// An app's containers, sorted by what they are good for.
#[derive(Debug, Clone, PartialEq)]
pub struct Roles<'a> {
    /// Made exactly as the specification says, best first (runs, answers, is published, carries the app's name).
    pub fresh: Vec<&'a OwnedContainer>,
    /// Made after an earlier specification or image, or hanging and to be replaced, best first.
    pub old: Vec<&'a OwnedContainer>,
    /// Can never run again: dead, or refused by Docker again and again.
    pub useless: Vec<&'a OwnedContainer>,
    /// Being removed by Docker: its name is not free yet.
    pub leaving: Vec<&'a OwnedContainer>,
}

/// Made of the image that is there now; while nobody knows that one, any is right.
fn has_image(view: &AppView, container: &ObservedContainer) -> bool {
    planted!(ImageIgnored) || view.image_id.as_deref().is_none_or(|id| id == container.image_id)
}

impl<'a> Roles<'a> {
    #[must_use]
    pub fn sort(view: &'a AppView, spec: &AppSpec) -> Self {
        let identity = spec.identity();
        let main = view.key.container_name();
        let mut roles = Self { fresh: Vec::new(), old: Vec::new(), useless: Vec::new(), leaving: Vec::new() };
        for owned in &view.containers {
            let container = owned.get();
            let (same_make, same_image) = (container.is_of(&identity), has_image(view, container));
            let group = match container.state {
                ContainerState::Removing => &mut roles.leaving,
                ContainerState::Dead => &mut roles.useless,
                _ if view.broken.contains(&container.id) => &mut roles.useless,
                _ if view.abandoned.contains(&container.id) => &mut roles.useless,
                _ if same_make && same_image && !view.gives_way(&container.id) => &mut roles.fresh,
                _ => &mut roles.old,
            };
            group.push(owned);
        }
        let published = |owned: &OwnedContainer| view.published.as_ref() == Some(owned.id());
        // Requests go to the published one: an edit in the middle of a roll-over must not take it for a leftover.
        let rank = |owned: &&OwnedContainer| {
            (!owned.runs(), !view.answers(owned.id()), !published(owned), owned.name() != main)
        };
        roles.fresh.sort_by_key(rank);
        // What was put aside has answered once. A successor in place that has not is no predecessor for the next one: an edit in
        // mid-deploy would leave nothing to bring back.
        let aside = view.key.previous_container_name();
        let trust = |owned: &&OwnedContainer| match (owned.runs() && view.answers(owned.id()), owned.name() == aside) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        roles.old.sort_by_key(|owned| (trust(owned), rank(owned)));
        roles
    }

    /// The container that requests belong to: a fresh one that answers, else an old one that runs, else a fresh one that
    /// at least runs.
    #[must_use]
    pub fn serving(&self, view: &AppView) -> Option<&'a OwnedContainer> {
        let fresh = self.fresh.first().copied();
        fresh
            .filter(|owned| owned.runs() && view.answers(owned.id()))
            .or_else(|| self.old.first().copied().filter(|owned| owned.runs()))
            .or_else(|| fresh.filter(|owned| owned.runs()))
    }

    /// All that a new container would take over from are of the same make, and hang.
    #[must_use]
    pub fn replaces_hung(&self, view: &AppView, spec: &AppSpec) -> bool {
        let identity = spec.identity();
        let same_make = |owned: &OwnedContainer| owned.get().is_of(&identity) && has_image(view, owned.get());
        !self.old.is_empty() && self.old.iter().all(|old| view.gives_way(old.id()) && same_make(old))
    }

    /// Docker still holds this name for a container that is on its way out.
    #[must_use]
    pub fn is_leaving(&self, name: &str) -> bool {
        self.leaving.iter().any(|owned| owned.name() == name)
    }
}
