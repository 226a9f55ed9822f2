//! One request and its response over one upstream connection, polled by whoever waits for it: no task, no channel.

use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use hyper::{HeaderMap, Method, StatusCode};
use rustix::net::RecvFlags;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::head::{self, BadResponse, Framing, ResponseHead};
use super::places::Place;
use super::traffic::AppTraffic;

/// Body frames up to this size are copied behind the head, so that a small request is one packet.
const COALESCE: usize = 4 * 1024;
const READ_BUFFER: usize = 8 * 1024;
/// Interim responses before the real one; more is an app gone wrong.
const MAX_INTERIM: u8 = 16;

/// How well it has to be known that a connection is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// As the last round of events told: who finds out otherwise can send the request again elsewhere.
    AsLastHeard,
    /// The kernel is asked: a request that may not be repeated would be lost.
    Now,
}

/// A connection to an app.
pub(super) struct Upstream {
    io: TcpStream,
    read: BytesMut,
    write: BytesMut,
    interim: u8,
    /// Kept from one request to the next: to move a timer on is cheaper than to set one up.
    silence: Pin<Box<Sleep>>,
}

impl Upstream {
    pub(super) fn new(io: TcpStream) -> Self {
        let silence = Box::pin(tokio::time::sleep(Duration::MAX));
        Self { io, read: BytesMut::new(), write: BytesMut::new(), interim: 0, silence }
    }

    /// Where the next request's head is to be written.
    pub(super) fn begin(&mut self) -> &mut BytesMut {
        self.interim = 0;
        self.write.clear();
        &mut self.write
    }

    /// Neither closed nor sending what nobody asked for, as far as is known without waiting.
    pub(super) fn is_quiet(&self, sure: Sure) -> bool {
        let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let quiet = match sure {
            Sure::AsLastHeard => self.io.try_read(&mut [0]).is_err_and(would_block),
            Sure::Now => {
                let peeked = rustix::net::recv(&self.io, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
                peeked.is_err_and(|error| would_block(error.into()))
            }
        };
        self.read.is_empty() && quiet
    }

    /// The response's head. `Err(None)` is an end of the connection before it.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        headers: &mut HeaderMap,
    ) -> Poll<Result<ResponseHead, Failure>> {
        loop {
            if !self.read.is_empty() {
                match head::read_response(&mut self.read, method, headers).map_err(Failure::Response)? {
                    Some(head) if is_interim(head.status) => {
                        // 100 and 103 end here: the first was asked for by nobody (the client got its own), hyper's
                        // server cannot pass on the second.
                        headers.clear();
                        self.interim += 1;
                        if self.interim > MAX_INTERIM {
                            return Poll::Ready(Err(Failure::Response(BadResponse::Syntax)));
                        }
                        continue;
                    }
                    Some(head) => return Poll::Ready(Ok(head)),
                    None => {}
                }
            }
            let had = self.read.len();
            match ready!(self.poll_fill(cx)) {
                Ok(0) if had == 0 && self.interim == 0 => return Poll::Ready(Err(Failure::Closed)),
                Ok(0) => return Poll::Ready(Err(Failure::Response(BadResponse::Syntax))),
                Ok(_) => {}
                Err(error) if had == 0 && self.interim == 0 && is_hang_up(&error) => {
                    return Poll::Ready(Err(Failure::Closed));
                }
                Err(error) => return Poll::Ready(Err(Failure::Io(error))),
            }
        }
    }

    /// Reads more behind what is buffered; 0 at the end of the stream.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < READ_BUFFER / 2 {
            self.read.reserve(READ_BUFFER);
        }
        // Not `try_read_buf`: this remembers that a read which did not fill the buffer has emptied the socket, so that nobody
        // asks the kernel once more.
        poll_read_buf(Pin::new(&mut self.io), cx, &mut self.read)
    }

    pub(super) fn buffered(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// The bare connection and what was already read from it.
    pub(super) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.io, self.read.freeze())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, rest: &mut Bytes) -> Poll<io::Result<()>> {
        while !self.write.is_empty() || !rest.is_empty() {
            ready!(self.io.poll_write_ready(cx))?;
            let written = if self.write.is_empty() {
                self.io.try_write(rest)
            } else if rest.is_empty() {
                self.io.try_write(&self.write)
            } else {
                self.io.try_write_vectored(&[io::IoSlice::new(&self.write), io::IoSlice::new(rest)])
            };
            match written {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    let from_write = count.min(self.write.len());
                    self.write.advance(from_write);
                    rest.advance(count - from_write);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
    )
}

/// Sends the request whose head was written by [`Upstream::begin`] and waits for the response's head, whose fields go
/// into the empty map `headers`. `silence` bounds the time in which nothing moves from `now` on, not the whole.
pub(super) async fn exchange(
    upstream: &mut Upstream,
    sending: &mut Sending,
    method: &Method,
    headers: &mut HeaderMap,
    now: Instant,
    silence: Duration,
) -> Result<ResponseHead, Failure> {
    upstream.silence.as_mut().reset(now + silence);
    let mut seen = sending.left;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(Err(failure)) = sending.poll(cx, upstream) {
            return Poll::Ready(Err(failure));
        }
        if let Poll::Ready(head) = upstream.poll_head(cx, method, headers) {
            return Poll::Ready(head);
        }
        if sending.left != seen {
            seen = sending.left;
            upstream.silence.as_mut().reset(Instant::now() + silence);
        }
        if let Some(place) = &sending.place {
            let told = if sending.is_waiting_for_client(upstream) { place.wait_on() } else { place.go_on() };
            if told.is_err() {
                return Poll::Ready(Err(Failure::GivenAway));
            }
        }
        upstream.silence.as_mut().poll(cx).map(|()| {
            let client = sending.is_waiting_for_client(upstream);
            Err(Failure::Silence(if client { WaitedFor::Client } else { WaitedFor::App }))
        })
    })
    .await;
    if let Some(place) = &sending.place {
        // Whatever was waited for: from here on there is an answer.
        place.go_on().map_err(|_| Failure::GivenAway)?;
    }
    ended
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the app closed the connection before it answered")]
    Closed,
    #[error("the connection to the app failed: {0}")]
    Io(io::Error),
    #[error(transparent)]
    Response(BadResponse),
    #[error("the client's body broke off or is malformed")]
    ClientBody,
    #[error("the connection had to give way to another while the client was waited for")]
    GivenAway,
    #[error("the client's body is larger than allowed")]
    TooLarge,
    #[error("nothing moved for too long while waiting for {0:?}")]
    Silence(WaitedFor),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitedFor {
    Client,
    App,
}

/// The client's body on its way to the app.
pub(super) struct Sending {
    body: Incoming,
    framing: Framing,
    state: State,
    /// The part of a frame that was too large to be copied.
    rest: Bytes,
    /// `rest` is a chunk whose line end is still to come.
    chunk_open: bool,
    left: u64,
    traffic: Arc<AppTraffic>,
    /// Is told when the client is waited for.
    place: Option<Arc<Place>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Body,
    /// Everything was handed over; the buffers may still hold some.
    Flushing,
    Sent,
    /// The app stopped reading; its answer may still come.
    Refused,
}

impl Sending {
    pub(super) fn new(body: Incoming, framing: Framing, limit: Option<u64>, traffic: Arc<AppTraffic>) -> Self {
        let left = limit.unwrap_or(u64::MAX);
        Self { body, framing, state: State::Body, rest: Bytes::new(), chunk_open: false, left, traffic, place: None }
    }

    /// While the client is waited for, its connection may have to give way.
    pub(super) fn waits_at(&mut self, place: Arc<Place>) {
        self.place = Some(place);
    }

    /// All of the request has left.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    fn is_waiting_for_client(&self, upstream: &Upstream) -> bool {
        self.state == State::Body && upstream.write.is_empty() && self.rest.is_empty()
    }

    /// Starts over on another connection. Only for a request without a body.
    pub(super) fn rewind(&mut self) {
        self.state = State::Body;
    }

    pub(super) fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// A request that was sent may be sent again: it has no body and repeating it changes nothing (RFC 9110 §9.2.2).
    pub(super) fn is_replayable(&self, method: &Method) -> bool {
        !self.has_body() && method.is_idempotent()
    }

    /// Moves the request on; ready when nothing is left to do.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, upstream: &mut Upstream) -> Poll<Result<(), Failure>> {
        loop {
            match self.state {
                State::Sent | State::Refused => return Poll::Ready(Ok(())),
                State::Body => self.poll_collect(cx, upstream)?,
                State::Flushing => {}
            }
            if upstream.write.is_empty() && self.rest.is_empty() {
                if self.state == State::Body {
                    return Poll::Pending;
                }
                self.state = State::Sent;
                return Poll::Ready(Ok(()));
            }
            match ready!(upstream.poll_write(cx, &mut self.rest)) {
                Ok(()) if self.chunk_open => {
                    self.chunk_open = false;
                    upstream.write.put_slice(b"\r\n");
                }
                Ok(()) => {}
                // It may have answered before it hung up ("413"); reading tells.
                Err(_) => self.state = State::Refused,
            }
        }
    }

    /// Takes frames from the client while there is room: one large one, or small ones up to a packet or so.
    fn poll_collect(&mut self, cx: &mut Context<'_>, upstream: &mut Upstream) -> Result<(), Failure> {
        while self.rest.is_empty() && upstream.write.len() < COALESCE {
            if self.body.is_end_stream() {
                self.finish(upstream, None);
                return Ok(());
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(_))) => return Err(Failure::ClientBody),
                Poll::Ready(None) => {
                    self.finish(upstream, None);
                    return Ok(());
                }
            };
            match frame.into_data() {
                Ok(data) => self.push(upstream, data)?,
                Err(frame) => {
                    self.finish(upstream, frame.trailers_ref());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, upstream: &mut Upstream, data: Bytes) -> Result<(), Failure> {
        if data.is_empty() {
            return Ok(());
        }
        self.left = self.left.checked_sub(data.len() as u64).ok_or(Failure::TooLarge)?;
        self.traffic.received(data.len());
        if self.framing != Framing::Chunked {
            if data.len() <= COALESCE {
                upstream.write.put_slice(&data);
            } else {
                self.rest = data;
            }
            return Ok(());
        }
        // Writing to a buffer cannot fail.
        let _ = write!(upstream.write, "{:x}\r\n", data.len());
        if data.len() <= COALESCE {
            upstream.write.put_slice(&data);
            upstream.write.put_slice(b"\r\n");
        } else {
            self.rest = data;
            self.chunk_open = true;
        }
        Ok(())
    }

    fn finish(&mut self, upstream: &mut Upstream, trailers: Option<&HeaderMap>) {
        if self.framing == Framing::Chunked {
            head::write_last_chunk(&mut upstream.write, trailers);
        }
        self.state = State::Flushing;
    }
}
