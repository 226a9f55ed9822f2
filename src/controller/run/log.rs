//! The event log: one write at a time, so that its rows stay in order.

use std::sync::Arc;

use super::{Controller, LOG_PATIENCE};
use crate::clock::Clock as _;
use crate::controller::seams::Seams;
use crate::model::Event;
use crate::store::Store as _;

impl<W: Seams> Controller<W> {
    /// Writes down who changed what.
    pub(super) fn audit(&mut self) {
        if self.snapshot.complete(&self.config.instance).is_none() {
            return;
        }
        // Whoever wrote a file had announced it before: what waits in the channel may be about this very reading.
        while let Ok(command) = self.commands.try_recv() {
            self.take_command(command);
        }
        let events = self.audit.compare(&self.snapshot, &self.rows, self.world.clock().now());
        self.log(events);
    }

    pub(super) fn log(&mut self, events: Vec<Event>) {
        for event in &events {
            let app = event.app.as_ref().map(tracing::field::display);
            tracing::info!(app, by = %event.cause, "{}", event.what);
        }
        self.unlogged.extend(events);
        if self.logging.is_empty() {
            self.start_logging();
        }
    }

    pub(super) fn start_logging(&mut self) {
        if self.unlogged.is_empty() {
            return;
        }
        let (world, events) = (Arc::clone(&self.world), std::mem::take(&mut self.unlogged));
        self.logging.spawn(async move {
            if let Err(error) = world.store().append(&events).await {
                tracing::warn!(%error, "the event log could not be written");
            }
        });
    }

    /// What was seen and not yet written down: the next daemon would not know who it was.
    pub(super) async fn end_logging(&mut self) {
        let ended = tokio::time::timeout(LOG_PATIENCE, async {
            while self.logging.join_next().await.is_some() {
                self.start_logging();
            }
        });
        if ended.await.is_err() {
            tracing::warn!("the last rows of the event log were not written: its database does not answer");
        }
    }
}
