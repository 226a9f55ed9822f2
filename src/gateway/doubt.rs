//! What visitors notice of an app that does not answer. It is only ever a doubt: a page may take its time, and a visitor leaves
//! for many reasons. Whoever hears of it asks the app, and believes that answer alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pages::Page;
use super::traffic::AppTraffic;
use crate::model::AppKey;

/// Requests of one app without an answer, one after the other at one worker, that make a doubt.
const IN_A_ROW: u64 = 3;

/// Doubts that nobody has taken yet; what does not fit is left out, the next request tells the same.
const PLACES: usize = 16;

/// Tells of apps that do not answer, if anybody listens.
#[derive(Debug, Default)]
pub(super) struct Doubts(OnceLock<mpsc::Sender<AppKey>>);

impl Doubts {
    /// For the one who asks first; the others hear nothing.
    pub(super) fn listen(&self) -> mpsc::Receiver<AppKey> {
        let (doubts_tx, doubts_rx) = mpsc::channel(PLACES);
        // The receiver of one that was set before ends at once.
        drop(self.0.set(doubts_tx));
        doubts_rx
    }

    fn tell(&self, app: &AppKey) {
        if let Some(doubts_tx) = self.0.get() {
            drop(doubts_tx.try_send(app.clone()));
        }
    }
}

/// A request on its way to an app. Dropped before it was ended, its visitor has left.
pub(super) struct Waiting<'g> {
    doubts: &'g Doubts,
    /// Not the route: whoever waits holds up no deploy.
    traffic: Arc<AppTraffic>,
    begun: Instant,
    /// Whoever left after so long had waited for the app.
    patience: Duration,
    has_ended: bool,
}

impl<'g> Waiting<'g> {
    pub(super) fn begin(doubts: &'g Doubts, traffic: &Arc<AppTraffic>, begun: Instant, patience: Duration) -> Self {
        Self { doubts, traffic: Arc::clone(traffic), begun, patience, has_ended: false }
    }

    pub(super) fn answered(mut self) {
        self.has_ended = true;
        self.traffic.forget_unanswered();
    }

    /// The gateway answered in the app's place.
    pub(super) fn refused(mut self, page: Page) {
        self.has_ended = true;
        if matches!(page, Page::NotAnswering | Page::TooSlow) {
            self.unanswered();
        }
    }

    /// Its visitor may not come in: the app was asked nothing, or nothing more.
    pub(super) fn not_asked(mut self) {
        self.has_ended = true;
    }

    fn unanswered(&self) {
        if self.traffic.count_unanswered() >= IN_A_ROW
            && let Some(app) = self.traffic.app()
        {
            self.doubts.tell(app);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.begun.elapsed() >= self.patience {
            self.unanswered();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::traffic::TrafficStats;

    #[tokio::test]
    async fn whoever_is_not_let_in_has_not_waited_for_the_app() {
        let (doubts, stats) = (Doubts::default(), TrafficStats::default());
        let mut doubts_rx = doubts.listen();
        let app = AppKey::parse("alice-diary").unwrap();
        let [traffic, ..] = stats.of(&app);
        let waiting = || Waiting::begin(&doubts, &traffic, Instant::now(), Duration::ZERO);
        for _ in 0..2 * IN_A_ROW {
            waiting().not_asked();
        }
        assert!(doubts_rx.try_recv().is_err());
        for _ in 0..IN_A_ROW {
            drop(waiting());
        }
        assert_eq!(doubts_rx.try_recv().unwrap(), app, "a visitor who leaves has waited");
    }
}
