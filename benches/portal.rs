//! Requests per second and latency of `GET /apps` with 20 and with 1,000 apps, over the portal's own port with a key that
//! is looked up in the database for every request. No Docker: the status is played.
//!
//! `cargo bench --bench portal` prints figures; it does not judge them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends at the first surprise, and prints")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use minipaas::accounts::{Accounts, Visit};
use minipaas::clock::SystemClock;
use minipaas::controller::{ControllerHandle, Follow, LogReader, LogStream};
use minipaas::engine::{EngineError, ErrorKind};
use minipaas::gateway::GatewayConfig;
use minipaas::model::status::{Condition, Endpoint, ManifestsStatus};
use minipaas::model::{
    AppKey, AppStatus, Bytes as Size, ConditionKind, ContainerId, DaemonStatus, Digest, Health, Limits, MilliCpus,
    RunState, Settings, SyncState, TemplateId, Timestamp,
};
use minipaas::portal::{PortalState, TcpDoor, router};
use minipaas::store::SqliteStore;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CONNECTIONS: usize = 8;
const WARM_UP: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

fn main() {
    // The daemon's own runtime: two workers. The clients have one of their own.
    let daemon = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("GET /apps, {CONNECTIONS} connections kept alive, {} s a round", LENGTH.as_secs());
    println!("{:>6} {:>6} {:>10} {:>10} {:>9} {:>9}", "apps", "round", "bytes", "requests/s", "p50 ms", "p99 ms");
    for apps in [20, 1_000] {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::defaults(root.path());
        let stop = CancellationToken::new();
        let (address, key) = daemon.block_on(serve(&settings, apps, stop.clone()));
        for round in 1..=ROUNDS {
            let (bytes, mut times) = clients.block_on(load(address, &key));
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
            let rate = times.len() as u64 / LENGTH.as_secs();
            println!("{apps:>6} {round:>6} {bytes:>10} {rate:>10} {:>9.2} {:>9.2}", at(50), at(99));
        }
        stop.cancel();
    }
}

async fn serve(settings: &Settings, apps: usize, stop: CancellationToken) -> (std::net::SocketAddr, String) {
    let (status_tx, status_rx) = watch::channel(Arc::new(status(apps)));
    let (commands_tx, commands_rx) = mpsc::channel(1);
    let (settings_tx, settings_rx) = watch::channel(Arc::new(settings.clone()));
    let (config_tx, config_rx) = watch::channel(Arc::new(GatewayConfig::new("localhost")));
    let store = SqliteStore::open(&settings.portal_db_path).unwrap();
    let accounts = Arc::new(Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx.clone()));
    accounts.bootstrap().await.unwrap();
    let session = accounts.login("admin", "admin", &Visit::here([127, 0, 0, 1].into())).await.unwrap().session;
    let (from, new) = (std::net::IpAddr::from([127, 0, 0, 1]), "correct horse battery");
    accounts.change_password(session.id, &session.user, "admin", new, from).await.unwrap();
    let issued = accounts.issue_key(session.user.id, Some("bench")).await.unwrap();
    let key = issued.secret.reveal().to_owned();
    let controller = ControllerHandle::new(status_rx, commands_tx, Arc::new(NoLogs));
    let state = PortalState::new(controller, Arc::new(store), accounts, settings_rx, stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = TcpDoor::new(listener, config_rx).serve(router(state), stop);
    TaskTracker::new().spawn(async move {
        // The senders live as long as the door.
        let _kept = (status_tx, settings_tx, config_tx, commands_rx);
        door.await;
    });
    (address, key)
}

struct NoLogs;

impl LogReader for NoLogs {
    fn logs(
        &self,
        _: ContainerId,
        _: u32,
        _: Follow,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>> {
        Box::pin(std::future::ready(Err(EngineError::new(ErrorKind::Unreachable, "no Docker here"))))
    }
}

/// As many apps as are asked for, each with what a running app usually has.
fn status(apps: usize) -> DaemonStatus {
    let app = |number: usize| {
        let key = AppKey::parse(&format!("user{number}-diary")).unwrap();
        let container = ContainerId(Digest::of(key.to_string().as_bytes()).as_str().to_owned());
        let digest = Some(Digest::of(b"manifest"));
        let ready = Condition {
            kind: ConditionKind::Ready,
            status: true,
            reason: "Ready".to_owned(),
            message: "the app runs as its manifest says".to_owned(),
            digest: digest.clone(),
            since: Timestamp(1_795_000_000_000),
        };
        let status = AppStatus {
            sync: SyncState::Synced,
            health: Health::Running,
            template: Some(TemplateId::parse("diary-v1").unwrap()),
            applied_digest: digest.clone(),
            endpoint: Some(Endpoint { container: container.clone(), ip: [10, 1, 2, 3].into(), port: 3000 }),
            container: Some(container),
            limits: Some(Limits { memory: Size::mib(256), cpus: MilliCpus(500), pids: 128 }),
            started_at: Some(Timestamp(1_795_000_000_000)),
            conditions: vec![ready],
            ..AppStatus::unseen(&key, RunState::Running, digest, "localhost")
        };
        (key, Arc::new(status))
    };
    DaemonStatus { manifests: ManifestsStatus::Complete, apps: (0..apps).map(app).collect(), ..DaemonStatus::unseen() }
}

/// Asks over and over; the size of an answer, and how long each took after the warm-up.
async fn load(address: std::net::SocketAddr, key: &str) -> (usize, Vec<Duration>) {
    let begun = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| client(address, key, begun));
    let mut all = Vec::new();
    let mut size = 0;
    for (bytes, times) in futures_util::future::join_all(clients).await {
        size = bytes;
        all.extend(times);
    }
    (size, all)
}

async fn client(address: std::net::SocketAddr, key: &str, begun: Instant) -> (usize, Vec<Duration>) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = TaskTracker::new().spawn(connection);
    let (mut size, mut times) = (0, Vec::new());
    while begun.elapsed() < WARM_UP + LENGTH {
        let request = Request::get("/apps").header("host", "localhost").header("x-api-key", key);
        let asked = Instant::now();
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        size = answer.into_body().collect().await.unwrap().to_bytes().len();
        if begun.elapsed() > WARM_UP {
            times.push(asked.elapsed());
        }
    }
    connection.abort();
    (size, times)
}
