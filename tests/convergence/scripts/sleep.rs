//! Apps that sleep: who comes when, and what happens to them meanwhile.

use std::time::Duration;

use minipaas::testing::seams::World;

use super::Expect::{Asleep, Gone, Running, Stopped};
use super::{A, MAIN, Script, Step, briefly, by_hand, down, key, quick, saves, script, to};

const SLEEPS: &str = "sleep: {after: 10s}\n";

fn sleepy() -> Step {
    saves("alice creates a diary that sleeps", SLEEPS)
}

fn visit(world: &World) {
    world.visitors.come(&key("alice-diary"), Duration::ZERO);
}

/// One visitor now, and one just when the time is over that began when the first one left.
fn at_the_door(world: &World, late: u64) {
    visit(world);
    world.visitors.come(&key("alice-diary"), Duration::from_millis(10_300 + late));
}

fn sleeping(name: &'static str, steps: Vec<Step>) -> Script {
    script(name, Asleep, steps).interrupted()
}

pub(super) fn all() -> Vec<Script> {
    let awake =
        |step: Step| [step, Step { sentence: "it is awake", action: super::Action::Check("alice-diary", Running) }];
    let check = |steps: Vec<[Step; 2]>| steps.into_iter().flatten().collect::<Vec<_>>();
    vec![
        sleeping("sleep-and-wake", {
            let mut steps = vec![sleepy()];
            steps.extend(check(vec![awake(quick("somebody comes", 3_000, visit))]));
            steps.push(to("and somebody else, when it sleeps again", |world| {
                visit(world);
                visit(world);
            }));
            steps
        }),
        sleeping(
            "sleep-at-the-door",
            vec![
                briefly("alice creates a diary that sleeps", 5_000, SLEEPS),
                quick("just when its time is over", 10_400, |world| at_the_door(world, 1)),
                quick("a moment later", 10_450, |world| at_the_door(world, 8)),
                quick("when it is decided", 10_450, |world| at_the_door(world, 18)),
                quick("when it is said", 10_500, |world| at_the_door(world, 28)),
                to("when it is stopped", |world| at_the_door(world, 60)),
            ],
        ),
        sleeping(
            "sleep-after-a-visit",
            vec![
                briefly("alice creates a diary that sleeps", 5_000, SLEEPS),
                to("somebody comes when half its time is over", visit),
            ],
        ),
        sleeping(
            "sleep-after-a-stream",
            vec![
                briefly("alice creates a diary that sleeps", 5_000, SLEEPS),
                quick("somebody comes and stays for longer than a stop waits for anybody", 30_000, |world| {
                    world.visitors.stay(&key("alice-diary"), Duration::from_secs(25));
                }),
                to("it sleeps again", |_| {}),
            ],
        ),
        sleeping("sleep-on-failure", {
            let mut steps = vec![saves(
                "a diary that is left alone when it ends well",
                "restart: on-failure\nsleep: {after: 10s}\n",
            )];
            steps.extend(check(vec![awake(quick("somebody comes", 3_000, visit))]));
            steps.push(to("it sleeps again", |_| {}));
            steps
        }),
        sleeping("sleep-by-hand", {
            let mut steps = vec![sleepy()];
            steps.extend(check(vec![awake(quick("docker start", 5_000, |world| by_hand(world.docker.start(MAIN))))]));
            steps.push(to("it sleeps again", |_| {}));
            steps
        }),
        sleeping("sleep-edit", {
            let mut steps = vec![sleepy()];
            steps.extend(check(vec![awake(briefly(
                "an edit while it sleeps",
                5_000,
                "env: {A: b}\nsleep: {after: 10s}\n",
            ))]));
            steps.push(to("it sleeps again", |_| {}));
            steps
        }),
        sleeping(
            "sleep-wake-in-deploy",
            vec![
                sleepy(),
                briefly("an edit while it sleeps", 100, "env: {A: b}\nsleep: {after: 10s}\n"),
                quick("somebody comes meanwhile", 100, visit),
                briefly("other limits", 100, "env: {A: b}\nmemory: 64m\nsleep: {after: 10s}\n"),
                to("and somebody else", visit),
            ],
        ),
        sleeping(
            "sleep-limits",
            vec![
                sleepy(),
                briefly("other limits while it sleeps", 50, "memory: 64m\nsleep: {after: 10s}\n"),
                to("somebody comes", visit),
            ],
        ),
        sleeping(
            "sleep-engine-restart",
            vec![
                saves("a diary that Docker would start", "restart: always\nsleep: {after: 10s}\n"),
                quick("Docker stops", 3_000, |world| world.docker.engine_stop()),
                to("Docker is back", |world| world.docker.engine_start()),
                quick("Docker stops once more", 2_000, |world| world.docker.engine_stop()),
                quick("somebody comes", 3_000, visit),
                to("Docker is back", |world| world.docker.engine_start()),
            ],
        )
        .everyone(),
        sleeping(
            "sleep-daemon-restart",
            vec![sleepy(), down("somebody comes while the daemon is down", visit), down("nobody comes", |_| {})],
        ),
        sleeping(
            "sleep-broken-file",
            vec![
                sleepy(),
                briefly("a typo", 3_000, "sleep: {afer: 10s}\n"),
                quick("somebody comes", 20_000, visit),
                sleepy(),
            ],
        ),
        sleeping(
            "sleep-renewed",
            vec![
                sleepy(),
                quick("it is removed by hand while it sleeps", 2_000, |world| by_hand(world.docker.remove(MAIN))),
                to("somebody comes", visit),
            ],
        ),
        script("sleep-never", Running, vec![sleepy(), saves("it is to stay awake", "sleep: never\n")]).interrupted(),
        script(
            "sleep-stopped",
            Stopped,
            vec![sleepy(), saves("closed while it sleeps", "state: stopped\nsleep: {after: 10s}\n")],
        )
        .interrupted(),
        script("sleep-deleted", Gone, vec![sleepy(), to("its file is removed", |world| world.manifests.remove(A))])
            .interrupted(),
    ]
}
