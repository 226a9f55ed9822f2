//! From file, inventory and circumstances to what one app is to become: a pure function (DESIGN rules 5 and 7).

use super::admission::QuotaReached;
use super::domains::{Holder, Holders};
use super::rest::{Rest, rested, sleepless};
use crate::desired::{Desired, Dirs, FileEntry, Resolved, Snapshot, lacks_gate, resolve, templates, visitors};
use crate::model::observed::Capacity;
use crate::model::{
    AppKey, AppSpec, Code, ConditionKind, Digest, DomainName, InventoryRow, Manifest, PurgeToken, RunState, Settings,
    SyncState, Template, Timestamp, Visitors,
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
    pub capacity: Capacity,
    pub absence: Absence,
    pub admission: Admission,
    /// Who has which own host name.
    pub holders: &'a Holders,
    pub rest: Rest,
    pub now: Timestamp,
}

impl<'a> Circumstances<'a> {
    /// The row with what was last in force; a tombstone tells of nothing that was.
    pub(super) fn last_good(&self) -> Option<&'a InventoryRow> {
        self.row.filter(|row| !row.is_tombstone())
    }
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
    /// Who may see and change it.
    pub visitors: Visitors,
    /// Further host names that it asks for.
    pub wished: Vec<DomainName>,
    /// Those of them that are its own.
    pub domains: Vec<DomainName>,
}

#[must_use]
pub fn decide(at: &Circumstances<'_>) -> Decision {
    let decision = match at.snapshot.files.get(at.key) {
        Some(file) => decide_by_file(at, file),
        None => decide_by_absence(at),
    };
    rested(at, named(at, decision))
}

/// With the names that are its own, and a word about the others.
fn named(at: &Circumstances<'_>, mut decision: Decision) -> Decision {
    if decision.wished.is_empty() {
        return decision;
    }
    let is_its_own = |name: &&DomainName| planted!(NameOfTwo) || at.holders.has(at.key, name);
    decision.domains = decision.wished.iter().filter(is_its_own).cloned().collect();
    if let Goal::Run(spec) | Goal::Stop(spec) = &mut decision.goal {
        spec.domains.clone_from(&decision.domains);
    }
    if let Some(row) = &mut decision.record {
        row.domains.clone_from(&decision.domains);
    }
    decision.findings.extend(not_its_own(at, &decision.wished));
    decision
}

fn not_its_own(at: &Circumstances<'_>, wished: &[DomainName]) -> Option<Finding> {
    let mut reason = "NameOfTheBox";
    let mut told = Vec::new();
    for name in wished {
        match at.holders.of(name) {
            Some(Holder::App(holder)) if holder != at.key => {
                reason = "DomainTaken";
                told.push(format!("`{}` belongs to {holder} already", name.told()));
            }
            Some(Holder::TheBox) => told.push(format!("`{}` is a name of this server itself", name.told())),
            Some(Holder::App(_)) | None => {}
        }
    }
    let message = format!("{}: take it out of `domains`, or give it up there", told.join(", "));
    (!told.is_empty()).then(|| Finding::new(ConditionKind::DomainTaken, reason, message))
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
    if let (Some(row), true) = (at.last_good(), manifest.state != RunState::Deleted)
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
    if let (None, true, Err(reserved)) = (at.last_good(), manifest.state != RunState::Deleted, at.key.allowed_for_new())
    {
        let message = format!("{}: {reserved}", at.key.file_name());
        let finding = Finding::new(ConditionKind::Invalid, "NameReserved", message);
        return last_good(at, Some(file), SyncState::Invalid, finding);
    }
    let template = template_of(at, manifest);
    let versions = InventoryRow::versions_for(manifest, at.last_good());
    let code = Code::of(versions.as_ref(), manifest.version.as_ref(), manifest.redeploy.as_deref());
    match resolve_with(at, manifest, &file.digest, template.as_ref().map_err(Clone::clone)) {
        Resolved::Unusable { kind, message } => {
            let finding = Finding::new(kind, format!("{kind:?}"), message);
            last_good(at, Some(file), SyncState::Invalid, finding)
        }
        Resolved::Usable { desired: Desired::Remove { purge }, .. } => removal(at, purge, Some(&file.digest)),
        Resolved::Usable { desired, digest } => match (&at.admission, at.last_good()) {
            (Admission::Refused(quota), None) => Decision {
                goal: Goal::Leave,
                record: None,
                desired: manifest.state,
                sync: Some(SyncState::Held),
                findings: vec![Finding::new(ConditionKind::QuotaExceeded, "QuotaExceeded", quota.to_string())],
                file_digest: Some(digest),
                visitors: visitors(manifest, at.settings),
                wished: Vec::new(),
                domains: Vec::new(),
            },
            _ => guarded(
                at,
                manifest,
                Decision {
                    record: template.ok().map(|template| InventoryRow {
                        key: at.key.clone(),
                        admitted_at: at.last_good().map_or(at.now, |row| row.admitted_at),
                        manifest: manifest.clone(),
                        template,
                        digest: digest.clone(),
                        failed: at.last_good().and_then(|row| row.failed.clone()),
                        versions,
                        domains: Vec::new(),
                        asleep: None,
                        restored: at.last_good().and_then(|row| row.restored.clone()),
                    }),
                    goal: goal_of(desired, code),
                    desired: manifest.state,
                    sync: None,
                    findings: Vec::new(),
                    file_digest: Some(digest),
                    visitors: visitors(manifest, at.settings),
                    wished: manifest.domains.clone(),
                    domains: Vec::new(),
                },
            ),
        },
    }
}

/// The template as it is now, or (for an app that has its code already) as it was when the app was last good.
fn template_of(at: &Circumstances<'_>, manifest: &Manifest) -> Result<Template, String> {
    let remembered = at.last_good().map(|row| &row.template).filter(|template| template.id == manifest.template);
    match (at.snapshot.templates.get(&manifest.template), remembered) {
        (Some(Ok(template)), _) | (_, Some(template)) => Ok(template.clone()),
        (Some(Err(reason)), None) => Err(reason.clone()),
        (None, None) => Err(templates::missing(&manifest.template, &at.snapshot.templates)),
    }
}

pub(super) fn resolve_with(
    at: &Circumstances<'_>,
    manifest: &Manifest,
    digest: &Digest,
    template: Result<&Template, String>,
) -> Resolved {
    resolve(at.key, manifest, digest, at.settings, template, at.dirs.clone(), at.capacity)
}

pub(super) fn goal_of(desired: Desired, code: Code) -> Goal {
    match desired {
        Desired::Run(spec) => Goal::Run(Box::new(AppSpec { code, ..*spec })),
        Desired::Stop(spec) => Goal::Stop(Box::new(AppSpec { code, ..*spec })),
        Desired::Remove { purge } => Goal::Remove { purge },
    }
}

fn decide_by_absence(at: &Circumstances<'_>) -> Decision {
    let (sync, finding) = match &at.absence {
        Absence::Certain => return removal(at, None, None),
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

/// The app goes, and with a token its data. One that the inventory has lost is written into it once more before.
fn removal(at: &Circumstances<'_>, purge: Option<PurgeToken>, file_digest: Option<&Digest>) -> Decision {
    Decision {
        goal: Goal::Remove { purge },
        record: at.row.is_none().then(|| InventoryRow::tombstone(at.key.clone(), at.now)),
        desired: RunState::Deleted,
        sync: None,
        findings: Vec::new(),
        file_digest: file_digest.cloned(),
        visitors: at.last_good().map_or(Visitors::OWNER, |row| visitors(&row.manifest, at.settings)),
        wished: Vec::new(),
        domains: Vec::new(),
    }
}

/// Keep running what ran; never begin something on the strength of a file that cannot be used.
fn last_good(at: &Circumstances<'_>, file: Option<&FileEntry>, sync: SyncState, finding: Finding) -> Decision {
    let (goal, desired) = match at.last_good() {
        None => (Goal::Leave, RunState::Running),
        Some(row) => match resolve_with(at, &row.manifest, &row.digest, Ok(&row.template)) {
            Resolved::Usable { desired: Desired::Remove { .. }, .. } | Resolved::Unusable { .. } => {
                (Goal::Leave, row.manifest.state)
            }
            Resolved::Usable { desired, .. } => (goal_of(desired, row.code()), row.manifest.state),
        },
    };
    let decision = Decision {
        goal,
        record: None,
        desired,
        sync: Some(sync),
        findings: vec![finding],
        file_digest: file.map(|file| file.digest.clone()),
        // Nothing of an app without a row can be open to anybody.
        visitors: match at.last_good() {
            _ if planted!(BrokenFileOpens) => Visitors::EVERYONE,
            Some(row) => visitors(&row.manifest, at.settings),
            None => Visitors::OWNER,
        },
        wished: at.last_good().map(|row| row.domains.clone()).unwrap_or_default(),
        domains: Vec::new(),
    };
    match at.last_good() {
        Some(row) => guarded(at, &row.manifest, decision),
        None => decision,
    }
}

/// A site that nobody can guard is stopped rather than left open to everyone.
fn guarded(at: &Circumstances<'_>, manifest: &Manifest, decision: Decision) -> Decision {
    let decision = sleepless(at, manifest, decision);
    let Some(lacks) = lacks_gate(manifest, at.settings).filter(|_| !planted!(UnguardedInDirect)) else {
        return decision;
    };
    let Goal::Run(spec) = decision.goal else { return decision };
    let file = if lacks.by_manifest { format!("{}: ", at.key.file_name()) } else { String::new() };
    let message = format!("{file}{}; {}", lacks.problem(), lacks.remedy());
    let mut findings = decision.findings;
    findings.push(Finding::new(ConditionKind::Invalid, "VisitorsNeedGateway", message));
    Decision { goal: Goal::Stop(spec), sync: Some(SyncState::Invalid), findings, ..decision }
}

impl Decision {
    /// The specification in force, if there is one.
    #[must_use]
    pub fn spec(&self) -> Option<&AppSpec> {
        match &self.goal {
            Goal::Run(spec) | Goal::Stop(spec) | Goal::Sleep { spec, .. } => Some(spec),
            Goal::Leave | Goal::Remove { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::desired::parse;
    use crate::model::{Template, TemplateId};

    fn snapshot_of(key: AppKey, manifest: Option<&str>) -> Snapshot {
        let id = TemplateId::parse("diary-v1").unwrap();
        let template = Template { id: id.clone(), internal_port: 3000, ..tombstone().template };
        let mut snapshot = Snapshot { templates: [(id, Ok(template))].into(), ..Snapshot::unread() };
        if let Some(text) = manifest {
            let parsed = parse("alice-diary.yaml", text.as_bytes());
            let (path, digest) = (PathBuf::from("alice-diary.yaml"), Digest::of(text.as_bytes()));
            snapshot.files.insert(key, FileEntry { path, digest, modified: Timestamp(0), parsed, signed: None });
        }
        snapshot
    }

    fn key() -> AppKey {
        AppKey::parse("alice-diary").unwrap()
    }

    fn tombstone() -> InventoryRow {
        InventoryRow::tombstone(key(), Timestamp(1))
    }

    fn told(manifest: Option<&str>, row: Option<&InventoryRow>, absence: Absence) -> String {
        told_of(&key(), manifest, row, absence)
    }

    fn told_of(key: &AppKey, manifest: Option<&str>, row: Option<&InventoryRow>, absence: Absence) -> String {
        let decision = decide(&Circumstances {
            key,
            snapshot: &snapshot_of(key.clone(), manifest),
            row,
            settings: &Settings::defaults("/paas"),
            dirs: Dirs { code: "/paas/app".into(), data: "/paas/data".into(), versions: "/paas/versions".into() },
            capacity: Capacity::default(),
            absence,
            admission: Admission::Admitted,
            holders: &Holders::default(),
            rest: Rest::AsBefore,
            now: Timestamp(2),
        });
        let goal = match decision.goal {
            Goal::Run(_) => "run",
            Goal::Stop(_) => "stop",
            Goal::Sleep { .. } => "sleep",
            Goal::Leave => "leave",
            Goal::Remove { .. } => "remove",
        };
        let record = decision.record.map(|row| (row.manifest.template.to_string(), row.admitted_at.0));
        let findings: Vec<_> = decision.findings.iter().map(|finding| finding.reason.clone()).collect();
        format!("{goal}, to be recorded: {record:?}, {findings:?}")
    }

    #[test]
    fn a_site_that_nobody_can_guard_is_stopped() {
        use crate::model::{Audience, Routing};
        let decided = |text: &str, settings: &Settings, row: Option<&InventoryRow>| {
            let decision = decide(&Circumstances {
                key: &key(),
                snapshot: &snapshot_of(key(), Some(text)),
                row,
                settings,
                dirs: Dirs { code: "/paas/app".into(), data: "/paas/data".into(), versions: "/paas/versions".into() },
                capacity: Capacity::default(),
                absence: Absence::Certain,
                admission: Admission::Admitted,
                holders: &Holders::default(),
                rest: Rest::AsBefore,
                now: Timestamp(2),
            });
            let goal = if matches!(decision.goal, Goal::Run(_)) { "run" } else { "stop" };
            let told: Vec<_> = decision.findings.iter().map(|finding| finding.reason.clone()).collect();
            format!("{goal} {} {}", decision.visitors, told.join(" ")).trim().to_owned()
        };
        let gateway = Settings::defaults("/paas");
        let direct = Settings { routing: Routing::Direct, ..gateway.clone() };
        let closed = Settings { visitors: Visitors::both(Audience::Guests), ..direct.clone() };
        let (plain, private) = ("template: diary-v1\n", "template: diary-v1\nvisitors: owner\n");
        assert_eq!(decided(private, &gateway, None), "run owner");
        assert_eq!(decided(plain, &direct, None), "run everyone");
        assert_eq!(decided(private, &direct, None), "stop owner VisitorsNeedGateway");
        assert_eq!(decided(plain, &closed, None), "stop guests VisitorsNeedGateway");
        // Also when the file cannot be used any more, and the last good one asks for it.
        let manifest = parse("alice-diary.yaml", private.as_bytes()).unwrap();
        let template = Template { id: manifest.template.clone(), internal_port: 3000, ..tombstone().template };
        let row = InventoryRow { manifest, template, ..tombstone() };
        assert_eq!(decided("memmory: 1\n", &direct, Some(&row)), "stop owner Invalid VisitorsNeedGateway");
        assert_eq!(decided("memmory: 1\n", &gateway, Some(&row)), "run owner Invalid");
        // Nobody knows anything of it, so nobody is let in.
        assert_eq!(decided("memmory: 1\n", &gateway, None), "stop owner Invalid");
    }

    #[test]
    fn a_reserved_name_begins_nothing_and_what_runs_under_one_goes_on() {
        let portal = AppKey::parse("portal-diary").unwrap();
        let text = "template: diary-v1\n";
        let file = Some(text);
        let manifest = parse("portal-diary.yaml", text.as_bytes()).unwrap();
        let template = Template { id: manifest.template.clone(), internal_port: 3000, ..tombstone().template };
        let row = InventoryRow { key: portal.clone(), manifest, template, ..tombstone() };
        insta::assert_snapshot!(
            [
                told_of(&portal, file, None, Absence::Certain),
                told_of(&portal, file, Some(&row), Absence::Certain),
                told_of(&portal, Some("template: diary-v1\nstate: deleted\n"), None, Absence::Certain),
            ]
            .join("\n"),
            @r#"
        leave, to be recorded: None, ["NameReserved"]
        run, to be recorded: Some(("diary-v1", 1)), []
        remove, to be recorded: Some(("unknown", 2)), []
        "#
        );
    }

    #[test]
    fn what_the_inventory_lost_is_recorded_before_it_is_removed_and_nothing_follows_from_that_record() {
        let row = tombstone();
        let row = Some(&row);
        let file = Some("template: diary-v1\n");
        insta::assert_snapshot!(
            [
                told(None, None, Absence::Certain),
                told(Some("template: diary-v1\nstate: deleted\n"), None, Absence::Certain),
                told(None, row, Absence::Certain),
                told(None, row, Absence::Grace),
                told(Some("memmory: 1\n"), row, Absence::Certain),
                told(file, row, Absence::Certain),
            ]
            .join("\n"),
            @r#"
        remove, to be recorded: Some(("unknown", 2)), []
        remove, to be recorded: Some(("unknown", 2)), []
        remove, to be recorded: None, []
        leave, to be recorded: None, ["FileVanished"]
        leave, to be recorded: None, ["Invalid"]
        run, to be recorded: Some(("diary-v1", 2)), []
        "#
        );
    }
}
