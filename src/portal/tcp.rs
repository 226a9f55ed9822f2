//! The portal's port: the same routes as on the socket, for browsers and programs that bring credentials.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connection::{Connections, Origin};
use super::stall::WRITE_STALL;
use crate::gateway::GatewayConfig;

/// Out of file descriptors, say: look again after a moment instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An open port, not yet answering.
#[derive(Debug)]
pub struct TcpDoor {
    listener: TcpListener,
    config_rx: watch::Receiver<Arc<GatewayConfig>>,
    write_stall: Duration,
}

impl TcpDoor {
    /// `config_rx` tells which proxies are believed about where a request comes from.
    #[must_use]
    pub fn new(listener: TcpListener, config_rx: watch::Receiver<Arc<GatewayConfig>>) -> Self {
        Self { listener, config_rx, write_stall: WRITE_STALL }
    }

    /// How long a reader may take nothing before it is dropped; [`WRITE_STALL`] unless set.
    #[must_use]
    pub fn drop_stalled_after(mut self, limit: Duration) -> Self {
        self.write_stall = limit;
        self
    }

    /// Answers until `stopping` is cancelled, then stops gracefully.
    pub async fn serve(self, router: Router, stopping: CancellationToken) {
        let connections = Connections::new(router, self.write_stall, stopping.clone());
        loop {
            let accepted = tokio::select! {
                // Cancel-safe: a token stays cancelled, and `accept` loses no connection. Nobody gives way before somebody
                // is at the door.
                () = stopping.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    // Answers are small and whole; a failure only costs latency.
                    let _ = stream.set_nodelay(true);
                    let origin =
                        Origin::Remote { address: address.ip().to_canonical(), config_rx: self.config_rx.clone() };
                    connections.answer(stream, origin).await;
                }
                Err(error) if ended_before_accepted(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "the portal cannot accept connections at present; if it is out of file descriptors raise LimitNOFILE");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.wind_down().await;
    }
}

fn ended_before_accepted(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
