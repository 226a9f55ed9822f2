//! A gateway on a loopback port, apps that answer as a test says, and clients that speak raw bytes.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use minipaas::gateway::{Gateway, GatewayConfig, Tuning};
use minipaas::model::status::Endpoint;
use minipaas::model::{AppKey, AppStatus, ContainerId, DaemonStatus, Health, PreviewStatus, RunState, SyncState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(8);
pub const HOST: &str = "alice-diary.test";

/// A running gateway and the ends of what it watches.
pub struct World {
    pub gateway: Gateway,
    pub addr: SocketAddr,
    pub cancel: CancellationToken,
    pub served: JoinHandle<()>,
    pub config_tx: watch::Sender<Arc<GatewayConfig>>,
    status_tx: watch::Sender<Arc<DaemonStatus>>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Tuning::default(), None).await
    }

    pub async fn with(tuning: Tuning, portal: Option<axum::Router>) -> Self {
        let (status_tx, status_rx) = watch::channel(Arc::new(DaemonStatus::unseen()));
        let (config_tx, config_rx) = watch::channel(Arc::new(GatewayConfig::new("test")));
        let gateway = Gateway::new(status_rx, config_rx, portal, tuning);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let served = tokio::spawn({
            let (gateway, cancel) = (gateway.clone(), cancel.clone());
            async move { gateway.serve(listener, cancel).await }
        });
        until(|| gateway.generation() > 0).await;
        Self { gateway, addr, cancel, served, config_tx, status_tx }
    }

    /// A gateway whose `alice-diary` is answered by `app`.
    pub async fn around(app: SocketAddr) -> Self {
        let world = Self::new().await;
        world.route(app).await;
        world
    }

    /// Publishes a status and waits until the gateway goes by it.
    pub async fn publish(&self, app: AppStatus) {
        let before = self.gateway.generation();
        self.status_tx.send_modify(|status| {
            Arc::make_mut(status).apps.insert(app.app.clone(), Arc::new(app));
        });
        until(|| self.gateway.generation() > before).await;
    }

    /// The same of what an owner looks at besides.
    pub async fn show(&self, preview: PreviewStatus) {
        let before = self.gateway.generation();
        self.status_tx.send_modify(|status| {
            Arc::make_mut(status).previews.insert(preview.app.clone(), Arc::new(preview));
        });
        until(|| self.gateway.generation() > before).await;
    }

    pub fn publish_now(&self, app: AppStatus) {
        self.status_tx.send_modify(|status| {
            Arc::make_mut(status).apps.insert(app.app.clone(), Arc::new(app));
        });
    }

    pub async fn route(&self, app: SocketAddr) {
        self.publish(running("alice-diary", app)).await;
    }

    pub async fn configure(&self, change: impl FnOnce(&mut GatewayConfig)) {
        let before = self.gateway.generation();
        self.config_tx.send_modify(|config| change(Arc::make_mut(config)));
        until(|| self.gateway.generation() > before).await;
    }

    pub async fn connect(&self) -> Wire {
        Wire::connect(self.addr).await
    }

    /// Sends one request and reads until the connection ends.
    pub async fn talk(&self, request: &str) -> String {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.rest().await
    }

    /// `GET path` with further header lines, closing the connection.
    pub async fn get(&self, path: &str, fields: &str) -> String {
        self.talk(&format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n")).await
    }

    pub async fn stopped(self) {
        self.cancel.cancel();
        within(self.served).await.unwrap();
    }
}

pub fn status(key: &str, health: Health) -> AppStatus {
    let app = AppKey::parse(key).unwrap();
    AppStatus { sync: SyncState::Synced, health, ..AppStatus::unseen(&app, RunState::Running, None, "test") }
}

pub fn container_at(addr: SocketAddr) -> ContainerId {
    ContainerId(format!("{:064x}", addr.port()))
}

pub fn running(key: &str, addr: SocketAddr) -> AppStatus {
    let endpoint = Endpoint { container: container_at(addr), ip: addr.ip(), port: addr.port() };
    AppStatus { endpoint: Some(endpoint), ..status(key, Health::Running) }
}

/// Waits for a condition, failing at the deadline.
pub async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it happens before the deadline")
}

/// A client or an app that reads and writes raw bytes.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(within(TcpStream::connect(addr)).await.unwrap())
    }

    /// From another address of this machine: to the gateway somebody else.
    pub async fn from(source: [u8; 4], addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Self::new(within(socket.connect(addr)).await.unwrap())
    }

    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads up to and with `end`; what follows stays for the next call.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end.as_bytes()) {
                let rest = self.buffer.split_off(at + end.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.buffer, rest)).into_owned();
            }
            let read = within(self.stream.read_buf(&mut self.buffer)).await.unwrap();
            assert_ne!(read, 0, "closed while waiting for {end:?}, got {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert_ne!(within(self.stream.read_buf(&mut self.buffer)).await.unwrap(), 0, "closed too early");
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Everything until the connection ends, by whatever means.
    pub async fn rest(&mut self) -> String {
        while within(self.stream.read_buf(&mut self.buffer)).await.is_ok_and(|read| read > 0) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }
}

/// An app by hyper.
pub async fn app<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let io = TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await;
            });
        }
    });
    addr
}

/// An app that says its name.
pub async fn named(name: &'static str) -> SocketAddr {
    app(move |_| async move { Response::new(Full::new(Bytes::from_static(name.as_bytes()))) }).await
}

/// An app written out: `script` gets each accepted connection.
pub async fn raw_app<F, R>(script: F) -> RawApp
where
    F: Fn(Wire, usize) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    raw_app_at("127.0.0.1:0".parse().unwrap(), script).await
}

/// The same at a port that is free again.
pub async fn raw_app_at<F, R>(addr: SocketAddr, script: F) -> RawApp
where
    F: Fn(Wire, usize) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let listening = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(Wire::new(stream), counter.fetch_add(1, Ordering::SeqCst)));
        }
    });
    RawApp { addr, accepted, listening }
}

pub struct RawApp {
    pub addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl RawApp {
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Frees the port: connecting is refused from now on.
    pub async fn stop_listening(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }
}

/// An app that keeps all bytes it is sent and answers each read that ends a head or body with an empty 200.
pub async fn recorder() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let app = raw_app(move |mut wire, _| {
        let log = Arc::clone(&log);
        async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = wire.stream.read(&mut buffer).await {
                let complete = {
                    let mut log = log.lock().unwrap();
                    log.extend_from_slice(&buffer[..read]);
                    log.windows(4).any(|window| window == b"\r\n\r\n")
                };
                if complete && wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (app.addr, seen)
}

/// Status code of a response's text.
pub fn code(response: &str) -> &str {
    response.get(9..12).unwrap_or(response)
}

pub fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
