//! Connections of a door, whatever it listens on: bounded in number, in size and in time.
//!
//! # Guarantees
//! - A head that is not complete in time, a body that dribbles, a reader that takes nothing: each ends the connection.
//! - When all places are taken, the connection that has waited longest for a request gives way. Whoever opens connections
//!   and says nothing keeps nobody out.
//! - On a stop idle connections end at once, running requests within [`GRACE`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::caller::Peer;
use super::stall::DropStalled;
use crate::gateway::{GatewayConfig, client_address};

/// How long a stop waits for running requests.
pub const GRACE: Duration = Duration::from_secs(5);
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
                Peer::Remote(client_address(request.headers_mut(), *address, &config_rx.borrow()))
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
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
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

    /// Answers a connection until it ends.
    pub(super) fn answer<S>(&self, stream: S, origin: Origin, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER);
        let end = CancellationToken::new();
        let seat = Seat { waiting: Arc::clone(&self.waiting), end: end.clone(), turn: Arc::default() };
        let stopping = self.stopping.clone();
        let router = self.router.clone();
        let io = TokioIo::new(DropStalled::new(stream, self.write_stall));
        self.tracker.spawn(async move {
            seat.wait();
            let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
                // While a request is answered nobody takes the connection away.
                seat.busy();
                let peer = origin.peer(&mut request);
                request.extensions_mut().insert(peer);
                let answer = router.clone().oneshot(request.map(Body::new));
                let seat = seat.clone();
                async move { answer.await.map(|response| response.map(|body| Answer { body, seat })) }
            });
            let connection = http.serve_connection(io, service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                // Idle for longest when a place was needed. Cancel-safe: a token stays cancelled.
                () = end.cancelled() => Ok(()),
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }

    /// After the last `answer`: waits for running requests.
    pub(super) async fn wind_down(self) {
        self.tracker.close();
        if tokio::time::timeout(GRACE, self.tracker.wait()).await.is_err() {
            tracing::warn!(open = self.tracker.len(), "requests still running at the end of the grace are cut off");
        }
    }
}

/// Connections that wait for a request, by the order in which they began to.
#[derive(Default)]
struct Waiting(Mutex<(u64, BTreeMap<u64, CancellationToken>)>);

impl Waiting {
    fn end_oldest(&self) {
        if let Some((_, oldest)) = lock(&self.0).1.pop_first() {
            oldest.cancel();
        }
    }
}

/// One connection's entry in [`Waiting`], while it has one.
#[derive(Clone)]
struct Seat {
    waiting: Arc<Waiting>,
    end: CancellationToken,
    turn: Arc<Mutex<Option<Turn>>>,
}

impl Seat {
    /// May be taken away from now on.
    fn wait(&self) {
        let mut waiting = lock(&self.waiting.0);
        waiting.0 += 1;
        let number = waiting.0;
        waiting.1.insert(number, self.end.clone());
        drop(waiting);
        *lock(&self.turn) = Some(Turn { waiting: Arc::clone(&self.waiting), number });
    }

    fn busy(&self) {
        let turn = lock(&self.turn).take();
        drop(turn);
    }
}

/// An entry; dropping it takes it out.
struct Turn {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.waiting.0).1.remove(&self.number);
    }
}

/// An answer's body: when it has been sent, or given up, its connection waits again.
struct Answer {
    body: Body,
    seat: Seat,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.seat.wait();
    }
}

impl hyper::body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nothing in here panics while it holds a lock; if something did, the entries would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
