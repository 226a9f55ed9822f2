//! Who gives way when all places of a door are taken: connections by how long they have waited for their client, and the
//! bodies that tell when they do.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio_util::sync::CancellationToken;

/// Connections that wait for their client, by the order in which they began to.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    last: u64,
    ends: BTreeMap<u64, CancellationToken>,
}

impl Waiting {
    pub(super) fn end_oldest(&self) {
        let oldest = lock(&self.0).ends.pop_first();
        if let Some((_, end)) = oldest {
            end.cancel();
        }
    }
}

/// The place was given to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the connection had to give way to another")]
pub(super) struct GivenAway;

/// One connection's entry in [`Waiting`], which it has while it waits.
pub(super) struct Seat {
    waiting: Arc<Waiting>,
    pub(super) end: CancellationToken,
    /// Its place in the queue, also while it is busy.
    number: AtomicU64,
}

impl Seat {
    pub(super) fn new(waiting: Arc<Waiting>) -> Self {
        Self { waiting, end: CancellationToken::new(), number: AtomicU64::new(0) }
    }

    /// For a request: from now on, behind all others.
    pub(super) fn wait(&self) {
        let mut queue = lock(&self.waiting.0);
        queue.last += 1;
        let number = queue.last;
        queue.ends.remove(&self.number.swap(number, Ordering::Relaxed));
        queue.ends.insert(number, self.end.clone());
    }

    /// For more of the request: where it was in the queue, so that nobody stays young by sending little at a time.
    fn wait_on(&self) {
        lock(&self.waiting.0).ends.insert(self.number.load(Ordering::Relaxed), self.end.clone());
    }

    /// From now on nobody takes the connection away; unless somebody has.
    pub(super) fn busy(&self) -> Result<(), GivenAway> {
        let number = self.number.load(Ordering::Relaxed);
        lock(&self.waiting.0).ends.remove(&number).map(drop).ok_or(GivenAway)
    }

    pub(super) fn waits(&self) -> bool {
        lock(&self.waiting.0).ends.contains_key(&self.number.load(Ordering::Relaxed))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.waiting.0).ends.remove(self.number.get_mut());
    }
}

/// A request's body. Whoever reads it does nothing else meanwhile, so the connection waits as long as nothing comes.
pub(super) struct Question {
    body: Incoming,
    seat: Arc<Seat>,
    waits: bool,
}

impl Question {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>) -> Self {
        Self { body, seat, waits: false }
    }
}

impl hyper::body::Body for Question {
    type Data = bytes::Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() && !self.waits {
            self.waits = true;
            self.seat.wait_on();
        } else if polled.is_ready()
            && std::mem::take(&mut self.waits)
            && let Err(given_away) = self.seat.busy()
        {
            return Poll::Ready(Some(Err(given_away.into())));
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.waits {
            // Its reader has given up and answers. If the connection was taken away, nobody hears that.
            let _ = self.seat.busy();
        }
    }
}

/// An answer's body: when it has been handed over, or given up, its connection waits again.
pub(super) struct Answer {
    body: Body,
    seat: Arc<Seat>,
}

impl Answer {
    pub(super) fn new(body: Body, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.seat.wait();
    }
}

impl hyper::body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nothing in here panics while it holds a lock; if something did, the entries would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_longest_gives_way_and_what_has_begun_does_not() {
        let waiting = Arc::new(Waiting::default());
        let [first, second, third] = [(); 3].map(|()| Seat::new(Arc::clone(&waiting)));
        for seat in [&first, &second, &third] {
            seat.wait();
        }
        // Its request came in time.
        first.busy().unwrap();
        waiting.end_oldest();
        assert!(!first.end.is_cancelled() && second.end.is_cancelled() && !third.end.is_cancelled());
        // This one came too late: it must not begin.
        second.busy().unwrap_err();
        // Waiting for the rest of its body the first is as old as before, not younger than the third.
        first.wait_on();
        assert!(first.waits());
        waiting.end_oldest();
        assert!(first.end.is_cancelled() && !third.end.is_cancelled());
        // An answer later it is the youngest.
        third.busy().unwrap();
        let fourth = Seat::new(Arc::clone(&waiting));
        fourth.wait();
        third.wait();
        waiting.end_oldest();
        assert!(fourth.end.is_cancelled() && !third.end.is_cancelled());
        drop((first, second, third, fourth));
        assert!(lock(&waiting.0).ends.is_empty(), "an entry of nobody");
    }
}
