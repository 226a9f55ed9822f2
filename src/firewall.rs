//! What Docker alone cannot enforce: that apps open no connection to this host itself, by whatever address of it. The rules are
//! printed by `paas firewall` and installed by whoever runs the host; the daemon needs no right to change a firewall.

use crate::model::{Digest, InstanceId};

/// Bridges of app networks begin with this, so that one rule is about all of them, also before they are there.
const PREFIX: &str = "paas-";

/// The interface on the host that a network of an installation is behind: 13 characters, the kernel takes 15. Each network has
/// its own, because apps move from one to another while both are there.
#[must_use]
pub fn bridge(instance: &InstanceId, network: &str) -> String {
    let digest = Digest::of(format!("{instance}/{network}").as_bytes());
    format!("{PREFIX}{}", digest.as_str().chars().take(8).collect::<String>())
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
        let (one, other) = (bridge(&instance, "paas-proxy"), bridge(&instance, "paas-proxy-direct"));
        assert!(one != other && one.len() <= 15 && one.starts_with(PREFIX), "{one} {other}");
        let interfaces: Vec<_> = rules().lines().filter_map(|line| line.trim().strip_prefix("iifname ")).collect();
        assert!(!interfaces.is_empty() && interfaces.iter().all(|rest| rest.starts_with(&format!("\"{PREFIX}*\" "))));
    }
}
