//! Whether an app reaches this host's own ports, found out by trying: a container on the app network calls a port that is opened
//! for it, and those that are usually open. Whatever firewall there is, and whatever its rules are called, this is what they come to.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use crate::engine::{Engine, EngineError};
use crate::model::{
    Bytes, ContainerSpec, ContainerState, InstanceId, Limits, MilliCpus, RestartPolicy, Settings, Subnet, labels,
};

/// How long the container tries. A firewall that drops what it does not want makes it wait all of this.
const TRIES_FOR_MS: u32 = 2_000;
/// Until the container has come up, tried and ended.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

const SSH: u16 = 22;

/// Exit codes of the container.
const REACHED: i64 = 0;
const NOT_REACHED: i64 = 7;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Isolation {
    Kept,
    /// The address of this host that an app reached.
    Broken(Ipv4Addr),
    /// It could not be tried, and why.
    Unknown(String),
}

#[derive(Debug, thiserror::Error)]
enum Hindrance {
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("no port could be opened for it: {0}")]
    Port(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// Leaves nothing behind.
pub(super) async fn try_it<E: Engine>(engine: &E, settings: &Settings, instance: &InstanceId) -> Isolation {
    match attempt(engine, settings, instance).await {
        Ok(isolation) => isolation,
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
    let spec = visitor(settings, instance, host, ports);
    // One that was left behind when somebody interrupted an earlier try.
    if let Some(left) = engine.inspect(&spec.name).await?.filter(|left| {
        // An image's own labels come with it.
        spec.labels.iter().all(|(name, value)| left.labels.get(name) == Some(value))
    }) {
        engine.remove(&left.id).await?;
    }
    let id = engine.create(&spec).await?;
    let outcome = async {
        engine.start(&id).await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match engine.inspect(id.as_str()).await? {
                Some(container) if container.state == ContainerState::Exited => break Ok(container.exit_code),
                Some(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                _ => break Err(Hindrance::Other("the container that tries it did not end".to_owned())),
            }
        }
    };
    let outcome = outcome.await;
    engine.remove(&id).await?;
    match outcome? {
        REACHED => Ok(Isolation::Broken(host)),
        NOT_REACHED => Ok(Isolation::Kept),
        code => Err(Hindrance::Other(format!("the container that tries it ended with exit code {code}"))),
    }
}

/// As locked in as an app, and no app: the daemon takes no notice of it.
fn visitor(settings: &Settings, instance: &InstanceId, host: Ipv4Addr, ports: [u16; 4]) -> ContainerSpec {
    let script = format!(
        "const n=require('node:net');Promise.all({ports:?}.map(port=>new Promise(done=>{{const s=n.connect(port,'{host}');\
         s.on('connect',()=>process.exit({REACHED}));s.on('error',done);setTimeout(done,{TRIES_FOR_MS})}})))\
         .then(()=>process.exit({NOT_REACHED}))"
    );
    let name = format!("paas-doctor-{instance}");
    let labels = [(labels::TYPE, labels::TYPE_DOCTOR), (labels::INSTANCE, instance.as_str())];
    ContainerSpec {
        hostname: name.clone(),
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
        port: ports[0],
        stop_grace_seconds: 1,
    }
}
