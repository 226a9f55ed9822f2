//! Own host names: two apps want the same one.

use super::Expect::{Gone, Running};
use super::{A, Script, create, down, saves, script, to};
use crate::world::diary;

const BLOG: &str = "bob-blog.yaml";
const WISH: &str = "domains: [www.example.kr]\n";

pub(super) fn all() -> Vec<Script> {
    vec![
        script("name", Running, vec![create(), saves("a name of its own", WISH)]).has("alice-diary"),
        script("name-given-up", Running, vec![create(), saves("a name of its own", WISH), saves("not any more", "")])
            .reverts(),
        script(
            "name-taken",
            Running,
            vec![
                saves("alice's diary has a name", WISH),
                to("bob's blog wants it as well", |world| world.manifests.put(BLOG, diary(WISH))),
                to("and again, with an edit", |world| {
                    world.manifests.put(BLOG, diary("domains: [www.example.kr]\nmemory: 300m\n"));
                }),
            ],
        )
        .foundation(1)
        .and("bob-blog", Running)
        .has("alice-diary"),
        // Who is asked for by the older app, by one whose name comes first, and with the daemon away.
        script(
            "name-kept-over-a-restart",
            Running,
            vec![
                create(),
                to("bob's blog has a name", |world| world.manifests.put(BLOG, diary(WISH))),
                down("alice's diary wants it", |world| world.manifests.put(A, diary(WISH))),
            ],
        )
        .foundation(2)
        .and("bob-blog", Running)
        .has("bob-blog"),
        script(
            "name-passed-on",
            Running,
            vec![
                saves("alice's diary has a name", WISH),
                to("bob's blog wants it as well", |world| world.manifests.put(BLOG, diary(WISH))),
                saves("alice gives it up", ""),
            ],
        )
        .and("bob-blog", Running)
        .has("bob-blog"),
        script(
            "name-changes-hands-at-once",
            Running,
            vec![
                saves("alice's diary has a name", WISH),
                to("bob's blog has another", |world| world.manifests.put(BLOG, diary("domains: [blog.example.kr]\n"))),
                down("both are exchanged", |world| {
                    world.manifests.put(A, diary("domains: [blog.example.kr]\n"));
                    world.manifests.put(BLOG, diary(WISH));
                }),
            ],
        )
        .and("bob-blog", Running)
        .has("bob-blog"),
        script(
            "name-of-a-deleted-app",
            Gone,
            vec![
                saves("alice's diary has a name", WISH),
                to("bob's blog wants it as well", |world| world.manifests.put(BLOG, diary(WISH))),
                to("alice's diary is deleted", |world| world.manifests.put(A, diary("state: deleted\n"))),
            ],
        )
        .and("bob-blog", Running)
        .has("bob-blog")
        .interrupted(),
        script(
            "name-with-an-error",
            super::Expect::RunningInvalid,
            vec![
                saves("alice's diary has a name", WISH),
                to("bob's blog wants it as well", |world| world.manifests.put(BLOG, diary(WISH))),
                saves("a typing error", "domain: [www.example.kr]\n"),
            ],
        )
        .and("bob-blog", Running)
        .has("alice-diary"),
    ]
}
