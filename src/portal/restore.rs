//! `/apps/{userid}/{appname}/backups/{backup}/restore` and `…/restore/undo`: an app's data as it was, and back again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::backups::{busy, gone, handle};
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, OfBackup};
use super::state::PortalState;
use super::view::trouble;
use super::{apps, code};
use crate::backup::{BackupError, Wanted};
use crate::model::{AppKey, AppStatus, DaemonStatus, Health, Restore, Restored, RunState};

/// How long an answer waits for the data, and then for the app to answer with it; what takes longer goes on.
const WAIT: Duration = Duration::from_secs(25);

/// What came of it so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreDone {
    /// None: the data is not in its place yet. It goes on, and the app's `restored` tells when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The app is with it as its manifest says.
    pub ready: bool,
    /// Why it is not, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub async fn restore(
    State(state): State<PortalState>,
    App(key): App,
    OfBackup(id): OfBackup,
) -> Result<Data<RestoreDone>, ApiError> {
    put_back(&state, &key, Wanted::Backup(id)).await
}

pub(super) fn restore_described() -> Operation {
    Operation::new("backups", "restoreBackup", "Put an app's data back as a backup has it")
        .more(
            "The backup is unpacked beside the data and checked first, and what is there is backed up. Then the app is stopped, both \
             change places in one step, and it is started again. What was there lies in the trash, and `…/restore/undo` brings it back.",
        )
        .answers::<RestoreDone>(200, "How far it is after 25 seconds at most; what takes longer goes on.")
        .refuses(&[
            code::BAD_PATH,
            code::NO_SUCH_APP,
            code::NO_SUCH_BACKUP,
            code::STARTING,
            code::BUSY,
            code::BACKUP_FAILED,
            code::RESTORE_FAILED,
        ])
}

pub async fn undo(State(state): State<PortalState>, App(key): App) -> Result<Data<RestoreDone>, ApiError> {
    let restored = apps::find(&state, &key)?.restored.clone();
    let Some(Restored { restore: Restore { entry, .. }, .. }) = restored else { return Err(nothing_to_undo(&key)) };
    let is_there = handle(&state)?.backups().is_in_trash(&entry).await.map_err(|error| refusal(&key, &error))?;
    if !is_there {
        return Err(nothing_to_undo(&key));
    }
    put_back(&state, &key, Wanted::Before(entry)).await
}

pub(super) fn undo_described() -> Operation {
    Operation::new("backups", "undoRestore", "Take the last restore back")
        .more("The data from before it comes back from the trash, and what is there goes there: to undo that as well is this once more.")
        .answers::<RestoreDone>(200, "How far it is after 25 seconds at most; what takes longer goes on.")
        .refuses(&[
            code::NO_SUCH_APP,
            code::STARTING,
            code::BUSY,
            code::BACKUP_FAILED,
            code::NOTHING_TO_UNDO,
            code::RESTORE_FAILED,
        ])
}

async fn put_back(state: &PortalState, key: &AppKey, what: Wanted) -> Result<Data<RestoreDone>, ApiError> {
    apps::find(state, key)?;
    let _place = state.waits.try_acquire().map_err(|_| busy())?;
    let deadline = Instant::now() + WAIT;
    let asked = tokio::time::timeout_at(deadline, handle(state)?.restore(key, what)).await;
    let Ok(asked) = asked else { return Ok(Data(RestoreDone::default())) };
    let restore = asked.map_err(|error| refusal(key, &error))?;
    let mut status_rx = state.controller.watch();
    let follow = follow(&mut status_rx, key, &restore);
    let done = tokio::select! {
        done = tokio::time::timeout_at(deadline, follow) => done.ok(),
        () = state.stopping.cancelled() => None,
    };
    let done = done.or_else(|| Some(look(state.controller.status().apps.get(key)?, &restore)));
    Ok(Data(done.unwrap_or_default()))
}

/// Until the app serves with the data, or cannot.
async fn follow(status_rx: &mut watch::Receiver<Arc<DaemonStatus>>, key: &AppKey, restore: &Restore) -> RestoreDone {
    loop {
        let status = status_rx.borrow_and_update().apps.get(key).cloned();
        if let Some(status) = &status {
            let done = look(status, restore);
            let is_over = done.ready || matches!(status.health, Health::CrashLoop | Health::Degraded);
            if done.restored.is_some() && is_over {
                return done;
            }
        }
        if status_rx.changed().await.is_err() {
            return RestoreDone::default();
        }
    }
}

fn look(status: &AppStatus, restore: &Restore) -> RestoreDone {
    let restored = status.restored.clone().filter(|restored| restored.restore == *restore);
    let stays_down = status.desired == RunState::Stopped && status.health == Health::Stopped;
    let ready = restored.is_some() && (status.is_ready() || stays_down);
    let reason = trouble(status).filter(|_| !ready).map(|condition| condition.message.clone());
    RestoreDone { restored, ready, reason }
}

fn nothing_to_undo(key: &AppKey) -> ApiError {
    ApiError::new(
        code::NOTHING_TO_UNDO,
        said!(
            "nothing of `{key}` can be undone: it was not restored, or what was there before is not in the trash any more; its list of \
             backups has what else can be had",
            "`{key}`에는 취소할 것이 없습니다: 되돌린 적이 없거나, 그 전의 데이터가 휴지통에 없습니다. 백업 목록에서 고르세요"
        ),
    )
}

fn refusal(key: &AppKey, error: &BackupError) -> ApiError {
    match error {
        BackupError::NoSuch { .. } => gone(key),
        other => ApiError::new(
            code::RESTORE_FAILED,
            said!(
                "`{key}` could not be restored, and is as it was: {other}",
                "`{key}`의 데이터를 되돌리지 못했습니다. 사이트는 그대로입니다: {other}"
            ),
        )
        .retry_after(60),
    }
}
