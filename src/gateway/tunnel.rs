//! What becomes of two connections after a 101: bytes both ways until either side, or the daemon, ends it, or nothing has moved for
//! long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Inner;
use super::gate::Staying;
use super::places;
use super::presence::Guest;
use super::proxy::Client;

/// How often a tunnel is looked at, for a limit that may have changed meanwhile.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until either side has closed, the daemon stops, its client may not be there any more, the connection has to give way because its client takes nothing, or
/// neither side has said anything for [`GatewayConfig::tunnel_idle`](super::GatewayConfig::tunnel_idle).
pub(super) async fn run(
    of: Arc<Client>,
    client: OnUpgrade,
    app: TcpStream,
    already_read: Bytes,
    guest: Guest,
    _counted: places::Tunnel,
    staying: Staying,
) {
    let moved = Moved::new();
    let tunnel = async {
        let mut client = Noted { io: TokioIo::new(client.await.ok()?), moved: &moved };
        let mut app = Noted { io: app, moved: &moved };
        client.write_all(&already_read).await.ok()?;
        tokio::io::copy_bidirectional(&mut client, &mut app).await.ok()
    };
    let _open = Open::new(&of.inner);
    // A cancelled tunnel is dropped with both its sockets: there is nothing half-done to save.
    tokio::select! {
        copied = tunnel => if let Some((up, down)) = copied {
            guest.received(usize::try_from(up).unwrap_or(usize::MAX));
            guest.sent(already_read.len() + usize::try_from(down).unwrap_or(usize::MAX));
        },
        () = of.cancel.cancelled() => {}
        () = of.place.given_away() => {}
        () = idle(&of.inner, &moved) => {}
        () = staying.unwelcome() => {}
    }
}

/// Ready when nothing has moved for as long as the settings allow.
async fn idle(inner: &Inner, moved: &Moved) {
    loop {
        let limit = inner.config_rx.borrow().tunnel_idle;
        let left = limit.saturating_sub(moved.ago());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// When something was last read from either side.
struct Moved {
    begun: Instant,
    millis: AtomicU64,
}

impl Moved {
    fn new() -> Self {
        Self { begun: Instant::now(), millis: AtomicU64::new(0) }
    }

    fn now(&self) {
        self.millis.store(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    fn ago(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Relaxed)))
    }
}

/// One side of a tunnel.
struct Noted<'a, T> {
    io: T,
    moved: &'a Moved,
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<'_, T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        self.moved.now();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
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
