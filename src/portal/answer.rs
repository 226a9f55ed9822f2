//! What a changing call answers: how long it waits for the world, and what it then says.

use std::time::Duration;

use axum::http::header::ETAG;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::follow::{Goal, Patience, Verdict, follow};
use super::state::PortalState;
use super::view::AppView;
use crate::controller::Follow;
use crate::model::{AppStatus, Health, RunState};

/// Longer than the longest trial of a new container.
pub(super) const MAX_WAIT: u64 = 660;

/// Last lines of an app that does not come up.
const LINES: u32 = 40;
/// How long reading them may take before it is done without.
const LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// `?wait=SECONDS`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    pub(super) wait: Option<u64>,
}

impl Wait {
    pub(super) fn patience(&self) -> Result<Patience, ApiError> {
        let Some(seconds) = self.wait else { return Ok(Patience::Verdict) };
        if seconds <= MAX_WAIT {
            return Ok(Patience::Exactly(Duration::from_secs(seconds)));
        }
        Err(ApiError::new(
            code::BAD_QUERY,
            said!(
                "`wait={seconds}` is too long: wait at most {MAX_WAIT} seconds, then ask again",
                "`wait={seconds}`은(는) 너무 깁니다: {MAX_WAIT}초 이하로 기다린 뒤 다시 물어보세요"
            ),
        ))
    }
}

/// The app after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    #[serde(flatten)]
    pub app: AppView,
    /// The world is as the manifest says. `false`: not yet, or not at all; `reason` says which.
    pub converged: bool,
    /// Phase and reason; null when converged.
    pub reason: Option<String>,
    /// What the app's container wrote last, oldest first, when it did not come up.
    pub last_lines: Vec<String>,
}

/// Waits for the goal and answers `done`, or 202 when it has not come about, or when too many wait already.
pub(super) async fn answer(state: &PortalState, goal: Goal, patience: Patience, done: StatusCode) -> Response {
    let place = state.waits.try_acquire();
    let patience = if place.is_ok() { patience } else { Patience::Exactly(Duration::ZERO) };
    let (verdict, status) = follow(state.controller.watch(), goal.clone(), patience, &state.stopping).await;
    let etag = etag(goal.digest.as_str());
    let settings = state.settings_rx.borrow().clone();
    let status = status.map_or_else(
        || AppStatus::unseen(&goal.key, goal.state, Some(goal.digest.clone()), &settings.domain),
        |status| (*status).clone(),
    );
    let (code, reason, last_lines) = match verdict {
        Verdict::Converged => (done, None, Vec::new()),
        Verdict::Stuck(reason) | Verdict::NotYet(reason) => {
            (StatusCode::ACCEPTED, Some(reason), last_lines(state, &goal, &status).await)
        }
    };
    let app = AppView::new(&status, &settings);
    let body = Followed { app, converged: reason.is_none(), reason, last_lines };
    (code, [(ETAG, etag)], Data(body)).into_response()
}

/// A strong entity tag, of hexadecimal digits: a manifest file's digest, or a version.
pub(super) fn etag(digits: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Of the successor that was given up, else of the last run that ended, else of what runs without answering.
pub(super) async fn last_lines(state: &PortalState, goal: &Goal, status: &AppStatus) -> Vec<String> {
    if let Some(failed) = &status.failed_deploy {
        return failed.log.clone();
    }
    let ails = matches!(status.health, Health::CrashLoop | Health::Degraded | Health::Starting);
    if goal.state != RunState::Running || !ails || status.file_digest.as_ref() != Some(&goal.digest) {
        return Vec::new();
    }
    match (&status.last_exit, &status.container) {
        (Some(exit), _) if !exit.log.is_empty() => exit.log.clone(),
        (_, Some(container)) => {
            let read = async {
                let mut lines = Vec::new();
                if let Ok(mut stream) = state.controller.logs(container.clone(), LINES, Follow::No).await {
                    while let Some(Ok(line)) = stream.next().await {
                        lines.push(line.text);
                    }
                }
                lines
            };
            tokio::time::timeout(LINES_TIMEOUT, read).await.unwrap_or_default()
        }
        (_, None) => Vec::new(),
    }
}

/// What waits for the world.
pub(super) fn waits(operation: Operation, done: u16) -> Operation {
    let seconds = json!({"type": "integer", "minimum": 0, "maximum": MAX_WAIT});
    operation
        .query("wait", seconds, "Seconds to wait until the world has followed; 0 does not wait. Without it, as long as a new container of the app may \
             take until it answers (`startTimeout`), and 10 s more: until it is certain how it ended.")
        .answers::<Followed>(done, "The world is as the manifest says.")
        .answers::<Followed>(
            202,
            "Written, and not yet so: `reason` tells the present phase and what hinders it.",
        )
}
