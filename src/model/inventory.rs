//! What is remembered about an app, and what is there of its folder.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnosis::Diagnosis;
use super::domain_name::DomainName;
use super::manifest::{CodeMode, Manifest, RunState};
use super::names::{AppKey, TemplateId};
use super::spec::Identity;
use super::template::{Template, TemplateRestart};
use super::units::{Digest, Seconds, Timestamp};
use super::version::{self, Code, VersionId, VersionRecord};

/// One app the daemon is responsible for. Written before its first container is created, dropped after its last clean-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryRow {
    pub key: AppKey,
    /// When the app was first admitted: under a quota the oldest go first.
    pub admitted_at: Timestamp,
    /// The last manifest that parsed and resolved, and the template it named: what stays in force when the file breaks.
    pub manifest: Manifest,
    pub template: Template,
    /// Digest of that manifest's file.
    pub digest: Digest,
    /// A successor that never became healthy: not tried again until the app's identity changes.
    #[serde(default)]
    pub failed: Option<FailedDeploy>,
    /// `None`: it runs its working copy.
    #[serde(default)]
    pub versions: Option<VersionRecord>,
    /// Those of the manifest's host names that are this app's: no other row has them. In the order of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainName>,
    /// Since when it sleeps. A container of it that was started since is awake: somebody wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Timestamp>,
    /// When its data was exchanged last. What runs since before then has the data that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

impl InventoryRow {
    /// Stands for an app that the inventory has lost while its removal is under way: all it says is that the app goes. Without it
    /// the last container would be all that tells of the app's folder.
    #[must_use]
    pub fn tombstone(key: AppKey, now: Timestamp) -> Self {
        let template = TemplateId::unknown();
        Self {
            key,
            admitted_at: now,
            manifest: Manifest { state: RunState::Deleted, ..Manifest::of(template.clone()) },
            template: Template {
                id: template,
                name: String::new(),
                description: String::new(),
                version: String::new(),
                supports_api: false,
                internal_port: 0,
                health_path: None,
                start_timeout: None,
                restart: TemplateRestart::default(),
                visitors: None,
                sleep: None,
            },
            digest: Digest::of(&[]),
            failed: None,
            versions: None,
            domains: Vec::new(),
            asleep: None,
            restored: None,
        }
    }

    /// What the app's containers mount.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(self.versions.as_ref(), self.manifest.version.as_ref(), self.manifest.redeploy.as_deref())
    }

    /// What is to be remembered of the versions when this manifest takes the place of `before`.
    ///
    /// An app from before there were versions runs its working copy until it is deployed for the first time.
    #[must_use]
    pub fn versions_for(manifest: &Manifest, before: Option<&Self>) -> Option<VersionRecord> {
        if manifest.code == Some(CodeMode::Live) {
            return None;
        }
        match before {
            Some(Self { versions: Some(versions), .. }) => Some(versions.clone()),
            Some(before)
                if [manifest.code, before.manifest.code] == [None, None]
                    && manifest.version.is_none()
                    && version::deployed(before.manifest.redeploy.as_deref())
                        == version::deployed(manifest.redeploy.as_deref()) =>
            {
                None
            }
            _ => Some(VersionRecord::default()),
        }
    }

    /// No other row has a manifest that says so: what is to be deleted is not written down, but done.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.manifest.state == RunState::Deleted
    }
}

/// A deploy that was given up while the previous container went on serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedDeploy {
    pub identity: Identity,
    pub image_id: String,
    pub reason: String,
    /// How long it was given, where it was given up for not answering in time: who allows more tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Seconds>,
    pub at: Timestamp,
    /// Where it is known what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// The last lines that its container wrote, oldest first.
    #[serde(default)]
    pub log: Vec<String>,
}

impl FailedDeploy {
    /// The reason, and what is wrong if that is known.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.diagnosis {
            Some(diagnosis) => format!("{}: {}", self.reason, diagnosis.english),
            None => self.reason.clone(),
        }
    }
}

/// Data that takes the place of an app's, because a person asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// When it was asked for.
    pub asked: Timestamp,
    /// The moment that the data is of; none: it is what an earlier restore had put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Timestamp>,
    /// The entry of the trash that what was there before becomes.
    pub entry: String,
}

/// That it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    #[serde(flatten)]
    pub restore: Restore,
    /// When they changed places.
    pub at: Timestamp,
}

/// Data that lies beside an app's to take its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub restore: Restore,
    /// They have changed places, and what was there before has yet to go to the trash.
    pub swapped: bool,
}

/// What is there of an app's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderState {
    /// `app/` exists (it then is complete).
    pub code: bool,
    /// Complete checkouts below `versions/`.
    pub versions: BTreeSet<VersionId>,
    /// `data/` exists and belongs to the app's user.
    pub data: bool,
    /// Digest of `docker-compose.yml`; `None` when there is none, or not the filter of system calls beside it.
    pub compose: Option<Digest>,
    /// Data that is to take the place of what is in `data/`.
    pub incoming: Option<Incoming>,
}

/// Apps whose file vanished and that are not gone yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// Many vanished together: nothing is removed before a person confirms it.
    pub held: BTreeSet<AppKey>,
    /// A person did.
    pub confirmed: BTreeSet<AppKey>,
}
