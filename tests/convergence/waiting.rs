//! Time in a run: it passes while the daemon lives, dies and is started again.

use std::time::Duration;

use minipaas::engine::faulty::CallFault;
use minipaas::model::{ContainerState, ObservedContainer, labels};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::oracle::is_at_ease;
use crate::supervisor::{Came, RESTART, next_event};
use crate::world::Run;

/// How long a lasting failure lasts.
const OUTAGE: Duration = Duration::from_secs(40);
/// Rest that counts as the end when the status looks calm: longer than the grace of a vanished file.
pub(crate) const CALM: Duration = Duration::from_secs(15);
/// And when it does not: longer than the backoff that an outage leads to.
const UNEASY: Duration = Duration::from_secs(200);
/// Longer than from one full look to the next.
pub(crate) const RESYNC: Duration = Duration::from_secs(72);
/// How long after the machine Docker is there again: sometimes before the daemon, sometimes after it.
const BOOT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];
/// Bound on everything.
const PATIENCE: Duration = Duration::from_secs(3_600);

impl Run<'_> {
    /// Lets time pass; whenever the daemon dies it is started again, unless it is to stay down.
    pub(crate) async fn pump(&mut self, wait: Duration) {
        let end = Instant::now() + wait;
        loop {
            if self.daemon.is_none() && self.down.is_some() {
                tokio::time::sleep_until(end).await;
                break;
            }
            let came = next_event(&self.world, &mut self.daemon, end).await;
            if came == Came::Nothing {
                break;
            }
            self.record.look_at_status(&self.world, self.daemon.as_ref());
            if came == Came::Death {
                self.after_death().await;
            }
        }
        self.record.look(&self.world, self.daemon.as_ref());
        if !self.injected && self.world.injector.outstanding() == 0 {
            self.injected = true;
            self.heal_at = Some(Instant::now() + OUTAGE);
        }
        if self.heal_at.is_some_and(|at| at <= Instant::now()) {
            self.heal_at = None;
            self.world.injector.heal();
            self.save_again();
        }
    }

    /// The supervisor waits; after a power loss the machine comes up first.
    async fn after_death(&mut self) {
        tokio::time::sleep(RESTART).await;
        match self.ordered.take() {
            Some(Fault::Down(down)) => {
                self.down = Some(down);
                self.unfounded |= self.step < self.script.foundation;
            }
            Some(Fault::Power(_)) => {
                let docker = self.world.docker.clone();
                // What is not ours, and died of it, is started again by those whose it is.
                let theirs = |container: &ObservedContainer| {
                    container.state == ContainerState::Exited && !container.labels.contains_key(labels::INSTANCE)
                };
                let ran: Vec<_> = docker.containers().into_iter().filter(theirs).collect();
                let wait = BOOT[usize::from(self.world.injector.count().is_multiple_of(2))];
                // Detached: it ends with the run's own runtime.
                tokio_util::task::TaskTracker::new().spawn(async move {
                    tokio::time::sleep(wait).await;
                    docker.engine_start();
                    for container in ran {
                        drop(docker.start(container.id.as_str()));
                    }
                });
            }
            _ => {}
        }
    }

    /// Until the daemon has done nothing for a while.
    pub(crate) async fn settle(&mut self, calm: Duration) {
        let began = Instant::now();
        let (mut writes, mut since) = (self.world.injector.writes(), Instant::now());
        let mut slice = Duration::from_millis(500);
        loop {
            let waits = self.heal_at.is_some();
            self.pump(slice).await;
            let now = self.world.injector.writes();
            // What was healed, or saved once more, the daemon has yet to hear of.
            let healed = waits && self.heal_at.is_none();
            if std::mem::replace(&mut writes, now) != now || healed {
                since = Instant::now();
                slice = Duration::from_millis(500);
            } else {
                slice = (slice * 2).min(Duration::from_secs(5));
            }
            if self.down.is_some() {
                return;
            }
            if since.elapsed() >= if self.is_calm() { calm } else { calm.max(UNEASY) } {
                if calm >= CALM {
                    self.record.look_at_confirmations(&self.world);
                }
                return;
            }
            if began.elapsed() >= PATIENCE {
                self.record.violations.push("P1 it is still at it after an hour".to_owned());
                return;
            }
        }
    }

    /// Nothing is due as far as the status tells.
    fn is_calm(&self) -> bool {
        let Some(daemon) = self.daemon.as_ref().filter(|_| self.heal_at.is_none()) else { return false };
        // Whoever was shown an old state does not know that there is anything to do.
        let stale = self.injections.iter().any(|injection| injection.fault == Fault::Call(CallFault::StaleList));
        let injected = self.world.injector.last_injected_at().filter(|_| stale);
        injected.is_none_or(|at| at.elapsed() >= RESYNC) && is_at_ease(&daemon.status())
    }
}
