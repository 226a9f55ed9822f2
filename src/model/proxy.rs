//! What there is to say of Nginx Proxy Manager (SPEC §15).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Timestamp;

/// How Nginx Proxy Manager is reached, and what it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// Of its API, without a slash at the end: `http://192.168.1.10:81`.
    pub url: String,
    /// Who signs in there.
    pub identity: String,
    /// The file with the password. What is in it is read when it is needed, and kept nowhere.
    pub secret_file: PathBuf,
    /// Where it finds the gateway; `None` for the address that this machine has at home.
    pub forward_host: Option<String>,
    pub certificate: CertificatePolicy,
}

/// Which certificates its hosts get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificatePolicy {
    /// One that is there and covers the names; else a new one of Let's Encrypt, where that needs no access to the DNS.
    #[default]
    Auto,
    /// One that is there and covers the names, or none.
    Existing,
    /// None: it is not the one that speaks TLS.
    None,
    /// This one where it covers the names; else as [`CertificatePolicy::Existing`].
    Number(u64),
}

impl std::fmt::Display for CertificatePolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Existing => f.write_str("existing"),
            Self::None => f.write_str("none"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Nginx Proxy Manager, as the daemon last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyStatus {
    /// Where its API is.
    pub url: String,
    pub state: ProxyState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hosts that are to be there.
    pub hosts: Vec<ProxyHost>,
    /// What is still to be done, in words.
    pub plan: Vec<String>,
    pub conditions: Vec<ProxyCondition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProxyState {
    /// Not asked yet.
    Connecting,
    /// Everything is as it should be.
    Synced,
    /// Something is still to be done.
    OutOfSync,
    /// It does not answer.
    Unreachable,
    /// It answers, and says no.
    Refused,
    /// `NPM_URL` was taken away: its hosts stay as they are, and nobody looks after them.
    Left,
}

/// One host that is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyHost {
    pub names: Vec<String>,
    /// Host and port.
    pub leads_to: String,
    /// Its number there; `None` while it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The number of its certificate; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<u64>,
    pub in_sync: bool,
}

/// One thing worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyCondition {
    #[serde(rename = "type")]
    pub kind: ProxyConditionKind,
    pub message: String,
    pub since: Timestamp,
}

/// Stable words; in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProxyConditionKind {
    /// Its API does not answer.
    ProxyUnreachable,
    /// Its API answers and refuses; the message has its words.
    ProxyRefused,
    /// A host that is not ours has a name: it is left alone.
    NameTaken,
    /// No certificate covers a host's names.
    NoCertificate,
    /// The settings leave nothing to do.
    NothingToDo,
    /// Its hosts are left as they were.
    HostsLeft,
}

/// NPM writes it into nginx' configuration as it is, and takes anything: a host name or an address, and nothing else.
#[must_use]
pub fn is_forward_host(text: &str) -> bool {
    let is_name = (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
    is_name && !["localhost", "127.0.0.1"].contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nginx_would_take_for_more_than_a_host_is_none() {
        for good in ["192.168.1.10", "nas", "host.docker.internal", "my_box.lan"] {
            assert!(is_forward_host(good), "{good}");
        }
        for bad in [
            "",
            "a b",
            "a;",
            "a\"",
            "a\nb",
            "a}",
            "$x",
            "a/b",
            "a:80",
            "-a",
            "a-",
            "a..b",
            "localhost",
            "127.0.0.1",
            "한",
        ] {
            assert!(!is_forward_host(bad), "{bad:?}");
        }
    }
}
