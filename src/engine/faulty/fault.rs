//! What can be injected, and the record of what was.

use std::fmt;

use crate::engine::ErrorKind;

/// Whether a call can change the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    Read,
    Write,
    /// A single step inside an operation that is not atomic: a crash may land there, nothing else.
    Inner,
}

/// What may go wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The daemon dies instead of making the call.
    CrashBefore,
    /// The daemon dies after the call took effect, before it hears the answer.
    CrashAfter,
    /// The call fails without effect, once.
    Fail(ErrorKind),
    /// This call and all later ones of the same seam fail without effect, until [`Injector::heal`].
    FailFrom(ErrorKind),
    /// The call takes effect; its answer is lost.
    LoseAnswer,
    /// A list of containers or a reading of the manifests answers as it did the time before; other calls are left alone.
    StaleList,
}

impl CallFault {
    /// Every fault that a single-fault sweep tries at each call.
    pub const SWEEP: [Self; 8] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Fail(ErrorKind::Retryable),
        Self::Fail(ErrorKind::Terminal),
        Self::Fail(ErrorKind::Unreachable),
        Self::FailFrom(ErrorKind::Unreachable),
        Self::LoseAnswer,
        Self::StaleList,
    ];

    /// Whether it means anything at such a call.
    #[must_use]
    pub fn applies_to(self, call: &CallRecord) -> bool {
        match self {
            Self::CrashBefore => true,
            Self::CrashAfter => call.kind != CallKind::Read,
            Self::Fail(_) | Self::FailFrom(_) => call.kind != CallKind::Inner,
            Self::LoseAnswer => call.kind == CallKind::Write,
            Self::StaleList => matches!(call.point, "engine.list" | "manifests.load"),
        }
    }
}

/// As written in replay lines: `crash-before`, `crash-after`, `fail-retryable`, `fail-from-unreachable`, `lose-answer`, …
impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrashBefore => f.write_str("crash-before"),
            Self::CrashAfter => f.write_str("crash-after"),
            Self::Fail(kind) => write!(f, "fail-{}", kind_name(*kind)),
            Self::FailFrom(kind) => write!(f, "fail-from-{}", kind_name(*kind)),
            Self::LoseAnswer => f.write_str("lose-answer"),
            Self::StaleList => f.write_str("stale-list"),
        }
    }
}

impl std::str::FromStr for CallFault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [
            ErrorKind::Retryable,
            ErrorKind::Terminal,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Unreachable,
        ];
        let failures = kinds.into_iter().flat_map(|kind| [Self::Fail(kind), Self::FailFrom(kind)]);
        [Self::CrashBefore, Self::CrashAfter, Self::LoseAnswer, Self::StaleList]
            .into_iter()
            .chain(failures)
            .find(|fault| fault.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no fault: write for example `crash-before` or `fail-retryable`"))
    }
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Retryable => "retryable",
        ErrorKind::Terminal => "terminal",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unreachable => "unreachable",
    }
}

/// One call that was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// From 1.
    pub number: u64,
    /// Seam and method: `engine.create`, `store.put`, `folders.ensure/copy-code`.
    pub point: &'static str,
    /// What it was about: an app, a container.
    pub object: String,
    pub kind: CallKind,
    pub injected: Option<CallFault>,
}

impl CallRecord {
    /// Which part of the outside world it goes to: `engine`, `store`, `folders`, `manifests`, `runtime`.
    #[must_use]
    pub fn seam(&self) -> &'static str {
        self.point.split('.').next().unwrap_or(self.point)
    }
}

impl fmt::Display for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} {} {}", self.number, self.point, self.object)?;
        match self.injected {
            None => Ok(()),
            Some(fault) => write!(f, " <- {fault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_round_trip_through_their_text() {
        for fault in CallFault::SWEEP {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("crash".parse::<CallFault>().is_err());
    }
}
