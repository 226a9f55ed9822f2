//! What happens to manifests and their folder: torn, invalid, renamed, gone and back.

use minipaas::model::TemplateId;

use super::Expect::{Gone, Running, RunningInvalid};
use super::{A, Script, create, quick, saves, script, to};
use crate::world::{diary, template};

pub(super) fn all() -> Vec<Script> {
    vec![
        script(
            "torn",
            Running,
            vec![
                create(),
                quick("half of an edit", 100, |world| {
                    world.manifests.put_torn(A, &diary("env: {GREETING: hello}\n"), 29);
                }),
                saves("all of it", "env: {GREETING: hello}\n"),
            ],
        ),
        script(
            "torn-to-nothing",
            Running,
            vec![
                create(),
                to("an editor truncates the file", |world| world.manifests.put(A, "")),
                saves("and writes it", "memory: 300m\n"),
            ],
        ),
        script("invalid", RunningInvalid, vec![create(), saves("a typing error", "memmory: 300m\n")]),
        script(
            "invalid-fixed",
            Running,
            vec![create(), saves("a typing error", "memmory: 300m\n"), saves("fixed", "memory: 300m\n")],
        ),
        script(
            "partial-listing",
            Running,
            vec![
                create(),
                to("the listing breaks off half-way", |world| {
                    world.manifests.set_broken_off(Some(("input/output error", &["carol-quiet.yaml"])));
                }),
                to("the disk is repaired", |world| world.manifests.set_broken_off(None)),
            ],
        )
        .reverts(),
        script("vanish", Gone, vec![create(), to("rm", |world| world.manifests.remove(A))]).interrupted(),
        script(
            "back-within-grace",
            Running,
            vec![create(), quick("rm", 4_000, |world| world.manifests.remove(A)), saves("and back", "")],
        )
        .reverts(),
        script(
            "other-within-grace",
            Running,
            vec![
                create(),
                quick("rm", 4_000, |world| world.manifests.remove(A)),
                saves("another one by that name", "env: {A: b}\n"),
            ],
        ),
        script("rename", Gone, vec![create(), to("mv", |world| world.manifests.rename(A, "alice-journal.yaml"))])
            .and("alice-journal", Running)
            .interrupted(),
        script(
            "rename-back",
            Running,
            vec![
                create(),
                quick("mv to a backup", 2_000, |world| world.manifests.rename(A, "alice-diary.yaml.bak")),
                to("and back", |world| world.manifests.rename("alice-diary.yaml.bak", A)),
            ],
        )
        .reverts(),
        script(
            "duplicate",
            Running,
            vec![
                create(),
                to("a second file", |world| world.manifests.put("alice-diary.yml", diary("memory: 300m\n"))),
                to("it goes again", |world| world.manifests.remove("alice-diary.yml")),
            ],
        )
        .reverts(),
        script(
            "folder-gone",
            Running,
            vec![
                create(),
                to("the disk is not mounted", |world| world.manifests.set_missing(Some("no such folder"))),
                to("it is again", |world| world.manifests.set_missing(None)),
            ],
        )
        .reverts(),
        script(
            "marker-gone",
            Running,
            vec![
                create(),
                to("an empty folder without marker", |world| {
                    world.manifests.set_marker(None);
                    world.manifests.rename(A, ".hidden");
                }),
                to("everything is back", |world| {
                    world.manifests.rename(".hidden", A);
                    world.manifests.set_marker(Some(world.instance.clone()));
                }),
            ],
        )
        .reverts(),
        script(
            "template-broken",
            Running,
            vec![
                create(),
                to("its template breaks", |world| {
                    let id = TemplateId::parse("diary-v1").unwrap();
                    world.manifests.put_template(id, Err("template.json:1:1: unexpected end".to_owned()));
                }),
                saves("an edit meanwhile", "env: {A: b}\n"),
                to("the template is whole again", |world| world.add_template(template())),
            ],
        ),
    ]
}
