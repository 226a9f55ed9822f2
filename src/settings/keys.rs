//! Every setting: its key, what it accepts, where its value goes.

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::told::Written as _;
use crate::model::manifest::{MIN_CPUS, MIN_MEMORY};
use crate::model::memory::MemoryReserve;
use crate::model::proxy::{CertificatePolicy, is_forward_host};
use crate::model::{Audience, Bytes, Cidr, MilliCpus, Routing, Settings, Sleep, Visitors, cron};

/// When a changed value is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    AtOnce,
    /// The running value stays until the daemon is started again.
    Restart,
}

/// What a path in a setting starts from.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// Absolute; relative paths start here.
    pub(super) folder: &'a Path,
    /// What a leading `$PAAS_ROOT` stands for.
    pub(super) root: &'a Path,
}

pub(super) struct Key {
    pub(super) name: &'static str,
    /// Completes "write …".
    pub(super) accepted: &'static str,
    pub(super) takes: Takes,
    /// Puts a value into the settings, or refuses it.
    pub(super) put: fn(&mut Settings, &str, At<'_>) -> Option<()>,
    /// Copies the value from other settings.
    pub(super) copy: fn(&mut Settings, &Settings),
    pub(super) same: fn(&Settings, &Settings) -> bool,
    /// The value as it would be written.
    pub(super) written: fn(&Settings) -> String,
}

macro_rules! key {
    ($name:literal, $field:ident, $takes:ident, $accepted:literal, $read:expr) => {
        Key {
            name: $name,
            accepted: $accepted,
            takes: Takes::$takes,
            put: |settings, text, at| {
                let read: fn(&str, At<'_>) -> Option<_> = $read;
                settings.$field = read(text, at)?;
                Some(())
            },
            copy: |to, from| to.$field = from.$field.clone(),
            same: |a, b| a.$field == b.$field,
            written: |settings| settings.$field.written(),
        }
    };
}

/// The root comes first: the other folders' defaults depend on it.
pub(super) const ROOT: Key = key!("PAAS_ROOT", root, Restart, "the path of a folder, for example `/paas`", path);

pub(super) const KEYS: [Key; 46] = [
    key!("PAAS_DOMAIN", domain, AtOnce, "a host name without port, for example `home.example.org`", |text, _| {
        domain(text)
    }),
    key!(
        "PAAS_PUBLIC_URL",
        public_url,
        AtOnce,
        "the portal's address as people type it, without a path, for example `https://my.example.org`, or nothing for what \
         follows from PAAS_DOMAIN and PAAS_GATEWAY_PORT",
        |text, _| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    ),
    key!("PAAS_MANIFESTS_DIR", manifests_dir, Restart, "the path of a folder, for example `/paas/apps.d`", path),
    key!("PAAS_APPS_DIR", apps_dir, Restart, "the path of a folder, for example `/paas/apps`", path),
    key!("PAAS_TEMPLATES_DIR", templates_dir, Restart, "the path of a folder, for example `/paas/templates`", path),
    key!("PORTAL_PORT", portal_port, Restart, "a port from 1 to 65535, for example `3000`", |text, _| port(text)),
    key!("PORTAL_BIND", portal_bind, Restart, "an IP address, for example `127.0.0.1`", |text, _| exact::<IpAddr>(
        text
    )),
    key!(
        "PORTAL_HOSTS",
        portal_hosts,
        AtOnce,
        "host names without port with commas between them, for example `paas.example.org`, or nothing",
        |text, _| hosts(text)
    ),
    key!("PORTAL_ON_GATEWAY", portal_on_gateway, AtOnce, "`yes` or `no`", |text, _| yes_or_no(text)),
    key!(
        "PORTAL_API_KEY",
        portal_api_key,
        AtOnce,
        "16 to 256 random letters, digits and signs without spaces, for example of `openssl rand -hex 24`, or nothing to switch it off",
        |text, _| {
            // It opens everything, so whoever guesses it has everything.
            let fits = text.is_empty() || (16..=256).contains(&text.len());
            (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
        }
    ),
    key!(
        "PORTAL_DB_PATH",
        portal_db_path,
        Restart,
        "the path of a file, for example `/paas/portal-data/portal.sqlite3`",
        path
    ),
    key!(
        "SESSION_COOKIE_NAME",
        session_cookie_name,
        AtOnce,
        "up to 64 letters, digits, `-`, `_` and `.`, not beginning with `__`, for example `paas_portal_session`",
        // Browsers attach conditions to `__Host-` and its like, and drop a cookie that does not meet them.
        |text, _| charset(text, 64, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            .filter(|s| !s.starts_with("__"))
    ),
    key!("SESSION_TTL_HOURS", session_ttl_hours, AtOnce, "hours from 1 to 87600, for example `168`", |text, _| {
        within(text, 1, 87_600)
    }),
    key!(
        "PORTAL_COOKIE_SECURE",
        portal_cookie_secure,
        AtOnce,
        "`yes`, `no`, or nothing for what follows from PAAS_PUBLIC_URL",
        |text, _| if text.is_empty() { Some(None) } else { yes_or_no(text).map(Some) }
    ),
    key!("BCRYPT_ROUNDS", bcrypt_rounds, AtOnce, "a whole number from 4 to 15, for example `10`", |text, _| {
        within(text, 4, 15)
    }),
    key!("DEFAULT_MEM_LIMIT", mem_limit, AtOnce, "a size of 6m or more, for example `256m`", |text, _| {
        exact(text).filter(|bytes: &Bytes| *bytes >= MIN_MEMORY)
    }),
    key!(
        "DEFAULT_CPU_LIMIT",
        cpu_limit,
        AtOnce,
        "a number of cores from 0.01 on with at most three decimals, for example `0.5`",
        |text, _| exact(text).filter(|cpus: &MilliCpus| *cpus >= MIN_CPUS)
    ),
    key!("DEFAULT_PIDS_LIMIT", pids_limit, AtOnce, "a whole number from 1 on, for example `128`", |text, _| {
        within(text, 1, u32::MAX)
    }),
    key!("DEFAULT_DISK_LIMIT", disk_limit, AtOnce, "a size of 1m or more, for example `1g`", |text, _| {
        exact(text).filter(|bytes: &Bytes| *bytes >= Bytes::mib(1))
    }),
    key!(
        "DEFAULT_RESTART_POLICY",
        restart_policy,
        AtOnce,
        "`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`",
        |text, _| exact(text)
    ),
    key!(
        "RUNTIME_IMAGE",
        runtime_image,
        AtOnce,
        "an image reference, for example `my-paas-node-runtime:latest`",
        |text, _| { image(text) }
    ),
    key!(
        "RUNTIME_BASE_IMAGE",
        runtime_base_image,
        AtOnce,
        "an image reference, for example `node:24-alpine`",
        |text, _| { image(text) }
    ),
    key!(
        "PAAS_NETWORK",
        network,
        AtOnce,
        "a network name of up to 63 letters, digits, `-`, `_` and `.`, for example `paas-proxy`",
        |text, _| network(text)
    ),
    key!(
        "PAAS_NETWORK_SUBNET",
        network_subnet,
        AtOnce,
        "an IPv4 network from /8 to /29, for example `172.30.0.0/24`, or nothing for one that is free",
        |text, _| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    ),
    key!("PAAS_APP_INTERNET", app_internet, AtOnce, "`yes` or `no`", |text, _| yes_or_no(text)),
    key!("PAAS_APP_LAN", app_lan, AtOnce, "`yes` or `no`", |text, _| yes_or_no(text)),
    key!("MAX_APPS_PER_USER", max_apps_per_user, AtOnce, "a whole number up to 1000000, for example `5`", |text, _| {
        within(text, 0, 1_000_000)
    }),
    key!("MAX_TOTAL_APPS", max_total_apps, AtOnce, "a whole number up to 1000000, for example `20`", |text, _| {
        within(text, 0, 1_000_000)
    }),
    key!(
        "PUBLISH_MAX_FILES",
        publish_max_files,
        AtOnce,
        "a whole number from 1 to 100000, for example `5000`",
        |text, _| within(text, 1, 100_000)
    ),
    key!("PUBLISH_MAX_BYTES", publish_max_bytes, AtOnce, "a size from 1m to 1g, for example `100m`", |text, _| {
        exact(text).filter(|bytes: &Bytes| (Bytes::mib(1)..=Bytes(Bytes::GIB)).contains(bytes))
    }),
    key!("PAAS_ROUTING", routing, Restart, "`gateway` or `direct`", |text, _| match text {
        "gateway" => Some(Routing::Gateway),
        "direct" => Some(Routing::Direct),
        _ => None,
    }),
    key!("PAAS_GATEWAY_PORT", gateway_port, Restart, "a port from 1 to 65535, for example `8080`", |text, _| port(
        text
    )),
    key!("PAAS_GATEWAY_BIND", gateway_bind, Restart, "an IP address, for example `0.0.0.0`", |text, _| {
        exact::<IpAddr>(text)
    }),
    key!(
        "PAAS_TRUSTED_PROXIES",
        trusted_proxies,
        AtOnce,
        "addresses or ranges with commas between them, for example `172.18.0.0/16, 192.168.0.10`, or nothing; never all of them (`/0`)",
        |text, _| proxies(text)
    ),
    key!(
        "PAAS_TUNNEL_IDLE",
        tunnel_idle,
        AtOnce,
        "a time from 10s to 168h as a whole number with its unit, for example `90s`, `30m` or `1h`",
        |text, _| duration(text).filter(|time| (10..=168 * 3600).contains(&time.as_secs()))
    ),
    key!(
        "BACKUP_SCHEDULE",
        backup_schedule,
        AtOnce,
        "five cron fields (minute hour day month weekday), for example `0 3 * * *`",
        |text, _| cron::check(text).is_ok().then(|| text.to_owned())
    ),
    key!("BACKUP_KEEP", backup_keep, AtOnce, "a whole number from 1 to 1000, for example `7`", |text, _| {
        within(text, 1, 1000)
    }),
    key!("DEFAULT_VISITORS", visitors, AtOnce, "`everyone`, `guests` or `owner`", |text, _| {
        Audience::of(text).map(Visitors::both)
    }),
    key!(
        "DEFAULT_SLEEP_AFTER",
        sleep,
        AtOnce,
        "`never`, or a time from 10s to 168h as a whole number with its unit, for example `30m`",
        |text, _| exact::<Sleep>(text)
    ),
    key!(
        "PAAS_MEMORY_RESERVE",
        memory_reserve,
        AtOnce,
        "a part of the machine from `0%` to `90%`, for example `10%`, or a size, for example `512m`",
        |text, _| exact::<MemoryReserve>(text)
    ),
    key!(
        "NPM_URL",
        npm_url,
        AtOnce,
        "the address of Nginx Proxy Manager's own page in this network, for example `http://192.168.1.10:81`, or nothing",
        |text, _| npm_url(text)
    ),
    key!(
        "NPM_IDENTITY",
        npm_identity,
        AtOnce,
        "the e-mail address of a user in Nginx Proxy Manager, for example `minipaas@example.org`, or nothing",
        |text, _| (text.len() <= 254 && text.chars().all(|c| c.is_ascii_graphic())).then(|| text.to_owned())
    ),
    key!(
        "NPM_SECRET_FILE",
        npm_secret_file,
        AtOnce,
        "the path of a file with that user's password, for example `/paas/npm-secret`, or nothing",
        |text, at| if text.is_empty() { Some(None) } else { path(text, at).map(Some) }
    ),
    key!(
        "NPM_FORWARD_HOST",
        npm_forward_host,
        AtOnce,
        "the address at which Nginx Proxy Manager reaches the gateway, for example `192.168.1.10`, never `localhost`, or nothing",
        |text, _| if text.is_empty() { Some(None) } else { is_forward_host(text).then(|| Some(text.to_owned())) }
    ),
    key!(
        "NPM_CERTIFICATE",
        npm_certificate,
        AtOnce,
        "`auto`, `existing`, `none`, or the number of a certificate in Nginx Proxy Manager",
        |text, _| match text {
            "auto" | "" => Some(CertificatePolicy::Auto),
            "existing" => Some(CertificatePolicy::Existing),
            "none" => Some(CertificatePolicy::None),
            number => within(number, 1, u32::MAX).map(|number| CertificatePolicy::Number(number.into())),
        }
    ),
    key!("TRASH_DAYS", trash_days, AtOnce, "days from 1 to 3650, for example `7`", |text, _| within(text, 1, 3650)),
];

/// Values of these keys are never shown.
pub(super) const SECRET: [&str; 1] = ["PORTAL_API_KEY"];

fn exact<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `true` and `false` say the same: every switch takes both.
fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

fn within(text: &str, least: u32, most: u32) -> Option<u32> {
    // `parse` alone would accept a leading `+`.
    let number: u32 = text.bytes().all(|b| b.is_ascii_digit()).then(|| exact(text))??;
    (least..=most).contains(&number).then_some(number)
}

/// A whole number of seconds, minutes or hours.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    within(number, 0, 1_000_000).map(|number| Duration::from_secs(u64::from(number) * seconds))
}

fn port(text: &str) -> Option<u16> {
    within(text, 1, u32::from(u16::MAX)).and_then(|port| u16::try_from(port).ok())
}

/// Without a slash at the end.
fn npm_url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let text = text.trim_end_matches('/');
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let authority = rest.split('/').next()?;
    let (host, port_text) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let fits = host.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }) && port_text.is_none_or(|text| port(text).is_some());
    let is_plain =
        text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_".contains(&byte));
    (fits && is_plain).then(|| text.to_owned())
}

fn charset(text: &str, most: usize, accepts: impl Fn(char) -> bool) -> Option<String> {
    ((1..=most).contains(&text.len()) && text.chars().all(accepts)).then(|| text.to_owned())
}

/// None in an empty text.
fn proxies(text: &str) -> Option<Vec<Cidr>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    // Whoever is believed says where a visitor is: everybody believed is nobody checked.
    text.split(',').map(|range| exact(range.trim()).filter(|range: &Cidr| !range.is_everything())).collect()
}

/// None in an empty text.
fn hosts(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|name| domain(name.trim())).collect()
}

/// Lower-cased: host names are compared without regard to case. At most 201 bytes, so that `{userid}-{appname}.` still
/// fits into the 253 of a host name.
fn domain(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A last label of digits makes an IP address of it, below which no names exist.
    let last_is_name = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    (text.len() <= 201 && text.split('.').all(label) && last_is_name).then_some(text)
}

/// Docker's own rule for names, minus nothing.
fn network(text: &str) -> Option<String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    // Docker's predefined networks can be neither created nor restricted.
    let predefined = matches!(text, "bridge" | "host" | "none" | "default");
    charset(text, 63, |c| c.is_ascii_alphanumeric() || "-_.".contains(c)).filter(|_| first && !predefined)
}

/// `[host[:port]/]path[:tag][@sha256:…]`, as far as its characters go; whether it exists is Docker's to say.
fn image(text: &str) -> Option<String> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let digest_ok = digest.is_none_or(|digest| {
        digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    // A colon after the last slash starts the tag; one before it belongs to the registry's port.
    let after_slash = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[after_slash..].split_once(':') {
        Some((last, tag)) => (&name[..after_slash + last.len()], Some(tag)),
        None => (name, None),
    };
    let tag_ok = tag.is_none_or(|tag| {
        charset(tag, 128, |c| c.is_ascii_alphanumeric() || "-_.".contains(c)).is_some() && !tag.starts_with(['-', '.'])
    });
    let segments: Vec<&str> = path.split('/').collect();
    let segment_ok = |segment: &str| {
        !segment.is_empty()
            && segment.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
            && segment.starts_with(|c: char| c.is_ascii_alphanumeric())
            && segment.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let host_ok = |host: &str| {
        let (host, port_text) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
            && port_text.is_none_or(|text| port(text).is_some())
    };
    let path_ok = match segments.split_first() {
        Some((only, [])) => segment_ok(only),
        Some((first, rest)) => (host_ok(first) || segment_ok(first)) && rest.iter().all(|segment| segment_ok(segment)),
        None => false,
    };
    (text.len() <= 255 && digest_ok && tag_ok && path_ok).then(|| text.to_owned())
}

/// Absolute, with `.` and `..` taken out by name: the value may name a folder that does not exist yet. `$PAAS_ROOT` may
/// stand in front, as in `.env.example`; no other variable is filled in, and taking it for a name would surprise.
fn path(text: &str, at: At<'_>) -> Option<PathBuf> {
    let below_root = ["$PAAS_ROOT/", "${PAAS_ROOT}/"].iter().find_map(|variable| text.strip_prefix(variable));
    let (folder, text) = below_root.map_or((at.folder, text), |rest| (at.root, rest));
    if text.is_empty() || text.contains(['\0', '$']) {
        return None;
    }
    let mut absolute = PathBuf::new();
    for component in folder.join(text).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                absolute.pop();
            }
            other => absolute.push(other),
        }
    }
    absolute.is_absolute().then_some(absolute)
}
