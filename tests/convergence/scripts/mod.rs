//! What operators do: scripts of steps, each a sentence. A script says what the world is to be like at its end; everything
//! else it leaves behind is held against its own undisturbed run.

mod crowds;
mod everyday;
mod failures;
mod files;
mod hangs;
mod memory;
mod names;
mod operator;
mod previews;
mod restore;
mod rollback;
mod sleep;
mod visitors;

use std::collections::BTreeSet;
use std::time::Duration;

use minipaas::model::AppKey;
use minipaas::testing::seams::World;

use crate::previews::Wanted;
use crate::world::diary;

/// The bystander of every world, made before the script begins: nothing a script does is about it.
pub(crate) const BYSTANDER: &str = "carol-quiet";
pub(crate) const MAIN: &str = "paas-app-alice-diary";
/// The manifest that most scripts are about.
const A: &str = "alice-diary.yaml";

/// What changes.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// Alice saves her diary's manifest, with these keys beside the template.
    Save(&'static str),
    World(fn(&World)),
}

impl Change {
    pub(crate) fn make(self, world: &World) {
        match self {
            Self::Save(keys) => world.manifests.put(A, diary(keys)),
            Self::World(change) => change(world),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// Something changes; then time passes until the daemon rests.
    Do(Change),
    /// Something changes, and only so much time passes before the next step.
    Quick(Change, Duration),
    /// The daemon is killed, something changes, and it is started again.
    WhileDown(Change),
    /// `paas confirm` of whatever is held; then until the daemon rests.
    Confirm,
    /// `paas confirm` once, whatever comes of it; only so much time passes before the next step.
    Ask(Duration),
    /// Somebody looks at other code of that app, or no more; then until the daemon rests.
    Preview(&'static str, Wanted),
    /// By now that app is as it should be, if nothing disturbed the run.
    Check(&'static str, Expect),
}

#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) sentence: &'static str,
    pub(crate) action: Action,
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
    /// Exactly one container, not running because nobody comes; `Ready`.
    Asleep,
    /// Known, and without a container: it never ran.
    NeverRan,
    /// No container, no code, no row, no status.
    Gone,
    /// Its name is taken: no container of ours.
    Conflict,
    /// Ends again and again.
    CrashLoop,
    /// Exactly one container, under its name, which runs and does not answer: it is told so.
    Hung,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a remark about a script, and says so by its name")]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Vec<(AppKey, Expect)>,
    pub(crate) reach: Reach,
    pub(crate) uptime: Uptime,
    /// P8: the end equals the state after the first step.
    pub(crate) reverts: bool,
    /// So many steps at the beginning the rest builds on: for a daemon that was down for one of them the end is another one.
    pub(crate) foundation: usize,
    /// What a person removes by hand comes back by the end.
    pub(crate) comes_back: bool,
    /// A version is given up on the way: whether that is remembered depends on whether there still was another one.
    pub(crate) gives_up: bool,
    /// The inventory is lost on the way: P11 has nothing to say.
    pub(crate) forgets: bool,
    /// Everyone moves to another network, the bystander as well: one at a time.
    pub(crate) moves: bool,
    /// All files go at once, the bystander's as well.
    pub(crate) wipes: bool,
    /// P15: what the first app's `app/` holds in the end.
    pub(crate) own_code: Option<&'static str>,
    /// What was asked in between counts: a file that a power loss took or tore, and that is written once more, ends at other code.
    pub(crate) in_order: bool,
    /// A process hangs: what the daemon knows of it is gone with the daemon.
    pub(crate) hangs: bool,
    /// How long its apps stay awake without a visitor, where they may sleep.
    pub(crate) sleeps_after: Duration,
    /// P17: who has `www.example.kr` in the end.
    pub(crate) has: Option<AppKey>,
}

fn key(app: &str) -> AppKey {
    AppKey::parse(app).unwrap()
}

fn to(sentence: &'static str, change: fn(&World)) -> Step {
    Step { sentence, action: Action::Do(Change::World(change)) }
}

fn saves(sentence: &'static str, keys: &'static str) -> Step {
    Step { sentence, action: Action::Do(Change::Save(keys)) }
}

fn quick(sentence: &'static str, millis: u64, change: fn(&World)) -> Step {
    Step { sentence, action: Action::Quick(Change::World(change), Duration::from_millis(millis)) }
}

fn briefly(sentence: &'static str, millis: u64, keys: &'static str) -> Step {
    Step { sentence, action: Action::Quick(Change::Save(keys), Duration::from_millis(millis)) }
}

fn down(sentence: &'static str, change: fn(&World)) -> Step {
    Step { sentence, action: Action::WhileDown(Change::World(change)) }
}

fn create() -> Step {
    saves("alice creates her diary", "")
}

fn script(name: &'static str, expect: Expect, steps: Vec<Step>) -> Script {
    // Whoever never saw the app run has nothing to keep, nor to stop.
    let builds = matches!(expect, Expect::Stopped | Expect::RunningInvalid | Expect::RunningGivenUp);
    // A stopped app's container is only made again when the app is to run; so is the predecessor of a version that was
    // given up, from which nothing but its container is left.
    let comes_back = !matches!(expect, Expect::Stopped | Expect::Asleep | Expect::RunningGivenUp);
    Script {
        name,
        steps,
        expect: vec![(key("alice-diary"), expect)],
        reach: Reach::OwnApps,
        uptime: Uptime::Gapless,
        reverts: false,
        foundation: usize::from(builds),
        comes_back,
        gives_up: false,
        forgets: false,
        moves: false,
        wipes: false,
        own_code: None,
        in_order: false,
        hangs: false,
        sleeps_after: Duration::from_secs(10),
        has: None,
    }
}

impl Script {
    /// What it is about is deleted by its end.
    pub(crate) fn gone_in_the_end(&self) -> bool {
        self.expect.iter().any(|(_, expect)| *expect == Expect::Gone)
    }

    fn gives_up(mut self) -> Self {
        self.gives_up = true;
        self
    }
    fn foundation(mut self, steps: usize) -> Self {
        self.foundation = steps;
        self
    }
    fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }
    fn moves(mut self) -> Self {
        self.moves = true;
        self.everyone()
    }
    fn own_code(mut self, code: &'static str) -> Self {
        self.own_code = Some(code);
        self
    }

    fn in_order(mut self) -> Self {
        self.in_order = true;
        self
    }
    fn wipes(mut self) -> Self {
        self.wipes = true;
        self
    }
    fn has(mut self, app: &str) -> Self {
        self.has = Some(key(app));
        self
    }
    fn hangs(mut self) -> Self {
        self.hangs = true;
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
    fn reverts(mut self) -> Self {
        self.reverts = true;
        self
    }
    fn and(mut self, app: &str, expect: Expect) -> Self {
        self.expect.push((key(app), expect));
        self
    }
}

/// The errors of an operator are none of the daemon's: what it would touch may not be there under a fault.
fn by_hand<T, E>(_: Result<T, E>) {}

/// All scripts, in the order of their telling.
pub(crate) fn all() -> Vec<Script> {
    let scripts = [
        everyday::all(),
        files::all(),
        names::all(),
        failures::all(),
        hangs::all(),
        operator::all(),
        visitors::all(),
        previews::all(),
        crowds::all(),
        rollback::all(),
        sleep::all(),
        restore::all(),
        memory::all(),
    ]
    .concat();
    let names: BTreeSet<_> = scripts.iter().map(|script| script.name).collect();
    assert_eq!(names.len(), scripts.len(), "two scripts have the same name");
    scripts
}
