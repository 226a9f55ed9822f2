//! From a verdict to the published status of one app: stamps conditions, keeps `since` where nothing changed, and says
//! `Ready` only when it is true.

use crate::model::status::LastExit;
use crate::model::{
    AppKey, AppStatus, Condition, ConditionKind, Health, InventoryRow, RunState, Settings, SyncState, Timestamp,
};
use crate::plan::Assessment;
use crate::plan::assess::Finding;

use super::goal::Decision;

/// What a status is written from besides the verdict.
#[derive(Debug)]
pub struct Report<'a> {
    pub key: &'a AppKey,
    pub decision: &'a Decision,
    pub settings: &'a Settings,
    pub previous: Option<&'a AppStatus>,
    pub row: Option<&'a InventoryRow>,
    pub now: Timestamp,
}

/// `settled`: the last look wanted nothing done, and nothing failed.
#[must_use]
pub fn report(
    at: &Report<'_>,
    verdict: Assessment,
    extra: Vec<Finding>,
    last_exit: Option<LastExit>,
    settled: bool,
) -> AppStatus {
    let decision = at.decision;
    let previous_applied = at.previous.and_then(|status| status.applied_digest.clone());
    let synced = settled && verdict.sync == SyncState::Synced && decision.sync.is_none();
    let applied_digest = if synced { decision.file_digest.clone() } else { previous_applied };
    let sync = match decision.sync {
        Some(held) => held,
        None if !settled => SyncState::OutOfSync,
        None => verdict.sync,
    };
    let ready = synced
        && decision.desired == RunState::Running
        && (verdict.health == Health::Running || planted!(ReadyWhateverHealth))
        && decision.file_digest.is_some();
    let mut findings: Vec<Finding> = decision.findings.iter().cloned().chain(verdict.findings).chain(extra).collect();
    findings.push(ready_finding(at, ready, sync, verdict.health, &findings));
    let mut conditions: Vec<Condition> = Vec::new();
    for finding in findings {
        let same = at
            .previous
            .and_then(|status| status.condition(finding.kind))
            .filter(|condition| condition.status == finding.status && condition.reason == finding.reason);
        conditions.push(Condition {
            since: same.map_or(at.now, |condition| condition.since),
            kind: finding.kind,
            status: finding.status,
            reason: finding.reason,
            message: finding.message,
            digest: decision.file_digest.clone(),
        });
    }
    conditions.sort_by_key(|condition| condition.kind);
    let spec = decision.spec();
    AppStatus {
        app: at.key.clone(),
        sync,
        health: verdict.health,
        desired: decision.desired,
        template: spec.map(|spec| spec.template.id.clone()).or_else(|| at.row.map(|row| row.template.id.clone())),
        host: at.key.host(&at.settings.domain),
        file_digest: decision.file_digest.clone(),
        applied_digest,
        container: verdict.container,
        endpoint: verdict.endpoint,
        limits: spec.map(|spec| spec.limits),
        restarts: verdict.restarts,
        started_at: verdict.started_at,
        last_exit,
        conditions,
    }
}

fn ready_finding(at: &Report<'_>, ready: bool, sync: SyncState, health: Health, findings: &[Finding]) -> Finding {
    let (reason, message) = if ready {
        ("Ready".to_owned(), "the app runs as its manifest says".to_owned())
    } else if let Some(first) = findings.first() {
        (first.reason.clone(), first.message.clone())
    } else {
        match at.decision.desired {
            RunState::Stopped => ("Stopped".to_owned(), "the manifest says `state: stopped`".to_owned()),
            RunState::Deleted => ("Deleted".to_owned(), "the app was deleted".to_owned()),
            RunState::Running => (format!("{health:?}"), format!("not there yet: {sync:?}, {health:?}")),
        }
    };
    Finding { kind: ConditionKind::Ready, status: ready, reason, message }
}
