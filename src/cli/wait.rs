//! Watching until the world has followed a manifest that was just written.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::args::Wait;
use super::client::{Client, ClientError};
use super::context::Context;
use super::exit::Exit;
use super::sse::EventStream;
use crate::model::{AppKey, Health};
use crate::portal::events::Gone;
pub use crate::portal::follow::Goal;
use crate::portal::follow::{Follower, Patience, UNSEEN, Verdict};
use crate::portal::view::AppView;

/// Waits, shows progress, and tells how it ended.
pub async fn wait(context: &mut Context, goal: Goal, wait: Wait) -> anyhow::Result<Exit> {
    if wait.no_wait || wait.wait == Some(0) {
        return Ok(Exit::Done);
    }
    let client = context.client()?;
    let mut progress = Progress::new(context, &goal.key);
    let began = Instant::now();
    let patience = wait.wait.map_or(Patience::Verdict, |seconds| Patience::Exactly(Duration::from_secs(seconds)));
    let mut last = Verdict::NotYet(UNSEEN.to_owned());
    let key = goal.key.clone();
    let follower = Follower::new(goal);
    let watched = watch(&client, follower, (began, patience), &mut progress, context, &mut last).await;
    progress.finish();
    let key = &key;
    let not_yet = match watched {
        Err(ClientError::NotRunning { socket }) => {
            format!(
                "the manifest is written, but the daemon is not running (no socket at {}): start it with `paas serve`",
                socket.display()
            )
        }
        Err(error) => return Err(error).context(format!("the manifest of `{key}` is written; watching it failed")),
        Ok(Watched::Converged(view)) => {
            tell(context, key, view.as_deref())?;
            return Ok(Exit::Done);
        }
        Ok(Watched::Ended) => match last {
            Verdict::Stuck(reason) | Verdict::NotYet(reason) => reason,
            Verdict::Converged => "the daemon stopped".to_owned(),
        },
        Ok(Watched::TimeUp) => match last {
            Verdict::Stuck(reason) | Verdict::NotYet(reason) => {
                format!("not yet after {} s: {reason}", began.elapsed().as_secs())
            }
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

/// How the watching ended.
enum Watched {
    /// With the last view, if the app is still there.
    Converged(Option<Box<AppView>>),
    /// It cannot come about, or the daemon ended the stream.
    Ended,
    TimeUp,
}

async fn watch(
    client: &Client,
    mut follower: Follower,
    (began, patience): (Instant, Patience),
    progress: &mut Progress,
    context: &mut Context,
    last: &mut Verdict,
) -> Result<Watched, ClientError> {
    let key = follower.goal().key.clone();
    let mut deadline = began + patience.lasts(follower.goal(), None);
    let Ok(opened) = tokio::time::timeout_at(deadline, client.events("/events")).await else {
        return Ok(Watched::TimeUp);
    };
    let mut events: EventStream = opened?;
    loop {
        let Ok(next) = tokio::time::timeout_at(deadline, events.next()).await else { return Ok(Watched::TimeUp) };
        let Some(event) = next? else { return Ok(Watched::Ended) };
        let view = match event.event.as_str() {
            "apps" => event.json::<Vec<AppView>>()?.into_iter().find(|view| view.status.app == key),
            "app" => match event.json::<AppView>()? {
                view if view.status.app == key => Some(view),
                _ => continue,
            },
            "gone" if event.json::<Gone>()?.app == key => None,
            _ => continue,
        };
        let status = view.as_ref().map(|view| &view.status);
        deadline = began + patience.lasts(follower.goal(), status);
        *last = follower.judge(status).await;
        match &*last {
            Verdict::Converged => return Ok(Watched::Converged(view.map(Box::new))),
            Verdict::Stuck(_) => return Ok(Watched::Ended),
            Verdict::NotYet(reason) => progress.show(context, reason),
        }
    }
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
