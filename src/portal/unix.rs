//! The daemon's own door: the router on a Unix socket that only the daemon's user (and root) can open.
//!
//! # Guarantees
//! - The socket is `0600` in a folder that is `0700`, and the peer's user id is checked on every connection as well.
//! - A socket somebody answers at is never taken over; one that a dead daemon left behind is replaced.
//! - On a graceful stop streams end, running requests finish within [`GRACE`](super::connection::GRACE), and the socket file is removed, unless
//!   it has become somebody else's meanwhile. After a crash it stays and is replaced by the next start.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::connection::Origin;
use super::door::{self, Listener, WRITE_STALL};
use crate::model::Shown;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another daemon already answers at {}: stop it first, or use another PAAS_ROOT", Shown::path(path))]
    InUse { path: PathBuf },
    #[error("{} is not a socket and is in the way: move it elsewhere, then start again", Shown::path(path))]
    NotASocket { path: PathBuf },
    #[error("cannot open the socket {}: make sure its folder is writable and on a local disk", Shown::path(path))]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// An open door, not yet answering.
#[derive(Debug)]
pub struct UnixDoor {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket file, to recognise it when it is to be removed.
    file: (u64, u64),
    own_uid: u32,
    write_stall: Duration,
}

impl UnixDoor {
    /// Opens the socket at `path`, whose folder is made if missing.
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        clear_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        // The folder keeps others out during the moment between the two calls.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let file = identity(path).map_err(failed)?;
        let own_uid = rustix::process::geteuid().as_raw();
        Ok(Self { listener, path: path.to_owned(), file, own_uid, write_stall: WRITE_STALL })
    }

    /// How long a reader may take nothing before it is dropped; 30 s unless set.
    #[must_use]
    pub fn drop_stalled_after(mut self, limit: Duration) -> Self {
        self.write_stall = limit;
        self
    }

    /// Answers until `stopping` is cancelled, then stops gracefully and removes the socket.
    pub async fn serve(self, router: Router, stopping: CancellationToken) {
        door::serve(&self, router, self.write_stall, stopping).await;
        self.remove();
    }

    fn remove(&self) {
        match identity(&self.path) {
            Ok(file) if file == self.file => {
                if let Err(error) = std::fs::remove_file(&self.path) {
                    tracing::warn!(%error, path = %Shown::path(&self.path), "cannot remove the socket");
                }
            }
            // Gone, or another daemon's by now.
            Ok(_) | Err(_) => {}
        }
    }
}

impl Listener for UnixDoor {
    type Stream = UnixStream;

    const NAME: &'static str = "socket";

    async fn accept(&self) -> io::Result<(UnixStream, Origin)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if may_enter(peer.uid(), self.own_uid) => {
                    return Ok((stream, Origin::Local { uid: peer.uid() }));
                }
                Ok(peer) => {
                    tracing::warn!(uid = peer.uid(), code = "other-user", "refused a connection of another user");
                }
                Err(error) => tracing::warn!(%error, code = "other-user", "refused a connection whose user is unknown"),
            }
        }
    }
}

/// The daemon's own user and root.
fn may_enter(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Removes what a dead daemon left behind: a socket nobody answers at.
async fn clear_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_user_and_root_may_enter() {
        assert!(may_enter(1000, 1000));
        assert!(may_enter(0, 1000));
        assert!(!may_enter(1001, 1000));
        assert!(!may_enter(1000, 0));
    }
}
