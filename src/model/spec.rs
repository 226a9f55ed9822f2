//! What an app becomes: the resolved specification, and the container Docker is asked for (SPEC §5).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_name::DomainName;
use super::labels::{self, InstanceId};
use super::manifest::{OnHang, Strategy};
use super::names::{AppKey, TemplateId};
use super::template::Template;
use super::units::{Bytes, Digest, MilliCpus, RestartPolicy, Seconds};
use super::version::{Code, VersionId};

/// The unprivileged user that apps run as and that owns `data/`. Above the range of ordinary accounts, so it never is a
/// person's.
pub const APP_UID: u32 = 10_001;
pub const APP_GID: u32 = 10_001;

/// Seconds an app gets between SIGTERM and SIGKILL.
pub const STOP_GRACE_SECONDS: u32 = 10;

/// What can be changed on a running container without a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Memory and swap together: the limit is real.
    pub memory: Bytes,
    pub cpus: MilliCpus,
    pub pids: u32,
}

/// One app with every default filled in: nothing is looked up after this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    pub key: AppKey,
    /// Host name it answers at.
    pub host: String,
    /// Further ones. No part of the identity: only labels tell of them.
    pub domains: Vec<DomainName>,
    pub template: Template,
    /// Reference of the image, not its id.
    pub image: String,
    pub env: BTreeMap<String, String>,
    pub limits: Limits,
    pub restart: RestartPolicy,
    pub on_hang: OnHang,
    /// Without a visitor for so long it sleeps. `None`: never.
    pub sleep: Option<Seconds>,
    pub network: String,
    /// The working copy of the code.
    pub app_dir: PathBuf,
    /// Where the checkouts of versions are.
    pub versions_dir: PathBuf,
    /// What of them is mounted on `/app`, read-only.
    pub code: Code,
    /// Mounted on `/data`, writable.
    pub data_dir: PathBuf,
    pub redeploy: Option<String>,
    pub strategy: Strategy,
    /// How long a new container may take until it answers.
    pub start_timeout: Seconds,
    /// Soft quota on `data_dir`.
    pub disk: Bytes,
    /// Digest of the manifest this was resolved from.
    pub digest: Digest,
}

/// Versioned hash over everything whose change needs a new container.
///
/// Only chosen fields go in, so an upgrade of the daemon restarts nothing. Limits and the restart policy are left out:
/// they are compared on the inspected container and changed in place. The image's id is compared there as well. What only the
/// daemon does, such as `on_hang`, is no part of a container at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    #[must_use]
    pub fn from_label(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AppSpec {
    #[must_use]
    pub fn template_id(&self) -> &TemplateId {
        &self.template.id
    }

    /// The folder that is mounted on `/app`.
    #[must_use]
    pub fn mounted_code(&self) -> PathBuf {
        match &self.code {
            Code::Version(_) if planted!(VersionIsLive) => self.app_dir.clone(),
            Code::Version(version) => self.versions_dir.join(version.as_str()),
            Code::Live | Code::Due => self.app_dir.clone(),
        }
    }

    #[must_use]
    pub fn version(&self) -> Option<&VersionId> {
        match &self.code {
            Code::Version(version) => Some(version),
            Code::Live | Code::Due => None,
        }
    }

    /// See [`Identity`]. Fields are written length-prefixed, so no two specifications share an encoding.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut text = String::with_capacity(1024);
        // Without the formatter: every look at an app asks several times.
        let mut field = |name: &str, value: &str| {
            for part in [name, ":", &value.len().to_string(), ":", value, "\n"] {
                text.push_str(part);
            }
        };
        field("host", &self.host);
        field("image", &self.image);
        field("network", &self.network);
        field("app", &self.mounted_code().to_string_lossy());
        if self.code == Code::Due {
            field("code", "due"); // no container has this identity
        }
        field("data", &self.data_dir.to_string_lossy());
        field("port", &self.template.internal_port.to_string());
        field("redeploy", self.redeploy.as_deref().unwrap_or(""));
        for (name, value) in self.env.iter().filter(|_| !planted!(EnvIgnored)) {
            field("env", name);
            field("value", value);
        }
        Identity(format!("v1:{}", Digest::of(text.as_bytes()).short()))
    }

    /// The container to ask Docker for, under the given name.
    #[must_use]
    pub fn container(&self, name: String, instance: &InstanceId) -> ContainerSpec {
        ContainerSpec {
            name,
            image: self.image.clone(),
            hostname: self.key.to_string(),
            labels: labels::for_app(&self.key, (&self.host, &self.domains), instance, &self.identity(), self.version()),
            env: self.env.clone(),
            command: vec!["node".to_owned(), "server.js".to_owned()],
            working_dir: "/app".to_owned(),
            user: format!("{APP_UID}:{APP_GID}"),
            mounts: vec![
                Mount { source: self.mounted_code(), target: "/app".to_owned(), access: Access::ReadOnly },
                Mount { source: self.data_dir.clone(), target: "/data".to_owned(), access: Access::ReadWrite },
            ],
            tmpfs: vec![("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=16m,mode=1777".to_owned())],
            limits: self.limits,
            restart: self.restart,
            network: self.network.clone(),
            address: None,
            port: self.template.internal_port,
            stop_grace_seconds: STOP_GRACE_SECONDS,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: PathBuf,
    pub target: String,
    pub access: Access,
}

/// A container, complete. Both the Docker engine and the generated `docker-compose.yml` are written from this value.
///
/// Always in force besides these fields: read-only root, all capabilities dropped, `no-new-privileges`, [`SECCOMP`],
/// [`ULIMITS`], [`SHM_SIZE`], [`OOM_SCORE`], `init`, json-file logs of 3 × 10 MB, no published port. None of it is part of [`Identity`]:
/// what an upgrade adds here, an app gets with its next container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    pub name: String,
    pub image: String,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    pub env: BTreeMap<String, String>,
    pub command: Vec<String>,
    pub working_dir: String,
    pub user: String,
    pub mounts: Vec<Mount>,
    /// Path and mount options.
    pub tmpfs: Vec<(String, String)>,
    pub limits: Limits,
    pub restart: RestartPolicy,
    pub network: String,
    /// Its own on that network; `None` leaves it to Docker, which gives it to somebody else as soon as the container stops.
    pub address: Option<Ipv4Addr>,
    pub port: u16,
    pub stop_grace_seconds: u32,
}

/// json-file log rotation of every app.
pub const LOG_MAX_SIZE: &str = "10m";
pub const LOG_MAX_FILE: &str = "3";

/// The system calls that an app may make, in Docker's own format: everything else is refused with `EPERM`. Given instead of
/// Docker's default, which differs from version to version (20.10 lets `io_uring` and `AF_VSOCK` through) and is meant for
/// programs of all kinds, 32-bit ones as well. An app is Node with what it loads.
///
/// Sockets are allowed by family and protocol rather than refused by family: another one that the kernel learns stays closed,
/// and opening one loads no module of the kernel.
pub const SECCOMP: &str = include_str!("seccomp.json");

/// The name of [`SECCOMP`]'s file beside `docker-compose.yml`: Compose takes a profile from a file only.
pub const SECCOMP_FILE: &str = "seccomp.json";

/// A limit of every process of an app. The soft one is in force until the process raises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    pub name: &'static str,
    pub soft: u32,
    pub hard: u32,
}

/// Open files: two for each of some thousand visitors. No core files: they would hold what the app had in memory, and are
/// written by the kernel to wherever the host says.
pub const ULIMITS: [Ulimit; 2] =
    [Ulimit { name: "nofile", soft: 4096, hard: 8192 }, Ulimit { name: "core", soft: 0, hard: 0 }];

/// `oom_score_adj`: when the machine has no memory left the kernel chooses an app, before Docker (-500 in its own unit), the daemon or
/// anything else. Docker allows to raise it everywhere, rootless as well.
pub const OOM_SCORE: i64 = 300;

/// `/dev/shm`, as much as `/tmp`. Docker's own figure is 64 MiB, more than some app's whole memory.
pub const SHM_SIZE: Bytes = Bytes::mib(16);
