//! What containers do between calls: run, end, come back by policy, go away. Follows moby 20.10 (`daemon/start.go`,
//! `monitor.go`, `restartmanager.go`, `delete.go`); the conformance suite holds it to that.

use std::time::Duration;

use super::container::{CALM_RUN, Container, FIRST_RESTART_DELAY, MAX_RESTART_DELAY, Phase};
use super::process::{self, Behaviour, End};
use super::world::{Action, World, error};
use crate::engine::{ErrorKind, LogLine, LogSource, Result};
use crate::model::{ContainerId, RestartPolicy};

/// Who starts a container: a request forgets earlier restarts and stops, the policy does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartedBy {
    Request,
    Policy,
}

impl World {
    /// Runs the container's process. The phase must allow it.
    pub(super) fn launch(&mut self, id: &ContainerId, by: StartedBy) -> Result<()> {
        let Some(container) = self.containers.get(id) else { return Ok(()) };
        let from = container.state();
        self.check_mounts(&container.spec)?;
        if let Err((code, failure)) = self.prepare(id) {
            if let Some(container) = self.containers.get_mut(id) {
                failure.to_string().clone_into(&mut container.error);
                if container.exit_code == 0 {
                    container.exit_code = code;
                }
            }
            return Err(failure);
        }
        let behaviour = self.behaviour_of(id);
        let now = self.now;
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        if by == StartedBy::Request {
            container.restart_count = 0;
            container.restart_delay = Duration::ZERO;
            container.stopped_by_request = false;
        }
        container.run += 1;
        container.phase = Phase::Running;
        container.behaviour = behaviour;
        container.started_at = Some(now);
        container.exit_code = 0;
        container.oom_killed = false;
        container.error.clear();
        container.log.extend(process::output(&container.spec.command));
        let run = container.run;
        for (name, network_id) in self.attached(id) {
            self.emit_network("connect", &name, &network_id, Some(id));
        }
        self.emit_container("start", id, &[]);
        self.transition(id, Some(from));
        if let Some((after, end)) = behaviour.end() {
            self.schedule(after, Action::End { id: id.clone(), run, end });
        }
        self.grow();
        Ok(())
    }

    /// Finds the networks and gives addresses on them, or says why the start fails and with which exit code.
    fn prepare(&mut self, id: &ContainerId) -> Result<(), (i64, crate::engine::EngineError)> {
        let Some(container) = self.containers.get(id) else { return Ok(()) };
        if self.behaviour_of(id) == Behaviour::CannotStart {
            let executable = container.spec.command.first().map_or("", String::as_str);
            let text = format!(
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
                 process: exec: \"{executable}\": executable file not found in $PATH: unknown"
            );
            return Err((127, error(ErrorKind::Terminal, text)));
        }
        let mut bound = Vec::new();
        for (name, attachment) in &container.networks {
            let found = match &attachment.network_id {
                Some(network_id) => self.networks.values().find(|network| network.id == *network_id),
                None => self.networks.get(name),
            };
            let Some(network) = found else {
                let missing = attachment.network_id.as_ref().unwrap_or(name);
                return Err((128, error(ErrorKind::Retryable, format!("network {missing} not found"))));
            };
            let address =
                network.check_fixed(attachment.fixed).and_then(|()| self.address_on(network, attachment.fixed));
            match address {
                Ok(address) => bound.push((name.clone(), network.id.clone(), address)),
                Err(failure) => return Err((128, failure)),
            }
        }
        for (name, network_id, ip) in bound {
            let container = self.containers.get_mut(id);
            if let Some(attachment) = container.and_then(|container| container.networks.get_mut(&name)) {
                (attachment.network_id, attachment.ip) = (Some(network_id), Some(ip));
                self.note_address(id, ip);
            }
        }
        Ok(())
    }

    pub(super) fn attached(&self, id: &ContainerId) -> Vec<(String, String)> {
        self.containers
            .get(id)
            .into_iter()
            .flat_map(|container| &container.networks)
            .filter(|(_, attachment)| attachment.ip.is_some())
            .filter_map(|(name, attachment)| Some((name.clone(), attachment.network_id.clone()?)))
            .collect()
    }

    fn behaviour_of(&self, id: &ContainerId) -> Behaviour {
        let Some(container) = self.containers.get(id) else { return Behaviour::Healthy };
        // The latest rule wins, then what the container was told itself, then its image, then its command.
        let by_rule = self.rules.iter().rev().find_map(|rule| rule(&container.spec, &container.image_id));
        let by_env = || container.spec.env.get(super::BEHAVIOUR_ENV).and_then(|text| text.parse().ok());
        let by_image = || self.images.behaviour(&container.image_id);
        by_rule.or_else(by_env).or_else(by_image).unwrap_or_else(|| Behaviour::of_command(&container.spec.command))
    }

    pub(super) fn on_end(&mut self, id: &ContainerId, run: u64, end: End) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.run != run {
            return;
        }
        match &mut container.phase {
            Phase::Running => self.die(id, end),
            // A frozen process cannot end; it does as soon as it thaws.
            Phase::Paused { due } => *due = Some(end),
            _ => {}
        }
    }

    /// The process is gone: decide by policy what follows.
    pub(super) fn die(&mut self, id: &ContainerId, end: End) {
        let now = self.now;
        let left = self.attached(id);
        let Some(container) = self.containers.get_mut(id) else { return };
        let from = container.state();
        let ran = Duration::from_nanos(now.saturating_sub(container.started_at.unwrap_or(now)));
        container.finished_at = Some(now);
        container.hangs_since = None;
        container.exit_code = end.code;
        container.oom_killed = end.oom;
        for attachment in container.networks.values_mut() {
            attachment.ip = None;
        }
        if end.code != 0 && container.spec.command.first().is_some_and(|program| program == "node") {
            let text = format!("Error: the app ended with exit code {}", end.code);
            container.log.push(LogLine { source: LogSource::Stderr, at: None, text });
        }
        let back = decide_restart(container, ran);
        container.phase = if back.is_some() { Phase::Restarting } else { Phase::Exited };
        let run = container.run;
        if end.oom {
            self.emit_container("oom", id, &[]);
        }
        self.emit_container("die", id, &[("exitCode", end.code.to_string())]);
        for (name, network_id) in left {
            self.emit_network("disconnect", &name, &network_id, Some(id));
        }
        self.transition(id, Some(from));
        if let Some(delay) = back {
            self.schedule(delay, Action::Restart { id: id.clone(), run });
        }
    }

    pub(super) fn on_restart(&mut self, id: &ContainerId, run: u64) {
        let waiting = self.containers.get(id).is_some_and(|c| c.run == run && c.phase == Phase::Restarting);
        if waiting && self.launch(id, StartedBy::Policy).is_err() {
            self.settle(id);
        }
    }

    /// A container that waits for its restart gives up waiting.
    pub(super) fn settle(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let from = container.state();
        container.phase = Phase::Exited;
        self.transition(id, Some(from));
    }

    pub(super) fn on_stop_done(&mut self, id: &ContainerId, run: u64, code: i64) {
        let Some(container) = self.containers.get(id) else { return };
        if container.run != run {
            return;
        }
        if container.is_alive() {
            if code == 137 {
                self.emit_container("kill", id, &[("signal", "9".to_owned())]);
            }
            self.die(id, End { code, oom: false });
        }
        self.emit_container("stop", id, &[]);
    }

    pub(super) fn on_remove_done(&mut self, id: &ContainerId) {
        if !self.containers.get(id).is_some_and(|container| container.phase == Phase::Removing) {
            return;
        }
        if self.config.quirks.failing_removals > 0 {
            self.config.quirks.failing_removals -= 1;
            if let Some(container) = self.containers.get_mut(id) {
                let from = container.state();
                container.phase = Phase::Dead;
                self.transition(id, Some(from));
            }
            return;
        }
        self.emit_container("destroy", id, &[]);
        let Some(container) = self.containers.remove(id) else { return };
        self.names.remove(&container.name);
        self.order.retain(|other| other != id);
        self.transitions.push(super::journal::Transition {
            at: self.age(),
            container: container.id.clone(),
            name: container.name.clone(),
            labels: container.spec.labels.clone(),
            from: Some(container.state()),
            to: None,
        });
        self.images.drop_if_unused(&container.image_id, &self.containers);
    }
}

/// moby's `RestartManager::ShouldRestart`: the delay until the next run, `None` to stay down.
fn decide_restart(container: &mut Container, ran: Duration) -> Option<Duration> {
    // `docker stop` and `docker kill` cancel the manager, whatever the policy.
    if container.stopped_by_request || !wants_restart(container) {
        return None;
    }
    if ran >= CALM_RUN {
        container.restart_delay = Duration::ZERO;
    }
    container.restart_delay = if container.restart_delay.is_zero() {
        FIRST_RESTART_DELAY
    } else {
        (container.restart_delay * 2).min(MAX_RESTART_DELAY)
    };
    container.restart_count += 1;
    Some(container.restart_delay)
}

/// Whether the policy alone asks for another run.
pub(super) fn wants_restart(container: &Container) -> bool {
    match container.restart {
        RestartPolicy::No => false,
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !container.stopped_by_request,
        RestartPolicy::OnFailure(limit) => {
            container.exit_code != 0 && limit.is_none_or(|limit| container.restart_count < limit)
        }
    }
}
