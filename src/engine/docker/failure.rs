//! What can go wrong on the way to Docker, and what it means to a caller.

use std::io;
use std::time::Duration;

use crate::engine::{EngineError, ErrorKind};

/// One API call, for messages: `cannot start container paas-app-alice-diary: …`.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) verb: &'static str,
    /// What the call is about; empty for the engine itself.
    pub(super) object: String,
}

impl Call {
    pub(super) fn new(verb: &'static str, object: impl Into<String>) -> Self {
        Self { verb, object: object.into() }
    }
}

/// Why a call has no good answer, before it is judged for the caller.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection to the socket.
    #[error("no connection to {socket}")]
    Connect { socket: String, source: io::Error },
    /// The whole answer was not there in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The connection ended before the answer did.
    #[error("the connection broke")]
    Broken(#[source] Option<hyper::Error>),
    /// An answer that is not HTTP or not the JSON it should be.
    #[error("not understood: {0}")]
    Garbled(String),
    /// Docker's own refusal.
    #[error("status {code}: {message}")]
    Status { code: u16, message: String },
    /// Refused before anything was sent: the same call fails again.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Docker speaks another range of API versions than was negotiated: it was replaced under us.
    pub(super) fn is_version_skew(&self) -> bool {
        matches!(self, Self::Status { code: 400, message }
            if message.contains("client version") && (message.contains("is too new") || message.contains("is too old")))
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Case-insensitive search in Docker's own words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Status { message, .. } if message.to_lowercase().contains(words))
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Deadline(_) | Self::Broken(_) => ErrorKind::Unreachable,
            Self::Garbled(_) => ErrorKind::Retryable,
            Self::Refused(_) => ErrorKind::Terminal,
            Self::Status { code, .. } => self.kind_of_status(*code),
        }
    }

    fn kind_of_status(&self, code: u16) -> ErrorKind {
        match code {
            // The folder may come back: a disk not mounted yet, a folder the daemon is about to make.
            400 if self.says("bind source path does not exist") => ErrorKind::Retryable,
            403 if self.says("overlap") || self.says("active endpoints") => ErrorKind::Conflict,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            400..=499 => ErrorKind::Terminal,
            _ => ErrorKind::Retryable,
        }
    }

    /// Of an update of limits: what the kernel refuses Docker hands on as an error of its own (500), but the same values are
    /// refused again.
    pub(super) fn kind_of_update(&self) -> ErrorKind {
        // Of runc, and of the kernel's words below it.
        let refusals =
            ["did not terminate successfully", "unable to set memory limit", "invalid argument", "resource busy"];
        match self.kind() {
            ErrorKind::Retryable if refusals.into_iter().any(|words| self.says(words)) => ErrorKind::Terminal,
            kind => kind,
        }
    }

    /// The problem and the remedy, for people.
    fn explain(&self) -> String {
        match self {
            Self::Connect { socket, source } => explain_connect(socket, source),
            Self::Deadline(limit) => format!(
                "Docker gave no complete answer within {} s: it hangs or is overloaded (see `systemctl status docker`; \
                 `systemctl restart docker` if it stays so)",
                limit.as_secs_f32()
            ),
            Self::Broken(_) => {
                "the connection broke off before Docker's answer was complete: it is being restarted or \
                                has crashed (see `systemctl status docker`)"
                    .to_owned()
            }
            Self::Garbled(what) => format!("Docker's answer was not understood ({what}): is that really Docker?"),
            Self::Refused(message) => message.clone(),
            Self::Status { code, message } => {
                let said = if message.is_empty() { "nothing".to_owned() } else { format!("`{message}`") };
                match self.remedy() {
                    Some(remedy) => format!("Docker says {said} (status {code}): {remedy}"),
                    None => format!("Docker says {said} (status {code})"),
                }
            }
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        const REMEDIES: &[(&str, &str)] = &[
            ("no space left on device", "free disk space, for example with `docker system prune`"),
            ("port is already allocated", "stop what uses that port"),
            ("address already in use", "stop what uses that address"),
            ("bind source path does not exist", "make the folder, or mount the disk it is on"),
            ("no such image", "build or pull the image"),
            ("is already in use by container", "remove or rename that container, or rename the app"),
            ("overlap", "choose a subnet that no other network uses, or remove the other network"),
            ("non-overlapping ipv4 address pool", "remove unused networks with `docker network prune`"),
            ("range of cpus", "ask for no more CPUs than the machine has"),
            ("minimum memory limit", "raise the memory limit"),
            (
                "unable to set memory limit",
                "the app holds more memory than that now, so allow more, or stop it and start it again with the lower limit",
            ),
            ("no such network", "let the daemon make the network again"),
        ];
        REMEDIES.iter().find(|(words, _)| self.says(words)).map(|(_, remedy)| *remedy)
    }

    /// Judges this failure for the caller of `call`.
    pub(super) fn into_error(self, call: &Call) -> EngineError {
        self.into_error_as(Self::kind, call)
    }

    /// As [`Failure::into_error`] with another judgement of the kind.
    pub(super) fn into_error_as(self, kind: impl FnOnce(&Self) -> ErrorKind, call: &Call) -> EngineError {
        let object = if call.object.is_empty() { String::new() } else { format!(" {}", call.object) };
        let error = EngineError::new(kind(&self), format!("cannot {}{object}: {}", call.verb, self.explain()));
        match self {
            Self::Connect { source, .. } => error.with_source(source),
            Self::Broken(Some(source)) => error.with_source(source),
            _ => error,
        }
    }
}

fn explain_connect(socket: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the Docker socket {socket} does not exist: is Docker installed and running? (`systemctl start docker`)"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("nobody listens on the Docker socket {socket}: is Docker running? (`systemctl start docker`)")
        }
        io::ErrorKind::PermissionDenied => format!(
            "no permission to use the Docker socket {socket}: add the user to the group `docker` \
             (`usermod -aG docker USER`, then log in again) or run as root"
        ),
        io::ErrorKind::TimedOut => format!(
            "Docker does not accept connections on {socket}: it hangs or is overloaded (see `systemctl status docker`)"
        ),
        _ => format!("no connection to the Docker socket {socket}: is Docker running? (`systemctl start docker`)"),
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Garbled(error.to_string()) } else { Self::Broken(Some(error)) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbled(error.to_string())
    }
}

impl From<bollard::errors::Error> for Failure {
    fn from(error: bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        match error {
            // Our own transport's failures travel through bollard in this envelope.
            Error::IOError { err } => err.downcast::<Self>().unwrap_or_else(|err| Self::Garbled(err.to_string())),
            Error::DockerResponseServerError { status_code, message } => Self::Status { code: status_code, message },
            Error::HyperResponseError { err } => err.into(),
            other => Self::Garbled(other.to_string()),
        }
    }
}

impl From<Failure> for bollard::errors::Error {
    fn from(failure: Failure) -> Self {
        Self::IOError { err: io::Error::other(failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_is_unreachable_whatever_the_reason_and_says_what_to_do() {
        for (kind, words) in [
            (io::ErrorKind::NotFound, "does not exist"),
            (io::ErrorKind::ConnectionRefused, "systemctl start docker"),
            (io::ErrorKind::PermissionDenied, "usermod -aG docker"),
            (io::ErrorKind::TimedOut, "hangs or is overloaded"),
            (io::ErrorKind::Other, "is Docker running?"),
        ] {
            let failure = Failure::Connect { socket: "/run/x.sock".to_owned(), source: kind.into() };
            let error = failure.into_error(&Call::new("list containers", ""));
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            let text = error.to_string();
            assert!(text.starts_with("cannot list containers: ") && text.contains("/run/x.sock"), "{text}");
            assert!(text.contains(words), "{text}");
            assert!(std::error::Error::source(&error).is_some(), "the cause is kept");
        }
    }

    #[test]
    fn a_failure_survives_the_way_through_bollard() {
        let there: bollard::errors::Error = Failure::Status { code: 418, message: "teapot".to_owned() }.into();
        let back = Failure::from(there);
        assert!(matches!(&back, Failure::Status { code: 418, message } if message == "teapot"), "{back:?}");
    }
}
