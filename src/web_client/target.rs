//! Where a question goes: `https://ntfy.example.org/topic`, `http://192.168.1.10:81`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Scheme, host, port and what stands before every path. Without user, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    is_tls: bool,
    /// In lower case, an IPv6 address without brackets.
    host: String,
    port: u16,
    /// Empty, or with a slash at its beginning and none at its end.
    path: String,
    /// Where it is, whatever the name servers say.
    address: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address such as `https://example.org/path`")]
pub struct TargetError;

impl Target {
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The same, found at this address by whoever knows better than the name servers.
    #[must_use]
    pub fn found_at(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Host, and the port where it is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual_port(self.is_tls) { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

fn usual_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = text.split_once("://").ok_or(TargetError)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(TargetError),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
        if text.len() > 2048 || !path.bytes().all(is_plain) {
            return Err(TargetError);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(TargetError)?;
                host.parse::<Ipv6Addr>().map_err(|_| TargetError)?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or(TargetError)? {
            "" if !authority.ends_with(':') => usual_port(is_tls),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or(TargetError)?
            }
            _ => return Err(TargetError),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let fits = host.parse::<IpAddr>().is_ok() || host.len() <= 253 && host.split('.').all(label);
        let path = path.trim_end_matches('/').to_owned();
        fits.then(|| Self { is_tls, host: host.to_ascii_lowercase(), port, path, address: None }).ok_or(TargetError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_the_same() {
        for (text, written, is_tls, port) in [
            ("http://192.168.1.10:81", "http://192.168.1.10:81", false, 81),
            ("http://npm/", "http://npm", false, 80),
            ("HTTPS://NPM.Example.org/api/", "https://npm.example.org/api", true, 443),
            ("https://[FD00::5]:8443/x", "https://[fd00::5]:8443/x", true, 8443),
            ("https://my_box.lan", "https://my_box.lan", true, 443),
            ("https://api.example.org/bot1:a_B-c/send", "https://api.example.org/bot1:a_B-c/send", true, 443),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.to_string().as_str(), target.is_tls, target.port), (written, is_tls, port), "{text}");
        }
        for bad in [
            "npm:81",
            "ftp://npm",
            "http://",
            "http://a b",
            "http://u@npm",
            "http://npm:0",
            "http://npm:",
            "http://npm:70000",
            "http://npm:+1",
            "http://npm/a b",
            "http://npm?x",
            "http://npm/a?x",
            "http://npm/#x",
            "http://[::1",
            "http://[::1]x",
            "http://a..b",
            "http://한국.kr",
            "http://npm/\r\nx",
        ] {
            assert_eq!(bad.parse::<Target>(), Err(TargetError), "{bad}");
        }
    }
}
