//! What Docker alone cannot enforce: that apps open no connection to this host itself, by whatever address of it. The rules are
//! printed by `paas firewall` and installed by whoever runs the host; the daemon needs no right to change a firewall.

use crate::model::{InstanceId, Routing};

/// Bridges of app networks begin with this, so that one rule is about all of them, also before they are there.
const PREFIX: &str = "paas-";

/// The interface on the host that an installation's apps are behind: at most 14 characters, the kernel takes 15.
#[must_use]
pub fn bridge(instance: &InstanceId, routing: Routing) -> String {
    let short: String = instance.as_str().chars().take(8).collect();
    match routing {
        Routing::Gateway => format!("{PREFIX}{short}"),
        Routing::Direct => format!("{PREFIX}{short}d"),
    }
}

/// The rules, for `nft -f`.
#[must_use]
pub fn rules() -> &'static str {
    include_str!("../systemd/firewall.nft")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_one_that_the_rules_are_about() {
        let instance = InstanceId::parse("0123456789abcdef").unwrap();
        for (routing, name) in [(Routing::Gateway, "paas-01234567"), (Routing::Direct, "paas-01234567d")] {
            assert_eq!(bridge(&instance, routing), name);
        }
        let interfaces: Vec<_> = rules().lines().filter_map(|line| line.trim().strip_prefix("iifname ")).collect();
        assert!(!interfaces.is_empty() && interfaces.iter().all(|rest| rest.starts_with(&format!("\"{PREFIX}*\" "))));
    }
}
