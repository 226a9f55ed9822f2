//! Which address on the app network a new container gets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{AppKey, Subnet};

/// Gives out the addresses of the app network one after the other, so that one that was given back is the last to be given out
/// again: whoever still believes that it belongs to the app that had it (the gateway, until it has heard of the container's
/// end) reaches nobody, and never another app.
///
/// Where it begins is different with each start of the daemon, which does not remember what was given back before. So an address
/// at which the status still tells the gateway to find an app is given to no other.
#[derive(Debug, Default)]
pub struct Addresses {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ring: Option<Ring>,
    /// Where the status says that apps and previews are.
    told: BTreeMap<(AppKey, Tenant), IpAddr>,
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tenant {
    App,
    Preview,
}

#[derive(Debug, Clone, Copy)]
struct Ring {
    subnet: Subnet,
    next: u32,
}

/// There is no free address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "all addresses of the app network {0} are taken: set PAAS_NETWORK_SUBNET to a larger range, `paas down`, remove the network, \
     then start the daemon again"
)]
pub struct Exhausted(Subnet);

impl Addresses {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where addresses come from from now on; `None` leaves them to Docker.
    pub fn set_subnet(&self, subnet: Option<Subnet>) {
        let ring = &mut self.state().ring;
        if ring.map(|ring| ring.subnet) != subnet {
            let begin = |all: RangeInclusive<u32>| {
                let count = u64::from(all.end() - all.start()) + 1;
                all.start() + u32::try_from(self.seed % count).unwrap_or_default()
            };
            *ring = subnet.map(|subnet| Ring { subnet, next: begin(subnet.fixed()) });
        }
    }

    /// The status says from now on that the app is there, or nowhere.
    pub fn tell(&self, app: &AppKey, ip: Option<IpAddr>) {
        self.tell_of(app, Tenant::App, ip);
    }

    /// The same of its preview.
    pub fn tell_preview(&self, app: &AppKey, ip: Option<IpAddr>) {
        self.tell_of(app, Tenant::Preview, ip);
    }

    fn tell_of(&self, app: &AppKey, tenant: Tenant, ip: Option<IpAddr>) {
        let told = &mut self.state().told;
        match ip {
            Some(ip) => drop(told.insert((app.clone(), tenant), ip)),
            None => drop(told.remove(&(app.clone(), tenant))),
        }
    }

    /// The next address for that app which is not `taken`; `None` where Docker gives them out.
    pub fn next(&self, app: &AppKey, taken: &BTreeSet<Ipv4Addr>) -> Result<Option<Ipv4Addr>, Exhausted> {
        self.next_of(app, Tenant::App, taken)
    }

    /// The same for its preview.
    pub fn next_for_preview(&self, app: &AppKey, taken: &BTreeSet<Ipv4Addr>) -> Result<Option<Ipv4Addr>, Exhausted> {
        self.next_of(app, Tenant::Preview, taken)
    }

    fn next_of(&self, app: &AppKey, tenant: Tenant, taken: &BTreeSet<Ipv4Addr>) -> Result<Option<Ipv4Addr>, Exhausted> {
        if planted!(AddressHandedOn) {
            return Ok(None);
        }
        let State { ring, told } = &mut *self.state();
        let Some(Ring { subnet, next }) = ring else { return Ok(None) };
        let all = subnet.fixed();
        let in_turn = (*next..=*all.end()).chain(*all.start()..*next).map(Ipv4Addr::from_bits);
        let is_own = |(other, of): &(AppKey, Tenant)| other == app && *of == tenant;
        let elsewhere = |address| told.iter().any(|(other, ip)| !is_own(other) && *ip == IpAddr::V4(address));
        let is_free = |address: &Ipv4Addr| !taken.contains(address) && !elsewhere(*address);
        let free = in_turn.into_iter().find(is_free).ok_or(Exhausted(*subnet))?;
        *next = if free.to_bits() == *all.end() { *all.start() } else { free.to_bits() + 1 };
        Ok(Some(free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> AppKey {
        AppKey::parse(text).unwrap()
    }

    fn next(addresses: &Addresses, taken: &[&str]) -> Option<String> {
        let taken = taken.iter().map(|address| address.parse().unwrap()).collect();
        addresses.next(&key("alice-diary"), &taken).unwrap().map(|address| address.to_string())
    }

    #[test]
    fn an_address_comes_again_only_after_all_others() {
        let addresses = Addresses::default();
        assert_eq!(next(&addresses, &[]), None);
        let subnet: Subnet = "10.0.0.8/29".parse().unwrap();
        addresses.set_subnet(Some(subnet));
        let given: Vec<_> = (0..6).filter_map(|_| next(&addresses, &[])).collect();
        assert_eq!(given, ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.10", "10.0.0.11"]);
        // Looking at the same network again begins nothing anew.
        addresses.set_subnet(Some(subnet));
        assert_eq!(next(&addresses, &["10.0.0.12", "10.0.0.13"]).as_deref(), Some("10.0.0.10"));
        assert_eq!(next(&addresses, &["10.0.0.11"]).as_deref(), Some("10.0.0.12"));
        addresses.set_subnet("10.0.0.16/29".parse().ok());
        assert_eq!(next(&addresses, &[]).as_deref(), Some("10.0.0.18"));
        for (seed, first) in [(0, "10.0.0.10"), (3, "10.0.0.13"), (4, "10.0.0.10"), (u64::MAX, "10.0.0.13")] {
            let addresses = Addresses::new(seed);
            addresses.set_subnet(Some(subnet));
            assert_eq!(next(&addresses, &[]).as_deref(), Some(first), "{seed}");
        }
    }

    #[test]
    fn where_an_app_is_said_to_be_no_other_comes() {
        let addresses = Addresses::default();
        addresses.set_subnet("10.0.0.8/29".parse().ok());
        addresses.tell(&key("bob-diary"), "10.0.0.10".parse().ok());
        addresses.tell(&key("alice-diary"), "10.0.0.11".parse().ok());
        assert_eq!(next(&addresses, &[]).as_deref(), Some("10.0.0.11"), "where it was itself it may come again");
        assert_eq!(next(&addresses, &["10.0.0.12", "10.0.0.13"]).as_deref(), Some("10.0.0.11"));
        addresses.tell(&key("bob-diary"), None);
        assert_eq!(next(&addresses, &["10.0.0.12", "10.0.0.13"]).as_deref(), Some("10.0.0.10"));
    }

    #[test]
    fn no_address_left_is_told_with_the_way_out() {
        let addresses = Addresses::default();
        addresses.set_subnet("10.0.0.8/29".parse().ok());
        let taken = (10..=13).map(|low| Ipv4Addr::new(10, 0, 0, low)).collect();
        let error = addresses.next(&key("alice-diary"), &taken).unwrap_err().to_string();
        assert!(error.contains("10.0.0.8/29") && error.contains("PAAS_NETWORK_SUBNET"), "{error}");
        assert_eq!(next(&addresses, &[]).as_deref(), Some("10.0.0.10"));
    }
}
