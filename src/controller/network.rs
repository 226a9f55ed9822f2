//! The network that the apps sit on: made when it is missing, reported when it is not what the settings ask for, never
//! changed under running apps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Engine as _, EngineError, ErrorKind, NetworkSpec};
use crate::model::status::NetworkStatus;
use crate::model::{InstanceId, ObservedNetwork, Routing, Settings, labels};

use super::seams::Seams;

/// Bridge option that decides whether containers may talk to each other.
const INTER_CONTAINER: &str = "com.docker.network.bridge.enable_icc";

#[derive(Debug)]
pub struct NetworkOutcome {
    pub status: NetworkStatus,
    pub usable: bool,
}

/// How soon a failed try is repeated, whatever it failed of: a single call that hung tells nobody that it is worth another.
/// When Docker is gone altogether, its return comes first.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Makes sure of the network.
pub async fn ensure<W: Seams>(world: &W, settings: &Settings, instance: &InstanceId) -> NetworkOutcome {
    match look_or_create(world, settings, instance).await {
        Ok(network) => judge(&network, settings),
        Err(error) => NetworkOutcome { status: NetworkStatus::Failed { message: error.to_string() }, usable: false },
    }
}

async fn look_or_create<W: Seams>(
    world: &W,
    settings: &Settings,
    instance: &InstanceId,
) -> Result<ObservedNetwork, EngineError> {
    let engine = world.engine();
    if let Some(network) = engine.network(&settings.network).await? {
        return Ok(network);
    }
    let spec = NetworkSpec {
        name: settings.network.clone(),
        labels: BTreeMap::from([
            (labels::TYPE.to_owned(), labels::TYPE_NETWORK.to_owned()),
            (labels::INSTANCE.to_owned(), instance.as_str().to_owned()),
        ]),
        options: BTreeMap::from([(INTER_CONTAINER.to_owned(), wanted_icc(settings.routing).to_owned())]),
        subnet: settings.network_subnet.clone(),
    };
    match engine.create_network(&spec).await {
        Ok(()) => tracing::info!(network = %settings.network, "created the app network"),
        // Somebody was faster: what is there now decides.
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => return Err(error),
    }
    engine.network(&settings.network).await?.ok_or_else(|| {
        let message = format!(
            "network {} could not be created: another network overlaps its subnet; set PAAS_NETWORK_SUBNET to a free one",
            settings.network
        );
        EngineError::new(ErrorKind::Retryable, message)
    })
}

fn wanted_icc(routing: Routing) -> &'static str {
    match routing {
        Routing::Gateway => "false",
        Routing::Direct => "true",
    }
}

fn judge(network: &ObservedNetwork, settings: &Settings) -> NetworkOutcome {
    let icc = network.options.get(INTER_CONTAINER).map_or("true", String::as_str);
    let mut differences = Vec::new();
    if icc != wanted_icc(settings.routing) {
        differences.push(match settings.routing {
            Routing::Gateway => "apps on it can reach each other".to_owned(),
            Routing::Direct => "a proxy on it cannot reach the apps".to_owned(),
        });
    }
    if let Some(subnet) = &settings.network_subnet
        && !network.subnets.contains(subnet)
    {
        differences.push(format!("its subnet is {} instead of {subnet}", network.subnets.join(", ")));
    }
    let status = if differences.is_empty() {
        NetworkStatus::Ready { id: network.id.clone() }
    } else {
        let message = format!(
            "network {} is not as the settings ask: {}. `paas down`, `docker network rm {}`, then start the daemon again",
            network.name,
            differences.join("; "),
            network.name
        );
        NetworkStatus::Drifted { message }
    };
    NetworkOutcome { status, usable: true }
}
