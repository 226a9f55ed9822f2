//! Whether the world has followed a manifest that was written: one judgement, for the API's `?wait=` and for the command
//! line alike.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::view::{phase, trouble};
use crate::desired::ManifestDir;
use crate::model::manifest::DEFAULT_START_TIMEOUT;
use crate::model::{AppKey, AppStatus, ConditionKind, DaemonStatus, Digest, Health, RunState, Seconds, SyncState};

/// The status does not know the file as it is now.
pub const UNSEEN: &str = "not seen by the daemon yet";
/// Somebody wrote the file again; what this one asked for will not come about.
const SUPERSEDED: &str = "the manifest was changed again meanwhile: look at the app's events";

/// What was written.
#[derive(Debug, Clone)]
pub struct Goal {
    pub key: AppKey,
    /// Of the file as it is now: an older status says nothing about it.
    pub digest: Digest,
    pub state: RunState,
    /// Where it was written.
    pub dir: ManifestDir,
}

/// What a status says about a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Converged,
    /// Cannot come about without somebody changing something.
    Stuck(String),
    /// Phase and reason.
    NotYet(String),
}

/// How long somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until the verdict: as long as a new container may take to answer, and [`MARGIN`] more.
    Verdict,
    Exactly(Duration),
}

/// What making a container takes, and giving it up.
pub const MARGIN: Duration = Duration::from_secs(10);

impl Patience {
    /// From the beginning of the waiting on. `status` is the last one seen, which knows what the app's template allows.
    #[must_use]
    pub fn lasts(self, goal: &Goal, status: Option<&AppStatus>) -> Duration {
        match self {
            Self::Exactly(time) => time,
            Self::Verdict => {
                let known = status.filter(|status| status.file_digest.as_ref() == Some(&goal.digest));
                let told = known.and_then(|status| status.start_timeout_seconds).map(Seconds);
                told.filter(|_| goal.state == RunState::Running).unwrap_or(DEFAULT_START_TIMEOUT).duration() + MARGIN
            }
        }
    }
}

/// Judges one status after the other.
#[derive(Debug)]
pub struct Follower {
    goal: Goal,
    /// The daemon knows the file.
    seen: bool,
}

impl Follower {
    #[must_use]
    pub fn new(goal: Goal) -> Self {
        Self { goal, seen: false }
    }

    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// As [`Self::look`], and looks at the file itself while the status does not know it: one that was written again before
    /// the daemon read it is never seen.
    pub async fn judge(&mut self, status: Option<&AppStatus>) -> Verdict {
        let verdict = self.look(status);
        if verdict != Verdict::NotYet(UNSEEN.to_owned()) {
            return verdict;
        }
        let Goal { key, digest, dir, .. } = self.goal.clone();
        match tokio::task::spawn_blocking(move || dir.read(&key)).await {
            Ok(Ok(current)) if current.as_ref().map(|current| &current.digest) != Some(&digest) => {
                Verdict::Stuck(SUPERSEDED.to_owned())
            }
            // A file that cannot be read just now says nothing.
            _ => verdict,
        }
    }

    /// `None`: the daemon lists no such app.
    pub fn look(&mut self, status: Option<&AppStatus>) -> Verdict {
        let goal = &self.goal;
        let Some(status) = status else {
            // An app is listed from the end of its first pass on: not to be listed means gone only for one that was. A
            // deleted app whose file stays remains listed, as deleted.
            return match goal.state {
                RunState::Deleted if self.seen => Verdict::Converged,
                RunState::Running | RunState::Stopped if self.seen => Verdict::Stuck(SUPERSEDED.to_owned()),
                RunState::Running | RunState::Stopped | RunState::Deleted => Verdict::NotYet(UNSEEN.to_owned()),
            };
        };
        let applied = status.applied_digest.as_ref() == Some(&goal.digest) && status.sync == SyncState::Synced;
        let as_wanted = matches!(
            (goal.state, status.health),
            (RunState::Running, Health::Running | Health::Asleep)
                | (RunState::Stopped, Health::Stopped)
                | (RunState::Deleted, Health::Deleted)
        );
        if applied && as_wanted {
            return Verdict::Converged;
        }
        if status.file_digest.as_ref() != Some(&goal.digest) {
            return if self.seen { Verdict::Stuck(SUPERSEDED.to_owned()) } else { Verdict::NotYet(UNSEEN.to_owned()) };
        }
        self.seen = true;
        let reason = match trouble(status) {
            Some(condition) => format!("{}: {}", phase(status), condition.message),
            None => phase(status).to_owned(),
        };
        if is_stuck(status, &goal.digest) { Verdict::Stuck(reason) } else { Verdict::NotYet(reason) }
    }
}

fn is_stuck(status: &AppStatus, digest: &Digest) -> bool {
    let hopeless = [
        ConditionKind::Invalid,
        ConditionKind::TemplateMissing,
        ConditionKind::Conflict,
        ConditionKind::QuotaExceeded,
        ConditionKind::DeployFailed,
    ];
    // Of this very file's container: another one's troubles say nothing.
    let in_force = status.sync == SyncState::Synced && status.applied_digest.as_ref() == Some(digest);
    let failed = status.desired == RunState::Running && matches!(status.health, Health::CrashLoop | Health::Degraded);
    (in_force && failed)
        || hopeless.into_iter().any(|kind| {
            status.condition(kind).is_some_and(|condition| {
                condition.status && condition.digest.as_ref().is_none_or(|seen| seen == digest)
            })
        })
}

/// Watches until it is converged, stuck, the time is up or the daemon stops. With no time it looks once.
pub(super) async fn follow(
    mut status_rx: watch::Receiver<Arc<DaemonStatus>>,
    goal: Goal,
    patience: Patience,
    stopping: &CancellationToken,
) -> (Verdict, Option<Arc<AppStatus>>) {
    let began = tokio::time::Instant::now();
    let mut follower = Follower::new(goal);
    loop {
        let status = status_rx.borrow_and_update().apps.get(&follower.goal.key).cloned();
        let deadline = began + patience.lasts(&follower.goal, status.as_deref());
        let unseen = || Verdict::NotYet(UNSEEN.to_owned());
        // Cancel-safe: a look is over before the first wait. Looked first, however little time there is.
        let verdict = tokio::select! {
            biased;
            judged = tokio::time::timeout_at(deadline, follower.judge(status.as_deref())) => judged.unwrap_or_else(|_| unseen()),
            () = stopping.cancelled() => unseen(),
        };
        if !matches!(verdict, Verdict::NotYet(_)) {
            return (verdict, status);
        }
        // Cancel-safe: `changed` marks nothing as seen before it returns, the others keep nothing.
        tokio::select! {
            changed = status_rx.changed() => if changed.is_err() { return (verdict, status) },
            () = tokio::time::sleep_until(deadline) => return (verdict, status),
            () = stopping.cancelled() => return (verdict, status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(state: RunState) -> Goal {
        let dir = ManifestDir::new("/nonexistent".into());
        Goal { key: AppKey::parse("alice-diary").unwrap(), digest: Digest::of(b"new"), state, dir }
    }

    #[tokio::test]
    async fn a_file_that_was_written_again_before_anybody_saw_it_will_not_come_about() {
        let unseen = Verdict::NotYet(UNSEEN.to_owned());
        let superseded = Verdict::Stuck(SUPERSEDED.to_owned());
        let at = |file: &[u8]| status(file, b"old", SyncState::OutOfSync, Health::Running);
        for (file, known, want) in [
            (Some("new"), Some(at(b"old")), &unseen),
            (Some("new"), None, &unseen),
            // What the daemon read before ours was written.
            (Some("new"), Some(at(b"theirs")), &unseen),
            (Some("newer"), Some(at(b"newer")), &superseded),
            (Some("newer"), Some(at(b"old")), &superseded),
            (Some("newer"), None, &superseded),
            (None, Some(at(b"old")), &superseded),
        ] {
            let root = tempfile::tempdir().unwrap();
            if let Some(text) = file {
                std::fs::File::create(root.path().join("alice-diary.yaml"))
                    .and_then(|mut made| std::io::Write::write_all(&mut made, text.as_bytes()))
                    .unwrap();
            }
            let dir = ManifestDir::new(root.path().to_owned());
            let mut follower = Follower::new(Goal { dir, ..goal(RunState::Running) });
            assert_eq!(follower.judge(known.as_ref()).await, *want, "{file:?} {known:?}");
        }
    }

    fn status(file: &[u8], applied: &[u8], sync: SyncState, health: Health) -> AppStatus {
        AppStatus {
            sync,
            health,
            applied_digest: Some(Digest::of(applied)),
            ..AppStatus::unseen(&goal(RunState::Running).key, RunState::Running, Some(Digest::of(file)), "localhost")
        }
    }

    #[test]
    fn only_this_very_file_applied_and_in_the_wanted_state_is_converged() {
        use Health::{CrashLoop, Deleted, Running, Starting, Stopped};
        use SyncState::{OutOfSync, Synced};
        let (running, stopped, deleted) = (RunState::Running, RunState::Stopped, RunState::Deleted);
        for (state, file, applied, sync, health, want) in [
            (running, b"new", b"new", Synced, Running, true),
            (running, b"old", b"old", Synced, Running, false),
            (running, b"new", b"old", Synced, Running, false),
            (running, b"new", b"new", OutOfSync, Running, false),
            (running, b"new", b"new", Synced, Starting, false),
            (running, b"new", b"new", Synced, CrashLoop, false),
            (stopped, b"new", b"new", Synced, Stopped, true),
            (stopped, b"new", b"new", Synced, Running, false),
            (deleted, b"new", b"new", Synced, Deleted, true),
            (deleted, b"new", b"new", Synced, Stopped, false),
        ] {
            let verdict = Follower::new(goal(state)).look(Some(&status(file, applied, sync, health)));
            assert_eq!(verdict == Verdict::Converged, want, "{state:?} {sync:?} {health:?}: {verdict:?}");
        }
    }

    #[test]
    fn who_waits_for_a_deploy_waits_as_long_as_its_trial_and_longer() {
        let allowed = |state, file: &[u8], seconds| {
            let known = AppStatus {
                start_timeout_seconds: seconds,
                ..status(file, b"old", SyncState::OutOfSync, Health::Running)
            };
            Patience::Verdict.lasts(&goal(state), Some(&known)).as_secs()
        };
        assert_eq!(Patience::Verdict.lasts(&goal(RunState::Running), None).as_secs(), 40);
        assert_eq!(allowed(RunState::Running, b"new", Some(90)), 100);
        assert_eq!(allowed(RunState::Running, b"old", Some(90)), 40, "that was allowed to the file before");
        assert_eq!(allowed(RunState::Stopped, b"new", Some(90)), 40);
        let exactly = Patience::Exactly(Duration::from_secs(3));
        assert_eq!(exactly.lasts(&goal(RunState::Running), None).as_secs(), 3);
    }

    #[test]
    fn an_app_that_came_to_nothing_is_a_verdict_and_its_predecessors_end_is_none() {
        use Health::{CrashLoop, Degraded, Starting};
        use SyncState::{OutOfSync, Synced};
        for (applied, sync, health, stuck) in [
            (b"new", Synced, CrashLoop, true),
            (b"new", Synced, Degraded, true),
            (b"new", Synced, Starting, false),
            (b"old", OutOfSync, CrashLoop, false),
            (b"new", OutOfSync, CrashLoop, false),
        ] {
            let verdict = Follower::new(goal(RunState::Running)).look(Some(&status(b"new", applied, sync, health)));
            assert_eq!(matches!(verdict, Verdict::Stuck(_)), stuck, "{sync:?} {health:?}: {verdict:?}");
        }
    }

    #[test]
    fn an_app_that_is_not_listed_is_gone_only_if_it_was_seen_with_this_file() {
        use RunState::{Deleted, Running, Stopped};
        let at = |file: &[u8]| status(file, b"old", SyncState::OutOfSync, Health::Running);
        let unseen = Verdict::NotYet(UNSEEN.to_owned());
        let superseded = Verdict::Stuck(SUPERSEDED.to_owned());
        for (state, before, want) in [
            // The daemon has just started, or has not read the file yet.
            (Deleted, None, &unseen),
            (Deleted, Some(at(b"old")), &unseen),
            (Running, None, &unseen),
            // Taken away, and the file was removed then.
            (Deleted, Some(at(b"new")), &Verdict::Converged),
            (Running, Some(at(b"new")), &superseded),
            (Stopped, Some(at(b"new")), &superseded),
        ] {
            let mut follower = Follower::new(goal(state));
            if let Some(before) = &before {
                follower.look(Some(before));
            }
            assert_eq!(follower.look(None), *want, "{state:?} after {before:?}");
        }
    }

    #[test]
    fn a_file_that_was_seen_and_is_another_now_will_not_come_about() {
        let at = |file: &[u8]| status(file, b"old", SyncState::OutOfSync, Health::Running);
        let mut follower = Follower::new(goal(RunState::Running));
        assert_eq!(follower.look(Some(&at(b"old"))), Verdict::NotYet(UNSEEN.to_owned()));
        assert_eq!(follower.look(Some(&at(b"new"))), Verdict::NotYet("Updating".to_owned()));
        assert_eq!(follower.look(Some(&at(b"newer"))), Verdict::Stuck(SUPERSEDED.to_owned()));
    }
}
