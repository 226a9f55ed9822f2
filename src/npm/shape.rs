//! What Nginx Proxy Manager has, as values: read leniently, because each version writes it a little differently.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::Timestamp;

/// Keys in a host's `meta`, where NPM keeps what it does not know.
const INSTANCE: &str = "minipaas";
const PURPOSE: &str = "minipaas_for";
/// What NPM itself writes there after it has asked nginx.
const ONLINE: &str = "nginx_online";
const NGINX_SAYS: &str = "nginx_err";

/// A version of NPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub revision: u64,
}

impl Version {
    /// From `GET /api/`.
    #[must_use]
    pub fn read(body: &Value) -> Option<Self> {
        let number = |name: &str| body.get("version")?.get(name)?.as_u64();
        Some(Self { major: number("major")?, minor: number("minor")?, revision: number("revision").unwrap_or(0) })
    }

    /// From 2.9 on, the first with this API. A newer one is taken for the newest known.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self.major == 2 && self.minor >= 9
    }

    /// Before 2.13 whoever asks for a certificate has to say the address and the consent; since, that is refused.
    #[must_use]
    pub fn wants_consent(self) -> bool {
        (self.major, self.minor) < (2, 13)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.revision)
    }
}

/// What a user may do, from `GET /api/users/me?expand=permissions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// Proxy hosts and certificates.
    pub manages: bool,
    /// Also what others have made.
    pub sees_all: bool,
}

impl Permissions {
    #[must_use]
    pub fn read(body: &Value) -> Option<Self> {
        let is_admin =
            body.get("roles").and_then(Value::as_array).is_some_and(|roles| roles.iter().any(|role| role == "admin"));
        let told = |name: &str| body.pointer(&format!("/permissions/{name}")).and_then(Value::as_str);
        if is_admin {
            return Some(Self { manages: true, sees_all: true });
        }
        let manages = told("proxy_hosts")? == "manage" && told("certificates")? == "manage";
        Some(Self { manages, sees_all: told("visibility")? == "all" })
    }
}

/// What makes a host ours, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The installation.
    pub instance: String,
    pub purpose: String,
}

/// One proxy host.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of NPM's, and is read as one")]
pub struct Host {
    pub id: u64,
    pub names: BTreeSet<String>,
    pub forward_scheme: String,
    pub forward_host: String,
    pub forward_port: u64,
    /// 0: none.
    pub certificate: u64,
    pub ssl_forced: bool,
    pub http2: bool,
    pub websockets: bool,
    pub block_exploits: bool,
    pub caching: bool,
    pub advanced: String,
    pub enabled: bool,
    /// `None` for somebody else's.
    pub mark: Option<Mark>,
    /// What nginx said when it refused the host.
    pub refused_by_nginx: Option<String>,
    /// Everything in `meta` but NPM's word about nginx.
    pub meta: Map<String, Value>,
}

impl Host {
    /// `None` for what is no host.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let switch = |name: &str| is_on(value.get(name));
        let mut meta = value.get("meta").and_then(Value::as_object).cloned().unwrap_or_default();
        let online = meta.remove(ONLINE);
        let said = meta.remove(NGINX_SAYS).and_then(|said| said.as_str().map(str::to_owned));
        let marked = |name: &str| meta.get(name).and_then(Value::as_str).map(str::to_owned);
        let mark = marked(INSTANCE).zip(marked(PURPOSE)).map(|(instance, purpose)| Mark { instance, purpose });
        let is_refused = online.is_some_and(|online| online == Value::Bool(false));
        Some(Self {
            id: value.get("id")?.as_u64()?,
            names: names(value.get("domain_names")?)?,
            forward_scheme: text("forward_scheme"),
            forward_host: text("forward_host"),
            forward_port: value.get("forward_port").and_then(number).unwrap_or(0),
            certificate: value.get("certificate_id").and_then(number).unwrap_or(0),
            ssl_forced: switch("ssl_forced"),
            http2: switch("http2_support"),
            websockets: switch("allow_websocket_upgrade"),
            block_exploits: switch("block_exploits"),
            caching: switch("caching_enabled"),
            advanced: text("advanced_config"),
            // Missing from very old rows, which were all on.
            enabled: value.get("enabled").is_none_or(|enabled| is_on(Some(enabled))),
            mark,
            refused_by_nginx: is_refused.then(|| said.unwrap_or_else(|| "it does not say why".to_owned())),
            meta,
        })
    }
}

/// `meta` with the mark in it.
#[must_use]
pub fn marked(meta: &Map<String, Value>, mark: &Mark) -> Value {
    let mut meta = meta.clone();
    meta.insert(INSTANCE.to_owned(), mark.instance.clone().into());
    meta.insert(PURPOSE.to_owned(), mark.purpose.clone().into());
    Value::Object(meta)
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub id: u64,
    pub names: BTreeSet<String>,
    /// While one is being fetched, the moment in which that began.
    pub expires: Option<Timestamp>,
    pub created: Option<Timestamp>,
}

impl Certificate {
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let time = |name: &str| value.get(name).and_then(Value::as_str).and_then(time);
        Some(Self {
            id: value.get("id")?.as_u64()?,
            names: names(value.get("domain_names")?)?,
            expires: time("expires_on"),
            created: time("created_on"),
        })
    }

    /// Whether it covers all of them: each by its own name, or by a wildcard of one level.
    #[must_use]
    pub fn covers(&self, wanted: &BTreeSet<String>) -> bool {
        wanted.iter().all(|name| {
            let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            self.names.contains(name) || wildcard.is_some_and(|wildcard| self.names.contains(&wildcard))
        })
    }
}

/// Some versions write switches as numbers.
fn is_on(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(on)) => *on,
        Some(Value::Number(number)) => number.as_u64() != Some(0),
        _ => false,
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn names(value: &Value) -> Option<BTreeSet<String>> {
    let names = value.as_array()?.iter().filter_map(Value::as_str);
    Some(names.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect())
}

/// `2025-01-07 04:30:17` and `2025-10-28T04:17:54.000Z`, both UTC.
fn time(text: &str) -> Option<Timestamp> {
    let day = text.get(..19)?.replace(' ', "T");
    let at: jiff::Timestamp = format!("{day}Z").parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_read_however_its_version_writes_it() {
        let of = |value: Value| Host::read(&value).unwrap();
        let new = of(json!({
            "id": 7, "domain_names": ["B.kr", "a.kr."], "forward_scheme": "http", "forward_host": "10.0.0.2", "forward_port": 8080,
            "certificate_id": 3, "ssl_forced": true, "http2_support": true, "allow_websocket_upgrade": true, "enabled": true,
            "advanced_config": "x", "locations": null, "meta": {"nginx_online": true, "nginx_err": null, "dns_challenge": false},
        }));
        let old = of(json!({
            "id": 7, "domain_names": ["a.kr", "b.kr"], "forward_scheme": "http", "forward_host": "10.0.0.2", "forward_port": "8080",
            "certificate_id": "3", "ssl_forced": 1, "http2_support": 1, "allow_websocket_upgrade": 1, "enabled": 1, "caching_enabled": 0,
            "advanced_config": "x", "meta": {"dns_challenge": false},
        }));
        assert_eq!(new, old);
        assert!(new.mark.is_none() && new.refused_by_nginx.is_none());
        let mark = Mark { instance: "i".to_owned(), purpose: "site".to_owned() };
        let broken = of(json!({
            "id": 1, "domain_names": [], "meta": marked(&Map::new(), &mark),
        }));
        assert_eq!(broken.mark, Some(mark));
        let refused = of(json!({"id": 1, "domain_names": [], "meta": {"nginx_online": false, "nginx_err": "bad"}}));
        assert_eq!(refused.refused_by_nginx.as_deref(), Some("bad"));
        assert_eq!(Host::read(&json!({"domain_names": []})), None);
    }

    #[test]
    fn a_certificate_covers_names_and_one_level_below_a_wildcard() {
        let of = |names: &[&str]| {
            Certificate::read(&json!({"id": 1, "domain_names": names, "expires_on": "2026-01-07 04:30:17"})).unwrap()
        };
        let covers =
            |has: &[&str], wanted: &[&str]| of(has).covers(&wanted.iter().map(|name| (*name).to_owned()).collect());
        assert!(covers(&["*.a.kr", "a.kr"], &["a.kr", "*.a.kr", "x.a.kr"]));
        assert!(
            !covers(&["*.a.kr"], &["a.kr"]) && !covers(&["*.a.kr"], &["y.x.a.kr"]) && !covers(&["a.kr"], &["x.a.kr"])
        );
        assert_eq!(of(&[]).expires, Some(Timestamp(1_767_760_217_000)));
        let iso = Certificate::read(&json!({"id": 1, "domain_names": [], "expires_on": "2026-01-07T04:30:17.000Z"}));
        assert_eq!(iso.unwrap().expires, Some(Timestamp(1_767_760_217_000)));
    }
}
