//! A process that lives and answers nobody.

use super::Expect::{Hung, Running};
use super::{A, Action, MAIN, Script, Step, by_hand, create, quick, saves, script, to};
use crate::world::diary;

const NEXT: &str = "paas-app-alice-diary.next";
/// Long enough to find out, also for a daemon that was killed over it.
const FOUND: u64 = 130_000;

fn is(sentence: &'static str, expect: super::Expect) -> Step {
    Step { sentence, action: Action::Check("alice-diary", expect) }
}

pub(super) fn all() -> Vec<Script> {
    vec![
        script(
            "hang",
            Running,
            vec![
                saves("a diary that is replaced when it hangs", "restart: {onHang: true}\n"),
                quick("its process hangs", FOUND, |world| by_hand(world.docker.hang(MAIN))),
                is("a new container answers", Running),
                to("nothing more happens", |_| {}),
            ],
        )
        .hangs(),
        script(
            "hang-told",
            Running,
            vec![
                create(),
                quick("its process hangs", FOUND, |world| by_hand(world.docker.hang(MAIN))),
                is("it is told so", Hung),
                to("it answers again", |world| by_hand(world.docker.unhang(MAIN))),
            ],
        )
        .hangs(),
        script(
            "hang-in-vain",
            Running,
            vec![
                saves("a diary that is replaced when it hangs", "restart: {onHang: true}\nstartTimeout: 2s\n"),
                quick("its process hangs, and no new one answers", 2 * FOUND, |world| {
                    world.docker.add_rule(|spec, _| (spec.name == NEXT).then(|| "never-answers".parse().unwrap()));
                    by_hand(world.docker.hang(MAIN));
                }),
                is("it is told so", Hung),
                to("it is repaired and deployed", |world| {
                    world.docker.add_rule(|_, _| Some("healthy".parse().unwrap()));
                    world.manifests.put(A, diary("restart: {onHang: true}\nstartTimeout: 2s\nredeploy: one\n"));
                }),
            ],
        )
        .hangs(),
    ]
}
