//! What is to be done: from what should be there and what is there to steps. Pure.
//!
//! # Guarantees
//! - Only hosts that carry our mark are changed or deleted.
//! - What is as it should be gives no step.
//! - Nothing is deleted while it is not certain what should be there.
//! - What is asked for beside us, access lists and HSTS for example, is left as it is: only what the sites need is ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use super::shape::{Certificate, Host, Mark, marked};
use crate::model::proxy::CertificatePolicy;
use crate::model::{Shown, Timestamp};

/// Lines for nginx that every host has.
pub const ADVANCED: &str = "\
# Written by minipaas, and written again when it is changed.
client_max_body_size 0;
proxy_buffering off;
proxy_request_buffering off;
proxy_read_timeout 1d;
proxy_send_timeout 1d;";

/// A certificate is taken for one that works as long as it lasts at least so long.
const LASTS_MS: i64 = 60 * 60 * 1000;
/// One that is being fetched is waited for so long.
const FETCHING_MS: i64 = 20 * 60 * 1000;

/// One host that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What it is for: tells our hosts apart.
    pub purpose: String,
    pub names: BTreeSet<String>,
    pub host: String,
    pub port: u16,
}

/// What is there, as far as the user may see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    pub hosts: Vec<Host>,
    pub certificates: Vec<Certificate>,
}

/// Whether hosts that nobody wants are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    Delete,
    /// It is not certain yet what is wanted.
    Keep,
}

/// Everything that a plan follows from.
#[derive(Debug)]
pub struct Look<'a> {
    pub wants: &'a [Want],
    pub observed: &'a Observed,
    pub instance: &'a str,
    pub policy: CertificatePolicy,
    pub leftovers: Leftovers,
    /// Names for which a certificate was asked for in vain a moment ago, or is just being asked for.
    pub barred: &'a BTreeSet<BTreeSet<String>>,
    pub now: Timestamp,
}

/// One call that changes something.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Delete { id: u64, names: BTreeSet<String> },
    Update { id: u64, names: BTreeSet<String>, body: Value, why: Vec<&'static str> },
    Enable { id: u64, names: BTreeSet<String> },
    Create { names: BTreeSet<String>, body: Value },
    Certify { names: BTreeSet<String> },
}

/// What there is to say besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A host that is not ours has names that we want.
    Taken { names: BTreeSet<String>, by: u64 },
    /// `soon`: one is fetched by itself, or asked for once more.
    NoCertificate { names: BTreeSet<String>, soon: bool },
}

/// A host that should be there, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub want: Want,
    pub id: Option<u64>,
    pub certificate: Option<u64>,
    pub in_sync: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    pub notes: Vec<Note>,
    pub standing: Vec<Standing>,
}

impl Step {
    /// The names that it is about.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        match self {
            Self::Delete { names, .. }
            | Self::Update { names, .. }
            | Self::Enable { names, .. }
            | Self::Create { names, .. }
            | Self::Certify { names } => names,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = listed(self.names());
        match self {
            Self::Delete { id, .. } => write!(f, "delete proxy host {id} for {names}"),
            Self::Update { id, why, .. } => write!(f, "change proxy host {id} for {names}: {}", why.join(", ")),
            Self::Enable { id, .. } => write!(f, "enable proxy host {id} for {names}"),
            Self::Create { .. } => write!(f, "make a proxy host for {names}"),
            Self::Certify { .. } => write!(f, "have Let's Encrypt certify {names}"),
        }
    }
}

/// Names for people: on one line, whatever they are.
#[must_use]
pub fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| Shown::new(name).to_string()).collect::<Vec<_>>().join(", ")
}

/// See the module.
#[must_use]
pub fn plan(look: &Look<'_>) -> Plan {
    let mut plan = Plan::default();
    let ours = |host: &&Host| host.mark.as_ref().is_some_and(|mark| mark.instance == look.instance);
    let kept = keepers(look);
    for host in look.observed.hosts.iter().filter(ours).filter(|host| !kept.values().any(|kept| kept.id == host.id)) {
        let is_double = look.wants.iter().any(|want| is_for(host, want));
        if look.leftovers == Leftovers::Delete || is_double {
            plan.steps.push(Step::Delete { id: host.id, names: host.names.clone() });
        }
    }
    let (mut enabled, mut created, mut certified) = (Vec::new(), Vec::new(), Vec::new());
    for want in look.wants {
        let present = kept.get(want.purpose.as_str()).copied();
        let names = free_names(look, want, present, &kept, &mut plan.notes);
        let want = Want { names, ..want.clone() };
        if want.names.is_empty() {
            plan.standing.push(Standing { want, id: present.map(|host| host.id), certificate: None, in_sync: false });
            continue;
        }
        let certificate = choose(look, &want, present);
        let lasts = |id| look.observed.certificates.iter().any(|one| one.id == id && is_good(one, look.now));
        if !certificate.is_some_and(lasts) && look.policy != CertificatePolicy::None {
            if may_be_certified(look, &want) {
                certified.push(Step::Certify { names: want.names.clone() });
            } else {
                let soon = look.policy == CertificatePolicy::Auto && !has_wildcard(&want.names);
                plan.notes.push(Note::NoCertificate { names: want.names.clone(), soon });
            }
        }
        let mark = Mark { instance: look.instance.to_owned(), purpose: want.purpose.clone() };
        let mut in_sync = false;
        match present {
            None => {
                let body = body(&want, certificate, &Map::new(), &mark);
                created.push(Step::Create { names: want.names.clone(), body });
            }
            Some(host) => {
                let why = differences(host, &want, certificate);
                in_sync = why.is_empty() && host.enabled;
                if !why.is_empty() {
                    let body = body(&want, certificate, &host.meta, &mark);
                    plan.steps.push(Step::Update { id: host.id, names: want.names.clone(), body, why });
                }
                if !host.enabled {
                    enabled.push(Step::Enable { id: host.id, names: want.names.clone() });
                }
            }
        }
        plan.standing.push(Standing { want, id: present.map(|host| host.id), certificate, in_sync });
    }
    // Who lets go of a name comes before who takes it; certificates last, because they take their time.
    plan.steps.extend(enabled.into_iter().chain(created).chain(certified));
    plan
}

fn is_for(host: &Host, want: &Want) -> bool {
    host.mark.as_ref().is_some_and(|mark| mark.purpose == want.purpose)
}

/// Of our hosts the one for each purpose: of several the one with most of the names, then the oldest.
fn keepers<'a>(look: &Look<'a>) -> BTreeMap<&'a str, &'a Host> {
    let mut kept = BTreeMap::new();
    for want in look.wants {
        let ours =
            look.observed.hosts.iter().filter(|host| {
                is_for(host, want) && host.mark.as_ref().is_some_and(|mark| mark.instance == look.instance)
            });
        let best = ours.min_by_key(|host| (usize::MAX - host.names.intersection(&want.names).count(), host.id));
        if let Some(best) = best {
            kept.insert(want.purpose.as_str(), best);
        }
    }
    kept
}

/// The names that nobody else has: not somebody else's host, and no other one of ours that has yet to let go of them.
fn free_names(
    look: &Look<'_>,
    want: &Want,
    present: Option<&Host>,
    kept: &BTreeMap<&str, &Host>,
    notes: &mut Vec<Note>,
) -> BTreeSet<String> {
    let mut names = want.names.clone();
    for host in look.observed.hosts.iter().filter(|host| present.is_none_or(|present| present.id != host.id)) {
        let both: BTreeSet<String> = host.names.intersection(&names).cloned().collect();
        let is_ours = host.mark.as_ref().is_some_and(|mark| mark.instance == look.instance);
        let leaves = is_ours && !kept.values().any(|kept| kept.id == host.id);
        // It is deleted before, if it may be.
        if both.is_empty() || (leaves && look.leftovers == Leftovers::Delete) {
            continue;
        }
        names.retain(|name| !both.contains(name));
        if !is_ours {
            notes.push(Note::Taken { names: both, by: host.id });
        }
    }
    names
}

fn is_good(certificate: &Certificate, now: Timestamp) -> bool {
    certificate.expires.is_none_or(|expires| expires.0 > now.0 + LASTS_MS)
}

/// The one that it has, as long as that is good; else the one that lasts longest.
fn choose(look: &Look<'_>, want: &Want, present: Option<&Host>) -> Option<u64> {
    if look.policy == CertificatePolicy::None {
        return None;
    }
    let good = || {
        let all = look.observed.certificates.iter();
        all.filter(|certificate| is_good(certificate, look.now) && certificate.covers(&want.names))
    };
    if let CertificatePolicy::Number(number) = look.policy
        && good().any(|certificate| certificate.id == number)
    {
        return Some(number);
    }
    let has = present.map(|host| host.certificate).filter(|id| good().any(|certificate| certificate.id == *id));
    let best = || {
        let best = good().max_by_key(|certificate| (certificate.expires, std::cmp::Reverse(certificate.id)));
        best.map(|certificate| certificate.id)
    };
    // One that is over says so to visitors, and may be renewed yet; without any they would find nothing.
    let over = || {
        let mut all = look.observed.certificates.iter();
        present.map(|host| host.certificate).filter(|id| all.any(|one| one.id == *id && one.covers(&want.names)))
    };
    has.or_else(best).or_else(over)
}

/// Which takes a challenge that only the DNS can answer.
fn has_wildcard(names: &BTreeSet<String>) -> bool {
    names.iter().any(|name| name.starts_with('*'))
}

/// Whether Let's Encrypt may be asked over HTTP, and is not being asked already.
fn may_be_certified(look: &Look<'_>, want: &Want) -> bool {
    let is_fetched = |certificate: &Certificate| {
        let recent = certificate.created.is_some_and(|created| look.now.0 - created.0 < FETCHING_MS);
        recent && !is_good(certificate, look.now) && certificate.names == want.names
    };
    look.policy == CertificatePolicy::Auto
        && !has_wildcard(&want.names)
        && !look.barred.contains(&want.names)
        && !look.observed.certificates.iter().any(is_fetched)
}

fn differences(host: &Host, want: &Want, certificate: Option<u64>) -> Vec<&'static str> {
    let tls = certificate.is_some();
    let leads =
        host.forward_scheme == "http" && host.forward_host == want.host && host.forward_port == u64::from(want.port);
    [
        (host.names != want.names, "its names"),
        (!leads, "where it leads"),
        (host.certificate != certificate.unwrap_or(0), "its certificate"),
        (host.ssl_forced != tls || host.http2 != tls, "how it speaks TLS"),
        (!host.websockets, "WebSockets are off"),
        (host.block_exploits, "it refuses harmless addresses"),
        (host.caching, "it keeps answers"),
        (host.advanced.trim() != ADVANCED, "its lines for nginx"),
        // It is written anew, and nginx asked once more.
        (host.refused_by_nginx.is_some(), "nginx did not take it"),
    ]
    .into_iter()
    .filter_map(|(differs, word)| differs.then_some(word))
    .collect()
}

/// Bodies are closed: what a version does not know is refused. These fields all of them know. `locations` reads back as `null`,
/// which is refused when it is sent back.
fn body(want: &Want, certificate: Option<u64>, meta: &Map<String, Value>, mark: &Mark) -> Value {
    let tls = certificate.is_some();
    json!({
        "domain_names": want.names,
        "forward_scheme": "http",
        "forward_host": want.host,
        "forward_port": want.port,
        "certificate_id": certificate.unwrap_or(0),
        "ssl_forced": tls,
        "http2_support": tls,
        "allow_websocket_upgrade": true,
        "block_exploits": false,
        "caching_enabled": false,
        "advanced_config": ADVANCED,
        "meta": marked(meta, mark),
    })
}
