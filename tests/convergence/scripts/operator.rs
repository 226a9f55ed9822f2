//! What people do with the docker command line, and other people's containers.

use minipaas::engine::NetworkSpec;
use minipaas::engine::sim::{Update, foreign};
use minipaas::model::Bytes;

use super::Expect::{Conflict, Running, Stopped};
use super::{A, MAIN, Script, Step, by_hand, create, quick, saves, script, to};
use crate::world::diary;

pub(super) fn all() -> Vec<Script> {
    let operator = |name, steps: Vec<Step>| {
        let mut all = vec![create()];
        all.extend(steps);
        script(name, Running, all).interrupted()
    };
    vec![
        operator("docker-kill", vec![to("docker kill", |world| by_hand(world.docker.kill(MAIN)))]).reverts(),
        operator("docker-stop", vec![to("docker stop", |world| by_hand(world.docker.stop(MAIN)))]).reverts(),
        operator("docker-rm", vec![to("docker rm -f", |world| by_hand(world.docker.remove(MAIN)))]).reverts(),
        // The address that is free by it is the next one that Docker would give.
        script(
            "docker-kill-beside",
            Running,
            vec![
                create(),
                quick("bob creates his", 100, |world| world.manifests.put("bob-one.yaml", diary(""))),
                to("docker kill of alice's meanwhile", |world| by_hand(world.docker.kill(MAIN))),
            ],
        )
        .and("bob-one", Running)
        .interrupted(),
        operator("docker-rename", vec![to("docker rename", |world| by_hand(world.docker.rename(MAIN, "mine")))])
            .reverts(),
        operator("docker-pause", vec![to("docker pause", |world| by_hand(world.docker.pause(MAIN)))]).reverts(),
        operator(
            "docker-update",
            vec![to("docker update", |world| {
                let update = Update { memory: Some(Bytes::mib(64)), pids: Some(7), ..Update::default() };
                by_hand(world.docker.update(MAIN, update));
            })],
        )
        .reverts(),
        operator(
            "docker-disconnect",
            vec![to("docker network disconnect", |world| by_hand(world.docker.disconnect("paas-proxy", MAIN)))],
        )
        .reverts(),
        operator(
            "network-gone",
            vec![to("docker network rm", |world| {
                by_hand(world.docker.disconnect("paas-proxy", MAIN));
                by_hand(world.docker.disconnect("paas-proxy", "paas-app-carol-quiet"));
                by_hand(world.docker.remove_network("paas-proxy"));
            })],
        )
        .everyone(),
        operator(
            "image-rm",
            vec![to("docker rmi -f", |world| by_hand(world.docker.untag("my-paas-node-runtime:latest")))],
        )
        .everyone(),
        script(
            "docker-start-stopped",
            Stopped,
            vec![
                create(),
                saves("`state: stopped`", "state: stopped\n"),
                to("docker start", |world| by_hand(world.docker.start(MAIN))),
            ],
        )
        .interrupted(),
        operator(
            "network-other",
            vec![
                to("docker stop", |world| by_hand(world.docker.stop(MAIN))),
                to("a network of no concern", |world| {
                    by_hand(world.docker.create_network(&NetworkSpec {
                        name: "other".to_owned(),
                        labels: std::collections::BTreeMap::new(),
                        options: std::collections::BTreeMap::new(),
                        subnet: None,
                        internal: false,
                    }));
                    by_hand(world.docker.connect("other", MAIN));
                }),
            ],
        )
        .foundation(1),
        script(
            "lookalike-before",
            Conflict,
            vec![
                to("somebody else's container has the name", |world| {
                    by_hand(world.docker.run(&foreign(MAIN, "other")))
                }),
                create(),
            ],
        )
        .interrupted(),
        script(
            "lookalike-leaves",
            Running,
            vec![
                to("somebody else's container has the name", |world| {
                    by_hand(world.docker.run(&foreign(MAIN, "other")))
                }),
                create(),
                to("it is renamed away", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        )
        .interrupted(),
        operator(
            "lookalike-during",
            vec![
                to("docker rename, and somebody takes the name", |world| {
                    by_hand(world.docker.rename(MAIN, "mine"));
                    by_hand(world.docker.run(&foreign(MAIN, "other")));
                }),
                to("they leave", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        ),
        script(
            "lookalike-after",
            Running,
            vec![
                create(),
                saves("`state: deleted`", "state: deleted\n"),
                to("somebody takes the name", |world| by_hand(world.docker.run(&foreign(MAIN, "other")))),
                saves("created again", ""),
                to("they leave", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        )
        .foundation(2)
        .interrupted(),
        script(
            "lookalike-next",
            Running,
            vec![
                create(),
                to("somebody takes the successor's name", |world| {
                    by_hand(world.docker.run(&foreign("paas-app-alice-diary.next", "other")));
                }),
                saves("an edit", "env: {A: b}\n"),
                to("they leave", |world| by_hand(world.docker.rename("paas-app-alice-diary.next", "theirs"))),
            ],
        ),
        script(
            "engine-restart",
            Running,
            vec![
                create(),
                quick("systemctl stop docker", 5_000, |world| world.docker.engine_stop()),
                to("systemctl start docker", |world| world.docker.engine_start()),
            ],
        )
        .interrupted()
        .everyone(),
        script(
            "engine-kill",
            Running,
            vec![
                create(),
                quick("kill -9 of the engine, and an edit", 5_000, |world| {
                    world.docker.engine_kill();
                    world.manifests.put(A, diary("env: {A: b}\n"));
                }),
                to("systemctl start docker", |world| world.docker.engine_start()),
            ],
        )
        .interrupted()
        .everyone(),
    ]
}
