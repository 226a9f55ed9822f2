//! A run: step by step, and what is looked at when it is over.

use std::time::Duration;

use minipaas::engine::faulty::CallRecord;
use minipaas::engine::sim::Quirks;
use minipaas::model::AppKey;
use minipaas::model::status::ManifestsStatus;
use minipaas::testing::daemon::Daemon;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use crate::end_state::end_state;
use crate::fault::{Down, Fault};
use crate::oracle::{self, OneMoreLook};
use crate::previews::{self, Wanted};
use crate::properties::Answer;
use crate::scripts::Action;
use crate::waiting::{CALM, RESYNC};
use crate::world::{Ended, Run};

/// And when something is not as it should be: longer than the wait after a failed build. What takes longer than its
/// disturbance accounts for breaks P1 all the same.
const LONG: Duration = Duration::from_secs(400);
/// A long step is looked at so often.
const SLICE: Duration = Duration::from_secs(10);
/// For one look at everything.
const LOOK: Duration = Duration::from_secs(5);
/// How long a person tries to confirm something.
const INSISTENCE: Duration = Duration::from_secs(120);
/// How often whoever asked for something looks whether there is an answer.
const ASKED: Duration = Duration::from_millis(100);

impl Run<'_> {
    pub(crate) async fn execute(mut self, undisturbed: Option<&Ended>) -> Ended {
        let mut first = None;
        for (number, step) in self.script.steps.iter().enumerate() {
            self.step = number;
            self.save_again();
            self.world.manifests.flush();
            match step.action {
                Action::Do(change) => {
                    change.make(&self.world);
                    self.done(number);
                    self.settle(CALM).await;
                }
                Action::Quick(change, wait) => {
                    change.make(&self.world);
                    self.done(number);
                    // What a lasting failure lasts does not depend on how long the step is.
                    let end = Instant::now() + wait;
                    while Instant::now() < end {
                        self.pump(end.saturating_duration_since(Instant::now()).min(SLICE)).await;
                    }
                }
                Action::WhileDown(change) => {
                    self.daemon = None;
                    self.world.injector.kill();
                    self.record.look_at_status(&self.world, None);
                    change.make(&self.world);
                    self.done(number);
                    self.settle(CALM).await;
                }
                Action::Check(app, expect) => {
                    if self.injections.is_empty() {
                        self.record.check(&self.world, self.daemon.as_ref(), app, expect);
                    }
                }
                Action::Confirm => {
                    self.down = None;
                    self.confirm().await;
                    self.settle(CALM).await;
                }
                Action::Preview(app, wanted) => {
                    self.preview(app, wanted).await;
                    self.done(number);
                    self.settle(CALM).await;
                }
                Action::Ask(wait) => {
                    self.down = None;
                    self.ask().await;
                    self.pump(wait).await;
                }
            }
            if self.injections.is_empty() && !matches!(step.action, Action::Quick(..) | Action::Ask(_)) {
                self.record.look_at_gates(&self.world, self.daemon.as_ref());
            }
            if number == 0 && self.script.reverts && undisturbed.is_none() {
                first = Some(end_state(&self.world, self.daemon.as_ref()));
            }
        }
        if self.down.take().is_some() {
            self.settle(CALM).await;
        }
        let last_call = self.world.injector.count();
        let missed = self.world.injector.outstanding();
        // A fault that waits for a later call would come in the checks: it did not come, so it never does.
        self.world.injector.heal();
        self.world.docker.set_quirks(Quirks::default());
        if self.injections.iter().any(|injection| matches!(injection.fault, Fault::Quirk(_))) {
            // What nobody told of is found by the next full look.
            self.pump(RESYNC).await;
        }
        let mut broken = self.at_end(undisturbed, first.as_deref());
        if !broken.is_empty() {
            // Out of what the daemon cannot have heard of it finds its way by itself, in its own time.
            self.settle(LONG).await;
            broken = self.at_end(undisturbed, first.as_deref());
        }
        let changes = self.record.changes();
        self.record.violations.extend(broken);
        self.record.look_back(&self.world, self.script, self.injections, self.unfounded, undisturbed);
        let late = self.record.late(&self.world);
        self.rests().await;
        let wanted = self.injections.is_empty();
        let calls = if wanted || !self.record.violations.is_empty() {
            let calls = self.world.injector.calls();
            let of_script = calls.into_iter().filter(|call| call.number > self.offset && call.number <= last_call);
            of_script.map(|call| CallRecord { number: call.number - self.offset, ..call }).collect()
        } else {
            Vec::new()
        };
        Ended {
            end_state: if wanted { end_state(&self.world, self.daemon.as_ref()) } else { String::new() },
            changes,
            late,
            missed,
            trace: if self.record.violations.is_empty() { String::new() } else { self.trace(&calls) },
            calls,
            violations: self.record.violations,
        }
    }

    /// A step was done.
    fn done(&mut self, number: usize) {
        self.record.action(&self.world);
        let last = number + 1 == self.script.steps.len();
        if self.down == Some(Down::ForStep) || last {
            self.down = None;
        }
    }

    /// People see what the power loss made of their files, and save them once more.
    pub(crate) fn save_again(&mut self) {
        for (name, content) in std::mem::take(&mut *self.unsaved.lock().unwrap()) {
            match content {
                Some(bytes) => self.world.manifests.put(&name, bytes),
                None => self.world.manifests.remove(&name),
            }
        }
        self.record.stir();
    }

    fn at_end(&self, undisturbed: Option<&Ended>, first: Option<&str>) -> Vec<String> {
        let script = (!self.unfounded).then_some(self.script);
        self.record.at_end(&self.world, script, self.daemon.as_ref(), self.injections, undisturbed, first)
    }

    /// P2.
    async fn rests(&mut self) {
        let before = OneMoreLook::begin(&self.world, self.daemon.as_ref()).await;
        self.pump(LOOK).await;
        self.record.violations.extend(before.broken(&self.world));
    }

    /// A person confirms what is held, once. Whoever gets no answer because the daemon died looks again whether anything is
    /// held still.
    async fn confirm(&mut self) {
        let deadline = Instant::now() + INSISTENCE;
        while Instant::now() < deadline {
            // Who wants to confirm something needs a daemon, and starts it.
            self.down = None;
            if self.record.has_asked() || self.daemon.is_none() {
                self.pump(CALM).await;
            }
            let Some(daemon) = &self.daemon else { continue };
            let is_held = daemon.status().held.is_some();
            // A daemon that was down while files came and went again takes a confirmation of before for one of now.
            let is_done = self.was_down() && self.world.store.rows().is_empty();
            if !is_held && (self.record.has_asked() || is_done) {
                return;
            }
            if self.ask().await == Some(Answer::Accepted) {
                return;
            }
            self.pump(Duration::from_secs(1)).await;
        }
        if !self.unfounded {
            self.record.violations.push("P1 nothing was held, or it could not be confirmed".to_owned());
        }
    }

    /// Somebody tries until they are heard.
    async fn preview(&mut self, app: &str, wanted: Wanted) {
        let key = AppKey::parse(app).unwrap();
        let deadline = Instant::now() + INSISTENCE;
        while Instant::now() < deadline {
            // Who wants to see something needs a daemon, and starts it.
            self.down = None;
            if self.is_heard(&key, wanted).await {
                return;
            }
            self.pump(Duration::from_secs(1)).await;
        }
        if !self.unfounded {
            self.record.violations.push(format!("P1 nobody could look at {app}: {wanted:?}"));
        }
    }

    /// Asks once. The daemon may die over it: time passes as it does everywhere, so it is missed, and started again.
    async fn is_heard(&mut self, key: &AppKey, wanted: Wanted) -> bool {
        let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.life.is_over()) else { return false };
        let mut reply = previews::ask(daemon, key, wanted).await;
        let end = Instant::now() + previews::ANSWER;
        while Instant::now() < end {
            self.pump(ASKED).await;
            match reply.try_recv() {
                Ok(answer) => return answer.is_ok(),
                Err(TryRecvError::Closed) => return false,
                Err(TryRecvError::Empty) => {}
            }
        }
        false
    }

    fn was_down(&self) -> bool {
        self.injections.iter().any(|injection| matches!(injection.fault, Fault::Down(_)))
    }

    /// `paas confirm` of what is held, once. `None`: nothing is.
    async fn ask(&mut self) -> Option<Answer> {
        let sees = |daemon: Option<&Daemon>| {
            daemon.is_some_and(|daemon| matches!(daemon.status().manifests, ManifestsStatus::Complete))
        };
        let held = self.daemon.as_ref().and_then(|daemon| daemon.status().held.clone())?;
        let saw = sees(self.daemon.as_ref());
        let answer = match oracle::confirm(self.daemon.as_ref()).await {
            Some(Ok(_)) => Answer::Accepted,
            Some(Err(_)) | None => Answer::Refused,
        };
        if answer == Answer::Accepted && !saw && !sees(self.daemon.as_ref()) {
            self.record.violations.push("P10 what the daemon cannot see was confirmed to it".to_owned());
        }
        self.record.asked(held.apps, answer);
        Some(answer)
    }
}
