//! The calls that change a container in place: frozen or not, its limits, its networks.

use std::net::Ipv4Addr;

use super::calls::check_memory;
use super::container::{Attachment, Phase};
use super::journal::Actor;
use super::process::Behaviour;
use super::world::{World, error};
use crate::engine::{Effect, ErrorKind, Result};
use crate::model::{Bytes, ContainerId, Limits, MilliCpus, RestartPolicy};

/// What `docker update` may change; `None` changes nothing, and neither does 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Update {
    pub memory: Option<Bytes>,
    pub cpus: Option<MilliCpus>,
    pub pids: Option<u32>,
    pub restart: Option<RestartPolicy>,
}

impl Update {
    #[must_use]
    pub fn all(limits: Limits, restart: RestartPolicy) -> Self {
        Self { memory: Some(limits.memory), cpus: Some(limits.cpus), pids: Some(limits.pids), restart: Some(restart) }
    }
}

impl World {
    pub(super) fn pause(&mut self, actor: Actor, id_or_name: &str) -> Result<()> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| {
            let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
            match container.phase {
                Phase::Running => {
                    let from = container.state();
                    container.phase = Phase::Paused { due: None };
                    self.emit_container("pause", &id, &[]);
                    self.transition(&id, Some(from));
                    Ok(())
                }
                Phase::Paused { .. } => Err(error(ErrorKind::Conflict, format!("Container {id} is already paused"))),
                Phase::Restarting => Err(error(
                    ErrorKind::Conflict,
                    format!("Container {id} is restarting, wait until the container is running"),
                )),
                _ => Err(error(ErrorKind::Conflict, format!("Container {id} is not running"))),
            }
        });
        self.record_change(actor, "pause", witness, &result);
        result
    }

    pub(super) fn unpause(&mut self, actor: Actor, id_or_name: &str) -> Result<Effect> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).map(|id| self.thaw(&id));
        self.record_effect(actor, "unpause", witness, &result);
        result
    }

    pub(super) fn thaw(&mut self, id: &ContainerId) -> Effect {
        let Some(container) = self.containers.get_mut(id) else { return Effect::Already };
        let Phase::Paused { due } = container.phase else { return Effect::Already };
        let from = container.state();
        container.phase = Phase::Running;
        self.emit_container("unpause", id, &[]);
        self.transition(id, Some(from));
        if let Some(end) = due {
            self.die(id, end);
        }
        Effect::Done
    }

    pub(super) fn update(&mut self, actor: Actor, id_or_name: &str, update: Update) -> Result<()> {
        let witness = self.witness(id_or_name);
        let result = check_memory(update.memory)
            .and_then(|()| self.resolve_or_error(id_or_name))
            .and_then(|id| self.update_unrecorded(&id, update));
        self.record_change(actor, "update", witness, &result);
        result
    }

    fn update_unrecorded(&mut self, id: &ContainerId, update: Update) -> Result<()> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        if matches!(container.phase, Phase::Removing | Phase::Dead) {
            return Err(error(
                ErrorKind::Retryable,
                format!("Cannot update container {id}: Container is marked for removal and cannot be \"update\"."),
            ));
        }
        if let (Behaviour::Holds(held), Some(memory)) = (container.behaviour, update.memory)
            && container.is_alive()
            && memory < held
        {
            let text = format!("unable to set memory limit to {} (current usage: {})", memory.get(), held.get());
            return Err(error(ErrorKind::Terminal, format!("Cannot update container {id}: {text}")));
        }
        if let Some(memory) = update.memory.filter(|memory| memory.get() > 0) {
            container.limits.memory = memory;
        }
        if let Some(cpus) = update.cpus.filter(|cpus| cpus.0 > 0) {
            container.limits.cpus = cpus;
        }
        if let Some(pids) = update.pids.filter(|pids| *pids > 0) {
            container.limits.pids = pids;
        }
        if let Some(restart) = update.restart {
            container.restart = restart;
        }
        self.emit_container("update", id, &[]);
        Ok(())
    }

    pub(super) fn connect(
        &mut self,
        actor: Actor,
        id_or_name: &str,
        network: &str,
        address: Option<Ipv4Addr>,
    ) -> Result<Effect> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| self.connect_unrecorded(&id, network, address));
        self.record_effect(actor, "connect", witness, &result);
        result
    }

    fn connect_unrecorded(&mut self, id: &ContainerId, network: &str, fixed: Option<Ipv4Addr>) -> Result<Effect> {
        let Some(found) = self.networks.get(network) else {
            return Err(error(ErrorKind::NotFound, format!("network {network} not found")));
        };
        found.check_fixed(fixed)?;
        let (network_id, ip) = (found.id.clone(), self.address_on(found, fixed));
        let Some(container) = self.containers.get_mut(id) else { return Ok(Effect::Already) };
        if matches!(container.phase, Phase::Removing | Phase::Dead) {
            return Err(error(
                ErrorKind::Conflict,
                format!("Container {id} is marked for removal and cannot be connected or disconnected to the network"),
            ));
        }
        if !container.is_alive() {
            // Only noted, by name: the next start finds the network of that name, even where an earlier one was bound.
            container.networks.insert(network.to_owned(), Attachment { network_id: None, fixed, ip: None });
            return Ok(Effect::Done);
        }
        if container.networks.get(network).is_some_and(|attachment| attachment.ip.is_some()) {
            return Ok(Effect::Already);
        }
        let ip = ip?;
        let attachment = Attachment { network_id: Some(network_id.clone()), fixed, ip: Some(ip) };
        container.networks.insert(network.to_owned(), attachment);
        self.note_address(id, ip);
        self.emit_network("connect", network, &network_id, Some(id));
        Ok(Effect::Done)
    }

    pub(super) fn disconnect(&mut self, actor: Actor, id_or_name: &str, network: &str) -> Result<()> {
        let witness = self.witness(id_or_name);
        let result = self.resolve_or_error(id_or_name).and_then(|id| {
            let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
            match container.networks.remove(network) {
                None => {
                    Err(error(ErrorKind::Terminal, format!("container {id} is not connected to network {network}")))
                }
                Some(attachment) => {
                    if let Some(network_id) = attachment.network_id {
                        self.emit_network("disconnect", network, &network_id, Some(&id));
                    }
                    Ok(())
                }
            }
        });
        self.record_change(actor, "disconnect", witness, &result);
        result
    }
}
