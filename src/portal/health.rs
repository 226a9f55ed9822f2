//! `GET /health` (for monitors, without details) and `GET /status` (everything the daemon knows).

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::envelope::{ApiError, Data};
use super::state::PortalState;
use crate::model::DaemonStatus;
use crate::model::status::{EngineStatus, ManifestsStatus};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    pub status: String,
}

/// 200 when the daemon reconciles and reaches Docker; 503 with the reason's code when not.
pub async fn health(State(state): State<PortalState>) -> Result<Data<Healthy>, ApiError> {
    match hindrance(&state.controller.status()) {
        None => Ok(Data(Healthy { status: "ok".to_owned() })),
        Some((code, message)) => Err(ApiError::unavailable(code, message)),
    }
}

/// What keeps the daemon from doing its work. No names, paths or reasons: the route needs no password.
fn hindrance(status: &DaemonStatus) -> Option<(&'static str, &'static str)> {
    match (&status.engine, &status.manifests) {
        (EngineStatus::Unreachable { .. }, _) => {
            Some(("engine-unreachable", "Docker does not answer: start it; the daemon reconnects by itself"))
        }
        (EngineStatus::Unsupported { .. }, _) => {
            Some(("engine-unsupported", "this Docker is too old or too new: see `paas status`"))
        }
        (_, ManifestsStatus::Unavailable { .. }) => {
            Some(("manifests-unavailable", "the manifests folder cannot be read: see `paas status`"))
        }
        (EngineStatus::Connecting, _) | (_, ManifestsStatus::Unknown) => {
            Some(("starting", "the daemon is starting: ask again in a moment"))
        }
        (EngineStatus::Connected { .. }, ManifestsStatus::Complete) => None,
    }
}

pub async fn status(State(state): State<PortalState>) -> Data<std::sync::Arc<DaemonStatus>> {
    Data(state.controller.status())
}
