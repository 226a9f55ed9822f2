//! What the operator can say about the gateway, and the figures it runs with.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::Cidr;

/// The part of the settings that may change while running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// `PAAS_DOMAIN`, lower case: it and `portal.` below it reach the portal.
    pub domain: String,
    /// Whether they do; else nothing is there, whatever the status says.
    pub portal: PortalNames,
    /// Peers whose `X-Forwarded-*` are believed; from anyone else they are replaced.
    pub trusted_proxies: Vec<Cidr>,
    /// A tunnel in which nothing moves for so long ends.
    pub tunnel_idle: Duration,
    /// Where the apps are: none of them is a proxy, whatever the ranges of those say.
    pub apps: Vec<Cidr>,
    /// Where people find the portal, without a slash at the end; empty: at those names, by the port that they came by.
    pub portal_url: String,
    /// Where the settings say that people find the portal, without a slash at the end, also where those names reach it.
    pub own_portal: String,
}

/// What is at the portal's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalNames {
    ThePortal,
    Nothing,
}

impl GatewayConfig {
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        Self {
            domain,
            portal: PortalNames::ThePortal,
            trusted_proxies: Vec::new(),
            tunnel_idle: Duration::from_secs(3600),
            apps: Vec::new(),
            portal_url: String::new(),
            own_portal: String::new(),
        }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        let within = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(peer));
        within(&self.trusted_proxies) && !within(&self.apps)
    }
}

/// Limits and deadlines. None of them cuts a response that has begun, however slow or long.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Client connections at a time. Above it, whoever has waited longest for a request gives way to who comes.
    pub max_connections: usize,
    /// Connections above that, for the portal alone.
    pub portal_reserve: usize,
    /// Bytes of heads that are not complete yet, of all connections together; what one has in its first 8 KB is not counted.
    pub max_unfinished_heads: usize,
    /// From the start of waiting for a request to the end of its head; also closes idle connections.
    pub header_timeout: Duration,
    /// Size of a request's head in bytes; above it 431.
    pub max_header_size: usize,
    /// Size of a request's body in bytes; above it 413.
    pub body_limit: Option<u64>,
    pub connect_timeout: Duration,
    /// How long a GET or HEAD waits for an app that restarts or starts.
    pub hold: Duration,
    /// How long any request waits for an app that was woken, and somebody who opens a page before they are shown one that carries on
    /// by itself.
    pub wake_hold: Duration,
    pub wake_page: Duration,
    /// Requests that wait so at a time, and those of them that wait for one app. Others are told at once.
    pub max_held: usize,
    pub max_held_of_one: usize,
    /// Longest silence before the head of a response: neither the client's body nor the app moves. 408 or 504 by who is
    /// waited for.
    pub silence_timeout: Duration,
    /// A visitor who leaves without an answer after so long has waited for the app.
    pub patience: Duration,
    /// How long a client may refuse to take a single byte of an answer that is ready for it.
    pub write_timeout: Duration,
    /// Idle upstream connections are not used after this. Node closes its own after 5 s, so stay below.
    pub upstream_idle: Duration,
    /// Idle connections that each of the gateway's two threads keeps to one app: as many as were busy a moment ago, or each
    /// request of a burst opens its own. An app that serves one connection at a time lets others wait until an idle one is
    /// closed ([`Tuning::upstream_idle`]).
    pub max_idle_upstream: usize,
    /// On stop: how long idle clients may still send the request that is already on its way to us; it is answered with
    /// `Connection: close`. Closing at once would lose it.
    pub linger: Duration,
    /// On stop: how long running requests may take.
    pub drain: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            portal_reserve: 64,
            max_unfinished_heads: 8 << 20,
            header_timeout: Duration::from_secs(30),
            max_header_size: 32 * 1024,
            body_limit: None,
            connect_timeout: Duration::from_secs(2),
            hold: Duration::from_secs(5),
            wake_hold: Duration::from_secs(30),
            wake_page: Duration::from_secs(2),
            max_held: 2048,
            max_held_of_one: 1024,
            silence_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(3),
            write_timeout: Duration::from_secs(120),
            upstream_idle: Duration::from_secs(4),
            max_idle_upstream: 256,
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}
