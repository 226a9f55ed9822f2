//! What a run is held against: at every rest the reference model, and at the end a world that never knew anything but the end.

use std::collections::BTreeMap;
use std::time::Duration;

use minipaas::engine::faulty::{Injector, Scope};
use minipaas::engine::sim::{Actor, Quirks, SimConfig};
use minipaas::model::ContainerState;
use minipaas::model::status::ImageStatus;
use minipaas::testing::seams::World;

use super::action::Power;
use super::apply::apply_files;
use super::harness::{Harness, News};
use super::operator::{Operator, Reading};
use super::reference::Verdict;
use super::run::RandomRun;
use crate::oracle::owner;
use crate::world::template;

/// Longer than a deploy is on trial, and than a vanished file has its grace.
const TRIAL: Duration = Duration::from_secs(35);
/// And than the wait after a failed build.
const LONG: Duration = Duration::from_secs(400);
/// P5: changes to Docker that one action may cost for each of the five apps, and one fault.
const CHANGES_PER_ACTION: usize = 12;

impl RandomRun {
    /// Every fault ends; then whatever is left to do is done, and everything is as the reference model has it.
    pub(super) async fn rest(&mut self, before: Power) {
        self.harness.world.injector.heal();
        self.quirks = Quirks::default();
        self.harness.world.docker.set_quirks(self.quirks);
        if before != Power::Start {
            self.engine(Power::Start, before);
        }
        self.until_calm(TRIAL).await;
        if !self.judge().1.is_empty() {
            // Out of what the daemon cannot have heard of it finds its way by itself, in its own time.
            self.until_calm(LONG).await;
        }
        self.look_at_gaps();
        let (verdicts, broken) = self.judge();
        self.harness.broken(broken);
        self.look_at_journal();
        let hampered =
            self.operator.image_broken || self.operator.template_broken || !self.operator.lookalikes.is_empty();
        if !self.failed() && !hampered && !self.reference.has_unstartable() {
            self.harness.look_once_more().await;
            self.look_at_gaps();
        }
        self.reference.rested(verdicts);
        self.journal = self.harness.world.docker.journal_len();
        self.actions = 1;
        self.harness.news = News::True;
    }

    /// Until nothing moves; what Docker cannot start is tried again for ever.
    async fn until_calm(&mut self, calm: Duration) {
        if self.reference.has_unstartable() {
            self.harness.pump(LONG).await
        } else {
            self.harness.until_calm(calm).await
        }
    }

    fn judge(&self) -> (Vec<Verdict>, Vec<String>) {
        let Some(daemon) = &self.harness.daemon else {
            return (Vec::new(), vec!["P1 the daemon does not run".to_owned()]);
        };
        let verdicts = self.reference.judge(&self.operator, &self.harness.world, daemon);
        let mut broken: Vec<String> = verdicts.iter().flat_map(|verdict| verdict.broken.clone()).collect();
        broken.extend(self.harness.lies_at_rest());
        let image = &daemon.status().image;
        if !self.operator.image_broken && !matches!(image, ImageStatus::Ready { .. }) {
            broken.push(format!("P1 the image is not ready: {image:?}"));
        }
        (verdicts, broken)
    }

    /// P6: an app that serves goes on serving unless something was done that may interrupt it.
    pub(super) fn look_at_gaps(&mut self) {
        let news = self.harness.world.docker.with_transitions(|transitions| transitions[self.transitions..].to_vec());
        let mut gaps = Vec::new();
        for change in &news {
            let Some(key) = owner(&self.harness.world, &change.labels) else { continue };
            let running = self.running.entry(key.clone()).or_default();
            if change.to == Some(ContainerState::Running) {
                running.insert(change.container.clone());
            } else if running.remove(&change.container)
                && running.is_empty()
                && !self.reference.may_pause(&key.to_string(), change.at)
            {
                gaps.push(format!("P6 {key} had no running container from {:.3}s on", change.at.as_secs_f64()));
            }
        }
        self.transitions += news.len();
        self.harness.broken(gaps);
    }

    /// P7 and P5, since the last rest.
    fn look_at_journal(&mut self) {
        let entries = self.harness.world.docker.journal_since(self.journal);
        let by_daemon: Vec<_> = entries.iter().filter(|entry| entry.actor == Actor::Daemon).collect();
        let mut broken = Vec::new();
        for entry in &by_daemon {
            if let Some(key) = owner(&self.harness.world, &entry.labels)
                && self.reference.is_untouched(&key.to_string())
            {
                broken.push(format!("P7 {key} was touched: {entry}"));
            }
        }
        let most = self.actions * CHANGES_PER_ACTION;
        if by_daemon.len() > most && !self.reference.has_unstartable() {
            broken.push(format!("P5 {} changes to Docker where {most} are plenty", by_daemon.len()));
        }
        self.harness.broken(broken);
    }

    /// Repairs what is broken, and compares the end with a world that never knew anything but the end (P8, P9).
    pub(super) async fn close(&mut self) {
        for action in self.operator.repairs() {
            self.perform(&action).await;
            if self.failed() {
                return;
            }
        }
        let ideal = self.ideal().await;
        let (wanted, found) = (end_states(&ideal), end_states(&self.harness.world));
        for app in Operator::apps() {
            let serves = matches!(self.operator.reading(app), Reading::Usable(..))
                && !self.reference.may_pause(app, Duration::ZERO);
            let name = format!("paas-app-{app}");
            if serves && wanted.get(&name) != found.get(&name) {
                let (wanted, found) = (wanted.get(&name), found.get(&name));
                self.harness.broken([format!("P9 {app} is not as if made at once:\n  - {wanted:?}\n  + {found:?}")]);
            }
        }
    }

    async fn ideal(&self) -> World {
        let world = World::new(SimConfig::seeded(self.operator.world), Injector::new(Scope::All));
        world.add_template(template());
        let nothing = Operator::new(self.operator.world).without_files();
        apply_files(&world, &nothing, &self.operator);
        let mut harness = Harness::new(world);
        harness.until_calm(TRIAL).await;
        harness.world
    }
}

/// Each container as text, by name.
fn end_states(world: &World) -> BTreeMap<String, String> {
    let mut end_states: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in world.docker.end_state().lines().filter(|line| !line.starts_with("network ")) {
        if let Some(rest) = line.strip_prefix("container ") {
            name = rest.split(':').next().unwrap_or_default().to_owned();
        }
        let words = line.split(' ').filter(|word| !word.starts_with("exit="));
        let text = end_states.entry(name.clone()).or_default();
        text.push_str(&words.collect::<Vec<_>>().join(" "));
        text.push('\n');
    }
    end_states
}
