//! Simulated networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::journal::Actor;
use super::world::{Witness, World, error};
use crate::engine::{Effect, ErrorKind, NetworkSpec, Result};
use crate::model::{ContainerId, ObservedNetwork, Subnet};

#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) id: String,
    driver: &'static str,
    spec: NetworkSpec,
    /// Second byte of its addresses: `172.{subnet_index}.0.0/16`.
    pub(super) subnet_index: u8,
}

impl Network {
    fn subnet(&self) -> String {
        self.spec.subnet.map_or_else(|| format!("172.{}.0.0/16", self.subnet_index), |subnet| subnet.to_string())
    }

    /// Docker lets addresses be chosen only where the range was.
    pub(super) fn check_fixed(&self, address: Option<Ipv4Addr>) -> Result<()> {
        match (address, self.spec.subnet) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(error(
                ErrorKind::Terminal,
                "user specified IP address is supported only when connecting to networks with user configured subnets",
            )),
            (Some(address), Some(subnet)) if subnet.contains(address) => Ok(()),
            (Some(address), Some(_)) => Err(error(
                ErrorKind::Retryable,
                format!("Invalid address {address}: It does not belong to any of this network's subnets"),
            )),
        }
    }

    /// The first address that Docker hands out.
    fn first_for_others(&self) -> u32 {
        match self.spec.subnet {
            // An explicit range starts with an address of its own; only a network's first address is none.
            Some(subnet) => subnet.fixed().end() + 1,
            None => Ipv4Addr::new(172, self.subnet_index, 0, 2).to_bits(),
        }
    }
}

/// Whether two IPv4 ranges in CIDR form share an address. What is no such range shares none.
fn overlap(one: &str, other: &str) -> bool {
    matches!((one.parse::<Subnet>(), other.parse::<Subnet>()), (Ok(one), Ok(other)) if one.overlaps(other))
}

impl World {
    pub(super) fn add_predefined_networks(&mut self) {
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let spec = NetworkSpec {
                name: name.to_owned(),
                labels: BTreeMap::new(),
                options: BTreeMap::new(),
                subnet: None,
                internal: false,
            };
            self.add_network(spec, driver);
        }
    }

    fn add_network(&mut self, spec: NetworkSpec, driver: &'static str) -> String {
        let id = self.fresh_id("network");
        let taken: Vec<u8> = self.networks.values().map(|network| network.subnet_index).collect();
        let subnet_index = (17..=u8::MAX).find(|index| !taken.contains(index)).unwrap_or(u8::MAX);
        let network = Network { id: id.clone(), driver, spec, subnet_index };
        self.networks.insert(network.spec.name.clone(), network);
        id
    }

    pub(super) fn network(&self, id_or_name: &str) -> Option<ObservedNetwork> {
        let network = self
            .networks
            .get(id_or_name)
            .or_else(|| self.networks.values().find(|network| network.id == id_or_name))?;
        Some(ObservedNetwork {
            id: network.id.clone(),
            name: network.spec.name.clone(),
            driver: network.driver.to_owned(),
            labels: network.spec.labels.clone(),
            options: network.spec.options.clone(),
            subnets: vec![network.subnet()],
            internal: network.spec.internal,
        })
    }

    pub(super) fn create_network(&mut self, actor: Actor, spec: &NetworkSpec) -> Result<()> {
        let result = if self.networks.contains_key(&spec.name) {
            Err(error(ErrorKind::Conflict, format!("network with name {} already exists", spec.name)))
        } else if spec
            .subnet
            .as_ref()
            .is_some_and(|subnet| self.networks.values().any(|other| overlap(&subnet.to_string(), &other.subnet())))
        {
            Err(error(ErrorKind::Conflict, "Pool overlaps with other one on this address space"))
        } else if let Some(other) = self.sharing_bridge(spec) {
            let text = format!("conflicts with network {other}: networks have same bridge name");
            Err(error(ErrorKind::Terminal, text))
        } else {
            let id = self.add_network(spec.clone(), "bridge");
            self.emit_network("create", &spec.name, &id, None);
            Ok(())
        };
        self.record_change(actor, "create_network", Witness::of_object(&spec.name, &spec.labels), &result);
        result
    }

    /// The id of a network with the same interface on the host.
    fn sharing_bridge(&self, spec: &NetworkSpec) -> Option<&str> {
        const NAME: &str = "com.docker.network.bridge.name";
        let name = spec.options.get(NAME)?;
        let other = self.networks.values().find(|network| network.spec.options.get(NAME) == Some(name))?;
        Some(&other.id)
    }

    pub(super) fn remove_network(&mut self, actor: Actor, id_or_name: &str) -> Result<Effect> {
        let found = self.network(id_or_name);
        let labels = found.as_ref().map(|network| network.labels.clone()).unwrap_or_default();
        let witness = Witness::of_object(found.as_ref().map_or(id_or_name, |network| &network.name), &labels);
        let result = match found {
            None => Ok(Effect::Already),
            Some(network) if self.has_endpoints(&network.name) => Err(error(
                ErrorKind::Conflict,
                format!(
                    "error while removing network: network {} id {} has active endpoints",
                    network.name, network.id
                ),
            )),
            Some(network) => {
                self.networks.remove(&network.name);
                self.emit_network("destroy", &network.name, &network.id, None);
                Ok(Effect::Done)
            }
        };
        self.record_effect(actor, "remove_network", witness, &result);
        result
    }

    /// The address that was asked for, else the lowest free one: one that was just given back is given out again, which is
    /// what trips up stale endpoints.
    pub(super) fn address_on(&self, network: &Network, fixed: Option<Ipv4Addr>) -> Result<IpAddr> {
        let taken: BTreeSet<IpAddr> = self
            .containers
            .values()
            .flat_map(|container| container.networks.values().filter_map(|attachment| attachment.ip))
            .collect();
        let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
        let found = match fixed {
            Some(fixed) => Some(IpAddr::V4(fixed)).filter(|ip| !taken.contains(ip)),
            None => (network.first_for_others()..=u32::MAX).map(address).find(|ip| !taken.contains(ip)),
        };
        found.ok_or_else(|| error(ErrorKind::Terminal, "Address already in use"))
    }

    fn has_endpoints(&self, network: &str) -> bool {
        self.containers
            .values()
            .any(|container| container.networks.get(network).is_some_and(|attachment| attachment.ip.is_some()))
    }

    pub(super) fn emit_network(&mut self, action: &str, name: &str, id: &str, container: Option<&ContainerId>) {
        let mut attributes: BTreeMap<String, String> =
            [("name".to_owned(), name.to_owned()), ("type".to_owned(), "bridge".to_owned())].into();
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        self.emit("network", action, id, attributes);
    }
}
