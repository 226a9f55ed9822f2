//! What a client is sent as a response's body.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::chunked::{Chunked, Step};
use super::endpoint::Endpoint;
use super::exchange::{Sending, Upstream};
use super::head::Delimiter;
use super::places::Tunnel;
use super::presence::Guest;
use super::proxy::Client;

/// What hyper gets: when it has been handed over, or given up, the connection waits for a request again.
pub(super) struct Answer {
    body: GatewayBody,
    client: Option<Arc<Client>>,
}

impl Answer {
    /// Without a client nothing waits afterwards.
    pub(super) fn new(body: GatewayBody, client: Option<Arc<Client>>) -> Self {
        Self { body, client }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            // If the place was given away, the connection ends without this.
            let _ = client.place.wait();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is whole, or comes from an app or the portal as it is read.
pub(super) enum GatewayBody {
    Full(Bytes),
    App(Box<AppBody>),
    Portal(axum::body::Body),
}

impl GatewayBody {
    pub(super) fn empty() -> Self {
        Self::Full(Bytes::new())
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::App(body) => body.poll_frame(cx),
            Self::Portal(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::App(body) => body.coding == Coding::Ended,
            Self::Portal(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::App(body) => match body.coding {
                Coding::Length(left) => SizeHint::with_exact(left),
                Coding::Ended => SizeHint::with_exact(0),
                Coding::Chunked(_) | Coding::Close => SizeHint::default(),
            },
            Self::Portal(body) => body.size_hint(),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Coding {
    Length(u64),
    Chunked(Chunked),
    Close,
    Ended,
}

/// Reads an app's response as fast as the client takes it, and goes on sending the request meanwhile. Dropped before
/// its end it closes the connection to the app, which thereby learns that nobody listens.
pub(super) struct AppBody {
    upstream: Option<Upstream>,
    sending: Option<Sending>,
    coding: Coding,
    keep_alive: bool,
    max_idle: usize,
    guest: Guest,
    ending: Ending,
}

/// What the end of a response means to others.
pub(super) enum Ending {
    /// It comes by itself: the container stays busy until then, and gets its connection back.
    Awaited(Arc<Endpoint>),
    /// An event stream has no end to wait for, and its reader comes back by itself: it is cut when the daemon stops, and with
    /// its container, and when the reader is not let in any more.
    Cut(Pin<Box<dyn Future<Output = ()> + Send>>, #[expect(dead_code, reason = "it is held")] Tunnel),
}

impl AppBody {
    /// A body that is all there already is returned whole, with its connection back in the pool.
    pub(super) fn begin(
        upstream: Upstream,
        sending: Sending,
        delimiter: Delimiter,
        keep_alive: bool,
        max_idle: usize,
        guest: Guest,
        ending: Ending,
    ) -> GatewayBody {
        let sending = (!sending.is_sent()).then_some(sending);
        let coding = match delimiter {
            Delimiter::Length(0) => Coding::Ended,
            Delimiter::Length(length) => Coding::Length(length),
            Delimiter::Chunked => Coding::Chunked(Chunked::Size),
            Delimiter::Close => Coding::Close,
        };
        let mut body = Self { upstream: Some(upstream), sending, coding, keep_alive, max_idle, guest, ending };
        if body.coding == Coding::Ended {
            body.end();
            return GatewayBody::empty();
        }
        if body.is_all_buffered()
            && let Ok(Some(frame)) = body.take_buffered()
            && let Ok(data) = frame.into_data()
        {
            return GatewayBody::Full(data);
        }
        GatewayBody::App(Box::new(body))
    }

    fn is_all_buffered(&mut self) -> bool {
        match (&self.coding, &mut self.upstream) {
            (Coding::Length(length), Some(upstream)) => upstream.buffered().len() as u64 >= *length,
            _ => false,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // First, because an app that always has something to say never lets anybody wait.
        if let (Ending::Cut(stop, _), true) = (&mut self.ending, self.upstream.is_some())
            && stop.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(self.fail("the daemon stops, or the reader may not go on"))));
        }
        if let (Some(sending), Some(upstream)) = (&mut self.sending, &mut self.upstream) {
            match sending.poll(cx, upstream) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if sending.is_sent() => self.sending = None,
                Poll::Ready(Ok(())) => self.keep_alive = false,
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(self.fail("the request's body broke off")))),
            }
        }
        loop {
            match self.take_buffered() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.coding == Coding::Ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(Some(Err(io::ErrorKind::NotConnected.into())));
            };
            match ready!(upstream.poll_fill(cx)) {
                Ok(0) if self.coding == Coding::Close => {
                    self.end();
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(self.fail("the app's response broke off")))),
                Ok(_) => {}
                Err(error) => {
                    self.upstream = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// The next frame out of what was read already.
    fn take_buffered(&mut self) -> io::Result<Option<Frame<Bytes>>> {
        let Some(upstream) = &mut self.upstream else { return Ok(None) };
        let buffer = upstream.buffered();
        let data = match &mut self.coding {
            Coding::Ended => return Ok(None),
            Coding::Chunked(chunked) => match chunked.step(buffer) {
                Ok(Step::Data(data)) => data,
                Ok(Step::NeedMore) => return Ok(None),
                Ok(Step::End(trailers)) => {
                    self.end();
                    return Ok(trailers.map(Frame::trailers));
                }
                Err(error) => return Err(self.fail(&error.to_string())),
            },
            Coding::Length(_) | Coding::Close if buffer.is_empty() => return Ok(None),
            Coding::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= take as u64;
                let (data, ended) = (buffer.split_to(take).freeze(), *left == 0);
                if ended {
                    self.end();
                }
                data
            }
            Coding::Close => buffer.split().freeze(),
        };
        self.guest.sent(data.len());
        Ok(Some(Frame::data(data)))
    }

    fn end(&mut self) {
        self.coding = Coding::Ended;
        let Some(mut upstream) = self.upstream.take() else { return };
        // A request that is still being sent, or bytes beyond the response, would be read as part of the next one.
        let clean = self.keep_alive && self.sending.is_none() && upstream.buffered().is_empty();
        if let (true, Ending::Awaited(endpoint)) = (clean, &self.ending) {
            endpoint.give_back(upstream, self.max_idle);
        }
    }

    fn fail(&mut self, why: &str) -> io::Error {
        self.upstream = None;
        io::Error::other(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::gateway::places::{Limits, Places, Visitor};
    use crate::model::AppKey;

    #[tokio::test]
    async fn a_reader_who_may_not_go_on_gets_nothing_more_however_much_there_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gateway, app) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (gateway, (mut app, _)) = (gateway.unwrap(), app.unwrap());
        app.write_all(b"data: 1\n\n").await.unwrap();
        gateway.readable().await.unwrap();
        let places = Arc::new(Places::new(Limits { places: 9, reserve: 1, heads: 1000 }));
        let reader = Visitor::of(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let tunnel = places.open_tunnel(&AppKey::parse("alice-diary").unwrap(), reader).unwrap();
        let mut body = AppBody {
            upstream: Some(Upstream::new(gateway)),
            sending: None,
            coding: Coding::Close,
            keep_alive: false,
            max_idle: 0,
            guest: Guest::of(Arc::default()),
            ending: Ending::Cut(Box::pin(std::future::ready(())), tunnel),
        };
        let frame = poll_fn(|cx| body.poll_frame(cx)).await;
        assert!(frame.is_some_and(|frame| frame.is_err()), "the app had something to say");
    }
}
