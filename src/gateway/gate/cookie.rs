//! The gateway's own cookies on sites' hosts: a visitor's pass, and what a browser is to remember during a hand-over.
//!
//! Host-only (no `Domain`), `HttpOnly`, `SameSite=Lax` (in a frame: [`Place::Frame`]); over TLS also `Secure`, under a name with `__Host-`, which makes the
//! browser guard that nobody but this very host has set it. Apps neither see nor set them.

use std::borrow::Cow;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderValue};

use crate::gateway::forwarding::Trust;

const PASS: &str = "paas_visitor";
const HANDOVER: &str = "paas_handover";
const PREFIX: &str = "__Host-";

/// How long somebody may take to sign in to the portal.
const HANDOVER_LIFE: Duration = Duration::from_secs(30 * 60);

/// How a visitor came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(in crate::gateway) fn of(headers: &HeaderMap, trust: Trust) -> Self {
        let mut told = headers.get_all("x-forwarded-proto").iter();
        let is_https = trust == Trust::Believed
            && told.next().is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
            && told.next().is_none();
        if is_https { Self::Https } else { Self::Http }
    }

    pub(in crate::gateway) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "",
            Self::Https => PREFIX,
        }
    }
}

/// Where a browser shows the page that gets a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Tab,
    /// In the portal's page, which may be another site to the browser (`localhost` is to every name below it): the cookie then goes
    /// along in that very page only. It takes a secure place, as browsers count this machine itself.
    Frame,
}

/// Every value of the pass's cookie: there may be planted ones besides ours, before and after it.
pub(super) fn passes(headers: &HeaderMap, scheme: Scheme) -> impl Iterator<Item = &str> {
    values(headers, scheme, PASS)
}

pub(super) fn handovers(headers: &HeaderMap, scheme: Scheme) -> impl Iterator<Item = &str> {
    values(headers, scheme, HANDOVER)
}

fn values<'a>(headers: &'a HeaderMap, scheme: Scheme, name: &'static str) -> impl Iterator<Item = &'a str> {
    let value = move |pair: &'a [u8]| {
        let pair = std::str::from_utf8(pair).ok()?.trim();
        let value = pair.strip_prefix(scheme.prefix())?.strip_prefix(name)?.strip_prefix('=')?;
        // What has another form is none of ours, however long it is.
        (value.len() == 64 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then_some(value)
    };
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(value)
}

pub(super) fn set_pass(at: (Scheme, Place), pass: &str, life: Duration) -> Option<HeaderValue> {
    set(at, PASS, pass, life)
}

pub(super) fn end_pass(at: (Scheme, Place)) -> Option<HeaderValue> {
    set(at, PASS, "", Duration::ZERO)
}

pub(super) fn set_handover(at: (Scheme, Place), value: &str) -> Option<HeaderValue> {
    set(at, HANDOVER, value, HANDOVER_LIFE)
}

pub(super) fn end_handover(at: (Scheme, Place)) -> Option<HeaderValue> {
    set(at, HANDOVER, "", Duration::ZERO)
}

fn set((scheme, place): (Scheme, Place), name: &str, value: &str, life: Duration) -> Option<HeaderValue> {
    let (prefix, age) = (scheme.prefix(), life.as_secs());
    let kept = match (place, scheme) {
        (Place::Tab, Scheme::Http) => "SameSite=Lax",
        (Place::Tab, Scheme::Https) => "SameSite=Lax; Secure",
        (Place::Frame, _) => "SameSite=None; Secure; Partitioned",
    };
    let text = format!("{prefix}{name}={value}; Path=/; Max-Age={age}; HttpOnly; {kept}");
    HeaderValue::try_from(text).ok()
}

/// A `Cookie` field as an app may see it: without the gateway's.
pub(in crate::gateway) fn without_own(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.split(|byte| *byte == b';').any(is_own) {
        return Cow::Borrowed(field);
    }
    let kept: Vec<&[u8]> =
        field.split(|byte| *byte == b';').filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
    Cow::Owned(kept.join(&b"; "[..]))
}

/// Whether an app's `Set-Cookie` is about one of the gateway's cookies.
pub(in crate::gateway) fn is_own_set_cookie(field: &[u8]) -> bool {
    is_own(field.split(|byte| *byte == b';').next().unwrap_or_default())
}

/// Names are compared without regard to case, because the prefix is. A cookie without a name is sent as its value alone, which
/// looks like one that has a name.
fn is_own(pair: &[u8]) -> bool {
    let mut pair = pair.trim_ascii();
    while let Some(rest) = pair.strip_prefix(b"=") {
        pair = rest.trim_ascii();
    }
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    let bare = match name.split_at_checked(PREFIX.len()) {
        Some((prefix, bare)) if prefix.eq_ignore_ascii_case(PREFIX.as_bytes()) => bare,
        _ => name,
    };
    [PASS, HANDOVER].iter().any(|own| bare.eq_ignore_ascii_case(own.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_gets_every_cookie_but_ours() {
        for (sent, seen) in [
            ("a=1; b=2", "a=1; b=2"),
            ("a=1;b=2", "a=1;b=2"),
            ("paas_visitor=x", ""),
            ("a=1; paas_visitor=x; b=2", "a=1; b=2"),
            ("__Host-paas_visitor=x;a=1;paas_handover=y", "a=1"),
            ("PAAS_Visitor=x; __HOST-paas_handover=y; a=1", "a=1"),
            ("paas_visitor; a=1", "a=1"),
            ("=paas_visitor=x; a=1", "a=1"),
            (" paas_visitor = x; a=1", "a=1"),
            ("xpaas_visitor=x; paas_visitor2=y", "xpaas_visitor=x; paas_visitor2=y"),
            ("a=paas_visitor=x", "a=paas_visitor=x"),
        ] {
            assert_eq!(String::from_utf8_lossy(&without_own(sent.as_bytes())), seen, "{sent}");
        }
    }

    #[test]
    fn an_app_cannot_set_ours() {
        for (field, own) in [
            ("paas_visitor=x", true),
            ("paas_visitor=x; Path=/deep; Domain=example.org", true),
            ("__Host-paas_visitor=x; Secure; Path=/", true),
            ("=paas_visitor=x", true),
            ("paas_handover", true),
            ("a=paas_visitor; Path=/", false),
            ("a=1", false),
        ] {
            assert_eq!(is_own_set_cookie(field.as_bytes()), own, "{field}");
        }
    }

    #[test]
    fn a_pass_counts_under_the_name_of_its_scheme_only() {
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let mut headers = HeaderMap::new();
        let sent = format!("paas_visitor=junk; paas_visitor={one}; x=y; __Host-paas_visitor={two}; paas_visitor={two}");
        headers.insert(COOKIE, HeaderValue::try_from(sent).unwrap());
        assert_eq!(passes(&headers, Scheme::Http).collect::<Vec<_>>(), [&one, &two]);
        assert_eq!(passes(&headers, Scheme::Https).collect::<Vec<_>>(), [&two]);
    }
}
