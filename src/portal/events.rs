//! `GET /events` (live changes), `GET /events/log` and `GET /apps/{userid}/{appname}/events` (what was done and why).

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::caller::{Caller, Standing};
use super::changes::{News, Position};
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, LastEventId, Params};
use super::sse;
use super::state::PortalState;
use super::view::AppView;
use crate::model::status::ManifestsStatus;
use crate::model::{AppKey, DaemonStatus, Event};

pub(super) const DEFAULT_LIMIT: u32 = 100;
pub(super) const MAX_LIMIT: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    limit: Option<u32>,
}

/// Of one app, newest first. An app that is gone still has a history, so an unknown one answers an empty list.
pub async fn of_app(
    State(state): State<PortalState>,
    App(key): App,
    Params(query): Params<Query>,
) -> Result<Data<Vec<Event>>, ApiError> {
    read(&state, Some(key), query).await
}

pub(super) fn of_app_described() -> Operation {
    let limit = json!({"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT});
    Operation::new("apps", "appEvents", "What was done to one app, why, and who changed its manifest")
        .more("An app that is gone still has a history; a name that never was an app has an empty one.")
        .query("limit", limit, "How many of the newest.")
        .answers::<Vec<Event>>(200, "Newest first.")
}

/// Of everything, newest first.
pub async fn of_all(
    State(state): State<PortalState>,
    Params(query): Params<Query>,
) -> Result<Data<Vec<Event>>, ApiError> {
    read(&state, None, query).await
}

pub(super) fn of_all_described() -> Operation {
    let limit = json!({"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT});
    Operation::new("events", "eventLog", "What was done to everything and why")
        .query("limit", limit, "How many of the newest.")
        .answers::<Vec<Event>>(200, "Newest first.")
}

async fn read(state: &PortalState, app: Option<AppKey>, query: Query) -> Result<Data<Vec<Event>>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit > MAX_LIMIT {
        return Err(ApiError::new(
            code::BAD_QUERY,
            said!(
                "`limit={limit}` is too many: ask for at most {MAX_LIMIT}",
                "`limit={limit}`은(는) 너무 많습니다: {MAX_LIMIT} 이하로 요청하세요"
            ),
        ));
    }
    Ok(Data(state.events.events(app, limit).await?))
}

/// An app that is no longer there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    pub app: AppKey,
}

/// Live changes, of the caller's own apps: `daemon` and `apps` (everything) first, so that nothing is missed between asking and listening, then per
/// change `app`, `gone` or `daemon` (the status without its apps). What changes twice while the reader is slow is sent once.
/// A reader that comes back with the id of the last event it saw is only told what changed since.
pub async fn live(
    State(state): State<PortalState>,
    LastEventId(last): LastEventId,
    caller: Caller,
    standing: Standing,
) -> Result<Response, ApiError> {
    let watching = Watching {
        caller,
        status_rx: state.controller.watch(),
        position: last.and_then(|id| id.parse().ok()),
        fresh: true,
        pending: VecDeque::new(),
        state: state.clone(),
    };
    sse::response(&state, standing, watching.events())
}

pub(super) fn live_described() -> Operation {
    Operation::new("events", "liveEvents", "Live changes of your apps; for an admin of all of them")
        .more(
            "Server-sent events: first `daemon` and `apps` (everything), then `app`, `gone` and `daemon` as they \
                     change. With a `Last-Event-ID` of the same daemon only what changed since.",
        )
        .header("Last-Event-ID", "The id of the last event that was read, to go on after it.")
        .answers_with(200, "text/event-stream", "The stream.")
        .refuses(&[code::BUSY])
}

struct Watching {
    state: PortalState,
    /// As whom the stream was opened; it ends when that changes.
    caller: Caller,
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    /// How far the reader has got.
    position: Option<Position>,
    /// Nothing was looked at yet: the present status is news, even if it does not change.
    fresh: bool,
    pending: VecDeque<SseEvent>,
}

impl Watching {
    fn events(self) -> impl Stream<Item = SseEvent> + Send {
        stream::unfold(self, |mut watching| async move {
            loop {
                if let Some(event) = watching.pending.pop_front() {
                    return Some((event, watching));
                }
                if !std::mem::take(&mut watching.fresh) {
                    // Cancel-safe: `changed` marks nothing as seen before it returns. An error means the daemon is stopping.
                    watching.status_rx.changed().await.ok()?;
                }
                watching.look();
            }
        })
    }

    fn look(&mut self) {
        let now = self.status_rx.borrow_and_update().clone();
        let settings = self.state.settings_rx.borrow().clone();
        let (news, reached) = self.state.changes.since(self.position, &now);
        let mut events = Vec::new();
        let caller = &self.caller;
        let daemon_event =
            || sse::event("daemon", &if caller.is_admin() { without_apps(&now) } else { for_members(&now) });
        match news {
            News::All => {
                let own = now.apps.values().filter(|app| caller.may_see(&app.app));
                let apps: Vec<_> = own.map(|app| AppView::new(app, &settings)).collect();
                events.extend([daemon_event(), sse::event("apps", &apps)]);
            }
            News::Since { daemon, apps, gone } => {
                if daemon {
                    events.push(daemon_event());
                }
                let own = apps.iter().filter(|key| caller.may_see(key)).filter_map(|key| now.apps.get(key));
                events.extend(own.map(|app| sse::event("app", &AppView::new(app, &settings))));
                let gone = gone.into_iter().filter(|app| caller.may_see(app));
                events.extend(gone.map(|app| sse::event("gone", &Gone { app })));
            }
        }
        // Only with the last of them the reader has got so far.
        if let Some(last) = events.pop() {
            events.push(last.id(reached.to_string()));
        }
        self.position = Some(reached);
        self.pending = events.into();
    }
}

/// What a member needs to know of the daemon: whether it works. Names of files and of what waits are other people's, and
/// paths and settings are the operator's.
fn for_members(status: &DaemonStatus) -> DaemonStatus {
    let manifests = match &status.manifests {
        ManifestsStatus::Unavailable { since, .. } => {
            ManifestsStatus::Unavailable { reason: "the manifests folder cannot be used now".to_owned(), since: *since }
        }
        known @ (ManifestsStatus::Unknown | ManifestsStatus::Complete) => known.clone(),
    };
    DaemonStatus {
        manifests,
        held: None,
        file_problems: Vec::new(),
        settings_problems: Vec::new(),
        restart_required: Vec::new(),
        proxy: None,
        backups: Arc::default(),
        ..without_apps(status)
    }
}

fn without_apps(status: &DaemonStatus) -> DaemonStatus {
    DaemonStatus {
        version: status.version.clone(),
        folders: status.folders.clone(),
        engine: status.engine.clone(),
        manifests: status.manifests.clone(),
        database: status.database.clone(),
        image: status.image.clone(),
        network: status.network.clone(),
        network_ranges: status.network_ranges.clone(),
        apps: std::collections::BTreeMap::new(),
        previews: std::collections::BTreeMap::new(),
        held: status.held.clone(),
        file_problems: status.file_problems.clone(),
        settings_problems: status.settings_problems.clone(),
        restart_required: status.restart_required.clone(),
        last_resync: status.last_resync,
        proxy: status.proxy.clone(),
        backups: Arc::clone(&status.backups),
    }
}
