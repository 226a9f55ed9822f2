//! `POST /apps/{userid}/{appname}/versions`: a version made without the working copy, which runs from then on.
//!
//! # Guarantees
//! - What was published meanwhile, or is being deployed, is never replaced by somebody who has not seen it: they are told.
//! - A version that could not be made changes nothing; one that was made and does not come to run is in the history.

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{self, Wait};
use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits::{self, InForce};
use super::envelope::{ApiError, said};
use super::extract::{App, IfMatch, LargeBody, Params};
use super::state::PortalState;
use super::versions::{history, refusal};
use crate::history::{Edits, FileEdit, HistoryError};
use crate::model::{AppKey, AppStatus, Shown, SyncState, VersionId};

/// Most bytes of a body with changes: pictures of a page, in base64.
pub(super) const MAX_EDITS: usize = 8 << 20;

/// Changes of single files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The version that was changed: the one that runs.
    pub base: VersionId,
    /// One to 100 files.
    pub edits: Vec<PublishEdit>,
    /// What was done, for the list of versions.
    #[serde(default)]
    pub message: Option<String>,
}

/// What becomes of one file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishEdit {
    pub path: String,
    /// What it holds from now on; `null` removes it.
    pub content: Option<String>,
    #[serde(default)]
    pub encoding: Encoding,
}

/// How the content of a file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As text.
    #[default]
    Utf8,
    /// Of anything else, a picture say: in base64 (RFC 4648, with padding).
    Base64,
}

/// Whoever changed what another one has changed meanwhile is told so, and nothing is made.
pub async fn publish(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    LargeBody(Publish { base, edits, message }): LargeBody<Publish>,
) -> Result<Response, ApiError> {
    let app = apps::find(&state, &key)?;
    let patience = wait.patience()?;
    if !if_match.admits(base.as_str()) {
        return Err(another_base(&base));
    }
    let recorder = history(&state)?;
    let refused = |error: HistoryError| refusal(&key, &error);
    let edits = edits.into_iter().map(file_edit).collect::<Result<Vec<_>, _>>()?;
    let in_force = edits::in_force(&state, &key).await?;
    check_base(&key, &app, &in_force, &base)?;
    recorder.catch_up(&key).await.map_err(refused)?;
    let message = message.unwrap_or_else(|| "published".to_owned());
    let edits = Edits { base, edits, by: caller.to_string(), message };
    let version = recorder.publish(&key, edits).await.map_err(refused)?;
    edits::publish(state.clone(), &caller, key, patience, in_force, version).await
}

fn file_edit(PublishEdit { path, content, encoding }: PublishEdit) -> Result<FileEdit, ApiError> {
    let decoded = match (content, encoding) {
        (None, _) => Ok(None),
        (Some(text), Encoding::Utf8) => Ok(Some(text.into_bytes())),
        (Some(text), Encoding::Base64) => BASE64_STANDARD.decode(text).map(Some),
    };
    match decoded {
        Ok(content) => Ok(FileEdit { path, content }),
        Err(error) => {
            let path = Shown::new(&path);
            Err(ApiError::new(
                code::BAD_EDIT,
                said!(
                    "the content of `{path}` is not base64 ({error}): send it so, or without `encoding`",
                    "`{path}` 파일의 내용이 base64가 아닙니다: base64로 보내거나 `encoding`을 빼세요"
                ),
            ))
        }
    }
}

/// Whether that is what runs and goes on running. What is being brought up is not known to fail: whoever published it is not
/// overruled unseen.
pub(super) fn check_base(key: &AppKey, app: &AppStatus, now: &InForce, base: &VersionId) -> Result<(), ApiError> {
    let is_settled =
        app.file_digest.as_ref() == Some(&now.digest) && (app.sync == SyncState::Synced || app.failed_deploy.is_some());
    if now.version.as_ref() == Some(base) || (is_settled && app.version.as_ref() == Some(base)) {
        return Ok(());
    }
    if app.version.as_ref() == Some(base) && now.version.is_none() {
        return Err(ApiError::new(
            code::CHANGED_MEANWHILE,
            said!(
                "`{key}` is just being changed: try again when that is done",
                "`{key}` 앱에 다른 변경을 적용하는 중입니다: 끝난 뒤에 다시 시도하세요"
            ),
        )
        .retry_after(1));
    }
    Err(edits::published_meanwhile(key))
}

fn another_base(base: &VersionId) -> ApiError {
    ApiError::new(
        code::ETAG_MISMATCH,
        said!(
            "`If-Match` names another version than `base`, {base}: send the one that you have changed in both, or leave the header out",
            "`If-Match`와 `base`의 버전({base})이 서로 다릅니다: 고친 버전을 둘 다에 쓰거나 `If-Match`를 빼세요"
        ),
    )
}

pub(super) fn publish_described() -> Operation {
    answer::waits(
        Operation::new("versions", "publishVersion", "Change files of an app and let it run with them"),
        200,
    )
    .more(
        "Makes a version of the one that runs and the changes, and sets `version` in the manifest. `app/` follows as with \
         `restore`. The body has at most 8 MiB.",
    )
    .header("If-Match", "The `ETag` of `GET …/versions/{version}`: the same version as `base`.")
    .takes::<Publish>(json!({
        "base": "3f2a91c04be7d815",
        "edits": [
            {"path": "public/index.html", "content": "<h1>hello</h1>"},
            {"path": "public/dot.gif", "content": "R0lGODlhAQABAAAAACwAAAAAAQABAAAC", "encoding": "base64"},
            {"path": "public/old.html", "content": null},
        ],
        "message": "a new headline",
    }))
    .refuses(&[
        code::NO_SUCH_APP,
        code::NO_SUCH_VERSION,
        code::NOT_EDITABLE,
        code::CHANGED_MEANWHILE,
        code::PUBLISHED_MEANWHILE,
        code::ETAG_MISMATCH,
        code::BAD_EDIT,
        code::BUSY,
        code::MANIFESTS_UNAVAILABLE,
        code::STOPPING,
        code::APP_DELETED,
        code::CODE_IS_LIVE,
        code::NO_CODE,
        code::NO_HISTORY,
        code::HISTORY_UNAVAILABLE,
    ])
}
