//! `/git/{userid}/{appname}.git`: an app's history, as a git client clones it and pushes to it (smart HTTP).
//!
//! # Guarantees
//! - Nothing that is pushed counts before it is received whole and looked at (`history::receive`).
//! - Neither a pack that comes nor one that goes is ever held in memory.
//! - Who hangs up ends what was done for them. A commit that was accepted stays; pushed again it goes on where it was.

mod body;
mod course;
mod decide;
mod line;
mod packet;
mod words;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits::app_deleted;
use super::envelope::{ApiError, said};
use super::extract::{Params, Repository};
use super::rule::narrowed;
use super::state::PortalState;
use super::versions::{history, refusal};
use crate::gateway::{Language, language};
use crate::history::{Answering, Protocol, RecorderHandle};
use crate::model::{AppKey, RunState};
use body::Reader;
use course::{Push, Received};

/// What the paths of these routes begin with.
const PATHS: &str = "/git/";

/// Most bytes of what a client that clones asks: some ten thousand commits that it has.
const MOST_ASKED: u64 = 2 << 20;
/// What comes beside a pack, or is read although git has had enough, so that the client hears why.
const SLACK: u64 = 16 << 20;
/// How long one answer, or one push up to its report, may take.
const MOST_TIME: Duration = Duration::from_secs(15 * 60);
/// How long somebody waits for others to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What pushes and clones have in common.
#[derive(Debug)]
pub struct GitDoor {
    /// Each is a process of git's that may work hard.
    places: Arc<Semaphore>,
    /// Branches move one at a time: what was looked at is what moves.
    accepting: Mutex<()>,
}

impl Default for GitDoor {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(4)), accepting: Mutex::default() }
    }
}

impl GitDoor {
    async fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            ApiError::new(
                code::BUSY,
                said!(
                    "too many clone or push at this moment: try again in a minute",
                    "지금 코드를 받거나 올리는 사람이 많습니다: 잠시 뒤에 다시 시도하세요"
                ),
            )
            .retry_after(30)
        })
    }
}

/// What a client is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Service {
    #[serde(rename = "git-upload-pack")]
    Clone,
    #[serde(rename = "git-receive-pack")]
    Push,
}

impl Service {
    fn word(self) -> &'static str {
        match self {
            Self::Clone => "git-upload-pack",
            Self::Push => "git-receive-pack",
        }
    }

    fn content(self, what: &str) -> HeaderValue {
        let text = format!("application/x-{}-{what}", self.word());
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    service: Option<Service>,
}

/// A key that may only deploy pushes, and reads nothing.
pub async fn branches(
    State(state): State<PortalState>,
    caller: Caller,
    Repository(key): Repository,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(service) = asked.service else {
        return Err(ApiError::new(
            code::BAD_QUERY,
            said!(
                "this is for git itself: `git clone` this address without `/info/refs`",
                "git 프로그램이 쓰는 주소입니다: `/info/refs`를 뺀 주소로 `git clone` 하세요"
            ),
        ));
    };
    if service == Service::Clone && caller.narrowed().is_some_and(|scope| scope.deploy_only) {
        return Err(narrowed());
    }
    let recorder = found(&state, &key)?;
    // What was deployed a moment ago belongs to what is cloned, and to what a push builds on.
    recorder.catch_up(&key).await.map_err(|error| refusal(&key, &error))?;
    let protocol = protocol(&headers);
    let mut told = Vec::new();
    if service == Service::Push || protocol != Protocol::V2 {
        told.extend(packet::line(format!("# service={}\n", service.word()).as_bytes()));
        told.extend(packet::FLUSH);
    }
    match service {
        Service::Clone => {
            let branches = recorder.history().advertise(&key, protocol).await;
            told.extend(branches.map_err(|error| refusal(&key, &error))?);
        }
        Service::Push => {
            let named = recorder.history().named(&key).await.map_err(|error| refusal(&key, &error))?;
            told.extend(packet::advertised(&named));
        }
    }
    Ok(([(CONTENT_TYPE, service.content("advertisement"))], told).into_response())
}

pub(super) fn branches_described() -> Operation {
    let services = json!({"type": "string", "enum": ["git-upload-pack", "git-receive-pack"]});
    Operation::new("git", "gitBranches", "The branches and tags of an app's history, for git")
        .more(
            "`git clone` and `git push` use this address without `/info/refs`; the password is an API key. Refusals are plain \
             text for git itself, which shows them.",
        )
        .query("service", services, "What the client is about to do.")
        .answers_with(200, "application/x-git-upload-pack-advertisement", "As git's smart HTTP protocol has it.")
        .answers_with(200, "application/x-git-receive-pack-advertisement", "Before a push.")
        .refuses(&[code::APP_DELETED, code::NO_CODE, code::NO_HISTORY, code::HISTORY_UNAVAILABLE])
}

/// Answers one request of a client that clones or fetches.
pub async fn send(
    State(state): State<PortalState>,
    Repository(key): Repository,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let recorder = found(&state, &key)?;
    takes(&headers, Service::Clone)?;
    let place = state.git.place().await?;
    let asked = Reader::new(body, &headers, MOST_ASKED)?.whole().await?;
    let answering = recorder.history().answer(&key, protocol(&headers)).await;
    let answering = answering.map_err(|error| refusal(&key, &error))?;
    let body = line::written(move |line| async move {
        let _place = place;
        if tokio::time::timeout(MOST_TIME, pour(asked, answering, line, &key)).await.is_err() {
            tracing::warn!(app = %key, "a clone took too long and was cut off");
        }
    });
    Ok(([(CONTENT_TYPE, Service::Clone.content("result"))], body).into_response())
}

/// All that git answers, as it comes.
async fn pour(asked: Vec<u8>, answering: Answering, line: line::Line, key: &AppKey) {
    let (mut stdin, mut stdout, ending) = answering.split();
    let ask = async move {
        // One that ends before it has read everything says why.
        let _ = stdin.write_all(&asked).await;
    };
    let answer = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match stdout.read(&mut buffer).await {
                Ok(read @ 1..) if line.send(&buffer[..read]).await.is_ok() => {}
                _ => return,
            }
        }
    };
    if let ((), (), Err(error)) = tokio::join!(ask, answer, ending.ended()) {
        tracing::info!(app = %key, %error, "a clone was not answered to its end");
    }
}

pub(super) fn send_described() -> Operation {
    Operation::new("git", "gitUploadPack", "What a clone or a fetch asks for, for git")
        .answers_with(200, "application/x-git-upload-pack-result", "As git's smart HTTP protocol has it.")
        .refuses(REFUSALS)
}

/// Receives a push, and tells its course.
pub async fn receive(
    State(state): State<PortalState>,
    caller: Caller,
    Repository(key): Repository,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let recorder = found(&state, &key)?.clone();
    takes(&headers, Service::Push)?;
    let place = state.git.place().await?;
    let limits = recorder.history().limits();
    let mut reader = Reader::new(body, &headers, limits.pack.saturating_add(SLACK))?;
    let asked = packet::Push::read(&mut reader).await?;
    let content = [(CONTENT_TYPE, Service::Push.content("result"))];
    if asked.updates.is_empty() {
        // How git asks beforehand whether it may come in with more.
        return Ok((content, Body::empty()).into_response());
    }
    let received = tokio::time::timeout(MOST_TIME, Received::read(&recorder, &key, &asked, reader));
    let received = received.await.unwrap_or_else(|_| Err(body::too_slow()))?;
    let push = Push { state, recorder, key, caller, language: language(&headers), asked };
    let body = line::written(move |line| async move {
        let _place = place;
        push.run(received, line).await;
    });
    Ok((content, body).into_response())
}

pub(super) fn receive_described() -> Operation {
    Operation::new("git", "gitReceivePack", "What a push brings, for git")
        .more(
            "The branch `main` becomes a version and is deployed; the answer tells its course in git's sideband. Keys that may only \
             deploy may push.",
        )
        .answers_with(200, "application/x-git-receive-pack-result", "As git's smart HTTP protocol has it.")
        .refuses(REFUSALS)
}

const REFUSALS: &[&code::Code] = &[
    code::APP_DELETED,
    code::BAD_BODY,
    code::BODY_TOO_LARGE,
    code::BODY_TOO_SLOW,
    code::NOT_GIT,
    code::BUSY,
    code::NO_CODE,
    code::NO_HISTORY,
    code::HISTORY_UNAVAILABLE,
];

fn found<'s>(state: &'s PortalState, key: &AppKey) -> Result<&'s RecorderHandle, ApiError> {
    if apps::find(state, key)?.desired == RunState::Deleted {
        return Err(app_deleted(key));
    }
    history(state)
}

/// A page of another origin cannot send this kind of body without being asked whether it may.
fn takes(headers: &HeaderMap, service: Service) -> Result<(), ApiError> {
    if headers.get(CONTENT_TYPE) == Some(&service.content("request")) {
        return Ok(());
    }
    Err(ApiError::new(
        code::NOT_GIT,
        said!(
            "this is for git itself: use `git clone` or `git push`",
            "git 프로그램이 쓰는 주소입니다: `git clone`이나 `git push`를 사용하세요"
        ),
    ))
}

fn protocol(headers: &HeaderMap) -> Protocol {
    let asked = headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match asked.split(':').filter_map(|word| word.strip_prefix("version=")).max() {
        Some("2") => Protocol::V2,
        Some("1") => Protocol::V1,
        _ => Protocol::V0,
    }
}

/// The key that git sends as its password. Only for these routes: a browser remembers what it was once asked for.
pub(super) fn key_of(request: &Parts) -> Option<String> {
    let (scheme, value) = request.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !is_here(request.uri.path()) || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(packet::base64(value.trim())?).ok()?;
    let (name, password) = text.split_once(':')?;
    // Some only ask for one of both.
    Some(if password.is_empty() { name } else { password }.to_owned())
}

pub(super) fn is_here(path: &str) -> bool {
    path.starts_with(PATHS)
}

/// Whether git itself asks.
pub(super) fn is_git(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"git/"))
}

/// What lets git ask for a key.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"API key\", charset=\"UTF-8\"");

/// A refusal as git shows it: `remote: …`.
pub(super) fn spoken(error: &ApiError, response: Response, language: Language) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Response::from_parts(parts, Body::from(format!("{}\n", error.text.in_language(language))))
}
