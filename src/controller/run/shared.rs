//! What all apps share: Docker's containers as a whole, the image, the network.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Controller, Listed, Work};
use crate::clock::Clock as _;
use crate::controller::image::{ImageNext, ImageOutcome};
use crate::controller::network::NetworkOutcome;
use crate::controller::queue::Urgency;
use crate::controller::seams::Seams;
use crate::controller::{image, network};
use crate::engine::{Engine as _, ListFilter};
use crate::model::{Ownership, labels};

/// When the first list of containers is asked for again after it failed.
const LIST_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl<W: Seams> Controller<W> {
    /// A full look: what was missed is found here.
    pub(super) fn resync(&mut self) {
        self.next_resync = Instant::now() + self.jitter.spread(self.config.resync);
        if planted!(NoResync) && self.status.last_resync.is_some() {
            return;
        }
        self.start_loading();
        // A build that failed keeps its own, longer wait; what changes meanwhile is heard of. A look that failed does not.
        let soon = Instant::now() + 2 * image::LOOK_AGAIN_AFTER;
        if self.image_retry.is_none_or(|at| at <= soon) {
            self.start_image();
        }
        self.start_network();
        self.start_listing();
        self.mark_all(Urgency::Hint);
        self.mark_previews(Urgency::Hint);
        self.status.last_resync = Some(self.world.clock().now());
        self.changed = true;
    }

    pub(super) fn start_listing(&mut self) {
        if self.engine.is_none() || !self.listing.ask() {
            return;
        }
        let world = Arc::clone(&self.world);
        let instance = self.config.instance.clone();
        self.work.spawn(async move {
            let filter = ListFilter::of_instance(&instance);
            Work::Listed(world.engine().list(&filter).await.ok().map(|containers| {
                let mut listed = Listed::default();
                for container in containers {
                    if let Ownership::Owned(key) = Ownership::of(&container.labels, &instance) {
                        listed.apps.insert(key);
                    } else if let Some((key, _)) = labels::preview_of(&container.labels, &instance) {
                        listed.previews.insert(key);
                    }
                }
                listed
            }))
        });
    }

    pub(super) fn take_listing(&mut self, listed: Option<Listed>) {
        if self.listing.done() {
            self.start_listing();
        }
        let Some(Listed { apps, previews }) = listed else {
            // Later ones come with the next full look; before the first it is not known which holds and confirmations are over.
            self.listing_retry =
                self.listed_at.is_none().then(|| Instant::now() + self.jitter.spread(LIST_AGAIN_AFTER));
            return;
        };
        self.listed_at = Some(Instant::now());
        self.take_previews(previews);
        self.orphans = apps.into_iter().filter(|key| !self.rows.contains_key(key)).collect();
        for key in self.orphans.clone() {
            self.queue.mark(key, Urgency::Hint, Instant::now());
        }
        if self.loaded {
            self.note_missing();
        }
    }

    pub(super) fn start_image(&mut self) {
        if self.engine.is_none() || !self.image_job.ask() {
            return;
        }
        let (world, settings) = (Arc::clone(&self.world), Arc::clone(&self.news.settings));
        let progress = self.progress_tx.clone();
        self.work.spawn(async move { Work::Image(image::ensure(&*world, &settings, progress).await) });
    }

    pub(super) fn take_image(&mut self, outcome: ImageOutcome) {
        if self.image_job.done() {
            self.start_image();
        }
        self.image_retry = match outcome.next {
            ImageNext::Calm => None,
            ImageNext::Unseen => Some(Instant::now() + self.jitter.spread(image::LOOK_AGAIN_AFTER)),
            ImageNext::Retry => Some(Instant::now() + self.jitter.spread(image::RETRY_AFTER)),
        };
        self.status.image = outcome.status;
        self.changed = true;
        if outcome.next != ImageNext::Unseen && self.image_id != outcome.id {
            self.image_id = outcome.id;
            self.mark_all(Urgency::Edit);
            self.mark_previews(Urgency::Edit);
        }
    }

    pub(super) fn start_network(&mut self) {
        if self.engine.is_none() || !self.network_job.ask() {
            return;
        }
        let (world, settings) = (Arc::clone(&self.world), Arc::clone(&self.news.settings));
        let (instance, avoid) = (self.config.instance.clone(), Arc::clone(&self.config.avoid));
        self.work.spawn(async move { Work::Network(network::ensure(&*world, &settings, &instance, &avoid).await) });
    }

    /// What is wrong with the settings, also in the light of what Docker tells.
    pub(super) fn tell_of_settings(&mut self) {
        let trusts_apps = self.news.settings.trusts_apps(&self.status.network_ranges);
        self.status.settings_problems = self.news.problems.iter().cloned().chain(trusts_apps).collect();
    }

    pub(super) fn take_network(&mut self, outcome: NetworkOutcome) {
        if self.network_job.done() {
            self.start_network();
        }
        // It was looked at before the settings changed; the next look has been asked for.
        if outcome.name != self.news.settings.app_network() {
            return;
        }
        self.network_retry = (!outcome.usable).then(|| Instant::now() + self.jitter.spread(network::RETRY_AFTER));
        self.status.network = outcome.status;
        if outcome.usable {
            self.addresses.set_subnet(outcome.subnet);
            self.status.network_ranges = outcome.ranges;
            self.tell_of_settings();
        }
        self.changed = true;
        if std::mem::replace(&mut self.network_ready, outcome.usable) != outcome.usable {
            self.mark_all(Urgency::Edit);
            self.mark_previews(Urgency::Edit);
        }
    }
}
