//! What disturbs a run, where, and how it is written in a replay line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use minipaas::engine::faulty::{CallFault, CallKind, CallRecord, Gap};
use minipaas::engine::sim::Quirks;
use minipaas::testing::manifests::Unflushed;

/// What happens at a call, or all the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Injected into the call itself.
    Call(CallFault),
    /// `docker kill` of the app's container right before the call.
    OperatorKill,
    /// `docker rm -f` of it.
    OperatorRemove,
    /// The daemon dies before the call and stays dead; people go on with their script.
    Down(Down),
    /// The machine loses its power right before the call: the daemon and Docker die, and unflushed files meet their fate.
    Power(Unflushed),
    /// News and lists are bad from the script's first step to its last; the call is the seed.
    Quirk(Quirk),
}

/// Until when a daemon stays down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// Until the next step of the script is done.
    ForStep,
    /// Until all of it is done.
    ForRest,
}

/// What is wrong with the news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    LoseAll,
    LoseHalf,
    Double,
    Reorder,
    /// Each subscription ends after a few events.
    StreamEnds,
    /// Lists show the world of half a second ago.
    ListLags,
    /// The first two removals fail half-way.
    RemovalsFail,
    /// A container loses its name before it is gone.
    Nameless,
}

impl Quirk {
    pub(crate) const ALL: [Self; 8] = [
        Self::LoseAll,
        Self::LoseHalf,
        Self::Double,
        Self::Reorder,
        Self::StreamEnds,
        Self::ListLags,
        Self::RemovalsFail,
        Self::Nameless,
    ];

    pub(crate) fn quirks(self) -> Quirks {
        let none = Quirks::default();
        match self {
            Self::LoseAll => Quirks { lose_events: 1_000, ..none },
            Self::LoseHalf => Quirks { lose_events: 500, ..none },
            Self::Double => Quirks { duplicate_events: 1_000, ..none },
            Self::Reorder => Quirks { reorder_events: 500, ..none },
            Self::StreamEnds => Quirks { stream_ends_after: Some(3), ..none },
            Self::ListLags => Quirks { list_lag: Duration::from_millis(500), ..none },
            Self::RemovalsFail => Quirks { failing_removals: 2, ..none },
            Self::Nameless => Quirks { nameless_while_removing: true, ..none },
        }
    }

    /// Whether another seed gives another run.
    pub(crate) fn is_random(self) -> bool {
        matches!(self, Self::LoseHalf | Self::Reorder)
    }
}

const WORDS: [(&str, Fault); 15] = [
    ("operator-kill", Fault::OperatorKill),
    ("operator-remove", Fault::OperatorRemove),
    ("down-for-step", Fault::Down(Down::ForStep)),
    ("down-for-rest", Fault::Down(Down::ForRest)),
    ("power-kept", Fault::Power(Unflushed::Kept)),
    ("power-lost", Fault::Power(Unflushed::Lost)),
    ("power-torn", Fault::Power(Unflushed::Torn)),
    ("lose-all-events", Fault::Quirk(Quirk::LoseAll)),
    ("lose-half-the-events", Fault::Quirk(Quirk::LoseHalf)),
    ("double-events", Fault::Quirk(Quirk::Double)),
    ("reorder-events", Fault::Quirk(Quirk::Reorder)),
    ("streams-end", Fault::Quirk(Quirk::StreamEnds)),
    ("lists-lag", Fault::Quirk(Quirk::ListLags)),
    ("removals-fail", Fault::Quirk(Quirk::RemovalsFail)),
    ("nameless-while-removing", Fault::Quirk(Quirk::Nameless)),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(fault) => write!(f, "{fault}"),
            other => f.write_str(WORDS.iter().find(|(_, fault)| fault == other).map_or("?", |(word, _)| word)),
        }
    }
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, fault)) => Ok(*fault),
            None => text.parse().map(Self::Call),
        }
    }
}

/// Where a fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At the call with this number, from 1, counted from the script's first step on.
    Call(u64),
    /// So long after the one before it.
    Later(Gap),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(number) => write!(f, "call={number}"),
            Self::Later(Gap::Calls(calls)) => write!(f, "call=+{calls}"),
            Self::Later(Gap::Writes(writes)) => write!(f, "write=+{writes}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) fault: Fault,
    pub(crate) when: When,
}

impl Injection {
    pub(crate) fn at(call: u64, fault: Fault) -> Self {
        Self { fault, when: When::Call(call) }
    }

    pub(crate) fn later(gap: Gap, fault: CallFault) -> Self {
        Self { fault: Fault::Call(fault), when: When::Later(gap) }
    }

    pub(crate) fn call(&self) -> Option<u64> {
        match self.when {
            When::Call(number) => Some(number),
            When::Later(_) => None,
        }
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault={} {}", self.fault, self.when)
    }
}

/// Reads `fault=crash-after call=17 fault=lose-answer write=+2`.
pub(crate) fn parse_injections<'t>(words: impl Iterator<Item = &'t str>) -> Result<Vec<Injection>, String> {
    let mut injections = Vec::new();
    let mut fault = None;
    for word in words {
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("`{word}`: {error}"));
        let when = match word.split_once('=') {
            Some(("fault", text)) => {
                fault = Some(text.parse::<Fault>()?);
                continue;
            }
            Some(("call", text)) => match text.strip_prefix('+') {
                Some(later) => When::Later(Gap::Calls(number(later)?)),
                None => When::Call(number(text)?),
            },
            Some(("write", text)) => When::Later(Gap::Writes(number(text.trim_start_matches('+'))?)),
            _ => return Err(format!("`{word}` is neither `fault=`, `call=` nor `write=`")),
        };
        let fault = fault.take().ok_or_else(|| format!("`{word}`: its `fault=` comes before it"))?;
        injections.push(Injection { fault, when });
    }
    Ok(injections)
}

/// Faults that are worth it at a call, beside those of the operator.
pub(crate) fn faults_at(call: &CallRecord) -> impl Iterator<Item = CallFault> + '_ {
    use minipaas::engine::ErrorKind;
    CallFault::SWEEP.into_iter().filter(|fault| fault.applies_to(call)).filter(|fault| {
        // A read changes nothing: dying before it is dying before what comes next, and an engine that refuses it for good
        // is what the writes beside it are refused by as well.
        call.kind != CallKind::Read
            || !matches!(fault, CallFault::CrashBefore | CallFault::Fail(ErrorKind::Terminal) | CallFault::FailFrom(_))
    })
}

#[test]
fn faults_round_trip_through_their_replay_lines() {
    let mut injections: Vec<Injection> = WORDS.iter().map(|(_, fault)| Injection::at(3, *fault)).collect();
    injections.push(Injection::later(Gap::Writes(2), CallFault::LoseAnswer));
    injections.push(Injection::later(Gap::Calls(5), CallFault::CrashAfter));
    for injection in injections {
        let line = injection.to_string();
        assert_eq!(parse_injections(line.split_whitespace()), Ok(vec![injection]), "{line}");
    }
    assert!(parse_injections(["call=3"].into_iter()).is_err());
}
