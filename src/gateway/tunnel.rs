//! What becomes of two connections after a 101: bytes both ways until either side, or the daemon, ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Inner;
use super::proxy::Client;
use super::traffic::AppTraffic;

/// Runs until either side has closed, or the daemon stops. Silence is fine for as long as it likes.
pub(super) async fn run(
    of: Arc<Client>,
    client: OnUpgrade,
    mut app: TcpStream,
    already_read: Bytes,
    traffic: Arc<AppTraffic>,
) {
    let tunnel = async {
        let mut client = TokioIo::new(client.await.ok()?);
        client.write_all(&already_read).await.ok()?;
        tokio::io::copy_bidirectional(&mut client, &mut app).await.ok()
    };
    let _open = Open::new(&of.inner);
    // A cancelled tunnel is dropped with both its sockets: there is nothing half-done to save.
    tokio::select! {
        copied = tunnel => if let Some((up, down)) = copied {
            traffic.received(usize::try_from(up).unwrap_or(usize::MAX));
            traffic.sent(already_read.len() + usize::try_from(down).unwrap_or(usize::MAX));
        },
        () = of.cancel.cancelled() => {}
    }
}

struct Open<'a>(&'a Inner);

impl<'a> Open<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.tunnels.fetch_add(1, Relaxed);
        Self(inner)
    }
}
impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Relaxed);
    }
}
