//! `GET /apps/{userid}/{appname}/logs?lines=&follow=1`.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::Event as SseEvent;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::apps;
use super::caller::Standing;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, LastEventId, Params};
use super::sse;
use super::state::PortalState;
use crate::controller::{EngineError, Follow, LogLine, LogSource, LogStream};
use crate::model::{AppKey, ContainerId, RunState, Timestamp};

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
    /// When it was written: RFC 3339 with nine decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    pub text: String,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        let source = match line.source {
            LogSource::Stdout => "stdout",
            LogSource::Stderr => "stderr",
        };
        Self { source: source.to_owned(), at: line.at, text: line.text }
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
    LastEventId(last): LastEventId,
    standing: Standing,
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
    // A reader that comes back gets what it missed, not the same lines again.
    let last = last.as_deref().filter(|_| follow == Follow::Yes).and_then(Mark::read);
    // Of another container's log every line is new: its successor may have begun before its last words.
    let came_back = last.is_some();
    let last = last.filter(|mark| mark.container == container.short()).map(|mark| mark.at);
    let lines = if came_back { MAX_LINES } else { lines };
    let log = state.controller.logs(container.clone(), lines, follow).await.map_err(|error| unavailable(&error))?;
    match follow {
        Follow::No => {
            let _place = state.log_reads.try_acquire().map_err(|_| busy())?;
            Ok(Data(collect(log).await?).into_response())
        }
        Follow::Yes => {
            let began = (container, app.started_at);
            let after = last.map(|last| (last, Replay::Yes));
            let following = Following { state: state.clone(), key, run: began, log: Some(log), after };
            sse::response(&state, standing, following.events())
        }
    }
}

pub(super) fn logs_described() -> Operation {
    let lines = json!({"type": "integer", "minimum": 0, "maximum": MAX_LINES, "default": DEFAULT_LINES});
    Operation::new("apps", "readLog", "The container's log, newest last")
        .more(
            "With `follow=1` server-sent events: `log` per line, `end` when it is over. An event's id is the line's \
             time; `Last-Event-ID` goes on after it.",
        )
        .query("lines", lines, "How many of the newest lines.")
        .query("follow", json!({"type": "string", "enum": ["0", "1"]}), "`1`: go on as a stream.")
        .header("Last-Event-ID", "The id of the last event that was read, to go on after it.")
        .answers::<Log>(200, "The lines, or the stream.")
        .answers_with(200, "text/event-stream", "The stream.")
        .refuses(&[code::NO_SUCH_APP, code::STARTING, code::NO_CONTAINER, code::LOG_UNAVAILABLE, code::BUSY])
}

/// The id of a line's event: which container's, and when it was written.
struct Mark<'a> {
    container: &'a str,
    /// RFC 3339 with nine decimals, as [`LogLine::at`].
    at: String,
}

impl<'a> Mark<'a> {
    fn read(id: &'a str) -> Option<Self> {
        let (container, at) = id.split_once('/')?;
        let whole = at.len() == 30 && at.is_ascii() && at.parse::<jiff::Timestamp>().is_ok();
        whole.then(|| Self { container, at: at.to_owned() })
    }
}

fn busy() -> ApiError {
    ApiError::new(
        code::BUSY,
        said!(
            "too many logs are being read at once: try again in a moment",
            "동시에 읽는 로그가 너무 많습니다: 잠시 뒤에 다시 시도하세요"
        ),
    )
    .retry_after(1)
}

fn follow(text: Option<&str>) -> Result<Follow, ApiError> {
    match text {
        Some("1") => Ok(Follow::Yes),
        None | Some("0") => Ok(Follow::No),
        Some(other) => Err(ApiError::new(
            code::BAD_QUERY,
            said!("`follow={other}`: write `1` or `0`", "`follow={other}`: `1` 또는 `0`으로 쓰세요"),
        )),
    }
}

fn unavailable(error: &EngineError) -> ApiError {
    ApiError::new(
        code::LOG_UNAVAILABLE,
        said!(
            "{error}",
            "지금은 로그를 읽을 수 없습니다: 잠시 뒤에 다시 해 보세요. 계속되면 서버에서 `paas status`를 보세요"
        ),
    )
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

/// A log being followed: through the container's end on to its next run or its successor, as long as the app is to run.
struct Following {
    state: PortalState,
    key: AppKey,
    /// Which run of which container is read.
    run: (ContainerId, Option<Timestamp>),
    /// `None` once the stream has said its last.
    log: Option<LogStream>,
    /// The time of the last line that the reader has, and whether the log still repeats what came before it. Once it has
    /// passed that line every line counts, whatever its time: clocks are set back, and the two outputs overtake each other.
    after: Option<(String, Replay)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    Yes,
    Over,
}

impl Following {
    fn events(self) -> impl Stream<Item = SseEvent> + Send {
        stream::unfold(self, |mut following| async move {
            let event = following.next().await?;
            Some((event, following))
        })
    }

    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            match self.log.as_mut()?.next().await {
                Some(Ok(line)) => {
                    let known = match (&self.after, &line.at) {
                        (Some((after, Replay::Yes)), Some(at)) => at <= after,
                        _ => false,
                    };
                    if !known {
                        return Some(self.line(line));
                    }
                }
                Some(Err(error)) => return Some(self.end(error.to_string())),
                None => match self.go_on().await {
                    Some(Ok(())) => return Some(sse::event("container", &NextRun { container: self.run.0.clone() })),
                    Some(Err(error)) => return Some(self.end(error.to_string())),
                    None => return Some(self.end("the container ended".to_owned())),
                },
            }
        }
    }

    fn line(&mut self, line: LogLine) -> SseEvent {
        let at = line.at.clone();
        let event = sse::event("log", &Line::from(line));
        match at {
            Some(at) => {
                let id = format!("{}/{at}", self.run.0.short());
                self.after = Some((at, Replay::Over));
                event.id(id)
            }
            None => event,
        }
    }

    fn end(&mut self, message: String) -> SseEvent {
        self.log = None;
        sse::event("end", &End { message })
    }

    /// Opens the log of the next run: the same container started again, or the one that took its place. `None` when there
    /// is none to wait for.
    async fn go_on(&mut self) -> Option<Result<(), EngineError>> {
        let mut status_rx = self.state.controller.watch();
        let next_run = async {
            loop {
                let app = status_rx.borrow_and_update().apps.get(&self.key).cloned()?;
                if app.desired != RunState::Running {
                    return None;
                }
                // Between a container and its successor there may be none.
                let run = app.container.clone().map(|container| (container, app.started_at));
                if let Some(run) = run.filter(|run| *run != self.run) {
                    return Some(run);
                }
                // Cancel-safe: nothing is taken from a watch.
                status_rx.changed().await.ok()?;
            }
        };
        let run = tokio::select! {
            run = tokio::time::timeout(NEXT_RUN, next_run) => run.ok()??,
            () = self.state.stopping.cancelled() => return None,
        };
        let before = std::mem::replace(&mut self.run, run);
        match &mut self.after {
            // The same log, from its beginning.
            Some((_, replay)) if before.0 == self.run.0 => *replay = Replay::Yes,
            // Another one, every line of which is new: it may have begun before the last words of the one before.
            after => *after = None,
        }
        let opened = self.state.controller.logs(self.run.0.clone(), MAX_LINES, Follow::Yes).await;
        Some(opened.map(|log| self.log = Some(log)))
    }
}

/// A container that ended runs again, or has a successor, within this: Docker's and the daemon's own waits between two
/// attempts are shorter at first.
const NEXT_RUN: Duration = Duration::from_secs(30);

/// From here on the lines are of another run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextRun {
    pub container: ContainerId,
}
