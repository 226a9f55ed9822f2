//! An answer that is written while the client reads it, by work that ends with its reader.

use std::convert::Infallible;
use std::future::Future;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::packet;
use crate::gateway::Language;
use crate::model::shown;
use crate::portal::envelope::Text;

/// The client's end is reached by this one.
#[derive(Debug, Clone)]
pub(super) struct Line(mpsc::Sender<Bytes>);

/// Nobody reads any more.
#[derive(Debug)]
pub(super) struct Gone;

impl Line {
    pub(super) async fn send(&self, bytes: &[u8]) -> Result<(), Gone> {
        self.0.send(Bytes::copy_from_slice(bytes)).await.map_err(|_| Gone)
    }
}

/// A body that is what `work` writes. The work goes on as long as somebody reads.
pub(super) fn written<F>(work: impl FnOnce(Line) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (line_tx, line_rx) = mpsc::channel(4);
    let work = Some(Box::pin(work(Line(line_tx))));
    Body::from_stream(stream::unfold((work, line_rx), |(mut work, mut line_rx)| async move {
        loop {
            let works = async {
                match &mut work {
                    Some(work) => work.await,
                    None => std::future::pending().await,
                }
            };
            // Cancel-safe: what was not received stays, and the work goes on where it was.
            tokio::select! {
                biased;
                chunk = line_rx.recv() => return Some((Ok::<_, Infallible>(chunk?), (work, line_rx))),
                () = works => work = None,
            }
        }
    }))
}

/// What a push is told in words: git shows them behind `remote: `.
#[derive(Debug, Clone)]
pub(super) struct Aloud {
    pub(super) line: Line,
    pub(super) language: Language,
    /// The client hears of it.
    pub(super) bands: bool,
}

impl Aloud {
    pub(super) async fn say(&self, text: &Text) {
        self.say_plain(text.in_language(self.language)).await;
    }

    /// What an app wrote, say. Nothing in it acts on the terminal.
    pub(super) async fn say_plain(&self, text: &str) {
        if self.bands {
            let told = shown::message(text);
            // Whoever does not read goes on without.
            let _ = self.line.send(&packet::band(2, format!("{told}\n").as_bytes())).await;
        }
    }

    /// So that nobody on the way takes it for dead.
    pub(super) async fn is_alive(&self) {
        if self.bands {
            let _ = self.line.send(b"0005\x01").await;
        }
    }
}
