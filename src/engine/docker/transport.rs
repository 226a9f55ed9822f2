//! HTTP over Docker's Unix socket: one connection per request, the negotiated version in every path, answers bounded in
//! size. bollard sends through it, and the calls whose answers bollard reads too strictly go through it directly.
//!
//! One connection per request is what makes a restarted engine a non-event: there is no stale connection to trip over,
//! and connecting to a Unix socket costs some 50 µs.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_util::task::TaskTracker;

use super::failure::Failure;
use super::version::ApiVersion;
use crate::metrics::Metrics;
use crate::model::Shown;

/// Far above any true answer (a listing of 1,000 containers is 2 MB), far below what would hurt.
const ANSWER_LIMIT: usize = 32 << 20;
const ERROR_LIMIT: usize = 64 << 10;
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);
/// Longest piece of Docker's words that goes into a message.
const MESSAGE_LIMIT: usize = 1000;

/// What was learnt about the engine when it was connected to.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the kernel, not a choice between two behaviours"
)]
pub(super) struct Session {
    pub(super) api: ApiVersion,
    pub(super) swap_limit: bool,
    pub(super) cpu_limit: bool,
    pub(super) pids_limit: bool,
    pub(super) seccomp: bool,
}

#[derive(Debug, Default)]
struct Known {
    session: Option<Session>,
    /// The engine may be another one by now; negotiate before the next call.
    stale: bool,
}

#[derive(Debug)]
pub(super) struct Transport {
    socket: PathBuf,
    connect_deadline: Duration,
    known: Mutex<Known>,
    connections: TaskTracker,
    metrics: Metrics,
}

/// Whether the path is sent under the negotiated version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Plain,
    Versioned,
}

impl Transport {
    pub(super) fn new(socket: PathBuf, connect_deadline: Duration, metrics: Metrics) -> Self {
        Self { socket, connect_deadline, known: Mutex::default(), connections: TaskTracker::new(), metrics }
    }

    pub(super) fn session(&self) -> Option<Session> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.session.filter(|_| !known.stale)
    }

    pub(super) fn remember(&self, session: Session) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { session: Some(session), stale: false };
    }

    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).stale = true;
    }

    /// Sends a request and waits for the head of a good answer. Anything but 2xx is a [`Failure::Status`], 304 included.
    ///
    /// Dropping the answer closes the connection, which makes Docker give up what it was doing for it.
    pub(super) async fn send<B>(&self, mut request: Request<B>, path: Path) -> Result<Response<Incoming>, Failure>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let call = name_of(request.method(), request.uri().path());
        *request.uri_mut() = self.target(request.uri(), path)?;
        let begun = Instant::now();
        let outcome = self.exchange(request).await;
        let failed = matches!(&outcome, Err(Failure::Status { code, .. }) if *code != 304 && *code != 404)
            || matches!(&outcome, Err(failure) if failure.status().is_none());
        self.metrics.call(call, begun.elapsed(), failed);
        outcome
    }

    async fn exchange<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, Failure>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::Builder::new().max_buf_size(64 << 10).handshake(TokioIo::new(stream)).await?;
        // Ends with the exchange: when the answer was read, or when both its halves were dropped.
        self.connections.spawn(connection);
        let response = sender.send_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let body = collect(response.into_body(), ERROR_LIMIT).await.unwrap_or_default();
        Err(Failure::Status { code, message: message_of(&body) })
    }

    /// Sends, reads the whole answer, and understands it as JSON.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: Request<http_body_util::Full<Bytes>>,
        path: Path,
    ) -> Result<T, Failure> {
        let response = self.send(request, path).await?;
        let body = collect(response.into_body(), ANSWER_LIMIT).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let connecting = async {
            loop {
                match UnixStream::connect(&self.socket).await {
                    // More connections wait than the socket takes: either a short rush, or an engine that hangs.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(BACKLOG_PAUSE).await,
                    outcome => return outcome,
                }
            }
        };
        let outcome = tokio::time::timeout(self.connect_deadline, connecting).await;
        let outcome = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        outcome.map_err(|source| Failure::Connect { socket: self.socket.display().to_string(), source })
    }

    fn target(&self, uri: &Uri, path: Path) -> Result<Uri, Failure> {
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        let text = match path {
            Path::Plain => rest.to_owned(),
            Path::Versioned => {
                // A stale version is still the best guess while a call is under way: a refusal makes the caller
                // negotiate again.
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                let session = known.session.ok_or_else(|| Failure::Garbled("no API version negotiated".to_owned()))?;
                format!("/v{}{rest}", session.api)
            }
        };
        text.parse().map_err(|_| Failure::Refused(format!("`{}` is not a request path", text.escape_debug())))
    }
}

/// A request without a body.
pub(super) fn get(path: &str, query: &[(&str, &str)]) -> Result<Request<http_body_util::Full<Bytes>>, Failure> {
    build(Method::GET, path, query, None)
}

/// A request with a body of the given content type.
pub(super) fn post(
    path: &str,
    query: &[(&str, &str)],
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Result<Request<http_body_util::Full<Bytes>>, Failure> {
    build(Method::POST, path, query, Some((content_type, body.into())))
}

fn build(
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<(&'static str, Bytes)>,
) -> Result<Request<http_body_util::Full<Bytes>>, Failure> {
    let mut uri = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(name);
        uri.push('=');
        escape(value, &mut uri);
    }
    let mut request = Request::builder().method(method).uri(uri);
    let body = match body {
        Some((content_type, body)) => {
            request = request.header(CONTENT_TYPE, content_type);
            body
        }
        None => Bytes::new(),
    };
    request.body(http_body_util::Full::new(body)).map_err(|error| Failure::Refused(error.to_string()))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn escape(text: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(Failure::Garbled(format!("it is larger than {} KiB", limit >> 10)));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Docker's `{"message": …}`, or the beginning of whatever else was said, on one line.
fn message_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    one_line(&text)
}

/// What a request is called in the metrics.
fn name_of(method: &Method, path: &str) -> &'static str {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let parts = match parts.as_slice() {
        [version, rest @ ..] if version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            rest
        }
        all => all,
    };
    let delete = *method == Method::DELETE;
    match parts {
        ["containers", "json"] => "container_list",
        ["containers", "create"] => "container_create",
        ["containers", _, "json"] => "container_inspect",
        ["containers", _, "start"] => "container_start",
        ["containers", _, "stop"] => "container_stop",
        ["containers", _, "unpause"] => "container_unpause",
        ["containers", _, "update"] => "container_update",
        ["containers", _, "rename"] => "container_rename",
        ["containers", _, "logs"] => "container_logs",
        ["containers", _] if delete => "container_remove",
        // A name may have slashes.
        ["images", .., "json"] => "image_inspect",
        ["build"] => "image_build",
        ["networks", "create"] => "network_create",
        ["networks", _, "connect"] => "network_connect",
        ["networks", _] if delete => "network_remove",
        ["networks", _] => "network_inspect",
        ["events"] => "events",
        ["version" | "info" | "_ping"] => "info",
        _ => "other",
    }
}

/// Control characters become spaces, runs of spaces one, the end is cut off.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    Shown::at_most(&words.join(" "), MESSAGE_LIMIT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let request = get("/x", &[("filters", r#"{"label":["a=b&c"]}"#), ("t", "é")]).unwrap();
        assert_eq!(request.uri().to_string(), "/x?filters=%7B%22label%22%3A%5B%22a%3Db%26c%22%5D%7D&t=%C3%A9");
    }

    #[test]
    fn a_request_is_known_by_what_it_does_not_by_whom_it_is_about() {
        for (method, path, want) in [
            (Method::GET, "/containers/json", "container_list"),
            (Method::GET, "/v1.41/containers/paas-app-alice-diary/json", "container_inspect"),
            (Method::DELETE, "/containers/0123", "container_remove"),
            (Method::GET, "/images/registry/a/b:1/json", "image_inspect"),
            (Method::GET, "/networks/paas-proxy", "network_inspect"),
            (Method::GET, "/volumes", "other"),
        ] {
            assert_eq!(name_of(&method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(message_of(br#"{"message":"No such\ncontainer: x"}"#), "No such container: x");
        assert_eq!(message_of(b"<html>\r\n  <b>oops</b>\x1b[0m"), "<html> <b>oops</b> [0m");
        assert_eq!(message_of(b""), "");
        let long = message_of("é".repeat(5000).as_bytes());
        assert!(long.len() <= MESSAGE_LIMIT + 3 && long.ends_with('…'));
    }
}
