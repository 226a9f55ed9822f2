//! How the world reaches this installation: `https://my.example.org`, `http://nas.local:8080`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The port that browsers do not show.
    fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// The portal's address as people type it. The apps' addresses have its scheme and port, and names of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    pub scheme: Scheme,
    /// In lower case.
    pub host: String,
    pub port: u16,
}

impl PublicUrl {
    /// The address of another name at the same place, without a slash at the end.
    #[must_use]
    pub fn at(&self, host: &str) -> String {
        let Self { scheme, port, .. } = self;
        if *port == scheme.usual_port() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at(&self.host))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address such as `https://my.example.org`")]
pub struct PublicUrlError;

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    /// Without a path: the portal and the apps have their names to themselves.
    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(PublicUrlError)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(PublicUrlError),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.split_once(':') {
            None => (rest, scheme.usual_port()),
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, port.parse().ok().filter(|port| *port > 0).ok_or(PublicUrlError)?)
            }
            Some(_) => return Err(PublicUrlError),
        };
        let host = host.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let is_name = !host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let fits = host.len() <= 253 && host.split('.').all(label) && (is_name || host.parse::<Ipv4Addr>().is_ok());
        fits.then_some(Self { scheme, host, port }).ok_or(PublicUrlError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_other_names_stand_beside_it() {
        for (text, portal, app) in [
            ("https://my.example.org", "https://my.example.org", "https://a-b.my.example.org"),
            ("HTTPS://My.Example.org:443/", "https://my.example.org", "https://a-b.my.example.org"),
            ("http://my.example.org:80", "http://my.example.org", "http://a-b.my.example.org"),
            ("https://my.example.org:8443", "https://my.example.org:8443", "https://a-b.my.example.org:8443"),
            ("http://192.168.0.5:8080", "http://192.168.0.5:8080", "http://a-b.my.example.org:8080"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.to_string(), url.at("a-b.my.example.org")), (portal.to_owned(), app.to_owned()));
        }
        for bad in [
            "my.example.org",
            "ftp://x.org",
            "https://",
            "https://x.org/path",
            "https://u@x.org",
            "https://x.org:0",
            "https://x.org:",
            "https://x.org:70000",
            "https://x.org:+80",
            "https://x y.org",
            "https://x..org",
            "https://한국.kr",
            "https://1.2.3",
            "https://x.org?a",
        ] {
            assert_eq!(bad.parse::<PublicUrl>(), Err(PublicUrlError), "{bad}");
        }
    }
}
