//! Whether an app sleeps: by what is written down, by what the loop knows of its visitors, and by what its manifest says. Pure.

use super::goal::{Circumstances, Decision, goal_of, resolve_with};
use crate::desired::{Desired, Resolved, sleep_lacks_gateway};
use crate::model::{Code, ConditionKind, Manifest, RunState, SyncState, Timestamp};
use crate::plan::Goal;
use crate::plan::assess::Finding;

/// What the loop knows of an app's visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// Nothing new: it sleeps if it slept.
    #[default]
    AsBefore,
    /// Nobody has come for as long as its manifest says, or a person sends it to sleep.
    Due,
    /// Somebody wants it.
    Wanted,
}

/// With sleep taken into account.
pub(super) fn rested(at: &Circumstances<'_>, mut decision: Decision) -> Decision {
    let before = at.last_good().and_then(|row| row.asleep);
    let asleep = asleep(at, before, &decision);
    // A file that cannot be used writes no row, and whether its app sleeps has to be written all the same.
    if decision.record.is_none() && asleep != before && !matches!(decision.goal, Goal::Leave | Goal::Remove { .. }) {
        decision.record = at.last_good().cloned();
    }
    if let Some(record) = &mut decision.record {
        record.asleep = asleep;
    }
    decision.goal = match (decision.goal, asleep) {
        (Goal::Run(spec), Some(since)) => Goal::Sleep { spec, since },
        (goal, _) => goal,
    };
    decision
}

/// Since when it sleeps, if it does.
fn asleep(at: &Circumstances<'_>, before: Option<Timestamp>, decision: &Decision) -> Option<Timestamp> {
    let Goal::Run(spec) = &decision.goal else { return None };
    spec.sleep?;
    match at.rest {
        Rest::Wanted => None,
        Rest::AsBefore => before.filter(|_| !is_changed(at, decision)),
        Rest::Due => before.or(Some(at.now)).filter(|_| !is_changed(at, decision)),
    }
}

/// Its manifest was changed so that it needs another container: whoever does that sees whether it comes up. Settings and images wait
/// until somebody wants it, or a change of `.env` would wake everybody at once.
fn is_changed(at: &Circumstances<'_>, decision: &Decision) -> bool {
    let (Some(row), Some(record), Some(spec)) = (at.last_good(), &decision.record, decision.spec()) else {
        return false;
    };
    if row.manifest == record.manifest {
        return false;
    }
    let template = Ok(&record.template);
    match resolve_with(at, &row.manifest, &row.digest, template) {
        Resolved::Usable { desired: desired @ Desired::Run(_), .. } => match goal_of(desired, row.code()) {
            Goal::Run(before) => before.identity() != spec.identity() || spec.code == Code::Due,
            Goal::Stop(_) | Goal::Sleep { .. } | Goal::Leave | Goal::Remove { .. } => true,
        },
        Resolved::Usable { .. } | Resolved::Unusable { .. } => true,
    }
}

/// A site that nobody would wake stays awake, and is told so.
pub(super) fn sleepless(at: &Circumstances<'_>, manifest: &Manifest, mut decision: Decision) -> Decision {
    let Some((problem, remedy)) = sleep_lacks_gateway(manifest, at.settings) else { return decision };
    if manifest.state != RunState::Running {
        return decision;
    }
    let message = format!("{}: {problem}; {remedy}", at.key.file_name());
    decision.findings.push(Finding::new(ConditionKind::Invalid, "SleepNeedsGateway", message));
    Decision { sync: Some(SyncState::Invalid), ..decision }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::domains::Holders;
    use super::super::goal::{Absence, Admission, decide};
    use super::*;
    use crate::desired::{Dirs, FileEntry, Snapshot, parse};
    use crate::model::observed::Capacity;
    use crate::model::{AppKey, Digest, InventoryRow, Routing, Settings, Template};

    const SLEEPS: &str = "template: diary-v1\nsleep: {after: 30m}\n";

    fn row(text: &str, asleep: Option<Timestamp>) -> InventoryRow {
        let key = AppKey::parse("alice-diary").unwrap();
        let tombstone = InventoryRow::tombstone(key, Timestamp(1));
        let manifest = parse("alice-diary.yaml", text.as_bytes()).unwrap();
        let template = Template { id: manifest.template.clone(), internal_port: 3000, ..tombstone.template.clone() };
        InventoryRow { manifest, template, asleep, ..tombstone }
    }

    /// Goal, and what is to be written of its sleep.
    fn decided(text: &str, row: &InventoryRow, rest: Rest, routing: Routing) -> String {
        let settings = Settings { routing, ..Settings::defaults("/paas") };
        let mut snapshot =
            Snapshot { templates: [(row.template.id.clone(), Ok(row.template.clone()))].into(), ..Snapshot::unread() };
        let (parsed, digest) = (parse("alice-diary.yaml", text.as_bytes()), Digest::of(text.as_bytes()));
        let path = PathBuf::from("alice-diary.yaml");
        snapshot
            .files
            .insert(row.key.clone(), FileEntry { path, digest, modified: Timestamp(0), parsed, signed: None });
        let decision = decide(&Circumstances {
            key: &row.key,
            snapshot: &snapshot,
            row: Some(row),
            settings: &settings,
            dirs: Dirs { code: "/paas/app".into(), data: "/paas/data".into(), versions: "/paas/versions".into() },
            capacity: Capacity::default(),
            absence: Absence::Certain,
            admission: Admission::Admitted,
            holders: &Holders::default(),
            rest,
            now: Timestamp(9),
        });
        let goal = match &decision.goal {
            Goal::Run(_) => "run".to_owned(),
            Goal::Stop(_) => "stop".to_owned(),
            Goal::Sleep { since, .. } => format!("sleep since {}", since.0),
            Goal::Leave | Goal::Remove { .. } => "other".to_owned(),
        };
        let written = decision.record.map_or_else(|| "-".to_owned(), |row| format!("{:?}", row.asleep.map(|at| at.0)));
        let told: Vec<_> = decision.findings.iter().map(|finding| finding.reason.as_str()).collect();
        format!("{goal}; {written} {}", told.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn asleep_is_what_is_written_down_until_its_time_or_somebody_comes() {
        let (awake, asleep) = (row(SLEEPS, None), row(SLEEPS, Some(Timestamp(5))));
        let decided = |row, rest| decided(SLEEPS, row, rest, Routing::Gateway);
        assert_eq!(decided(&awake, Rest::AsBefore), "run; None");
        assert_eq!(decided(&awake, Rest::Due), "sleep since 9; Some(9)");
        assert_eq!(decided(&asleep, Rest::AsBefore), "sleep since 5; Some(5)");
        assert_eq!(decided(&asleep, Rest::Due), "sleep since 5; Some(5)");
        assert_eq!(decided(&asleep, Rest::Wanted), "run; None");
    }

    #[test]
    fn an_edit_that_takes_another_container_wakes_it_and_no_other() {
        let asleep = row(SLEEPS, Some(Timestamp(5)));
        for (more, wanted) in [
            ("memory: 64m\n", "sleep since 5; Some(5)"),
            ("visitors: owner\n", "sleep since 5; Some(5)"),
            ("# a comment\n", "sleep since 5; Some(5)"),
            ("env: {A: b}\n", "run; None"),
            ("state: stopped\n", "stop; None"),
            ("memmory: 64m\n", "sleep since 5; - Invalid"),
        ] {
            let text = format!("{SLEEPS}{more}");
            assert_eq!(decided(&text, &asleep, Rest::AsBefore, Routing::Gateway), wanted, "{more}");
        }
        let never = "template: diary-v1\nsleep: never\n";
        assert_eq!(decided(never, &asleep, Rest::AsBefore, Routing::Gateway), "run; None");
    }

    #[test]
    fn whoever_comes_wakes_it_by_a_file_that_cannot_be_used_as_well() {
        let (broken, asleep) = ("memmory: 1\n", row(SLEEPS, Some(Timestamp(5))));
        assert_eq!(decided(broken, &asleep, Rest::Wanted, Routing::Gateway), "run; None Invalid");
        assert_eq!(decided(broken, &row(SLEEPS, None), Rest::Due, Routing::Gateway), "sleep since 9; Some(9) Invalid");
    }

    #[test]
    fn with_direct_routing_nothing_sleeps_and_whoever_asks_for_it_is_told_so() {
        let asleep = row(SLEEPS, Some(Timestamp(5)));
        assert_eq!(decided(SLEEPS, &asleep, Rest::Due, Routing::Direct), "run; None SleepNeedsGateway");
    }
}
