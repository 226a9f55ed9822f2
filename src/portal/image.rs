//! `GET /image-log`: what Docker said when the runtime image was built last, well or not.

use std::io;
use std::time::UNIX_EPOCH;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::describe::Operation;
use super::edits::blocking;
use super::envelope::{ApiError, Data, said};
use super::state::PortalState;
use crate::model::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildLogView {
    /// When the build ended; null when this installation has built none yet.
    pub at: Option<Timestamp>,
    /// The last 2000 at most, as Docker wrote them.
    pub lines: Vec<String>,
}

pub async fn log(State(state): State<PortalState>) -> Result<Data<BuildLogView>, ApiError> {
    let file = state.settings_rx.borrow().image_log();
    blocking(move || match std::fs::read_to_string(&file) {
        Ok(text) => {
            let written = std::fs::metadata(&file).and_then(|about| about.modified()).ok();
            let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let at = since.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp);
            Ok(Data(BuildLogView { at, lines: text.lines().map(str::to_owned).collect() }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Data(BuildLogView { at: None, lines: Vec::new() })),
        Err(error) => {
            tracing::warn!(%error, "the log of the last image build cannot be read");
            Err(ApiError::new(
                code::STORE_UNAVAILABLE,
                said!(
                    "the log of the last image build cannot be read: see the daemon's log, and check the disk",
                    "마지막 이미지 빌드 기록을 읽을 수 없습니다: 데몬의 로그와 디스크를 확인하세요"
                ),
            ))
        }
    })
    .await
}

pub(super) fn log_described() -> Operation {
    Operation::new("daemon", "showImageLog", "What Docker said when the runtime image was built last")
        .more("Kept until the next build, also over restarts of the daemon.")
        .answers::<BuildLogView>(200, "Without lines when this installation has built no image yet.")
        .refuses(&[code::STORE_UNAVAILABLE, code::STOPPING])
}
