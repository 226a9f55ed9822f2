//! A client for other people's web servers: Nginx Proxy Manager, and whoever is to be told something.
//!
//! - [`target`]: an address such as `https://ntfy.example.org/topic` · [`failure`]: which part failed, of name, connection, TLS
//!   and answer · [`trust`]: whose certificates are believed
//!
//! # Guarantees
//! - Each question ends in its time, and an answer is cut at [`MOST_BYTES`].
//! - Over `https` nothing is sent before the other side has proved its name to one of the system's certificate authorities.
//! - No redirect is followed, no cookie kept, no proxy of the environment asked.
//!
//! # Assumptions
//! - There are a few questions a minute: each has a connection of its own, and nothing is kept open.

pub mod failure;
pub mod target;
pub mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

pub use failure::{Failure, TlsTrouble};
pub use target::{Target, TargetError};
pub use trust::Trust;

/// For each of name, connection and TLS: to begin to talk to somebody who is there takes less.
const BEGIN: Duration = Duration::from_secs(5);
/// Most of an answer.
pub const MOST_BYTES: usize = 8 << 20;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Cheap to clone; clones share what they know of certificates.
#[derive(Debug, Clone)]
pub struct Client {
    trust: Arc<Trust>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Trust::system())
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust: Arc::new(trust) }
    }

    /// One question. `request` names the path; host and connection are added. `patience` is for the answer, from the first byte
    /// sent.
    ///
    /// # Errors
    /// [`Failure`], which tells whether anything was sent.
    pub async fn send(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let stream = self.connect(target).await?;
        match timeout(patience, exchange(target, stream, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Silent { at: target.authority(), after: patience }),
        }
    }

    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, Failure> {
        let stream = open(target).await?;
        if !target.is_tls() {
            return Ok(Box::new(stream));
        }
        let failed = |trouble| Failure::Tls { at: target.authority(), trouble };
        let config = self.trust.config().await.map_err(failed)?;
        let name = ServerName::try_from(target.host().to_owned()).map_err(|_| failed(TlsTrouble::NoName))?;
        match timeout(BEGIN, TlsConnector::from(config).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => {
                // Somebody may have taught the system another authority meanwhile.
                self.trust.read_again();
                Err(failed(TlsTrouble::of(&error)))
            }
            Err(_) => Err(failed(TlsTrouble::Silent(BEGIN))),
        }
    }
}

/// To the first of its addresses that answers.
async fn open(target: &Target) -> Result<TcpStream, Failure> {
    let mut last = None;
    for address in addresses(target).await? {
        match timeout(BEGIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some((address, error.to_string())),
            Err(_) => last = Some((address, format!("no connection in {} s", BEGIN.as_secs()))),
        }
    }
    match last {
        Some((address, why)) => Err(Failure::Connection { at: target.authority(), address, why }),
        None => Err(Failure::Name { host: target.host().to_owned(), why: "it has no address".to_owned() }),
    }
}

/// As the system finds them.
async fn addresses(target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = target.address() {
        return Ok(vec![address]);
    }
    let failed = |why: String| Failure::Name { host: target.host().to_owned(), why };
    match timeout(BEGIN, tokio::net::lookup_host((target.host(), target.port()))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("the name server gave no answer in {} s", BEGIN.as_secs()))),
    }
}

async fn exchange(
    target: &Target,
    stream: Box<dyn Stream>,
    mut request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let broke = |error: &dyn std::fmt::Display| Failure::Broken { at: target.authority(), why: error.to_string() };
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&target.authority()).map_err(|error| broke(&error))?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke(&error))?;
    let answer = async {
        let (head, body): (_, hyper::body::Incoming) =
            sender.send_request(request).await.map(Response::into_parts).map_err(|error| broke(&error))?;
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| broke(&error))?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    };
    tokio::pin!(answer, connection);
    // The connection is driven until the answer is there; that it ends by itself first is told by the answer.
    let mut is_over = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection, if !is_over => is_over = true,
        }
    }
}
