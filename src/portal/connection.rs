//! Connections of a door, whatever it listens on: bounded in number, in size and in time.
//!
//! # Guarantees
//! - A head that is not complete in time, a body that dribbles, a reader that takes nothing: each ends the connection.
//! - When all places are taken, the connection that has waited longest for its client gives way: for a request, for the rest
//!   of its head or of its body, or for the client to take an answer that is complete. Whoever opens connections and says
//!   nothing, or half of something, keeps nobody out.
//! - A request that is whole is never cut off by that, nor is a stream.
//! - On a stop every answer says `Connection: close`; connections that are idle, or in the middle of a head, end after
//!   [`LINGER`], so that a request that is already on its way is still answered; running requests end within [`GRACE`].

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::caller::Peer;
use super::malformed::Enveloped;
use super::seat::{Answer, GivenAway, Question, Seat, Waiting};
use crate::gateway::{DropStalled, GatewayConfig, visitor};

/// How long a stop waits for running requests.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a stop waits for a request that may be on its way, or for the rest of its head.
const LINGER: Duration = Duration::from_secs(1);
/// Connections served at a time by one door.
pub const MAX_CONNECTIONS: usize = 256;
/// A connection that has not sent its request's head by then is closed; also one that has been idle that long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 64;
/// Size of a request's head in bytes; above it 431.
const MAX_HEAD: usize = 16 << 10;
const MAX_BUFFER: usize = 64 << 10;

/// What a door knows about the other end.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Local {
        uid: u32,
    },
    /// Who is meant depends on the request: a trusted proxy speaks for others.
    Remote {
        address: IpAddr,
        config_rx: watch::Receiver<Arc<GatewayConfig>>,
    },
}

impl Origin {
    fn peer(&self, request: &mut Request<Incoming>) -> Peer {
        match self {
            Self::Local { uid } => Peer::Local { uid: *uid },
            Self::Remote { address, config_rx } => {
                Peer::Remote(visitor(request.headers_mut(), *address, &config_rx.borrow()))
            }
        }
    }
}

/// The connections of one door.
pub(super) struct Connections {
    router: Router,
    places: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    write_stall: Duration,
}

impl Connections {
    pub(super) fn new(router: Router, write_stall: Duration, stopping: CancellationToken) -> Self {
        Self {
            router,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            waiting: Arc::new(Waiting::default()),
            tracker: TaskTracker::new(),
            stopping,
            write_stall,
        }
    }

    /// A place for one more connection. Cancel-safe: a place that was not handed out is free.
    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return place;
            }
            self.waiting.end_oldest();
            // Its task frees the place within a moment; if no connection was idle, look again for one.
            let freed = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(Duration::from_millis(100), freed).await {
                return place;
            }
        }
    }

    /// Finds a place for a connection, then answers it until it ends. Returns when it has its place. During a stop it gives
    /// the connection up if there is none within [`LINGER`]: a request may be waiting in it already.
    pub(super) async fn answer<S>(&self, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = tokio::select! {
            // Cancel-safe: a token stays cancelled, and a place that was not handed out is free.
            biased;
            place = self.place() => place,
            () = self.lingered() => return,
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER);
        let seat = Arc::new(Seat::new(Arc::clone(&self.waiting)));
        let stopping = self.stopping.clone();
        let router = self.router.clone();
        let io = TokioIo::new(Enveloped::new(DropStalled::new(stream, self.write_stall)));
        self.tracker.spawn(async move {
            if let Err(error) = converse(&http, io, router, origin, seat, stopping).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }

    /// [`LINGER`] after the stop began.
    async fn lingered(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(LINGER).await;
    }

    /// After the last `answer`: waits for running requests.
    pub(super) async fn wind_down(self) {
        self.tracker.close();
        if tokio::time::timeout(GRACE, self.tracker.wait()).await.is_err() {
            tracing::warn!(open = self.tracker.len(), "requests still running at the end of the grace are cut off");
        }
    }
}

/// One connection from its first request to its last.
async fn converse<S>(
    http: &http1::Builder,
    io: TokioIo<Enveloped<DropStalled<S>>>,
    router: Router,
    origin: Origin,
    seat: Arc<Seat>,
    stopping: CancellationToken,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    seat.wait();
    let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
        let given = seat.busy();
        let peer = origin.peer(&mut request);
        request.extensions_mut().insert(peer);
        let asked = request.map(|body| Body::new(Question::new(body, Arc::clone(&seat))));
        let (router, seat, stopping) = (router.clone(), Arc::clone(&seat), stopping.clone());
        async move {
            given?;
            let Ok(mut response) = router.oneshot(asked).await;
            if stopping.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, GivenAway>(response.map(|body| Answer::new(body, seat)))
        }
    });
    let mut connection = http.serve_connection(io, service);
    let ended = async {
        tokio::select! {
            ended = &mut connection => return ended,
            // Cancel-safe: a token stays cancelled.
            () = seat.end.cancelled() => return Ok(()),
            () = stopping.cancelled() => {}
        }
        if let Ok(ended) = tokio::time::timeout(LINGER, &mut connection).await {
            return ended;
        }
        if seat.waits() {
            return Ok(());
        }
        Pin::new(&mut connection).graceful_shutdown();
        // Cut off otherwise: whoever reads on after the daemon said that it stops would hold it up for ever.
        tokio::time::timeout(GRACE.saturating_sub(LINGER), &mut connection).await.unwrap_or(Ok(()))
    }
    .await;
    if ended.is_err() {
        let parts = connection.into_parts();
        parts.io.into_inner().say_withheld(&parts.read_buf).await;
    }
    ended
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_was_let_in_as_the_stop_began_is_answered() {
        let router = Router::new().fallback(async || "here");
        let stopping = CancellationToken::new();
        let connections = Connections::new(router, GRACE, stopping.clone());
        stopping.cancel();
        // Often enough that nobody is lucky.
        for _ in 0..32 {
            let (mut visitor, stream) = tokio::io::duplex(1 << 10);
            visitor.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            connections.answer(stream, Origin::Local { uid: 0 }).await;
            let mut answer = String::new();
            visitor.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer:?}");
        }
        connections.wind_down().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_during_a_stop_holds_it_up_for_a_moment_only() {
        let stopping = CancellationToken::new();
        let connections = Connections::new(Router::new(), GRACE, stopping.clone());
        let _taken =
            Arc::clone(&connections.places).acquire_many_owned(u32::try_from(MAX_CONNECTIONS).unwrap()).await.unwrap();
        stopping.cancel();
        let begun = tokio::time::Instant::now();
        let (mut visitor, stream) = tokio::io::duplex(1 << 10);
        connections.answer(stream, Origin::Local { uid: 0 }).await;
        assert!(begun.elapsed() >= LINGER && begun.elapsed() < 2 * LINGER);
        assert_eq!(visitor.read(&mut [0]).await.unwrap(), 0, "given up");
    }
}
