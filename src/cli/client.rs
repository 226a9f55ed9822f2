//! The daemon's API over its Unix socket.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio_util::io::ReaderStream;
use tokio_util::task::TaskTracker;

use super::sse::EventStream;
use crate::model::AppKey;
use crate::portal::envelope::Envelope;

/// How long an answer may take that is no stream.
const ANSWER: Duration = Duration::from_secs(30);
/// The same where all files of a site go one way or the other.
const UPLOAD: Duration = Duration::from_secs(600);
/// Larger than any answer of ours.
const MAX_ANSWER: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the daemon is not running (no socket at {}): start it with `paas serve`", socket.display())]
    NotRunning { socket: PathBuf },
    #[error("the daemon at {} belongs to another user: run this as that user, or with sudo", socket.display())]
    Denied { socket: PathBuf },
    /// The daemon's own words.
    #[error("{message}")]
    Refused { code: String, message: String },
    #[error("{0}")]
    Broken(String),
}

impl ClientError {
    /// The stable code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::NotRunning { .. } | Self::Denied { .. } | Self::Broken(_) => None,
        }
    }
}

/// The task that moves an open connection's bytes; it ends with this value.
#[derive(Debug)]
pub struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cheap; every request opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.answer(Request::get(path), Bytes::new()).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.answer(Request::post(path).header("content-type", "application/json"), body.into()).await
    }

    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.answer(Request::patch(path).header("content-type", "application/json"), body.into()).await
    }

    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.answer(Request::put(path).header("content-type", "application/json"), body.into()).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.answer(Request::delete(path).header("content-type", "application/json"), body.into()).await
    }

    /// Sends a file as it is, and tells the entity tag of the answer as well.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &str,
        file: File,
    ) -> Result<(T, Option<String>), ClientError> {
        let broken = |error: io::Error| ClientError::Broken(format!("what is to be sent cannot be read ({error})"));
        let length = file.metadata().map_err(broken)?.len();
        let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 << 10);
        let body = BodyExt::boxed_unsync(StreamBody::new(pieces.map_ok(Frame::data)));
        let request = Request::post(path).header("content-type", kind).header("content-length", length);
        within(UPLOAD, async {
            let (response, _connection) = self.send(request, body).await?;
            let etag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
            let etag = etag.map(|tag| tag.trim_matches('"').to_owned());
            Ok((read(response).await?, etag))
        })
        .await
    }

    /// Writes an answer that is no JSON into a file.
    pub async fn download(&self, path: &str, file: File) -> Result<(), ClientError> {
        within(UPLOAD, async {
            let (response, _connection) = self.send(Request::get(path), whole(Bytes::new())).await?;
            if !response.status().is_success() {
                return read::<serde_json::Value>(response).await.map(drop);
            }
            let (mut body, mut file) = (response.into_body(), tokio::fs::File::from_std(file));
            let unwritten = |error: io::Error| ClientError::Broken(format!("the file cannot be written ({error})"));
            while let Some(frame) = body.frame().await {
                let broken = |error| ClientError::Broken(format!("the daemon's answer broke off ({error}): try again"));
                if let Ok(bytes) = frame.map_err(broken)?.into_data() {
                    file.write_all(&bytes).await.map_err(unwritten)?;
                }
            }
            file.flush().await.map_err(unwritten)
        })
        .await
    }

    /// Server-sent events.
    pub async fn events(&self, path: &str) -> Result<EventStream, ClientError> {
        let send = self.send(Request::get(path).header("accept", "text/event-stream"), whole(Bytes::new()));
        let (response, connection) = within(ANSWER, send).await?;
        if response.status().is_success() {
            return Ok(EventStream::new(response.into_body(), connection));
        }
        let refused = within(ANSWER, read::<serde_json::Value>(response)).await;
        drop(connection);
        Err(refused.err().unwrap_or_else(|| ClientError::Broken("the daemon answered no events".to_owned())))
    }

    /// Whether somebody listens at the socket.
    pub async fn is_running(&self) -> bool {
        !matches!(self.connect().await, Err(ClientError::NotRunning { .. }))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<T, ClientError> {
        within(ANSWER, async {
            let (response, _connection) = self.send(request, whole(body)).await?;
            read(response).await
        })
        .await
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        body: Body,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let broken = |error: &dyn std::fmt::Display| {
            ClientError::Broken(format!("the daemon hung up ({error}): look at its own log, then try again"))
        };
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|error| broken(&error))?;
        let task = TaskTracker::new().spawn(async move {
            // Its error reaches the request as well.
            let _ = connection.await;
        });
        let connection = Connection(task.abort_handle());
        let request = request.header("host", "paas").body(body).map_err(|error| broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let socket = || self.socket.clone();
        UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning { socket: socket() },
            io::ErrorKind::PermissionDenied => ClientError::Denied { socket: socket() },
            _ => ClientError::Broken(format!(
                "cannot reach the daemon at {} ({error}): is PAAS_ROOT right?",
                self.socket.display()
            )),
        })
    }
}

/// `/apps/{userid}/{appname}` and what follows it.
#[must_use]
pub fn app_path(key: &AppKey, rest: &str) -> String {
    format!("/apps/{}/{}{rest}", key.user, key.app)
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

async fn within<T>(time: Duration, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        let seconds = time.as_secs();
        Err(ClientError::Broken(format!("the daemon did not answer within {seconds} s: look at its own log")))
    })
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body =
        body.map_err(|error| ClientError::Broken(format!("the daemon's answer broke off ({error}): try again")))?;
    let unreadable = |error: &dyn std::fmt::Display| {
        ClientError::Broken(format!(
            "the daemon's answer cannot be read ({error}): is it of another version? restart it"
        ))
    };
    let envelope: Envelope<T> = serde_json::from_slice(&body.to_bytes()).map_err(|error| unreadable(&error))?;
    match envelope {
        Envelope { ok: true, data: Some(data), .. } => Ok(data),
        Envelope { ok: false, error, code, .. } => Err(ClientError::Refused {
            code: code.unwrap_or_default(),
            message: error.unwrap_or_else(|| "the daemon refused without saying why: look at its log".to_owned()),
        }),
        Envelope { ok: true, data: None, .. } => Err(unreadable(&"no data")),
    }
}
