//! An app's data is put back as it was, and what happens meanwhile.

use minipaas::testing::folders::Files;
use minipaas::testing::seams::World;

use super::Expect::{Asleep, Gone, Running, Stopped};
use super::{A, Script, Step, briefly, create, down, key, quick, saves, script, to};

fn entries(text: &str) -> Files {
    Files::from([("diary".to_owned(), text.into())])
}

fn monday(world: &World) {
    world.folders.restore(&key("alice-diary"), entries("of monday"));
}

fn undo(world: &World) {
    world.folders.undo_restore(&key("alice-diary"));
}

fn restored(name: &'static str, expect: super::Expect, steps: Vec<Step>) -> Script {
    script(name, expect, steps).interrupted().foundation(1).in_order()
}

pub(super) fn all() -> Vec<Script> {
    vec![
        restored("restore", Running, vec![create(), to("her diary is to be as on monday", monday)]),
        restored(
            "restore-on-failure",
            Running,
            vec![
                saves("a diary that is left alone when it ends well", "restart: on-failure\n"),
                to("as on monday", monday),
            ],
        ),
        restored(
            "restore-undone",
            Running,
            vec![create(), to("her diary is to be as on monday", monday), to("and is not after all", undo)],
        )
        .foundation(2),
        restored(
            "restore-amid-deploy",
            Running,
            vec![
                create(),
                briefly("an edit", 30, "env: {A: b}\n"),
                quick("and her diary is to be as on monday", 40, monday),
                saves("another edit", "env: {A: c}\n"),
            ],
        ),
        restored(
            "restore-started-by-hand",
            Running,
            vec![
                create(),
                to("her diary is to be as on monday, and somebody starts it in between", |world| {
                    world.folders.start_before_exchange(&key("alice-diary"));
                    monday(world);
                }),
            ],
        ),
        restored(
            "restore-stopped",
            Stopped,
            vec![create(), saves("it is closed", "state: stopped\n"), to("as on monday", monday)],
        )
        .foundation(2),
        restored(
            "restore-asleep",
            Asleep,
            vec![saves("a diary that sleeps", "sleep: {after: 10s}\n"), to("as on monday", monday)],
        ),
        restored("restore-down", Running, vec![create(), down("as on monday, while the daemon is down", monday)]),
        restored(
            "restore-deleted",
            Gone,
            vec![
                create(),
                quick("her diary is to be as on monday", 3, monday),
                to("and its file is removed", |world| world.manifests.remove(A)),
            ],
        ),
    ]
}
