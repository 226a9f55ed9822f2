//! The calls that make, run and end containers, as pure changes of the [`World`]. Messages are Docker's own, so that what the
//! daemon shows a person in a test is what it shows on a real engine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::container::{Attachment, Container, Phase};
use super::journal::{Actor, Upshot};
use super::lifecycle::StartedBy;
use super::process::{Behaviour, End};
use super::world::{Action, Witness, World, error};
use crate::engine::{Effect, ErrorKind, Result};
use crate::model::manifest::MIN_MEMORY;
use crate::model::observed::ContainerSummary;
use crate::model::{Bytes, ContainerId, ContainerSpec};

/// A call whose end lies in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Already,
    /// Ends at this time, in nanoseconds since the world began.
    Until(u64),
}

impl World {
    pub(super) fn create(&mut self, actor: Actor, spec: &ContainerSpec) -> Result<ContainerId> {
        let result = self.create_unrecorded(spec);
        let mut witness = Witness::of_object(&spec.name, &spec.labels);
        if let Ok(id) = &result {
            witness = self.witness(id.as_str());
        }
        let upshot = result.as_ref().map_or_else(|error| Upshot::Refused(error.kind()), |_| Upshot::Changed);
        self.record(actor, "create", witness, upshot);
        result
    }

    fn create_unrecorded(&mut self, spec: &ContainerSpec) -> Result<ContainerId> {
        check_memory(Some(spec.limits.memory))?;
        self.check_mounts(spec)?;
        if self.config.quirks.failing_creations > 0 {
            self.config.quirks.failing_creations -= 1;
            return Err(error(ErrorKind::Retryable, "no space left on device"));
        }
        let image_id = self
            .images
            .resolve(&spec.image)
            .ok_or_else(|| error(ErrorKind::NotFound, format!("No such image: {}", spec.image)))?;
        if let Some(holder) = self.names.get(&spec.name) {
            return Err(name_taken(&spec.name, holder));
        }
        let id = ContainerId(self.fresh_id("container"));
        let container = Container {
            id: id.clone(),
            name: spec.name.clone(),
            image_id,
            limits: spec.limits,
            restart: spec.restart,
            phase: Phase::Created,
            run: 0,
            behaviour: Behaviour::Healthy,
            // Docker does not look for the network before the first start.
            networks: [(spec.network.clone(), Attachment { network_id: None, fixed: spec.address, ip: None })].into(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restart_count: 0,
            started_at: None,
            finished_at: None,
            stopped_by_request: false,
            restart_delay: Duration::ZERO,
            hangs_since: None,
            log: Vec::new(),
            spec: spec.clone(),
        };
        self.containers.insert(id.clone(), container);
        self.order.push(id.clone());
        self.names.insert(spec.name.clone(), id.clone());
        self.emit_container("create", &id, &[]);
        self.transition(&id, None);
        Ok(id)
    }

    pub(super) fn check_mounts(&self, spec: &ContainerSpec) -> Result<()> {
        let Some(exists) = &self.path_exists else { return Ok(()) };
        match spec.mounts.iter().find(|mount| !exists(&mount.source)) {
            None => Ok(()),
            Some(mount) => Err(error(
                ErrorKind::Retryable,
                format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {}",
                    mount.source.display()
                ),
            )),
        }
    }

    pub(super) fn start(&mut self, actor: Actor, id_or_name: &str) -> Result<Effect> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| match self.containers[&id].phase {
            Phase::Running | Phase::Restarting => Ok(Effect::Already),
            Phase::Paused { .. } => {
                Err(error(ErrorKind::Conflict, "cannot start a paused container, try unpause instead"))
            }
            Phase::Removing | Phase::Dead => {
                Err(error(ErrorKind::Conflict, "container is marked for removal and cannot be started"))
            }
            Phase::Created | Phase::Exited => self.launch(&id, StartedBy::Request).map(|()| Effect::Done),
        });
        self.record_effect(actor, "start", witness, &result);
        result
    }

    /// Sends SIGTERM; the end comes with [`Action::StopDone`], whether or not the caller waits for it.
    pub(super) fn begin_stop(&mut self, actor: Actor, id_or_name: &str, grace: Duration) -> Result<Pending> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).map(|id| self.send_term(&id, grace));
        let effect = result.clone().map(|pending| match pending {
            Pending::Already => Effect::Already,
            Pending::Until(_) => Effect::Done,
        });
        self.record_effect(actor, "stop", witness, &effect);
        result
    }

    fn send_term(&mut self, id: &ContainerId, grace: Duration) -> Pending {
        let term = self.config.latency.term;
        let Some(container) = self.containers.get_mut(id) else { return Pending::Already };
        if !container.counts_as_running() {
            return Pending::Already;
        }
        container.stopped_by_request = true;
        let run = container.run;
        if container.phase == Phase::Restarting {
            self.settle(id);
            return Pending::Until(self.schedule(Duration::ZERO, Action::StopDone { id: id.clone(), run, code: 0 }));
        }
        let minds_term = container.behaviour.minds_term();
        // An app ends in good order; anything else dies of the signal, which `init` reports as 128 + 15.
        let in_good_order = container.spec.command.first().is_some_and(|program| program == "node");
        let (after, code) = match (minds_term && term <= grace, in_good_order) {
            (true, true) => (term, 0),
            (true, false) => (term, 143),
            (false, _) => (grace, 137),
        };
        self.emit_container("kill", id, &[("signal", "15".to_owned())]);
        self.thaw(id);
        Pending::Until(self.schedule(after, Action::StopDone { id: id.clone(), run, code }))
    }

    pub(super) fn kill(&mut self, actor: Actor, id_or_name: &str) -> Result<()> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| self.kill_unrecorded(&id));
        self.record_change(actor, "kill", witness, &result);
        result
    }

    fn kill_unrecorded(&mut self, id: &ContainerId) -> Result<()> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        if !container.counts_as_running() {
            return Err(error(ErrorKind::Conflict, format!("Container {id} is not running")));
        }
        container.stopped_by_request = true;
        if container.phase == Phase::Restarting {
            self.settle(id);
            return Ok(());
        }
        self.emit_container("kill", id, &[("signal", "9".to_owned())]);
        self.die(id, End { code: 137, oom: false });
        Ok(())
    }

    /// The process ends by itself, as after `kill -9 PID` on the host: the restart policy applies.
    pub(super) fn crash(&mut self, id_or_name: &str, end: End) -> Result<()> {
        let id = self.resolve_or_error(id_or_name)?;
        if self.containers[&id].phase != Phase::Running {
            return Err(error(ErrorKind::Conflict, format!("Container {id} is not running")));
        }
        self.die(&id, end);
        Ok(())
    }

    /// By force. The end comes with [`Action::RemoveDone`], whether or not the caller waits for it.
    pub(super) fn begin_remove(&mut self, actor: Actor, id_or_name: &str) -> Result<Pending> {
        let witness = self.witness(id_or_name);
        let result = match self.resolve(id_or_name) {
            None => Ok(Pending::Already),
            Some(id) if self.containers[&id].phase == Phase::Removing => {
                Err(error(ErrorKind::Conflict, format!("removal of container {id} is already in progress")))
            }
            Some(id) => {
                if self.containers[&id].counts_as_running() {
                    // Cannot fail: it runs.
                    let _ = self.kill_unrecorded(&id);
                }
                if let Some(container) = self.containers.get_mut(&id) {
                    let from = container.state();
                    container.phase = Phase::Removing;
                    self.transition(&id, Some(from));
                }
                Ok(Pending::Until(self.schedule(self.config.latency.removal, Action::RemoveDone { id })))
            }
        };
        let effect = result.clone().map(|pending| match pending {
            Pending::Already => Effect::Already,
            Pending::Until(_) => Effect::Done,
        });
        self.record_effect(actor, "remove", witness, &effect);
        result
    }

    pub(super) fn rename(&mut self, actor: Actor, id_or_name: &str, name: &str) -> Result<()> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| self.rename_unrecorded(&id, name));
        self.record_change(actor, "rename", witness, &result);
        result
    }

    fn rename_unrecorded(&mut self, id: &ContainerId, name: &str) -> Result<()> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        if container.name == name {
            return Err(error(ErrorKind::Terminal, "Renaming a container with the same name as its current name"));
        }
        if let Some(holder) = self.names.get(name) {
            return Err(name_taken(name, holder));
        }
        if container.phase == Phase::Restarting {
            // 20.10 looks for the network sandbox, which is gone between two runs.
            return Err(error(ErrorKind::Retryable, format!("sandbox of container {id} not found")));
        }
        let state = container.state();
        let old = std::mem::replace(&mut container.name, name.to_owned());
        self.names.remove(&old);
        self.names.insert(name.to_owned(), id.clone());
        self.emit_container("rename", id, &[("oldName", format!("/{old}"))]);
        self.note(id, Some(state));
        Ok(())
    }

    /// Containers that carry all the labels, the newest first.
    pub(super) fn list(&self, labels: &BTreeMap<String, String>) -> Vec<ContainerSummary> {
        let carries =
            |present: &BTreeMap<String, String>| labels.iter().all(|(name, value)| present.get(name) == Some(value));
        let lag = self.config.quirks.list_lag;
        if !lag.is_zero() {
            let mut past = self.as_of(self.age().saturating_sub(lag));
            past.retain(|summary| carries(&summary.labels));
            return past;
        }
        self.order
            .iter()
            .rev()
            .filter_map(|id| self.containers.get(id))
            .filter(|container| carries(&container.spec.labels))
            .map(|container| {
                let mut summary = container.summary();
                if container.phase == Phase::Removing && self.config.quirks.nameless_while_removing {
                    summary.name.clear();
                }
                summary
            })
            .collect()
    }

    /// The list as it was, from what is written down about the past.
    fn as_of(&self, then: Duration) -> Vec<ContainerSummary> {
        let mut past: Vec<ContainerSummary> = Vec::new();
        for change in self.transitions.iter().take_while(|change| change.at <= then) {
            past.retain(|summary| summary.id != change.container);
            if let Some(state) = &change.to {
                past.push(ContainerSummary {
                    id: change.container.clone(),
                    name: change.name.clone(),
                    labels: change.labels.clone(),
                    state: state.clone(),
                    fixed: self.containers.get(&change.container).map(Container::fixed).unwrap_or_default(),
                });
            }
        }
        past.reverse();
        past
    }
}

pub(super) fn check_memory(memory: Option<Bytes>) -> Result<()> {
    match memory {
        Some(memory) if memory.get() > 0 && memory < MIN_MEMORY => {
            Err(error(ErrorKind::Terminal, "Minimum memory limit allowed is 6MB"))
        }
        _ => Ok(()),
    }
}

fn name_taken(name: &str, holder: &ContainerId) -> crate::engine::EngineError {
    error(
        ErrorKind::Conflict,
        format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or \
             rename) that container to be able to reuse that name."
        ),
    )
}
