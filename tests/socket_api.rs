//! The API on its Unix socket, against a controller that the test plays.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use minipaas::accounts::Accounts;
use minipaas::cli::client::{Client, ClientError};
use minipaas::clock::SystemClock;
use minipaas::controller::{Command, ConfirmError, ControllerHandle, Follow, LogLine, LogReader, LogSource, LogStream};
use minipaas::engine::{EngineError, ErrorKind};
use minipaas::model::status::{DatabaseStatus, EngineStatus, ManifestsStatus};
use minipaas::model::{
    AppKey, AppStatus, Cause, ContainerId, DaemonStatus, Event, EventKind, Health, RunState, Settings, SyncState,
    Timestamp,
};
use minipaas::portal::sse::MAX_STREAMS;
use minipaas::portal::{BindError, EventReader, PortalState, UnixDoor, router};
use minipaas::store::{SqliteStore, StoreError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes too long")
}

fn key(text: &str) -> AppKey {
    AppKey::parse(text).unwrap()
}

fn app(name: &str, health: Health) -> AppStatus {
    AppStatus {
        sync: SyncState::Synced,
        health,
        container: Some(ContainerId(format!("{name}-container"))),
        ..AppStatus::unseen(&key(name), RunState::Running, None, "localhost")
    }
}

fn daemon(apps: impl IntoIterator<Item = AppStatus>) -> DaemonStatus {
    DaemonStatus {
        engine: EngineStatus::Connected { info: minipaas::engine::sim::engine_info() },
        manifests: ManifestsStatus::Complete,
        apps: apps.into_iter().map(|app| (app.app.clone(), Arc::new(app))).collect(),
        ..DaemonStatus::unseen()
    }
}

/// Logs by container; `diary` ends, `endless` never does and counts what is taken from it.
#[derive(Default)]
struct FakeLogs {
    taken: Arc<AtomicUsize>,
    /// Fires when an endless log is let go.
    dropped: Arc<tokio::sync::Notify>,
}

struct OnDrop(Arc<tokio::sync::Notify>);
impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl LogReader for FakeLogs {
    fn logs(
        &self,
        container: ContainerId,
        tail: u32,
        follow: Follow,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>> {
        let (taken, guard) = (Arc::clone(&self.taken), OnDrop(Arc::clone(&self.dropped)));
        Box::pin(async move {
            let line = |text: String| Ok(LogLine { source: LogSource::Stdout, at: None, text });
            match (container.as_str(), follow) {
                ("alice-endless-container", Follow::Yes) => Ok(stream::repeat_with(move || {
                    let _ = &guard;
                    taken.fetch_add(1, Ordering::SeqCst);
                    line("x".repeat(1000))
                })
                .boxed()),
                ("alice-quiet-container", Follow::Yes) => {
                    Ok(stream::iter([line("only".to_owned())]).chain(stream::pending()).boxed())
                }
                ("alice-stamped-container", Follow::Yes) => {
                    let stamped = (1..=3).map(|n| {
                        let at = Some(format!("2026-11-23T10:00:00.00000000{n}Z"));
                        Ok(LogLine { source: LogSource::Stdout, at, text: format!("line {n}") })
                    });
                    Ok(stream::iter(stamped).chain(stream::pending()).boxed())
                }
                // A piece of the same line, the other output overtaking, a clock set back.
                ("alice-jumpy-container", Follow::Yes) => {
                    let stamped = [5, 5, 4, 1].into_iter().enumerate().map(|(n, second)| {
                        let at = Some(format!("2026-11-23T10:00:0{second}.000000000Z"));
                        Ok(LogLine { source: LogSource::Stdout, at, text: format!("line {}", n + 1) })
                    });
                    Ok(stream::iter(stamped).chain(stream::pending()).boxed())
                }
                ("alice-broken-container", _) => {
                    Err(EngineError::new(ErrorKind::Unreachable, "Docker does not answer: start it"))
                }
                _ => Ok(stream::iter((1..=tail.min(3)).map(move |n| line(format!("line {n}\r")))).boxed()),
            }
        })
    }
}

struct FakeEvents;
impl EventReader for FakeEvents {
    fn events(
        &self,
        app: Option<AppKey>,
        limit: u32,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Event>, StoreError>> + Send + '_>> {
        Box::pin(async move {
            let event = Event {
                at: Timestamp(0),
                app,
                kind: EventKind::Done,
                what: format!("limit {limit}"),
                cause: Cause::new("a test"),
            };
            Ok(vec![event])
        })
    }
}

/// A daemon of which only the door is real.
struct Daemon {
    _root: tempfile::TempDir,
    socket: PathBuf,
    status_tx: watch::Sender<Arc<DaemonStatus>>,
    commands_rx: mpsc::Receiver<Command>,
    _settings_tx: watch::Sender<Arc<Settings>>,
    stopping: CancellationToken,
    /// Whether the played loop makes progress.
    loop_turns: Arc<AtomicBool>,
    served: tokio::task::JoinHandle<()>,
    taken: Arc<AtomicUsize>,
    dropped: Arc<tokio::sync::Notify>,
}

impl Daemon {
    async fn start(status: DaemonStatus) -> Self {
        Self::start_dropping_after(status, Duration::from_secs(30)).await
    }

    async fn start_dropping_after(status: DaemonStatus, stall: Duration) -> Self {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::defaults(root.path());
        let socket = settings.socket_path();
        let (status_tx, status_rx) = watch::channel(Arc::new(status));
        let (commands_tx, mut asked_rx) = mpsc::channel(8);
        let (others_tx, commands_rx) = mpsc::channel(8);
        let loop_turns = Arc::new(AtomicBool::new(true));
        let turns = Arc::clone(&loop_turns);
        // The controller's loop, as far as it only says that it turns.
        tokio_util::task::TaskTracker::new().spawn(async move {
            while let Some(command) = asked_rx.recv().await {
                match command {
                    Command::Progress { answer } if turns.load(Ordering::SeqCst) => drop(answer.send(Duration::ZERO)),
                    Command::Progress { answer } => drop(answer.send(Duration::from_secs(3600))),
                    other => drop(others_tx.send(other).await),
                }
            }
        });
        let (settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let logs = FakeLogs::default();
        let (taken, dropped) = (Arc::clone(&logs.taken), Arc::clone(&logs.dropped));
        let stopping = CancellationToken::new();
        // Whoever may open the socket needs no credentials: there is no user.
        let store = SqliteStore::open(&root.path().join("portal.sqlite3")).unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx.clone()));
        let controller = ControllerHandle::new(status_rx, commands_tx, Arc::new(logs));
        let state = PortalState::new(controller, Arc::new(FakeEvents), accounts, settings_rx, stopping.clone());
        let door = UnixDoor::bind(&socket).await.unwrap().drop_stalled_after(stall);
        let served = tokio_util::task::TaskTracker::new().spawn(door.serve(router(state), stopping.clone()));
        Self {
            _root: root,
            socket,
            status_tx,
            commands_rx,
            loop_turns,
            _settings_tx: settings_tx,
            stopping,
            served,
            taken,
            dropped,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.socket.clone())
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, body) = self.ask_raw(method, path, "application/json", body).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{method} {path}: {error}: {body:?}")))
    }

    /// Reads a stream until it has said `until`, then hangs up.
    async fn ask_stream(&self, path: &str, headers: &[(&str, &str)], until: &str) -> (u16, String, String) {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let headers = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
        let request = format!("GET {path} HTTP/1.1\r\nhost: paas\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let mut buffer = [0_u8; 4096];
        while !text.contains(until) || !text.ends_with("\n\n\r\n") {
            let count = soon(stream.read(&mut buffer)).await.unwrap();
            assert!(count > 0, "the stream ended without {until:?}: {text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    async fn ask_raw(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String, String) {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: paas\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer with a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }
}

#[tokio::test]
async fn every_answer_wears_the_envelope() {
    let daemon = Daemon::start(daemon([app("alice-diary", Health::Running)])).await;
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(70_000));
    for (method, path, body, status, code) in [
        ("GET", "/health", "", 200, None),
        ("GET", "/status", "", 200, None),
        ("GET", "/apps", "", 200, None),
        ("GET", "/apps/alice/diary", "", 200, None),
        ("GET", "/apps/alice/diary/logs", "", 200, None),
        ("GET", "/apps/alice/diary/events", "", 200, None),
        ("GET", "/events/log?limit=5", "", 200, None),
        ("POST", "/resync", "", 202, None),
        ("GET", "/nowhere", "", 404, Some("no-such-route")),
        ("DELETE", "/status", "", 405, Some("wrong-method")),
        ("GET", "/confirm", "", 405, Some("wrong-method")),
        ("GET", "/apps/alice/other", "", 404, Some("no-such-app")),
        ("GET", "/apps/Alice/diary", "", 400, Some("bad-name")),
        ("GET", "/apps/alice/%ff", "", 400, Some("bad-path")),
        ("GET", "/apps/alice/diary/logs?lines=many", "", 400, Some("bad-query")),
        ("GET", "/apps/alice/diary/logs?lines=10001", "", 400, Some("bad-query")),
        ("GET", "/apps/alice/diary/logs?follow=maybe", "", 400, Some("bad-query")),
        ("GET", "/apps/alice/diary/logs?tail=1", "", 400, Some("bad-query")),
        ("GET", "/events/log?limit=1001", "", 400, Some("bad-query")),
        ("POST", "/confirm", "{", 400, Some("bad-body")),
        ("POST", "/confirm", "{}", 422, Some("wrong-shape")),
        ("POST", "/confirm", &large, 413, Some("body-too-large")),
    ] {
        let (got, answer) = daemon.ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert_eq!(answer["ok"], json!(code.is_none()), "{method} {path}: {answer}");
        assert_eq!(answer["code"].as_str(), code, "{method} {path}: {answer}");
        assert_eq!(answer.get("data").is_some(), code.is_none(), "{method} {path}: {answer}");
        assert_eq!(answer["error"].as_str().is_some_and(|text| !text.is_empty()), code.is_some(), "{method} {path}");
    }
    let (status, _, body) = daemon.ask_raw("POST", "/confirm", "text/plain", "{\"token\":\"x\"}").await;
    assert_eq!((status, body.contains("\"code\":\"not-json\"")), (415, true), "{body}");
}

#[tokio::test]
async fn before_the_manifests_are_read_nobody_is_told_that_there_are_no_apps() {
    let daemon = Daemon::start(DaemonStatus::unseen()).await;
    for path in ["/apps", "/apps/alice/diary", "/apps/alice/diary/logs"] {
        let (status, answer) = daemon.ask("GET", path, "").await;
        assert_eq!((status, answer["code"].as_str()), (503, Some("starting")), "{path}: {answer}");
    }
    let (_, _, figures) = daemon.ask_raw("GET", "/metrics", "", "").await;
    assert!(figures.contains("minipaas_engine_up 0") && !figures.contains("minipaas_apps{"), "{figures}");
}

#[tokio::test]
async fn an_app_shows_its_phase_and_where_to_open_it() {
    let mut updating = app("alice-diary", Health::Running);
    updating.sync = SyncState::OutOfSync;
    let daemon = Daemon::start(daemon([updating, app("bob-notes", Health::CrashLoop)])).await;
    let (_, answer) = daemon.ask("GET", "/apps", "").await;
    let rows: Vec<_> =
        answer["data"].as_array().unwrap().iter().map(|app| (app["app"].clone(), app["phase"].clone())).collect();
    assert_eq!(rows, [(json!("alice-diary"), json!("Updating")), (json!("bob-notes"), json!("CrashLoop"))]);
    let (_, answer) = daemon.ask("GET", "/apps/alice/diary", "").await;
    assert_eq!(answer["data"]["url"], "http://alice-diary.localhost:8080/");
}

#[tokio::test]
async fn health_names_the_reason_by_its_code() {
    let since = Timestamp(0);
    let mut unreachable = daemon([]);
    unreachable.engine = EngineStatus::Unreachable { reason: "secret detail".to_owned(), since };
    let mut unavailable = daemon([]);
    unavailable.manifests = ManifestsStatus::Unavailable { reason: "secret detail".to_owned(), since };
    let mut starting = daemon([]);
    starting.engine = EngineStatus::Connecting;
    let mut unsupported = daemon([]);
    unsupported.engine = EngineStatus::Unsupported { reason: "secret detail".to_owned() };
    let mut lost = daemon([]);
    lost.database = DatabaseStatus::Unusable { reason: "secret detail".to_owned(), since };
    let door = Daemon::start(daemon([])).await;
    for (status, code) in [
        (lost, "store-unavailable"),
        (unreachable, "engine-unreachable"),
        (unavailable, "manifests-unavailable"),
        (starting, "starting"),
        (unsupported, "engine-unsupported"),
    ] {
        door.status_tx.send_replace(Arc::new(status));
        let (got, answer) = door.ask("GET", "/health", "").await;
        assert_eq!((got, answer["code"].as_str()), (503, Some(code)));
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    door.status_tx.send_replace(Arc::new(daemon([])));
    let (got, answer) = door.ask("GET", "/health", "").await;
    assert_eq!((got, &answer["data"]), (200, &serde_json::json!({"status": "ok"})));
    // Held is not broken, but somebody should come.
    let mut held = daemon([]);
    held.held = Some(minipaas::model::status::HeldRemoval {
        token: "3f9c2a41".to_owned(),
        apps: vec![minipaas::model::AppKey::parse("secret-app").unwrap()],
        message: "secret detail".to_owned(),
        since,
    });
    door.status_tx.send_replace(Arc::new(held));
    let (got, answer) = door.ask("GET", "/health", "").await;
    assert_eq!((got, &answer["data"]), (200, &serde_json::json!({"status": "ok", "heldRemovals": 1})));
    door.status_tx.send_replace(Arc::new(daemon([])));
    door.loop_turns.store(false, Ordering::SeqCst);
    let (got, answer) = door.ask("GET", "/health", "").await;
    assert_eq!((got, answer["code"].as_str()), (503, Some("stuck")), "a calm status does not hide a loop that hangs");
}

#[tokio::test]
async fn the_metrics_tell_every_phase_and_are_well_formed() {
    let daemon =
        Daemon::start(daemon([app("alice-diary", Health::Running), app("bob-notes", Health::CrashLoop)])).await;
    let (status, head, body) = daemon.ask_raw("GET", "/metrics", "", "").await;
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        "minipaas_engine_up 1",
        "minipaas_apps{phase=\"Running\"} 1",
        "minipaas_apps{phase=\"CrashLoop\"} 1",
        "minipaas_apps{phase=\"Held\"} 0",
        "minipaas_manifests_available 1",
        "minipaas_manifests_refused 0",
        "minipaas_held_removals 0",
        "minipaas_app_ready{app=\"alice-diary\"} 0",
        "minipaas_workqueue_depth 0",
        "# TYPE minipaas_reconcile_duration_seconds histogram",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in:\n{body}");
    }
    let mut types = BTreeMap::new();
    for line in body.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(types.insert(name, kind), None, "{name} is described twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
            assert!(types.contains_key(name) || types.get(base) == Some(&"histogram"), "{line} has no type");
        }
    }
}

#[tokio::test]
async fn a_log_comes_whole_and_oldest_first() {
    let mut fresh = app("alice-fresh", Health::Starting);
    fresh.container = None;
    let daemon =
        Daemon::start(daemon([app("alice-diary", Health::Running), fresh, app("alice-broken", Health::Running)])).await;
    let (_, answer) = daemon.ask("GET", "/apps/alice/diary/logs?lines=2", "").await;
    let line = |text: &str| json!({"source": "stdout", "text": text});
    assert_eq!(answer["data"]["lines"], json!([line("line 1\r"), line("line 2\r")]));
    let (status, answer) = daemon.ask("GET", "/apps/alice/fresh/logs", "").await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("no-container")));
    let (status, answer) = daemon.ask("GET", "/apps/alice/broken/logs", "").await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("log-unavailable")));
}

#[tokio::test]
async fn a_followed_log_goes_on_with_the_next_run_until_the_app_is_stopped() {
    let daemon_now = Daemon::start(daemon([app("alice-diary", Health::Running)])).await;
    let mut events = daemon_now.client().events("/apps/alice/diary/logs?follow=1&lines=2").await.unwrap();
    let line = |text: &str| ("log".to_owned(), json!({"source": "stdout", "text": text}));
    let mut next = async || {
        let event = soon(events.next()).await.unwrap().unwrap();
        (event.event.clone(), event.json::<Value>().unwrap())
    };
    assert_eq!([next().await, next().await], [line("line 1\r"), line("line 2\r")]);

    let mut deployed = app("alice-diary", Health::Running);
    deployed.container = Some(ContainerId("alice-new".to_owned()));
    daemon_now.status_tx.send_replace(Arc::new(daemon([deployed.clone()])));
    assert_eq!(next().await, ("container".to_owned(), json!({"container": "alice-new"})));
    assert_eq!([next().await, next().await, next().await], [line("line 1\r"), line("line 2\r"), line("line 3\r")]);

    deployed.started_at = Some(Timestamp(1));
    daemon_now.status_tx.send_replace(Arc::new(daemon([deployed.clone()])));
    assert_eq!(next().await.0, "container", "started again in place");
    next().await;
    deployed.desired = RunState::Stopped;
    daemon_now.status_tx.send_replace(Arc::new(daemon([deployed])));
    assert_eq!([next().await.0, next().await.0], ["log", "log"]);
    assert_eq!(next().await, ("end".to_owned(), json!({"message": "the container ended"})));
}

#[tokio::test]
async fn a_log_that_is_taken_up_again_repeats_no_line() {
    let daemon = Daemon::start(daemon([app("alice-stamped", Health::Running)])).await;
    let (_, _, all) = daemon.ask_stream("/apps/alice/stamped/logs?follow=1", &[], "line 3").await;
    let ids: Vec<&str> = all.lines().filter_map(|line| line.strip_prefix("id:")).map(str::trim).collect();
    assert_eq!(ids.len(), 3, "{all}");
    let (_, _, rest) =
        daemon.ask_stream("/apps/alice/stamped/logs?follow=1&lines=1", &[("last-event-id", ids[0])], "line 3").await;
    assert!(!rest.contains("line 1") && rest.contains("line 2"), "{rest}");
    // What is no time of ours: the stream simply begins.
    for strange in ["0", "zzz", "9f3a-17", "2026-11-23", "alice-stampe/9999"] {
        let last = [("last-event-id", strange)];
        let (_, _, anew) = daemon.ask_stream("/apps/alice/stamped/logs?follow=1", &last, "line 3").await;
        assert!(anew.contains("line 1"), "{strange}: {anew}");
    }
}

#[tokio::test]
async fn a_live_line_is_never_dropped_for_its_time() {
    let daemon = Daemon::start(daemon([app("alice-jumpy", Health::Running)])).await;
    let (_, _, all) = daemon.ask_stream("/apps/alice/jumpy/logs?follow=1", &[], "line 4").await;
    for line in 1..=4 {
        assert!(all.contains(&format!("line {line}")), "line {line} is missing: {all}");
    }
}

#[tokio::test]
async fn a_reader_of_live_events_that_comes_back_is_told_what_it_missed() {
    let daemon_now =
        Daemon::start(daemon([app("alice-diary", Health::Starting), app("bob-notes", Health::Running)])).await;
    let (_, _, first) = daemon_now.ask_stream("/events", &[], "\"bob-notes\"").await;
    let id = first.lines().find_map(|line| line.strip_prefix("id:")).unwrap().trim().to_owned();
    daemon_now.status_tx.send_replace(Arc::new(daemon([app("alice-diary", Health::Running)])));
    let (_, _, missed) = daemon_now.ask_stream("/events", &[("last-event-id", &id)], "event: gone").await;
    let named: Vec<_> = missed.lines().filter_map(|line| line.strip_prefix("event:")).map(str::trim).collect();
    assert_eq!(named, ["app", "gone"], "{missed}");
    let (_, _, anew) = daemon_now.ask_stream("/events", &[("last-event-id", "0123-9")], "event: apps").await;
    assert!(anew.contains("event: daemon"), "{anew}");
}

#[tokio::test]
async fn only_so_many_streams_are_open_at_a_time() {
    let daemon = Daemon::start(daemon([app("alice-quiet", Health::Running)])).await;
    let mut open = Vec::new();
    for _ in 0..MAX_STREAMS {
        open.push(daemon.client().events("/events").await.unwrap());
    }
    let (status, answer) = daemon.ask("GET", "/events", "").await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("busy")), "{answer}");
    assert_eq!(daemon.ask("GET", "/apps", "").await.0, 200, "other answers are not kept waiting");
    open.pop();
    let opened = async {
        while daemon.client().events("/events").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(opened).await;
}

#[tokio::test]
async fn a_refused_stream_is_an_error_with_the_daemons_words() {
    let daemon = Daemon::start(daemon([])).await;
    let error = daemon.client().events("/apps/alice/diary/logs?follow=1").await.unwrap_err();
    assert_eq!(error.code(), Some("no-such-app"));
}

#[tokio::test]
async fn a_stop_ends_the_streams_and_removes_the_socket() {
    let daemon = Daemon::start(daemon([app("alice-quiet", Health::Running)])).await;
    let mut log = daemon.client().events("/apps/alice/quiet/logs?follow=1").await.unwrap();
    let mut live = daemon.client().events("/events").await.unwrap();
    assert_eq!(soon(log.next()).await.unwrap().unwrap().event, "log");
    assert_eq!(soon(live.next()).await.unwrap().unwrap().event, "daemon");
    assert_eq!(soon(live.next()).await.unwrap().unwrap().event, "apps");
    daemon.stopping.cancel();
    assert_eq!(soon(log.next()).await.unwrap(), None);
    assert_eq!(soon(live.next()).await.unwrap(), None);
    soon(daemon.served).await.unwrap();
    assert!(!daemon.socket.exists());
    let error = Client::new(daemon.socket.clone()).get::<Value>("/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[tokio::test]
async fn live_events_are_only_what_changed() {
    let first = daemon([app("alice-diary", Health::Starting), app("bob-notes", Health::Running)]);
    let daemon_now = Daemon::start(first).await;
    let mut events = daemon_now.client().events("/events").await.unwrap();
    let (first, second) = (soon(events.next()).await.unwrap().unwrap(), soon(events.next()).await.unwrap().unwrap());
    assert_eq!((first.event.as_str(), second.event.as_str()), ("daemon", "apps"));
    assert_eq!(first.json::<Value>().unwrap()["apps"], json!({}), "apps travel apart");
    assert_eq!(second.json::<Vec<Value>>().unwrap().len(), 2);

    daemon_now.status_tx.send_replace(Arc::new(daemon([app("alice-diary", Health::Running)])));
    let (app_event, gone) = (soon(events.next()).await.unwrap().unwrap(), soon(events.next()).await.unwrap().unwrap());
    let app_data: Value = app_event.json().unwrap();
    assert_eq!((app_event.event.as_str(), app_data["phase"].as_str()), ("app", Some("Running")));
    assert_eq!((gone.event.as_str(), gone.json::<Value>().unwrap()), ("gone", json!({"app": "bob-notes"})));

    let mut pass = daemon([app("alice-diary", Health::Running)]);
    pass.last_resync = Some(Timestamp(1));
    daemon_now.status_tx.send_replace(Arc::new(pass));
    assert_eq!(soon(events.next()).await.unwrap().unwrap().event, "daemon");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped_and_not_buffered_for() {
    let daemon =
        Daemon::start_dropping_after(daemon([app("alice-endless", Health::Running)]), Duration::from_millis(200)).await;
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    stream.write_all(b"GET /apps/alice/endless/logs?follow=1 HTTP/1.1\r\nhost: paas\r\n\r\n").await.unwrap();
    soon(daemon.dropped.notified()).await;
    let taken = daemon.taken.load(Ordering::SeqCst);
    assert!(taken < 5_000, "{taken} lines of 1 kB were taken for a reader that took none");
    // The connection is gone: what the kernel still holds can be read, then it ends.
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert_eq!(daemon.ask("GET", "/health", "").await.0, 200, "others are served");
}

#[tokio::test]
async fn a_confirmation_reaches_the_controller_and_its_refusal_comes_back() {
    let mut daemon = Daemon::start(daemon([])).await;
    let client = daemon.client();
    for (answer, want) in [
        (Ok(vec![key("alice-diary")]), Ok(json!({"apps": ["alice-diary"]}))),
        (Err(ConfirmError::NothingHeld), Err("nothing-held")),
        (Err(ConfirmError::Changed { current: "new".to_owned() }), Err("token-changed")),
        (Err(ConfirmError::OutOfSight { reason: "it is not there".to_owned() }), Err("manifests-unavailable")),
        (Err(ConfirmError::Unwritten { reason: "the disk is full".to_owned() }), Err("store-unavailable")),
        (Err(ConfirmError::Stopping), Err("stopping")),
    ] {
        let body = json!({"token": "abc"});
        let asked = client.post::<Value>("/confirm", &body);
        let answered = async {
            let Some(Command::Confirm { token, by, answer: reply }) = daemon.commands_rx.recv().await else {
                panic!("no command")
            };
            assert_eq!(token, "abc");
            assert!(by.starts_with("the command line (uid "), "{by}");
            let reply: oneshot::Sender<_> = reply;
            reply.send(answer).unwrap();
        };
        let (got, ()) = soon(async { tokio::join!(asked, answered) }).await;
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(want)) => assert_eq!(got.code(), Some(want)),
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
    }
    assert_eq!(daemon.ask("POST", "/resync", "").await.0, 202);
    assert!(matches!(soon(daemon.commands_rx.recv()).await, Some(Command::Resync)));
}

#[tokio::test]
async fn only_the_owner_may_enter() {
    let daemon = Daemon::start(daemon([])).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&daemon.socket), 0o600);
    assert_eq!(mode(daemon.socket.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let daemon = Daemon::start(daemon([])).await;
    let error = UnixDoor::bind(&daemon.socket).await.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    assert_eq!(daemon.ask("GET", "/health", "").await.0, 200);
}

#[tokio::test]
async fn what_a_dead_daemon_left_is_replaced_and_anything_else_is_not() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("run/paas.sock");
    // Dropped without a graceful stop, as `kill -9` would.
    drop(UnixDoor::bind(&socket).await.unwrap());
    assert!(socket.exists());
    drop(UnixDoor::bind(&socket).await.unwrap());

    std::fs::remove_file(&socket).unwrap();
    std::fs::File::create(&socket).unwrap();
    let error = UnixDoor::bind(&socket).await.unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert!(socket.exists());
}

#[tokio::test]
async fn a_stop_leaves_a_socket_that_became_anothers() {
    let daemon = Daemon::start(daemon([])).await;
    std::fs::remove_file(&daemon.socket).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&daemon.socket).unwrap();
    daemon.stopping.cancel();
    soon(daemon.served).await.unwrap();
    assert!(daemon.socket.exists());
    drop(other);
}
