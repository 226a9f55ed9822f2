//! Watching until the world has followed a manifest that was just written.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Wait;
use super::client::{Client, ClientError};
use super::context::Context;
use super::exit::Exit;
use super::sse::EventStream;
use crate::model::{AppKey, ConditionKind, Digest, Health, RunState, SyncState};
use crate::portal::events::Gone;
use crate::portal::view::{AppView, trouble};

/// The status does not know the file as it is now.
const UNSEEN: &str = "not seen by the daemon yet";

/// What was written.
#[derive(Debug, Clone)]
pub struct Goal {
    pub key: AppKey,
    /// Of the file as it is now: an older status says nothing about it.
    pub digest: Digest,
    pub state: RunState,
}

/// What a status says about a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Converged,
    /// Cannot come about without somebody changing something.
    Stuck(String),
    /// Phase and reason.
    NotYet(String),
}

/// Waits, shows progress, and tells how it ended.
pub async fn wait(context: &mut Context, goal: Goal, wait: Wait) -> anyhow::Result<Exit> {
    if wait.no_wait || wait.wait == 0 {
        return Ok(Exit::Done);
    }
    let client = context.client()?;
    let mut progress = Progress::new(context, &goal.key);
    let limit = Duration::from_secs(wait.wait);
    let mut last = Verdict::NotYet(UNSEEN.to_owned());
    let watched = tokio::time::timeout(limit, watch(&client, &goal, &mut progress, context, &mut last)).await;
    progress.finish();
    let key = &goal.key;
    let not_yet = match watched {
        Ok(Err(ClientError::NotRunning { socket })) => {
            format!(
                "the manifest is written, but the daemon is not running (no socket at {}): start it with `paas serve`",
                socket.display()
            )
        }
        Ok(Err(error)) => return Err(error).context(format!("the manifest of `{key}` is written; watching it failed")),
        Ok(Ok(Some(view))) => {
            tell(context, key, view.as_ref())?;
            return Ok(Exit::Done);
        }
        Ok(Ok(None)) => match last {
            Verdict::Stuck(reason) | Verdict::NotYet(reason) => reason,
            Verdict::Converged => "the daemon stopped".to_owned(),
        },
        Err(_) => match last {
            Verdict::Stuck(reason) | Verdict::NotYet(reason) => format!("not yet after {} s: {reason}", wait.wait),
            Verdict::Converged => "not told by the daemon in time".to_owned(),
        },
    };
    context.err.warning(format_args!("{key}: {not_yet}"));
    Ok(Exit::NotYet)
}

fn tell(context: &mut Context, key: &AppKey, view: Option<&AppView>) -> anyhow::Result<()> {
    match view {
        Some(view) if view.status.health == Health::Running => {
            context.out.line(format_args!("{key}: {} at {}", view.phase, view.url))?;
        }
        Some(view) => context.out.line(format_args!("{key}: {}", view.phase))?,
        None => context.out.line(format_args!("{key}: Deleted"))?,
    }
    Ok(())
}

/// `Some(the last view)` when converged, `None` when it cannot be or the daemon ended the stream.
async fn watch(
    client: &Client,
    goal: &Goal,
    progress: &mut Progress,
    context: &mut Context,
    last: &mut Verdict,
) -> Result<Option<Option<AppView>>, ClientError> {
    let mut events: EventStream = client.events("/events").await?;
    while let Some(event) = events.next().await? {
        let view = match event.event.as_str() {
            "apps" => event.json::<Vec<AppView>>()?.into_iter().find(|view| view.status.app == goal.key),
            "app" => match event.json::<AppView>()? {
                view if view.status.app == goal.key => Some(view),
                _ => continue,
            },
            "gone" if event.json::<Gone>()?.app == goal.key => None,
            _ => continue,
        };
        *last = judge(view.as_ref(), goal);
        match &*last {
            Verdict::Converged => return Ok(Some(view)),
            Verdict::Stuck(_) => return Ok(None),
            Verdict::NotYet(reason) => progress.show(context, reason),
        }
    }
    Ok(None)
}

fn judge(view: Option<&AppView>, goal: &Goal) -> Verdict {
    let Some(view) = view else {
        return match goal.state {
            // Its file is there, so the daemon lists the app until the last of it is gone.
            RunState::Deleted => Verdict::Converged,
            RunState::Running | RunState::Stopped => Verdict::NotYet(UNSEEN.to_owned()),
        };
    };
    let status = &view.status;
    let applied = status.applied_digest.as_ref() == Some(&goal.digest) && status.sync == SyncState::Synced;
    let as_wanted = matches!(
        (goal.state, status.health),
        (RunState::Running, Health::Running)
            | (RunState::Stopped, Health::Stopped)
            | (RunState::Deleted, Health::Deleted)
    );
    if applied && as_wanted {
        return Verdict::Converged;
    }
    if status.file_digest.as_ref() != Some(&goal.digest) {
        return Verdict::NotYet(UNSEEN.to_owned());
    }
    let reason = match trouble(status) {
        Some(condition) => format!("{}: {}", view.phase, condition.message),
        None => view.phase.clone(),
    };
    let hopeless = [
        ConditionKind::Invalid,
        ConditionKind::TemplateMissing,
        ConditionKind::Conflict,
        ConditionKind::QuotaExceeded,
        ConditionKind::DeployFailed,
    ];
    let of_this_file = |kind| {
        status.condition(kind).is_some_and(|condition| {
            condition.status && condition.digest.as_ref().is_none_or(|seen| *seen == goal.digest)
        })
    };
    if hopeless.into_iter().any(of_this_file) { Verdict::Stuck(reason) } else { Verdict::NotYet(reason) }
}

/// A spinner on a terminal, a line per change elsewhere; both on standard error.
struct Progress {
    key: AppKey,
    spinner: Option<ProgressBar>,
    shown: String,
}

impl Progress {
    fn new(context: &Context, key: &AppKey) -> Self {
        let spinner = context.err.is_terminal().then(|| {
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        Self { key: key.clone(), spinner, shown: String::new() }
    }

    fn show(&mut self, context: &mut Context, reason: &str) {
        if self.shown == reason {
            return;
        }
        reason.clone_into(&mut self.shown);
        match &self.spinner {
            Some(spinner) => spinner.set_message(format!("{}: {reason}", self.key)),
            // A moment that is over before anybody has read the line.
            None if reason == UNSEEN => {}
            None => context.err.note(format_args!("{}: {reason}", self.key)),
        }
    }

    fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppStatus;

    fn goal(state: RunState) -> Goal {
        Goal { key: AppKey::parse("alice-diary").unwrap(), digest: Digest::of(b"new"), state }
    }

    fn view(file: &[u8], applied: &[u8], sync: SyncState, health: Health) -> AppView {
        let status = AppStatus {
            app: AppKey::parse("alice-diary").unwrap(),
            sync,
            health,
            desired: RunState::Running,
            template: None,
            host: "alice-diary.localhost".to_owned(),
            file_digest: Some(Digest::of(file)),
            applied_digest: Some(Digest::of(applied)),
            container: None,
            endpoint: None,
            limits: None,
            restarts: 0,
            started_at: None,
            last_exit: None,
            conditions: Vec::new(),
        };
        AppView::new(&status, &crate::model::Settings::defaults("/paas"))
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
            let verdict = judge(Some(&view(file, applied, sync, health)), &goal(state));
            assert_eq!(verdict == Verdict::Converged, want, "{state:?} {sync:?} {health:?}: {verdict:?}");
        }
        assert_eq!(judge(None, &goal(deleted)), Verdict::Converged);
        assert!(matches!(judge(None, &goal(running)), Verdict::NotYet(_)), "a new file is not seen at once");
    }
}
