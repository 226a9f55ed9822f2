//! `POST /confirm` and `POST /resync`: the only things that are asked of the controller rather than written to a file.

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, Text};
use super::extract::Body;
use super::state::PortalState;
use crate::controller::ConfirmError;
use crate::model::AppKey;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// `held.token` of the status: it names exactly the apps that were shown.
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// The apps that are now removed.
    pub apps: Vec<AppKey>,
}

pub async fn confirm(
    State(state): State<PortalState>,
    caller: Caller,
    Body(Confirm { token }): Body<Confirm>,
) -> Result<Data<Confirmed>, ApiError> {
    match state.controller.confirm(token, caller.to_string()).await {
        Ok(apps) => Ok(Data(Confirmed { apps })),
        Err(error) => {
            let english = error.to_string();
            let (code, korean) = match error {
                ConfirmError::NothingHeld => (code::NOTHING_HELD, "확인을 기다리는 삭제가 없습니다".to_owned()),
                ConfirmError::OutOfSight { .. } => (
                    code::MANIFESTS_UNAVAILABLE,
                    "매니페스트 폴더를 믿을 수 없어 무엇이 사라졌는지 알 수 없습니다: 서버에서 `paas status`로 까닭을 보고, 해결한 뒤 \
                     다시 확인하세요"
                        .to_owned(),
                ),
                ConfirmError::Changed { current } => (
                    code::TOKEN_CHANGED,
                    format!(
                        "토큰이 맞지 않습니다. 잘못 적었거나 보여 준 뒤에 내용이 바뀌었습니다: 상태를 다시 보고 `{current}`(으)로 확인하세요"
                    ),
                ),
                ConfirmError::Unwritten { .. } => (
                    code::STORE_UNAVAILABLE,
                    "확인을 기록하지 못해 아무것도 지우지 않았습니다: 서버에서 `paas status`로 까닭을 보고, 해결한 뒤 다시 확인하세요"
                        .to_owned(),
                ),
                ConfirmError::Stopping => {
                    (code::STOPPING, "데몬이 멈추는 중입니다: 다시 시작한 뒤 확인하세요".to_owned())
                }
            };
            Err(ApiError::new(code, Text { english, korean }))
        }
    }
}

pub(super) fn confirm_described() -> Operation {
    Operation::new("daemon", "confirmRemoval", "Let a held mass removal go on")
        .takes::<Confirm>(json!({"token": "3f9a"}))
        .answers::<Confirmed>(200, "The apps that are now removed.")
        .refuses(&[
            code::NOTHING_HELD,
            code::TOKEN_CHANGED,
            code::MANIFESTS_UNAVAILABLE,
            code::STORE_UNAVAILABLE,
            code::STOPPING,
        ])
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Resyncing {
    pub resync: String,
}

/// Answers 202: the pass has been asked for, not waited for.
pub async fn resync(State(state): State<PortalState>) -> (StatusCode, Data<Resyncing>) {
    state.controller.resync().await;
    (StatusCode::ACCEPTED, Data(Resyncing { resync: "requested".to_owned() }))
}

pub(super) fn resync_described() -> Operation {
    Operation::new("daemon", "resync", "Look at everything now").answers::<Resyncing>(202, "Asked for, not waited for.")
}
