//! The way to NPM over HTTP: one connection for each question, because there are three a minute.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire::{Ask, Method, Reply, Wire, WireError};

/// To begin to talk to somebody who is there takes less.
const CONNECT: Duration = Duration::from_secs(5);
/// Hundreds of hosts are some hundred KB.
const MOST_BYTES: usize = 8 << 20;

/// Talks to one address.
#[derive(Debug, Clone)]
pub struct HttpWire {
    /// Host and port, for the connection and the `Host` header.
    authority: String,
    path: String,
}

impl HttpWire {
    /// Of an address that the settings have taken: `http://host:port`, maybe with a path.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let path = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
        Self { authority: authority.to_owned(), path }
    }

    async fn exchange(&self, ask: Ask) -> Result<Reply, WireError> {
        let unreachable = |error: &dyn std::fmt::Display| {
            WireError::Unreachable(format!(
                "{} does not answer ({error}): does it run, and is NPM_URL right?",
                self.authority
            ))
        };
        let lost =
            |error: &dyn std::fmt::Display| WireError::NoAnswer(format!("{} broke off ({error})", self.authority));
        let with_port = if self.authority.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
            self.authority.clone()
        } else {
            format!("{}:80", self.authority)
        };
        let stream = match timeout(CONNECT, TcpStream::connect(with_port)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&"no connection in 5 s")),
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
        let request = self.request(&ask).map_err(|error| unreachable(&error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| lost(&error))?;
            Ok(Reply { status, body: serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null) })
        };
        tokio::pin!(connection);
        // The connection is driven until the answer is there; that it ends by itself first is told by the answer.
        let mut is_over = false;
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = &mut connection, if !is_over => is_over = true,
            }
        }
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let method = match ask.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        };
        let uri: Uri = format!("{}{}", self.path, ask.path).parse()?;
        let mut request =
            Request::builder().method(method).uri(uri).header(HOST, &self.authority).header(CONNECTION, "close");
        if let Some(token) = &ask.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let body = ask.body.as_ref().map(|body| Bytes::from(body.to_string()));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default()))
    }
}

impl Wire for HttpWire {
    async fn ask(&self, ask: Ask) -> Result<Reply, WireError> {
        let patience = ask.patience;
        match timeout(patience, self.exchange(ask)).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(WireError::NoAnswer(format!("{} gave no answer in {} s", self.authority, patience.as_secs())))
            }
        }
    }
}
