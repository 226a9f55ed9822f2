//! The operator's settings as values (SPEC §1). Reading `.env` is `crate::settings`' affair.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::cidr::Cidr;
use super::memory::MemoryReserve;
use super::proxy::{CertificatePolicy, ProxySettings};
use super::public_url::{PublicUrl, Scheme};
use super::sleep::Sleep;
use super::subnet::Subnet;
use super::units::{Bytes, MilliCpus, RestartPolicy};
use super::visitors::Visitors;

/// Every setting with its default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub domain: String,
    /// How the world reaches the portal, where that is not what the other settings say: behind a proxy, say.
    pub public_url: Option<PublicUrl>,
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
    /// `None`: as `PAAS_PUBLIC_URL` says.
    pub portal_cookie_secure: Option<bool>,
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
    /// Whether that includes the networks around this host: private, link-local, shared and multicast addresses. It is the
    /// firewall's rules that say so.
    pub app_lan: bool,
    pub max_apps_per_user: u32,
    /// Most files of a version that somebody publishes, and most bytes of all of them.
    pub publish_max_files: u32,
    pub publish_max_bytes: Bytes,
    pub max_total_apps: u32,
    pub routing: Routing,
    pub gateway_port: u16,
    pub gateway_bind: IpAddr,
    /// Proxies whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// A tunnel (WebSocket) in which nothing moves for so long ends.
    pub tunnel_idle: Duration,
    pub backup_schedule: String,
    pub backup_keep: u32,
    pub trash_days: u32,
    /// Of apps whose manifest does not say.
    pub visitors: Visitors,
    /// The same: when they sleep.
    pub sleep: Sleep,
    /// What of the memory is kept free.
    pub memory_reserve: MemoryReserve,
    /// Nginx Proxy Manager's API; empty: nobody looks after it.
    pub npm_url: String,
    pub npm_identity: String,
    pub npm_secret_file: Option<PathBuf>,
    pub npm_forward_host: Option<String>,
    pub npm_certificate: CertificatePolicy,
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
            public_url: None,
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
            portal_cookie_secure: None,
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
            app_lan: false,
            max_apps_per_user: 5,
            publish_max_files: 5_000,
            publish_max_bytes: Bytes::mib(100),
            max_total_apps: 20,
            routing: Routing::Gateway,
            gateway_port: 8080,
            gateway_bind: IpAddr::from([0, 0, 0, 0]),
            trusted_proxies: Vec::new(),
            tunnel_idle: Duration::from_secs(3600),
            backup_schedule: "0 3 * * *".to_owned(),
            backup_keep: 7,
            trash_days: 7,
            visitors: Visitors::EVERYONE,
            sleep: Sleep::Never,
            memory_reserve: MemoryReserve::Percent(10),
            npm_url: String::new(),
            npm_identity: String::new(),
            npm_secret_file: None,
            npm_forward_host: None,
            npm_certificate: CertificatePolicy::Auto,
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

    /// What the operator should know about proxies that are believed, once the addresses of the apps are known: the settings alone
    /// do not tell those where Docker or the daemon chose them. With direct routing the proxy is one of their neighbours.
    #[must_use]
    pub fn trusts_apps(&self, ranges: &[String]) -> Option<String> {
        let apps = ranges.iter().filter(|range| {
            range.parse::<Cidr>().is_ok_and(|range| self.trusted_proxies.iter().any(|proxies| proxies.overlaps(&range)))
        });
        let apps: Vec<_> = apps.map(String::as_str).collect();
        (self.routing == Routing::Gateway && !apps.is_empty()).then(|| {
            format!(
                "PAAS_TRUSTED_PROXIES covers the apps' own network ({}), whose apps could then say to speak for anybody: nothing from \
                 there is believed. Write the proxy's own address, or a range without the apps",
                apps.join(", ")
            )
        })
    }

    /// `None` while `NPM_URL` is not set.
    #[must_use]
    pub fn npm(&self) -> Option<ProxySettings> {
        (!self.npm_url.is_empty()).then(|| ProxySettings {
            url: self.npm_url.clone(),
            identity: self.npm_identity.clone(),
            secret_file: self.npm_secret_file.clone().unwrap_or_default(),
            forward_host: self.npm_forward_host.clone(),
            certificate: self.npm_certificate,
        })
    }

    /// Holds what the last build of the runtime image said.
    #[must_use]
    pub fn image_log(&self) -> PathBuf {
        self.portal_db_path.with_file_name("image-build.log")
    }

    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.root.join("runtime")
    }
    #[must_use]
    pub fn backups_dir(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// For copies that go again.
    #[must_use]
    pub fn scratch_dir(&self) -> PathBuf {
        self.root.join(".scratch")
    }

    #[must_use]
    pub fn trash_dir(&self) -> PathBuf {
        self.root.join("trash")
    }
    /// What a first sign-in from another machine needs lies here, as long as it is needed.
    #[must_use]
    pub fn first_word_path(&self) -> PathBuf {
        self.root.join("run/first-word")
    }
    /// Whether browsers send the portal's cookies over TLS only.
    #[must_use]
    pub fn cookie_is_secure(&self) -> bool {
        let is_https = self.public_url.as_ref().is_some_and(|public| public.scheme == Scheme::Https);
        self.portal_cookie_secure.unwrap_or(is_https)
    }
    /// Where people find what answers to this name, with a slash at the end.
    #[must_use]
    pub fn app_url(&self, host: &str) -> String {
        match (&self.public_url, self.routing, self.gateway_port) {
            (Some(public), ..) => format!("{}/", public.at(host)),
            // In direct mode somebody else's proxy listens, on the usual port as far as anyone here knows.
            (None, Routing::Direct, _) | (None, Routing::Gateway, 80) => format!("http://{host}/"),
            (None, Routing::Gateway, port) => format!("http://{host}:{port}/"),
        }
    }

    /// [`Settings::app_url`] for another device of the home that finds this server at `lan`. `None`: there is no other, because the
    /// name works there as well, or nothing answers there.
    #[must_use]
    pub fn app_url_elsewhere(&self, host: &str, lan: Ipv4Addr) -> Option<String> {
        let label = host.strip_suffix(self.domain.as_str())?.strip_suffix('.')?;
        let hidden = self.public_url.is_some() || !is_this_device(&self.domain) || self.routing == Routing::Direct;
        (!hidden && answers_at(self.gateway_bind, lan))
            .then(|| format!("http://{label}.{lan}.nip.io{}/", usual_or(self.gateway_port)))
    }

    /// [`Settings::portal_url`] for such a device: the server's address alone, to which no app can set cookies. `None` as there.
    #[must_use]
    pub fn portal_url_elsewhere(&self, lan: Ipv4Addr) -> Option<String> {
        if self.public_url.is_some() {
            return None;
        }
        // Over TLS only, which nobody has a certificate for at an address.
        let hidden = !is_this_device(&self.domain) || self.cookie_is_secure();
        if self.portal_on_gateway && self.routing == Routing::Gateway {
            return (!hidden && answers_at(self.gateway_bind, lan))
                .then(|| format!("http://{lan}{}", usual_or(self.gateway_port)));
        }
        (!self.cookie_is_secure() && self.portal_bind.is_unspecified())
            .then(|| format!("http://{lan}{}", usual_or(self.portal_port)))
    }

    /// Where people find the portal, without a slash at the end: where `PAAS_PUBLIC_URL` says, else at the domain where the gateway answers with it and the domain
    /// is a name that other machines know, else at its own port. A proxy that adds TLS is assumed at the usual port.
    #[must_use]
    pub fn portal_url(&self) -> String {
        if let Some(public) = &self.public_url {
            return public.to_string();
        }
        let domain = &self.domain;
        let at_domain = self.portal_on_gateway && self.routing == Routing::Gateway;
        if at_domain && !is_this_device(domain) {
            return match (self.cookie_is_secure(), self.gateway_port) {
                (true, _) => format!("https://{domain}"),
                (false, 80) => format!("http://{domain}"),
                (false, port) => format!("http://{domain}:{port}"),
            };
        }
        let host = match self.portal_bind {
            address if address.is_loopback() || address.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        match self.portal_port {
            80 => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        }
    }
    /// The daemon's own socket: reachable by its own user only.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.root.join("run/paas.sock")
    }
}

/// Whether names below a domain mean, on each device, that device itself (RFC 6761).
#[must_use]
pub fn is_this_device(domain: &str) -> bool {
    domain == "localhost" || domain.ends_with(".localhost")
}

fn answers_at(bind: IpAddr, lan: Ipv4Addr) -> bool {
    bind.is_unspecified() || bind == IpAddr::V4(lan)
}

fn usual_or(port: u16) -> String {
    if port == 80 { String::new() } else { format!(":{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_among_the_apps_are_found_out_once_their_network_is_known() {
        let told = |proxies: &str, routing, ranges: &[&str]| {
            let trusted_proxies = proxies.split(' ').map(|range| range.parse().unwrap()).collect();
            let settings = Settings { routing, trusted_proxies, ..Settings::defaults("/paas") };
            let ranges: Vec<_> = ranges.iter().map(|range| (*range).to_owned()).collect();
            settings.trusts_apps(&ranges).unwrap_or_default()
        };
        let apps = ["10.201.0.0/20", "fd66::/64"];
        for covers in ["10.0.0.0/8", "10.201.3.0/24", "10.201.0.1", "192.168.0.7 10.201.15.255", "fd00::/8", "fd66::7"]
        {
            assert!(told(covers, Routing::Gateway, &apps).contains("the apps' own network"), "{covers}");
        }
        for other in ["10.201.16.0/20", "192.168.0.7", "fd67::/64"] {
            assert_eq!(told(other, Routing::Gateway, &apps), "", "{other}");
        }
        assert_eq!(told("10.0.0.0/8", Routing::Direct, &apps), "", "there the proxy is among them");
        assert_eq!(told("10.0.0.0/8", Routing::Gateway, &[]), "", "not known yet");
    }

    #[test]
    fn an_app_is_where_people_reach_it() {
        let url = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::defaults("/paas");
            change(&mut settings);
            settings.app_url("a-b.home.example.org")
        };
        assert_eq!(url(&|_| {}), "http://a-b.home.example.org:8080/");
        assert_eq!(url(&|s| s.gateway_port = 80), "http://a-b.home.example.org/");
        assert_eq!(url(&|s| s.routing = Routing::Direct), "http://a-b.home.example.org/");
        let public = |settings: &mut Settings| settings.public_url = "https://home.example.org".parse().ok();
        assert_eq!(url(&public), "https://a-b.home.example.org/");
        assert_eq!(url(&|s| (public(s), s.routing = Routing::Direct).0), "https://a-b.home.example.org/");
    }

    #[test]
    fn the_portal_is_where_people_reach_it() {
        let url = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::defaults("/paas");
            change(&mut settings);
            settings.portal_url()
        };
        let domain = |settings: &mut Settings| settings.domain = "home.example.org".to_owned();
        assert_eq!(url(&|_| {}), "http://localhost:3000");
        let public = |settings: &mut Settings| settings.public_url = "https://home.example.org:8443".parse().ok();
        assert_eq!(url(&|s| (domain(s), public(s)).0), "https://home.example.org:8443");
        assert_eq!(url(&|s| (public(s), s.routing = Routing::Direct).0), "https://home.example.org:8443");
        assert_eq!(url(&|s| s.domain = "sec.localhost".to_owned()), "http://localhost:3000");
        assert_eq!(url(&domain), "http://home.example.org:8080");
        assert_eq!(url(&|s| (domain(s), s.gateway_port = 80).0), "http://home.example.org");
        assert_eq!(url(&|s| (domain(s), s.portal_cookie_secure = Some(true)).0), "https://home.example.org");
        assert_eq!(url(&|s| (domain(s), s.portal_on_gateway = false).0), "http://localhost:3000");
        assert_eq!(url(&|s| (domain(s), s.routing = Routing::Direct).0), "http://localhost:3000");
        assert_eq!(url(&|s| s.portal_bind = [192, 168, 0, 5].into()), "http://192.168.0.5:3000");
        assert_eq!(url(&|s| s.portal_bind = [0, 0, 0, 0].into()), "http://localhost:3000");
        assert_eq!(url(&|s| (s.portal_bind = "fd00::5".parse().unwrap(), s.portal_port = 80).0), "http://[fd00::5]");
    }

    /// A name below `localhost` is, on each device, that device.
    #[test]
    fn another_device_of_the_home_finds_both_by_the_server_s_address() {
        let lan = Ipv4Addr::new(192, 168, 1, 10);
        let url = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::defaults("/paas");
            change(&mut settings);
            let app = settings.app_url_elsewhere(&format!("a-b.{}", settings.domain), lan);
            let shown = |url: Option<String>| url.unwrap_or_else(|| "-".to_owned());
            (shown(app), shown(settings.portal_url_elsewhere(lan)))
        };
        let both = |app: &str, portal: &str| (app.to_owned(), portal.to_owned());
        let usual = both("http://a-b.192.168.1.10.nip.io:8080/", "http://192.168.1.10:8080");
        assert_eq!(url(&|_| {}), usual);
        assert_eq!(url(&|s| s.domain = "home.localhost".to_owned()), usual);
        assert_eq!(url(&|s| s.gateway_bind = [192, 168, 1, 10].into()), usual);
        assert_eq!(url(&|s| s.gateway_bind = [127, 0, 0, 1].into()), both("-", "-"));
        assert_eq!(url(&|s| s.gateway_port = 80), both("http://a-b.192.168.1.10.nip.io/", "http://192.168.1.10"));
        assert_eq!(url(&|s| s.domain = "home.example.org".to_owned()), both("-", "-"));
        assert_eq!(url(&|s| s.public_url = "https://home.example.org".parse().ok()), both("-", "-"));
        let app = "http://a-b.192.168.1.10.nip.io:8080/";
        assert_eq!(url(&|s| s.portal_on_gateway = false), both(app, "-"));
        assert_eq!(url(&|s| s.portal_cookie_secure = Some(true)), both(app, "-"));
        let own_port = |s: &mut Settings| (s.routing, s.portal_bind) = (Routing::Direct, [0, 0, 0, 0].into());
        assert_eq!(url(&own_port), both("-", "http://192.168.1.10:3000"));
    }
}
