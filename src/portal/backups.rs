//! `/apps/{userid}/{appname}/backups`: what there is to go back to.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;

use super::apps;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, OfBackup};
use super::state::PortalState;
use crate::backup::{Backup, BackupError, BackupHandle, Restoring};
use crate::model::status::BackupStatus;
use crate::model::{AppKey, Restored, Timestamp};

/// How long an answer waits for a backup; one that takes longer goes on.
const WAIT: Duration = Duration::from_secs(20);

/// What is kept of an app's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupsView {
    /// The newest first.
    pub backups: Vec<Backup>,
    /// When the next is made by itself; none where that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Why the last attempt failed, or why the newest cannot be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When the data was put back last, as long as that can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// Data is being made ready to be put back.
    #[serde(default)]
    pub restoring: bool,
    /// Why that failed the last time, since the daemon began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_problem: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupDone {
    /// None: it is not done yet, and goes on; the list tells when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
}

pub async fn list(State(state): State<PortalState>, App(key): App) -> Result<Data<BackupsView>, ApiError> {
    let backup = handle(&state)?;
    let backups = backup.backups().list(&key).await.map_err(|error| refusal(&key, &error))?;
    // Those of an app that is gone can still be had.
    if backups.is_empty() {
        apps::find(&state, &key)?;
    }
    let status = state.controller.status();
    let BackupStatus { next, problem, .. } = status.backups.get(&key).cloned().unwrap_or_default();
    let mut restored = status.apps.get(&key).and_then(|app| app.restored.clone());
    if let Some(done) = &restored
        && !backup.backups().is_in_trash(&done.restore.entry).await.map_err(|error| refusal(&key, &error))?
    {
        restored = None;
    }
    let (restoring, restore_problem) = match backup.restoring(&key) {
        None => (false, None),
        Some(Restoring::UnderWay) => (true, None),
        Some(Restoring::Failed { problem }) => (false, Some(problem)),
    };
    Ok(Data(BackupsView { backups, next, problem, restored, restoring, restore_problem }))
}

pub(super) fn list_described() -> Operation {
    Operation::new("backups", "listBackups", "Every backup of an app's data")
        .answers::<BackupsView>(
            200,
            "The newest first, each with whether somebody has restored it to see that it can be.",
        )
        .refuses(&[code::NO_SUCH_APP, code::STARTING, code::BACKUP_FAILED])
}

pub async fn take(State(state): State<PortalState>, App(key): App) -> Result<Data<BackupDone>, ApiError> {
    apps::find(&state, &key)?;
    let _place = state.waits.try_acquire().map_err(|_| busy())?;
    done(&key, tokio::time::timeout(WAIT, handle(&state)?.take(&key)).await)
}

pub(super) fn take_described() -> Operation {
    Operation::new("backups", "takeBackup", "Back up an app's data now")
        .more("The app goes on meanwhile. The answer waits for 20 seconds at most; a backup that takes longer goes on.")
        .answers::<BackupDone>(200, "The backup, if it is there already.")
        .refuses(&[code::NO_SUCH_APP, code::STARTING, code::NO_DATA, code::BUSY, code::BACKUP_FAILED])
}

pub async fn check(
    State(state): State<PortalState>,
    App(key): App,
    OfBackup(id): OfBackup,
) -> Result<Data<BackupDone>, ApiError> {
    let _place = state.waits.try_acquire().map_err(|_| busy())?;
    done(&key, tokio::time::timeout(WAIT, handle(&state)?.check(&key, &id)).await)
}

pub(super) fn check_described() -> Operation {
    Operation::new("backups", "checkBackup", "Look whether a backup can be restored")
        .more("It is restored into a folder of its own, every file compared and every database checked. The app is not touched.")
        .answers::<BackupDone>(200, "The backup, with what came of it in `proof`.")
        .refuses(&[code::BAD_PATH, code::NO_SUCH_APP, code::NO_SUCH_BACKUP, code::BUSY, code::BACKUP_FAILED])
}

pub async fn download(
    State(state): State<PortalState>,
    App(key): App,
    OfBackup(id): OfBackup,
) -> Result<Response, ApiError> {
    let file = handle(&state)?.backups().file(&key, &id).await.map_err(|error| refusal(&key, &error))?;
    let length = file.metadata().map_err(|_| gone(&key))?.len();
    let headers = [
        (CONTENT_TYPE, "application/zstd".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{key}-{id}.tar.zst\"")),
    ];
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
    Ok((headers, body).into_response())
}

pub(super) fn download_described() -> Operation {
    Operation::new("backups", "downloadBackup", "A backup as a file")
        .more("A tar file, compressed with zstd, which `tar --zstd -xf FILE` unpacks. `data.sha256` in it has a checksum of every file.")
        .answers_with(200, "application/zstd", "The file.")
        .refuses(&[code::BAD_PATH, code::NO_SUCH_APP, code::NO_SUCH_BACKUP, code::BACKUP_FAILED])
}

fn done(
    key: &AppKey,
    result: Result<Result<Backup, BackupError>, tokio::time::error::Elapsed>,
) -> Result<Data<BackupDone>, ApiError> {
    match result {
        Err(_) => Ok(Data(BackupDone { backup: None })),
        Ok(Ok(backup)) => Ok(Data(BackupDone { backup: Some(backup) })),
        Ok(Err(error)) => Err(refusal(key, &error)),
    }
}

pub(super) fn handle(state: &PortalState) -> Result<&BackupHandle, ApiError> {
    state.backups.as_ref().ok_or_else(|| {
        ApiError::new(
            code::BACKUP_FAILED,
            said!(
                "no backups are made here: restart the daemon",
                "이 서버에서는 백업을 만들지 않습니다: 데몬을 다시 시작하세요"
            ),
        )
    })
}

pub(super) fn busy() -> ApiError {
    ApiError::new(
        code::BUSY,
        said!(
            "too many callers wait already: try again in a moment",
            "이미 너무 많은 요청이 기다리고 있습니다: 잠시 뒤에 다시 시도하세요"
        ),
    )
    .retry_after(5)
}

pub(super) fn gone(key: &AppKey) -> ApiError {
    ApiError::new(
        code::NO_SUCH_BACKUP,
        said!(
            "`{key}` has no such backup: its list of backups has those that there are",
            "`{key}`에 그런 백업이 없습니다: 백업 목록에서 고르세요"
        ),
    )
}

fn refusal(key: &AppKey, error: &BackupError) -> ApiError {
    match error {
        BackupError::NoSuch { .. } => gone(key),
        BackupError::NoData(_) => ApiError::new(
            code::NO_DATA,
            said!(
                "`{key}` has no data that could be backed up: start it first",
                "`{key}`에 백업할 데이터가 없습니다: 먼저 시작하세요"
            ),
        ),
        other => ApiError::new(
            code::BACKUP_FAILED,
            said!("the backup of `{key}` failed: {other}", "`{key}`의 백업을 만들거나 확인하지 못했습니다: {other}"),
        )
        .retry_after(60),
    }
}
