//! One app as people and programs see it from outside: its status plus the word and the address that follow from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{AppStatus, Condition, ConditionKind, Health, RunState, Settings, SyncState};

/// `GET /apps/{userid}/{appname}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// One word that sums it up, see [`phase`].
    pub phase: String,
    pub url: String,
    /// Whether everybody who knows the address may change something in it, also through its own API: `visitors` lets in everyone
    /// for `change`.
    #[serde(default)]
    pub strangers_may_write: bool,
    /// Its own host names (`domains`) as people read them, and where they lead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<OwnAddress>,
    #[serde(flatten)]
    pub status: AppStatus,
}

/// One of an app's own host names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnAddress {
    /// In its own script.
    pub shown: String,
    pub url: String,
}

impl AppView {
    #[must_use]
    pub fn new(status: &AppStatus, settings: &Settings) -> Self {
        let addresses = status
            .domains
            .iter()
            .map(|name| OwnAddress { shown: name.readable(), url: settings.app_url(name.as_str()) })
            .collect();
        let url = settings.app_url(&status.host);
        let strangers_may_write = status.visitors.is_open();
        Self { phase: phase(status).to_owned(), url, addresses, strangers_may_write, status: status.clone() }
    }
}

/// Every word of [`phase`], in order: a count that vanishes when it falls to zero cannot be alarmed on.
pub const PHASES: [&str; 15] = [
    "Asleep",
    "Conflict",
    "CrashLoop",
    "Degraded",
    "Deleted",
    "Deleting",
    "DeployFailed",
    "Held",
    "Invalid",
    "Running",
    "Starting",
    "Stopped",
    "Stopping",
    "Unknown",
    "Updating",
];

/// What a person wants to hear first: what hinders the app if something does, else how it is doing.
#[must_use]
pub fn phase(status: &AppStatus) -> &'static str {
    let holds = |kind| status.condition(kind).is_some_and(|condition| condition.status);
    match (status.sync, status.health) {
        (SyncState::Invalid, _) => "Invalid",
        (SyncState::Held, _) => "Held",
        (_, Health::CrashLoop) => "CrashLoop",
        (_, Health::Degraded) => "Degraded",
        (_, Health::Unknown) => "Unknown",
        // Neither goes on by itself, so neither is on its way.
        (SyncState::OutOfSync, Health::Running | Health::Starting | Health::Stopped)
            if status.desired == RunState::Running && holds(ConditionKind::Conflict) =>
        {
            "Conflict"
        }
        (SyncState::OutOfSync, Health::Running) if holds(ConditionKind::DeployFailed) => "DeployFailed",
        (SyncState::OutOfSync, Health::Running) if status.desired == RunState::Running => "Updating",
        (SyncState::OutOfSync, Health::Running | Health::Starting) if status.desired == RunState::Stopped => "Stopping",
        (SyncState::OutOfSync, Health::Running | Health::Starting | Health::Stopped)
            if status.desired == RunState::Deleted =>
        {
            "Deleting"
        }
        (_, Health::Asleep) => "Asleep",
        (_, Health::Running) => "Running",
        (SyncState::OutOfSync, Health::Stopped) | (_, Health::Starting) => "Starting",
        (_, Health::Stopped) => "Stopped",
        // The container is gone, its folder not yet.
        (SyncState::OutOfSync, Health::Deleted) => "Deleting",
        (_, Health::Deleted) => "Deleted",
    }
}

/// The condition that explains why an app is not what it should be, by the precedence of [`ConditionKind`]; `None` when it
/// is. That a stopped app is not ready needs no explanation.
#[must_use]
pub fn trouble(status: &AppStatus) -> Option<&Condition> {
    let specific = status
        .conditions
        .iter()
        .filter(|condition| condition.kind != ConditionKind::Ready && condition.status)
        .min_by_key(|condition| condition.kind);
    let not_ready = status.condition(ConditionKind::Ready).filter(|ready| !ready.status);
    specific.or(not_ready.filter(|_| status.desired == RunState::Running))
}

/// [`trouble`], and after it that the app itself is in trouble: a phase such as `Invalid` or `Held` says nothing about the
/// version that runs meanwhile.
#[must_use]
pub fn troubles(status: &AppStatus) -> Vec<&Condition> {
    let first = trouble(status);
    let ailing = [ConditionKind::CrashLoop, ConditionKind::NotAnswering]
        .into_iter()
        .filter_map(|kind| status.condition(kind))
        .find(|condition| condition.status)
        .filter(|ailing| first.is_some_and(|first| first.kind < ailing.kind));
    first.into_iter().chain(ailing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppKey, Timestamp};

    fn status(sync: SyncState, health: Health, kinds: &[ConditionKind]) -> AppStatus {
        let condition = |kind: &ConditionKind| Condition {
            kind: *kind,
            status: true,
            reason: format!("{kind:?}"),
            message: format!("{kind:?}"),
            digest: None,
            since: Timestamp(0),
        };
        AppStatus {
            sync,
            health,
            conditions: kinds.iter().map(condition).collect(),
            ..AppStatus::unseen(&AppKey::parse("alice-diary").unwrap(), RunState::Running, None, "localhost")
        }
    }

    #[test]
    fn what_does_not_go_on_by_itself_is_not_shown_as_on_its_way() {
        use ConditionKind::{Conflict, DeployFailed};
        use Health::{CrashLoop, Running, Starting};
        use SyncState::{Invalid, OutOfSync, Synced};
        for (sync, health, kinds, want) in [
            (OutOfSync, Running, &[] as &[_], "Updating"),
            (OutOfSync, Running, &[DeployFailed], "DeployFailed"),
            (OutOfSync, Running, &[Conflict, DeployFailed], "Conflict"),
            (OutOfSync, Starting, &[], "Starting"),
            (OutOfSync, Starting, &[Conflict], "Conflict"),
            (OutOfSync, CrashLoop, &[DeployFailed], "CrashLoop"),
            (Invalid, CrashLoop, &[DeployFailed], "Invalid"),
            (Synced, Running, &[Conflict], "Running"),
        ] {
            assert_eq!(phase(&status(sync, health, kinds)), want, "{sync:?} {health:?} {kinds:?}");
        }
    }

    #[test]
    fn every_phase_is_listed_and_every_listed_one_occurs() {
        use Health::{Asleep, CrashLoop, Degraded, Deleted, Running, Starting, Stopped, Unknown};
        use SyncState::{Held, Invalid, OutOfSync, Synced};
        let mut found = std::collections::BTreeSet::new();
        for sync in [Synced, OutOfSync, Held, Invalid] {
            for health in [Unknown, Running, Starting, Stopped, Asleep, CrashLoop, Degraded, Deleted] {
                for desired in [RunState::Running, RunState::Stopped, RunState::Deleted] {
                    for kinds in [&[][..], &[ConditionKind::Conflict], &[ConditionKind::DeployFailed]] {
                        found.insert(phase(&AppStatus { desired, ..status(sync, health, kinds) }));
                    }
                }
            }
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), PHASES);
    }

    #[test]
    fn what_is_about_to_be_lost_is_told_first_and_a_crash_is_never_hidden() {
        use ConditionKind::{
            Conflict, CrashLoop, DeployFailed, EngineUnreachable, Invalid, LimitsNotEnforced, NotAnswering,
            RemovalHeld, StepFailed, Tombstone,
        };
        for (kinds, want) in [
            (&[] as &[_], &[] as &[_]),
            (&[LimitsNotEnforced, DeployFailed], &[DeployFailed]),
            (&[StepFailed, Conflict, Tombstone], &[Tombstone]),
            (&[CrashLoop, RemovalHeld, EngineUnreachable], &[RemovalHeld, CrashLoop]),
            (&[CrashLoop, Invalid], &[Invalid, CrashLoop]),
            (&[NotAnswering, Invalid, StepFailed], &[Invalid, NotAnswering]),
            (&[DeployFailed, CrashLoop], &[CrashLoop]),
        ] {
            let status = status(SyncState::OutOfSync, Health::Running, kinds);
            let told: Vec<_> = troubles(&status).iter().map(|condition| condition.kind).collect();
            assert_eq!(told, want, "{kinds:?}");
        }
    }
}
