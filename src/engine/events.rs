//! Staying subscribed to an engine for ever.
//!
//! A lost event costs latency, never correctness, as long as the reader looks at everything once after each
//! [`Signal::Resync`]. That is said after every (re)connection, because what happened in between may have been missed, and
//! when the reader was too slow to take every event.

use std::sync::Arc;
use std::time::Duration;

use backoff::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Engine, EngineError, EngineEvent, Result};
use crate::model::observed::EngineInfo;

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub enum Signal {
    /// The engine answers, and its events are being followed.
    Connected(EngineInfo),
    /// The engine is gone, hangs, or is of no use; connecting goes on. Said once per reason.
    Lost { reason: EngineError },
    /// Something happened. May come twice.
    Event(EngineEvent),
    /// Something may have been missed: look at everything.
    Resync,
}

/// Signals wait here; 256 is also what Docker itself keeps.
const CAPACITY: usize = 256;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A subscription that lasted so long was a good one: the next delay is the first again.
const CALM: Duration = Duration::from_secs(10);

/// Connects, follows the events, and does so again whenever that ends, until cancelled or until nobody listens.
///
/// The channel never makes the engine wait: events that do not fit are dropped and made up for by a
/// [`Signal::Resync`].
pub fn subscribe<E: Engine>(engine: Arc<E>, tasks: &TaskTracker, cancel: CancellationToken) -> mpsc::Receiver<Signal> {
    let (signals_tx, signals_rx) = mpsc::channel(CAPACITY);
    let subscription = Subscription { engine, signals_tx: signals_tx.clone(), last_seen: None, said: None };
    tasks.spawn(async move {
        // Cancel-safe: nothing is kept half-done between two awaits, and dropping a subscription ends it at the engine.
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = signals_tx.closed() => {}
            Closed = subscription.run() => {}
        }
    });
    signals_rx
}

/// Nobody listens any more.
struct Closed;

struct Subscription<E> {
    engine: Arc<E>,
    signals_tx: mpsc::Sender<Signal>,
    /// Time of the newest event, where the next subscription begins.
    last_seen: Option<i64>,
    /// The loss that was reported last, while it lasts.
    said: Option<String>,
}

impl<E: Engine> Subscription<E> {
    async fn run(mut self) -> Closed {
        let mut delays = delays();
        loop {
            let began = Instant::now();
            let reason = match self.connect().await {
                Ok((info, events)) => match self.follow(info, events).await {
                    Ok(reason) => reason,
                    Err(closed) => return closed,
                },
                Err(reason) => reason,
            };
            if self.lost(reason).await.is_err() {
                return Closed;
            }
            if began.elapsed() >= CALM {
                delays = self::delays();
            }
            let delay = delays.next().unwrap_or(LONGEST_DELAY).min(LONGEST_DELAY);
            tokio::time::sleep(delay).await;
        }
    }

    async fn connect(&self) -> Result<(EngineInfo, BoxStream<'static, Result<EngineEvent>>)> {
        let info = self.engine.info().await?;
        // First the events, then the resync: what happens in between is seen by one of them.
        let events = self.engine.events(self.last_seen).await?;
        Ok((info, events))
    }

    /// Passes events on until they end; returns why they did.
    async fn follow(
        &mut self,
        info: EngineInfo,
        mut events: BoxStream<'static, Result<EngineEvent>>,
    ) -> Result<EngineError, Closed> {
        self.said = None;
        self.send(Signal::Connected(info)).await?;
        let mut resync_owed = true;
        loop {
            tokio::select! {
                // In this order: the sooner the resync is out, the fewer events it has to cover.
                biased;
                // Cancel-safe: a permit not used is given back.
                permit = self.signals_tx.reserve(), if resync_owed => {
                    permit.map_err(|_| Closed)?.send(Signal::Resync);
                    resync_owed = false;
                }
                // Cancel-safe: a stream keeps its place.
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        self.last_seen = self.last_seen.max(Some(event.at_nanos));
                        // While a resync is owed the event is covered by it.
                        if !resync_owed {
                            match self.signals_tx.try_send(Signal::Event(event)) {
                                Ok(()) => {}
                                Err(mpsc::error::TrySendError::Full(_)) => resync_owed = true,
                                Err(mpsc::error::TrySendError::Closed(_)) => return Err(Closed),
                            }
                        }
                    }
                    Some(Err(error)) => return Ok(error),
                    None => return Ok(ended()),
                },
            }
        }
    }

    async fn lost(&mut self, reason: EngineError) -> Result<(), Closed> {
        let text = reason.to_string();
        if self.said.as_ref() == Some(&text) {
            return Ok(());
        }
        self.said = Some(text);
        self.send(Signal::Lost { reason }).await
    }

    async fn send(&self, signal: Signal) -> Result<(), Closed> {
        self.signals_tx.send(signal).await.map_err(|_| Closed)
    }
}

/// Without jitter: this is the only subscriber, and a simulated run must repeat exactly.
fn delays() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(FIRST_DELAY).with_max_delay(LONGEST_DELAY).without_max_times().build()
}

fn ended() -> EngineError {
    EngineError::new(
        super::ErrorKind::Unreachable,
        "Docker ended the stream of its events: it is being stopped or restarted (see `systemctl status docker`)",
    )
}
