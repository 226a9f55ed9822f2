//! One app as people and programs see it from outside: its status plus the word and the address that follow from it.

use serde::{Deserialize, Serialize};

use crate::model::{AppStatus, Condition, ConditionKind, Health, Routing, RunState, Settings, SyncState};

/// `GET /apps/{userid}/{appname}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// One word that sums it up, see [`phase`].
    pub phase: String,
    pub url: String,
    #[serde(flatten)]
    pub status: AppStatus,
}

impl AppView {
    #[must_use]
    pub fn new(status: &AppStatus, settings: &Settings) -> Self {
        Self { phase: phase(status).to_owned(), url: url(&status.host, settings), status: status.clone() }
    }
}

/// What a person wants to hear first: what hinders the app if something does, else how it is doing.
#[must_use]
pub fn phase(status: &AppStatus) -> &'static str {
    match (status.sync, status.health) {
        (SyncState::Invalid, _) => "Invalid",
        (SyncState::Held, _) => "Held",
        (_, Health::CrashLoop) => "CrashLoop",
        (_, Health::Degraded) => "Degraded",
        (_, Health::Unknown) => "Unknown",
        (SyncState::OutOfSync, Health::Running) if status.desired == RunState::Running => "Updating",
        (SyncState::OutOfSync, Health::Running | Health::Starting) if status.desired == RunState::Stopped => "Stopping",
        (SyncState::OutOfSync, Health::Running | Health::Starting | Health::Stopped)
            if status.desired == RunState::Deleted =>
        {
            "Deleting"
        }
        (_, Health::Running) => "Running",
        (SyncState::OutOfSync, Health::Stopped) | (_, Health::Starting) => "Starting",
        (_, Health::Stopped) => "Stopped",
        (_, Health::Deleted) => "Deleted",
    }
}

/// The condition that explains why an app is not what it should be; `None` when it is. That a stopped app is not ready
/// needs no explanation.
#[must_use]
pub fn trouble(status: &AppStatus) -> Option<&Condition> {
    let specific =
        status.conditions.iter().find(|condition| condition.kind != ConditionKind::Ready && condition.status);
    let not_ready = status.condition(ConditionKind::Ready).filter(|ready| !ready.status);
    specific.or(not_ready.filter(|_| status.desired == RunState::Running))
}

/// Where a browser on the same network opens the app.
#[must_use]
pub fn url(host: &str, settings: &Settings) -> String {
    match (settings.routing, settings.gateway_port) {
        // In direct mode somebody else's proxy listens, on the usual port as far as anyone here knows.
        (Routing::Direct, _) | (Routing::Gateway, 80) => format!("http://{host}/"),
        (Routing::Gateway, port) => format!("http://{host}:{port}/"),
    }
}
