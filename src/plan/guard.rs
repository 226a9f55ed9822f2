//! Removals that follow from absence are the dangerous ones: many files vanishing at once is more often an accident (a
//! wrong `rm`, a `git checkout`, a lost disk) than a wish. Such a removal is held until a person confirms exactly it.

use std::collections::BTreeSet;

use crate::model::inventory::Removals;
use crate::model::{AppKey, Digest};

/// From so many vanished apps on a removal can be held at all…
const HELD_FROM: usize = 3;

/// What became of the wish to remove vanished apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Each may go once its grace is over.
    Allowed,
    /// None may go before `paas confirm TOKEN`.
    Held { token: String, apps: BTreeSet<AppKey> },
}

/// Remembers what is held, and what a person has confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalGuard {
    removals: Removals,
}

impl RemovalGuard {
    /// As a life before left it.
    #[must_use]
    pub fn of(removals: Removals) -> Self {
        Self { removals }
    }

    /// What a next life has to know.
    #[must_use]
    pub fn removals(&self) -> &Removals {
        &self.removals
    }

    /// `vanished`: apps in the inventory whose file is gone, whether their grace is over or not. `known`: how many apps
    /// the inventory has. Held when three or more **and** over half of all vanish together. An app stays held until its file
    /// is back or its removal is confirmed: that the others became few says nothing about it.
    pub fn judge(&mut self, vanished: &BTreeSet<AppKey>, known: usize) -> Guard {
        let open: BTreeSet<AppKey> = vanished.difference(&self.removals.confirmed).cloned().collect();
        if !planted!(NoMassGuard) && open.len() >= HELD_FROM && vanished.len() * 2 > known {
            self.removals.held = open;
        } else {
            self.removals.held.retain(|key| open.contains(key));
        }
        let held = &self.removals.held;
        if held.is_empty() { Guard::Allowed } else { Guard::Held { token: token(held), apps: held.clone() } }
    }

    /// Accepts what a person confirmed.
    pub fn confirm(&mut self, apps: impl IntoIterator<Item = AppKey>) {
        self.removals.confirmed.extend(apps);
    }

    #[must_use]
    pub fn is_confirmed(&self, app: &AppKey) -> bool {
        self.removals.confirmed.contains(app)
    }

    /// A confirmation ends when its app is gone, or its file is back: it never covers a later disappearance.
    pub fn forget_all_but(&mut self, vanished: &BTreeSet<AppKey>) {
        self.removals.confirmed.retain(|key| vanished.contains(key));
    }
}

/// Names exactly one set of apps, so that a confirmation cannot cover more than what was shown.
fn token(apps: &BTreeSet<AppKey>) -> String {
    let mut text = String::new();
    for app in apps {
        text.push_str(&app.to_string());
        text.push('\n');
    }
    Digest::of(text.as_bytes()).short()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(names: &[&str]) -> BTreeSet<AppKey> {
        names.iter().map(|name| AppKey::parse(&format!("alice-{name}")).unwrap()).collect()
    }

    #[test]
    fn three_or_more_and_over_half_are_held() {
        let cases = [
            (1, 1, false),
            (2, 2, false),
            (2, 3, false),
            (3, 3, true),
            (3, 5, true),
            (3, 6, false),
            (10, 20, false),
            (11, 20, true),
        ];
        for (gone, known, held) in cases {
            let names: Vec<String> = (0..gone).map(|n| format!("app{n}")).collect();
            let vanished = apps(&names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(RemovalGuard::default().judge(&vanished, known) != Guard::Allowed, held, "{gone} of {known}");
        }
    }

    #[test]
    fn what_is_held_stays_held_when_the_others_are_back() {
        let mut guard = RemovalGuard::default();
        assert_ne!(guard.judge(&apps(&["one", "two", "three", "four", "five", "six", "seven"]), 7), Guard::Allowed);
        let rest = apps(&["five", "six", "seven"]);
        let Guard::Held { apps: held, .. } = guard.judge(&rest, 7) else { panic!("three of seven are still gone") };
        assert_eq!(held, rest);
        let Guard::Held { apps: held, .. } = guard.judge(&apps(&["one", "seven"]), 7) else {
            panic!("one is still gone")
        };
        assert_eq!(held, apps(&["seven"]), "a file that was back and vanishes by itself is on its own");
        guard.confirm(apps(&["seven"]));
        assert_eq!(guard.judge(&apps(&["one", "seven"]), 7), Guard::Allowed);
        assert_eq!(guard.judge(&apps(&["one"]), 7), Guard::Allowed);
    }

    #[test]
    fn a_hold_of_a_life_before_stands_however_few_are_still_gone() {
        let removals = Removals { held: apps(&["one", "two", "three", "four", "five"]), ..Removals::default() };
        let mut guard = RemovalGuard::of(removals);
        let Guard::Held { apps: held, .. } = guard.judge(&apps(&["four"]), 5) else { panic!("it is still gone") };
        assert_eq!((held, guard.removals().held.len()), (apps(&["four"]), 1));
    }

    #[test]
    fn a_confirmation_covers_exactly_what_was_shown() {
        let mut guard = RemovalGuard::default();
        let first = apps(&["one", "two", "three"]);
        guard.confirm(first.clone());
        assert_eq!(guard.judge(&first, 3), Guard::Allowed);
        let more = apps(&["one", "two", "three", "four", "five", "six"]);
        let Guard::Held { apps: held, .. } = guard.judge(&more, 6) else { panic!("more vanished than was confirmed") };
        assert_eq!(held, apps(&["four", "five", "six"]));
    }

    #[test]
    fn a_file_that_came_back_loses_its_confirmation() {
        let mut guard = RemovalGuard::default();
        let all = apps(&["one", "two", "three"]);
        guard.confirm(all.clone());
        guard.forget_all_but(&BTreeSet::new());
        assert_ne!(guard.judge(&all, 3), Guard::Allowed);
    }
}
