//! `GET /apps/{userid}/{appname}/logs?lines=&follow=1`.

use std::collections::VecDeque;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::apps;
use super::code;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Params};
use super::sse;
use super::state::PortalState;
use crate::controller::{EngineError, Follow, LogLine, LogSource, LogStream};

pub(super) const DEFAULT_LINES: u32 = 100;
/// Most lines one answer holds.
pub(super) const MAX_LINES: u32 = 10_000;
/// Most bytes of text one answer holds; older lines give way. A follower has no such limit: nothing is kept for it.
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    lines: Option<u32>,
    follow: Option<String>,
}

/// One line of a log as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// `stdout` or `stderr`.
    pub source: String,
    pub text: String,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        let source = match line.source {
            LogSource::Stdout => "stdout",
            LogSource::Stderr => "stderr",
        };
        Self { source: source.to_owned(), text: line.text }
    }
}

/// Oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    pub lines: Vec<Line>,
}

/// The last event of a followed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    pub message: String,
}

pub async fn logs(
    State(state): State<PortalState>,
    App(key): App,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    let follow = follow(query.follow.as_deref())?;
    let lines = query.lines.unwrap_or(DEFAULT_LINES);
    if lines > MAX_LINES {
        return Err(ApiError::new(
            code::BAD_QUERY,
            said!(
                "`lines={lines}` is too many: ask for at most {MAX_LINES}",
                "`lines={lines}`은(는) 너무 많습니다: {MAX_LINES} 이하로 요청하세요"
            ),
        ));
    }
    let app = apps::find(&state, &key)?;
    let Some(container) = app.container.clone() else {
        return Err(ApiError::new(
            code::NO_CONTAINER,
            said!(
                "`{key}` has no container, so there is no log yet: see its conditions for the reason",
                "`{key}` 앱의 컨테이너가 아직 없어서 로그도 없습니다: 상태의 이유를 보세요"
            ),
        ));
    };
    let log = state.controller.logs(container, lines, follow).await;
    let log = log.map_err(|error| unavailable(&error))?;
    match follow {
        Follow::No => Ok(Data(collect(log).await?).into_response()),
        Follow::Yes => Ok(sse::response(followed(log), state.stopping.clone())),
    }
}

fn follow(text: Option<&str>) -> Result<Follow, ApiError> {
    match text {
        Some("1" | "true") => Ok(Follow::Yes),
        None | Some("0" | "false") => Ok(Follow::No),
        Some(other) => Err(ApiError::new(
            code::BAD_QUERY,
            said!("`follow={other}`: write `1` or `0`", "`follow={other}`: `1` 또는 `0`으로 쓰세요"),
        )),
    }
}

fn unavailable(error: &EngineError) -> ApiError {
    ApiError::new(code::LOG_UNAVAILABLE, said!("{error}", "지금은 로그를 읽을 수 없습니다: {error}"))
}

async fn collect(mut log: LogStream) -> Result<Log, ApiError> {
    let mut lines = VecDeque::new();
    let mut bytes = 0;
    while let Some(line) = log.next().await {
        let line = line.map_err(|error| unavailable(&error))?;
        bytes += line.text.len();
        lines.push_back(Line::from(line));
        while bytes > MAX_BYTES || lines.len() > MAX_LINES as usize {
            bytes -= lines.pop_front().map_or(0, |line| line.text.len());
        }
    }
    Ok(Log { lines: lines.into() })
}

/// `log` events, then one `end`.
fn followed(log: LogStream) -> impl futures_util::Stream<Item = axum::response::sse::Event> + Send {
    stream::unfold(Some(log), |log| async move {
        let mut log = log?;
        match log.next().await {
            Some(Ok(line)) => Some((sse::event("log", &Line::from(line)), Some(log))),
            Some(Err(error)) => Some((sse::event("end", &End { message: error.to_string() }), None)),
            None => Some((sse::event("end", &End { message: "the container ended".to_owned() }), None)),
        }
    })
}
