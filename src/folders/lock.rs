//! One daemon per root.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::Shown;

/// Why this daemon may not serve the root.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another daemon{} already serves {}: stop that one first, or give this one another PAAS_ROOT",
            pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), Shown::path(root))]
    Held {
        root: PathBuf,
        /// `None` when the other one has not written it yet.
        pid: Option<u32>,
    },
    #[error("cannot lock {}: let the daemon's user write to its folder", Shown::path(path))]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The right to serve one root. Held as long as this value lives; the kernel takes it back when the process ends,
/// however it ends, so a `kill -9` leaves nothing to clean up.
#[derive(Debug)]
pub struct RootLock {
    _file: File,
}

impl RootLock {
    /// Locks `run/daemon.lock` below the root. The file stays behind when the lock is given up: removing it would let
    /// two daemons hold locks on two files of one name.
    ///
    /// # Errors
    /// [`LockError::Held`] names the process that serves the root.
    pub fn acquire(root: &Path) -> Result<Self, LockError> {
        let run = root.join("run");
        let path = run.join("daemon.lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&run).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { root: root.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let text = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes())).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// For the message only: nothing is concluded from it.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
