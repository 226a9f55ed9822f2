//! A client's socket with two manners TCP lacks: it gives up on a reader that takes nothing, and it does not destroy an
//! answer by closing on unread input. And one that hyper lacks: the empty 431 that it makes by itself is not sent, so that
//! something better can be said ([`oversized`](super::oversized)).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long input is thrown away after the last answer, for a client that still sends what was refused.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct ClientIo {
    inner: TokioIo<TcpStream>,
    write_timeout: Duration,
    /// Made when first needed: most clients never stall.
    timer: Option<Pin<Box<Sleep>>>,
    stalled: bool,
    closing: Closing,
    /// See [`Client::said_431`](super::proxy::Client::said_431).
    said_431: Arc<AtomicBool>,
    is_withholding: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    Shut,
    Draining,
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, said_431: Arc<AtomicBool>) -> Self {
        Self {
            inner: TokioIo::new(stream),
            write_timeout,
            timer: None,
            stalled: false,
            closing: Closing::Open,
            said_431,
            is_withholding: false,
        }
    }

    /// hyper has refused a head as too large, and nothing was sent of that. What is written from here on is ours.
    pub(super) fn take_withheld(&mut self) -> bool {
        self.said_431.store(true, Relaxed);
        std::mem::take(&mut self.is_withholding)
    }

    /// Whether `written` is an answer that hyper made by itself, or comes after it. Where that leaves together with the end of
    /// an earlier answer it is sent as it is.
    fn withholds(&mut self, written: &[u8]) -> bool {
        // Every write passes here; few get any further.
        if !self.is_withholding && written.starts_with(b"HTTP/1.1 431 ") {
            self.is_withholding = !self.said_431.load(Relaxed);
        }
        self.is_withholding
    }

    /// An answer of ours that looks like hyper's has left, or has begun to.
    fn passed(&mut self, written: &[u8], result: &Poll<io::Result<usize>>) {
        if matches!(result, Poll::Ready(Ok(1..))) && written.starts_with(b"HTTP/1.1 431 ") {
            self.said_431.store(false, Relaxed);
        }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.inner.into_inner()
    }

    fn wait(&mut self, cx: &mut Context<'_>, timeout: Duration, begins: bool) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if begins {
            timer.as_mut().reset(Instant::now() + timeout);
        }
        timer.as_mut().poll(cx)
    }

    /// A write that took something, or an error once none did for `write_timeout`.
    fn bound(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = false;
            return written;
        }
        let begins = !self.stalled;
        self.stalled = true;
        self.wait(cx, self.write_timeout, begins).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl Write for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.withholds(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.passed(bytes, &written);
        self.bound(cx, written)
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
        self.passed(first, &written);
        self.bound(cx, written)
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
        if self.is_withholding {
            return Poll::Ready(Ok(()));
        }
        if self.closing == Closing::Open {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.closing = Closing::Shut;
        }
        let mut scratch = [0; 4096];
        loop {
            match self.inner.inner().try_read(&mut scratch) {
                Ok(1..) => {
                    if self.closing == Closing::Shut {
                        self.closing = Closing::Draining;
                        if self.wait(cx, LINGER, true).is_ready() {
                            return Poll::Ready(Ok(()));
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.closing == Closing::Draining => {
                    if self.wait(cx, LINGER, false).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    if ready!(self.inner.inner().poll_read_ready(cx)).is_err() {
                        return Poll::Ready(Ok(()));
                    }
                }
                // Nothing to lose: it has ended, or sent nothing that was not read.
                Ok(0) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
