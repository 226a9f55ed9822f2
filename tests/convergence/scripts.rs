//! What operators do: scripts of steps, each a sentence. A script says what the world is to be like at its end; everything
//! else it leaves behind is held against its own undisturbed run.

use std::time::Duration;

use minipaas::engine::NetworkSpec;
use minipaas::engine::sim::{BuildScript, Update, foreign};
use minipaas::model::{Bytes, TemplateId};
use minipaas::testing::seams::World;

use crate::world::{diary, template};

/// The bystander of every world, made before the script begins: nothing a script does is about it.
pub(crate) const BYSTANDER: &str = "carol-quiet";
pub(crate) const MAIN: &str = "paas-app-alice-diary";
const A: &str = "alice-diary.yaml";

#[derive(Clone, Copy)]
pub(crate) enum Deed {
    /// Something changes; then time passes until the daemon rests.
    Do(fn(&World)),
    /// Something changes, and only so much time passes before the next step.
    Quick(fn(&World), Duration),
    /// The daemon is killed, something changes, and it is started again.
    WhileDown(fn(&World)),
    /// `paas confirm` of whatever is held; then until the daemon rests.
    Confirm,
    /// By now that app is as it should be, if nothing disturbed the run.
    Check(&'static str, Expect),
}

#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) sentence: &'static str,
    pub(crate) deed: Deed,
}

/// What an app is to be at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Exactly one container, under its name, running; `Ready`.
    Running,
    /// As running, but its file cannot be used.
    RunningInvalid,
    /// As running, but the last change was given up.
    RunningGivenUp,
    /// Exactly one container, not running.
    Stopped,
    /// No container, no code, no row, no status.
    Gone,
    /// Its name is taken: no container of ours.
    Conflict,
    /// Ends again and again.
    CrashLoop,
}

/// Who may be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only the apps the script is about.
    OwnApps,
    /// The bystander as well: the settings, the image, the engine, all files.
    Everyone,
}

/// Whether the app must be up without a gap from its first run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uptime {
    Gapless,
    /// A person or the file stops it on the way.
    Interrupted,
}

#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Vec<(&'static str, Expect)>,
    pub(crate) reach: Reach,
    pub(crate) uptime: Uptime,
    /// P8: the end equals the state after the first step.
    pub(crate) reverts: bool,
    /// Steps at the beginning that the daemon has to live through for the rest to mean anything: it is not kept from them by
    /// outages.
    pub(crate) lived_through: usize,
    /// The inventory is lost on the way: P11 has nothing to say.
    pub(crate) forgets: bool,
}

fn to(sentence: &'static str, deed: fn(&World)) -> Step {
    Step { sentence, deed: Deed::Do(deed) }
}

fn quick(sentence: &'static str, millis: u64, deed: fn(&World)) -> Step {
    Step { sentence, deed: Deed::Quick(deed, Duration::from_millis(millis)) }
}

fn down(sentence: &'static str, deed: fn(&World)) -> Step {
    Step { sentence, deed: Deed::WhileDown(deed) }
}

fn create() -> Step {
    to("alice creates her diary", |world| world.manifests.put(A, diary("")))
}

fn script(name: &'static str, expect: Expect, steps: Vec<Step>) -> Script {
    // Whoever never saw the app run has nothing to keep, nor to stop.
    let needs_it = matches!(expect, Expect::Stopped | Expect::RunningInvalid | Expect::RunningGivenUp);
    let lived_through = usize::from(needs_it || name.starts_with("bad-deploy") || name == "network-other");
    let expect = vec![("alice-diary", expect)];
    Script {
        name,
        steps,
        expect,
        reach: Reach::OwnApps,
        uptime: Uptime::Gapless,
        reverts: false,
        lived_through,
        forgets: false,
    }
}

impl Script {
    fn lived_through(mut self, steps: usize) -> Self {
        self.lived_through = steps;
        self
    }
    fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }
    fn interrupted(mut self) -> Self {
        self.uptime = Uptime::Interrupted;
        self
    }
    fn everyone(mut self) -> Self {
        self.reach = Reach::Everyone;
        self
    }
    /// Whether the daemon can make up for a container that somebody removes. Not for a stopped one, which is only made
    /// again when the app is to run, nor for the predecessor of a version that does not work.
    pub(crate) fn replaceable(&self) -> bool {
        !self.name.starts_with("bad-deploy") && self.expect.iter().all(|(_, expect)| *expect != Expect::Stopped)
    }
    fn reverts(mut self) -> Self {
        self.reverts = true;
        self
    }
    fn and(mut self, key: &'static str, expect: Expect) -> Self {
        self.expect.push((key, expect));
        self
    }
}

/// The errors of a hand are none of the daemon's: what it would touch may not be there under a fault.
fn by_hand<T, E>(_: Result<T, E>) {}

fn three_more(world: &World) {
    for name in ["bob-one.yaml", "bob-two.yaml", "bob-three.yaml"] {
        world.manifests.put(name, diary(""));
    }
}

fn fifty(world: &World) {
    world.edit_settings(|settings| (settings.max_total_apps, settings.max_apps_per_user) = (100, 100));
    for number in 0..50 {
        world.manifests.put(&format!("dave-app{number}.yaml"), diary(""));
    }
}

/// All scripts, in the order of their telling.
pub(crate) fn all() -> Vec<Script> {
    use Expect::*;
    let mut scripts = everyday();
    scripts.extend(files());
    scripts.extend(failures());
    scripts.extend(hands());
    let mut names: Vec<_> = scripts.iter().map(|script| script.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), scripts.len(), "two scripts have the same name");
    scripts.push(
        Script { expect: Vec::new(), ..script("fifty", Running, vec![to("fifty apps at once", fifty)]) }.everyone(),
    );
    scripts
}

fn everyday() -> Vec<Script> {
    use Expect::*;
    vec![
        script("create", Running, vec![create()]),
        script(
            "edit",
            Running,
            vec![create(), to("a greeting", |world| world.manifests.put(A, diary("env: {GREETING: hello}\n")))],
        ),
        script(
            "edit-revert",
            Running,
            vec![
                create(),
                to("a greeting", |world| world.manifests.put(A, diary("env: {GREETING: hello}\n"))),
                to("no greeting after all", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .reverts(),
        script(
            "edit-revert-at-once",
            Running,
            vec![
                create(),
                quick("a greeting", 40, |world| world.manifests.put(A, diary("env: {GREETING: hello}\n"))),
                to("no greeting after all", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .reverts(),
        script(
            "stop-start",
            Running,
            vec![
                create(),
                to("`state: stopped`", |world| world.manifests.put(A, diary("state: stopped\n"))),
                to("`state: running`", |world| world.manifests.put(A, diary("state: running\n"))),
            ],
        )
        .interrupted(),
        script(
            "stop",
            Stopped,
            vec![create(), to("`state: stopped`", |world| world.manifests.put(A, diary("state: stopped\n")))],
        )
        .interrupted(),
        script(
            "stop-edit",
            Running,
            vec![
                create(),
                to("`state: stopped`", |world| world.manifests.put(A, diary("state: stopped\n"))),
                to("an edit while stopped", |world| world.manifests.put(A, diary("state: stopped\nenv: {A: b}\n"))),
                to("`state: running`", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
            ],
        )
        .interrupted(),
        script(
            "deploy",
            Running,
            vec![create(), to("a new token", |world| world.manifests.put(A, diary("redeploy: one\n")))],
        ),
        script(
            "deploy-twice",
            Running,
            vec![
                create(),
                quick("a new token", 120, |world| world.manifests.put(A, diary("redeploy: one\n"))),
                to("another", |world| world.manifests.put(A, diary("redeploy: two\n"))),
            ],
        ),
        script(
            "recreate",
            Running,
            vec![
                to("an app that cannot run twice", |world| world.manifests.put(A, diary("strategy: recreate\n"))),
                to("a new token", |world| world.manifests.put(A, diary("strategy: recreate\nredeploy: one\n"))),
            ],
        )
        .interrupted(),
        script(
            "limits",
            Running,
            vec![
                create(),
                to("more memory", |world| world.manifests.put(A, diary("memory: 300m\ncpus: 1\npids: 99\n"))),
            ],
        ),
        script(
            "restart-policy",
            Running,
            vec![
                create(),
                to("another restart policy", |world| world.manifests.put(A, diary("restart: on-failure:3\n"))),
            ],
        ),
        script(
            "delete",
            Gone,
            vec![create(), to("`state: deleted`", |world| world.manifests.put(A, diary("state: deleted\n")))],
        )
        .interrupted(),
        script(
            "delete-create",
            Running,
            vec![
                create(),
                to("`state: deleted`", |world| world.manifests.put(A, diary("state: deleted\n"))),
                to("created again", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .interrupted(),
        script(
            "purge",
            Gone,
            vec![
                create(),
                to("purge", |world| world.manifests.put(A, diary("state: deleted\nkeepData: false\n"))),
                to("the file goes", |world| world.manifests.remove(A)),
            ],
        )
        .interrupted(),
        script(
            "purge-create",
            Running,
            vec![
                create(),
                to("purge", |world| world.manifests.put(A, diary("state: deleted\nkeepData: false\n"))),
                to("created again", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .interrupted(),
        script(
            "inventory-lost",
            Running,
            vec![
                create(),
                down("the database is lost", |world| world.store.lose_inventory()),
                to("an edit", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
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
        .lived_through(1)
        .interrupted()
        .everyone(),
        script(
            "settings",
            Running,
            vec![create(), to("another domain", |world| world.edit_settings(|s| s.domain = "example.org".to_owned()))],
        )
        .everyone(),
        script(
            "settings-limits",
            Running,
            vec![create(), to("more memory for all", |world| world.edit_settings(|s| s.mem_limit = Bytes::mib(300)))],
        )
        .everyone(),
    ]
}

fn files() -> Vec<Script> {
    use Expect::*;
    vec![
        script(
            "torn",
            Running,
            vec![
                create(),
                quick("half of an edit", 100, |world| {
                    world.manifests.put_torn(A, &diary("env: {GREETING: hello}\n"), 29);
                }),
                to("all of it", |world| world.manifests.put(A, diary("env: {GREETING: hello}\n"))),
            ],
        ),
        script(
            "torn-to-nothing",
            Running,
            vec![
                create(),
                to("an editor truncates the file", |world| world.manifests.put(A, "")),
                to("and writes it", |world| world.manifests.put(A, diary("memory: 300m\n"))),
            ],
        ),
        script(
            "invalid",
            RunningInvalid,
            vec![create(), to("a typing error", |world| world.manifests.put(A, diary("memmory: 300m\n")))],
        ),
        script(
            "invalid-fixed",
            Running,
            vec![
                create(),
                to("a typing error", |world| world.manifests.put(A, diary("memmory: 300m\n"))),
                to("fixed", |world| world.manifests.put(A, diary("memory: 300m\n"))),
            ],
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
            vec![
                create(),
                quick("rm", 4_000, |world| world.manifests.remove(A)),
                to("and back", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .reverts(),
        script(
            "other-within-grace",
            Running,
            vec![
                create(),
                quick("rm", 4_000, |world| world.manifests.remove(A)),
                to("another one by that name", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
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
            "wipe-confirm",
            Gone,
            vec![create(), to("three more", three_more), to("rm *", |world| world.manifests.wipe()), CONFIRM],
        )
        .and("bob-one", Gone)
        .and(BYSTANDER, Gone)
        .lived_through(2)
        .interrupted()
        .everyone(),
        script(
            "wipe-restore",
            Running,
            vec![
                create(),
                to("three more", three_more),
                to("rm *", |world| world.manifests.wipe()),
                to("git checkout", |world| {
                    three_more(world);
                    world.manifests.put(A, diary(""));
                    world.manifests.put("carol-quiet.yaml", diary(""));
                }),
            ],
        )
        .and("bob-three", Running)
        .lived_through(2),
        script(
            "template-broken",
            Running,
            vec![
                create(),
                to("its template breaks", |world| {
                    let id = TemplateId::parse("diary-v1").unwrap();
                    world.manifests.put_template(id, Err("template.json:1:1: unexpected end".to_owned()));
                }),
                to("an edit meanwhile", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
                to("the template is whole again", |world| world.add_template(template())),
            ],
        ),
    ]
}

const CONFIRM: Step = Step { sentence: "paas confirm", deed: Deed::Confirm };

fn failures() -> Vec<Script> {
    use Expect::*;
    vec![
        script(
            "image-broken",
            Running,
            vec![
                to("the runtime folder changes and does not build", |world| {
                    let text = "npm: no network".to_owned();
                    world.docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::from_millis(50), text });
                    world.runtime.set(Ok("FROM node:24-alpine\nRUN false\n"));
                }),
                create(),
                to("it is repaired", |world| {
                    world.docker.script_builds(BuildScript::default());
                    world.runtime.set(Ok("FROM node:24-alpine\nRUN true\n"));
                }),
            ],
        )
        .everyone(),
        script(
            "crash-loop-fixed",
            Running,
            vec![
                to("a diary that ends", |world| {
                    world.manifests.put(A, diary("env: {SIM_BEHAVIOUR: \"exit:3@500ms\"}\n"))
                }),
                to("repaired", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .interrupted(),
        script(
            "crash-loop",
            CrashLoop,
            vec![
                create(),
                to("it ends again and again", |world| {
                    world.docker.add_rule(|spec, _| (spec.name == MAIN).then(|| "exit:3@500ms".parse().unwrap()));
                    by_hand(world.docker.crash(MAIN, 3));
                }),
            ],
        )
        .interrupted(),
        script(
            "broken-neighbour",
            Running,
            vec![
                quick("a diary that Docker cannot start", 6_000, |world| {
                    world.manifests.put(A, diary("env: {SIM_BEHAVIOUR: cannot-start}\n"));
                }),
                quick("bob's, which works", 9_000, |world| world.manifests.put("bob-one.yaml", diary(""))),
                Step { sentence: "bob's runs", deed: Deed::Check("bob-one", Running) },
                to("alice repairs hers", |world| world.manifests.put(A, diary(""))),
            ],
        )
        .and("bob-one", Running)
        .interrupted(),
        script(
            "bad-deploy",
            RunningGivenUp,
            vec![
                create(),
                to("a change that never answers", |world| {
                    world.manifests.put(A, diary("env: {SIM_BEHAVIOUR: never-answers}\n"));
                }),
            ],
        ),
        script(
            "bad-deploy-fixed",
            Running,
            vec![
                create(),
                to("a change that crashes", |world| {
                    world.manifests.put(A, diary("env: {SIM_BEHAVIOUR: \"exit:1@200ms\"}\n"));
                }),
                to("a better one", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
            ],
        ),
        script(
            "bad-deploy-unstartable",
            RunningGivenUp,
            vec![
                create(),
                to("a change that Docker cannot start", |world| {
                    world.manifests.put(A, diary("env: {SIM_BEHAVIOUR: cannot-start}\n"));
                }),
            ],
        ),
    ]
}

fn hands() -> Vec<Script> {
    use Expect::*;
    let hand = |name, steps: Vec<Step>| {
        let mut all = vec![create()];
        all.extend(steps);
        script(name, Running, all).interrupted()
    };
    vec![
        hand("docker-kill", vec![to("docker kill", |world| by_hand(world.docker.kill(MAIN)))]).reverts(),
        hand("docker-stop", vec![to("docker stop", |world| by_hand(world.docker.stop(MAIN)))]).reverts(),
        hand("docker-rm", vec![to("docker rm -f", |world| by_hand(world.docker.remove(MAIN)))]).reverts(),
        hand("docker-rename", vec![to("docker rename", |world| by_hand(world.docker.rename(MAIN, "mine")))]).reverts(),
        hand("docker-pause", vec![to("docker pause", |world| by_hand(world.docker.pause(MAIN)))]).reverts(),
        hand(
            "docker-update",
            vec![to("docker update", |world| {
                let update = Update { memory: Some(Bytes::mib(64)), pids: Some(7), ..Update::default() };
                by_hand(world.docker.update(MAIN, update));
            })],
        )
        .reverts(),
        hand(
            "docker-disconnect",
            vec![to("docker network disconnect", |world| by_hand(world.docker.disconnect("paas-proxy", MAIN)))],
        )
        .reverts(),
        hand(
            "network-gone",
            vec![to("docker network rm", |world| {
                by_hand(world.docker.disconnect("paas-proxy", MAIN));
                by_hand(world.docker.disconnect("paas-proxy", "paas-app-carol-quiet"));
                by_hand(world.docker.remove_network("paas-proxy"));
            })],
        )
        .everyone(),
        hand("image-rm", vec![to("docker rmi -f", |world| by_hand(world.docker.untag("my-paas-node-runtime:latest")))])
            .everyone(),
        script(
            "docker-start-stopped",
            Stopped,
            vec![
                create(),
                to("`state: stopped`", |world| world.manifests.put(A, diary("state: stopped\n"))),
                to("docker start", |world| by_hand(world.docker.start(MAIN))),
            ],
        )
        .interrupted(),
        hand(
            "network-other",
            vec![
                to("docker stop", |world| by_hand(world.docker.stop(MAIN))),
                to("a network of no concern", |world| {
                    by_hand(world.docker.create_network(&NetworkSpec {
                        name: "other".to_owned(),
                        labels: std::collections::BTreeMap::new(),
                        options: std::collections::BTreeMap::new(),
                        subnet: None,
                        internal: false,
                    }));
                    by_hand(world.docker.connect("other", MAIN));
                }),
            ],
        ),
        script(
            "lookalike-before",
            Conflict,
            vec![
                to("somebody else's container has the name", |world| {
                    by_hand(world.docker.run(&foreign(MAIN, "other")))
                }),
                create(),
            ],
        )
        .interrupted(),
        script(
            "lookalike-leaves",
            Running,
            vec![
                to("somebody else's container has the name", |world| {
                    by_hand(world.docker.run(&foreign(MAIN, "other")))
                }),
                create(),
                to("it is renamed away", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        )
        .interrupted(),
        hand(
            "lookalike-during",
            vec![
                to("docker rename, and somebody takes the name", |world| {
                    by_hand(world.docker.rename(MAIN, "mine"));
                    by_hand(world.docker.run(&foreign(MAIN, "other")));
                }),
                to("they leave", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        ),
        script(
            "lookalike-after",
            Running,
            vec![
                create(),
                to("`state: deleted`", |world| world.manifests.put(A, diary("state: deleted\n"))),
                to("somebody takes the name", |world| by_hand(world.docker.run(&foreign(MAIN, "other")))),
                to("created again", |world| world.manifests.put(A, diary(""))),
                to("they leave", |world| by_hand(world.docker.rename(MAIN, "theirs"))),
            ],
        )
        .lived_through(2)
        .interrupted(),
        script(
            "lookalike-next",
            Running,
            vec![
                create(),
                to("somebody takes the successor's name", |world| {
                    by_hand(world.docker.run(&foreign("paas-app-alice-diary.next", "other")));
                }),
                to("an edit", |world| world.manifests.put(A, diary("env: {A: b}\n"))),
                to("they leave", |world| by_hand(world.docker.rename("paas-app-alice-diary.next", "theirs"))),
            ],
        ),
        script(
            "engine-restart",
            Running,
            vec![
                create(),
                quick("systemctl stop docker", 5_000, |world| world.docker.engine_stop()),
                to("systemctl start docker", |world| world.docker.engine_start()),
            ],
        )
        .interrupted()
        .everyone(),
        script(
            "engine-kill",
            Running,
            vec![
                create(),
                quick("kill -9 of the engine, and an edit", 5_000, |world| {
                    world.docker.engine_kill();
                    world.manifests.put(A, diary("env: {A: b}\n"));
                }),
                to("systemctl start docker", |world| world.docker.engine_start()),
            ],
        )
        .interrupted()
        .everyone(),
    ]
}
