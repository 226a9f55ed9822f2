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

/// Who sends a request to the portal, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// The peer's, or the one that a chain of trusted proxies names.
    pub address: IpAddr,
    pub seen: Seen,
}

/// What `address` says about where a visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// On this very machine: the connection begins here, and nothing says that it is for somebody elsewhere.
    Here,
    /// They are at that address.
    There,
    /// It is that of a proxy, which does not tell for whom it asks, or is not believed.
    Hidden,
}

/// What a request says about whom it is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// No proxy has been at it, or one that leaves no trace.
    Nothing,
    /// Only addresses of this machine.
    Loopback,
    /// Anything else, also what nobody can read.
    Else,
}

impl Told {
    fn of(headers: &HeaderMap) -> Self {
        const ADDRESSES: [&str; 5] =
            ["x-forwarded-for", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip"];
        let trace = |name: &str| is_forwarding_header(name) || name == "via" || ADDRESSES.contains(&name);
        if !headers.keys().any(|name| trace(name.as_str())) {
            return Self::Nothing;
        }
        let values = ADDRESSES.iter().flat_map(|name| headers.get_all(*name));
        let mut addresses = values.flat_map(|value| value.to_str().unwrap_or("?").split(',')).peekable();
        let named = addresses.peek().is_some() && !headers.contains_key("forwarded");
        let is_loopback =
            |text: &str| text.trim().parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        if named && addresses.all(is_loopback) { Self::Loopback } else { Self::Else }
    }
}

/// The visitor of a portal request. From a stranger the forwarding headers are removed, so that the portal may believe those
/// it finds. That a stranger sent some is not forgotten: a proxy that nobody has named speaks for somebody else, too.
pub(super) fn for_portal(headers: &mut HeaderMap, peer: &Peer, config: &GatewayConfig) -> Visitor {
    let told = Told::of(headers);
    if Trust::of(config, peer) == Trust::Replaced {
        let lies: Vec<_> = headers.keys().filter(|name| is_forwarding_header(name.as_str())).cloned().collect();
        for name in lies {
            headers.remove(name);
        }
        let seen = match told {
            Told::Nothing | Told::Loopback if peer.ip.is_loopback() => Seen::Here,
            Told::Nothing => Seen::There,
            Told::Loopback | Told::Else => Seen::Hidden,
        };
        return Visitor { address: peer.ip, seen };
    }
    let (from, vouched) = vouched_for(headers, peer, config);
    let seen = match from.is_loopback() {
        _ if !vouched => Seen::Hidden,
        false => Seen::There,
        // Its own machine is not this one, unless the whole way is here.
        true if peer.ip.is_loopback() && told == Told::Loopback => Seen::Here,
        true => Seen::Hidden,
    };
    Visitor { address: from, seen }
}

/// Whose a request is: the peer's, or the one's that a chain of trusted proxies names.
pub(super) fn client(headers: &HeaderMap, peer: &Peer, config: &GatewayConfig) -> IpAddr {
    match Trust::of(config, peer) {
        Trust::Replaced => peer.ip,
        Trust::Believed => vouched_for(headers, peer, config).0,
    }
}

/// The client that trusted proxies name, and whether one did.
fn vouched_for(headers: &HeaderMap, peer: &Peer, config: &GatewayConfig) -> (IpAddr, bool) {
    let (mut from, mut vouched) = (peer.ip, false);
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        // Each proxy vouches for the address it appended, so the first that is not a trusted one is the client.
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            vouched = false;
            break;
        };
        (from, vouched) = (address.to_canonical(), true);
        if !config.trusts(from) {
            break;
        }
    }
    (from, vouched)
}

/// [`for_portal`] for the portal's own port.
pub(crate) fn visitor(headers: &mut HeaderMap, peer: IpAddr, config: &GatewayConfig) -> Visitor {
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
        config.apps = vec!["10.201.0.0/20".parse().unwrap()];
        for (peer, sent, expected, kept) in [
            ("9.9.9.9", "1.1.1.1", "9.9.9.9", 0),
            ("10.0.0.1", "1.1.1.1", "1.1.1.1", 1),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1", 1),
            ("10.0.0.1", "10.0.0.3", "10.0.0.3", 1),
            ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1", 1),
            // An app is no proxy, although the range says so.
            ("10.201.3.7", "1.1.1.1", "10.201.3.7", 0),
            ("10.0.0.1", "1.1.1.1, 10.201.3.7", "10.201.3.7", 1),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_static(sent));
            let from = for_portal(&mut headers, &Peer::new(peer.parse().unwrap()), &config).address;
            assert_eq!((from.to_string().as_str(), headers.len()), (expected, kept), "{peer} {sent}");
        }
    }

    #[test]
    fn only_what_begins_and_ends_on_this_machine_is_from_here() {
        use Seen::{Here, Hidden, There};
        let for_whom = |text| [("x-forwarded-for", text)];
        let (none, local, far) = (&[][..], &for_whom("127.0.0.1")[..], &for_whom("203.0.113.9")[..]);
        for (trusted, peer, sent, seen) in [
            ("", "127.0.0.1", none, Here),
            ("", "::1", none, Here),
            ("", "::ffff:127.0.0.1", none, Here),
            ("", "192.168.0.9", none, There),
            // A proxy that nobody has named, on this machine or another.
            ("", "127.0.0.1", local, Here),
            ("", "127.0.0.1", far, Hidden),
            ("", "127.0.0.1", &for_whom("192.168.0.9"), Hidden),
            ("", "127.0.0.1", &for_whom("nonsense"), Hidden),
            ("", "127.0.0.1", &for_whom(""), Hidden),
            ("", "127.0.0.1", &[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "203.0.113.9")], Hidden),
            ("", "127.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "127.0.0.1")], Hidden),
            ("", "127.0.0.1", &[("forwarded", "for=127.0.0.1")], Hidden),
            ("", "127.0.0.1", &[("x-forwarded-proto", "https")], Hidden),
            ("", "127.0.0.1", &[("cf-connecting-ip", "203.0.113.9")], Hidden),
            ("", "127.0.0.1", &[("via", "1.1 nas")], Hidden),
            ("", "192.168.0.9", far, Hidden),
            ("", "192.168.0.9", local, Hidden),
            // A proxy on this machine, and one on another.
            ("127.0.0.1", "127.0.0.1", none, Hidden),
            ("127.0.0.1", "127.0.0.1", &[("x-forwarded-proto", "https")], Hidden),
            ("127.0.0.1", "127.0.0.1", &for_whom("nonsense"), Hidden),
            ("127.0.0.1", "127.0.0.1", local, Here),
            ("127.0.0.1", "127.0.0.1", far, There),
            ("127.0.0.1", "127.0.0.1", &for_whom("192.168.0.9"), There),
            ("127.0.0.1", "127.0.0.1", &for_whom("203.0.113.9, 127.0.0.2"), Hidden),
            ("127.0.0.1", "127.0.0.1", &for_whom("nonsense, 127.0.0.1"), Hidden),
            ("127.0.0.1", "127.0.0.1", &[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "203.0.113.9")], Hidden),
            ("10.0.0.0/8", "10.0.0.7", none, Hidden),
            ("10.0.0.0/8", "10.0.0.7", local, Hidden),
            ("10.0.0.0/8", "10.0.0.7", far, There),
            ("10.0.0.0/8", "10.0.0.7", &for_whom("203.0.113.9, 10.0.0.8"), There),
            ("10.0.0.0/8", "10.0.0.7", &for_whom("nonsense, 10.0.0.8"), Hidden),
            ("10.0.0.0/8", "127.0.0.1", none, Here),
        ] {
            let mut config = GatewayConfig::new("test");
            config.trusted_proxies = trusted.parse().into_iter().collect();
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let visitor = for_portal(&mut headers, &Peer::new(peer.parse().unwrap()), &config);
            assert_eq!(visitor.seen, seen, "{peer}, trusted: {trusted:?}, sent: {sent:?}");
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
