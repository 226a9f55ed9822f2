//! `GET /events` (live changes), `GET /events/log` and `GET /apps/{userid}/{appname}/events` (what was done and why).

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::code;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Params};
use super::sse;
use super::state::PortalState;
use super::view::AppView;
use crate::model::{AppKey, DaemonStatus, Event, Settings};

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

/// Of everything, newest first.
pub async fn of_all(
    State(state): State<PortalState>,
    Params(query): Params<Query>,
) -> Result<Data<Vec<Event>>, ApiError> {
    read(&state, None, query).await
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

/// Live changes: `apps` (the whole list) first, so that nothing is missed between asking and listening, then per change
/// `app`, `gone` or `daemon` (the status without its apps). What changes twice while the reader is slow is sent once.
pub async fn live(State(state): State<PortalState>) -> Response {
    let changes = changes(state.controller.watch(), state.settings_rx.clone());
    sse::response(changes, state.stopping.clone())
}

struct Watching {
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    settings_rx: watch::Receiver<Arc<Settings>>,
    /// What the reader knows. `None` before the first event.
    known: Option<Arc<DaemonStatus>>,
    pending: VecDeque<SseEvent>,
}

fn changes(
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    settings_rx: watch::Receiver<Arc<Settings>>,
) -> impl Stream<Item = SseEvent> + Send {
    let start = Watching { status_rx, settings_rx, known: None, pending: VecDeque::new() };
    stream::unfold(start, |mut watching| async move {
        loop {
            if let Some(event) = watching.pending.pop_front() {
                return Some((event, watching));
            }
            if watching.known.is_some() {
                // Cancel-safe: `changed` marks nothing as seen before it returns. An error means the daemon is stopping.
                watching.status_rx.changed().await.ok()?;
            }
            let now = watching.status_rx.borrow_and_update().clone();
            let settings = watching.settings_rx.borrow().clone();
            watching.pending = diff(watching.known.as_deref(), &now, &settings);
            watching.known = Some(now);
        }
    })
}

/// The events that take a reader from `before` to `now`.
fn diff(before: Option<&DaemonStatus>, now: &DaemonStatus, settings: &Settings) -> VecDeque<SseEvent> {
    let Some(before) = before else {
        let apps: Vec<_> = now.apps.values().map(|app| AppView::new(app, settings)).collect();
        return VecDeque::from([sse::event("daemon", &without_apps(now)), sse::event("apps", &apps)]);
    };
    let mut events = VecDeque::new();
    let (daemon_before, daemon_now) = (without_apps(before), without_apps(now));
    if daemon_before != daemon_now {
        events.push_back(sse::event("daemon", &daemon_now));
    }
    for (key, app) in &now.apps {
        let same = before.apps.get(key).is_some_and(|known| Arc::ptr_eq(known, app) || known == app);
        if !same {
            events.push_back(sse::event("app", &AppView::new(app, settings)));
        }
    }
    for key in before.apps.keys().filter(|key| !now.apps.contains_key(*key)) {
        events.push_back(sse::event("gone", &Gone { app: key.clone() }));
    }
    events
}

fn without_apps(status: &DaemonStatus) -> DaemonStatus {
    DaemonStatus {
        version: status.version.clone(),
        engine: status.engine.clone(),
        manifests: status.manifests.clone(),
        image: status.image.clone(),
        network: status.network.clone(),
        apps: std::collections::BTreeMap::new(),
        held: status.held.clone(),
        file_problems: status.file_problems.clone(),
        settings_problems: status.settings_problems.clone(),
        restart_required: status.restart_required.clone(),
        last_resync: status.last_resync,
    }
}
