//! Cookies of an app are its own: one for the whole domain would reach the portal and every other app, and a handful of
//! large ones would make requests to all of them too large to be read.
//!
//! What a page's own script sets (`document.cookie`) no gateway sees; [`oversized`](super::oversized) helps out of that.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{Entry, HeaderValue, SET_COOKIE};

use super::{gate, host};

/// Drops cookies of the gateway's own names. Takes `Domain` out of every cookie that is for a name above the request's host: a browser then sends it to that host
/// only. All else stays as the app wrote it; a domain that has nothing to do with the host browsers refuse by themselves.
pub(super) fn keep_to_host(headers: &mut HeaderMap, authority: &str) {
    // Most answers have none, and asking for the entry makes room for one.
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    if headers.get_all(SET_COOKIE).iter().any(|cookie| gate::is_own_set_cookie(cookie.as_bytes())) {
        let foreign = |cookie: &&HeaderValue| !gate::is_own_set_cookie(cookie.as_bytes());
        let kept: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(foreign).cloned().collect();
        headers.remove(SET_COOKIE);
        for cookie in kept {
            headers.append(SET_COOKIE, cookie);
        }
    }
    let Entry::Occupied(mut cookies) = headers.entry(SET_COOKIE) else { return };
    host::with_route_name(authority, |host| {
        for cookie in cookies.iter_mut() {
            if let Cow::Owned(narrowed) = narrowed(cookie.as_bytes(), host)
                && let Ok(narrowed) = HeaderValue::from_bytes(&narrowed)
            {
                *cookie = narrowed;
            }
        }
    });
}

/// `cookie` without attributes that name more than `host`.
fn narrowed<'a>(cookie: &'a [u8], host: &str) -> Cow<'a, [u8]> {
    let mut parts = cookie.split(|&byte| byte == b';');
    // Name and value, whatever they are called.
    let mut kept = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        if !is_wider(part, host) {
            kept.push(b';');
            kept.extend_from_slice(part);
        }
    }
    if kept.len() == cookie.len() { Cow::Borrowed(cookie) } else { Cow::Owned(kept) }
}

fn is_wider(attribute: &[u8], host: &str) -> bool {
    let Some(equals) = attribute.iter().position(|&byte| byte == b'=') else { return false };
    let (name, value) = (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii());
    if !name.eq_ignore_ascii_case(b"domain") {
        return false;
    }
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match std::str::from_utf8(value) {
        Ok(domain) if value.iter().all(is_plain) => is_above(domain.trim_matches('.'), host),
        // Quotes, `%74est`, full-width letters: what a browser makes of them is not guessed at.
        _ => true,
    }
}

/// Whether `host` lies below `domain`, in labels.
fn is_above(domain: &str, host: &str) -> bool {
    let Some(dot) = host.len().checked_sub(domain.len() + 1) else { return false };
    !domain.is_empty()
        && host.as_bytes()[dot] == b'.'
        && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(domain.as_bytes())
}
