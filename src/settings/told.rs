//! The settings in force as they would be written, each with where it comes from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::{SECRET, Takes};
use super::{SettingsSource, all_keys};
use crate::model::memory::MemoryReserve;
use crate::model::proxy::CertificatePolicy;
use crate::model::{Bytes, Cidr, MilliCpus, PublicUrl, RestartPolicy, Routing, Settings, Sleep, Subnet, Visitors};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// 1-based.
    File {
        line: u32,
    },
    /// It wins over the file.
    Environment,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    pub name: &'static str,
    /// `None` for a secret.
    pub value: Option<String>,
    pub origin: Origin,
    /// A change waits for a restart.
    pub restart: bool,
}

/// Every setting as it is in force. Blocks for the time of reading a small file; what is in the file and not in force yet (refused,
/// or waiting for a restart) is the status's to tell.
#[must_use]
pub fn in_force(settings: &Settings, source: Option<&SettingsSource>) -> Vec<InForce> {
    let origins = source.map(SettingsSource::origins).unwrap_or_default();
    let told = all_keys().map(|key| InForce {
        name: key.name,
        value: (!SECRET.contains(&key.name)).then(|| (key.written)(settings)),
        origin: origins.get(key.name).copied().unwrap_or(Origin::Default),
        restart: key.takes == Takes::Restart,
    });
    told.collect()
}

impl SettingsSource {
    /// Of what is set at all.
    fn origins(&self) -> BTreeMap<&'static str, Origin> {
        let lines = self.lines();
        let line = |name: &str| lines.iter().find(|(key, _)| key == name).map(|(_, line)| Origin::File { line: *line });
        let found = all_keys().filter_map(|key| {
            let is_set = self.variable(key.name).is_some_and(|value| !value.is_empty());
            let origin = if is_set { Some(Origin::Environment) } else { line(key.name) };
            origin.map(|origin| (key.name, origin))
        });
        found.collect()
    }
}

/// As `.env` has it.
pub(super) trait Written {
    fn written(&self) -> String;
}

macro_rules! as_displayed {
    ($($type:ty),*) => { $(impl Written for $type { fn written(&self) -> String { self.to_string() } })* };
}

as_displayed!(
    String,
    u16,
    u32,
    IpAddr,
    Bytes,
    MilliCpus,
    RestartPolicy,
    Cidr,
    PublicUrl,
    Subnet,
    Visitors,
    CertificatePolicy,
    MemoryReserve
);

impl Written for bool {
    fn written(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Written for PathBuf {
    fn written(&self) -> String {
        self.display().to_string()
    }
}

impl Written for Sleep {
    fn written(&self) -> String {
        self.after().map_or_else(|| "never".to_owned(), |after| after.to_string())
    }
}

impl Written for Routing {
    fn written(&self) -> String {
        match self {
            Self::Gateway => "gateway",
            Self::Direct => "direct",
        }
        .to_owned()
    }
}

impl Written for Duration {
    fn written(&self) -> String {
        match self.as_secs() {
            seconds if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            seconds => format!("{seconds}s"),
        }
    }
}

impl<T: Written> Written for Option<T> {
    fn written(&self) -> String {
        self.as_ref().map(Written::written).unwrap_or_default()
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> String {
        self.iter().map(Written::written).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::settings::keys::At;

    #[test]
    fn what_is_told_can_be_written_and_says_the_same() {
        let mut settings = Settings::defaults("/paas");
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "192.168.0.10".parse().unwrap()];
        settings.tunnel_idle = Duration::from_secs(90);
        settings.public_url = Some("https://my.example.org".parse().unwrap());
        let at = At { folder: Path::new("/paas"), root: Path::new("/paas") };
        for key in all_keys() {
            let mut read = settings.clone();
            let text = (key.written)(&settings);
            assert!((key.put)(&mut read, &text, at).is_some(), "{}={text}", key.name);
            assert!((key.same)(&read, &settings), "{}={text}", key.name);
        }
    }

    #[test]
    fn each_says_where_it_comes_from_and_a_secret_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        let text = b"# mine\nTRASH_DAYS=3\nBACKUP_KEEP=9\nPORTAL_API_KEY=0123456789abcdefg\n";
        std::fs::File::create(&file).unwrap().write_all(text).unwrap();
        let env = Arc::new(|name: &str| (name == "BACKUP_KEEP").then(|| "5".to_owned()));
        let source = SettingsSource::new(file, folder.path().to_owned(), env);
        let (settings, problems) = source.read();
        assert!(problems.is_empty());
        let told = in_force(&settings, Some(&source));
        let of = |name: &str| {
            let one = told.iter().find(|one| one.name == name).unwrap();
            (one.value.as_deref(), one.origin)
        };
        assert_eq!(of("TRASH_DAYS"), (Some("3"), Origin::File { line: 2 }));
        assert_eq!(of("BACKUP_KEEP"), (Some("5"), Origin::Environment));
        assert_eq!(of("PORTAL_API_KEY"), (None, Origin::File { line: 4 }));
        assert_eq!(of("PAAS_DOMAIN"), (Some("localhost"), Origin::Default));
    }
}
