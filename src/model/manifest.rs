//! The manifest: what a person writes about one app (SPEC §4).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain_name::DomainName;
use super::names::{AppKey, TemplateId};
use super::sleep::{Sleep, SleepForm};
use super::units::{Bytes, MilliCpus, RestartPolicy, Seconds};
use super::version::VersionId;
use super::visitors::Visitors;

/// One app, as declared in `apps.d/{userid}-{appname}.yaml`. `None` means "the default from `.env`".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Manifest {
    /// Folder name of the template under `templates/` that the app is made from.
    pub template: TemplateId,
    /// Whether the app's HTTP API is on. Off: static pages only.
    #[serde(default)]
    pub enable_api: bool,
    /// What the app should be doing.
    #[serde(default)]
    pub state: RunState,
    /// Memory limit, swap included; below 6m Docker refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// CPU limit in cores, from 0.01 to as many as the machine has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<MilliCpus>,
    /// Most processes and threads at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pids: Option<u32>,
    /// What is done when the app's process ends, or hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RestartForm>")]
    pub restart: Option<Restart>,
    /// Extra environment variables. Names the platform sets itself are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Any change of this token recreates the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeploy: Option<String>,
    /// Only with `state: deleted`. `false` also gives up the app's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_data: Option<bool>,
    /// When the app's data is backed up, and how many copies are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupPolicy>,
    /// Soft quota on the app's data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Bytes>,
    /// How a new container takes over from the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How long a new container may take until it answers, `1s` to `10m`; then the old one stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<Seconds>,
    /// What of the app's code runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeMode>,
    /// Which version of the app's code runs; without it the one deployed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Who may see the site, and who may change something in it: `everyone`, `guests` or `owner`, or one of them for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitors: Option<Visitors>,
    /// Further host names that the site answers at; whoever had one first keeps it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainName>,
    /// Whether the site sleeps while nobody comes, and after how long: `{after: 30m}` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SleepForm>")]
    pub sleep: Option<Sleep>,
}

impl Manifest {
    /// One that says nothing but its template.
    #[must_use]
    pub fn of(template: TemplateId) -> Self {
        Self {
            template,
            enable_api: false,
            state: RunState::Running,
            memory: None,
            cpus: None,
            pids: None,
            restart: None,
            env: BTreeMap::new(),
            redeploy: None,
            keep_data: None,
            backup: None,
            disk: None,
            strategy: None,
            start_timeout: None,
            code: None,
            version: None,
            visitors: None,
            domains: Vec::new(),
            sleep: None,
        }
    }
}

/// What the app should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    #[default]
    Running,
    Stopped,
    Deleted,
}

/// What is done when the app's process ends, or hangs. `None` means "the default".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "RestartForm", into = "RestartForm")]
pub struct Restart {
    pub policy: Option<RestartPolicy>,
    pub on_hang: Option<bool>,
}

impl From<RestartPolicy> for Restart {
    fn from(policy: RestartPolicy) -> Self {
        Self { policy: Some(policy), on_hang: None }
    }
}

/// How [`Restart`] is written: the policy alone, as it always was, or a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum RestartForm {
    Policy(RestartPolicy),
    Group(RestartGroup),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RestartGroup {
    /// What Docker does when the app's process ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<RestartPolicy>,
    /// Whether an app that has stopped answering gets a new container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_hang: Option<bool>,
}

impl From<RestartForm> for Restart {
    fn from(form: RestartForm) -> Self {
        match form {
            RestartForm::Policy(policy) => policy.into(),
            RestartForm::Group(RestartGroup { policy, on_hang }) => Self { policy, on_hang },
        }
    }
}

impl From<Restart> for RestartForm {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart { policy: Some(policy), on_hang: None } => Self::Policy(policy),
            Restart { policy, on_hang } => Self::Group(RestartGroup { policy, on_hang }),
        }
    }
}

/// What is done about an app that has stopped answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnHang {
    /// It is told to people, and left as it is.
    #[default]
    Tell,
    /// It gets a new container.
    Replace,
}

/// How a new container takes over from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The new container must be healthy beside the old one before it takes over (gateway mode).
    #[default]
    Rolling,
    /// The old container is stopped first: for apps that cannot run twice at once.
    Recreate,
}

/// What of the app's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodeMode {
    /// A version: a copy of `app/`, taken when the app is deployed. Nothing changes underneath what runs.
    #[default]
    Versions,
    /// `app/` itself: an edit of a page shows at once, also a wrong one.
    Live,
}

/// When data is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupPolicy {
    /// Five-field cron expression, local time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// How many backups are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: Option<u32>,
}

/// Variables that the platform sets; a manifest may not.
pub const RESERVED_ENV: [&str; 5] = ["NODE_ENV", "ENABLE_API", "SQLITE_PATH", "PORT", "NODE_PATH"];

/// Below this Docker refuses a memory limit.
pub const MIN_MEMORY: Bytes = Bytes::mib(6);
/// Below this Docker refuses a CPU limit.
pub const MIN_CPUS: MilliCpus = MilliCpus(10);

/// How long a new container may take until it answers, unless the manifest or the template says otherwise.
pub const DEFAULT_START_TIMEOUT: Seconds = Seconds(30);
pub const MIN_START_TIMEOUT: Seconds = Seconds(1);
pub const MAX_START_TIMEOUT: Seconds = Seconds(600);

/// Proof that the owner asked, in writing, to give up an app's data.
///
/// It can only be made from a manifest that says `state: deleted` together with `keepData: false`, and everything that
/// moves a data folder away demands one by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeToken {
    key: AppKey,
}

impl PurgeToken {
    /// `Some` only for an explicit `state: deleted` with an explicit `keepData: false`.
    #[must_use]
    pub fn from_manifest(key: &AppKey, manifest: &Manifest) -> Option<Self> {
        (manifest.state == RunState::Deleted && manifest.keep_data == Some(false)).then(|| Self { key: key.clone() })
    }

    /// The app whose data may go.
    #[must_use]
    pub fn key(&self) -> &AppKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(state: RunState, keep_data: Option<bool>) -> Manifest {
        Manifest { state, keep_data, ..Manifest::of(TemplateId::parse("diary-v1").unwrap()) }
    }

    #[test]
    fn a_restart_that_says_no_more_than_the_policy_is_stored_as_it_always_was() {
        for (restart, text) in [
            (Restart::from(RestartPolicy::OnFailure(Some(3))), r#""on-failure:3""#),
            (Restart { policy: None, on_hang: Some(true) }, r#"{"onHang":true}"#),
            (Restart { policy: Some(RestartPolicy::No), on_hang: Some(false) }, r#"{"policy":"no","onHang":false}"#),
            (Restart::default(), "{}"),
        ] {
            assert_eq!(serde_json::to_string(&restart).unwrap(), text);
            assert_eq!(serde_json::from_str::<Restart>(text).unwrap(), restart, "{text}");
        }
        assert!(serde_json::from_str::<Restart>(r#"{"onHangs":true}"#).is_err());
    }

    #[test]
    fn only_an_explicit_refusal_to_keep_data_makes_a_purge_token() {
        let key = AppKey::parse("alice-diary").unwrap();
        for state in [RunState::Running, RunState::Stopped, RunState::Deleted] {
            for keep in [None, Some(true), Some(false)] {
                let token = PurgeToken::from_manifest(&key, &manifest(state, keep));
                assert_eq!(token.is_some(), state == RunState::Deleted && keep == Some(false), "{state:?} {keep:?}");
            }
        }
    }
}
