//! From file, inventory and circumstances to what one app is to become: a pure function (DESIGN rules 5 and 7).

use super::admission::QuotaReached;
use crate::desired::{Desired, Dirs, FileEntry, Resolved, Snapshot, resolve, templates};
use crate::model::{
    AppKey, AppSpec, Bytes, ConditionKind, Digest, InventoryRow, Manifest, RunState, Settings, SyncState, Template,
    Timestamp,
};
use crate::plan::Goal;
use crate::plan::assess::Finding;

/// What is known when an app's file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// The folder could not be read entirely: the file may only be out of sight.
    Uncertain { reason: String },
    /// It vanished a moment ago; editors and `git checkout` rename.
    Grace,
    /// It vanished together with many others; a person has to confirm.
    Held { token: String },
    /// It is gone.
    Certain,
}

/// Whether a new app may be made at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Refused(QuotaReached),
}

/// Everything the decision depends on.
#[derive(Debug)]
pub struct Circumstances<'a> {
    pub key: &'a AppKey,
    pub snapshot: &'a Snapshot,
    pub row: Option<&'a InventoryRow>,
    pub settings: &'a Settings,
    pub dirs: Dirs,
    pub host_memory: Option<Bytes>,
    pub absence: Absence,
    pub admission: Admission,
    pub now: Timestamp,
}

/// What one app is to become, and what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub goal: Goal,
    /// The row to be in the inventory before anything is created.
    pub record: Option<InventoryRow>,
    pub desired: RunState,
    /// Set when something is deliberately not acted upon.
    pub sync: Option<SyncState>,
    pub findings: Vec<Finding>,
    pub file_digest: Option<Digest>,
}

#[must_use]
pub fn decide(at: &Circumstances<'_>) -> Decision {
    match at.snapshot.files.get(at.key) {
        Some(file) => decide_by_file(at, file),
        None => decide_by_absence(at),
    }
}

fn decide_by_file(at: &Circumstances<'_>, file: &FileEntry) -> Decision {
    let manifest = match &file.parsed {
        Ok(manifest) => manifest,
        Err(_) if planted!(InvalidMeansDeleted) => {
            let (dirs, admission, absence) = (at.dirs.clone(), at.admission.clone(), Absence::Certain);
            return decide_by_absence(&Circumstances { dirs, absence, admission, ..*at });
        }
        Err(diagnostic) => {
            let finding = Finding::new(ConditionKind::Invalid, "Invalid", diagnostic.to_string());
            return last_good(at, Some(file), SyncState::Invalid, finding);
        }
    };
    if let (Some(row), true) = (at.row, manifest.state != RunState::Deleted)
        && row.template.id != manifest.template
    {
        let message = format!(
            "{}: the app was made from template `{}` and its code is never overwritten, so it cannot become `{}`: put \
             the old template back, or delete the app and create it again",
            at.key.file_name(),
            row.template.id,
            manifest.template
        );
        let finding = Finding::new(ConditionKind::Invalid, "TemplateChanged", message);
        return last_good(at, Some(file), SyncState::Invalid, finding);
    }
    let template = template_of(at, manifest);
    match resolve_with(at, manifest, &file.digest, template.as_ref().map_err(Clone::clone)) {
        Resolved::Unusable { kind, message } => {
            let finding = Finding::new(kind, format!("{kind:?}"), message);
            last_good(at, Some(file), SyncState::Invalid, finding)
        }
        Resolved::Usable { desired: Desired::Remove { purge }, .. } => Decision {
            goal: Goal::Remove { purge },
            record: None,
            desired: RunState::Deleted,
            sync: None,
            findings: Vec::new(),
            file_digest: Some(file.digest.clone()),
        },
        Resolved::Usable { desired, digest } => match (&at.admission, at.row) {
            (Admission::Refused(quota), None) => Decision {
                goal: Goal::Leave,
                record: None,
                desired: manifest.state,
                sync: Some(SyncState::Held),
                findings: vec![Finding::new(ConditionKind::QuotaExceeded, "QuotaExceeded", quota.to_string())],
                file_digest: Some(digest),
            },
            _ => Decision {
                record: template.ok().map(|template| InventoryRow {
                    key: at.key.clone(),
                    admitted_at: at.row.map_or(at.now, |row| row.admitted_at),
                    manifest: manifest.clone(),
                    template,
                    digest: digest.clone(),
                    failed: at.row.and_then(|row| row.failed.clone()),
                }),
                goal: goal_of(desired),
                desired: manifest.state,
                sync: None,
                findings: Vec::new(),
                file_digest: Some(digest),
            },
        },
    }
}

/// The template as it is now, or (for an app that has its code already) as it was when the app was last good.
fn template_of(at: &Circumstances<'_>, manifest: &Manifest) -> Result<Template, String> {
    let remembered = at.row.map(|row| &row.template).filter(|template| template.id == manifest.template);
    match (at.snapshot.templates.get(&manifest.template), remembered) {
        (Some(Ok(template)), _) | (_, Some(template)) => Ok(template.clone()),
        (Some(Err(reason)), None) => Err(reason.clone()),
        (None, None) => Err(templates::missing(&manifest.template, &at.snapshot.templates)),
    }
}

fn resolve_with(
    at: &Circumstances<'_>,
    manifest: &Manifest,
    digest: &Digest,
    template: Result<&Template, String>,
) -> Resolved {
    resolve(at.key, manifest, digest, at.settings, template, at.dirs.clone(), at.host_memory)
}

fn goal_of(desired: Desired) -> Goal {
    match desired {
        Desired::Run(spec) => Goal::Run(spec),
        Desired::Stop(spec) => Goal::Stop(spec),
        Desired::Remove { purge } => Goal::Remove { purge },
    }
}

fn decide_by_absence(at: &Circumstances<'_>) -> Decision {
    let (sync, finding) = match &at.absence {
        Absence::Certain => {
            return Decision {
                goal: Goal::Remove { purge: None },
                record: None,
                desired: RunState::Deleted,
                sync: None,
                findings: Vec::new(),
                file_digest: None,
            };
        }
        Absence::Uncertain { reason } => (
            SyncState::Held,
            Finding::new(
                ConditionKind::ManifestsUnavailable,
                "ManifestsUnavailable",
                format!("nothing is removed while the manifests folder cannot be trusted: {reason}"),
            ),
        ),
        Absence::Grace => (
            SyncState::Held,
            Finding::new(
                ConditionKind::Tombstone,
                "FileVanished",
                format!("{} vanished: the app is removed in a few seconds unless it comes back", at.key.file_name()),
            ),
        ),
        Absence::Held { token } => (
            SyncState::Held,
            Finding::new(
                ConditionKind::RemovalHeld,
                "RemovalHeld",
                format!("its manifest vanished together with many others: put them back, or `paas confirm {token}`"),
            ),
        ),
    };
    last_good(at, None, sync, finding)
}

/// Keep running what ran; never begin something on the strength of a file that cannot be used.
fn last_good(at: &Circumstances<'_>, file: Option<&FileEntry>, sync: SyncState, finding: Finding) -> Decision {
    let (goal, desired) = match at.row {
        None => (Goal::Leave, RunState::Running),
        Some(row) => match resolve_with(at, &row.manifest, &row.digest, Ok(&row.template)) {
            Resolved::Usable { desired: Desired::Remove { .. }, .. } | Resolved::Unusable { .. } => {
                (Goal::Leave, row.manifest.state)
            }
            Resolved::Usable { desired, .. } => (goal_of(desired), row.manifest.state),
        },
    };
    Decision {
        goal,
        record: None,
        desired,
        sync: Some(sync),
        findings: vec![finding],
        file_digest: file.map(|file| file.digest.clone()),
    }
}

impl Decision {
    /// The specification in force, if there is one.
    #[must_use]
    pub fn spec(&self) -> Option<&AppSpec> {
        match &self.goal {
            Goal::Run(spec) | Goal::Stop(spec) => Some(spec),
            Goal::Leave | Goal::Remove { .. } => None,
        }
    }
}
