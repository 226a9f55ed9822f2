//! Visitors of a simulated world, and what a gateway does for them: it sends a request to where the status says, wakes an app that
//! sleeps, and lets whoever finds nobody wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::controller::{Drain, Input, LastVisit};
use crate::engine::sim::{Actor, SimDocker};
use crate::model::{AppKey, ContainerId, ContainerState, DaemonStatus, Wake};

/// How long a request runs, unless it is said.
pub const TAKES: Duration = Duration::from_millis(300);
/// How soon a connection is tried again that was not taken.
const AGAIN: Duration = Duration::from_millis(50);

/// All visitors; they outlive the daemon, which loses what it holds of them when it dies.
#[derive(Debug, Clone, Default)]
pub struct SimVisitors {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// Containers that tests say are busy.
    busy: BTreeSet<ContainerId>,
    /// When a request was last sent to these, as this life's gateway knows.
    used: BTreeMap<ContainerId, Instant>,
    requests: Vec<Request>,
    left: BTreeMap<AppKey, Instant>,
    lost: Vec<String>,
}

/// One request of one visitor.
#[derive(Debug, Clone)]
pub struct Request {
    pub app: AppKey,
    pub came: Instant,
    pub takes: Duration,
    pub stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    Waits,
    Runs { on: ContainerId, until: Instant },
    Answered(Instant),
}

impl SimVisitors {
    #[expect(clippy::expect_used, reason = "a test that panicked in here has failed already")]
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics in here")
    }

    /// From now on these containers, and no others, have requests that run beside those of visitors.
    pub fn are_at(&self, containers: impl IntoIterator<Item = ContainerId>) {
        self.state().busy = containers.into_iter().collect();
    }

    /// A request was sent to this container now.
    pub fn visits(&self, container: &ContainerId) {
        self.state().used.insert(container.clone(), Instant::now());
    }

    /// A gateway that begins knows of nobody.
    pub(super) fn begin(&self) {
        self.state().used.clear();
    }

    /// Somebody comes to an app after that time.
    pub fn come(&self, app: &AppKey, after: Duration) {
        self.push(app, Instant::now() + after, TAKES);
    }

    /// Somebody comes now, and reads a stream for so long; whom it is torn from does not come back.
    pub fn stay(&self, app: &AppKey, takes: Duration) {
        self.push(app, Instant::now(), takes);
    }

    fn push(&self, app: &AppKey, came: Instant, takes: Duration) {
        self.state().requests.push(Request { app: app.clone(), came, takes, stage: Stage::Waits });
        self.news.notify_one();
    }

    /// All who ever came, or are about to.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// What went wrong for them by the daemon's fault.
    #[must_use]
    pub fn lost(&self) -> Vec<String> {
        self.state().lost.clone()
    }

    /// One life's gateway, until it is dropped.
    pub(super) async fn serve(
        self,
        docker: SimDocker,
        mut status_rx: watch::Receiver<Arc<DaemonStatus>>,
        inputs_tx: mpsc::Sender<Input>,
    ) {
        // Their connections ended with the daemon before, and they come again.
        for request in &mut self.state().requests {
            if matches!(request.stage, Stage::Runs { .. }) {
                request.stage = Stage::Waits;
            }
        }
        loop {
            let status = status_rx.borrow_and_update().clone();
            let (wakes, next) = self.state().look(&docker, &status);
            for app in wakes {
                let wake = Wake { app, path: Some("/".to_owned()), agent: None };
                if inputs_tx.send(Input::Wanted(wake)).await.is_err() {
                    return;
                }
            }
            // Cancel-safe: all three only wait.
            tokio::select! {
                biased;
                changed = status_rx.changed() => if changed.is_err() { return },
                () = self.news.notified() => {}
                () = at(next) => {}
            }
        }
    }
}

async fn at(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}

impl State {
    /// Does what can be done; tells whom to wake and when to look again.
    fn look(&mut self, docker: &SimDocker, status: &DaemonStatus) -> (BTreeSet<AppKey>, Option<Instant>) {
        let now = Instant::now();
        let (mut wakes, mut next) = (BTreeSet::new(), Vec::new());
        for request in &mut self.requests {
            match &request.stage {
                Stage::Answered(_) => {}
                Stage::Waits if request.came > now => next.push(request.came),
                Stage::Waits => {
                    let Some(app) = status.apps.get(&request.app) else { continue };
                    match &app.endpoint {
                        Some(to) if docker.answers(to.ip, to.port).is_ok() => {
                            let until = now + request.takes;
                            next.push(until);
                            request.stage = Stage::Runs { on: to.container.clone(), until };
                        }
                        Some(_) => next.push(now + AGAIN),
                        None if app.sleep.as_ref().is_some_and(|sleep| sleep.since.is_some()) => {
                            wakes.insert(request.app.clone());
                        }
                        None => {}
                    }
                }
                Stage::Runs { on, until } => {
                    let runs =
                        docker.container(on.as_str()).is_some_and(|found| found.state == ContainerState::Running);
                    if !runs {
                        if stopped_by_the_daemon(docker, on) {
                            self.lost
                                .push(format!("a request for {} ran on a container that was stopped", request.app));
                        }
                        if request.takes > TAKES {
                            request.stage = Stage::Answered(now);
                        } else {
                            request.stage = Stage::Waits;
                            next.push(now + AGAIN);
                        }
                    } else if *until <= now {
                        request.stage = Stage::Answered(now);
                        self.left.insert(request.app.clone(), now);
                    } else {
                        next.push(*until);
                    }
                }
            }
        }
        (wakes, next.into_iter().min())
    }
}

fn stopped_by_the_daemon(docker: &SimDocker, container: &ContainerId) -> bool {
    let about = |entry: &&crate::engine::sim::JournalEntry| entry.container.as_ref() == Some(container);
    docker.with_journal(|journal| {
        let last = journal.iter().rev().find(about);
        last.is_some_and(|entry| entry.actor == Actor::Daemon && entry.call == "stop")
    })
}

impl Drain for SimVisitors {
    fn last_used(&self, container: &ContainerId) -> Option<Duration> {
        self.state().used.get(container).map(Instant::elapsed)
    }

    fn is_busy(&self, container: &ContainerId) -> bool {
        let state = self.state();
        let runs = |request: &Request| matches!(&request.stage, Stage::Runs { on, .. } if on == container);
        state.busy.contains(container) || state.requests.iter().any(runs)
    }

    fn last_visit(&self, app: &AppKey) -> LastVisit {
        let (state, now) = (self.state(), Instant::now());
        let is_there = |request: &Request| {
            request.app == *app && request.came <= now && !matches!(request.stage, Stage::Answered(_))
        };
        if state.requests.iter().any(is_there) {
            return LastVisit::Now;
        }
        state.left.get(app).map_or(LastVisit::Never, |left| LastVisit::At(*left))
    }
}
