//! The way to NPM over HTTP or HTTPS.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, Uri};
use serde_json::Value;

use super::wire::{Ask, Method, Reply, Wire, WireError};
use crate::web_client::{Client, Failure, Target};

/// Talks to one address.
#[derive(Debug, Clone)]
pub struct HttpWire {
    client: Client,
    /// `Err`: the text that is none.
    target: Result<Target, String>,
}

impl HttpWire {
    /// Of an address that the settings have taken.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::by(Client::default(), url)
    }

    /// By a client that trusts others than the system does.
    #[must_use]
    pub fn by(client: Client, url: &str) -> Self {
        Self { client, target: url.parse().map_err(|_| url.to_owned()) }
    }

    fn request(target: &Target, ask: &Ask) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let method = match ask.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        };
        let uri: Uri = format!("{}{}", target.path(), ask.path).parse()?;
        let mut request = Request::builder().method(method).uri(uri);
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
        let target =
            self.target.as_ref().map_err(|text| WireError::Unreachable(format!("NPM_URL is no address: {text}")))?;
        let request = Self::request(target, &ask).map_err(|error| WireError::Unreachable(error.to_string()))?;
        let answer = self.client.send(target, request, ask.patience).await.map_err(|failure| told(&failure))?;
        Ok(Reply { status: answer.status, body: serde_json::from_slice(&answer.body).unwrap_or(Value::Null) })
    }
}

fn told(failure: &Failure) -> WireError {
    if failure.was_sent() {
        return WireError::NoAnswer(failure.to_string());
    }
    let remedy = match failure {
        Failure::Tls { .. } => "NPM_URL takes a name that its certificate covers, or `http://` and port 81 at home",
        _ => "does it run, and is NPM_URL right?",
    };
    WireError::Unreachable(format!("{failure}: {remedy}"))
}
