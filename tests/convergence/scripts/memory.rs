//! A machine whose memory runs short: the bystander holds 41 MB of its 400, another app as many, and 40 are kept free.

use std::time::Duration;

use minipaas::model::Bytes;
use minipaas::testing::seams::World;

use super::Expect::{Asleep, Running};
use super::{Script, Step, briefly, key, quick, script, to};

const B: &str = "bob-notes.yaml";

/// Alice's diary sleeps after a minute, unless memory runs short before.
const PATIENT: &str = "sleep: {after: 60s}\n";

fn has_400(world: &World) {
    world.docker.set_memory(Bytes::mib(400));
}

fn others(world: &World, mib: u64) {
    world.docker.others_hold(Bytes::mib(mib));
}

fn save(world: &World, file: &str, keys: &str) {
    world.manifests.put(file, format!("template: diary-v1\n{keys}"));
}

fn visit(world: &World) {
    world.visitors.come(&key("alice-diary"), Duration::ZERO);
}

fn begins(sentence: &'static str) -> Vec<Step> {
    vec![quick("the machine has 400 MB", 100, has_400), briefly(sentence, 6_000, PATIENT)]
}

pub(super) fn all() -> Vec<Script> {
    let told = |name: &'static str, mut steps: Vec<Step>, rest: Vec<Step>| {
        steps.extend(rest);
        let told = script(name, Asleep, steps).interrupted();
        Script { sleeps_after: Duration::from_secs(60), ..told }
    };
    vec![
        told(
            "memory-pressure",
            begins("alice creates a diary that may sleep"),
            vec![
                quick("another program takes more than the reserve allows", 20_000, |world| others(world, 300)),
                quick("and as much as the diary held", 60_000, |world| others(world, 340)),
                to("it ends", |world| others(world, 0)),
            ],
        ),
        told(
            "memory-new-app",
            begins("alice creates a diary that may sleep"),
            vec![
                quick("another program takes all but the reserve", 20_000, |world| others(world, 270)),
                quick("bob creates notes, for which there is room when the diary sleeps", 60_000, |world| {
                    save(world, B, "memory: 64m\n");
                }),
                to("the other program ends", |world| others(world, 0)),
            ],
        )
        .and("bob-notes", Running),
        told(
            "memory-waits",
            begins("alice creates a diary that may sleep"),
            vec![
                quick("another program takes what the diary held as well", 20_000, |world| others(world, 310)),
                quick("bob creates notes, and there is no room", 60_000, |world| save(world, B, "memory: 64m\n")),
                to("the other program ends", |world| others(world, 0)),
            ],
        )
        .and("bob-notes", Running),
        told(
            "memory-wake",
            begins("alice creates a diary that may sleep"),
            vec![
                quick("it sleeps", 70_000, |_| {}),
                quick("bob creates notes that may sleep", 6_000, |world| save(world, B, "sleep: {after: 60s}\n")),
                quick("another program takes all but the reserve", 2_000, |world| others(world, 270)),
                quick("somebody comes to the diary", 80_000, visit),
                to("the other program ends", |world| others(world, 0)),
            ],
        )
        .and("bob-notes", Asleep),
    ]
}
