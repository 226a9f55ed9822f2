//! Whether an app is on its way to another network: a change of the routing moves all of them, and one at a time.

use crate::model::{AppSpec, ObservedContainer};

use super::roles::Roles;
use super::view::{AppView, OwnedContainer};

/// How an app stands to the network it belongs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    AtRest,
    /// Serves on another network until it is its turn to move.
    Waits,
    /// Has a container on another network, and one beside or after it.
    Moves,
}

impl Motion {
    pub(super) fn of(view: &AppView, spec: &AppSpec, roles: &Roles<'_>) -> Self {
        let elsewhere = |container: &ObservedContainer| is_elsewhere(container, spec);
        let may_create = view.image_id.is_some() && view.network_ready;
        match roles.old.first() {
            Some(best) if roles.fresh.is_empty() && may_create && must_wait(view, spec, best) => Self::Waits,
            Some(_) if roles.fresh.len() + roles.old.len() > 1 && roles.old.iter().any(|old| elsewhere(old.get())) => {
                Self::Moves
            }
            _ => Self::AtRest,
        }
    }
}

/// On some network, but not on the app's. What is on none at all was cut off by hand, and is no matter of turns.
fn is_elsewhere(container: &ObservedContainer, spec: &AppSpec) -> bool {
    !container.networks.is_empty() && !container.networks.contains_key(&spec.network)
}

/// Its successor would be on another network, and another app is on its way there. Where nothing runs nobody has to wait.
pub(super) fn must_wait(view: &AppView, spec: &AppSpec, old: &OwnedContainer) -> bool {
    old.runs() && is_elsewhere(old.get(), spec) && !view.may_move && !planted!(TurnIgnored)
}

/// Of an earlier make and elsewhere: it serves there until its successor takes over, and only follows when that one was given up.
pub(super) fn stays_elsewhere(view: &AppView, spec: &AppSpec, container: &ObservedContainer, given_up: bool) -> bool {
    let made_for_it = container.is_of(&spec.identity());
    is_elsewhere(container, spec) && !made_for_it && !(view.may_move && given_up)
}
