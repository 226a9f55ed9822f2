//! A person at the docker command line: the same words move the simulator and a real Docker, so that one operator script
//! serves both.

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;

use crate::engine::EngineError;
use crate::engine::sim::{SimDocker, Update};
use crate::model::{Bytes, MilliCpus};

/// Types `docker ARGS…`.
pub trait Operator: Send + Sync {
    /// Returns what was printed.
    ///
    /// # Errors
    /// What Docker said instead.
    fn docker(&self, args: &[&str]) -> impl Future<Output = Result<String, String>> + Send;

    /// Whether this operator can cut the power.
    fn can_cut_power(&self) -> bool;

    /// The machine loses its power, with all that runs on it, and Docker comes up again. Returns when it answers.
    ///
    /// # Errors
    /// What kept it from coming up.
    fn cut_power(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// The real command line.
#[derive(Debug, Clone)]
pub struct CliOperator {
    /// Value for `DOCKER_HOST`.
    pub host: String,
    /// `scripts/lib/engine` and its folder, when the engine is the tests' own.
    pub engine: Option<(PathBuf, PathBuf)>,
}

impl CliOperator {
    async fn run(mut command: Command) -> Result<String, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("{name} could not be started: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Operator for CliOperator {
    async fn docker(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.host).args(args);
        Self::run(command).await
    }

    fn can_cut_power(&self) -> bool {
        self.engine.is_some()
    }

    async fn cut_power(&self) -> Result<(), String> {
        let Some((script, dir)) = &self.engine else { return Err("this Docker is not the tests' own".to_owned()) };
        for verb in ["power-off", "start"] {
            let mut command = Command::new(script);
            command.arg(verb).arg(dir);
            Self::run(command).await?;
        }
        Ok(())
    }
}

/// The same words to the simulator. A stop or removal is over when this returns, as with the real one.
impl Operator for SimDocker {
    async fn docker(&self, args: &[&str]) -> Result<String, String> {
        let done = |result: Result<(), EngineError>| result.map(|()| String::new()).map_err(|error| error.to_string());
        match args {
            ["stop", name] => {
                let stopped = self.stop(name).map(drop);
                self.rest(name, |state| !["running", "paused"].contains(&state)).await;
                done(stopped)
            }
            ["start", name] => done(self.start(name).map(drop)),
            ["kill", name] => done(self.kill(name)),
            ["rm", "-f", name] => {
                let removed = self.remove(name).map(drop);
                self.rest(name, |state| state != "removing").await;
                done(removed)
            }
            ["rename", name, to] => done(self.rename(name, to)),
            ["pause", name] => done(self.pause(name)),
            ["unpause", name] => done(self.unpause(name).map(drop)),
            ["update", options @ .., name] => done(self.update(name, parse_update(options)?)),
            ["network", "connect", network, name] => done(self.connect(network, name).map(drop)),
            ["network", "disconnect", network, name] => done(self.disconnect(network, name)),
            ["network", "rm", network] => done(self.remove_network(network).map(drop)),
            ["tag", source, target] => done(self.tag(source, target)),
            ["rmi", "-f", reference] => done(self.untag(reference).map(drop)),
            _ => Err(format!("the simulator does not know `docker {}`", args.join(" "))),
        }
    }

    fn can_cut_power(&self) -> bool {
        true
    }

    async fn cut_power(&self) -> Result<(), String> {
        self.lose_power();
        self.engine_start();
        Ok(())
    }
}

impl SimDocker {
    /// Waits until the container's state is as wanted, or the container is gone.
    async fn rest(&self, name: &str, wanted: impl Fn(&str) -> bool) {
        while let Some(deadline) = self.next_deadline() {
            match self.container(name) {
                Some(container) if !wanted(container.state.as_str()) => tokio::time::sleep_until(deadline).await,
                _ => break,
            }
        }
    }
}

fn parse_update(options: &[&str]) -> Result<Update, String> {
    let mut update = Update::default();
    for pair in options.chunks(2) {
        let &[option, value] = pair else { return Err(format!("`{}` needs a value", pair.join(" "))) };
        let bad = |error: &dyn std::fmt::Display| format!("{option} {value}: {error}");
        match option {
            "--memory" => update.memory = Some(value.parse::<Bytes>().map_err(|error| bad(&error))?),
            // The simulator keeps both equal, as the PaaS does.
            "--memory-swap" => {}
            "--cpus" => update.cpus = Some(value.parse::<MilliCpus>().map_err(|error| bad(&error))?),
            "--pids-limit" => update.pids = Some(value.parse::<u32>().map_err(|error| bad(&error))?),
            "--restart" => update.restart = Some(value.parse().map_err(|error| bad(&error))?),
            _ => return Err(format!("the simulator does not know `docker update {option}`")),
        }
    }
    Ok(update)
}
