//! `/apps/{userid}/{appname}/preview`: another version of an app, for its owner to look at before anybody else sees it.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body};
use super::state::PortalState;
use super::versions;
use crate::controller::{PreviewRefused, QuotaReached};
use crate::model::preview::{PreviewSource, PreviewState, PreviewStatus};
use crate::model::{AppKey, Settings, Timestamp, VersionId};

/// What is shown, where, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    pub source: PreviewSource,
    pub state: PreviewState,
    /// Its address, for the app's owner only.
    pub url: String,
    pub since: Timestamp,
    /// It ends then; each request for it puts that off by a quarter of an hour.
    pub until: Timestamp,
    /// Why it cannot be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last lines that it wrote before it ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl PreviewView {
    fn new(status: &PreviewStatus, settings: &Settings) -> Self {
        Self {
            source: status.source.clone(),
            state: status.state,
            url: settings.app_url(&status.host),
            since: status.since,
            until: status.until,
            reason: status.reason.clone(),
            log: status.log.clone(),
        }
    }
}

/// What is to be seen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartPreview {
    pub version: VersionId,
}

pub async fn start(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Body(StartPreview { version }): Body<StartPreview>,
) -> Result<Data<PreviewView>, ApiError> {
    let app = apps::find(&state, &key)?;
    // What runs can be shown without a history as well.
    if app.version.as_ref() != Some(&version) {
        versions::must_have(&state, &key, &version).await?;
    }
    state
        .controller
        .preview(key.clone(), PreviewSource::Version(version.clone()))
        .await
        .map_err(|why| refusal(&key, &why))?;
    tracing::info!(app = %key, %version, by = %caller, "a preview was asked for");
    find(&state, &key).map(Data)
}

pub(super) fn start_described() -> Operation {
    Operation::new("versions", "startPreview", "Look at a version before others see it")
        .more(
            "In a container of its own, with the app's limits, on a copy of the data: what is done in it changes nothing. For the app's \
             owner only, whoever may see the app. There is one of each app; another version takes its place, the same one goes on for a \
             quarter of an hour from now. Answers as soon as that is written down; `state` tells how far it is.",
        )
        .takes::<StartPreview>(json!({"version": "3f2a91c04be7d815"}))
        .answers::<PreviewView>(200, "Where it is, and how far.")
        .refuses(&[
            code::NO_SUCH_APP,
            code::NO_SUCH_VERSION,
            code::NO_SUCH_PREVIEW,
            code::NO_CODE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
            code::NEEDS_GATEWAY,
            code::PREVIEW_NAME_TAKEN,
            code::PREVIEW_QUOTA,
            code::ENGINE_UNREACHABLE,
            code::STORE_UNAVAILABLE,
            code::BUSY,
            code::STOPPING,
        ])
}

pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Data<PreviewView>, ApiError> {
    apps::find(&state, &key)?;
    find(&state, &key).map(Data)
}

pub(super) fn show_described() -> Operation {
    Operation::new("versions", "showPreview", "What of an app is looked at at present")
        .answers::<PreviewView>(200, "Where it is, how far, and until when.")
        .refuses(&[code::NO_SUCH_APP, code::NO_SUCH_PREVIEW])
}

/// That nothing is looked at any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewEnded {
    /// There was one.
    pub ended: bool,
}

pub async fn end(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
) -> Result<Data<PreviewEnded>, ApiError> {
    let ended = state.controller.status().previews.contains_key(&key);
    state.controller.end_preview(key.clone()).await.map_err(|why| refusal(&key, &why))?;
    tracing::info!(app = %key, by = %caller, "a preview was ended");
    Ok(Data(PreviewEnded { ended }))
}

pub(super) fn end_described() -> Operation {
    Operation::new("versions", "endPreview", "Stop looking")
        .more("Its container and the copy of the data go at once.")
        .answers::<PreviewEnded>(200, "Whether there was one.")
        .refuses(&[code::STORE_UNAVAILABLE, code::BUSY, code::STOPPING])
}

fn find(state: &PortalState, key: &AppKey) -> Result<PreviewView, ApiError> {
    let status = state.controller.status();
    let settings = state.settings_rx.borrow();
    status.previews.get(key).map(|preview| PreviewView::new(preview, &settings)).ok_or_else(|| {
        ApiError::new(
            code::NO_SUCH_PREVIEW,
            said!(
                "nothing of `{key}` is looked at at present: `POST /apps/{{userid}}/{{appname}}/preview` starts a preview",
                "지금 `{key}`에는 먼저 보기가 없습니다: `POST /apps/{{userid}}/{{appname}}/preview`로 시작하세요"
            ),
        )
    })
}

pub(super) fn refusal_by_quota(quota: &QuotaReached) -> ApiError {
    match quota {
        QuotaReached::UserWithPreviews { .. } => ApiError::new(
            code::PREVIEW_QUOTA,
            said!("{quota}", "다른 앱을 먼저 보는 중이고 만들 수 있는 앱 수가 다 찼습니다: 그 먼저 보기를 끝내세요"),
        ),
        _ => ApiError::new(
            code::PREVIEW_QUOTA,
            said!(
                "{quota}",
                "서버의 앱과 먼저 보기가 MAX_TOTAL_APPS만큼 있습니다: 먼저 보기를 끝내거나 앱을 지우거나 .env에서 늘리세요"
            ),
        ),
    }
}

fn refusal(key: &AppKey, why: &PreviewRefused) -> ApiError {
    let english = why.to_string();
    match why {
        PreviewRefused::NoApp => edits::app_deleted(key),
        PreviewRefused::NeedsGateway => ApiError::new(
            code::NEEDS_GATEWAY,
            said!(
                "{english}",
                "PAAS_ROUTING이 direct이면 누가 오는지 확인하지 않아서 먼저 보기를 모두가 볼 수 있습니다: PAAS_ROUTING=gateway가 필요합니다"
            ),
        ),
        PreviewRefused::EngineAway => ApiError::new(
            code::ENGINE_UNREACHABLE,
            said!("{english}", "Docker에 연결할 수 없습니다: `paas doctor`로 확인한 뒤 다시 시도하세요"),
        )
        .retry_after(5),
        PreviewRefused::NameTaken { other } => ApiError::new(
            code::PREVIEW_NAME_TAKEN,
            said!("{english}", "`{other}` 앱이 이 먼저 보기의 주소를 쓰고 있습니다: 그 앱의 이름을 바꾸세요"),
        ),
        PreviewRefused::Quota(quota) => refusal_by_quota(quota),
        PreviewRefused::Unwritten { .. } => ApiError::new(
            code::STORE_UNAVAILABLE,
            said!("{english}", "먼저 보기를 데이터베이스에 적지 못했습니다: 잠시 뒤에 다시 시도하세요"),
        )
        .retry_after(5),
        PreviewRefused::Busy => ApiError::new(
            code::BUSY,
            said!("{english}", "앞의 먼저 보기를 아직 준비하고 있습니다: 잠시 뒤에 다시 시도하세요"),
        )
        .retry_after(5),
        PreviewRefused::Stopping => {
            ApiError::new(code::STOPPING, said!("{english}", "데몬이 멈추는 중입니다: 다시 켜진 뒤에 시도하세요"))
                .retry_after(5)
        }
    }
}
