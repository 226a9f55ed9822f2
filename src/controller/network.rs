//! The network that the apps sit on: made when it is missing, reported when it is not what the settings ask for, never
//! changed under running apps.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::engine::{Engine as _, EngineError, ErrorKind, NetworkSpec};
use crate::model::status::NetworkStatus;
use crate::model::{InstanceId, ObservedNetwork, Routing, Settings, Subnet, labels};

use super::seams::Seams;
use crate::firewall;

/// Bridge option that decides whether containers may talk to each other.
const INTER_CONTAINER: &str = "com.docker.network.bridge.enable_icc";
/// Bridge option with the name of the interface on the host.
const BRIDGE: &str = "com.docker.network.bridge.name";

#[derive(Debug)]
pub struct NetworkOutcome {
    /// Which network this is about: the settings may have changed meanwhile.
    pub name: String,
    pub status: NetworkStatus,
    pub usable: bool,
    /// Whose addresses the daemon gives out; `None` where Docker does.
    pub subnet: Option<Subnet>,
    /// The addresses that Docker says it has, in CIDR form.
    pub ranges: Vec<String>,
}

/// How soon a failed try is repeated, whatever it failed of: a single call that hung tells nobody that it is worth another.
/// When Docker is gone altogether, its return comes first.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Makes sure of the network.
pub async fn ensure<W: Seams>(
    world: &W,
    settings: &Settings,
    instance: &InstanceId,
    avoid: &[Subnet],
) -> NetworkOutcome {
    match look_or_create(world, settings, instance, avoid).await {
        Ok(network) => judge(&network, settings, instance),
        Err(error) => NetworkOutcome {
            name: settings.app_network(),
            status: NetworkStatus::Failed { message: error.to_string() },
            usable: false,
            subnet: None,
            ranges: Vec::new(),
        },
    }
}

async fn look_or_create<W: Seams>(
    world: &W,
    settings: &Settings,
    instance: &InstanceId,
    avoid: &[Subnet],
) -> Result<ObservedNetwork, EngineError> {
    let (engine, name) = (world.engine(), settings.app_network());
    if let Some(network) = engine.network(&name).await? {
        return Ok(network);
    }
    for subnet in candidates(settings, avoid) {
        let spec = NetworkSpec {
            name: name.clone(),
            labels: BTreeMap::from([
                (labels::TYPE.to_owned(), labels::TYPE_NETWORK.to_owned()),
                (labels::INSTANCE.to_owned(), instance.as_str().to_owned()),
                (labels::SUBNET.to_owned(), subnet.to_string()),
            ]),
            options: BTreeMap::from([
                (INTER_CONTAINER.to_owned(), wanted_icc(settings.routing).to_owned()),
                (BRIDGE.to_owned(), firewall::bridge(instance, &name)),
            ]),
            subnet: Some(subnet),
            internal: !settings.app_internet,
        };
        match engine.create_network(&spec).await {
            Ok(()) => tracing::info!(
                network = %name, %subnet,
                "created the app network; that apps reach neither this host nor the networks around it is the firewall's part: \
                 `paas firewall --apply` puts it in force, `paas doctor` tries it"
            ),
            // Somebody was faster: what is there now decides.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        if let Some(network) = engine.network(&name).await? {
            return Ok(network);
        }
        // Its name is free, so it was the range that another network has.
    }
    let message = format!(
        "network {name} could not be created: other networks use its range of addresses; set PAAS_NETWORK_SUBNET to a free one"
    );
    Err(EngineError::new(ErrorKind::Retryable, message))
}

/// Where ranges are tried from, and how many. The first are outside of what Docker, Podman, Kubernetes and home routers take by
/// themselves; the others are for hosts on which all of 10.0.0.0/8 leads elsewhere.
const FROM: [(Option<Subnet>, usize); 3] = [
    (Subnet::new(Ipv4Addr::new(10, 201, 0, 0), 20), 64),
    (Subnet::new(Ipv4Addr::new(172, 30, 0, 0), 20), 16),
    (Subnet::new(Ipv4Addr::new(192, 168, 224, 0), 20), 2),
];

/// The range from the settings, else those that the host has no use for.
fn candidates(settings: &Settings, avoid: &[Subnet]) -> Vec<Subnet> {
    if let Some(subnet) = settings.app_subnet() {
        return vec![subnet];
    }
    let free = |subnet: &Subnet| !avoid.iter().any(|used| used.overlaps(*subnet));
    let from = |(first, count)| std::iter::successors(first, |subnet: &Subnet| subnet.following()).take(count);
    FROM.into_iter().flat_map(from).filter(free).collect()
}

/// The ranges that the host's routing table knows, from the text of `/proc/net/route`. What routes everything (a default route, a
/// VPN's two halves) is left out.
#[must_use]
pub fn routed(table: &str) -> Vec<Subnet> {
    let range = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // In the byte order of the machine, which is that of the numbers themselves on all that Docker runs on.
        let number = |field: usize| Some(u32::from_str_radix(fields.get(field)?, 16).ok()?.swap_bytes());
        let (address, mask) = (number(1)?, number(7)?);
        let prefix = u8::try_from(mask.leading_ones()).ok().filter(|prefix| *prefix >= 8)?.min(29);
        Subnet::new(Ipv4Addr::from_bits(address & (u32::MAX << (32 - prefix))), prefix)
    };
    table.lines().skip(1).filter_map(range).collect()
}

fn wanted_icc(routing: Routing) -> &'static str {
    match routing {
        Routing::Gateway => "false",
        Routing::Direct => "true",
    }
}

fn judge(network: &ObservedNetwork, settings: &Settings, instance: &InstanceId) -> NetworkOutcome {
    let icc = network.options.get(INTER_CONTAINER).map_or("true", String::as_str);
    let mut differences = Vec::new();
    if icc != wanted_icc(settings.routing) {
        differences.push(match settings.routing {
            Routing::Gateway => "apps on it can reach each other".to_owned(),
            Routing::Direct => "a proxy on it cannot reach the apps".to_owned(),
        });
    }
    if network.internal == settings.app_internet {
        let can = if settings.app_internet { "cannot" } else { "can" };
        differences.push(format!("apps on it {can} reach the internet"));
    }
    let bridge = network.options.get(BRIDGE).map_or("", String::as_str);
    if settings.routing == Routing::Gateway && bridge != firewall::bridge(instance, &network.name) {
        differences.push("its bridge has not the name that the firewall's rules are about".to_owned());
    }
    let has = |subnet: Subnet| network.subnets.contains(&subnet.to_string());
    if let Some(subnet) = settings.app_subnet().filter(|subnet| !has(*subnet)) {
        differences.push(format!("its subnet is {} instead of {subnet}", network.subnets.join(", ")));
    }
    // Docker takes chosen addresses only where the range was chosen, too, and does not tell whether it was.
    let subnet = network.labels.get(labels::SUBNET).and_then(|text| text.parse().ok()).filter(|subnet| has(*subnet));
    if subnet.is_none() && settings.routing == Routing::Gateway {
        differences.push("Docker hands the addresses of ended apps on to others".to_owned());
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
    NetworkOutcome { name: network.name.clone(), status, usable: true, subnet, ranges: network.subnets.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_the_hosts_routes_are_left_to_it() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000C90A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n\
            tun0\t0110C90A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n\
            tun0\t00000080\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
        let routed = routed(table);
        let told: Vec<_> = routed.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.201.0.0/20", "10.201.16.0/29"]);
        let first = |settings: &Settings, avoid| candidates(settings, avoid).first().map(ToString::to_string);
        let settings = Settings::defaults("/paas");
        assert_eq!(first(&settings, &[]).as_deref(), Some("10.201.0.0/20"));
        assert_eq!(first(&settings, &routed).as_deref(), Some("10.201.32.0/20"));
        let home: Vec<Subnet> = "10.0.0.0/8".parse().into_iter().collect();
        assert_eq!(first(&settings, &home).as_deref(), Some("172.30.0.0/20"));
        // Who names a range means it.
        let settings = Settings { network_subnet: "10.201.0.0/24".parse().ok(), ..settings };
        assert_eq!(first(&settings, &routed).as_deref(), Some("10.201.0.0/24"));
    }
}
