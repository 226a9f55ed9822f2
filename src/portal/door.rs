//! What both doors do alike: let in whoever comes until the daemon stops, and let what runs end then.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::connection::{Connections, Origin};

/// Out of file descriptors, say: look again after a moment instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A write that has to wait longer than this ends the connection.
pub(super) const WRITE_STALL: Duration = Duration::from_secs(30);

/// What a door listens on.
pub(super) trait Listener: Sync {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// For the log.
    const NAME: &'static str;

    /// The next connection of somebody who may enter. Cancel-safe: no connection is lost.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Origin)>> + Send;
}

/// Answers until `stopping` is cancelled, then stops gracefully.
pub(super) async fn serve<L: Listener>(
    listener: &L,
    router: Router,
    write_stall: Duration,
    stopping: CancellationToken,
) {
    let connections = Connections::new(router, write_stall, stopping.clone());
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: a token stays cancelled, and `accept` loses no connection. Nobody gives way before somebody is at
            // the door.
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, origin)) => connections.answer(stream, origin).await,
            Err(error) if ended_before_accepted(&error) => {}
            Err(error) => {
                let door = L::NAME;
                tracing::warn!(%error, code = "cannot-accept", "the portal's {door} cannot accept connections at present; if it is out of file descriptors raise LimitNOFILE");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.wind_down().await;
}

fn ended_before_accepted(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
