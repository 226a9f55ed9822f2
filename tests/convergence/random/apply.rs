//! How what people do comes about in the simulated world: files, settings, disks, and the docker command line.

use std::collections::BTreeMap;
use std::time::Duration;

use minipaas::engine::sim::{BuildScript, Update};
use minipaas::model::{Bytes, Settings, TemplateId};
use minipaas::testing::seams::World;

use super::action::{App, DockerCommand, Loss};
use super::operator::Operator;
use crate::oracle::owner;
use crate::world::template;

/// A person's mistakes are none of the daemon's: the container may not be there, or not be ours.
pub(super) fn by_hand(world: &World, app: App, command: DockerCommand) {
    let (docker, name) = (&world.docker, app.container());
    if docker.container(&name).is_none_or(|container| owner(world, &container.labels).is_none()) {
        return;
    }
    let limits = Update { memory: Some(Bytes::mib(64)), pids: Some(7), ..Update::default() };
    let number = docker.journal_len();
    let _ = match command {
        DockerCommand::Kill => docker.kill(&name),
        DockerCommand::Stop => docker.stop(&name).map(drop),
        DockerCommand::Remove => docker.remove(&name).map(drop),
        DockerCommand::Rename => docker.rename(&name, &format!("mine-{number}")),
        DockerCommand::Pause => docker.pause(&name),
        DockerCommand::Update => docker.update(&name, limits),
        DockerCommand::Disconnect => docker.disconnect("paas-proxy", &name),
        DockerCommand::Crash => docker.crash(&name, 1),
    };
}

/// Makes files and settings what they are after the action.
pub(super) fn apply_files(world: &World, before: &Operator, after: &Operator) {
    if before.lost != after.lost && after.lost.is_some() {
        set_out_of_sight(world, after.lost);
    }
    // What is on an unmounted disk is not in the folder that takes its place.
    let nothing = BTreeMap::new();
    let shown = |operator: &Operator| -> BTreeMap<String, String> {
        if operator.lost == Some(Loss::Unmounted) { nothing.clone() } else { operator.files.clone() }
    };
    let (old, new) = (shown(before), shown(after));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        world.manifests.remove(name);
    }
    for (name, text) in new.iter().filter(|(name, text)| old.get(*name) != Some(text)) {
        world.manifests.put(name, text);
    }
    if before.lost != after.lost && after.lost.is_none() {
        set_out_of_sight(world, None);
    }
    if before.template_broken != after.template_broken {
        if after.template_broken {
            let id = TemplateId::parse("diary-v1").unwrap();
            world.manifests.put_template(id, Err("template.json:1:1: unexpected end".to_owned()));
        } else {
            world.add_template(template());
        }
    }
    if (before.image, before.image_broken) != (after.image, after.image_broken) {
        if after.image_broken {
            let text = "npm: no network".to_owned();
            world.docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::from_millis(50), text });
            world.runtime.set(Ok("FROM node:24-alpine\nRUN false\n"));
        } else {
            world.docker.script_builds(BuildScript::default());
            let more = if after.image == 0 { String::new() } else { format!("RUN echo {}\n", after.image) };
            world.runtime.set(Ok(&format!("FROM node:24-alpine\n{more}")));
        }
    }
    if (before.domain, before.memory) != (after.domain, after.memory) {
        let domain = match after.domain {
            0 => Settings::defaults("/paas").domain,
            number => format!("example{number}.org"),
        };
        world.edit_settings(|settings| {
            settings.domain = domain;
            settings.mem_limit = Bytes::mib(after.memory.into());
        });
    }
}

fn set_out_of_sight(world: &World, lost: Option<Loss>) {
    world.manifests.set_missing((lost == Some(Loss::Missing)).then_some("no such folder"));
    world.manifests.set_marker((lost != Some(Loss::Unmounted)).then(|| world.instance.clone()));
}

/// Somebody else's containers get names of their own.
pub(super) fn send_lookalikes_away(world: &World, before: &Operator) {
    let docker = &world.docker;
    for (number, (app, end)) in before.lookalikes.iter().enumerate() {
        let name = format!("{}{end}", app.container());
        let foreign = docker.container(&name).is_some_and(|there| owner(world, &there.labels).is_none());
        if foreign {
            drop(docker.rename(&name, &format!("theirs-{}-{number}", docker.journal_len())));
        }
    }
}
