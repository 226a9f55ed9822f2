//! The portal's port: the same routes as on the socket, for browsers and programs that bring credentials.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connection::Origin;
use super::door::{self, Listener, WRITE_STALL};
use crate::gateway::GatewayConfig;

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

    /// How long a reader may take nothing before it is dropped; 30 s unless set.
    #[must_use]
    pub fn drop_stalled_after(mut self, limit: Duration) -> Self {
        self.write_stall = limit;
        self
    }

    /// Answers until `stopping` is cancelled, then stops gracefully.
    pub async fn serve(self, router: Router, stopping: CancellationToken) {
        door::serve(&self, router, self.write_stall, stopping).await;
    }
}

impl Listener for TcpDoor {
    type Stream = TcpStream;

    const NAME: &'static str = "port";

    async fn accept(&self) -> io::Result<(TcpStream, Origin)> {
        let (stream, address) = self.listener.accept().await?;
        // Answers are small and whole; a failure only costs latency.
        let _ = stream.set_nodelay(true);
        let origin = Origin::Remote { address: address.ip().to_canonical(), config_rx: self.config_rx.clone() };
        Ok((stream, origin))
    }
}
