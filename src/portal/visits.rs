//! `GET /apps/{userid}/{appname}/visits`: how many came on each of the last 30 days.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::apps::find;
use super::code;
use super::describe::Operation;
use super::edits::blocking;
use super::envelope::{ApiError, Data, said};
use super::extract::App;
use super::state::PortalState;

/// One day of a site, by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayView {
    /// `2026-03-10`.
    pub day: String,
    /// Different ones, as far as address and browser tell.
    pub visitors: u64,
    /// Pages that they opened.
    pub pages: u64,
}

/// The last 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VisitsView {
    /// Oldest first, today last. Null in direct mode, where somebody else knows.
    pub days: Option<Vec<DayView>>,
}

pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Data<VisitsView>, ApiError> {
    find(&state, &key)?;
    let Some(visits) = state.visits.clone() else { return Ok(Data(VisitsView { days: None })) };
    let read = move || {
        visits.of(&key).map_err(|error| {
            tracing::warn!(%error, "the visits of the last days cannot be read");
            ApiError::new(
                code::STORE_UNAVAILABLE,
                said!(
                    "the visits of the last days cannot be read: see the daemon's log, and check the disk",
                    "지난 방문 기록을 읽을 수 없습니다: 데몬의 로그와 디스크를 확인하세요"
                ),
            )
        })
    };
    let days = blocking(read).await?;
    let view = days.into_iter().map(|day| DayView {
        day: day.day.to_string(),
        visitors: day.count.visitors,
        pages: day.count.pages,
    });
    Ok(Data(VisitsView { days: Some(view.collect()) }))
}

pub(super) fn show_described() -> Operation {
    Operation::new("apps", "showVisits", "How many visitors a site had on each of the last 30 days")
        .more(
            "Counted from opened pages (`GET`, answered with HTML), without cookie, script or stored address; programs that say that \
             they are programs do not count. Whoever comes on two days counts on both.",
        )
        .answers::<VisitsView>(200, "Oldest first, today last.")
        .refuses(&[code::STARTING, code::STOPPING])
}
