//! What Docker alone cannot enforce: that apps open no connection to this host itself, by whatever address of it, nor to the
//! networks around it. The rules are printed by `paas firewall` and put in force by `paas firewall --apply`, which root runs; the
//! daemon needs no right to change a firewall.
//!
//! They are for nftables, in a table of their own: what Docker, ufw or firewalld do with theirs leaves it alone, and a packet that
//! it refuses no other table lets through. Docker's `DOCKER-USER` was the alternative: it knows nothing of connections to the host
//! itself, takes a second program for IPv6, and is not there where Docker does not use iptables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Digest, InstanceId, Routing, Settings};

/// Bridges of app networks begin with this, so that one rule is about all of them, also before they are there.
const PREFIX: &str = "paas-";

/// The name of the table, of the family `inet`.
pub const TABLE: &str = "minipaas";

/// Text for `nft -f` that takes the rules away, and is content when there are none.
pub const NONE: &str = "table inet minipaas\ndelete table inet minipaas\n";

/// Where no app has to go: private, shared (CGNAT), link-local, loopback, for tests of networks, multicast and broadcast.
const PRIVATE_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];

/// The same of IPv6: unspecified and loopback, mapped IPv4, local-use NAT64, unique local, link-local, site-local, multicast.
const PRIVATE_V6: &[&str] =
    &["::/127", "::ffff:0:0/96", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"];

/// The interface on the host that a network of an installation is behind: 13 characters, the kernel takes 15. Each network has
/// its own, because apps move from one to another while both are there.
#[must_use]
pub fn bridge(instance: &InstanceId, network: &str) -> String {
    let digest = Digest::of(format!("{instance}/{network}").as_bytes());
    format!("{PREFIX}{}", digest.as_str().chars().take(8).collect::<String>())
}

/// What the rules let pass besides the internet. The default lets nothing pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// The bridge of the network on which apps and a proxy do reach each other (`PAAS_ROUTING=direct`).
    shared: Option<String>,
    /// The bridges from which apps may reach the networks around this host (`PAAS_APP_LAN`).
    lan: Vec<String>,
}

impl Exceptions {
    /// Those that the settings ask for. Both networks are named whichever is in use, so that changing the way of routing takes
    /// no other rules.
    #[must_use]
    pub fn of(settings: &Settings, instance: &InstanceId) -> Self {
        let [gateway, direct] = [Routing::Gateway, Routing::Direct]
            .map(|routing| bridge(instance, &Settings { routing, ..settings.clone() }.app_network()));
        let lan = if settings.app_lan { vec![gateway, direct.clone()] } else { Vec::new() };
        Self { shared: Some(direct), lan }
    }

    /// Whether apps may reach the networks around this host.
    #[must_use]
    pub fn lets_into_the_lan(&self) -> bool {
        !self.lan.is_empty()
    }
}

/// The rules, for `nft -f`: the table as a whole is replaced in one step, so that applying them again changes nothing.
#[must_use]
pub fn rules(exceptions: &Exceptions) -> String {
    let body = body(exceptions);
    let stamp = stamp(&body);
    format!(
        "#!/usr/sbin/nft -f\n\
         # minipaas: apps open no connection to this host, nor to the networks around it. Printed by `paas firewall`.\n\
         # It is a table of its own: only `flush ruleset` and `paas firewall --remove` take it away.\n\
         {NONE}table inet {TABLE} {{\n    chain {stamp} {{\n    }}\n{body}}}\n"
    )
}

fn body(exceptions: &Exceptions) -> String {
    let (v4, v6) = (PRIVATE_V4.join(", "), PRIVATE_V6.join(", "));
    let shared = exceptions.shared.as_ref().map_or_else(String::new, |bridge| {
        format!(
            "        # Apps and the proxy, with PAAS_ROUTING=direct.\n        \
             iifname \"{bridge}\" oifname \"{bridge}\" accept\n"
        )
    });
    let mut lan = String::new();
    for bridge in &exceptions.lan {
        let _ = writeln!(lan, "        # PAAS_APP_LAN=yes\n        iifname \"{bridge}\" accept");
    }
    format!(
        r#"    chain input {{
        type filter hook input priority filter - 10; policy accept;
        # Answers: it is the gateway that opens the connections to the apps.
        iifname "{PREFIX}*" ct state established,related accept
        # Names, where the resolver is this host.
        iifname "{PREFIX}*" meta l4proto {{ tcp, udp }} th dport 53 accept
        # Without these two IPv6 knows no neighbour.
        iifname "{PREFIX}*" icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
        # Refused rather than dropped, so that an app learns at once.
        iifname "{PREFIX}*" reject with icmpx type admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter - 10; policy accept;
        iifname "{PREFIX}*" ct state established,related accept
{shared}        # Other apps.
        iifname "{PREFIX}*" oifname "{PREFIX}*" reject with icmpx type admin-prohibited
        # What other containers publish on this host.
        iifname "{PREFIX}*" ct status dnat reject with icmpx type admin-prohibited
        # Names, where the resolver is the home's router: Docker asks it from within the app's network.
        iifname "{PREFIX}*" meta l4proto {{ tcp, udp }} th dport 53 accept
{lan}        iifname "{PREFIX}*" ip daddr {{ {v4} }} reject with icmpx type admin-prohibited
        iifname "{PREFIX}*" ip6 daddr {{ {v6} }} reject with icmpx type admin-prohibited
    }}
"#
    )
}

/// An empty chain whose name tells which rules these are: nft prints them in a form of its own, which differs by version.
fn stamp(body: &str) -> String {
    let digest = Digest::of(body.as_bytes());
    format!("rules_{}", digest.as_str().chars().take(12).collect::<String>())
}

/// Why the rules in force are not the ones that the settings ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Deviation {
    #[error("no rules of minipaas are in force")]
    Missing,
    #[error("the rules in force are of another version of this program, or of other settings")]
    Other,
    #[error("somebody has changed the rules that are in force")]
    Changed,
}

/// Compares what `nft list table` says (`None`: there is no such table) with the rules.
///
/// # Errors
/// What differs. Whether a packet is stopped is for `paas doctor` to try.
pub fn compare(listing: Option<&str>, exceptions: &Exceptions) -> Result<(), Deviation> {
    let Some(listing) = listing else { return Err(Deviation::Missing) };
    let (found, wanted) = (Shape::of(listing), Shape::of(&rules(exceptions)));
    if found.0.keys().ne(wanted.0.keys()) {
        return Err(Deviation::Other);
    }
    if found == wanted { Ok(()) } else { Err(Deviation::Changed) }
}

/// What of a table every version of nft writes alike: its chains, whether the kernel calls them, and their verdicts in order.
#[derive(Debug, PartialEq, Eq)]
struct Shape(BTreeMap<String, Vec<String>>);

impl Shape {
    fn of(text: &str) -> Self {
        let mut chains = BTreeMap::<String, Vec<String>>::new();
        let mut current = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("chain ").and_then(|rest| rest.strip_suffix('{')) {
                name.trim().clone_into(&mut current);
                chains.entry(current.clone()).or_default();
            } else if line.starts_with("type filter hook ") {
                let words = line.split_once(" priority").map_or(line, |(words, _)| words);
                chains.entry(current.clone()).or_default().push(words.to_owned());
            } else if line.starts_with("iifname ") {
                let verdict = ["accept", "reject"].into_iter().find(|verdict| line.contains(verdict));
                chains.entry(current.clone()).or_default().push(verdict.unwrap_or("?").to_owned());
            } else if !(line.is_empty() || line == "}" || line.starts_with('#') || current.is_empty()) {
                // A rule that is none of ours.
                chains.entry(current.clone()).or_default().push(line.to_owned());
            }
        }
        Self(chains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> InstanceId {
        InstanceId::parse("0123456789abcdef").unwrap()
    }

    fn exceptions(lan: bool) -> Exceptions {
        let settings = Settings { app_lan: lan, ..Settings::defaults("/paas") };
        Exceptions::of(&settings, &instance())
    }

    fn lines(rules: &str) -> Vec<&str> {
        rules.lines().map(str::trim).filter(|line| line.starts_with("iifname ")).collect()
    }

    #[test]
    fn a_bridge_is_one_that_the_rules_are_about() {
        let (one, other) = (bridge(&instance(), "paas-proxy"), bridge(&instance(), "paas-proxy-direct"));
        assert!(one != other && one.len() <= 15 && one.starts_with(PREFIX), "{one} {other}");
        for exceptions in [Exceptions::default(), exceptions(false), exceptions(true)] {
            let rules = rules(&exceptions);
            assert!(lines(&rules).iter().all(|rule| rule.starts_with(&format!("iifname \"{PREFIX}"))), "{rules}");
        }
    }

    /// Whatever the settings are, what is refused is refused from every app network, of this installation or not.
    #[test]
    fn only_exceptions_are_about_one_network() {
        let (direct, gateway) = (bridge(&instance(), "paas-proxy-direct"), bridge(&instance(), "paas-proxy"));
        let of_one = |exceptions: &Exceptions| -> Vec<String> {
            let rules = rules(exceptions);
            let one = lines(&rules).into_iter().filter(|rule| !rule.contains(&format!("\"{PREFIX}*\"")));
            one.map(ToOwned::to_owned).collect()
        };
        assert_eq!(of_one(&Exceptions::default()), Vec::<String>::new());
        let shared = format!("iifname \"{direct}\" oifname \"{direct}\" accept");
        assert_eq!(of_one(&exceptions(false)), [shared.as_str()]);
        let lan = [&gateway, &direct].map(|bridge| format!("iifname \"{bridge}\" accept"));
        assert_eq!(of_one(&exceptions(true)), [shared.as_str(), &lan[0], &lan[1]]);
        let direct = Settings { routing: Routing::Direct, ..Settings::defaults("/paas") };
        assert_eq!(Exceptions::of(&direct, &instance()), exceptions(false), "the way of routing changes nothing");
    }

    /// The home's network may be let in; other apps, this host and what it publishes never are.
    #[test]
    fn an_exception_for_the_home_comes_after_everything_on_this_host() {
        let rules = rules(&exceptions(true));
        let at = |what: &str| lines(&rules).iter().position(|rule| rule.contains(what)).unwrap();
        let lan =
            lines(&rules).iter().position(|rule| rule.ends_with("\" accept") && !rule.contains("oifname")).unwrap();
        assert!(at("oifname \"paas-*\" reject") < lan && at("ct status dnat reject") < lan);
        assert!(lan < at("ip daddr") && lan < at("ip6 daddr"));
        for network in
            ["10.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "224.0.0.0/3", "fc00::/7", "fe80::/10", "ff00::/8"]
        {
            assert!(rules.contains(network), "{network}");
        }
    }

    #[test]
    fn what_is_in_force_is_told_from_what_is_not() {
        let (closed, open) = (exceptions(false), exceptions(true));
        let in_force = rules(&closed);
        assert_eq!(compare(Some(&in_force), &closed), Ok(()));
        assert_eq!(compare(None, &closed), Err(Deviation::Missing));
        assert_eq!(compare(Some(""), &closed), Err(Deviation::Other));
        assert_eq!(compare(Some(&in_force), &open), Err(Deviation::Other));
        let old = "table inet minipaas {\n\tchain input {\n\t\ttype filter hook input priority filter - 10; policy accept;\n\t}\n}\n";
        assert_eq!(compare(Some(old), &closed), Err(Deviation::Other));
        // One rule less, one more, one turned round, a chain that the kernel no longer calls.
        let last = in_force.lines().rfind(|line| line.contains("ip6 daddr")).unwrap();
        let first = in_force.lines().find(|line| line.contains("iifname")).unwrap();
        for changed in [
            in_force.replace(last, ""),
            in_force.replace(first, &format!("{first}\n        ip saddr 10.0.0.7 accept")),
            in_force.replacen("reject with icmpx type admin-prohibited", "accept", 1),
            in_force.replacen("type filter hook forward priority filter - 10; policy accept;", "", 1),
        ] {
            assert_eq!(compare(Some(&changed), &closed), Err(Deviation::Changed), "{changed}");
        }
    }
}
