//! What the process inside a simulated container does, and the small language that scripts it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::engine::{LogLine, LogSource};
use crate::model::Bytes;

/// What the process of a container does from its start on, until somebody stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Serves at once and for ever.
    #[default]
    Healthy,
    /// Runs, but its port stays closed.
    NeverAnswers,
    /// Runs and listens elsewhere than where it is asked.
    ListensOn(SocketAddr),
    /// Runs for ever and serves after a while.
    AnswersAfter(Duration),
    /// Ends by itself; never serves.
    ExitsWith { code: i64, after: Duration },
    /// Serves at once, ends by itself after a while.
    ServesThenExits { code: i64, after: Duration },
    /// Is killed by the kernel for want of memory.
    OomAfter(Duration),
    /// Serves, and holds so much memory that the kernel refuses it a lower limit.
    Holds(Bytes),
    /// Serves, but pays no attention to SIGTERM.
    IgnoresTerm,
    /// Docker cannot even start it: the executable is missing.
    CannotStart,
}

/// How a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub code: i64,
    pub oom: bool,
}

impl Behaviour {
    /// The end it comes to if nobody interferes, and how long after its start.
    #[must_use]
    pub fn end(self) -> Option<(Duration, End)> {
        match self {
            Self::ExitsWith { code, after } | Self::ServesThenExits { code, after } => {
                Some((after, End { code, oom: false }))
            }
            Self::OomAfter(after) => Some((after, End { code: 137, oom: true })),
            Self::Healthy
            | Self::Holds(_)
            | Self::NeverAnswers
            | Self::ListensOn(_)
            | Self::AnswersAfter(_)
            | Self::IgnoresTerm
            | Self::CannotStart => None,
        }
    }

    /// Whether its port answers so long after its start.
    #[must_use]
    pub fn answers(self, age: Duration) -> bool {
        match self {
            Self::Healthy | Self::Holds(_) | Self::IgnoresTerm | Self::ServesThenExits { .. } => true,
            Self::AnswersAfter(wait) => age >= wait,
            Self::NeverAnswers
            | Self::ListensOn(_)
            | Self::ExitsWith { .. }
            | Self::OomAfter(_)
            | Self::CannotStart => false,
        }
    }

    /// What it listens on so long after its start.
    #[must_use]
    pub fn listening(self, age: Duration, port: u16) -> Vec<SocketAddr> {
        match self {
            Self::ListensOn(at) => vec![at],
            _ if self.answers(age) => vec![SocketAddr::from(([0, 0, 0, 0], port))],
            _ => Vec::new(),
        }
    }

    /// Whether SIGTERM ends it, or only SIGKILL after the grace.
    #[must_use]
    pub fn minds_term(self) -> bool {
        self != Self::IgnoresTerm
    }

    /// What the conformance suite's container commands do, read from the very command a real Docker would run:
    /// `sleep N`, `tail /dev/zero`, and `sh -c` scripts of those with `exit N` and `trap '' TERM`. Anything else is an
    /// app: healthy.
    #[must_use]
    pub fn of_command(command: &[String]) -> Self {
        if let Some(script) = script_of(command) {
            return Self::of_script(script);
        }
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["sleep", _] => Self::NeverAnswers,
            ["tail", "/dev/zero"] => Self::OomAfter(Duration::from_millis(100)),
            ["does-not-exist", ..] => Self::CannotStart,
            _ => Self::Healthy,
        }
    }

    fn of_script(script: &str) -> Self {
        let mut after = Duration::ZERO;
        let mut minds_term = true;
        for statement in script.split(';').map(str::trim) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            match words.as_slice() {
                ["sleep", seconds] => after += Duration::from_secs_f64(seconds.parse().unwrap_or(0.0)),
                ["exit", code] => return Self::ExitsWith { code: code.parse().unwrap_or(1), after },
                ["tail", "/dev/zero"] => return Self::OomAfter(after + Duration::from_millis(100)),
                ["trap", ..] => minds_term = false,
                _ => {}
            }
        }
        if minds_term { Self::ExitsWith { code: 0, after } } else { Self::IgnoresTerm }
    }
}

fn script_of(command: &[String]) -> Option<&str> {
    match command {
        [_shell, flag, script] if flag == "-c" => Some(script),
        _ => None,
    }
}

/// What a `sh -c` script prints before anything else happens.
pub(super) fn output(command: &[String]) -> Vec<LogLine> {
    let said = |statement: &str| {
        let text = statement.trim().strip_prefix("echo ")?;
        Some(match text.strip_suffix(" >&2") {
            Some(text) => LogLine { source: LogSource::Stderr, at: None, text: text.to_owned() },
            None => LogLine { source: LogSource::Stdout, at: None, text: text.to_owned() },
        })
    };
    script_of(command).into_iter().flat_map(|script| script.split(';')).filter_map(said).collect()
}

/// Written in operator scripts and replay lines: `healthy`, `never-answers`, `answers:5s`, `exit:3@500ms`,
/// `serve:1@2s`, `oom@1s`, `holds:64m`, `ignores-term`, `cannot-start`.
impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::NeverAnswers => f.write_str("never-answers"),
            Self::ListensOn(at) => write!(f, "listens:{at}"),
            Self::AnswersAfter(wait) => write!(f, "answers:{}ms", wait.as_millis()),
            Self::ExitsWith { code, after } => write!(f, "exit:{code}@{}ms", after.as_millis()),
            Self::ServesThenExits { code, after } => write!(f, "serve:{code}@{}ms", after.as_millis()),
            Self::OomAfter(after) => write!(f, "oom@{}ms", after.as_millis()),
            Self::Holds(memory) => write!(f, "holds:{memory}"),
            Self::IgnoresTerm => f.write_str("ignores-term"),
            Self::CannotStart => f.write_str("cannot-start"),
        }
    }
}

impl FromStr for Behaviour {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no behaviour: write for example `healthy`, `exit:3@500ms` or `oom@1s`");
        let (head, after) = match text.split_once('@') {
            Some((head, after)) => (head, parse_duration(after).ok_or_else(unknown)?),
            None => (text, Duration::ZERO),
        };
        Ok(match head.split_once(':') {
            None => match head {
                "healthy" => Self::Healthy,
                "never-answers" => Self::NeverAnswers,
                "oom" => Self::OomAfter(after),
                "ignores-term" => Self::IgnoresTerm,
                "cannot-start" => Self::CannotStart,
                _ => return Err(unknown()),
            },
            Some(("listens", at)) => Self::ListensOn(at.parse().map_err(|_| unknown())?),
            Some(("answers", wait)) => Self::AnswersAfter(parse_duration(wait).ok_or_else(unknown)?),
            Some(("holds", memory)) => Self::Holds(memory.parse().map_err(|_| unknown())?),
            Some(("exit", code)) => Self::ExitsWith { code: code.parse().map_err(|_| unknown())?, after },
            Some(("serve", code)) => Self::ServesThenExits { code: code.parse().map_err(|_| unknown())?, after },
            Some(_) => return Err(unknown()),
        })
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_round_trip_through_their_text() {
        for text in [
            "healthy",
            "never-answers",
            "listens:127.0.0.1:3000",
            "answers:5000ms",
            "exit:3@500ms",
            "serve:1@2000ms",
            "oom@1000ms",
            "holds:64m",
            "ignores-term",
            "cannot-start",
        ] {
            assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
        }
        assert_eq!("exit:3@2s".parse(), Ok(Behaviour::ExitsWith { code: 3, after: Duration::from_secs(2) }));
        for bad in ["", "exit", "exit:x", "oom@", "oom@1h", "answers:soon"] {
            assert!(bad.parse::<Behaviour>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_command_means_what_busybox_would_make_of_it() {
        let script = |text: &str| Behaviour::of_command(&["sh", "-c", text].map(str::to_owned));
        assert_eq!(script("exit 3"), Behaviour::ExitsWith { code: 3, after: Duration::ZERO });
        assert_eq!(script("sleep 1.5; exit 0"), Behaviour::ExitsWith { code: 0, after: Duration::from_millis(1500) });
        assert_eq!(script("trap '' TERM; sleep 1000"), Behaviour::IgnoresTerm);
        assert_eq!(script("echo hello; exit 1"), Behaviour::ExitsWith { code: 1, after: Duration::ZERO });
    }
}
