//! Whether a host name leads to this server: as far as the name servers that this machine asks tell. Nothing is connected to, so
//! nobody has the server knock at a place of their choice.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Somebody waits before a screen.
const PATIENCE: Duration = Duration::from_secs(3);
/// Each look holds a thread for as long as the system's resolver likes.
static LOOKS: Semaphore = Semaphore::const_new(4);

/// Where a name leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Leads {
    Here,
    Elsewhere,
    /// No address is known for it.
    Nowhere,
    /// This server's own address is not known, or the name server did not answer.
    Unknown,
}

/// What the name server said; `None`: nothing in time.
pub(super) type Found = Option<BTreeSet<IpAddr>>;

pub(super) fn judge(name: &Found, server: &Found) -> Leads {
    match (name, server) {
        (Some(name), _) if name.is_empty() => Leads::Nowhere,
        (Some(name), Some(server)) if !server.is_empty() => {
            if name.is_disjoint(server) {
                Leads::Elsewhere
            } else {
                Leads::Here
            }
        }
        _ => Leads::Unknown,
    }
}

pub(super) async fn look(host: String) -> Found {
    let ask = async {
        let place = LOOKS.acquire().await.ok()?;
        // The place is given back when the resolver is done, whoever waits by then.
        let asked = tokio::task::spawn_blocking(move || {
            let _place = place;
            (host.as_str(), 443).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
        });
        // "There is none" and "nobody knows" are the same error.
        Some(asked.await.ok()?.unwrap_or_default())
    };
    timeout(PATIENCE, ask).await.ok().flatten()
}

/// All of them at once.
pub(super) async fn look_at_all(hosts: impl IntoIterator<Item = String>) -> Vec<Found> {
    futures_util::future::join_all(hosts.into_iter().map(look)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_here_when_one_of_its_addresses_is_the_server_s() {
        let found = |text: &str| -> Found { Some(text.split_whitespace().map(|ip| ip.parse().unwrap()).collect()) };
        for (name, server, leads) in [
            (found("203.0.113.7"), found("203.0.113.7"), Leads::Here),
            (found("203.0.113.7 2001:db8::1"), found("10.0.0.1 2001:db8::1"), Leads::Here),
            (found("203.0.113.8"), found("203.0.113.7"), Leads::Elsewhere),
            (found(""), found("203.0.113.7"), Leads::Nowhere),
            (found(""), None, Leads::Nowhere),
            (found("203.0.113.7"), found(""), Leads::Unknown),
            (found("203.0.113.7"), None, Leads::Unknown),
            (None, found("203.0.113.7"), Leads::Unknown),
        ] {
            assert_eq!(judge(&name, &server), leads, "{name:?} {server:?}");
        }
    }
}
