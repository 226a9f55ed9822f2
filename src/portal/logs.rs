//! `GET /apps/{userid}/{appname}/logs?lines=&follow=1`.

use std::collections::VecDeque;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::apps;
use super::envelope::{ApiError, Data};
use super::extract::{App, Params};
use super::sse;
use super::state::PortalState;
use crate::controller::{Follow, LogLine, LogSource, LogStream};

const DEFAULT_LINES: u32 = 100;
/// Most lines one answer holds.
const MAX_LINES: u32 = 10_000;
/// Most bytes of text one answer holds; older lines give way. A follower has no such limit: nothing is kept for it.
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    lines: Option<u32>,
    follow: Option<String>,
}

/// One line of a log as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub lines: Vec<Line>,
}

/// The last event of a followed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        let message = format!("`lines={lines}` is too many: ask for at most {MAX_LINES}");
        return Err(ApiError::bad_request("bad-query", message));
    }
    let app = apps::find(&state, &key)?;
    let Some(container) = app.container.clone() else {
        let message = format!("`{key}` has no container, so there is no log yet: see its conditions for the reason");
        return Err(ApiError::conflict("no-container", message));
    };
    let log = state.controller.logs(container, lines, follow).await;
    let log = log.map_err(|error| ApiError::unavailable("log-unavailable", error.to_string()))?;
    match follow {
        Follow::No => Ok(Data(collect(log).await?).into_response()),
        Follow::Yes => Ok(sse::response(followed(log), state.stopping.clone())),
    }
}

fn follow(text: Option<&str>) -> Result<Follow, ApiError> {
    match text {
        Some("1" | "true") => Ok(Follow::Yes),
        None | Some("0" | "false") => Ok(Follow::No),
        Some(other) => Err(ApiError::bad_request("bad-query", format!("`follow={other}`: write `1` or `0`"))),
    }
}

async fn collect(mut log: LogStream) -> Result<Log, ApiError> {
    let mut lines = VecDeque::new();
    let mut bytes = 0;
    while let Some(line) = log.next().await {
        let line = line.map_err(|error| ApiError::unavailable("log-unavailable", error.to_string()))?;
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
