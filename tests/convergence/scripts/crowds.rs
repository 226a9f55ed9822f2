//! Many apps at once.

use std::time::Duration;

use minipaas::testing::seams::World;

use super::Expect::{Gone, Running};
use super::{A, Action, BYSTANDER, Script, Step, create, down, key, quick, script, to};
use crate::world::diary;

const CONFIRM: Step = Step { sentence: "paas confirm", action: Action::Confirm };

fn ask(sentence: &'static str, millis: u64) -> Step {
    Step { sentence, action: Action::Ask(Duration::from_millis(millis)) }
}

fn wipe() -> Step {
    to("rm *", |world| world.manifests.wipe())
}

fn three_more(world: &World) {
    for name in ["bob-one.yaml", "bob-two.yaml", "bob-three.yaml"] {
        world.manifests.put(name, diary(""));
    }
}

fn daves(apps: usize) -> impl Iterator<Item = String> {
    (0..apps).map(|number| format!("dave-app{number}"))
}

fn appear(world: &World, apps: usize) {
    world.edit_settings(|settings| (settings.max_total_apps, settings.max_apps_per_user) = (100, 100));
    for dave in daves(apps) {
        world.manifests.put(&format!("{dave}.yaml"), diary(""));
    }
}

/// Apps that are all alike.
fn crowd(name: &'static str, sentence: &'static str, apps: usize, change: fn(&World)) -> Script {
    let expect = daves(apps).map(|dave| (key(&dave), Running)).collect();
    Script { expect, ..script(name, Running, vec![to(sentence, change)]) }.everyone()
}

pub(super) fn all() -> Vec<Script> {
    vec![
        script("wipe-confirm", Gone, vec![create(), to("three more", three_more), wipe(), CONFIRM])
            .and("bob-one", Gone)
            .and(BYSTANDER, Gone)
            .foundation(2)
            .wipes()
            .interrupted()
            .everyone(),
        // A confirmation that comes while nobody can see what it is about, and one that ends because the files are back.
        script(
            "wipe-confirm-restore",
            Gone,
            vec![
                to("two diaries at once", |world| {
                    world.manifests.put(A, diary(""));
                    world.manifests.put("bob-one.yaml", diary(""));
                }),
                wipe(),
                quick("the disk is not mounted", 500, |world| world.manifests.set_missing(Some("no such folder"))),
                ask("paas confirm, in vain", 500),
                quick("the disk is there again", 500, |world| world.manifests.set_missing(None)),
                ask("paas confirm", 500),
                to("git checkout", |world| {
                    for name in [A, "bob-one.yaml", "carol-quiet.yaml"] {
                        world.manifests.put(name, diary(""));
                    }
                }),
                wipe(),
                CONFIRM,
            ],
        )
        .and("bob-one", Gone)
        .and(BYSTANDER, Gone)
        .foundation(1)
        .wipes()
        .interrupted()
        .everyone(),
        script(
            "wipe-restore",
            Running,
            vec![
                create(),
                to("three more", three_more),
                wipe(),
                to("git checkout", |world| {
                    three_more(world);
                    world.manifests.put(A, diary(""));
                    world.manifests.put("carol-quiet.yaml", diary(""));
                }),
            ],
        )
        .and("bob-three", Running)
        .foundation(2)
        .wipes(),
        // In the middle of a repair the daemon is started anew: what is still gone by then is too little to be held for itself.
        script(
            "wipe-restore-some",
            Running,
            vec![
                create(),
                to("three more", three_more),
                wipe(),
                // Whatever kept the hold from being written down is over by then.
                quick("a minute passes", 60_000, |_| {}),
                down("git checkout of some", |world| {
                    for name in [A, "bob-one.yaml", "carol-quiet.yaml"] {
                        world.manifests.put(name, diary(""));
                    }
                }),
            ],
        )
        .and("bob-one", Running)
        .foundation(4)
        .wipes(),
        // Twice as many as are worked on at a time, so that some wait for others.
        crowd("twelve", "twelve apps at once", 12, |world| appear(world, 12)),
        crowd("fifty", "fifty apps at once", 50, |world| appear(world, 50)),
    ]
}
