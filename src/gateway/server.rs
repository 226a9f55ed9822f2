//! The listening side: accepts, bounds and, on stop, winds down client connections.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client_io::ClientIo;
use super::forwarding::Peer;
use super::oversized::Oversized;
use super::places::{Full, Visitor};
use super::proxy::{self, Client};
use super::workers::Workers;
use super::{Gateway, Inner, endpoint, routes};

/// An empty SETTINGS frame, then GOAWAY for stream 0 with `HTTP_1_1_REQUIRED` (RFC 9113 §7): what a client that began
/// with HTTP/2 understands.
const H2_REFUSAL: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];
/// For whoever has more than its share, before anything was read.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 10\r\ncontent-type: text/plain\r\n\
    content-length: 43\r\n\r\nThere are too many connections from here.\r\n\r\n";
/// How long a client may take to hear why its connection ends.
const LAST_WORD: Duration = Duration::from_secs(2);
/// What hyper may buffer of one direction of one connection.
const MAX_BUFFER: usize = 64 * 1024;

impl Gateway {
    /// Serves until `cancel`, then winds down and returns.
    ///
    /// On cancel the listener is closed at once (a socket that systemd holds keeps queueing), tunnels are ended,
    /// requests already on their way over idle connections are answered for `linger`, running ones for `drain`; then the
    /// rest is cut. Client errors never end it, nor does a lack of file descriptors.
    pub async fn serve(&self, listener: TcpListener, cancel: CancellationToken) {
        let inner = &self.inner;
        let server = Server {
            inner: Arc::clone(inner),
            tracker: TaskTracker::new(),
            cancel: cancel.clone(),
            home: Handle::current(),
            closing: Arc::new(AtomicBool::new(false)),
            close_idle: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        // Cancel-safe: accepting hands over whole connections, following and sweeping keep nothing between awaits. In this
        // order, so that nobody is let in before the table is as new as the status.
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = routes::follow(inner) => {}
            () = sweep(inner) => {}
            () = server.accept(&listener) => {}
        }
        drop(listener);
        server.wind_down().await;
    }
}

/// Closes upstream connections before the apps do.
async fn sweep(inner: &Inner) {
    let mut tick = tokio::time::interval(inner.tuning.upstream_idle.max(Duration::from_millis(50)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        inner.endpoints.sweep(inner.tuning.upstream_idle);
    }
}

struct Server {
    inner: Arc<Inner>,
    tracker: TaskTracker,
    cancel: CancellationToken,
    home: Handle,
    closing: Arc<AtomicBool>,
    close_idle: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        let workers = self.inner.workers.get_or_init(Workers::start);
        loop {
            match listener.accept().await {
                Ok((stream, addr)) => {
                    let seat = workers.seat();
                    let peer = Peer::new(addr.ip());
                    // A proxy speaks for many, and was named by the operator.
                    let is_trusted = self.inner.config_rx.borrow().trusts(peer.ip);
                    let visitor = (!is_trusted).then(|| Visitor::of(peer.ip));
                    // Whoever comes while nobody can give way waits here, and others in the kernel's queue.
                    let place = match self.inner.places.find(visitor, seat.worker).await {
                        Ok(place) => place,
                        Err(Full::OfThisVisitor | Full::OfAll) => {
                            refuse(&stream, &peer);
                            continue;
                        }
                    };
                    // From here on it belongs to another thread. This only fails on a socket that is gone.
                    let Ok(stream) = stream.into_std() else { continue };
                    let runtime = seat.runtime.clone();
                    let client = Client {
                        inner: Arc::clone(&self.inner),
                        peer,
                        tracker: self.tracker.clone(),
                        cancel: self.cancel.clone(),
                        closing: Arc::clone(&self.closing),
                        home: self.home.clone(),
                        seat,
                        place,
                    };
                    let (close_idle, cut) = (self.close_idle.clone(), self.cut.clone());
                    self.tracker.spawn_on(connection(stream, Arc::new(client), close_idle, cut), &runtime);
                }
                Err(error) if is_client_s(&error) => {}
                Err(error) => {
                    tracing::warn!(
                        %error,
                        code = "cannot-accept",
                        "the gateway cannot accept connections at present; if it is out of file descriptors raise LimitNOFILE"
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn wind_down(self) {
        let tuning = &self.inner.tuning;
        self.closing.store(true, Relaxed);
        self.tracker.close();
        let gently = async {
            let _ = tokio::time::timeout(tuning.linger, self.tracker.wait()).await;
            self.close_idle.cancel();
            self.tracker.wait().await;
        };
        if tokio::time::timeout(tuning.linger + tuning.drain, gently).await.is_err() {
            tracing::warn!(tasks = self.tracker.len(), "the gateway cuts requests that did not end in time");
            // Who is cut was asked before.
            self.close_idle.cancel();
            self.cut.cancel();
            self.tracker.wait().await;
        }
    }
}

/// Errors of one connection that ended before it was accepted.
fn is_client_s(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Tells a visitor that has more connections than one may have, and the log.
fn refuse(stream: &TcpStream, peer: &Peer) {
    tracing::warn!(
        code = "too-many-connections",
        peer = %peer.ip,
        "refused a connection of an address that has half of all places already, with a request on each of them; if it is a \
         proxy of yours, name it in PAAS_TRUSTED_PROXIES"
    );
    // As far as it goes without waiting: it did not wait for an answer either.
    let _ = stream.try_write(TOO_MANY);
}

async fn connection(
    stream: std::net::TcpStream,
    client: Arc<Client>,
    close_idle: CancellationToken,
    cut: CancellationToken,
) {
    let inner = Arc::clone(&client.inner);
    let _open = Open::new(&inner);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    endpoint::prepare(&stream);
    let place = Arc::clone(&client.place);
    let io = TokioIo::new(ClientIo::new(stream, inner.tuning.write_timeout, Arc::clone(&place)));
    let service = service_fn(move |request| proxy::handle(Arc::clone(&client), request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(inner.tuning.header_timeout)
        .max_header_size(inner.tuning.max_header_size)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, service)
        .with_upgrades();
    // Cancel-safe: tokens stay cancelled, a place that is given away is told once, and the connection is polled on. `cut` never comes before `close_idle`, so that one
    // of them is waited for at a time.
    let ended = tokio::select! {
        biased;
        result = &mut connection => Some(result),
        () = place.given_away() => return,
        () = close_idle.cancelled() => None,
    };
    let result = if let Some(result) = ended {
        result
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        tokio::select! {
            biased;
            result = &mut connection => result,
            () = place.given_away() => return,
            () = cut.cancelled() => return,
        }
    };
    let Err(error) = result else { return };
    let Some(parts) = connection.into_parts() else { return };
    let mut io = parts.io.into_inner();
    if error.is_parse_version_h2() {
        let mut stream = io.into_inner();
        let _ = tokio::time::timeout(LAST_WORD, stream.write_all(H2_REFUSAL)).await;
    } else if io.take_withheld() {
        let refused = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16();
        inner.traffic.nobody().begin().answered(refused, Duration::ZERO);
        let answer = Oversized::read(&parts.read_buf).answer();
        let sent = async {
            io.write_all(&answer).await?;
            io.shutdown().await
        };
        let _ = tokio::time::timeout(LAST_WORD, sent).await;
    }
}

struct Open<'a>(&'a Inner);

impl<'a> Open<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.connections.fetch_add(1, Relaxed);
        Self(inner)
    }
}
impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
