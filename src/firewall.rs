//! What Docker alone cannot enforce: that apps open no connection to this host itself, by whatever address of it. The rules are
//! printed by `paas firewall` and installed by whoever runs the host; the daemon needs no right to change a firewall.

use crate::model::InstanceId;

/// Bridges of app networks begin with this, so that one rule is about all of them, also before they are there.
const PREFIX: &str = "paas-";

/// The interface on the host that an installation's apps are behind: 13 characters, the kernel takes 15.
#[must_use]
pub fn bridge(instance: &InstanceId) -> String {
    let short: String = instance.as_str().chars().take(8).collect();
    format!("{PREFIX}{short}")
}

/// The rules, for `nft -f`. They are a table of their own, which nothing else flushes; applying them again changes nothing.
///
/// Answers pass: it is the gateway that opens the connections to the apps. Names are looked up at a resolver on this host, if
/// there is one. Everything else is refused rather than dropped, so that an app learns at once.
#[must_use]
pub fn rules() -> String {
    format!(
        r#"#!/usr/sbin/nft -f
# minipaas: apps open no connection to this host. Printed by `paas firewall`; check with `paas doctor`.
table inet minipaas
delete table inet minipaas
table inet minipaas {{
    chain input {{
        type filter hook input priority filter - 10; policy accept;
        iifname "{PREFIX}*" ct state established,related accept
        iifname "{PREFIX}*" meta l4proto {{ tcp, udp }} th dport 53 accept
        iifname "{PREFIX}*" reject with icmpx type admin-prohibited
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_one_that_the_rules_are_about() {
        let instance = InstanceId::parse("0123456789abcdef").unwrap();
        let name = bridge(&instance);
        assert_eq!(name, "paas-01234567");
        assert!(name.len() <= 15 && name.starts_with(PREFIX) && rules().contains("\"paas-*\" reject"));
    }
}
