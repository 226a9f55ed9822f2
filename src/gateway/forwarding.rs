//! Who asked, as told to the app.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use super::config::GatewayConfig;

/// What is known of a connection's client.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    /// The same as text, made once a connection.
    text: String,
}

impl Peer {
    pub(super) fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let mut text = String::with_capacity(15);
        // Writing to a string cannot fail.
        let _ = write!(text, "{ip}");
        Self { ip, text }
    }
}

/// Whether the peer's own word about whom it speaks for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Believed,
    Replaced,
}

impl Trust {
    pub(super) fn of(config: &GatewayConfig, peer: &Peer) -> Self {
        if config.trusts(peer.ip) { Self::Believed } else { Self::Replaced }
    }
}

/// Forwarding headers a client may have sent; they never pass through as they came.
pub(super) fn is_forwarding_header(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-server"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            | "x-forwarded-prefix"
            | "x-real-ip"
            | "x-client-ip"
            | "x-original-url"
            | "x-rewrite-url"
            | "forwarded"
    )
}

/// Writes `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`. From a trusted proxy the first is appended to and the
/// others are kept (with `X-Forwarded-Port` and `Forwarded`) where it sent exactly one; else they say what is seen here.
pub(super) fn write(out: &mut BytesMut, headers: &HeaderMap, peer: &Peer, host: &str, trust: Trust) {
    let told = |name| match trust {
        Trust::Believed => only(headers, name),
        Trust::Replaced => None,
    };
    out.put_slice(b"x-forwarded-for: ");
    if trust == Trust::Believed {
        for value in headers.get_all("x-forwarded-for") {
            out.put_slice(value.as_bytes());
            out.put_slice(b", ");
        }
    }
    out.put_slice(peer.text.as_bytes());
    out.put_slice(b"\r\nx-forwarded-proto: ");
    out.put_slice(told("x-forwarded-proto").map_or(b"http", HeaderValue::as_bytes));
    out.put_slice(b"\r\nx-forwarded-host: ");
    out.put_slice(told("x-forwarded-host").map_or(host.as_bytes(), HeaderValue::as_bytes));
    out.put_slice(b"\r\nx-real-ip: ");
    out.put_slice(told("x-real-ip").map_or(peer.text.as_bytes(), HeaderValue::as_bytes));
    out.put_slice(b"\r\n");
    for name in ["x-forwarded-port", "forwarded"] {
        if let Some(value) = told(name) {
            out.put_slice(name.as_bytes());
            out.put_slice(b": ");
            out.put_slice(value.as_bytes());
            out.put_slice(b"\r\n");
        }
    }
}

/// The address a portal request comes from: the peer's, or the one a chain of trusted proxies names. From a stranger the
/// forwarding headers are removed, so that the portal may believe those it finds.
pub(super) fn for_portal(headers: &mut HeaderMap, peer: &Peer, config: &GatewayConfig) -> IpAddr {
    if Trust::of(config, peer) == Trust::Replaced {
        let lies: Vec<_> = headers.keys().filter(|name| is_forwarding_header(name.as_str())).cloned().collect();
        for name in lies {
            headers.remove(name);
        }
        return peer.ip;
    }
    let mut from = peer.ip;
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        // Each proxy vouches for the address it appended, so the first that is not a trusted one is the client.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        from = address.to_canonical();
        if !config.trusts(from) {
            break;
        }
    }
    from
}

/// [`for_portal`] for the portal's own port.
pub(crate) fn client_address(headers: &mut HeaderMap, peer: IpAddr, config: &GatewayConfig) -> IpAddr {
    for_portal(headers, &Peer::new(peer), config)
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(trust: Trust, sent: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut out = BytesMut::new();
        write(&mut out, &headers, &Peer::new("::ffff:10.0.0.9".parse().unwrap()), "a.test:8080", trust);
        String::from_utf8(out.to_vec()).unwrap().replace("\r\n", "\n")
    }

    const LIES: &[(&str, &str)] = &[
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "1.2.3.4"),
    ];

    #[test]
    fn the_portal_learns_the_address_that_trusted_proxies_vouch_for() {
        let mut config = GatewayConfig::new("test");
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, sent, expected, kept) in [
            ("9.9.9.9", "1.1.1.1", "9.9.9.9", 0),
            ("10.0.0.1", "1.1.1.1", "1.1.1.1", 1),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1", 1),
            ("10.0.0.1", "10.0.0.3", "10.0.0.3", 1),
            ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1", 1),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_static(sent));
            let from = for_portal(&mut headers, &Peer::new(peer.parse().unwrap()), &config);
            assert_eq!((from.to_string().as_str(), headers.len()), (expected, kept), "{peer} {sent}");
        }
    }

    #[test]
    fn a_stranger_s_word_is_replaced() {
        insta::assert_snapshot!(written(Trust::Replaced, LIES), @r"
        x-forwarded-for: 10.0.0.9
        x-forwarded-proto: http
        x-forwarded-host: a.test:8080
        x-real-ip: 10.0.0.9
        ");
    }

    #[test]
    fn a_trusted_proxy_s_word_is_kept_and_its_address_appended() {
        insta::assert_snapshot!(written(Trust::Believed, LIES), @r"
        x-forwarded-for: 1.2.3.4, 10.0.0.9
        x-forwarded-proto: https
        x-forwarded-host: evil.test
        x-real-ip: 1.2.3.4
        x-forwarded-port: 443
        ");
    }
}
