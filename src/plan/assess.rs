//! What to tell people about an app, and when to look at it again: a pure function of the same view that the plan is
//! made from, so the status cannot know more or less than the reconciler.

use std::time::Duration;

use crate::model::memory::Shortage;
use crate::model::observed::ContainerState;
use crate::model::status::Endpoint;
use crate::model::{
    AppSpec, ConditionKind, ContainerId, Diagnosis, FailedDeploy, Health, Limits, ObservedContainer, OnHang, SyncState,
    Timestamp, VersionId,
};

use super::diff::{CRASH_LOOP_RESTARTS, Missing, missing_version, tunables_differ, was_stopped_from_outside};
use super::motion::Motion;
use super::roles::Roles;
use super::step::Plan;
use super::view::{AppView, Goal, OwnedContainer, Readiness, RefusedLimits, was_started_since};

/// An app that waits for its turn to move is called when it has come; this is for the case that the call was lost.
const TURN_MS: u64 = 30_000;

/// How soon an app is looked at again that falls asleep: its last visitors are being answered.
const FALLING_ASLEEP: Duration = Duration::from_millis(50);

/// A restarted app counts as calm again after it has answered for so long. Docker forgets its own count of failures after a
/// run of the same length.
pub const CALM_MS: i64 = 10_000;

/// Restarts before a run of this length are over and done with, also where nobody watched: after a start of the daemon.
const UNWATCHED_MS: i64 = 60_000;

/// One finding, not yet stamped with a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: ConditionKind,
    pub status: bool,
    pub reason: String,
    pub message: String,
}

impl Finding {
    pub fn new(kind: ConditionKind, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, status: true, reason: reason.into(), message: message.into() }
    }
}

/// The verdict on one view.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    pub sync: SyncState,
    pub health: Health,
    pub findings: Vec<Finding>,
    /// The container the app is judged by.
    pub container: Option<ContainerId>,
    /// The version of the code that it has.
    pub version: Option<VersionId>,
    pub endpoint: Option<Endpoint>,
    pub restarts: u32,
    pub started_at: Option<Timestamp>,
    /// The container whose last exit is worth showing, with its log.
    pub crashed: Option<ObservedContainer>,
    /// What is wrong with it, where that is known.
    pub diagnosis: Option<Diagnosis>,
    /// The limits in force, where they are not those of the specification.
    pub limits: Option<Limits>,
    pub motion: Motion,
    /// It was to sleep, and somebody started it.
    pub woken: bool,
    /// Look again after this long even if nothing is heard.
    pub recheck: Option<Duration>,
}

/// `plan` is what the same view still wants done.
#[must_use]
pub fn assess(view: &AppView, plan: &Plan) -> Assessment {
    let mut verdict = Assessment {
        sync: if plan.is_empty() { SyncState::Synced } else { SyncState::OutOfSync },
        health: Health::Unknown,
        findings: Vec::new(),
        container: None,
        version: None,
        endpoint: None,
        restarts: 0,
        started_at: None,
        crashed: None,
        diagnosis: None,
        limits: None,
        motion: Motion::AtRest,
        woken: false,
        recheck: None,
    };
    match &view.goal {
        Goal::Run(spec) => {
            assess_running(view, spec, &mut verdict);
            if let Some(shortage) = &plan.waits_for {
                wait_for_room(view, shortage, &mut verdict);
            }
        }
        Goal::Stop(_) => {
            let runs = view.containers.iter().any(|owned| is_alive(owned.get()));
            verdict.health = if runs { Health::Running } else { Health::Stopped };
            verdict.container = view.containers.first().map(|owned| owned.id().clone());
        }
        Goal::Sleep { since, .. } => assess_sleeping(view, *since, &mut verdict),
        Goal::Remove { .. } => {
            verdict.health = if view.containers.is_empty() { Health::Deleted } else { Health::Stopped };
        }
        Goal::Leave => {
            let runs = view.containers.iter().any(OwnedContainer::runs);
            verdict.health = if runs { Health::Running } else { Health::Stopped };
        }
    }
    if view.folder.incoming.is_some() && !matches!(view.goal, Goal::Remove { .. }) {
        verdict.sync = SyncState::OutOfSync;
        verdict.look_again_within(Duration::from_secs(1));
    }
    if view.containers.iter().any(OwnedContainer::is_leaving) {
        verdict.sync = SyncState::OutOfSync;
        verdict.look_again_within(Duration::from_millis(200));
    }
    verdict
}

/// While it falls asleep it counts as asleep already: whoever comes wakes it.
fn assess_sleeping(view: &AppView, since: Timestamp, verdict: &mut Assessment) {
    let alive: Vec<_> = view.containers.iter().filter(|owned| is_alive(owned.get())).collect();
    let judged = alive.first().copied().or(view.containers.first());
    verdict.health = Health::Asleep;
    verdict.container = judged.map(|owned| owned.id().clone());
    verdict.version = judged.and_then(OwnedContainer::version);
    verdict.woken = alive.iter().any(|owned| was_started_since(owned.get(), since));
    if !alive.is_empty() {
        verdict.sync = SyncState::OutOfSync;
        // That requests no longer go there has to be published first.
        let wait = if view.published.is_some() { Duration::ZERO } else { FALLING_ASLEEP };
        verdict.look_again_within(wait);
    }
}

/// It is started when there is room in memory; that it does not run is nothing else.
fn wait_for_room(view: &AppView, shortage: &Shortage, verdict: &mut Assessment) {
    verdict.sync = SyncState::Held;
    if !view.containers.iter().any(|owned| is_alive(owned.get())) {
        verdict.health = Health::Starting;
        verdict
            .findings
            .retain(|finding| !matches!(finding.kind, ConditionKind::CrashLoop | ConditionKind::NotAnswering));
        (verdict.crashed, verdict.diagnosis, verdict.recheck) = (None, None, None);
    }
    verdict.findings.push(Finding::new(ConditionKind::NotEnoughMemory, "NotEnoughMemory", shortage.message()));
}

fn is_alive(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting | ContainerState::Paused)
}

impl Assessment {
    fn look_again_within(&mut self, wait: Duration) {
        self.recheck = Some(self.recheck.map_or(wait, |current| current.min(wait)));
    }
}

fn assess_running(view: &AppView, spec: &AppSpec, verdict: &mut Assessment) {
    let roles = Roles::sort(view, spec);
    let judged = roles.serving(view).or(roles.fresh.first().copied()).or(roles.old.first().copied());
    report_obstacles(view, spec, &roles, verdict);
    verdict.motion = Motion::of(view, spec, &roles);
    if verdict.motion == Motion::Waits {
        verdict.findings.push(Finding::new(
            ConditionKind::WaitsToMove,
            "WaitsToMove",
            format!(
                "the app goes on serving where it is, and moves to network {} by itself when the apps before it have: one at \
                 a time",
                spec.network
            ),
        ));
        verdict.look_again_within(Duration::from_millis(TURN_MS));
    }
    let Some(owned) = judged else {
        verdict.health = Health::Starting;
        verdict.sync = SyncState::OutOfSync;
        report_unknown_version(view, spec, verdict);
        return;
    };
    let container = owned.get();
    verdict.container = Some(container.id.clone());
    verdict.version = owned.version();
    verdict.restarts = container.restart_count;
    verdict.started_at = container.started_at;
    verdict.health = health_of(view, spec, container, verdict);
    if owned.runs() && view.answers(&container.id) {
        let ip = container.address(&spec.network);
        verdict.endpoint =
            ip.map(|ip| Endpoint { container: container.id.clone(), ip, port: spec.template.internal_port });
    }
    if let Some(refused) = view.refusal(spec, &container.id)
        && tunables_differ(&view.engine, spec, container).is_some()
    {
        verdict.sync = SyncState::Invalid;
        verdict.limits = container.limits.in_force();
        verdict.findings.push(limits_refused(refused, verdict.limits));
        let elapsed = view.now.0 - refused.at.0;
        let left = u64::try_from(RefusedLimits::RETRY_MS - elapsed).unwrap_or_default();
        verdict.look_again_within(Duration::from_millis(left));
    }
    // A successor on trial: whatever its state, somebody must look again soon.
    let on_trial = !roles.fresh.is_empty() && !roles.old.is_empty();
    if on_trial || roles.fresh.is_empty() {
        verdict.sync = SyncState::OutOfSync;
    }
    if on_trial {
        let passed = roles.fresh.iter().any(|fresh| view.answers(fresh.id()));
        let drains = roles.old.iter().all(|old| view.is_draining(old.id()));
        verdict.look_again_within(if passed && !drains {
            Duration::ZERO
        } else {
            trial_patience(view, &roles, passed)
        });
    } else if roles.old.iter().any(|old| view.is_draining(old.id())) {
        verdict.look_again_within(Duration::from_millis(100));
    }
    report_unknown_version(view, spec, verdict);
}

/// The manifest names a version that nobody has: what runs goes on.
fn report_unknown_version(view: &AppView, spec: &AppSpec, verdict: &mut Assessment) {
    if let Some(Missing::Unknown(version)) = missing_version(view, spec) {
        verdict.sync = SyncState::Invalid;
        let why = if view.history.is_some() { "there is none" } else { "no history of the code is kept here" };
        verdict.findings.push(Finding::new(
            ConditionKind::Invalid,
            "NoSuchVersion",
            format!(
                "the manifest asks for version {version} of the code, and {why}: write one that `paas versions {}` lists, or \
                 remove `version`",
                view.key
            ),
        ));
    }
}

fn health_of(view: &AppView, spec: &AppSpec, container: &ObservedContainer, verdict: &mut Assessment) -> Health {
    let age = container.started_at.map_or(0, |started| view.now.0 - started.0);
    let loops = view.recent_restarts(container) >= CRASH_LOOP_RESTARTS && age < UNWATCHED_MS;
    match &container.state {
        ContainerState::Restarting => crash_loop(view, container, verdict),
        ContainerState::Running => match view.readiness.get(&container.id) {
            Some(Readiness::Answers { for_ms }) if loops && *for_ms < CALM_MS => {
                verdict.look_again_within(Duration::from_millis(u64::try_from(CALM_MS - for_ms).unwrap_or(0)));
                crash_loop(view, container, verdict)
            }
            Some(Readiness::Answers { .. }) => Health::Running,
            Some(Readiness::Silent(_)) if loops && age <= spec.start_timeout.millis() => {
                verdict.look_again_within(patience(age));
                crash_loop(view, container, verdict)
            }
            Some(Readiness::Silent(why)) => silent(view, spec, container, why, verdict),
            None => {
                verdict.look_again_within(Duration::from_millis(100));
                Health::Starting
            }
        },
        ContainerState::Exited if view.was_put_down(container) => Health::Starting,
        ContainerState::Exited if !was_stopped_from_outside(spec.restart, container) => {
            verdict.crashed = Some(container.clone());
            verdict.findings.push(Finding::new(
                ConditionKind::CrashLoop,
                "Ended",
                format!(
                    "the app ended with exit code {}{} and its restart policy `{}` leaves it down: {}, then `paas deploy {}`",
                    container.exit_code,
                    if container.oom_killed { " (out of memory)" } else { "" },
                    spec.restart,
                    view.why_ended(&container.id).map_or("look at its log", |why| &why.english),
                    view.key
                ),
            ));
            verdict.diagnosis = view.why_ended(&container.id).cloned();
            Health::Degraded
        }
        _ => Health::Starting,
    }
}

fn silent(
    view: &AppView,
    spec: &AppSpec,
    container: &ObservedContainer,
    why: &str,
    verdict: &mut Assessment,
) -> Health {
    let age = container.started_at.map_or(0, |started| view.now.0 - started.0);
    let hung = view.hung.contains(&container.id);
    let health = if age <= spec.start_timeout.millis() && !hung { Health::Starting } else { Health::Degraded };
    verdict.look_again_within(if health == Health::Starting { patience(age) } else { Duration::from_secs(10) });
    if health == Health::Degraded {
        let port = spec.template.internal_port;
        let diagnosis = view.why_silent(spec, &container.id).or_else(|| hung.then(Diagnosis::of_hang));
        let finding = match &diagnosis {
            Some(diagnosis) if hung => hangs(view, spec, container, why, diagnosis),
            Some(diagnosis) => not_answering(port, &diagnosis.english),
            None => not_answering(port, &format!("{why}. Look at `paas logs {}`", view.key)),
        };
        verdict.findings.push(finding);
        verdict.diagnosis = diagnosis;
    }
    health
}

fn not_answering(port: u16, why: &str) -> Finding {
    let message = format!("the app runs but does not answer on port {port}: {why}");
    Finding::new(ConditionKind::NotAnswering, "NotAnswering", message)
}

/// What is wrong, and what is done about it.
fn hangs(view: &AppView, spec: &AppSpec, container: &ObservedContainer, why: &str, diagnosis: &Diagnosis) -> Finding {
    let key = &view.key;
    let (reason, next) = match (view.gives_way(&container.id), view.next_replacement, spec.on_hang) {
        (true, ..) => ("BeingReplaced", "a new container takes over as soon as it answers".to_owned()),
        (false, Some(at), _) => (
            "ReplacedAgain",
            format!(
                "a new container did not help for long, the next one is tried after {at}: look at `paas logs {key}`"
            ),
        ),
        (false, None, OnHang::Replace) => ("BeingReplaced", "it gets a new container".to_owned()),
        (false, None, OnHang::Tell) => (
            "StoppedAnswering",
            format!(
                "look at `paas logs {key}`, then give it a new container with `paas deploy {key}`; with \
                 `restart: {{onHang: true}}` in its manifest it gets one by itself"
            ),
        ),
    };
    let port = spec.template.internal_port;
    let message =
        format!("the app runs but has stopped answering on port {port} ({why}): {}; {next}", diagnosis.english);
    Finding::new(ConditionKind::NotAnswering, reason, message)
}

/// While an old container serves nobody waits for the new one but its owner. The first half minute is watched closely all the
/// same: that is when a trial ends, one way or the other.
fn trial_patience(view: &AppView, roles: &Roles<'_>, passed: bool) -> Duration {
    let started = roles.fresh.iter().filter_map(|fresh| fresh.get().started_at).max();
    match started.map(|started| view.now.0 - started.0) {
        Some(age @ 30_001..) if !passed => patience(age),
        _ => Duration::from_millis(100),
    }
}

/// When to look again at a start that has taken so long: eager at first, because a person waits; then patient, because a slow
/// start costs the CPU it needs itself.
fn patience(age: i64) -> Duration {
    match age {
        ..=5_000 => Duration::from_millis(100),
        5_001..=30_000 => Duration::from_millis(500),
        _ => Duration::from_secs(1),
    }
}

fn limits_refused(refused: &RefusedLimits, in_force: Option<Limits>) -> Finding {
    let in_force = in_force.map_or_else(String::new, |Limits { memory, cpus, pids }| {
        format!(" (memory {memory}, cpus {cpus}, pids {pids})")
    });
    Finding::new(
        ConditionKind::Invalid,
        "LimitsRefused",
        format!(
            "Docker refuses the limits of the manifest, those from before stay in force{in_force}: {}",
            refused.message
        ),
    )
}

fn crash_loop(view: &AppView, container: &ObservedContainer, verdict: &mut Assessment) -> Health {
    verdict.crashed = Some(container.clone());
    let end = view.last_end(container);
    let reason = if end.is_some_and(|end| end.oom_killed) { "OutOfMemory" } else { "Crashing" };
    verdict.diagnosis = view.why_ended(&container.id).cloned();
    let why = match (&verdict.diagnosis, end) {
        (Some(diagnosis), Some(end)) => format!("it ends with exit code {}; {}", end.code, diagnosis.english),
        (Some(diagnosis), None) => diagnosis.english.clone(),
        (None, Some(end)) => format!("it ends with exit code {}: look at its log", end.code),
        (None, None) => "look at its log".to_owned(),
    };
    verdict.findings.push(Finding::new(
        ConditionKind::CrashLoop,
        reason,
        format!("the app keeps ending by itself ({} restarts); {why}", container.restart_count),
    ));
    if view.recent_restarts(container) < CRASH_LOOP_RESTARTS {
        return Health::Starting;
    }
    Health::CrashLoop
}

/// The change that was tried before and is not tried again.
fn given_up<'a>(view: &'a AppView, spec: &AppSpec, roles: &Roles<'_>) -> Option<&'a FailedDeploy> {
    view.failed_before(spec).filter(|_| roles.fresh.is_empty())
}

fn report_obstacles(view: &AppView, spec: &AppSpec, roles: &Roles<'_>, verdict: &mut Assessment) {
    verdict.diagnosis = given_up(view, spec, roles).and_then(|failed| failed.diagnosis.clone());
    let mut find = |kind, reason: &str, message: String| verdict.findings.push(Finding::new(kind, reason, message));
    if let Some(name) = view.squatted.iter().next() {
        find(
            ConditionKind::Conflict,
            "NameTaken",
            format!(
                "a container named {name} exists that this installation did not create, so it is left alone: rename or \
                 remove it (`docker rename {name} …`), then the app goes on by itself"
            ),
        );
    }
    if view.image_id.is_none() {
        find(
            ConditionKind::ImageMissing,
            "ImageMissing",
            format!("image {} is not there yet; the app starts as soon as it is (see `paas status`)", spec.image),
        );
    }
    if !view.network_ready {
        find(
            ConditionKind::NetworkMissing,
            "NetworkMissing",
            format!("network {} is not there yet; the app starts as soon as it is (see `paas status`)", spec.network),
        );
    }
    if let Some(failed) = given_up(view, spec, roles) {
        find(
            ConditionKind::DeployFailed,
            "DeployFailed",
            format!(
                "the last change was not taken over, the previous version goes on serving: {}. Repair it, then \
                 `paas deploy {}`",
                failed.told(),
                view.key
            ),
        );
    }
    let engine = &view.engine;
    let support = [
        (engine.memory_limit, "memory"),
        (engine.swap_limit, "swap"),
        (engine.pids_limit, "pids"),
        (engine.cpu_limit, "cpus"),
    ];
    let names: Vec<_> = support.iter().filter(|(there, _)| !there).map(|(_, name)| *name).collect();
    if !names.is_empty() {
        find(
            ConditionKind::LimitsNotEnforced,
            "KernelSupportMissing",
            format!("this kernel cannot limit {}: the other limits are in force", names.join(", ")),
        );
    }
}
