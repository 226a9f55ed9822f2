//! `GET` and `PUT /apps/{userid}/{appname}/manifest`: the file as it is on disk, and the whole of it replaced by whoever has
//! seen what is replaced. `POST …/check` says what would be wrong with a text.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Wait, answer, etag};
use super::apps::no_such_app;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits::{self, Writer, available, blocking, mismatch, refusal};
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body, IfMatch, Params};
use super::follow::Goal;
use super::state::PortalState;
use crate::desired::{Diagnostic, ManifestDir, manifest_schema, parse};

/// A manifest as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestText {
    /// Of the whole file, in YAML.
    pub text: String,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// 1-based; 0 when the whole file is meant.
    pub line: u32,
    /// 1-based, in characters; 0 when the whole line or file is meant.
    pub column: u32,
    pub message: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl From<Diagnostic> for Problem {
    fn from(Diagnostic { line, column, message, help, .. }: Diagnostic) -> Self {
        Self { line, column, message, help }
    }
}

/// A file of `apps.d`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ManifestFile {
    pub file: String,
    pub text: String,
    /// What is wrong with it; null when it can be used.
    pub problem: Option<Problem>,
}

/// What is wrong with a text, as `paas validate` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Checked {
    /// Null when it can be used. Whether its template is there and its limits fit shows when it is written.
    pub problem: Option<Problem>,
}

pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Response, ApiError> {
    let dir = ManifestDir::new(state.settings_rx.borrow().manifests_dir.clone());
    let asked = key.clone();
    let current = blocking(move || dir.read(&asked).map_err(refusal)).await?.ok_or_else(|| no_such_app(&key))?;
    let file = current.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem = parse(&file, current.text.as_bytes()).err().map(Problem::from);
    let etag = etag(current.digest.as_str());
    Ok(([(ETAG, etag)], Data(ManifestFile { file, text: current.text, problem })).into_response())
}

pub(super) fn show_described() -> Operation {
    Operation::new("apps", "readManifest", "An app's manifest as it is on disk")
        .more("Also one that cannot be used, with what is wrong. The `ETag` is the file's digest.")
        .answers::<ManifestFile>(200, "The text, and what is wrong with it.")
        .refuses(&[code::NO_SUCH_APP, code::NOT_EDITABLE, code::BUSY, code::MANIFESTS_UNAVAILABLE, code::STOPPING])
}

/// The same for everybody, and of this version of the program.
pub async fn schema() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/schema+json")], manifest_schema())
}

pub(super) fn schema_described() -> Operation {
    Operation::new("apps", "manifestSchema", "The JSON Schema of a manifest")
        .more("By which editors complete and check. As `paas schema` prints it.")
        .answers_with(200, "application/schema+json", "Draft 7.")
}

pub async fn check(App(key): App, Body(ManifestText { text }): Body<ManifestText>) -> Data<Checked> {
    Data(Checked { problem: parse(&key.file_name(), text.as_bytes()).err().map(Problem::from) })
}

pub(super) fn check_described() -> Operation {
    Operation::new("apps", "checkManifest", "What would be wrong with a manifest")
        .more("As `paas validate` says it. Nothing is written.")
        .takes::<ManifestText>(json!({"text": "template: diary-v1\nmemmory: 128m\n"}))
        .answers::<Checked>(200, "Where and what, or that it can be used.")
}

/// A text that cannot be used is not written. With `If-Match` only what the writer has seen is replaced.
pub async fn replace(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    Body(ManifestText { text }): Body<ManifestText>,
) -> Result<Response, ApiError> {
    let patience = wait.patience()?;
    available(&state)?;
    let writer = Writer::new(&state, &caller);
    let goal = blocking(move || {
        let manifest = parse(&key.file_name(), text.as_bytes()).map_err(|problem| invalid(&problem))?;
        let folder = writer.dir.lock().map_err(refusal)?;
        let current = folder.read(&key).map_err(refusal)?.ok_or_else(|| no_such_app(&key))?;
        if !if_match.admits(current.digest.as_str()) {
            return Err(mismatch(&key, &current.digest));
        }
        let draft = folder.draft_text(&key, &current.digest, text).map_err(refusal)?;
        let digest = writer.write(&key, draft).map_err(refusal)?;
        Ok(Goal { key, digest, state: manifest.state, dir: writer.dir.clone() })
    })
    .await?;
    Ok(answer(&state, goal, patience, StatusCode::OK).await)
}

pub(super) fn replace_described() -> Operation {
    edits::changes(Operation::new("apps", "replaceManifest", "Replace an app's manifest"))
        .more("The whole text, comments and all. One that cannot be used is not written.")
        .takes::<ManifestText>(json!({"text": "template: diary-v1\nmemory: 128m\n"}))
        .refuses(&[code::INVALID_MANIFEST])
}

fn invalid(problem: &Diagnostic) -> ApiError {
    let line = problem.line;
    ApiError::new(
        code::INVALID_MANIFEST,
        said!(
            "nothing was written: {problem}",
            "아무것도 쓰지 않았습니다: 매니페스트의 {line}번째 줄이 잘못되었습니다. `POST …/manifest/check`가 그 까닭을 알려 줍니다"
        ),
    )
}
