//! What an app reaches that it must not, found out by trying: a container on the app network calls this host's ports, another
//! container there, and the networks around this host. Whatever firewall there is, and whatever its rules are called, this is what
//! they come to; and whatever the kernel's switches are set to (`br_netfilter`), this is what Docker makes of them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Engine, EngineError};
use crate::model::{
    Bytes, ContainerId, ContainerSpec, ContainerState, InstanceId, Limits, MilliCpus, ObservedContainer, RestartPolicy,
    Routing, Settings, Subnet, labels,
};

/// How long the container tries. A firewall that drops what it does not want makes it wait all of this.
const TRIES_FOR_MS: u32 = 2_000;
/// Until a container has come up, and until one has tried and ended.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

const SSH: u16 = 22;
/// Of the other container.
const PEER_PORT: u16 = 3000;
/// What a home's router and a cloud's metadata service listen at.
const ROUTER_PORTS: [u16; 2] = [80, 443];
/// Where clouds hand out secrets to whoever is on the machine.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Exit code of the container that reached nothing; what it reached is added to it.
const REACHED_NOTHING: i64 = 64;
const HOST: i64 = 1;
const APP: i64 = 2;
const LAN: i64 = 4;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Isolation {
    Kept,
    Broken(Reached),
    /// It could not be tried, and why.
    Unknown(String),
    /// Docker starts no container at all, and why: no app either.
    NoContainer(String),
}

/// What an app reached, by an address of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) host: Option<Ipv4Addr>,
    /// Another app on the network.
    pub(super) app: bool,
    /// Something around this host.
    pub(super) lan: Vec<Ipv4Addr>,
}

#[derive(Debug, thiserror::Error)]
enum Hindrance {
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    NoContainer(EngineError),
    #[error("no port could be opened for it: {0}")]
    Port(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// Leaves nothing behind.
pub(super) async fn try_it<E: Engine>(engine: &E, settings: &Settings, instance: &InstanceId) -> Isolation {
    match attempt(engine, settings, instance).await {
        Ok(isolation) => isolation,
        Err(Hindrance::NoContainer(error)) => Isolation::NoContainer(error.to_string()),
        Err(hindrance) => Isolation::Unknown(hindrance.to_string()),
    }
}

async fn attempt<E: Engine>(engine: &E, settings: &Settings, instance: &InstanceId) -> Result<Isolation, Hindrance> {
    let missing = |what: &str| Hindrance::Other(format!("{what} is not there yet: the daemon makes it"));
    if engine.image(&settings.runtime_image).await?.is_none() {
        return Err(missing("the runtime image"));
    }
    let Some(network) = engine.network(&settings.app_network()).await? else { return Err(missing("the app network")) };
    let subnet = network.labels.get(labels::SUBNET).and_then(|text| text.parse::<Subnet>().ok());
    let Some(host) = subnet.map(Subnet::gateway) else {
        return Err(Hindrance::Other(format!("network {} was not made by the daemon", network.name)));
    };
    // Never accepted from: the kernel completes the connection, or the firewall does not let it.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // What is let in on purpose is often let in for everybody: a firewall that is closed by default proves nothing about these.
    let ports = [listener.local_addr()?.port(), settings.gateway_port, settings.portal_port, SSH];
    let mut targets: Vec<_> = ports.map(|port| Target { bit: HOST, address: host, port }).into();
    let around = if settings.app_lan { Vec::new() } else { around() };
    targets.extend(
        around.iter().flat_map(|address| ROUTER_PORTS.map(|port| Target { bit: LAN, address: *address, port })),
    );

    let peer = container(settings, instance, "peer", listening());
    let outcome = async {
        // With direct routing apps are meant to reach each other.
        if settings.routing == Routing::Gateway {
            let id = begin(engine, &peer).await?;
            let address = listens(engine, &id, &peer.network).await?;
            targets.push(Target { bit: APP, address, port: PEER_PORT });
        }
        visit(engine, &container(settings, instance, "visitor", calling(&targets))).await
    };
    let outcome = outcome.await;
    clear(engine, &peer).await?;
    let code = outcome?;
    let found = code - REACHED_NOTHING;
    if !(0..=HOST | APP | LAN).contains(&found) {
        return Err(Hindrance::Other(format!("the container that tries it ended with exit code {code}")));
    }
    let reached = Reached {
        host: (found & HOST != 0).then_some(host),
        app: found & APP != 0,
        lan: if found & LAN == 0 { Vec::new() } else { around },
    };
    Ok(if reached == Reached::default() { Isolation::Kept } else { Isolation::Broken(reached) })
}

/// What is around this host for certain, wherever it stands: who it sends everything else to, if that is no public address.
fn around() -> Vec<Ipv4Addr> {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let router = default_router(&table).filter(|address| address.is_private() || address.is_link_local());
    router.into_iter().chain([METADATA]).collect()
}

fn default_router(table: &str) -> Option<Ipv4Addr> {
    let mut routes = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let fields = routes.find(|fields| fields.get(1) == Some(&"00000000") && fields.get(2) != Some(&"00000000"))?;
    // In the byte order of the machine, which is that of the numbers themselves on all that Docker runs on.
    Some(Ipv4Addr::from_bits(u32::from_str_radix(fields.get(2)?, 16).ok()?.swap_bytes()))
}

/// Where the container calls, and what it means if that is reached.
#[derive(Debug, Clone, Copy)]
struct Target {
    bit: i64,
    address: Ipv4Addr,
    port: u16,
}

fn calling(targets: &[Target]) -> String {
    let list: Vec<_> =
        targets.iter().map(|target| format!("[{},'{}',{}]", target.bit, target.address, target.port)).collect();
    // That a connection is refused says nothing: firewalls answer so, too.
    format!(
        "let r=0;Promise.all([{}].map(([b,h,p])=>new Promise(done=>{{const s=require('node:net').connect(p,h);\
         s.on('connect',()=>{{r|=b;done()}});s.on('error',done);setTimeout(done,{TRIES_FOR_MS})}})))\
         .then(()=>process.exit({REACHED_NOTHING}+r))",
        list.join(",")
    )
}

fn listening() -> String {
    format!("require('node:net').createServer(s=>s.end()).listen({PEER_PORT})")
}

/// Begins a container; one that was left behind when somebody interrupted an earlier try makes way.
async fn begin<E: Engine>(engine: &E, spec: &ContainerSpec) -> Result<ContainerId, Hindrance> {
    clear(engine, spec).await?;
    let id = engine.create(spec).await?;
    engine.start(&id).await.map_err(Hindrance::NoContainer)?;
    Ok(id)
}

async fn clear<E: Engine>(engine: &E, spec: &ContainerSpec) -> Result<(), Hindrance> {
    let ours = |left: &ObservedContainer| {
        // An image's own labels come with it.
        spec.labels.iter().all(|(name, value)| left.labels.get(name) == Some(value))
    };
    if let Some(left) = engine.inspect(&spec.name).await?.filter(ours) {
        engine.remove(&left.id).await?;
    }
    Ok(())
}

/// Waits until the other container can be reached from here, so that not reaching it from another one means something.
async fn listens<E: Engine>(engine: &E, id: &ContainerId, network: &str) -> Result<Ipv4Addr, Hindrance> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = engine.inspect(id.as_str()).await?;
        if let Some(IpAddr::V4(address)) = seen.and_then(|container| container.address(network)) {
            let connected = timeout(LOOK_EVERY, TcpStream::connect(SocketAddr::from((address, PEER_PORT)))).await;
            if matches!(connected, Ok(Ok(_))) {
                return Ok(address);
            }
        }
        if Instant::now() >= deadline {
            return Err(Hindrance::Other("a container on the app network is not reached from this host".to_owned()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Runs a container to its end, and returns its exit code.
async fn visit<E: Engine>(engine: &E, spec: &ContainerSpec) -> Result<i64, Hindrance> {
    let outcome = async {
        let id = begin(engine, spec).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match engine.inspect(id.as_str()).await? {
                Some(container) if container.state == ContainerState::Exited => break Ok(container.exit_code),
                Some(_) if Instant::now() < deadline => sleep(LOOK_EVERY).await,
                _ => break Err(Hindrance::Other("the container that tries it did not end".to_owned())),
            }
        }
    };
    let outcome = outcome.await;
    clear(engine, spec).await?;
    outcome
}

/// As locked in as an app, and no app: the daemon takes no notice of it.
fn container(settings: &Settings, instance: &InstanceId, role: &str, script: String) -> ContainerSpec {
    let name = format!("paas-doctor-{instance}-{role}");
    let labels = [(labels::TYPE, labels::TYPE_DOCTOR), (labels::INSTANCE, instance.as_str())];
    ContainerSpec {
        hostname: format!("doctor-{role}"),
        name,
        image: settings.runtime_image.clone(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        env: BTreeMap::new(),
        command: vec!["node".to_owned(), "-e".to_owned(), script],
        working_dir: "/".to_owned(),
        user: format!("{}:{}", crate::model::spec::APP_UID, crate::model::spec::APP_GID),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: Limits { memory: Bytes::mib(128), cpus: MilliCpus(1000), pids: 64 },
        restart: RestartPolicy::No,
        network: settings.app_network(),
        address: None,
        port: PEER_PORT,
        stop_grace_seconds: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::NetworkSpec;
    use crate::engine::sim::{Behaviour, SimConfig, SimDocker};

    /// What cannot be tried yet and what is broken are not told alike.
    #[tokio::test(start_paused = true)]
    async fn an_engine_that_starts_no_container_is_told_from_one_that_is_not_ready() {
        let settings = Settings::defaults("/paas");
        let instance = InstanceId::parse("0123456789abcdef").unwrap();
        let docker = SimDocker::new(SimConfig::seeded(1));
        let engine = docker.engine();
        let told = try_it(&engine, &settings, &instance).await;
        assert!(matches!(&told, Isolation::Unknown(reason) if reason.contains("runtime image")), "{told:?}");

        docker.add_image(&settings.runtime_image, "any", Some(Behaviour::CannotStart));
        let subnet: Subnet = "10.9.0.0/24".parse().unwrap();
        let network = NetworkSpec {
            name: settings.app_network(),
            labels: BTreeMap::from([(labels::SUBNET.to_owned(), subnet.to_string())]),
            options: BTreeMap::new(),
            subnet: Some(subnet),
            internal: false,
        };
        engine.create_network(&network).await.unwrap();
        let told = try_it(&engine, &settings, &instance).await;
        assert!(matches!(&told, Isolation::NoContainer(reason) if reason.contains("unable to start")), "{told:?}");
    }

    #[test]
    fn the_router_is_who_gets_everything_else() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\n";
        assert_eq!(default_router(table), Some(Ipv4Addr::new(192, 168, 0, 1)));
        assert_eq!(default_router("Iface\tDestination\tGateway\neth0\t00000000\t00000000\t0001\n"), None);
        assert_eq!(default_router(""), None);
    }
}
