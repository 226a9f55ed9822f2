//! The seam to Nginx Proxy Manager: one question over HTTP, one answer.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;

/// A text that nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// One question. `path` begins with a slash and follows the API's address.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub token: Option<Secret>,
    pub body: Option<Value>,
    /// From the first byte to the last of the answer.
    pub patience: Duration,
}

/// What came back: the status, and the body as far as it is JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// It was sent, and what became of it is unknown.
    #[error("{0}")]
    NoAnswer(String),
}

/// Cheap to clone; every clone is the same one.
pub trait Wire: Clone + Send + Sync + 'static {
    fn ask(&self, ask: Ask) -> impl Future<Output = Result<Reply, WireError>> + Send;
}
