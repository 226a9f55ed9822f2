//! `/apps/{userid}/{appname}/versions` and `…/diff`: the history of an app's code.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::answer::{Wait, etag};
use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, IfMatch, OfFile, OfVersion, Params};
use super::state::PortalState;
use crate::history::{FileChange, HistoryError, RecorderHandle, Side, Version, VersionFile};
use crate::model::{AppKey, Shown, VersionId};

/// Every version of an app's code that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The version that runs; none where the working copy itself does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<VersionId>,
    /// What in `app/` differs from the version that runs; the first 1,000 files.
    #[serde(default)]
    pub unpublished: Vec<FileChange>,
    /// The newest first.
    pub versions: Vec<Version>,
}

pub async fn list(State(state): State<PortalState>, App(key): App) -> Result<Data<Versions>, ApiError> {
    let app = apps::find(&state, &key)?;
    let recorder = history(&state)?;
    recorder.catch_up(&key).await.map_err(|error| refusal(&key, &error))?;
    let versions = recorder.history().list(&key).await.map_err(|error| refusal(&key, &error))?;
    let unpublished = match &app.version {
        Some(running) => unpublished(recorder, &key, running).await.unwrap_or_else(|error| {
            // The history is worth more than what is not in it yet.
            tracing::warn!(app = %key, %error, "what is not published yet cannot be told");
            Vec::new()
        }),
        None => Vec::new(),
    };
    Ok(Data(Versions { running: app.version.clone(), unpublished, versions }))
}

async fn unpublished(
    recorder: &RecorderHandle,
    key: &AppKey,
    running: &VersionId,
) -> Result<Vec<FileChange>, HistoryError> {
    recorder.compare_working_copy(key).await?;
    recorder.history().unpublished(key, running).await
}

pub(super) fn list_described() -> Operation {
    Operation::new("versions", "listVersions", "Every version of an app's code")
        .answers::<Versions>(200, "The newest first, each with who made it, how, and what changed in it.")
        .refuses(&[code::NO_SUCH_APP, code::NO_CODE, code::NO_HISTORY, code::HISTORY_UNAVAILABLE])
}

/// One version, with what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneVersion {
    #[serde(flatten)]
    pub version: Version,
    /// By name.
    pub content: Vec<VersionFile>,
}

pub async fn show(
    State(state): State<PortalState>,
    App(key): App,
    OfVersion(id): OfVersion,
) -> Result<Response, ApiError> {
    apps::find(&state, &key)?;
    let recorder = history(&state)?;
    let refused = |error: HistoryError| refusal(&key, &error);
    recorder.catch_up(&key).await.map_err(refused)?;
    let content = recorder.history().files(&key, &id).await.map_err(refused)?;
    let versions = recorder.history().list(&key).await.map_err(refused)?;
    let version = versions.into_iter().find(|version| version.id == id);
    let version = version.ok_or_else(|| refused(HistoryError::NoSuchVersion { key: key.clone(), version: id }))?;
    let etag = etag(version.id.as_str());
    Ok(([(ETAG, etag)], Data(OneVersion { version, content })).into_response())
}

pub(super) fn show_described() -> Operation {
    Operation::new("versions", "showVersion", "One version of an app's code, and its files")
        .more("The `ETag` is the version: send it as `If-Match` to publish upon exactly this one.")
        .answers::<OneVersion>(200, "The version and the names of its files.")
        .refuses(&[
            code::BAD_PATH,
            code::NO_SUCH_APP,
            code::NO_SUCH_VERSION,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// As bytes to keep, whatever it is: what an app's owner wrote is no page of the portal's.
pub async fn file(
    State(state): State<PortalState>,
    App(key): App,
    OfVersion(version): OfVersion,
    OfFile(path): OfFile,
) -> Result<Response, ApiError> {
    apps::find(&state, &key)?;
    let found = history(&state)?.history().read(&key, &version, &path).await;
    let Some(bytes) = found.map_err(|error| refusal(&key, &error))? else {
        let path = Shown::new(&path);
        return Err(ApiError::new(
            code::NO_SUCH_FILE,
            said!("version {version} has no file `{path}`", "{version} 버전에 `{path}` 파일이 없습니다"),
        ));
    };
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment")], bytes).into_response())
}

pub(super) fn file_described() -> Operation {
    Operation::new("versions", "readVersionFile", "What a file of a version holds")
        .answers_with(200, "application/octet-stream", "Its bytes, up to 8 MiB.")
        .refuses(&[
            code::BAD_PATH,
            code::NO_SUCH_APP,
            code::NO_SUCH_VERSION,
            code::NO_SUCH_FILE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// The whole code, to keep or to change elsewhere.
pub async fn archive(
    State(state): State<PortalState>,
    App(key): App,
    OfVersion(version): OfVersion,
) -> Result<Response, ApiError> {
    apps::find(&state, &key)?;
    let recorder = history(&state)?;
    let refused = |error: HistoryError| refusal(&key, &error);
    recorder.catch_up(&key).await.map_err(refused)?;
    let file = recorder.history().archive(&key, &version).await.map_err(refused)?;
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let body = Body::from_stream(ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 << 10));
    let name = format!("attachment; filename=\"{key}-{version}.zip\"");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (CONTENT_LENGTH, length.into()),
        (CONTENT_DISPOSITION, HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment"))),
        (ETAG, etag(version.as_str())),
    ];
    Ok((headers, body).into_response())
}

pub(super) fn archive_described() -> Operation {
    Operation::new("versions", "downloadVersion", "All files of a version, as a zip")
        .more("`POST …/versions` takes it back.")
        .answers_with(200, "application/zip", "The archive.")
        .refuses(&[
            code::BAD_PATH,
            code::NO_SUCH_APP,
            code::NO_SUCH_VERSION,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// The version is looked for first: a manifest that names none that there is would change nothing.
pub async fn restore(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    OfVersion(version): OfVersion,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    apps::find(&state, &key)?;
    must_have(&state, &key, &version).await?;
    edits::set_version(state.clone(), &caller, key, wait.patience()?, if_match, version).await
}

pub(super) fn restore_described() -> Operation {
    edits::changes(Operation::new("versions", "restoreVersion", "Let an earlier version run again"))
        .more(
            "Sets `version` in its manifest. What is in `app/` and not deployed becomes a version first, so it is not lost; `app/` \
             follows when the new container has taken over.",
        )
        .refuses(&[
            code::BAD_PATH,
            code::NO_SUCH_VERSION,
            code::APP_DELETED,
            code::CODE_IS_LIVE,
            code::NO_CODE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// # Errors
/// When there is no such version.
pub(super) async fn must_have(state: &PortalState, key: &AppKey, version: &VersionId) -> Result<(), ApiError> {
    let recorder = history(state)?;
    recorder.catch_up(key).await.map_err(|error| refusal(key, &error))?;
    recorder.history().find(key, version).await.map(drop).map_err(|error| refusal(key, &error))
}

/// Which two are compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    from: Option<String>,
    to: Option<String>,
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// As `git diff` writes it; empty where nothing differs.
    pub text: String,
}

pub async fn diff(
    State(state): State<PortalState>,
    App(key): App,
    Params(compared): Params<Compared>,
) -> Result<Data<Difference>, ApiError> {
    let app = apps::find(&state, &key)?;
    let recorder = history(&state)?;
    let refused = |error: HistoryError| refusal(&key, &error);
    recorder.catch_up(&key).await.map_err(refused)?;
    let from = match (compared.from.as_deref(), &app.version) {
        (None, Some(running)) => Side::Version(running.clone()),
        // What runs is the working copy: what is told is what was done to it since the newest version.
        (None, None) => match recorder.history().list(&key).await.map_err(refused)?.first() {
            Some(newest) => Side::Version(newest.id.clone()),
            None => Side::Working,
        },
        (Some(text), _) => side(text)?,
    };
    let to = compared.to.as_deref().map_or(Ok(Side::Working), side)?;
    if [&from, &to].contains(&&Side::Working) {
        recorder.compare_working_copy(&key).await.map_err(refused)?;
    }
    let text = recorder.history().diff(&key, &from, &to).await.map_err(refused)?;
    Ok(Data(Difference { text: String::from_utf8_lossy(&text).into_owned() }))
}

pub(super) fn diff_described() -> Operation {
    let id = || json!({"type": "string", "pattern": "^([0-9a-f]{16}|app)$"});
    Operation::new("versions", "compareVersions", "How two versions of an app's code differ")
        .query("from", id(), "A version, or `app` for what is in `app/` now; by default the version that runs.")
        .query("to", id(), "The same; by default `app`.")
        .answers::<Difference>(200, "As `git diff` writes it.")
        .refuses(&[
            code::BAD_QUERY,
            code::NO_SUCH_APP,
            code::NO_SUCH_VERSION,
            code::NO_CODE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

fn side(text: &str) -> Result<Side, ApiError> {
    if text == "app" {
        return Ok(Side::Working);
    }
    let shown = Shown::new(text);
    VersionId::parse(text).map(Side::Version).ok_or_else(|| {
        ApiError::new(
            code::BAD_QUERY,
            said!(
                "`{shown}` is no version: write one of `GET /apps/{{userid}}/{{appname}}/versions`, or `app`",
                "`{shown}`은(는) 버전이 아닙니다: `GET /apps/{{userid}}/{{appname}}/versions`에 있는 것이나 `app`을 쓰세요"
            ),
        )
    })
}

pub(super) fn history(state: &PortalState) -> Result<&RecorderHandle, ApiError> {
    state.history.as_ref().ok_or_else(|| refused_off("restart the daemon"))
}

fn refused_off(why: &str) -> ApiError {
    let (english, korean) = (
        format!("no history of the apps' code is kept here: {why}"),
        "이 서버에서는 코드의 지난 기록을 남기지 않습니다: 서버 관리자에게 `paas doctor`를 실행해 달라고 하세요"
            .to_owned(),
    );
    ApiError::new(code::NO_HISTORY, super::envelope::Text { english, korean })
}

pub(super) fn refusal(key: &AppKey, error: &HistoryError) -> ApiError {
    match error {
        HistoryError::Off(why) => refused_off(why),
        HistoryError::Unpublishable(why) => ApiError::new(
            code::BAD_EDIT,
            super::envelope::Text {
                english: why.clone(),
                korean: "이 변경은 올릴 수 없습니다: 파일 이름과 내용을 확인하고, `server.js`는 남겨 두세요".to_owned(),
            },
        ),
        HistoryError::NoSuchVersion { version, .. } => ApiError::new(
            code::NO_SUCH_VERSION,
            said!(
                "`{key}` has no version {version}: its list of versions has those that there are",
                "`{key}`에 {version} 버전이 없습니다: 지난 기록 목록에서 고르세요"
            ),
        ),
        HistoryError::NoCode(_) => ApiError::new(
            code::NO_CODE,
            said!(
                "`{key}` has no code just now, so there is nothing to compare: start it, or wait until it is made",
                "`{key}`에는 지금 비교할 코드가 없습니다: 시작하거나 다 만들어질 때까지 기다리세요"
            ),
        ),
        other => {
            tracing::warn!(app = %key, error = %other, "a history could not be used for a request");
            ApiError::new(
                code::HISTORY_UNAVAILABLE,
                said!(
                    "the history of `{key}` cannot be used now: the daemon's log says why; try again in a moment",
                    "지금은 `{key}`의 지난 기록을 사용할 수 없습니다: 데몬의 로그에 이유가 있습니다. 잠시 뒤에 다시 시도하세요"
                ),
            )
            .retry_after(5)
        }
    }
}
