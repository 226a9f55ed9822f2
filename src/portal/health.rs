//! `GET /health` (for monitors, without details) and `GET /status` (everything the daemon knows).

use std::time::Duration;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::{self, Code};
use super::describe::Operation;
use super::envelope::{ApiError, Data, Text, said};
use super::state::PortalState;
use crate::model::DaemonStatus;
use crate::model::status::{DatabaseStatus, EngineStatus, ManifestsStatus};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Healthy {
    pub status: String,
    /// How many apps a held mass deletion is about: it waits for a person (`paas confirm`), so a monitor should tell one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_removals: Option<usize>,
}

/// 200 when the daemon reconciles and reaches Docker; 503 with the reason's code when not.
pub async fn health(State(state): State<PortalState>) -> Result<Data<Healthy>, ApiError> {
    let status = state.controller.status();
    match hindrance(&status) {
        None if is_stuck(&state).await => Err(ApiError::new(
            code::STUCK,
            said!(
                "the daemon runs but makes no progress: look at its log, then restart it; the apps keep running",
                "데몬이 실행 중이지만 진행이 없습니다: 로그를 보고 데몬을 다시 시작하세요. 앱은 계속 실행됩니다"
            ),
        )),
        None => {
            let held_removals = status.held.as_ref().map(|held| held.apps.len());
            Ok(Data(Healthy { status: "ok".to_owned(), held_removals }))
        }
        Some((code, english, korean)) => {
            Err(ApiError::new(code, Text { english: english.to_owned(), korean: korean.to_owned() }))
        }
    }
}

pub(super) fn health_described() -> Operation {
    Operation::new("daemon", "health", "Whether the daemon does its work")
        .more("For monitors: no password, no details. 503 with the reason's code when not.")
        .answers::<Healthy>(200, "It reconciles and reaches Docker.")
        .refuses(&[
            code::ENGINE_UNREACHABLE,
            code::ENGINE_UNSUPPORTED,
            code::MANIFESTS_UNAVAILABLE,
            code::STARTING,
            code::STORE_UNAVAILABLE,
            code::STUCK,
        ])
}

/// The loop answers within microseconds, unless something keeps it from turning.
const LOOP_ANSWERS: Duration = Duration::from_secs(2);
/// Every call that a pass, or a look at what all apps share, makes has a deadline; all of them together stay far below this.
/// Only a folder that does not answer takes for ever.
const LONGEST_JOB: Duration = Duration::from_secs(15 * 60);

/// Asks the loop itself: a status that does not change may be calm, an answer that does not come is not.
async fn is_stuck(state: &PortalState) -> bool {
    match tokio::time::timeout(LOOP_ANSWERS, state.controller.progress()).await {
        Ok(Some(longest)) => longest > LONGEST_JOB,
        Ok(None) => !state.stopping.is_cancelled(),
        Err(_) => true,
    }
}

/// What keeps the daemon from doing its work. No names, paths or reasons: the route needs no password.
fn hindrance(status: &DaemonStatus) -> Option<(&'static Code, &'static str, &'static str)> {
    if let DatabaseStatus::Unusable { .. } = status.database {
        return Some((
            code::STORE_UNAVAILABLE,
            "the daemon's database is lost or damaged: see `paas status` on the server",
            "데몬의 데이터베이스가 없어졌거나 손상되었습니다: 서버에서 `paas status`를 보세요",
        ));
    }
    match (&status.engine, &status.manifests) {
        (EngineStatus::Unreachable { .. }, _) => Some((
            code::ENGINE_UNREACHABLE,
            "Docker does not answer: start it; the daemon reconnects by itself",
            "Docker가 응답하지 않습니다: Docker를 시작하면 데몬이 스스로 다시 연결합니다",
        )),
        (EngineStatus::Unsupported { .. }, _) => Some((
            code::ENGINE_UNSUPPORTED,
            "this Docker is too old or too new: see `paas status`",
            "이 Docker 버전은 지원되지 않습니다: `paas status`를 보세요",
        )),
        (_, ManifestsStatus::Unavailable { .. }) => Some((
            code::MANIFESTS_UNAVAILABLE,
            "the manifests folder cannot be read: see `paas status`",
            "매니페스트 폴더를 읽을 수 없습니다: `paas status`를 보세요",
        )),
        (EngineStatus::Connecting, _) | (_, ManifestsStatus::Unknown) => Some((
            code::STARTING,
            "the daemon is starting: ask again in a moment",
            "데몬이 시작하는 중입니다: 잠시 뒤에 다시 물어보세요",
        )),
        (EngineStatus::Connected { .. }, ManifestsStatus::Complete) => None,
    }
}

pub async fn status(State(state): State<PortalState>) -> Data<std::sync::Arc<DaemonStatus>> {
    Data(state.controller.status())
}

pub(super) fn status_described() -> Operation {
    Operation::new("daemon", "status", "Everything the daemon knows")
        .answers::<DaemonStatus>(200, "Engine, image, network, problems, and every app with its conditions.")
}
