//! A fake Docker socket: reads requests, records them, answers what a closure says.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minipaas::engine::docker::{DockerEngine, DockerHost};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the version prefix and the query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a request body of JSON")
    }

    /// Path without version prefix and query.
    pub(crate) fn path(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        match path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..])) {
            Some(path) => path,
            None => path,
        }
    }

    fn version(&self) -> Option<u32> {
        let (minor, _) = self.target.strip_prefix("/v1.")?.split_once('/')?;
        minor.parse().ok()
    }
}

/// What the fake does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A proper answer of JSON.
    Json(u16, String),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, then silence on an open connection.
    RawThenSilence(Vec<u8>),
    /// These bytes for ever.
    Endless(Vec<u8>),
}

pub(crate) fn ok(json: impl Into<String>) -> Reply {
    Reply::Json(200, json.into())
}

pub(crate) fn refuse(code: u16, message: &str) -> Reply {
    Reply::Json(code, serde_json::json!({ "message": message }).to_string())
}

pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunked answer; `complete` adds the last chunk.
pub(crate) fn chunks(pieces: &[&[u8]], complete: bool) -> Vec<u8> {
    let mut bytes = STREAM_HEAD.to_vec();
    for piece in pieces {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    if complete {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    bytes
}

type Handler = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

struct Shared {
    handler: Mutex<Arc<Handler>>,
    asked: Mutex<Vec<Asked>>,
    silent: AtomicUsize,
}

pub(crate) struct FakeDocker {
    dir: TempDir,
    shared: Arc<Shared>,
    listening: Mutex<CancellationToken>,
    tasks: TaskTracker,
}

impl FakeDocker {
    /// Must be called within a runtime.
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Shared {
            handler: Mutex::new(Arc::new(Box::new(handler))),
            asked: Mutex::default(),
            silent: AtomicUsize::new(0),
        };
        let fake = Self {
            dir: tempfile::tempdir().unwrap(),
            shared: Arc::new(shared),
            listening: Mutex::new(CancellationToken::new()),
            tasks: TaskTracker::new(),
        };
        fake.listen();
        fake
    }

    /// An engine that answers as Docker does about versions; everything else is the handler's.
    pub(crate) fn engine(newest: u32, oldest: u32, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(personality(newest, oldest, handler))
    }

    /// Puts another engine behind the same socket.
    pub(crate) fn replace(&self, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Arc::new(Box::new(handler));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    pub(crate) fn listen(&self) {
        let _ = std::fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).unwrap();
        let stop = CancellationToken::new();
        *self.listening.lock().unwrap() = stop.clone();
        let shared = Arc::clone(&self.shared);
        let tasks = self.tasks.clone();
        self.tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(stop.clone().run_until_cancelled_owned(serve(stream, Arc::clone(&shared))));
            }
        }));
    }

    /// Closes the listener and every connection, as a killed engine does. The socket file stays.
    pub(crate) fn kill(&self) {
        self.listening.lock().unwrap().cancel();
    }

    pub(crate) fn client(&self) -> DockerEngine {
        DockerEngine::new(DockerHost::unix(self.socket())).unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Connections on which it keeps silent now.
    pub(crate) fn silent(&self) -> usize {
        self.shared.silent.load(Ordering::SeqCst)
    }

    /// `METHOD target` of every request but the ones of negotiation.
    pub(crate) fn lines(&self) -> Vec<String> {
        let negotiation = |asked: &&Asked| !matches!(asked.path(), "/version" | "/info");
        self.asked().iter().filter(negotiation).map(Asked::line).collect()
    }
}

impl Drop for FakeDocker {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn personality(
    newest: u32,
    oldest: u32,
    handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    move |asked| {
        if let Some(version) = asked.version() {
            // Docker's words of 20.10 and 29.
            if version > newest {
                return refuse(
                    400,
                    &format!("client version 1.{version} is too new. Maximum supported API version is 1.{newest}"),
                );
            }
            if version < oldest {
                return refuse(
                    400,
                    &format!(
                        "client version 1.{version} is too old. Minimum supported API version is 1.{oldest}, please \
                         upgrade your client to a newer version"
                    ),
                );
            }
        }
        match asked.path() {
            "/version" => ok(format!(
                r#"{{"Version":"fake-{newest}","ApiVersion":"1.{newest}","MinAPIVersion":"1.{oldest}","Future":null}}"#
            )),
            "/info" => ok(INFO),
            _ => handler(asked),
        }
    }
}

pub(crate) const INFO: &str = r#"{"MemTotal":8000000000,"NCPU":4,"CgroupVersion":"2","SwapLimit":true,"MemoryLimit":true,
    "PidsLimit":true,"CpuCfsQuota":true,"SecurityOptions":["name=seccomp,profile=default"],"Future":{"x":[1]}}"#;

pub(crate) fn nothing(asked: &Asked) -> Reply {
    refuse(404, &format!("page not found: {}", asked.line()))
}

/// Waits for a condition. Under paused time the pauses take none.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("not seen: {what}"));
}

async fn serve(mut stream: UnixStream, shared: Arc<Shared>) {
    let Some(asked) = read_request(&mut stream).await else { return };
    shared.asked.lock().unwrap().push(asked.clone());
    let handler = Arc::clone(&shared.handler.lock().unwrap());
    let bytes = match handler(&asked) {
        Reply::Json(code, body) => {
            let length = body.len();
            let body = if code == 304 || code == 204 { String::new() } else { body };
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {length}\r\n") };
            format!("HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nConnection: close\r\n{length}\r\n{body}")
                .into()
        }
        Reply::Raw(bytes) => bytes,
        Reply::RawThenSilence(bytes) => {
            let _ = stream.write_all(&bytes).await;
            shared.silent.fetch_add(1, Ordering::SeqCst);
            // Until the client hangs up.
            let _ = stream.read(&mut [0]).await;
            shared.silent.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        Reply::Endless(bytes) => loop {
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
        },
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut UnixStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut first = head.lines().next()?.split(' ');
    Some(Asked { method: first.next()?.to_owned(), target: first.next()?.to_owned(), body: bytes[head_end..].to_vec() })
}
