//! Where Docker is, and how long it may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::{EngineError, ErrorKind, Result};

/// Where Docker listens when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where Docker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerHost {
    pub(super) socket: PathBuf,
}

impl Default for DockerHost {
    fn default() -> Self {
        Self { socket: PathBuf::from(DEFAULT_SOCKET) }
    }
}

impl DockerHost {
    #[must_use]
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Reads a value of `DOCKER_HOST`; empty means the default socket.
    ///
    /// # Errors
    /// `Terminal` for anything but `unix:///absolute/path`: the apps' folders are mounted into their containers, so the
    /// engine must be on this machine.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::unix(path)),
            _ => Err(EngineError::new(
                ErrorKind::Terminal,
                format!(
                    "DOCKER_HOST `{text}` is not supported: apps' folders are mounted into containers, so Docker must run \
                     on this machine; write `unix:///path/to/docker.sock`, or unset it for unix://{DEFAULT_SOCKET}"
                ),
            )),
        }
    }
}

impl fmt::Display for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.socket.display())
    }
}

/// How long a whole answer may take, by kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub connect: Duration,
    /// Reading, renaming, updating; and the head of an endless answer.
    pub ordinary: Duration,
    /// Creating and starting: a cold disk on the reference machine needs over 10 s.
    pub create: Duration,
    pub remove: Duration,
    /// On top of the grace that a stop gives.
    pub stop_extra: Duration,
    /// Silence of a build: compiling better-sqlite3 says nothing for minutes.
    pub build_silence: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            ordinary: Duration::from_secs(15),
            create: Duration::from_secs(60),
            remove: Duration::from_secs(30),
            stop_extra: Duration::from_secs(15),
            build_silence: Duration::from_secs(600),
        }
    }
}
