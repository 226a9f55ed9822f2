//! One life of the daemon in a simulated world: the controller, its subscription to Docker's events and its watchers,
//! wired as `serve` wires the real ones. Dropping it is `kill -9`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::seams::World;
use crate::controller::{Command, Config, Controller, Input, SettingsNews};
use crate::engine::events::{self, Signal};
use crate::engine::faulty::Life;
use crate::model::DaemonStatus;
use crate::store::StoreError;

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    pub life: Life,
    pub status_rx: watch::Receiver<Arc<DaemonStatus>>,
    pub commands_tx: mpsc::Sender<Command>,
    pub inputs_tx: mpsc::Sender<Input>,
    world: World,
    _tasks: JoinSet<()>,
    _stop: DropGuard,
}

impl Daemon {
    /// Begins a life; the one before, if any, is over.
    ///
    /// # Errors
    /// When the inventory cannot be read, as the real one then refuses to start. A fault may be the reason.
    // Boxed, so that the whole controller is compiled with this crate and not with each test's.
    pub fn start(world: &World) -> BoxFuture<'_, Result<Self, StoreError>> {
        Box::pin(Self::start_with(world, |_| {}))
    }

    /// As [`Self::start`], with other figures than those of the product.
    pub async fn start_with(world: &World, adjust: impl FnOnce(&mut Config)) -> Result<Self, StoreError> {
        let seams = Arc::new(world.seams());
        let life = seams.life.clone();
        let mut config = Config::new(world.instance.clone(), 1);
        adjust(&mut config);
        // As in `serve`: what changes while the controller starts is news for it.
        let mut settings_rx = world.settings_tx.subscribe();
        let news = settings_rx.borrow_and_update().clone();
        // A crash in here ends the start as well.
        let started = tokio::select! {
            biased;
            started = Controller::new(Arc::clone(&seams), config, news) => Some(started?),
            () = life.ended() => None,
        };
        let Some((controller, ends)) = started else {
            return Err(StoreError("the daemon died while it started".to_owned()));
        };
        let stop = CancellationToken::new();
        let signals_rx = events::subscribe(Arc::clone(&seams.engine), &TaskTracker::new(), stop.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(bring_news(world.clone(), settings_rx, signals_rx, ends.inputs_tx.clone()));
        tasks.spawn(controller.run(stop.clone()));
        let (docker, visitors) = (world.docker.clone(), world.visitors.clone());
        tasks.spawn(visitors.serve(docker, ends.status_rx.clone(), ends.inputs_tx.clone()));
        Ok(Self {
            life,
            status_rx: ends.status_rx,
            commands_tx: ends.commands_tx,
            inputs_tx: ends.inputs_tx,
            world: world.clone(),
            _tasks: tasks,
            _stop: stop.drop_guard(),
        })
    }

    #[must_use]
    pub fn status(&self) -> Arc<DaemonStatus> {
        self.status_rx.borrow().clone()
    }

    /// `kill -9`.
    pub fn kill(self) {
        if !self.life.is_over() {
            self.world.injector.kill();
        }
    }

    /// Waits until the status is as wanted. `false` when the daemon died or the (simulated) time is up.
    pub async fn until(&mut self, patience: Duration, wanted: impl FnMut(&Arc<DaemonStatus>) -> bool) -> bool {
        tokio::select! {
            biased;
            seen = self.status_rx.wait_for(wanted) => seen.is_ok(),
            () = self.life.ended() => false,
            () = tokio::time::sleep(patience) => false,
        }
    }
}

/// Carries what the watchers see to the controller.
async fn bring_news(
    world: World,
    mut settings_rx: watch::Receiver<SettingsNews>,
    mut signals_rx: mpsc::Receiver<Signal>,
    inputs_tx: mpsc::Sender<Input>,
) {
    let mut manifests_rx = world.manifests.changes();
    let mut runtime_rx = world.runtime.changes();
    let mut waiting_rx = world.folders.exchanges().news();
    loop {
        // Cancel-safe: each arm takes an item only when it is returned.
        let input = tokio::select! {
            biased;
            Ok(()) = settings_rx.changed() => Input::Settings(settings_rx.borrow_and_update().clone()),
            Ok(()) = manifests_rx.changed() => Input::Folders,
            Ok(()) = runtime_rx.changed() => Input::Runtime,
            Ok(()) = waiting_rx.changed() => match waiting_rx.borrow_and_update().clone() {
                Some(key) => Input::DataWaits(key),
                None => continue,
            },
            Some(signal) = signals_rx.recv() => Input::Engine(signal),
            else => return,
        };
        if inputs_tx.send(input).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::faulty::{CallFault, Injector, Scope};
    use crate::engine::sim::SimConfig;
    use crate::model::{AppKey, ContainerId, ContainerState};
    use crate::testing::seams::diary;

    const MINUTE: Duration = Duration::from_secs(60);

    fn world() -> World {
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
        world.add_template(diary());
        world
    }

    async fn ready(daemon: &mut Daemon, key: &AppKey) -> bool {
        let ready = |status: &Arc<DaemonStatus>| status.apps.get(key).is_some_and(|app| app.is_ready());
        daemon.until(10 * MINUTE, ready).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_becomes_a_running_app_and_then_nothing_moves() {
        let world = world();
        let key = AppKey::parse("alice-diary").unwrap();
        let mut daemon = Daemon::start(&world).await.unwrap();
        world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
        assert!(ready(&mut daemon, &key).await, "{:#?}\n{:#?}", daemon.status(), world.docker.journal());
        let container = world.docker.container("paas-app-alice-diary").unwrap();
        assert_eq!(container.state, ContainerState::Running);
        assert!(world.folders.app(&key).unwrap().data_owned);
        let calls = world.docker.journal_len();
        tokio::time::sleep(10 * MINUTE).await;
        assert_eq!(world.docker.journal_since(calls), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_container_waits_for_its_visitors_and_no_other_app_waits_for_it() {
        let world = world();
        let [diary, other] = ["alice-diary", "bob-notes"].map(|key| AppKey::parse(key).unwrap());
        let mut daemon = Daemon::start(&world).await.unwrap();
        world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
        assert!(ready(&mut daemon, &diary).await);
        let endpoint = |daemon: &Daemon| daemon.status().apps[&diary].endpoint.clone().unwrap().container;
        let runs = |id: &ContainerId| {
            let found = world.docker.containers().into_iter().find(|container| container.id == *id);
            found.is_some_and(|container| container.state == ContainerState::Running)
        };
        for (deploy, visitors_leave_after, stopped_within) in
            [("1", Some(Duration::from_secs(4)), 4_000..5_000), ("2", None, 10_000..11_000)]
        {
            let old = endpoint(&daemon);
            world.visitors.are_at([old.clone()]);
            world.manifests.put("alice-diary.yaml", format!("template: diary-v1\nredeploy: \"{deploy}\"\n"));
            assert!(
                daemon.until(MINUTE, |status| status.apps[&diary].endpoint.as_ref().unwrap().container != old).await
            );
            let switched = tokio::time::Instant::now();
            // Meanwhile another app goes all its way.
            world.manifests.put("bob-notes.yaml", format!("template: diary-v1\nredeploy: \"{deploy}\"\n"));
            if let Some(wait) = visitors_leave_after {
                tokio::time::sleep(wait).await;
                let notes = daemon.status().apps[&other].clone();
                assert!(notes.is_ready(), "{notes:#?}");
                assert!(runs(&old) && !daemon.status().apps[&diary].is_ready());
                world.visitors.are_at([]);
            }
            while runs(&old) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let took = switched.elapsed().as_millis();
            assert!(stopped_within.contains(&took), "{took} ms, and it was to be {stopped_within:?}");
            assert!(ready(&mut daemon, &diary).await, "{:#?}", daemon.status());
            assert_eq!(
                world.docker.container("paas-app-alice-diary").unwrap().id,
                endpoint(&daemon),
                "the name is put right"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wherever_the_daemon_dies_on_the_way_its_next_life_gets_there() {
        let key = AppKey::parse("alice-diary").unwrap();
        for fault in [CallFault::CrashBefore, CallFault::CrashAfter] {
            let mut number = 0;
            loop {
                number += 1;
                let world = world();
                world.injector.inject_at(number, fault);
                world.manifests.put("alice-diary.yaml", "template: diary-v1\n");
                if let Ok(mut daemon) = Daemon::start(&world).await
                    && ready(&mut daemon, &key).await
                {
                    assert_eq!(world.injector.deaths(), 0);
                    break;
                }
                assert_eq!(world.injector.deaths(), 1, "{:#?}", world.injector.calls());
                let mut daemon = Daemon::start(&world).await.unwrap();
                let calls = || world.injector.calls();
                assert!(ready(&mut daemon, &key).await, "{fault} at {number}: {:#?}\n{:#?}", calls(), daemon.status());
                assert_eq!(world.docker.containers().len(), 1, "{fault} at {number}: {:#?}", calls());
            }
            assert!(number > 8, "only {number} calls were seen");
        }
    }
}
