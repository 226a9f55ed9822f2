//! Telling that a site which sleeps is wanted. Whoever comes first tells it and waits; so does somebody again whenever another table
//! still says that it sleeps, so that nothing depends on one message.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hyper::header::{ACCEPT, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use tokio::sync::mpsc;

use super::language::is_page_wanted;
use crate::model::{AppKey, Wake};

/// Wakes that nobody has taken yet; whoever comes then waits a moment longer.
const PLACES: usize = 64;
/// Of a path and of a program's name, in characters.
const LONGEST: usize = 80;

/// How a site stands to sleep.
#[derive(Debug)]
pub(super) enum Sleep {
    /// It never does.
    Never,
    /// It may, and is awake or on its way.
    Awake,
    /// It sleeps; `told`: that somebody wants it.
    Asleep { told: AtomicBool },
}

/// Tells of sites that are wanted, if anybody listens.
#[derive(Debug, Default)]
pub(super) struct Wakes(OnceLock<mpsc::Sender<Wake>>);

impl Wakes {
    /// For the one who asks first; the others hear nothing.
    pub(super) fn listen(&self) -> mpsc::Receiver<Wake> {
        let (wakes_tx, wakes_rx) = mpsc::channel(PLACES);
        // The receiver of one that was set before ends at once.
        drop(self.0.set(wakes_tx));
        wakes_rx
    }

    /// Cancelled, it may not have been told; then the next one tells it.
    pub(super) async fn tell(&self, app: &AppKey, sleep: &Sleep, head: &Parts) {
        let (Some(wakes_tx), Sleep::Asleep { told }) = (self.0.get(), sleep) else { return };
        if told.load(Relaxed) {
            return;
        }
        let agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let (path, agent) = (Some(shortened(head.uri.path())), agent.map(shortened));
        if wakes_tx.send(Wake { app: app.clone(), path, agent }).await.is_ok() {
            told.store(true, Relaxed);
        }
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Somebody waits for a page, and is shown one that carries on by itself. What a page itself asks for is waited for instead.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    let mode = headers.get("sec-fetch-mode").and_then(|value| value.to_str().ok());
    (method == Method::GET || method == Method::HEAD)
        && mode.map_or_else(|| headers.contains_key(ACCEPT) && is_page_wanted(headers), |mode| mode == "navigate")
}
