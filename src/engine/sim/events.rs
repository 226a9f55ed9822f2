//! The event stream, with everything that can go wrong with one.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::time::Instant;

use super::SimDocker;
use super::world::{Reach, World};
use crate::engine::{EngineEvent, Result};

/// How many past events Docker remembers for `since` (moby `daemon/events`: `eventsLimit`).
const REMEMBERED: usize = 256;

pub(super) struct Subscription {
    docker: SimDocker,
    incarnation: u64,
    /// Next event of the world's list.
    cursor: usize,
    ready: VecDeque<EngineEvent>,
    delivered: u32,
}

impl Subscription {
    pub(super) fn new(docker: SimDocker, world: &World, since_nanos: Option<i64>) -> Self {
        let end = world.events.len();
        let cursor = match since_nanos {
            None => end,
            Some(since) => {
                let remembered = world.events_of_this_life.max(end.saturating_sub(REMEMBERED));
                remembered + world.events[remembered..].partition_point(|event| event.at_nanos < since)
            }
        };
        Self { docker, incarnation: world.incarnation, cursor, ready: VecDeque::new(), delivered: 0 }
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Result<EngineEvent>> {
        stream::unfold(self, |mut subscription| async move {
            let event = subscription.next().await?;
            Some((Ok(event), subscription))
        })
        .boxed()
    }

    /// Cancel-safe: an event leaves `ready` only in the poll that returns it.
    async fn next(&mut self) -> Option<EngineEvent> {
        loop {
            let docker = self.docker.clone();
            let changed = docker.shared.changed.notified();
            tokio::pin!(changed);
            // Before looking, so that what happens between the look and the wait still wakes.
            changed.as_mut().enable();
            let deadline = docker.look(|world| {
                self.take(world)?;
                Some((world.reach == Reach::Up).then(|| world.next_deadline()).flatten())
            })?;
            if let Some(event) = self.ready.pop_front() {
                self.delivered += 1;
                return Some(event);
            }
            wait(changed, deadline).await;
        }
    }

    /// Takes what is new, with the quirks in force. `None` when the connection is over.
    fn take(&mut self, world: &mut World) -> Option<()> {
        let quirks = world.config.quirks;
        if world.reach == Reach::Down
            || world.incarnation != self.incarnation
            || quirks.stream_ends_after.is_some_and(|most| self.delivered >= most)
        {
            return None;
        }
        if world.reach == Reach::Hung {
            return Some(());
        }
        while let Some(event) = world.events.get(self.cursor).cloned() {
            self.cursor += 1;
            if world.rng.permille(quirks.lose_events) {
                continue;
            }
            if world.rng.permille(quirks.duplicate_events) {
                self.ready.push_back(event.clone());
            }
            self.ready.push_back(event);
            let count = self.ready.len();
            if count >= 2 && world.rng.permille(quirks.reorder_events) {
                self.ready.swap(count - 1, count - 2);
            }
        }
        Some(())
    }
}

/// Waits for a change or for the next thing that happens by itself.
pub(super) async fn wait(changed: impl Future<Output = ()>, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => {
            tokio::select! {
                biased;
                // Both only wait: nothing is lost when the other ends first.
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
        None => changed.await,
    }
}
