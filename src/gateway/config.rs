//! What the operator can say about the gateway, and the figures it runs with.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// The part of the settings that may change while running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// `PAAS_DOMAIN`, lower case: it and `portal.` below it reach the portal.
    pub domain: String,
    /// Peers whose `X-Forwarded-*` are believed; from anyone else they are replaced.
    pub trusted_proxies: Vec<Cidr>,
}

impl GatewayConfig {
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.trim_end_matches('.').to_ascii_lowercase(), trusted_proxies: Vec::new() }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(peer))
    }
}

/// Limits and deadlines. None of them cuts a response that has begun, however slow or long.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Client connections at a time; above it, new ones wait in the kernel's queue.
    pub max_connections: usize,
    /// From the start of waiting for a request to the end of its head; also closes idle connections.
    pub header_timeout: Duration,
    /// Size of a request's head in bytes; above it 431.
    pub max_header_size: usize,
    /// Size of a request's body in bytes; above it 413.
    pub body_limit: Option<u64>,
    pub connect_timeout: Duration,
    /// Longest silence before the head of a response: neither the client's body nor the app moves. 408 or 504 by who is
    /// waited for.
    pub silence_timeout: Duration,
    /// How long a client may refuse to take a single byte of an answer that is ready for it.
    pub write_timeout: Duration,
    /// Idle upstream connections are not used after this. Node closes its own after 5 s, so stay below.
    pub upstream_idle: Duration,
    /// Idle connections kept for one app.
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
            header_timeout: Duration::from_secs(30),
            max_header_size: 32 * 1024,
            body_limit: None,
            connect_timeout: Duration::from_secs(2),
            silence_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            upstream_idle: Duration::from_secs(4),
            max_idle_upstream: 128,
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(30),
        }
    }
}

/// An address or a range of addresses: `10.0.0.7`, `172.16.0.0/12`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a range was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address range: write `172.16.0.0/12`, `fd00::/8` or a single address")]
pub struct CidrError(String);

impl Cidr {
    /// An IPv4 address that arrived over an IPv6 socket counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let host_bits = 32 - u32::from(self.prefix);
                (u32::from(network) ^ u32::from(address)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let host_bits = 128 - u32::from(self.prefix);
                (u128::from(network) ^ u128::from(address)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let refuse = || CidrError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.trim().parse().map_err(|_| refuse())?;
        let widest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| refuse())?,
            None => widest,
        };
        if prefix > widest {
            return Err(refuse());
        }
        Ok(Self { network, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_contains_exactly_its_addresses() {
        for (range, address, expected) in [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("172.16.0.0/12", "172.31.255.255", true),
            ("172.16.0.0/12", "172.32.0.0", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("172.16.0.0/12", "::ffff:172.17.0.1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), expected, "{range:?} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_accepted_form() {
        for bad in ["", "10.0.0.0/33", "10.0.0", "host", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
