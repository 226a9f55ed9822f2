//! Who may enter: edits of `visitors`, and direct routing, where nobody stands in front of the apps.

use minipaas::model::{Audience, Routing, Visitors};

use super::Expect::{NeverRan, Running, RunningInvalid, Stopped};
use super::{BYSTANDER, Script, Step, briefly, create, saves, script, to};

const PRIVATE: &str = "visitors: owner\n";

fn private() -> Step {
    saves("alice creates a private diary", PRIVATE)
}

fn direct() -> Step {
    to("direct routing", |world| world.edit_settings(|s| s.routing = Routing::Direct))
}

pub(super) fn all() -> Vec<Script> {
    vec![
        script(
            "visitors-edits",
            Running,
            vec![
                private(),
                saves("everybody may read", "visitors: {view: everyone, change: owner}\n"),
                saves("a typo", "visitors: nobody\n"),
                saves("guests only", "visitors: guests\n"),
            ],
        ),
        script("visitors-broken", RunningInvalid, vec![private(), saves("a typo beside it", "memmory: 64m\n")]),
        script(
            "visitors-in-a-hurry",
            Running,
            vec![
                create(),
                briefly("a new token", 1_500, "redeploy: one\n"),
                briefly("private while it is tried", 2_500, "redeploy: one\nvisitors: owner\n"),
                briefly("a typo", 2_500, "redeploy: one\nvisitors: ownr\n"),
                saves("without it", "redeploy: one\nvisitors: owner\n"),
            ],
        ),
        script(
            "visitors-default",
            Running,
            vec![
                create(),
                to("DEFAULT_VISITORS=owner", |world| world.edit_settings(|s| s.visitors = Visitors::OWNER)),
                saves("a manifest that says it itself", "visitors: {view: everyone, change: guests}\n"),
            ],
        )
        .everyone(),
        script("visitors-direct", Stopped, vec![private(), direct()]).interrupted().moves(),
        script(
            "visitors-direct-back",
            Running,
            vec![
                private(),
                direct(),
                to("the gateway after all", |world| world.edit_settings(|s| s.routing = Routing::Gateway)),
            ],
        )
        .foundation(2)
        .interrupted()
        .moves(),
        script("visitors-direct-new", NeverRan, vec![direct(), private()]).foundation(1).interrupted().moves(),
        script(
            "visitors-direct-opened",
            Running,
            vec![direct(), private(), saves("for everyone", "visitors: everyone\n")],
        )
        .interrupted()
        .moves(),
        script(
            "visitors-direct-closed",
            Stopped,
            vec![
                direct(),
                create(),
                saves("private", PRIVATE),
                saves("an edit meanwhile", "visitors: guests\nenv: {A: b}\n"),
            ],
        )
        .foundation(2)
        .interrupted()
        .moves(),
        script(
            "visitors-direct-default",
            Stopped,
            vec![
                create(),
                direct(),
                to("DEFAULT_VISITORS=guests", |world| {
                    world.edit_settings(|s| s.visitors = Visitors::both(Audience::Guests));
                }),
            ],
        )
        .and(BYSTANDER, Stopped)
        .foundation(2)
        .interrupted()
        .moves(),
    ]
}
