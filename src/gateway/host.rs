//! Which host a request is for (RFC 9112 §3.2, RFC 9110 §7.2).

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::{Method, Version};

/// Why a request has no usable host. Each is a 400: guessing would let two readers disagree about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostError {
    #[error("the request has no Host header")]
    Missing,
    #[error("the request has more than one Host header")]
    Several,
    #[error("the host of the request is not a host name with an optional port")]
    Malformed,
    #[error("the request target does not fit the method")]
    Target,
}

/// The host as the client wrote it, with its port: what the app will see.
///
/// An absolute-form target overrides the `Host` header, which must be there once nevertheless.
pub(super) fn authority(head: &Parts) -> Result<&str, HostError> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() {
        return Err(HostError::Several);
    }
    if header.is_none() && head.version == Version::HTTP_11 {
        return Err(HostError::Missing);
    }
    let text = match (head.uri.authority(), head.uri.scheme_str()) {
        (Some(authority), Some(scheme)) => {
            if scheme != "http" && scheme != "https" {
                return Err(HostError::Target);
            }
            authority.as_str()
        }
        // Authority form belongs to CONNECT alone.
        (Some(_), None) => return Err(HostError::Target),
        (None, _) => match header {
            Some(value) => value.to_str().map_err(|_| HostError::Malformed)?,
            None => "",
        },
    };
    let path = head.uri.path();
    if path == "*" && head.method != Method::OPTIONS || !(path.starts_with('/') || path == "*") {
        return Err(HostError::Target);
    }
    // HTTP/1.0 may do without; it simply reaches no app.
    if text.is_empty() && header.is_none() {
        return Ok(text);
    }
    split_port(text)?;
    Ok(text)
}

/// `alice-diary.localhost:8080` → its name without the port; refuses what is no host.
fn split_port(text: &str) -> Result<&str, HostError> {
    let (name, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or(HostError::Malformed)?;
        text[1..end].parse::<std::net::Ipv6Addr>().map_err(|_| HostError::Malformed)?;
        let (name, rest) = text.split_at(end + 1);
        match rest.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if rest.is_empty() => (name, None),
            None => return Err(HostError::Malformed),
        }
    } else {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let fits = (1..=254).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            && !name.starts_with('.')
            && !name.contains("..");
        if !fits {
            return Err(HostError::Malformed);
        }
        (name, port)
    };
    // An empty port is legal (`host:`).
    if port.is_some_and(|port| port.len() > 5 || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err(HostError::Malformed);
    }
    Ok(name)
}

/// Calls `find` with the name routes are kept under: lower case, no port, no trailing dot. Allocates nothing.
pub(super) fn with_route_name<T>(authority: &str, find: impl FnOnce(&str) -> T) -> T {
    let name = if authority.starts_with('[') {
        authority
    } else {
        authority.split_once(':').map_or(authority, |(name, _)| name)
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return find(name);
    }
    let mut buffer = [0_u8; 256];
    let Some(lower) = buffer.get_mut(..name.len()) else { return find(name) };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    find(std::str::from_utf8(lower).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str, hosts: &[&str]) -> Parts {
        let mut request = hyper::Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_host_is_the_target_s_authority_else_the_one_host_header() {
        use HostError::{Malformed, Missing, Several, Target};
        let cases: &[(&str, &[&str], Result<&str, HostError>)] = &[
            ("/", &["a.test"], Ok("a.test")),
            ("/", &["A.test.:8080"], Ok("A.test.:8080")),
            ("/", &["a.test:"], Ok("a.test:")),
            ("/", &["[::1]:80"], Ok("[::1]:80")),
            ("http://b.test:81/x", &["a.test"], Ok("b.test:81")),
            ("http://b.test/x", &[], Err(Missing)),
            ("http://b.test/x", &["a.test", "a.test"], Err(Several)),
            ("ftp://b.test/x", &["a.test"], Err(Target)),
            ("http://u:p@b.test/x", &["a.test"], Err(Malformed)),
            ("b.test:80", &["b.test"], Err(Target)),
            ("*", &["a.test"], Err(Target)),
            ("/", &[], Err(Missing)),
            ("/", &["a.test", "b.test"], Err(Several)),
            ("/", &[""], Err(Malformed)),
            ("/", &["a.test, b.test"], Err(Malformed)),
            ("/", &["a.test:80:80"], Err(Malformed)),
            ("/", &["a.test:8x"], Err(Malformed)),
            ("/", &["a b"], Err(Malformed)),
            ("/", &["a/b"], Err(Malformed)),
            ("/", &["a@b"], Err(Malformed)),
            ("/", &["[::1"], Err(Malformed)),
            ("/", &["[zz]"], Err(Malformed)),
            ("/", &[".a.test"], Err(Malformed)),
            ("/", &["a..test"], Err(Malformed)),
        ];
        for (target, hosts, expected) in cases {
            assert_eq!(authority(&head(target, hosts)), *expected, "{target} {hosts:?}");
        }
    }

    #[test]
    fn port_case_and_trailing_dot_do_not_matter_for_the_route() {
        for text in ["a.test", "A.TEST", "a.test.", "a.test:80", "A.Test.:8080"] {
            with_route_name(text, |name| assert_eq!(name, "a.test"));
        }
    }
}
