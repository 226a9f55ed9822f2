//! Concluding: from the last look to the status, the deploy log, and when to look again.

use std::time::Duration;

use crate::act::{StepError, log_excerpt};
use crate::clock::Clock as _;
use crate::engine::ErrorKind;
use crate::folders::Folders as _;
use crate::model::status::LastExit;
use crate::model::{AppStatus, ConditionKind, Health, ObservedContainer, SyncState};
use crate::plan::assess::Finding;
use crate::plan::view::OwnedContainer;
use crate::plan::{AppView, Assessment, Goal, Motion};

use super::super::report::{Report, report};
use super::super::seams::Seams;

use super::{Failure, Next, Pass, Settled};

impl<W: Seams> Pass<'_, W> {
    pub(super) async fn conclude(&mut self, settled: Settled) -> (AppStatus, Next) {
        let Settled { view, plan, mut verdict, failure } = settled;
        let mut findings = Vec::new();
        let next = match &failure {
            None => verdict.recheck.map_or(Next::Calm, Next::Recheck),
            Some(Failure { what, word, error }) => {
                // Nobody but the manifest's author can help a container that Docker refuses to make.
                let refused = *word == "create" && error.kind == ErrorKind::Terminal;
                if refused {
                    verdict.sync = SyncState::Invalid;
                }
                findings.push(if refused {
                    let message = format!("Docker refuses the container that the manifest asks for: {error}");
                    Finding::new(ConditionKind::Invalid, "Refused", message)
                } else {
                    let message = format!("could not {what}: {error}");
                    Finding::new(ConditionKind::StepFailed, format!("{:?}", error.kind), message)
                });
                match error.kind {
                    ErrorKind::Unreachable => Next::Unreachable,
                    ErrorKind::Terminal if error.unstartable.is_none() && !is_away(&view) => Next::Terminal,
                    // A name that is busy being removed is free in a moment.
                    ErrorKind::Conflict if view.containers.iter().any(OwnedContainer::is_leaving) => {
                        Next::Recheck(Duration::from_millis(200))
                    }
                    ErrorKind::Terminal | ErrorKind::Retryable | ErrorKind::NotFound | ErrorKind::Conflict => {
                        Next::Backoff { over: word }
                    }
                }
            }
        };
        let last_exit = self.last_exit(&view, verdict.crashed.as_ref()).await;
        self.tell_deploy_log(&verdict, last_exit.as_ref()).await;
        let context = Report {
            key: &self.input.key,
            decision: &self.input.decision,
            settings: &self.input.settings,
            previous: self.input.previous.as_deref(),
            row: self.row.as_ref(),
            now: self.world.clock().now(),
        };
        let settled = plan.is_empty() && failure.is_none();
        let synced = verdict.sync == SyncState::Synced;
        // An app that only waits, for the image say, has nothing that could drift.
        if settled && synced {
            self.memory.settled_as = Some(self.wanted());
        }
        (report(&context, verdict, findings, last_exit, settled), next)
    }

    /// A new container without a predecessor to fall back to is never given up; that it does not come up is told in
    /// `logs/deploy.log` all the same, once.
    async fn tell_deploy_log(&mut self, verdict: &Assessment, last_exit: Option<&LastExit>) {
        let Some(id) = verdict.container.clone() else { return };
        let failed = matches!(self.input.decision.goal, Goal::Run(_))
            && matches!(verdict.health, Health::CrashLoop | Health::Degraded)
            && !self.memory.answered.contains_key(&id)
            && !self.memory.hangs.hangs(&id);
        if !failed {
            return;
        }
        // Once for each cause: one that was slow at first may turn out to need more memory.
        let code = verdict.diagnosis.as_ref().map(|diagnosis| diagnosis.code);
        let told = self.memory.told.entry(id.clone()).or_default();
        if told.contains(&code) || (code.is_none() && !told.is_empty()) {
            return;
        }
        told.push(code);
        let reason = verdict.findings.iter().min_by_key(|finding| finding.kind).map(|finding| finding.message.as_str());
        let log = match last_exit.filter(|exit| !exit.log.is_empty()) {
            Some(exit) => exit.log.clone(),
            None => log_excerpt(self.world.engine(), &id).await,
        };
        let (now, reason) = (self.world.clock().now(), reason.unwrap_or("it does not answer"));
        let korean = verdict.diagnosis.as_ref().map(|diagnosis| format!("{}\n", diagnosis.korean)).unwrap_or_default();
        let text = format!("{now} the new container does not come up: {reason}\n{korean}{}\n", log.join("\n"));
        if let Err(error) = self.world.folders().append_deploy_log(&self.input.key, &text).await {
            tracing::warn!(app = %self.input.key, %error, "logs/deploy.log could not be written");
        }
    }

    /// The log is only read when the app ended once more.
    async fn last_exit(&self, view: &AppView, crashed: Option<&ObservedContainer>) -> Option<LastExit> {
        let container = crashed?;
        let previous = self.input.previous.as_ref().and_then(|status| status.last_exit.clone());
        let Some(end) = view.last_end(container) else { return previous };
        if let Some(previous) = previous.filter(|previous| previous.at == end.at) {
            return Some(previous);
        }
        let log = match view.ended.get(&container.id).filter(|ended| !ended.log.is_empty()) {
            Some(ended) => ended.log.clone(),
            None => log_excerpt(self.world.engine(), &container.id).await,
        };
        Some(LastExit { code: end.code, oom_killed: end.oom_killed, at: end.at, log })
    }

    /// The world could not be looked at: say so, and keep what was known.
    pub(super) fn blind(&self, error: &StepError) -> (AppStatus, Next) {
        let (kind, next) = match error.kind {
            ErrorKind::Unreachable => (ConditionKind::EngineUnreachable, Next::Unreachable),
            ErrorKind::Terminal => (ConditionKind::StepFailed, Next::Terminal),
            ErrorKind::Retryable | ErrorKind::NotFound | ErrorKind::Conflict => {
                (ConditionKind::StepFailed, Next::Backoff { over: "look" })
            }
        };
        (self.as_before(vec![Finding::new(kind, format!("{:?}", error.kind), error.to_string())]), next)
    }

    /// What was known, for want of anything newer.
    pub(super) fn as_before(&self, findings: Vec<Finding>) -> AppStatus {
        let previous = self.input.previous.as_deref();
        let verdict = Assessment {
            sync: SyncState::OutOfSync,
            health: Health::Unknown,
            findings: Vec::new(),
            container: previous.and_then(|status| status.container.clone()),
            version: previous.and_then(|status| status.version.clone()),
            // Requests may still get through: Docker being away does not stop containers.
            endpoint: previous.and_then(|status| status.endpoint.clone()),
            restarts: previous.map_or(0, |status| status.restarts),
            started_at: previous.and_then(|status| status.started_at),
            crashed: None,
            diagnosis: None,
            limits: previous.and_then(|status| status.limits),
            motion: Motion::AtRest,
            woken: false,
            recheck: None,
        };
        let context = Report {
            key: &self.input.key,
            decision: &self.input.decision,
            settings: &self.input.settings,
            previous,
            row: self.row.as_ref(),
            now: self.world.clock().now(),
        };
        let last_exit = previous.and_then(|status| status.last_exit.clone());
        report(&context, verdict, findings, last_exit, false)
    }
}

/// Its predecessor was stopped for a successor: waiting for somebody to change something would keep visitors waiting.
fn is_away(view: &AppView) -> bool {
    let aside = view.key.previous_container_name();
    view.containers.iter().any(|owned| owned.name() == aside && !owned.runs())
}
