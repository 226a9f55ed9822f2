//! What may happen in a random script, and how it is written: `save alice-diary greeting=2; wait 40ms; crash; rest`.

use std::fmt;
use std::str::FromStr;

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::CallFault;

/// The apps that scripts are about.
pub(crate) const APPS: [&str; 4] = ["alice-diary", "alice-journal", "bob-notes", "bob-one"];
/// What a version's process may do. The empty one serves.
pub(crate) const PROCESSES: [&str; 5] = ["", "answers:5s", "never-answers", "exit:3@500ms", "cannot-start"];
/// Everything that may be injected at a call.
pub(crate) const FAULTS: [CallFault; 12] = [
    CallFault::CrashBefore,
    CallFault::CrashAfter,
    CallFault::Fail(ErrorKind::Retryable),
    CallFault::Fail(ErrorKind::Terminal),
    CallFault::Fail(ErrorKind::Unreachable),
    CallFault::Fail(ErrorKind::Conflict),
    CallFault::Fail(ErrorKind::NotFound),
    CallFault::FailFrom(ErrorKind::Unreachable),
    CallFault::FailFrom(ErrorKind::Retryable),
    CallFault::FailFrom(ErrorKind::Terminal),
    CallFault::LoseAnswer,
    CallFault::StaleList,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wish {
    #[default]
    Running,
    Stopped,
    Deleted,
    Purged,
}

/// One manifest. The default is the smallest that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Version {
    pub(crate) wish: Wish,
    /// 0: none.
    pub(crate) greeting: u8,
    /// MiB, 0: as the settings say.
    pub(crate) memory: u16,
    /// 0: none.
    pub(crate) redeploy: u8,
    pub(crate) recreate: bool,
    /// Index into [`PROCESSES`].
    pub(crate) process: usize,
}

impl Version {
    /// The file.
    pub(crate) fn text(self) -> String {
        let mut text = "template: diary-v1\n".to_owned();
        text.push_str(match self.wish {
            Wish::Running => "",
            Wish::Stopped => "state: stopped\n",
            Wish::Deleted => "state: deleted\n",
            Wish::Purged => "state: deleted\nkeepData: false\n",
        });
        let mut env = Vec::new();
        if self.greeting > 0 {
            env.push(format!("GREETING: \"{}\"", self.greeting));
        }
        if self.process > 0 {
            env.push(format!("SIM_BEHAVIOUR: \"{}\"", PROCESSES[self.process]));
        }
        if !env.is_empty() {
            text.push_str(&format!("env: {{{}}}\n", env.join(", ")));
        }
        if self.memory > 0 {
            text.push_str(&format!("memory: {}m\n", self.memory));
        }
        if self.redeploy > 0 {
            text.push_str(&format!("redeploy: r{}\n", self.redeploy));
        }
        if self.recreate {
            text.push_str("strategy: recreate\n");
        }
        text
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DockerCommand {
    Kill,
    Stop,
    Remove,
    Rename,
    Pause,
    Update,
    Disconnect,
    /// The process ends by itself.
    Crash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Stop,
    Kill,
    Hang,
    /// After any of the others.
    Start,
}

/// What may be wrong with Docker's news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    LoseEvents,
    DoubleEvents,
    SwapEvents,
    EndStreams,
    LagLists,
    FailRemovals,
    Nameless,
}

/// How `apps.d` goes out of sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Missing,
    /// An empty folder without marker in its place.
    Unmounted,
}

/// Index into [`APPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct App(pub(crate) usize);

impl App {
    pub(crate) fn name(self) -> &'static str {
        APPS[self.0]
    }
    pub(crate) fn file(self) -> String {
        format!("{}.yaml", self.name())
    }
    pub(crate) fn second_file(self) -> String {
        format!("{}.yml", self.name())
    }
    pub(crate) fn container(self) -> String {
        format!("paas-app-{}", self.name())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Save(App, Version),
    /// Only so many bytes of it.
    Torn(App, usize, Version),
    /// A file that cannot be used.
    Typo(App),
    Delete(App),
    Move(App, App),
    /// A second file about the same app.
    Duplicate(App),
    Unduplicate(App),
    /// `rm apps.d/*`.
    Wipe,
    /// `git checkout` of what a wipe removed.
    Restore,
    Confirm,
    Lose(Loss),
    Find,
    BreakTemplate,
    MendTemplate,
    BreakImage,
    /// The runtime folder's content, buildable.
    Image(u8),
    Domain(u8),
    /// `DEFAULT_MEM_LIMIT` in MiB.
    Memory(u16),
    Docker(App, DockerCommand),
    /// Somebody runs a container under the app's name, or its successor's.
    Lookalike(App, &'static str),
    /// Theirs are renamed away.
    LookalikesLeave,
    Engine(Power),
    /// At the n-th call from now.
    Fault(u64, CallFault),
    Heal,
    Quirk(Quirk),
    /// `kill -9` of the daemon.
    Crash,
    /// Milliseconds.
    Wait(u64),
    /// Every fault ends, Docker runs; until nothing moves. What people did stays.
    Rest,
}

/// Words of those actions that are one word each, or one word and a kind.
const PLAIN: [(&str, Action); 33] = [
    ("wipe", Action::Wipe),
    ("restore", Action::Restore),
    ("confirm", Action::Confirm),
    ("lose-folder", Action::Lose(Loss::Missing)),
    ("unmount-folder", Action::Lose(Loss::Unmounted)),
    ("find-folder", Action::Find),
    ("break-template", Action::BreakTemplate),
    ("mend-template", Action::MendTemplate),
    ("break-image", Action::BreakImage),
    ("lookalikes-leave", Action::LookalikesLeave),
    ("engine-stop", Action::Engine(Power::Stop)),
    ("engine-kill", Action::Engine(Power::Kill)),
    ("engine-hang", Action::Engine(Power::Hang)),
    ("engine-start", Action::Engine(Power::Start)),
    ("heal", Action::Heal),
    ("lose-events", Action::Quirk(Quirk::LoseEvents)),
    ("double-events", Action::Quirk(Quirk::DoubleEvents)),
    ("swap-events", Action::Quirk(Quirk::SwapEvents)),
    ("end-streams", Action::Quirk(Quirk::EndStreams)),
    ("lag-lists", Action::Quirk(Quirk::LagLists)),
    ("fail-removals", Action::Quirk(Quirk::FailRemovals)),
    ("nameless-removals", Action::Quirk(Quirk::Nameless)),
    ("crash", Action::Crash),
    ("rest", Action::Rest),
    ("image", Action::Image(0)),
    ("image-1", Action::Image(1)),
    ("image-2", Action::Image(2)),
    ("domain", Action::Domain(0)),
    ("domain-1", Action::Domain(1)),
    ("domain-2", Action::Domain(2)),
    ("default-memory 256m", Action::Memory(256)),
    ("default-memory 320m", Action::Memory(320)),
    ("default-memory 384m", Action::Memory(384)),
];

const DOCKER_COMMANDS: [(&str, DockerCommand); 8] = [
    ("docker-kill", DockerCommand::Kill),
    ("docker-stop", DockerCommand::Stop),
    ("docker-rm", DockerCommand::Remove),
    ("docker-rename", DockerCommand::Rename),
    ("docker-pause", DockerCommand::Pause),
    ("docker-update", DockerCommand::Update),
    ("docker-disconnect", DockerCommand::Disconnect),
    ("process-ends", DockerCommand::Crash),
];

const WISHES: [(&str, Wish); 3] = [("stopped", Wish::Stopped), ("deleted", Wish::Deleted), ("purged", Wish::Purged)];

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, wish) in WISHES {
            if wish == self.wish {
                write!(f, " {word}")?;
            }
        }
        let figures = [("greeting", self.greeting.into()), ("memory", self.memory), ("redeploy", self.redeploy.into())];
        for (key, value) in figures.into_iter().filter(|(_, value)| *value > 0) {
            write!(f, " {key}={value}")?;
        }
        if self.recreate {
            f.write_str(" recreate")?;
        }
        if self.process > 0 {
            write!(f, " {}", PROCESSES[self.process])?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Save(app, version) => write!(f, "save {}{version}", app.name()),
            Self::Torn(app, bytes, version) => write!(f, "torn {} {bytes}{version}", app.name()),
            Self::Typo(app) => write!(f, "typo {}", app.name()),
            Self::Delete(app) => write!(f, "rm {}", app.name()),
            Self::Move(from, to) => write!(f, "mv {} {}", from.name(), to.name()),
            Self::Duplicate(app) => write!(f, "duplicate {}", app.name()),
            Self::Unduplicate(app) => write!(f, "unduplicate {}", app.name()),
            Self::Lookalike(app, end) => write!(f, "lookalike {}{end}", app.name()),
            Self::Docker(app, command) => {
                let word = DOCKER_COMMANDS.iter().find(|(_, other)| other == command).map_or("?", |(word, _)| word);
                write!(f, "{word} {}", app.name())
            }
            Self::Fault(nth, fault) => write!(f, "fault {nth} {fault}"),
            Self::Wait(millis) => write!(f, "wait {millis}ms"),
            plain => f.write_str(PLAIN.iter().find(|(_, action)| action == plain).map_or("?", |(word, _)| word)),
        }
    }
}

fn app(word: &str) -> Result<App, String> {
    let known = || format!("`{word}` is none of {}", APPS.join(", "));
    APPS.iter().position(|name| *name == word).map(App).ok_or_else(known)
}

fn number<N: FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("`{word}` is no number that fits here"))
}

fn version(words: &[&str]) -> Result<Version, String> {
    let mut version = Version::default();
    for word in words {
        if let Some((_, wish)) = WISHES.iter().find(|(text, _)| text == word) {
            version.wish = *wish;
        } else if let Some(process) = PROCESSES.iter().position(|text| text == word) {
            version.process = process;
        } else {
            match word.split_once('=') {
                Some(("greeting", value)) => version.greeting = number(value)?,
                Some(("memory", value)) => version.memory = number(value)?,
                Some(("redeploy", value)) => version.redeploy = number(value)?,
                None if *word == "recreate" => version.recreate = true,
                _ => return Err(format!("`{word}` says nothing about a manifest: try `greeting=1` or `stopped`")),
            }
        }
    }
    Ok(version)
}

impl FromStr for Action {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, action)) = PLAIN.iter().find(|(word, _)| *word == text) {
            return Ok(action.clone());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["save", name, rest @ ..] => Self::Save(app(name)?, version(rest)?),
            ["torn", name, bytes, rest @ ..] => Self::Torn(app(name)?, number(bytes)?, version(rest)?),
            ["typo", name] => Self::Typo(app(name)?),
            ["rm", name] => Self::Delete(app(name)?),
            ["mv", from, to] => Self::Move(app(from)?, app(to)?),
            ["duplicate", name] => Self::Duplicate(app(name)?),
            ["unduplicate", name] => Self::Unduplicate(app(name)?),
            ["lookalike", name] => match name.strip_suffix(".next") {
                Some(name) => Self::Lookalike(app(name)?, ".next"),
                None => Self::Lookalike(app(name)?, ""),
            },
            ["fault", nth, fault] => Self::Fault(number(nth)?, fault.parse()?),
            ["wait", wait] => Self::Wait(number(wait.strip_suffix("ms").unwrap_or(wait))?),
            [word, name] => match DOCKER_COMMANDS.iter().find(|(text, _)| text == word) {
                Some((_, command)) => Self::Docker(app(name)?, *command),
                None => return Err(format!("`{text}` is no action: see tests/convergence/random/action.rs")),
            },
            _ => return Err(format!("`{text}` is no action: see tests/convergence/random/action.rs")),
        })
    }
}

/// What is run: the actions, and the seed of the world that they happen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RandomScript {
    pub(crate) world: u64,
    pub(crate) actions: Vec<Action>,
}

/// As in replay lines: `world 7; save alice-diary; rest`.
impl fmt::Display for RandomScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "world {}", self.world)?;
        self.actions.iter().try_for_each(|action| write!(f, "; {action}"))
    }
}

impl FromStr for RandomScript {
    type Err = String;
    /// Acts are separated by `;` or line ends; a line that begins with `#` is a comment.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut script = Self { world: 1, actions: Vec::new() };
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for action in lines.flat_map(|line| line.split(';')).map(str::trim).filter(|action| !action.is_empty()) {
            match action.strip_prefix("world ") {
                Some(seed) => script.world = number(seed)?,
                None => script.actions.push(action.parse()?),
            }
        }
        Ok(script)
    }
}
