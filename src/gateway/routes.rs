//! Host name → where its requests go, derived as one value from the status and swapped whole.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::config::{GatewayConfig, PortalNames};
use super::endpoint::{Endpoint, Registry};
use super::pages::Page;
use super::traffic::{AppTraffic, TrafficStats};
use super::waking::Sleep;
use super::workers::WORKERS;
use super::{Inner, host, lan};
use crate::model::preview::{PreviewState, PreviewStatus};
use crate::model::{AppKey, AppStatus, ConditionKind, DaemonStatus, Health, RunState, SyncState, Visitors};

/// One app's entry, one for each worker.
#[derive(Debug)]
pub(super) struct AppRoute {
    pub(super) app: AppKey,
    pub(super) target: Target,
    pub(super) traffic: Arc<AppTraffic>,
    pub(super) visitors: Visitors,
    pub(super) sleep: Sleep,
    pub(super) shows: Shows,
}

impl AppRoute {
    /// Whether somebody may come in by the site's password. To a preview nobody does.
    pub(super) fn has_password(&self, inner: &Inner) -> bool {
        self.shows == Shows::Site && inner.gate.get().is_some_and(|gate| gate.has_password(&self.app))
    }
}

/// What of an app is at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Site,
    /// What its owner looks at besides.
    Preview,
}

#[derive(Debug)]
pub(super) enum Target {
    To(Arc<Endpoint>),
    Page(Page),
}

#[derive(Debug)]
pub(super) enum Route {
    App(Arc<AppRoute>),
    Portal,
}

#[derive(Debug)]
enum Entry {
    /// By worker.
    App([Arc<AppRoute>; WORKERS]),
    Portal,
}

/// The whole table. Immutable: a change is a new one.
#[derive(Debug)]
pub(super) struct Routes {
    by_host: HashMap<Box<str>, Entry>,
    pub(super) config: Arc<GatewayConfig>,
}

impl Routes {
    /// An endpoint that stays the same keeps its pool of connections.
    pub(super) fn derive(
        status: &DaemonStatus,
        config: Arc<GatewayConfig>,
        endpoints: &Registry,
        traffic: &TrafficStats,
    ) -> Self {
        let mut by_host = HashMap::with_capacity(status.apps.len() + 2);
        for (key, app) in &status.apps {
            let target = |worker| match &app.endpoint {
                Some(to) => Target::To(endpoints.endpoint(&to.container, SocketAddr::new(to.ip, to.port), worker)),
                None => Target::Page(page_of(app)),
            };
            let traffic = traffic.of(key);
            let routes: [_; WORKERS] = std::array::from_fn(|worker| {
                let traffic = Arc::clone(&traffic[worker]);
                let (target, visitors, sleep) = (target(worker), app.visitors, sleep_of(app));
                Arc::new(AppRoute { app: key.clone(), target, traffic, visitors, sleep, shows: Shows::Site })
            });
            // An own name is never below the domain; should a status say otherwise, whoever is there by rights wins.
            for name in &app.domains {
                by_host.entry(name.as_str().into()).or_insert_with(|| Entry::App(routes.clone()));
            }
            by_host.insert(app.host.to_ascii_lowercase().into_boxed_str(), Entry::App(routes));
        }
        // An app that has had such a name for long keeps it.
        for preview in status.previews.values() {
            let route = |worker| Arc::new(preview_route(preview, endpoints, traffic, worker));
            let name = preview.host.to_ascii_lowercase().into_boxed_str();
            by_host.entry(name).or_insert_with(|| Entry::App(std::array::from_fn(route)));
        }
        // After the apps: no app may take the portal's names, whatever a status says.
        for name in [config.domain.clone(), format!("portal.{}", config.domain)] {
            match config.portal {
                PortalNames::ThePortal => by_host.insert(name.into_boxed_str(), Entry::Portal),
                PortalNames::Nothing => by_host.remove(name.as_str()),
            };
        }
        traffic.retain(|key| status.apps.contains_key(key));
        endpoints.prune();
        Self { by_host, config }
    }

    /// The route for a connection of this worker. `authority` is a valid host with or without a port.
    pub(super) fn find(&self, authority: &str, worker: usize) -> Option<Route> {
        let entry = host::with_route_name(authority, |name| {
            self.by_host.get(name).or_else(|| {
                let app = self.by_host.get(lan::app_below_address(name, &self.config.domain)?.as_str())?;
                // Apps could plant cookies for the portal in names that they share.
                matches!(app, Entry::App(_)).then_some(app)
            })
        });
        match entry {
            Some(Entry::App(routes)) => Some(Route::App(Arc::clone(&routes[worker]))),
            Some(Entry::Portal) => Some(Route::Portal),
            None => lan::leads_to_portal(authority, &self.config).then_some(Route::Portal),
        }
    }
}

fn sleep_of(app: &AppStatus) -> Sleep {
    match &app.sleep {
        None => Sleep::Never,
        Some(sleep) if sleep.since.is_some() => Sleep::Asleep { told: AtomicBool::new(false) },
        Some(_) => Sleep::Awake,
    }
}

/// It counts for nobody's visits.
fn preview_route(preview: &PreviewStatus, endpoints: &Registry, traffic: &TrafficStats, worker: usize) -> AppRoute {
    let target = match (&preview.endpoint, preview.state) {
        (Some(to), _) => Target::To(endpoints.endpoint(&to.container, SocketAddr::new(to.ip, to.port), worker)),
        (None, PreviewState::Preparing | PreviewState::Starting | PreviewState::Ready) => Target::Page(Page::Starting),
        (None, PreviewState::Failed) => Target::Page(Page::Crashed),
        (None, PreviewState::Ending) => Target::Page(Page::NoSuchApp),
    };
    AppRoute {
        app: preview.app.clone(),
        target,
        traffic: traffic.of_preview(worker),
        visitors: preview.visitors,
        sleep: Sleep::Never,
        shows: Shows::Preview,
    }
}

/// What to tell a visitor of an app that cannot be reached at present.
fn page_of(app: &AppStatus) -> Page {
    match (app.desired, app.health, app.sync) {
        (RunState::Deleted, ..) | (_, Health::Deleted, _) => Page::NoSuchApp,
        (RunState::Stopped, ..) => Page::Stopped,
        // Whatever else there is to say about it, it may run or not.
        (_, Health::Unknown, _) if app.condition(ConditionKind::EngineUnreachable).is_some() => Page::NotReady,
        (_, Health::CrashLoop, _) => Page::Restarting,
        (_, Health::Degraded, _) => Page::Crashed,
        // It is started by itself when there is room.
        (..) if app.condition(ConditionKind::NotEnoughMemory).is_some() => Page::Starting,
        // Nothing is going to happen until the owner does something, so a page that refreshes itself would be a lie.
        (_, _, SyncState::Invalid | SyncState::Held) => Page::Blocked,
        // `Running` or `Stopped` without an address: on its way up.
        (_, Health::Unknown | Health::Starting | Health::Running | Health::Stopped | Health::Asleep, _) => {
            Page::Starting
        }
    }
}

/// Follows status and settings until the senders are gone.
pub(super) async fn follow(inner: &Inner) {
    let mut status_rx = inner.status_rx.clone();
    let mut config_rx = inner.config_rx.clone();
    loop {
        let routes = {
            let status = status_rx.borrow_and_update().clone();
            let config = config_rx.borrow_and_update().clone();
            Routes::derive(&status, config, &inner.endpoints, &inner.traffic)
        };
        inner.routes_tx.send_replace(Arc::new(routes));
        inner.generation.fetch_add(1, Relaxed);
        // Both arms only wait, so the one that loses has lost nothing.
        let changed = tokio::select! {
            changed = status_rx.changed() => changed,
            changed = config_rx.changed() => changed,
        };
        if changed.is_err() {
            // The daemon is stopping: the last table stays good until the listener closes.
            return std::future::pending().await;
        }
    }
}
