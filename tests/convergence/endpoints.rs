//! P12: the address at which the status tells the gateway to find an app is never somebody else's, not even for a moment: a
//! visitor would get to see another app's pages, and leave their cookies there.

use std::collections::BTreeMap;

use minipaas::engine::sim::AddressGiven;
use minipaas::model::status::Endpoint;
use minipaas::model::{AppKey, AppStatus, ContainerState, DaemonStatus, Health, ObservedContainer};
use minipaas::testing::seams::World;

use crate::oracle::owner;

/// What the gateway was last told.
#[derive(Default)]
pub(crate) struct Endpoints {
    told: BTreeMap<AppKey, Endpoint>,
    /// Addresses given out that were looked at.
    given: usize,
}

impl Endpoints {
    /// The daemon says this from now on; a dead one says nothing, and there is no gateway to hear it.
    pub(crate) fn note(&mut self, world: &World, status: Option<&DaemonStatus>) -> Vec<String> {
        let now = world.docker.age();
        let given = world.docker.with_addresses(|given| given[self.given..].to_vec());
        self.given += given.len();
        // What was given in this very moment may have been so after the word was taken back.
        let (before, just_now): (Vec<_>, Vec<_>) = given.into_iter().partition(|given| given.at < now);
        let mut broken = self.misled_by(world, &before);
        let said = |key: &AppKey| status?.apps.get(key)?.endpoint.as_ref();
        self.told.retain(|key, endpoint| said(key) == Some(endpoint));
        for app in status.iter().flat_map(|status| status.apps.values()) {
            if let Some(endpoint) = app.endpoint.as_ref().filter(|_| !self.told.contains_key(&app.app)) {
                broken.extend(self.begin(world, app, endpoint));
            }
        }
        broken.extend(self.misled_by(world, &just_now));
        broken
    }

    /// Whoever holds the address already.
    fn begin(&mut self, world: &World, app: &AppStatus, endpoint: &Endpoint) -> Option<String> {
        self.told.insert(app.app.clone(), endpoint.clone());
        let holder = world.docker.container(world.docker.holder(endpoint.ip)?.as_str())?;
        let others = owner(world, &holder.labels).as_ref() != Some(&app.app);
        others.then(|| format!("P12 {} is said to be at {}, where {} is", app.app, endpoint.ip, holder.name))
    }

    /// Whoever gets an address at which an app is said to be.
    fn misled_by(&self, world: &World, given: &[AddressGiven]) -> Vec<String> {
        let mut broken = Vec::new();
        for AddressGiven { at, name, labels, ip } in given {
            let to = owner(world, labels);
            let told = self.told.iter().filter(|(key, endpoint)| endpoint.ip == *ip && to.as_ref() != Some(key));
            let text = |key| {
                format!(
                    "P12 {key} was said to be at {ip} when {name} was given that address, at {:.3}s",
                    at.as_secs_f64()
                )
            };
            broken.extend(told.map(|(key, _)| text(key)));
        }
        broken
    }
}

/// At rest each app that runs is where the gateway is told, and nobody is told of one that does not.
pub(crate) fn misled_at_rest(status: &DaemonStatus, owned: &BTreeMap<AppKey, Vec<ObservedContainer>>) -> Vec<String> {
    let mut broken = Vec::new();
    for app in status.apps.values() {
        let containers = owned.get(&app.app).map(Vec::as_slice).unwrap_or_default();
        let is_there = |endpoint: &Endpoint| {
            let running = |container: &&ObservedContainer| container.state == ContainerState::Running;
            let named = containers.iter().filter(running).find(|container| container.id == endpoint.container);
            named.is_some_and(|container| container.networks.values().any(|ip| *ip == Some(endpoint.ip)))
        };
        let holds = match app.health {
            Health::Running => app.endpoint.as_ref().is_some_and(is_there),
            Health::Stopped | Health::Asleep | Health::Deleted => app.endpoint.is_none(),
            _ => true,
        };
        if !holds {
            let (key, health) = (&app.app, app.health);
            broken.push(format!("P12 {key} is {health:?}, and the gateway is told to find it at {:?}", app.endpoint));
        }
    }
    broken
}
