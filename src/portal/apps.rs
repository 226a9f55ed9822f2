//! `GET /apps`, `GET /apps/{userid}/{appname}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::etag;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits::{blocking, refusal};
use super::envelope::{ApiError, Data, said};
use super::extract::App;
use super::state::PortalState;
use super::traffic::Traffic;
use super::view::AppView;
use crate::desired::{ManifestDir, parse};
use crate::model::status::ManifestsStatus;
use crate::model::{AppKey, AppStatus, DaemonStatus, Manifest, RunState};

pub async fn list(State(state): State<PortalState>, caller: Caller) -> Result<Data<Vec<AppView>>, ApiError> {
    let settings = state.settings_rx.borrow().clone();
    let status = state.controller.status();
    if !is_known_which(&status) {
        return Err(starting());
    }
    let own = status.apps.values().filter(|app| caller.may_see(&app.app));
    Ok(Data(own.map(|app| AppView::new(app, &settings)).collect()))
}

pub(super) fn list_described() -> Operation {
    Operation::new("apps", "listApps", "Your apps; for an admin all of them")
        .answers::<Vec<AppView>>(200, "In order of their names.")
        .refuses(&[code::STARTING])
}

/// Whether the daemon has read which apps there are: before that, an empty answer would be a wrong one.
pub(super) fn is_known_which(status: &DaemonStatus) -> bool {
    status.manifests != ManifestsStatus::Unknown
}

pub(super) fn starting() -> ApiError {
    ApiError::new(
        code::STARTING,
        said!(
            "the daemon is starting and has not read yet which apps there are: ask again in a moment",
            "데몬이 시작하는 중이라 어떤 앱이 있는지 아직 읽지 못했습니다: 잠시 뒤에 다시 물어보세요"
        ),
    )
    .retry_after(1)
}

/// One app, and what its file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppDetail {
    #[serde(flatten)]
    pub app: AppView,
    /// What its visitors did since the daemon started; null in direct mode, where somebody else knows.
    pub traffic: Option<Traffic>,
    /// The manifest as it is on disk right now; null when there is none or it cannot be used.
    pub manifest: Option<Manifest>,
}

/// With the file's digest as `ETag`. An app whose file the daemon has not looked at yet is there already.
pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Response, ApiError> {
    let settings = state.settings_rx.borrow().clone();
    let (dir, asked) = (ManifestDir::new(settings.manifests_dir.clone()), key.clone());
    // What is in the way of reading one file is the app's condition as well; its status is worth showing all the same.
    let current = blocking(move || dir.read(&asked).map_err(refusal)).await.unwrap_or_default();
    let manifest = current.as_ref().and_then(|current| parse(&key.file_name(), current.text.as_bytes()).ok());
    let daemon = state.controller.status();
    let status = match (daemon.apps.get(&key), &current) {
        (Some(status), _) => (**status).clone(),
        (None, Some(current)) => {
            let desired = manifest.as_ref().map_or(RunState::Running, |manifest| manifest.state);
            AppStatus::unseen(&key, desired, Some(current.digest.clone()), &settings.domain)
        }
        (None, None) if !is_known_which(&daemon) => return Err(starting()),
        (None, None) => return Err(no_such_app(&key)),
    };
    let traffic = state.traffic.as_ref().map(|traffic| Traffic::from(&traffic.app(&key)));
    let body = Data(AppDetail { app: AppView::new(&status, &settings), traffic, manifest });
    Ok(match current {
        Some(current) => ([(ETAG, etag(current.digest.as_str()))], body).into_response(),
        None => body.into_response(),
    })
}

pub(super) fn show_described() -> Operation {
    Operation::new("apps", "showApp", "One app: desired, observed, phase, conditions, address")
        .more("The `ETag` is the manifest file's digest: send it as `If-Match` to change exactly this version.")
        .answers::<AppDetail>(200, "As the daemon last saw it, and its manifest as it is now.")
        .refuses(&[code::NO_SUCH_APP, code::STARTING])
}

/// The app's present status, or the 404 that says so.
pub(super) fn find(state: &PortalState, key: &AppKey) -> Result<Arc<AppStatus>, ApiError> {
    let status = state.controller.status();
    let missing = || if is_known_which(&status) { no_such_app(key) } else { starting() };
    status.apps.get(key).cloned().ok_or_else(missing)
}

pub(super) fn no_such_app(key: &AppKey) -> ApiError {
    let file = key.file_name();
    ApiError::new(
        code::NO_SUCH_APP,
        said!(
            "there is no app `{key}`: see `GET /apps`, or put `{file}` into the manifests folder",
            "`{key}` 앱이 없습니다: `GET /apps`를 보거나 매니페스트 폴더에 `{file}` 파일을 넣으세요"
        ),
    )
}
