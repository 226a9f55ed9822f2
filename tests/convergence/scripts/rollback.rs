//! Going back to an earlier version of the code, and forth again.

use minipaas::model::{AppKey, VersionId};
use minipaas::testing::folders::version_of;
use minipaas::testing::seams::World;

use super::Expect::{Running, RunningGivenUp, RunningInvalid};
use super::{A, Script, Step, create, saves, script, to};
use crate::world::diary;

const OWN: &str = "a page of her own";
const SECOND: &str = "her second page";
const BROKEN: &str = "broken(";

fn alice() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

/// The version that the template was, deployed with the app's creation.
fn first() -> VersionId {
    version_of("diary-v1", " ")
}

fn writes(world: &World, page: &str) {
    world.folders.write_code(&alice(), page);
}

fn edits_her_own() -> Step {
    to("alice edits her page", |world| writes(world, OWN))
}

fn edits_her_second() -> Step {
    to("alice edits her page", |world| writes(world, SECOND))
}

/// `paas rollback` to the first one, after one deploy.
fn goes_back() -> Step {
    to("back to the first version", |world| world.manifests.put(A, pinned("redeploy: one\n", &first())))
}

fn pinned(keys: &str, version: &VersionId) -> String {
    diary(&format!("{keys}version: \"{version}\"\n"))
}

pub(super) fn all() -> Vec<Script> {
    vec![
        script(
            "rollback",
            Running,
            vec![create(), edits_her_own(), saves("a new token", "redeploy: one\n"), goes_back()],
        )
        .foundation(3)
        .own_code("diary-v1"),
        script(
            "rollback-unpublished",
            Running,
            vec![create(), edits_her_own(), saves("a new token", "redeploy: one\n"), edits_her_second(), goes_back()],
        )
        .foundation(4)
        .own_code("diary-v1"),
        script(
            "rollback-edited-meanwhile",
            Running,
            vec![
                create(),
                edits_her_own(),
                saves("a new token", "redeploy: one\n"),
                to("alice will save something right before it is too late", |world| {
                    world.folders.edit_before_exchange(&alice(), SECOND);
                }),
                goes_back(),
            ],
        )
        .foundation(4)
        .in_order()
        .own_code(SECOND),
        script(
            "rollback-and-forth",
            Running,
            vec![
                create(),
                edits_her_own(),
                saves("a new token", "redeploy: one\n"),
                goes_back(),
                saves("and forth again", "redeploy: one\n"),
            ],
        )
        .foundation(4)
        .in_order()
        .own_code(OWN),
        script(
            "rollback-deploy",
            Running,
            vec![
                create(),
                edits_her_own(),
                saves("a new token", "redeploy: one\n"),
                goes_back(),
                edits_her_second(),
                saves("a new token and no version", "redeploy: two\n"),
            ],
        )
        .foundation(5)
        .own_code(SECOND),
        script(
            "rollback-recreate",
            Running,
            vec![
                saves("an app that cannot run twice", "strategy: recreate\n"),
                edits_her_own(),
                saves("a new token", "strategy: recreate\nredeploy: one\n"),
                to("back to the first version", |world| {
                    world.manifests.put(A, pinned("strategy: recreate\nredeploy: one\n", &first()));
                }),
            ],
        )
        .foundation(3)
        .interrupted()
        .own_code("diary-v1"),
        // What goes back to something that does not run changes nothing of what its owner works on.
        script(
            "rollback-bad",
            RunningGivenUp,
            vec![
                create(),
                to("alice breaks her page", |world| {
                    writes(world, BROKEN);
                    let folders = world.folders.clone();
                    world.docker.add_rule(move |spec, _| {
                        let code = spec.mounts.iter().find_map(|mount| folders.code_at(&mount.source));
                        (code.as_deref() == Some(BROKEN)).then(|| "exit:1@200ms".parse().unwrap())
                    });
                }),
                saves("a new token", "redeploy: one\n"),
                edits_her_own(),
                saves("another", "redeploy: two\n"),
                to("back to what never ran", |world| {
                    world.manifests.put(A, pinned("redeploy: two\n", &version_of(BROKEN, "one ")));
                }),
            ],
        )
        .foundation(5)
        .gives_up()
        .in_order()
        .own_code(OWN),
        // Git hangs for a while: no checkout goes meanwhile, and so the first version is there to go back to.
        script(
            "rollback-recorder-stuck",
            Running,
            vec![
                to("git hangs", |world| world.folders.stick_recorder(true)),
                create(),
                edits_her_own(),
                saves("a new token", "redeploy: one\n"),
                saves("another", "redeploy: two\n"),
                saves("and another", "redeploy: three\n"),
                to("git is itself again", |world| world.folders.stick_recorder(false)),
                to("back to the first version", |world| world.manifests.put(A, pinned("redeploy: three\n", &first()))),
            ],
        )
        .foundation(7)
        .own_code("diary-v1"),
        script(
            "rollback-old",
            Running,
            vec![
                create(),
                edits_her_own(),
                saves("a new token", "redeploy: one\n"),
                edits_her_second(),
                saves("another", "redeploy: two\n"),
                saves("and another", "redeploy: three\n"),
                to("back to the first version", |world| world.manifests.put(A, pinned("redeploy: three\n", &first()))),
            ],
        )
        .foundation(6)
        .own_code("diary-v1"),
        script(
            "rollback-unknown",
            RunningInvalid,
            vec![
                create(),
                to("back to what never was", |world| {
                    world.manifests.put(A, pinned("", &version_of("nothing", "")));
                }),
            ],
        )
        .own_code("diary-v1"),
    ]
}
