//! `POST /apps/{userid}/{appname}/sleep` and `…/wake`: asked of the controller, since no manifest says it. `PUT …/sleep` says when an
//! app does so by itself: that is its manifest's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Wait;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body, IfMatch, Params};
use super::state::PortalState;
use crate::model::{AppKey, AppStatus, Health, Sleep, SyncState};

/// What was asked for, and not waited for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Resting {
    pub app: AppKey,
}

pub async fn sleep(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
) -> Result<(StatusCode, Data<Resting>), ApiError> {
    let status = state.controller.status();
    let app = status.apps.get(&key);
    let Some(sleep) = app.and_then(|app| app.sleep.as_ref()) else {
        return Err(ApiError::new(
            code::NEVER_SLEEPS,
            said!(
                "{key} never sleeps: write `sleep: {{after: 30m}}` into its manifest, then it does so by itself as well",
                "{key} 사이트는 잠들지 않게 되어 있습니다: 매니페스트에 `sleep: {{after: 30m}}`을 적으면 저절로 잠듭니다"
            ),
        ));
    };
    if sleep.since.is_none() {
        if !app.is_some_and(|app| may_sleep(app)) {
            return Err(ApiError::new(
                code::NOT_ASLEEP_NOW,
                said!(
                    "{key} does not run as its manifest says, and only an app that does is sent to sleep: see `paas status {key}`",
                    "{key} 사이트가 매니페스트대로 열려 있지 않아 재울 수 없습니다: `paas status {key}`에서 까닭을 보세요"
                ),
            ));
        }
        state.controller.sleep(key.clone(), caller.to_string()).await;
    }
    Ok((StatusCode::ACCEPTED, Data(Resting { app: key })))
}

fn may_sleep(app: &AppStatus) -> bool {
    app.health == Health::Running && app.sync == SyncState::Synced && app.endpoint.is_some()
}

pub(super) fn sleep_described() -> Operation {
    Operation::new("apps", "sleepApp", "Let an app sleep before its time")
        .more("It falls asleep when nobody is there any more; the next request wakes it.")
        .answers::<Resting>(202, "Asked for, not waited for.")
        .refuses(&[code::NEVER_SLEEPS, code::NOT_ASLEEP_NOW])
}

pub async fn wake(State(state): State<PortalState>, caller: Caller, App(key): App) -> (StatusCode, Data<Resting>) {
    let status = state.controller.status();
    let sleep = status.apps.get(&key).and_then(|app| app.sleep.as_ref());
    if sleep.is_some_and(|sleep| sleep.since.is_some()) {
        state.controller.wake(key.clone(), caller.to_string()).await;
    }
    (StatusCode::ACCEPTED, Data(Resting { app: key }))
}

pub(super) fn wake_described() -> Operation {
    Operation::new("apps", "wakeApp", "Wake an app that sleeps")
        .more("One that is awake is left as it is.")
        .answers::<Resting>(202, "Asked for, not waited for.")
}

/// When an app sleeps by itself.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSleep {
    /// `null`: as its template or the settings say.
    pub sleep: Option<Sleep>,
}

pub async fn set(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    Body(SetSleep { sleep }): Body<SetSleep>,
) -> Result<Response, ApiError> {
    edits::set_sleep(state, &caller, key, wait.patience()?, if_match, sleep).await
}

pub(super) fn set_described() -> Operation {
    edits::changes(Operation::new("apps", "setSleep", "Say when an app sleeps"))
        .more("Sets `sleep` in its manifest, or takes it out. An app that sleeps goes on sleeping, unless it is never to.")
        .takes::<SetSleep>(json!({"sleep": {"after": "30m"}}))
        .refuses(&[code::APP_DELETED, code::NEEDS_GATEWAY])
}
