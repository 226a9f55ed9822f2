//! What does not work: images that do not build, apps that end, deploys that are given up.

use std::time::Duration;

use minipaas::engine::sim::BuildScript;
use minipaas::model::AppKey;

use super::Expect::{CrashLoop, Running, RunningGivenUp};
use super::{Action, MAIN, Script, Step, briefly, by_hand, create, quick, saves, script, to};
use crate::world::diary;

pub(super) fn all() -> Vec<Script> {
    vec![
        script(
            "image-broken",
            Running,
            vec![
                to("the runtime folder changes and does not build", |world| {
                    let text = "npm: no network".to_owned();
                    world.docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::from_millis(50), text });
                    world.runtime.set(Ok("FROM node:24-alpine\nRUN false\n"));
                }),
                create(),
                to("it is repaired", |world| {
                    world.docker.script_builds(BuildScript::default());
                    world.runtime.set(Ok("FROM node:24-alpine\nRUN true\n"));
                }),
            ],
        )
        .everyone(),
        script(
            "crash-loop-fixed",
            Running,
            vec![saves("a diary that ends", "env: {SIM_BEHAVIOUR: \"exit:3@500ms\"}\n"), saves("repaired", "")],
        )
        .interrupted(),
        script(
            "crash-loop",
            CrashLoop,
            vec![
                create(),
                to("it ends again and again", |world| {
                    world.docker.add_rule(|spec, _| (spec.name == MAIN).then(|| "exit:3@500ms".parse().unwrap()));
                    by_hand(world.docker.crash(MAIN, 3));
                }),
            ],
        )
        .interrupted(),
        script(
            "broken-neighbour",
            Running,
            vec![
                briefly("a diary that Docker cannot start", 6_000, "env: {SIM_BEHAVIOUR: cannot-start}\n"),
                quick("bob's, which works", 9_000, |world| world.manifests.put("bob-one.yaml", diary(""))),
                Step { sentence: "bob's runs", action: Action::Check("bob-one", Running) },
                saves("alice repairs hers", ""),
            ],
        )
        .and("bob-one", Running)
        .interrupted(),
        script(
            "bad-deploy",
            RunningGivenUp,
            vec![create(), saves("a change that never answers", "env: {SIM_BEHAVIOUR: never-answers}\n")],
        ),
        script(
            "bad-code",
            RunningGivenUp,
            vec![
                create(),
                to("alice breaks her page", |world| {
                    world.folders.write_code(&AppKey::parse("alice-diary").unwrap(), "broken(");
                    let folders = world.folders.clone();
                    world.docker.add_rule(move |spec, _| {
                        let code = spec.mounts.iter().find_map(|mount| folders.code_at(&mount.source));
                        (code.as_deref() == Some("broken(")).then(|| "exit:1@200ms".parse().unwrap())
                    });
                }),
                saves("a new token", "redeploy: one\n"),
                to("docker rm -f of the one that serves", |world| by_hand(world.docker.remove(MAIN))),
            ],
        )
        .foundation(3)
        .interrupted(),
        script(
            "bad-deploy-fixed",
            Running,
            vec![
                create(),
                saves("a change that crashes", "env: {SIM_BEHAVIOUR: \"exit:1@200ms\"}\n"),
                saves("a better one", "env: {A: b}\n"),
            ],
        )
        .foundation(1)
        .gives_up(),
        script(
            "slow-start",
            Running,
            vec![
                create(),
                saves("a change that takes its time", "startTimeout: 1m\nenv: {SIM_BEHAVIOUR: \"answers:40s\"}\n"),
            ],
        ),
        script(
            "slow-start-allowed",
            Running,
            vec![
                create(),
                saves("a change that takes too long", "env: {SIM_BEHAVIOUR: \"answers:35s\"}\n"),
                saves("more time for it", "startTimeout: 1m\nenv: {SIM_BEHAVIOUR: \"answers:35s\"}\n"),
            ],
        )
        .foundation(1)
        .gives_up(),
        script(
            "bad-deploy-unstartable",
            RunningGivenUp,
            vec![create(), saves("a change that Docker cannot start", "env: {SIM_BEHAVIOUR: cannot-start}\n")],
        ),
    ]
}
