//! The operator's settings as values (SPEC §1). Reading `.env` is `crate::settings`' affair.

use std::net::IpAddr;
use std::path::PathBuf;

use super::cidr::Cidr;
use super::subnet::Subnet;
use super::units::{Bytes, MilliCpus, RestartPolicy};

/// Every setting with its default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub domain: String,
    pub root: PathBuf,
    pub manifests_dir: PathBuf,
    pub apps_dir: PathBuf,
    pub templates_dir: PathBuf,
    pub portal_port: u16,
    pub portal_bind: IpAddr,
    pub portal_api_key: String,
    /// Names the portal answers to besides those that are safe by themselves.
    pub portal_hosts: Vec<String>,
    /// Whether the gateway answers with the portal at the bare domain and `portal.` below it.
    pub portal_on_gateway: bool,
    pub portal_db_path: PathBuf,
    pub session_cookie_name: String,
    pub session_ttl_hours: u32,
    pub portal_cookie_secure: bool,
    pub bcrypt_rounds: u32,
    pub mem_limit: Bytes,
    pub cpu_limit: MilliCpus,
    pub pids_limit: u32,
    pub disk_limit: Bytes,
    pub restart_policy: RestartPolicy,
    pub runtime_image: String,
    pub runtime_base_image: String,
    pub network: String,
    /// Addresses of the app network; `None` takes the first range that nothing else uses.
    pub network_subnet: Option<Subnet>,
    /// Whether apps may open connections to the outside.
    pub app_internet: bool,
    pub max_apps_per_user: u32,
    pub max_total_apps: u32,
    pub routing: Routing,
    pub gateway_port: u16,
    pub gateway_bind: IpAddr,
    /// Proxies whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Cidr>,
    pub backup_schedule: String,
    pub backup_keep: u32,
    pub trash_days: u32,
}

/// How requests reach the apps (SPEC §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// The daemon is the router; apps cannot reach each other.
    Gateway,
    /// An external proxy on the same network reaches apps by name.
    Direct,
}

impl Settings {
    /// Defaults of SPEC §1 below the given root.
    #[must_use]
    pub fn defaults(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            domain: "localhost".to_owned(),
            manifests_dir: root.join("apps.d"),
            apps_dir: root.join("apps"),
            templates_dir: root.join("templates"),
            portal_port: 3000,
            portal_bind: IpAddr::from([127, 0, 0, 1]),
            portal_api_key: String::new(),
            portal_hosts: Vec::new(),
            portal_on_gateway: true,
            portal_db_path: root.join("portal-data/portal.sqlite3"),
            session_cookie_name: "paas_portal_session".to_owned(),
            session_ttl_hours: 168,
            portal_cookie_secure: false,
            bcrypt_rounds: 10,
            mem_limit: Bytes::mib(256),
            cpu_limit: MilliCpus(500),
            pids_limit: 128,
            disk_limit: Bytes(Bytes::GIB),
            restart_policy: RestartPolicy::UnlessStopped,
            runtime_image: "my-paas-node-runtime:latest".to_owned(),
            runtime_base_image: "node:24-alpine".to_owned(),
            network: "paas-proxy".to_owned(),
            network_subnet: None,
            app_internet: true,
            max_apps_per_user: 5,
            max_total_apps: 20,
            routing: Routing::Gateway,
            gateway_port: 8080,
            gateway_bind: IpAddr::from([0, 0, 0, 0]),
            trusted_proxies: Vec::new(),
            backup_schedule: "0 3 * * *".to_owned(),
            backup_keep: 7,
            trash_days: 7,
            root,
        }
    }

    /// The network that the apps sit on. Each way of routing has its own, because whether its members reach each other is fixed
    /// when it is made: changing the way moves the apps from one to the other.
    #[must_use]
    pub fn app_network(&self) -> String {
        match self.routing {
            Routing::Gateway => self.network.clone(),
            Routing::Direct => format!("{}-direct", self.network),
        }
    }

    /// Its addresses, where the settings say which: both networks may be there at a time, so the second has the next range.
    #[must_use]
    pub fn app_subnet(&self) -> Option<Subnet> {
        match self.routing {
            Routing::Gateway => self.network_subnet,
            Routing::Direct => self.network_subnet.and_then(Subnet::following),
        }
    }

    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.root.join("runtime")
    }
    #[must_use]
    pub fn trash_dir(&self) -> PathBuf {
        self.root.join("trash")
    }
    /// The daemon's own socket: reachable by its own user only.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.root.join("run/paas.sock")
    }
}
