//! What operators do, step by step: the scripts of `tests/convergence/scripts.rs`, of the same names, for a real Docker.
//! What happens by itself there (time passes until the daemon rests) is an action here: [`Action::Settle`]. It is asked for
//! where the next action means something else without it; elsewhere the schedule adds it at random.

/// Lines of a manifest or of `.env`. `{n}` is a number never used before, `{m}` one from 150 to 249.
pub(super) type Lines = &'static [(&'static str, &'static str)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The file with nothing but its basics, whatever it said before.
    Create,
    /// The same for every app.
    CreateAll,
    /// These lines as well.
    Edit(Lines),
    /// As edit, but the editor has written only the beginning so far.
    Half(Lines),
    /// The editor has truncated the file.
    Empty,
    /// A key that does not exist.
    Typo,
    /// A version that ends as soon as it is started.
    BadDeploy,
    Remove,
    PutBack,
    /// `mv` to a name that is no manifest's, and back.
    Hide,
    Unhide,
    /// `mv` to another app's name, and back.
    Move,
    MoveBack,
    /// A second file for the same app.
    Double,
    Undouble,
    /// The app's code ends at its start from now on, also the one that runs.
    BreakCode,
    RepairCode,
    Docker(ByHand),
    /// Somebody else's container takes the name, and gives it up.
    Squat(Name),
    Leave,
    FolderAway,
    FolderBack,
    /// The marker goes and with it, as after an unmount, all files.
    MarkerAway,
    MarkerBack,
    /// `rm apps.d/*.yaml`, and `git checkout`.
    Wipe,
    Restore,
    /// As wipe, but for the bystander.
    WipeOthers,
    /// `paas confirm` of whatever is held because of it, until all of it is gone.
    Confirm,
    BreakTemplate,
    RepairTemplate,
    BreakImage,
    RepairImage,
    Env(Lines),
    /// A value that is not accepted, and its removal.
    BadEnv,
    RepairEnv,
    /// Waits until this app is what it is to be.
    Settle,
    /// Waits until every app is.
    SettleAll,
}

/// What a person types after `docker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByHand {
    Kill,
    Stop,
    Remove,
    Rename,
    Pause,
    Update,
    Disconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Main,
    Next,
}

/// Which app a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    Anyone,
    /// The one whose data may be given up.
    Scratch,
}

/// What may happen beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Company {
    /// Other scripts on other apps, and Docker going away.
    Any,
    /// The same; its end takes the ten seconds of a vanished file's grace.
    Patient,
    /// It moves the world of all apps.
    Alone,
}

/// Whether an app that ran before keeps a running container throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uptime {
    Gapless,
    Interrupted,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) cast: Cast,
    pub(super) company: Company,
    pub(super) uptime: Uptime,
    pub(super) actions: &'static [Action],
}

const fn script(name: &'static str, actions: &'static [Action]) -> Script {
    Script { name, cast: Cast::Anyone, company: Company::Any, uptime: Uptime::Gapless, actions }
}

impl Script {
    const fn interrupted(self) -> Self {
        Self { uptime: Uptime::Interrupted, ..self }
    }
    const fn patient(self) -> Self {
        Self { company: Company::Patient, uptime: Uptime::Interrupted, ..self }
    }
    const fn alone(self) -> Self {
        Self { company: Company::Alone, ..self }
    }
    const fn scratch(self) -> Self {
        Self { cast: Cast::Scratch, uptime: Uptime::Interrupted, ..self }
    }
}

use Action::*;

const GREETING: Action = Edit(&[("env", "{GREETING: hello-{n}}")]);
const DEPLOY: Action = Edit(&[("redeploy", "token-{n}")]);
const STOP: Action = Edit(&[("state", "stopped")]);
const START: Action = Edit(&[("state", "running")]);
const DELETE: Action = Edit(&[("state", "deleted")]);
const PURGE: Action = Edit(&[("state", "deleted"), ("keepData", "false")]);
const LIMITS: Action = Edit(&[("memory", "{m}m"), ("cpus", "1"), ("pids", "{m}")]);

pub(super) const ALL: &[Script] = &[
    // Everyday.
    script("create", &[Create]),
    script("edit", &[Create, GREETING]),
    script("edit-revert", &[Create, Settle, GREETING, Create]),
    script("stop-start", &[Create, STOP, START]).interrupted(),
    script("stop", &[Create, STOP]).interrupted(),
    script("stop-edit", &[Create, STOP, GREETING, START]).interrupted(),
    script("deploy", &[Create, DEPLOY]),
    script("deploy-twice", &[Create, DEPLOY, DEPLOY]),
    script("recreate", &[Edit(&[("strategy", "recreate")]), DEPLOY]).interrupted(),
    script("limits", &[Create, LIMITS]),
    // Not `on-failure`: what ends in good order with Docker itself is then down as after its own end.
    script("restart-policy", &[Create, Edit(&[("restart", "always")])]),
    script("delete", &[Create, DELETE]).interrupted(),
    script("delete-create", &[Create, DELETE, Settle, Create]).interrupted(),
    script("purge", &[Create, Settle, PURGE, Settle, Remove]).scratch(),
    script("purge-create", &[Create, Settle, PURGE, Settle, Create]).scratch(),
    // Files.
    script("torn", &[Create, Half(&[("env", "{GREETING: hello-{n}}")]), GREETING]),
    script("torn-to-nothing", &[Create, Empty, LIMITS]),
    script("invalid", &[Create, Settle, Typo]),
    script("invalid-fixed", &[Create, Settle, Typo, Create]),
    script("vanish", &[Create, Settle, Remove]).patient(),
    script("back-within-grace", &[Create, Remove, PutBack]).interrupted(),
    script("rename", &[Create, Settle, Move, Settle, MoveBack]).patient(),
    script("rename-back", &[Create, Hide, Unhide]).interrupted(),
    script("duplicate", &[Create, Double, Undouble]),
    script("folder-gone", &[Create, FolderAway, FolderBack]).alone(),
    script("marker-gone", &[Create, MarkerAway, MarkerBack]).alone(),
    script("wipe-restore", &[CreateAll, SettleAll, Wipe, Restore]).alone(),
    script("wipe-confirm", &[CreateAll, SettleAll, WipeOthers, Confirm]).alone().interrupted(),
    script("template-broken", &[Create, BreakTemplate, GREETING, RepairTemplate]).alone(),
    // Failures.
    script("image-broken", &[BreakImage, Create, RepairImage]).alone(),
    script("crash-loop-fixed", &[Create, Settle, BreakCode, RepairCode, DEPLOY]).interrupted(),
    script("bad-deploy", &[Create, Settle, BadDeploy]),
    script("bad-deploy-fixed", &[Create, Settle, BadDeploy, GREETING]),
    // By hand.
    script("docker-kill", &[Create, Docker(ByHand::Kill)]).interrupted(),
    script("docker-stop", &[Create, Docker(ByHand::Stop)]).interrupted(),
    script("docker-rm", &[Create, Docker(ByHand::Remove)]).interrupted(),
    script("docker-rename", &[Create, Docker(ByHand::Rename)]),
    script("docker-pause", &[Create, Docker(ByHand::Pause)]).interrupted(),
    script("docker-update", &[Create, Docker(ByHand::Update)]),
    script("docker-disconnect", &[Create, Docker(ByHand::Disconnect)]).interrupted(),
    script("lookalike-leaves", &[DELETE, Settle, Squat(Name::Main), Create, Settle, Leave]).interrupted(),
    script("lookalike-during", &[Create, Settle, Docker(ByHand::Rename), Squat(Name::Main), Leave]),
    script("lookalike-next", &[Create, Settle, Squat(Name::Next), GREETING, Leave]),
    // Settings.
    script("settings", &[Create, Env(&[("PAAS_DOMAIN", "paas{n}.test")])]).alone(),
    script("settings-limits", &[Create, Env(&[("DEFAULT_MEM_LIMIT", "{m}m"), ("DEFAULT_PIDS_LIMIT", "{m}")])]).alone(),
    script("settings-invalid", &[Create, BadEnv, GREETING, RepairEnv]).alone(),
];
