//! The daemon's honest answer to "how is it?" (DESIGN rule 11).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnosis::Diagnosis;
use super::domain_name::DomainName;
use super::inventory::Restored;
use super::manifest::RunState;
use super::names::{AppKey, TemplateId};
use super::observed::{ContainerId, EngineInfo};
use super::preview::PreviewStatus;
use super::proxy::ProxyStatus;
use super::settings::Settings;
use super::spec::Limits;
use super::units::{Digest, Timestamp};
use super::version::VersionId;
use super::visitors::Visitors;

/// Whether the world equals the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub enum SyncState {
    Synced,
    OutOfSync,
    /// Deliberately not acted upon: a vanished file within its grace, a held mass deletion, a quota, a conflict.
    Held,
    /// The file cannot be used; the last good version stays in force.
    Invalid,
}

/// How the app itself is doing, apart from whether it is what the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub enum Health {
    /// Not looked at yet, or Docker cannot be asked.
    Unknown,
    /// Runs and answers.
    Running,
    /// Runs but has not answered yet, or is about to be created.
    Starting,
    /// Not running, as wanted.
    Stopped,
    /// Not running because nobody comes; the next request wakes it.
    Asleep,
    /// Keeps ending by itself.
    CrashLoop,
    /// Runs but does not answer, or ended and stays down although it should run.
    Degraded,
    /// Removed as asked.
    Deleted,
}

/// Stable kinds of conditions; their names are part of the API.
///
/// **The order here is their precedence**, the only place where it is laid down: conditions are listed in it, and where
/// there is room for one reason only (a line of the overview, the message of `Ready`) the first that holds is told. What
/// explains the others comes before them: first what is about to be lost, then what hides the world, what keeps the
/// manifest from being taken up, what stands in the way of a container, how the app itself is doing, and last what it can
/// live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ConditionKind {
    /// The verdict; never itself the reason for anything.
    Ready,
    // About to be lost.
    RemovalHeld,
    Tombstone,
    // The world cannot be seen.
    ManifestsUnavailable,
    EngineUnreachable,
    // The manifest is not taken up.
    Invalid,
    TemplateMissing,
    QuotaExceeded,
    // No container can be made, or not this one.
    Conflict,
    ImageMissing,
    NetworkMissing,
    NotEnoughMemory,
    StepFailed,
    // How the app is doing.
    CrashLoop,
    NotAnswering,
    DeployFailed,
    // It runs all the same.
    WaitsToMove,
    DomainTaken,
    DiskPressure,
    BackupFailed,
    LimitsNotEnforced,
}

/// One thing worth knowing. `message` is written so that a beginner can act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// `true`, except for `Ready`, which also is reported when it does not hold.
    pub status: bool,
    /// One word in PascalCase for programs.
    pub reason: String,
    pub message: String,
    /// Digest of the manifest this was observed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When `status` or `reason` last changed.
    pub since: Timestamp,
}

/// Where a running app can be reached from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    pub container: ContainerId,
    pub ip: IpAddr,
    pub port: u16,
}

/// How the last run of the app's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    pub code: i64,
    pub oom_killed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The last lines the app wrote, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// A change that was given up while the previous container went on serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployFailure {
    pub at: Timestamp,
    pub reason: String,
    /// The last lines that the new container wrote, oldest first. They are in `logs/deploy.log` as well.
    pub log: Vec<String>,
}

/// Of an app that may sleep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SleepStatus {
    /// Without a visitor for so long it sleeps, in seconds.
    pub after_seconds: u32,
    /// Since when it sleeps; absent while it is awake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How often it was woken since the daemon began.
    pub wakes: u64,
    /// What woke it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_by: Option<WokenBy>,
}

/// What woke an app: nothing that tells who it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WokenBy {
    pub at: Timestamp,
    /// The request's path without what was asked of it; absent where no request did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What the program calls itself that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// One app, as the daemon last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    pub app: AppKey,
    pub sync: SyncState,
    pub health: Health,
    pub desired: RunState,
    /// `None` until a usable manifest was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    /// Host name it answers at.
    pub host: String,
    /// Digest of the file on disk; `None` when there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<Digest>,
    /// Digest of the manifest that the world was last made equal to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The version of its code that the container has; `None` for the working copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Set exactly while requests can be sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    pub restarts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// What is wrong with an app that does not come up, or whose last change was given up, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// How long a new container may take until it answers, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_seconds: Option<u32>,
    /// Set exactly while the condition `DeployFailed` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_deploy: Option<DeployFailure>,
    /// Who may see the site, and who may change something in it.
    #[serde(default)]
    pub visitors: Visitors,
    /// Further host names that it answers at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainName>,
    /// `None`: it never sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepStatus>,
    /// When its data was put back last, and what can be had again by undoing that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    pub conditions: Vec<Condition>,
}

impl AppStatus {
    /// Of an app whose file was just written, before anybody looked at it.
    #[must_use]
    pub fn unseen(app: &AppKey, desired: RunState, file: Option<Digest>, domain: &str) -> Self {
        let (sync, health) = match desired {
            // Nothing is there and nothing is to be.
            RunState::Deleted => (SyncState::Synced, Health::Deleted),
            RunState::Running | RunState::Stopped => (SyncState::OutOfSync, Health::Unknown),
        };
        Self {
            app: app.clone(),
            sync,
            health,
            desired,
            template: None,
            host: app.host(domain),
            file_digest: file,
            applied_digest: None,
            container: None,
            version: None,
            endpoint: None,
            limits: None,
            restarts: 0,
            started_at: None,
            last_exit: None,
            diagnosis: None,
            start_timeout_seconds: None,
            failed_deploy: None,
            visitors: Visitors::EVERYONE,
            domains: Vec::new(),
            sleep: None,
            restored: None,
            conditions: Vec::new(),
        }
    }

    #[must_use]
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The file on disk is what runs, and it runs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.condition(ConditionKind::Ready).is_some_and(|condition| condition.status)
    }
}

/// Where the daemon's files are: only a restart changes it, whatever `.env` says meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonFolders {
    pub root: PathBuf,
    pub manifests: PathBuf,
    pub apps: PathBuf,
    pub templates: PathBuf,
}

impl DaemonFolders {
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            root: settings.root.clone(),
            manifests: settings.manifests_dir.clone(),
            apps: settings.apps_dir.clone(),
            templates: settings.templates_dir.clone(),
        }
    }

    /// Takes the place of what settings say about them.
    pub fn put_into(self, settings: &mut Settings) {
        let Self { root, manifests, apps, templates } = self;
        (settings.root, settings.manifests_dir) = (root, manifests);
        (settings.apps_dir, settings.templates_dir) = (apps, templates);
    }
}

/// State of the connection to Docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum EngineStatus {
    /// Not asked yet.
    Connecting,
    Connected {
        info: EngineInfo,
    },
    Unreachable {
        reason: String,
        since: Timestamp,
    },
    /// Too old or too new for this version of the PaaS.
    Unsupported {
        reason: String,
    },
}

/// State of the shared runtime image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ImageStatus {
    Unknown,
    Building {
        step: String,
        since: Timestamp,
    },
    /// `built` tells an image made by the daemon from one the operator brought.
    Ready {
        id: String,
        built: bool,
    },
    Failed {
        reason: String,
        log: Vec<String>,
        since: Timestamp,
    },
}

/// State of the manifests folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ManifestsStatus {
    Unknown,
    Complete,
    /// Repairs go on, removals are forbidden.
    Unavailable {
        reason: String,
        since: Timestamp,
    },
}

/// State of the daemon's own database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum DatabaseStatus {
    #[default]
    Usable,
    /// Nobody can sign in, and nothing is done that has to be written down first. Apps that run keep running.
    Unusable { reason: String, since: Timestamp },
}

/// A mass deletion that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldRemoval {
    /// What `paas confirm` must repeat: it names exactly this set of apps.
    pub token: String,
    pub apps: Vec<AppKey>,
    pub message: String,
    pub since: Timestamp,
}

/// A file in `apps.d` that is no app: a bad name, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileProblem {
    pub file: String,
    pub message: String,
}

/// Everything the daemon knows, published as one value after every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    pub version: String,
    /// `None` before the daemon has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folders: Option<DaemonFolders>,
    pub engine: EngineStatus,
    pub manifests: ManifestsStatus,
    #[serde(default)]
    pub database: DatabaseStatus,
    pub image: ImageStatus,
    pub network: NetworkStatus,
    /// The addresses that apps have, as Docker tells them; empty until the network is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_ranges: Vec<String>,
    pub apps: BTreeMap<AppKey, Arc<AppStatus>>,
    /// Of these apps other code is shown beside to their owners.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub previews: BTreeMap<AppKey, Arc<PreviewStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldRemoval>,
    /// Files that are no manifests of an app.
    pub file_problems: Vec<FileProblem>,
    /// Refused lines of `.env`; the last good values stay in force.
    pub settings_problems: Vec<String>,
    /// Changed settings that only a restart of the daemon takes up.
    pub restart_required: Vec<String>,
    /// When the last full pass over everything ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resync: Option<Timestamp>,
    /// Nginx Proxy Manager; `None` where nobody looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyStatus>,
    /// What there is to go back to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backups: Arc<BTreeMap<AppKey, BackupStatus>>,
}

/// An app's backups in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// When the newest was made that nobody has found to be broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When the newest was made that was restored into a folder of its own, and was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Timestamp>,
    /// When that was last done for one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Timestamp>,
    pub count: u64,
    /// All together.
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Why the last attempt failed, or why the newest is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl DaemonStatus {
    /// Before the first look at anything.
    #[must_use]
    pub fn unseen() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            folders: None,
            engine: EngineStatus::Connecting,
            manifests: ManifestsStatus::Unknown,
            database: DatabaseStatus::Usable,
            image: ImageStatus::Unknown,
            network: NetworkStatus::Unknown,
            network_ranges: Vec::new(),
            apps: BTreeMap::new(),
            previews: BTreeMap::new(),
            held: None,
            file_problems: Vec::new(),
            settings_problems: Vec::new(),
            restart_required: Vec::new(),
            last_resync: None,
            proxy: None,
            backups: Arc::default(),
        }
    }
}

/// State of the network that the apps sit on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum NetworkStatus {
    Unknown,
    Ready {
        id: String,
    },
    /// Exists but is not what the settings ask for; running apps keep it.
    Drifted {
        message: String,
    },
    Failed {
        message: String,
    },
}
