//! From a verdict to the published status of one app: stamps conditions, keeps `since` where nothing changed, and says
//! `Ready` only when it is true.

use crate::model::shown::message;
use crate::model::status::{DeployFailure, Endpoint, LastExit, SleepStatus};
use crate::model::{
    AppKey, AppStatus, Condition, ConditionKind, DomainName, Health, InventoryRow, RunState, Settings, SyncState,
    Timestamp,
};
use crate::plan::assess::Finding;
use crate::plan::{Assessment, Goal};

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
        && (matches!(verdict.health, Health::Running | Health::Asleep) || planted!(ReadyWhateverHealth))
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
            message: message(&finding.message),
            digest: decision.file_digest.clone(),
        });
    }
    conditions.sort_by_key(|condition| condition.kind);
    let given_up = conditions.iter().any(|condition| condition.kind == ConditionKind::DeployFailed);
    let failed = at.row.and_then(|row| row.failed.as_ref()).filter(|_| given_up);
    let spec = decision.spec();
    AppStatus {
        app: at.key.clone(),
        sync,
        health: verdict.health,
        desired: decision.desired,
        template: spec
            .map(|spec| spec.template.id.clone())
            .or_else(|| at.row.filter(|row| !row.is_tombstone()).map(|row| row.template.id.clone())),
        host: at.key.host(&at.settings.domain),
        file_digest: decision.file_digest.clone(),
        applied_digest,
        container: verdict.container,
        version: verdict.version,
        endpoint: verdict.endpoint.map(|endpoint| match at.previous.and_then(|status| status.endpoint.as_ref()) {
            Some(previous) if planted!(AddressKept) => Endpoint { ip: previous.ip, ..endpoint },
            _ => endpoint,
        }),
        limits: verdict.limits.or_else(|| spec.map(|spec| spec.limits)),
        restarts: verdict.restarts,
        started_at: verdict.started_at,
        last_exit,
        diagnosis: verdict.diagnosis,
        start_timeout_seconds: spec.map(|spec| spec.start_timeout.0),
        failed_deploy: failed.map(|failed| DeployFailure {
            at: failed.at,
            reason: failed.told(),
            log: failed.log.clone(),
        }),
        visitors: decision.visitors,
        // Only what is written down: nobody else is told of it then.
        domains: in_force(decision, at.row),
        sleep: sleep_of(at),
        restored: at.row.and_then(|row| row.restored.clone()),
        conditions,
    }
}

/// The loop adds what it knows of its wakes.
fn sleep_of(at: &Report<'_>) -> Option<SleepStatus> {
    let after = at.decision.spec()?.sleep?;
    let since = match &at.decision.goal {
        Goal::Sleep { since, .. } => Some(*since),
        Goal::Run(_) | Goal::Stop(_) | Goal::Leave | Goal::Remove { .. } => None,
    };
    Some(SleepStatus { after_seconds: after.0, since, wakes: 0, woken_by: None })
}

/// Own host names that requests may be sent to the app by.
#[must_use]
pub fn in_force(decision: &Decision, row: Option<&InventoryRow>) -> Vec<DomainName> {
    let recorded = |name: &&DomainName| row.is_some_and(|row| row.domains.contains(name));
    decision.domains.iter().filter(recorded).cloned().collect()
}

fn ready_finding(at: &Report<'_>, ready: bool, sync: SyncState, health: Health, findings: &[Finding]) -> Finding {
    let (reason, message) = if ready && health == Health::Asleep {
        ("Asleep".to_owned(), "the app sleeps because nobody comes; the next request wakes it".to_owned())
    } else if ready {
        ("Ready".to_owned(), "the app runs as its manifest says".to_owned())
    } else if let Some(first) = findings.iter().min_by_key(|finding| finding.kind) {
        (first.reason.clone(), first.message.clone())
    } else {
        let (reason, message) = unready(at.decision.desired, sync, health);
        (reason.to_owned(), message.to_owned())
    };
    Finding { kind: ConditionKind::Ready, status: ready, reason, message }
}

/// Why an app is not ready when there is nothing special to say about it: a word for programs and a sentence.
fn unready(desired: RunState, sync: SyncState, health: Health) -> (&'static str, &'static str) {
    match (desired, health) {
        (RunState::Stopped, Health::Running | Health::Starting) => ("Stopping", "the app is being stopped"),
        (RunState::Running, Health::Asleep) => ("FallingAsleep", "the app falls asleep"),
        (RunState::Stopped, _) => ("Stopped", "the manifest says `state: stopped`"),
        (RunState::Deleted, Health::Deleted) => ("Deleted", "the app was deleted"),
        (RunState::Deleted, _) => ("Deleting", "the app is being deleted"),
        (RunState::Running, Health::Unknown) => ("Unknown", "the app was not looked at yet"),
        (RunState::Running, Health::Running) if sync == SyncState::OutOfSync => {
            ("Updating", "a change is being taken over")
        }
        (RunState::Running, Health::Running) => ("Running", "the app runs, but not by a manifest that is there"),
        (RunState::Running, Health::Starting) => ("Starting", "the app is starting"),
        (RunState::Running, Health::Stopped | Health::Deleted) => ("Stopped", "the app does not run yet"),
        (RunState::Running, Health::CrashLoop) => ("CrashLoop", "the app keeps ending by itself: look at its log"),
        (RunState::Running, Health::Degraded) => ("Degraded", "the app does not answer: look at its log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unready_app_says_so_in_a_sentence_and_contradicts_itself_nowhere() {
        use Health::{Asleep, CrashLoop, Degraded, Deleted, Running, Starting, Stopped, Unknown};
        let mut told = Vec::new();
        for desired in [RunState::Running, RunState::Stopped, RunState::Deleted] {
            for health in [Unknown, Running, Starting, Stopped, Asleep, CrashLoop, Degraded, Deleted] {
                let (reason, message) = unready(desired, SyncState::OutOfSync, health);
                told.push(format!("{desired:?} {health:?} - {reason}: {message}"));
            }
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        Running Unknown - Unknown: the app was not looked at yet
        Running Running - Updating: a change is being taken over
        Running Starting - Starting: the app is starting
        Running Stopped - Stopped: the app does not run yet
        Running Asleep - FallingAsleep: the app falls asleep
        Running CrashLoop - CrashLoop: the app keeps ending by itself: look at its log
        Running Degraded - Degraded: the app does not answer: look at its log
        Running Deleted - Stopped: the app does not run yet
        Stopped Unknown - Stopped: the manifest says `state: stopped`
        Stopped Running - Stopping: the app is being stopped
        Stopped Starting - Stopping: the app is being stopped
        Stopped Stopped - Stopped: the manifest says `state: stopped`
        Stopped Asleep - Stopped: the manifest says `state: stopped`
        Stopped CrashLoop - Stopped: the manifest says `state: stopped`
        Stopped Degraded - Stopped: the manifest says `state: stopped`
        Stopped Deleted - Stopped: the manifest says `state: stopped`
        Deleted Unknown - Deleting: the app is being deleted
        Deleted Running - Deleting: the app is being deleted
        Deleted Starting - Deleting: the app is being deleted
        Deleted Stopped - Deleting: the app is being deleted
        Deleted Asleep - Deleting: the app is being deleted
        Deleted CrashLoop - Deleting: the app is being deleted
        Deleted Degraded - Deleting: the app is being deleted
        Deleted Deleted - Deleted: the app was deleted
        ");
    }
}
