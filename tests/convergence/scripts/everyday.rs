//! What people do every day: create, edit, stop, deploy, delete, and settings for all.

use minipaas::model::{AppKey, Bytes, Routing};
use minipaas::testing::seams::World;

use super::Expect::{Gone, Running, Stopped};
use super::{A, Script, briefly, create, down, saves, script, to};
use crate::world::diary;

fn alice() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

/// Whoever has no folder yet has nothing to edit.
fn edit(world: &World, page: &str) {
    world.folders.write_code(&alice(), page);
}

pub(super) fn all() -> Vec<Script> {
    vec![
        script("create", Running, vec![create()]),
        script("edit", Running, vec![create(), saves("a greeting", "env: {GREETING: hello}\n")]),
        script(
            "edit-revert",
            Running,
            vec![create(), saves("a greeting", "env: {GREETING: hello}\n"), saves("no greeting after all", "")],
        )
        .reverts(),
        script(
            "edit-revert-at-once",
            Running,
            vec![create(), briefly("a greeting", 40, "env: {GREETING: hello}\n"), saves("no greeting after all", "")],
        )
        .reverts(),
        script(
            "stop-start",
            Running,
            vec![
                create(),
                saves("`state: stopped`", "state: stopped\n"),
                saves("`state: running`", "state: running\n"),
            ],
        )
        .interrupted(),
        script("stop", Stopped, vec![create(), saves("`state: stopped`", "state: stopped\n")]).interrupted(),
        script(
            "stop-edit",
            Running,
            vec![
                create(),
                saves("`state: stopped`", "state: stopped\n"),
                saves("an edit while stopped", "state: stopped\nenv: {A: b}\n"),
                saves("`state: running`", "env: {A: b}\n"),
            ],
        )
        .interrupted(),
        script("deploy", Running, vec![create(), saves("a new token", "redeploy: one\n")]),
        script(
            "code-edit",
            Running,
            vec![
                create(),
                to("alice edits her page", |world| edit(world, "a page of her own")),
                saves("a new token", "redeploy: one\n"),
                to("and again, to be published later", |world| edit(world, "a page that is not finished")),
            ],
        )
        .foundation(3),
        script(
            "code-edit-revert",
            Running,
            vec![create(), briefly("a new token", 60, "redeploy: one\n"), saves("no new token after all", "")],
        )
        .reverts(),
        script(
            "code-removed",
            Running,
            vec![
                create(),
                to("alice edits her page", |world| edit(world, "a page of her own")),
                saves("a new token", "redeploy: one\n"),
                to("rm -r app", |world| world.folders.remove_by_hand(&alice(), "app")),
                saves("a greeting", "redeploy: one\nenv: {GREETING: hello}\n"),
            ],
        )
        .foundation(4),
        script(
            "versions-removed",
            Running,
            vec![
                create(),
                down("rm -r versions, and a greeting", |world| {
                    world.folders.remove_by_hand(&alice(), "versions");
                    world.manifests.put(A, diary("env: {GREETING: hello}\n"));
                }),
            ],
        )
        .foundation(1),
        script(
            "live",
            Running,
            vec![
                create(),
                saves("`code: live`", "code: live\n"),
                to("alice edits her page", |world| edit(world, "a page of her own")),
                saves("back to versions", ""),
            ],
        )
        .foundation(2),
        script(
            "deploy-twice",
            Running,
            vec![create(), briefly("a new token", 120, "redeploy: one\n"), saves("another", "redeploy: two\n")],
        ),
        script(
            "recreate",
            Running,
            vec![
                saves("an app that cannot run twice", "strategy: recreate\n"),
                saves("a new token", "strategy: recreate\nredeploy: one\n"),
            ],
        )
        .interrupted(),
        script("limits", Running, vec![create(), saves("more memory", "memory: 300m\ncpus: 1\npids: 99\n")]),
        script("restart-policy", Running, vec![create(), saves("another restart policy", "restart: on-failure:3\n")]),
        script("delete", Gone, vec![create(), saves("`state: deleted`", "state: deleted\n")]).interrupted(),
        script(
            "delete-create-own",
            Running,
            vec![
                create(),
                to("alice edits her page", |world| edit(world, "a page of her own")),
                saves("`state: deleted`", "state: deleted\n"),
                saves("created again", ""),
            ],
        )
        .foundation(3)
        .interrupted()
        .own_code("a page of her own"),
        script(
            "delete-create",
            Running,
            vec![create(), saves("`state: deleted`", "state: deleted\n"), saves("created again", "")],
        )
        .interrupted(),
        script(
            "purge",
            Gone,
            vec![
                create(),
                saves("purge", "state: deleted\nkeepData: false\n"),
                to("the file goes", |world| world.manifests.remove(A)),
            ],
        )
        .interrupted(),
        script(
            "purge-create",
            Running,
            vec![create(), saves("purge", "state: deleted\nkeepData: false\n"), saves("created again", "")],
        )
        .interrupted(),
        script(
            "inventory-lost",
            Running,
            vec![
                create(),
                down("the database is lost", |world| world.store.lose_inventory()),
                saves("an edit", "env: {A: b}\n"),
            ],
        )
        .forgets()
        .everyone(),
        script(
            "inventory-lost-deleted",
            Gone,
            vec![
                create(),
                down("the database and the file are lost", |world| {
                    world.store.lose_inventory();
                    world.manifests.remove(A);
                }),
            ],
        )
        .forgets()
        .foundation(1)
        .interrupted()
        .everyone(),
        script(
            "settings",
            Running,
            vec![create(), to("another domain", |world| world.edit_settings(|s| s.domain = "example.org".to_owned()))],
        )
        .everyone(),
        script(
            "network",
            Running,
            vec![
                to("two diaries at once", |world| {
                    world.manifests.put(A, diary(""));
                    world.manifests.put("bob-one.yaml", diary(""));
                }),
                to("another network", |world| world.edit_settings(|s| s.network = "paas-other".to_owned())),
            ],
        )
        .and("bob-one", Running)
        .moves(),
        script(
            "routing",
            Running,
            vec![create(), to("direct routing", |world| world.edit_settings(|s| s.routing = Routing::Direct))],
        )
        .interrupted()
        .moves(),
        script(
            "settings-limits",
            Running,
            vec![create(), to("more memory for all", |world| world.edit_settings(|s| s.mem_limit = Bytes::mib(300)))],
        )
        .everyone(),
    ]
}
