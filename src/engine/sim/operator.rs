//! What people and machines do to Docker besides the daemon: the command line, and stopping the engine itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::adjust::Update;
use super::calls::Pending;
use super::container::{Container, Phase};
use super::journal::Actor;
use super::lifecycle::{StartedBy, wants_restart};
use super::process::End;
use super::world::{Reach, World};
use super::{Behaviour, SimDocker};
use crate::engine::{Effect, NetworkSpec, Result};
use crate::model::{Bytes, ContainerId, ContainerSpec, Limits, MilliCpus, RestartPolicy};

/// The exit code that Docker writes down for a process that was gone when it came up.
const POWERLESS: i64 = 255;

/// A container as somebody else would start it: no labels of ours, the default bridge, no limits to speak of.
#[must_use]
pub fn foreign(name: &str, image: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        image: image.to_owned(),
        hostname: name.to_owned(),
        labels: BTreeMap::new(),
        env: BTreeMap::new(),
        command: vec!["sleep".to_owned(), "1000000".to_owned()],
        working_dir: "/".to_owned(),
        user: "0:0".to_owned(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: Limits { memory: Bytes::mib(64), cpus: MilliCpus(1000), pids: 100 },
        restart: RestartPolicy::No,
        network: "bridge".to_owned(),
        address: None,
        port: 80,
        stop_grace_seconds: 10,
    }
}

/// A person at the command line. Calls return at once; a stop or removal goes on by itself.
impl SimDocker {
    /// `docker kill`: the restart policy does not bring it back.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.with(|world| world.kill(Actor::Operator, name))
    }

    /// `docker stop`.
    pub fn stop(&self, name: &str) -> Result<Effect> {
        self.with(|world| world.begin_stop(Actor::Operator, name, Duration::from_secs(10))).map(effect)
    }

    /// `docker start`.
    pub fn start(&self, name: &str) -> Result<Effect> {
        self.with(|world| world.start(Actor::Operator, name))
    }

    /// `docker rm -f`.
    pub fn remove(&self, name: &str) -> Result<Effect> {
        self.with(|world| world.begin_remove(Actor::Operator, name)).map(effect)
    }

    /// `docker rename`.
    pub fn rename(&self, name: &str, to: &str) -> Result<()> {
        self.with(|world| world.rename(Actor::Operator, name, to))
    }

    /// `docker pause`.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.with(|world| world.pause(Actor::Operator, name))
    }

    /// `docker unpause`.
    pub fn unpause(&self, name: &str) -> Result<Effect> {
        self.with(|world| world.unpause(Actor::Operator, name))
    }

    /// `docker update`.
    pub fn update(&self, name: &str, update: Update) -> Result<()> {
        self.with(|world| world.update(Actor::Operator, name, update))
    }

    /// `docker network connect`.
    pub fn connect(&self, network: &str, name: &str) -> Result<Effect> {
        self.with(|world| world.connect(Actor::Operator, name, network, None))
    }

    /// `docker network disconnect`.
    pub fn disconnect(&self, network: &str, name: &str) -> Result<()> {
        self.with(|world| world.disconnect(Actor::Operator, name, network))
    }

    /// `docker network create`.
    pub fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.with(|world| world.create_network(Actor::Operator, spec))
    }

    /// `docker network rm`.
    pub fn remove_network(&self, name: &str) -> Result<Effect> {
        self.with(|world| world.remove_network(Actor::Operator, name))
    }

    /// `docker tag`.
    pub fn tag(&self, source: &str, target: &str) -> Result<()> {
        self.with(|world| world.tag(Actor::Operator, source, target))
    }

    /// `docker rmi -f`.
    pub fn untag(&self, reference: &str) -> Result<Effect> {
        self.with(|world| world.untag(Actor::Operator, reference))
    }

    /// `docker create`.
    pub fn create(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        self.with(|world| world.create(Actor::Operator, spec))
    }

    /// `docker run -d`.
    pub fn run(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        self.with(|world| {
            let id = world.create(Actor::Operator, spec)?;
            world.start(Actor::Operator, id.as_str())?;
            Ok(id)
        })
    }

    /// The process ends by itself: the restart policy applies.
    pub fn crash(&self, name: &str, code: i64) -> Result<()> {
        self.with(|world| world.crash(name, End { code, oom: false }))
    }

    /// `kill -STOP` of the process on the host: Docker sees it run.
    pub fn hang(&self, name: &str) -> Result<()> {
        self.with(|world| world.set_hanging(name, true))
    }

    /// For how long a container's process has been stopped that way.
    #[must_use]
    pub fn hung_for(&self, id: &ContainerId) -> Option<Duration> {
        self.look(|world| {
            let since = world.containers.get(id)?.hangs_since?;
            Some(Duration::from_nanos(world.now.saturating_sub(since)))
        })
    }

    /// `kill -CONT`.
    pub fn unhang(&self, name: &str) -> Result<()> {
        self.with(|world| world.set_hanging(name, false))
    }

    /// The kernel kills the process for want of memory: the restart policy applies.
    pub fn run_out_of_memory(&self, name: &str) -> Result<()> {
        self.with(|world| world.crash(name, End { code: 137, oom: true }))
    }
}

fn effect(pending: Pending) -> Effect {
    match pending {
        Pending::Already => Effect::Already,
        Pending::Until(_) => Effect::Done,
    }
}

/// The engine itself.
impl SimDocker {
    /// `systemctl stop docker`: containers stop, connections end.
    pub fn engine_stop(&self) {
        self.with(|world| {
            world.go_away();
            world.end_all(Some(143));
        });
    }

    /// `kill -9` of the engine: containers go on without it.
    pub fn engine_kill(&self) {
        self.with(World::go_away);
    }

    /// The machine loses its power: engine and processes are gone in one moment, and nobody writes anything down.
    pub fn lose_power(&self) {
        self.with(|world| {
            world.go_away();
            world.end_all_with(|_| POWERLESS);
        });
    }

    /// The engine comes (back) up and starts what its restart policies say.
    pub fn engine_start(&self) {
        self.with(World::come_up);
    }

    /// Accepts calls and never answers, until [`Self::engine_unhang`].
    pub fn engine_hang(&self) {
        self.with(|world| world.reach = Reach::Hung);
    }

    pub fn engine_unhang(&self) {
        self.with(|world| world.reach = Reach::Up);
    }

    #[must_use]
    pub fn engine_is_up(&self) -> bool {
        self.look(|world| world.reach == Reach::Up)
    }
}

impl World {
    fn set_hanging(&mut self, name: &str, hangs: bool) -> Result<()> {
        let id = self.resolve_or_error(name)?;
        let now = self.now;
        if let Some(container) = self.containers.get_mut(&id) {
            container.hangs_since = Some(now).filter(|_| hangs && container.is_alive());
        }
        Ok(())
    }

    fn go_away(&mut self) {
        self.reach = Reach::Down;
        self.incarnation += 1;
    }

    /// Ends every process without a word to anybody: nobody listens.
    fn end_all(&mut self, code: Option<i64>) {
        self.end_all_with(|container| {
            let in_good_order = container.spec.command.first().is_some_and(|program| program == "node");
            if in_good_order { 0 } else { code.unwrap_or(137) }
        });
    }

    fn end_all_with(&mut self, code_of: impl Fn(&Container) -> i64) {
        let told = self.events.len();
        for id in self.order.clone() {
            let Some(container) = self.containers.get(&id) else { continue };
            if container.phase == Phase::Restarting {
                self.settle(&id);
            } else if container.is_alive() {
                let code = code_of(container);
                let (count, delay) = (container.restart_count, container.restart_delay);
                self.die(&id, End { code, oom: false });
                // A shutdown is no failed run: it neither counts nor schedules a restart.
                if let Some(container) = self.containers.get_mut(&id) {
                    (container.restart_count, container.restart_delay) = (count, delay);
                }
                if self.containers.get(&id).is_some_and(|container| container.phase == Phase::Restarting) {
                    self.settle(&id);
                }
            }
        }
        self.events.truncate(told);
    }

    fn come_up(&mut self) {
        if self.reach == Reach::Up {
            return;
        }
        // What a killed engine left running is not taken over but ended (no `live-restore`).
        self.end_all(Some(137));
        self.reach = Reach::Up;
        self.events_of_this_life = self.events.len();
        for id in self.order.clone() {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            if container.phase == Phase::Removing {
                let from = container.state();
                container.phase = Phase::Dead;
                self.transition(&id, Some(from));
            } else if container.phase == Phase::Exited && wants_restart(container) {
                // A failed start is written into the container, as Docker does.
                let _ = self.launch(&id, StartedBy::Request);
            }
        }
    }
}

/// Everything but ids, times and addresses, as text that shows well in a diff.
pub(super) fn end_state(world: &World) -> String {
    let mut text = String::new();
    for (name, id) in &world.names {
        let Some(container) = world.containers.get(id) else { continue };
        let behaviour: Behaviour = container.behaviour;
        let networks: Vec<&str> = container.networks.keys().map(String::as_str).collect();
        let limits = container.limits;
        let _ = writeln!(
            text,
            "container {name}: {} of {} exit={} restart={} memory={} cpus={} pids={} networks={networks:?} {behaviour}",
            container.state().as_str(),
            container.image_id,
            container.exit_code,
            container.restart,
            limits.memory,
            limits.cpus,
            limits.pids,
        );
        for (label, value) in &container.spec.labels {
            let _ = writeln!(text, "  {label}={value}");
        }
    }
    for name in world.networks.keys() {
        let _ = writeln!(text, "network {name}");
    }
    text
}
