//! A client's socket with a manner TCP lacks: it does not destroy an answer by closing on unread input. And one that hyper lacks:
//! the empty 431 that it makes by itself is not sent, so that something better can be said ([`oversized`](super::oversized)).
//! Besides it tells the connection's [`Place`] what is read, and whether the client takes what is written.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::places::{GivenAway, Place};
use super::stall::DropStalled;

/// How long input is thrown away after the last answer, for a client that still sends what was refused.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct ClientIo {
    inner: DropStalled<TcpStream>,
    closing: Closing,
    place: Arc<Place>,
    is_stalled: bool,
    is_withholding: bool,
}

enum Closing {
    Open,
    Shut,
    /// Until then.
    Draining(Pin<Box<Sleep>>),
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, place: Arc<Place>) -> Self {
        let inner = DropStalled::new(stream, write_timeout);
        Self { inner, closing: Closing::Open, place, is_stalled: false, is_withholding: false }
    }

    /// hyper has refused a head as too large, and nothing was sent of that. What is written from here on is ours.
    pub(super) fn take_withheld(&mut self) -> bool {
        self.place.said_431.store(true, Relaxed);
        std::mem::take(&mut self.is_withholding)
    }

    /// Whether `written` is an answer that hyper made by itself, or comes after it. Where that leaves together with the end of
    /// an earlier answer it is sent as it is.
    fn withholds(&mut self, written: &[u8]) -> bool {
        // Every write passes here; few get any further.
        if !self.is_withholding && written.starts_with(b"HTTP/1.1 431 ") {
            self.is_withholding = !self.place.said_431.load(Relaxed);
        }
        self.is_withholding
    }

    /// After each write.
    fn passed(&mut self, written: &[u8], result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        // An answer of ours that looks like hyper's has left, or has begun to.
        if matches!(result, Poll::Ready(Ok(1..))) && written.starts_with(b"HTTP/1.1 431 ") {
            self.place.said_431.store(false, Relaxed);
        }
        if result.is_pending() != self.is_stalled {
            self.is_stalled = result.is_pending();
            let told = if self.is_stalled { self.place.stall() } else { self.place.go_on() };
            told.map_err(given_away)?;
        }
        result
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.inner.into_inner()
    }
}

fn given_away(error: GivenAway) -> io::Error {
    io::Error::other(error)
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let had = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        Poll::Ready(self.place.read(buffer.filled().len() - had).map_err(given_away))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.withholds(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.passed(bytes, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.first().map_or(&[][..], |first| first);
        if self.withholds(first) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.passed(first, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Closing a socket with unread input resets it, and the reset overtakes the answer (a 413, say) on its way. So if
    /// there is any, it is read off for a moment.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_withholding {
            return Poll::Ready(Ok(()));
        }
        if matches!(this.closing, Closing::Open) {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            this.closing = Closing::Shut;
        }
        let mut scratch = [0; 4096];
        loop {
            match this.inner.inner().try_read(&mut scratch) {
                Ok(1..) => {
                    if matches!(this.closing, Closing::Shut) {
                        this.closing = Closing::Draining(Box::pin(tokio::time::sleep(LINGER)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Nothing to lose, or too late.
                    let Closing::Draining(end) = &mut this.closing else { return Poll::Ready(Ok(())) };
                    if end.as_mut().poll(cx).is_ready() || ready!(this.inner.inner().poll_read_ready(cx)).is_err() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Ok(0) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
