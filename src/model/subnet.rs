//! The range of addresses of the app network, and who gets which of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// An IPv4 network from /8 to /29.
///
/// Its first address is the host's. The last quarter is for Docker to hand out to whoever is connected by hand; everything
/// between is given to the apps' containers by the daemon, each address to one container for good. Docker by itself hands a
/// freed address out again at once, to another app's container say, and a proxy that has not yet heard of it would bring it the
/// requests meant for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// Why a text is no such network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv4 network from /8 to /29 such as `172.30.0.0/24`")]
pub struct SubnetError(String);

impl Subnet {
    /// `None` when the prefix is out of range, or when the address is not the network's first.
    #[must_use]
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        let base = address.to_bits();
        let valid = prefix >= 8 && prefix <= 29 && base & (u32::MAX >> prefix) == 0;
        if valid { Some(Self { base, prefix }) } else { None }
    }

    /// The host's own address, at which containers see it.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base + 1)
    }

    /// What Docker may hand out, in CIDR form.
    #[must_use]
    pub fn for_others(self) -> String {
        format!("{}/{}", Ipv4Addr::from_bits(*self.fixed().end() + 1), self.prefix + 2)
    }

    /// The numbers of the addresses that the daemon gives to containers.
    #[must_use]
    pub fn fixed(self) -> RangeInclusive<u32> {
        self.base + 2..=self.base + self.size() / 4 * 3 - 1
    }

    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & !(u32::MAX >> self.prefix) == self.base
    }

    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(Ipv4Addr::from_bits(other.base)) || other.contains(Ipv4Addr::from_bits(self.base))
    }

    /// The network of the same size that follows.
    #[must_use]
    pub fn following(self) -> Option<Self> {
        Some(Self { base: self.base.checked_add(self.size())?, ..self })
    }

    fn size(self) -> u32 {
        1 << (32 - self.prefix)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.base), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;
    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let subnet = Self::new(address.parse().ok()?, prefix.parse().ok()?)?;
            // One way to write each, so that what is read back can be compared: no `/08`.
            (subnet.to_string() == text).then_some(subnet)
        });
        parsed.ok_or_else(|| SubnetError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn every_address_has_one_purpose() {
        for (text, gateway, fixed, others) in [
            ("10.201.0.0/20", "10.201.0.1", ("10.201.0.2", "10.201.11.255"), "10.201.12.0/22"),
            ("172.30.5.0/24", "172.30.5.1", ("172.30.5.2", "172.30.5.191"), "172.30.5.192/26"),
            ("10.0.0.8/29", "10.0.0.9", ("10.0.0.10", "10.0.0.13"), "10.0.0.14/31"),
            ("10.0.0.0/8", "10.0.0.1", ("10.0.0.2", "10.191.255.255"), "10.192.0.0/10"),
        ] {
            let subnet = subnet(text);
            let ends = (*subnet.fixed().start(), *subnet.fixed().end());
            let ends = (Ipv4Addr::from_bits(ends.0).to_string(), Ipv4Addr::from_bits(ends.1).to_string());
            assert_eq!((subnet.gateway().to_string().as_str(), subnet.for_others().as_str()), (gateway, others));
            assert_eq!(ends, (fixed.0.to_owned(), fixed.1.to_owned()), "{text}");
            assert_eq!(subnet.to_string(), text);
        }
    }

    #[test]
    fn networks_overlap_when_one_contains_the_other() {
        for (one, other, expected) in [
            ("10.0.0.0/8", "10.201.0.0/20", true),
            ("10.201.0.0/20", "10.201.16.0/20", false),
            ("10.201.0.0/20", "10.201.15.0/24", true),
            ("172.16.0.0/12", "172.32.0.0/16", false),
        ] {
            assert_eq!(subnet(one).overlaps(subnet(other)), expected, "{one} {other}");
            assert_eq!(subnet(other).overlaps(subnet(one)), expected, "{other} {one}");
        }
        assert_eq!(subnet("10.201.0.0/20").following(), Some(subnet("10.201.16.0/20")));
        assert_eq!(subnet("255.255.255.0/24").following(), None);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/7", "10.0.0.0/30", "10.0.0.0/08", "fd00::/64", "x/24"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }
}
