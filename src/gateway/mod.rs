//! The router in front of every app: host name → container, streaming, with friendly pages where there is none.
//!
//! ```text
//! status (watch) ─┐
//!                 ├─▶ routes::follow ─▶ Routes (watch, swapped whole) ─▶ proxy::handle ─▶ endpoint pool ─▶ container
//! config (watch) ─┘                                                        ▲
//! listener ─▶ server::accept ─▶ hyper http1 connection ────────────────────┘
//! ```
//!
//! | task | owns | stops |
//! |---|---|---|
//! | follow (one a `serve` call) | deriving [`Routes`](routes::Routes) from status and settings, sweeping idle upstream connections | on cancel |
//! | accept (one a listener) | the listening socket, who has a place ([`Places`](places::Places)) | on cancel |
//! | connection (one a client) | a client socket; upstream connections are polled by it, never by a task of their own | see [`Gateway::serve`] |
//! | tunnel (one an upgraded connection) | both sockets after a 101 | on cancel, or when it has long been idle |
//! | portal (one a request for it) | its handler's work | with the request |
//!
//! Connections and tunnels live on the gateway's own threads (`workers`), everything else on the runtime that calls
//! [`Gateway::serve`]; a stream of the portal is begun there, too, and read by the connection that it goes to.
//!
//! **Architecture invariants:** no request waits for a lock that is held across I/O, nothing is looked up per request but
//! one hash map; no name is resolved; the engine and the store are unknown here. What a client sent is never forwarded
//! as bytes: a request is parsed by hyper, then written anew with exactly one framing, so an app sees one unambiguous
//! request or none. HTTP/2 with prior knowledge is answered with `GOAWAY(HTTP_1_1_REQUIRED)`: nothing that stands in
//! front of this port speaks it to an upstream, and the codec would cost a tenth of the daemon's memory budget.

mod body;
mod chunked;
mod client_io;
mod config;
mod cookies;
mod doubt;
mod endpoint;
mod exchange;
mod forwarding;
mod gate;
mod head;
mod hold;
mod host;
mod lan;
mod language;
mod oversized;
mod pages;
mod places;
mod presence;
mod proxy;
mod routes;
mod server;
mod stall;
mod traffic;
mod tunnel;
mod visits;
mod waking;
mod welcome;
mod workers;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::model::{AppKey, ContainerId, DaemonStatus, Wake};

pub use config::{GatewayConfig, PortalNames, Tuning};
pub(crate) use forwarding::visitor;
pub use forwarding::{Seen, Visitor};
pub use gate::{Answered, Entered, Entry, EntryRefused, Gate};
pub(crate) use lan::{address, is_at_home, lan_address, portal_from_elsewhere};
pub(crate) use language::{Language, is_page_wanted, language};
pub(crate) use oversized::Oversized;
pub(crate) use pages::{document, escape, page_headers};
pub use presence::Presence;
pub(crate) use stall::DropStalled;
pub use traffic::{LATENCY_BUCKETS_MS, TrafficSnapshot, TrafficStats};
pub use visits::VisitCount;

/// The gateway; cheap to clone, every clone is the same one.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

/// What every connection shares.
struct Inner {
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    config_rx: watch::Receiver<Arc<GatewayConfig>>,
    routes_tx: watch::Sender<Arc<routes::Routes>>,
    endpoints: endpoint::Registry,
    /// Started by the first `serve`.
    workers: OnceLock<workers::Workers>,
    portal: Option<axum::Router>,
    /// Without one nobody holds a pass.
    gate: OnceLock<Arc<dyn Gate>>,
    traffic: Arc<TrafficStats>,
    tuning: Tuning,
    places: Arc<places::Places>,
    holds: Arc<hold::Holds>,
    doubts: doubt::Doubts,
    wakes: waking::Wakes,
    generation: AtomicU64,
    connections: AtomicUsize,
    tunnels: AtomicUsize,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway that serves the present status from its first request on. `portal` answers the bare domain and
    /// `portal.DOMAIN`; without one a plain page does.
    #[must_use]
    pub fn new(
        status_rx: watch::Receiver<Arc<DaemonStatus>>,
        config_rx: watch::Receiver<Arc<GatewayConfig>>,
        portal: Option<axum::Router>,
        tuning: Tuning,
    ) -> Self {
        Self::counting(status_rx, config_rx, portal, tuning, Arc::default())
    }

    /// [`Gateway::new`] that counts into figures which somebody else reads as well, its own portal say.
    #[must_use]
    pub fn counting(
        status_rx: watch::Receiver<Arc<DaemonStatus>>,
        config_rx: watch::Receiver<Arc<GatewayConfig>>,
        portal: Option<axum::Router>,
        tuning: Tuning,
        traffic: Arc<TrafficStats>,
    ) -> Self {
        let endpoints = endpoint::Registry::default();
        let first = routes::Routes::derive(&status_rx.borrow(), config_rx.borrow().clone(), &endpoints, &traffic);
        Self {
            inner: Arc::new(Inner {
                status_rx,
                config_rx,
                routes_tx: watch::Sender::new(Arc::new(first)),
                endpoints,
                workers: OnceLock::new(),
                portal,
                gate: OnceLock::new(),
                traffic,
                places: Arc::new(places::Places::new(places::Limits {
                    places: tuning.max_connections,
                    reserve: tuning.portal_reserve,
                    heads: tuning.max_unfinished_heads,
                })),
                holds: Arc::new(hold::Holds::new(tuning.max_held, tuning.max_held_of_one)),
                doubts: doubt::Doubts::default(),
                wakes: waking::Wakes::default(),
                tuning,
                generation: AtomicU64::new(0),
                connections: AtomicUsize::new(0),
                tunnels: AtomicUsize::new(0),
            }),
        }
    }

    /// Whom to ask for passes, from now on; the first one stays.
    #[must_use]
    pub fn gated(self, gate: Arc<dyn Gate>) -> Self {
        let _ = self.inner.gate.set(gate);
        self
    }

    /// Figures of every app since the daemon started.
    #[must_use]
    pub fn traffic(&self) -> Arc<TrafficStats> {
        Arc::clone(&self.inner.traffic)
    }

    /// Apps that have left several visitors in a row without an answer: they refuse connections, say nothing for too long, or
    /// whoever asked has waited and left. Each is told again with every further one. For the one who asks first.
    #[must_use]
    pub fn doubts(&self) -> mpsc::Receiver<AppKey> {
        self.inner.doubts.listen()
    }

    /// Apps that sleep and that somebody waits for. For the one who asks first.
    #[must_use]
    pub fn wakes(&self) -> mpsc::Receiver<Wake> {
        self.inner.wakes.listen()
    }

    /// When somebody was let into this app last, whose answer has ended.
    #[must_use]
    pub fn presence(&self, app: &AppKey) -> Presence {
        self.inner.traffic.presence(app)
    }

    /// How often the route table was replaced: it rises after every change of status or settings that was taken up.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Relaxed)
    }

    /// Client connections that are open now, tunnels not counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Relaxed)
    }

    /// Upgraded connections (WebSocket) that are open now.
    #[must_use]
    pub fn tunnels(&self) -> usize {
        self.inner.tunnels.load(Relaxed)
    }

    /// Whether requests run on this container or may still be sent to it: the status names it as an endpoint, or that it no
    /// longer does was not taken up here yet, or an answer of it has not ended. Tunnels and event streams do not count:
    /// they have no end to wait for, an open browser tab would hold every deploy.
    #[must_use]
    pub fn is_busy(&self, container: &ContainerId) -> bool {
        self.inner.endpoints.is_held(container)
    }

    /// How long ago a request was last sent to this container; `None`: none was since the status names it.
    #[must_use]
    pub fn last_used(&self, container: &ContainerId) -> Option<Duration> {
        self.inner.endpoints.last_used(container)
    }
}
