//! A look at other code than visitors see.

use std::time::Duration;

use minipaas::model::{AppKey, VersionId};
use minipaas::testing::folders::version_of;

use super::Expect::{Gone, Running, Stopped};
use super::{A, Action, Change, Script, Step, create, saves, script, to};
use crate::previews::Wanted;

const SECOND: &str = "her second page";

/// The version that the template was.
fn first() -> VersionId {
    version_of("diary-v1", " ")
}

fn second() -> VersionId {
    version_of(SECOND, "one ")
}

/// An app with two versions.
fn begins() -> Vec<Step> {
    vec![
        create(),
        to("alice edits her page", |world| {
            world.folders.write_code(&AppKey::parse("alice-diary").unwrap(), SECOND);
        }),
        saves("a new token", "redeploy: one\n"),
    ]
}

fn looks(sentence: &'static str, version: fn() -> VersionId) -> Step {
    Step { sentence, action: Action::Preview("alice-diary", Wanted::Show(version)) }
}

fn has_seen_enough() -> Step {
    Step { sentence: "she has seen enough", action: Action::Preview("alice-diary", Wanted::End) }
}

fn writes_in_it() -> Step {
    to("she writes something in it", |world| {
        world.folders.write_in_preview(&AppKey::parse("alice-diary").unwrap(), "diary", b"only a try");
    })
}

fn waits(sentence: &'static str, minutes: u64) -> Step {
    Step { sentence, action: Action::Quick(Change::World(|_| {}), Duration::from_secs(60 * minutes)) }
}

/// What comes before it counts as heard.
fn nothing_more() -> Step {
    to("nothing more happens", |_| {})
}

pub(super) fn all() -> Vec<Script> {
    let script = |name, expect, steps: Vec<Step>| script(name, expect, [begins(), steps].concat()).foundation(3);
    let checks = |expect| Step { sentence: "by now", action: Action::Check("alice-diary", expect) };
    vec![
        script(
            "preview",
            Running,
            vec![
                looks("alice looks at her first page", first),
                writes_in_it(),
                waits("she forgets it", 18),
                nothing_more(),
            ],
        ),
        script(
            "preview-used",
            Running,
            vec![
                looks("alice looks at her first page", first),
                waits("she reads", 10),
                to("and goes to the next page", |world| {
                    if let Some(container) = world.docker.container("paas-app-alice-diary.preview") {
                        world.visitors.visits(&container.id);
                    }
                }),
                waits("and reads on", 10),
                waits("she forgets it", 10),
                nothing_more(),
            ],
        ),
        script(
            "preview-other",
            Running,
            vec![looks("alice looks at her first page", first), looks("and at the second", second), has_seen_enough()],
        ),
        script(
            "preview-beside-edits",
            Running,
            vec![
                looks("alice looks at her first page", first),
                saves("she closes her site", "redeploy: one\nstate: stopped\n"),
                checks(Stopped),
                saves("and opens it again", "redeploy: one\nenv: {GREETING: hello}\n"),
                checks(Running),
                has_seen_enough(),
            ],
        )
        .interrupted(),
        script(
            "preview-deleted",
            Gone,
            vec![
                looks("alice looks at her first page", first),
                to("alice deletes her diary", |world| world.manifests.remove(A)),
            ],
        )
        .interrupted(),
    ]
}
