//! `POST /apps/{userid}/{appname}/versions`: a version made without the working copy, which runs from then on.
//!
//! # Guarantees
//! - What was published meanwhile, or is being deployed, is never replaced by somebody who has not seen it: they are told.
//! - A version that could not be made changes nothing; one that was made and does not come to run is in the history.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

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
use super::edits::{self, InForce, blocking};
use super::envelope::{ApiError, Text, said};
use super::extract::{App, IfMatch, Params};
use super::state::PortalState;
use super::upload::{ARCHIVES, Upload};
use super::versions::{history, refusal};
use crate::history::{Archive, Bounds, FileEdit, HistoryError, Publication, Published};
use crate::model::{AppKey, AppStatus, Shown, SyncState, VersionId};

/// Most bytes of a body with changes: pictures of a page, in base64.
pub(super) const MAX_EDITS: usize = 8 << 20;
/// Most bytes of a template's server.
const MAX_SERVER: u64 = 1 << 20;

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

/// What the query says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct How {
    wait: Option<u64>,
    /// Of an archive, which cannot say it itself.
    message: Option<String>,
}

/// Whoever changed what another one has changed meanwhile is told so, and nothing is made.
pub async fn publish(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(How { wait, message }): Params<How>,
    if_match: IfMatch,
    body: Upload<Publish>,
) -> Result<Response, ApiError> {
    let app = apps::find(&state, &key)?;
    let patience = Wait { wait }.patience()?;
    let recorder = history(&state)?;
    let refused = |error: HistoryError| refusal(&key, &error);
    let bounds = bounds(&state);
    let in_force = edits::in_force(&state, &key).await?;
    let (what, message, upon) = match body {
        Upload::Json(Publish { base, edits, message: said }) => {
            if !if_match.admits(base.as_str()) {
                return Err(another_base(&base));
            }
            let edits = edits.into_iter().map(file_edit).collect::<Result<Vec<_>, _>>()?;
            check_base(&key, &app, &in_force, &base)?;
            (Published::Edits { base, edits }, said.or(message), Some(in_force))
        }
        Upload::Archive(file) => {
            let upon = match &if_match {
                // Nobody is asked: what ran is in the history.
                IfMatch::Any => None,
                IfMatch::OneOf(tags) => {
                    let runs = |tag: &String| {
                        VersionId::parse(tag).is_some_and(|base| check_base(&key, &app, &in_force, &base).is_ok())
                    };
                    if !tags.iter().any(runs) {
                        return Err(not_the_running(&key));
                    }
                    Some(in_force)
                }
            };
            let templates = state.settings_rx.borrow().templates_dir.clone();
            let opened = blocking(move || Ok(Archive::open(file, bounds, || plain_server(&templates)))).await?;
            (Published::Archive(opened.map_err(|error| bad_archive(&error))?), message, upon)
        }
    };
    recorder.catch_up(&key).await.map_err(refused)?;
    let message = message.unwrap_or_else(|| "published".to_owned());
    let publication = Publication { what, by: caller.to_string(), message, bounds };
    let version = recorder.publish(&key, publication).await.map_err(refused)?;
    edits::publish(state.clone(), &caller, key, patience, upon, version).await
}

pub(super) fn bounds(state: &PortalState) -> Bounds {
    let settings = state.settings_rx.borrow();
    Bounds { files: settings.publish_max_files, bytes: settings.publish_max_bytes }
}

/// That of the template for pages that need none of their own.
fn plain_server(templates: &Path) -> Option<Vec<u8>> {
    let file = File::open(templates.join("static-v1/app/server.js")).ok()?;
    let mut text = Vec::new();
    file.take(MAX_SERVER).read_to_end(&mut text).ok()?;
    Some(text)
}

fn bad_archive(error: &HistoryError) -> ApiError {
    let english = error.to_string();
    ApiError::new(
        code::BAD_ARCHIVE,
        Text {
            korean: format!(
                "이 압축 파일은 올릴 수 없습니다: `server.js`나 `index.html`이 있는 폴더를 zip으로 다시 묶어 보내세요 ({english})"
            ),
            english,
        },
    )
}

fn not_the_running(key: &AppKey) -> ApiError {
    ApiError::new(
        code::ETAG_MISMATCH,
        said!(
            "`{key}` no longer runs the version that `If-Match` names: read what runs now, then send it anew",
            "`{key}` 앱은 이제 `If-Match`의 버전을 실행하지 않습니다: 지금 실행되는 내용을 확인하고 다시 보내세요"
        ),
    )
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
        Operation::new("versions", "publishVersion", "Change files of an app, or all of them, and let it run with them"),
        200,
    )
    .more(
        "Makes a version of the one that runs and the changes, or of all files of an archive, and sets `version` in the manifest. \
         `app/` follows as with `restore`. Changes have at most 8 MiB; an archive (zip, or tar with or without gzip) as much as \
         `PUBLISH_MAX_BYTES`, unpacked, and `PUBLISH_MAX_FILES` files. A folder around everything is left out. An archive without \
         `server.js` but with `index.html` is shown as it is.",
    )
    .query("message", json!({"type": "string"}), "What was done, for the list of versions.")
    .header("If-Match", "The `ETag` of `GET …/versions/{version}`: publish only while that version runs.")
    .takes::<Publish>(json!({
        "base": "3f2a91c04be7d815",
        "edits": [
            {"path": "public/index.html", "content": "<h1>hello</h1>"},
            {"path": "public/dot.gif", "content": "R0lGODlhAQABAAAAACwAAAAAAQABAAAC", "encoding": "base64"},
            {"path": "public/old.html", "content": null},
        ],
        "message": "a new headline",
    }))
    .or_takes(&ARCHIVES)
    .refuses(&[
        code::NO_SUCH_APP,
        code::NO_SUCH_VERSION,
        code::NOT_EDITABLE,
        code::CHANGED_MEANWHILE,
        code::PUBLISHED_MEANWHILE,
        code::ETAG_MISMATCH,
        code::BAD_EDIT,
        code::BAD_ARCHIVE,
        code::NO_SPACE,
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
