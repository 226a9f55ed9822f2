//! `GET /apps`, `GET /apps/{userid}/{appname}`.

use std::sync::Arc;

use axum::extract::State;

use super::code;
use super::envelope::{ApiError, Data, said};
use super::extract::App;
use super::state::PortalState;
use super::view::AppView;
use crate::model::{AppKey, AppStatus};

pub async fn list(State(state): State<PortalState>) -> Data<Vec<AppView>> {
    let settings = state.settings_rx.borrow().clone();
    let status = state.controller.status();
    Data(status.apps.values().map(|app| AppView::new(app, &settings)).collect())
}

pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Data<AppView>, ApiError> {
    let app = find(&state, &key)?;
    let settings = state.settings_rx.borrow().clone();
    Ok(Data(AppView::new(&app, &settings)))
}

/// The app's present status, or the 404 that says so.
pub(super) fn find(state: &PortalState, key: &AppKey) -> Result<Arc<AppStatus>, ApiError> {
    state.controller.status().apps.get(key).cloned().ok_or_else(|| {
        let file = key.file_name();
        ApiError::new(
            code::NO_SUCH_APP,
            said!(
                "there is no app `{key}`: see `GET /apps`, or put `{file}` into the manifests folder",
                "`{key}` 앱이 없습니다: `GET /apps`를 보거나 매니페스트 폴더에 `{file}` 파일을 넣으세요"
            ),
        )
    })
}
