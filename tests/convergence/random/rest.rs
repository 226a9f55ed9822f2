//! What a play is held against: at every rest what is believed, and at the end a world that never knew anything but the end.

use std::collections::BTreeMap;
use std::time::Duration;

use minipaas::engine::faulty::{Injector, Scope};
use minipaas::engine::sim::{Actor, Quirks, SimConfig};
use minipaas::model::ContainerState;
use minipaas::model::status::ImageStatus;
use minipaas::testing::seams::World;

use super::act::Power;
use super::belief::Verdict;
use super::deeds::bring_about;
use super::operator::{Operator, Reading};
use super::play::Player;
use super::stage::{News, Stage};
use crate::keeper::owner;
use crate::world::template;

/// Longer than a deploy is on trial, and than a vanished file has its grace.
const TRIAL: Duration = Duration::from_secs(35);
/// And than the wait after a failed build.
const LONG: Duration = Duration::from_secs(400);
/// P5: changes to Docker that one act may cost for each of the five apps, and one fault.
const CHANGES_PER_ACT: usize = 12;

impl Player {
    /// Every fault ends; then whatever is left to do is done, and everything is as it is believed to be.
    pub(super) async fn rest(&mut self, before: Power) {
        self.stage.world.injector.heal();
        self.quirks = Quirks::default();
        self.stage.world.docker.set_quirks(self.quirks);
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
        self.stage.broken(broken);
        self.look_at_journal();
        let hampered =
            self.operator.image_broken || self.operator.template_broken || !self.operator.lookalikes.is_empty();
        if !self.failed() && !hampered && !self.belief.has_unstartable() {
            self.stage.look_once_more().await;
            self.look_at_gaps();
        }
        self.belief.rested(verdicts);
        self.journal = self.stage.world.docker.journal_len();
        self.acts = 1;
        self.stage.news = News::True;
    }

    /// Until nothing moves; what Docker cannot start is tried again for ever.
    async fn until_calm(&mut self, calm: Duration) {
        if self.belief.has_unstartable() { self.stage.pump(LONG).await } else { self.stage.until_calm(calm).await }
    }

    fn judge(&self) -> (Vec<Verdict>, Vec<String>) {
        let Some(daemon) = &self.stage.daemon else {
            return (Vec::new(), vec!["P1 the daemon does not run".to_owned()]);
        };
        let verdicts = self.belief.judge(&self.operator, &self.stage.world, daemon);
        let mut broken: Vec<String> = verdicts.iter().flat_map(|verdict| verdict.broken.clone()).collect();
        broken.extend(self.stage.lies_at_rest());
        let image = &daemon.status().image;
        if !self.operator.image_broken && !matches!(image, ImageStatus::Ready { .. }) {
            broken.push(format!("P1 the image is not ready: {image:?}"));
        }
        (verdicts, broken)
    }

    /// P6: an app that serves goes on serving unless something was done that may interrupt it.
    pub(super) fn look_at_gaps(&mut self) {
        let news = self.stage.world.docker.with_transitions(|transitions| transitions[self.transitions..].to_vec());
        let mut gaps = Vec::new();
        for change in &news {
            let Some(key) = owner(&self.stage.world, &change.labels) else { continue };
            let running = self.running.entry(key.clone()).or_default();
            if change.to == Some(ContainerState::Running) {
                running.insert(change.container.clone());
            } else if running.remove(&change.container)
                && running.is_empty()
                && !self.belief.may_pause(&key.to_string(), change.at)
            {
                gaps.push(format!("P6 {key} had no running container from {:.3}s on", change.at.as_secs_f64()));
            }
        }
        self.transitions += news.len();
        self.stage.broken(gaps);
    }

    /// P7 and P5, since the last rest.
    fn look_at_journal(&mut self) {
        let entries = self.stage.world.docker.journal_since(self.journal);
        let by_daemon: Vec<_> = entries.iter().filter(|entry| entry.actor == Actor::Daemon).collect();
        let mut broken = Vec::new();
        for entry in &by_daemon {
            if let Some(key) = owner(&self.stage.world, &entry.labels)
                && self.belief.is_untouched(&key.to_string())
            {
                broken.push(format!("P7 {key} was touched: {entry}"));
            }
        }
        let most = self.acts * CHANGES_PER_ACT;
        if by_daemon.len() > most && !self.belief.has_unstartable() {
            broken.push(format!("P5 {} changes to Docker where {most} are plenty", by_daemon.len()));
        }
        self.stage.broken(broken);
    }

    /// Repairs what is broken, and compares the end with a world that never knew anything but the end (P8, P9).
    pub(super) async fn close(&mut self) {
        for act in self.operator.repairs() {
            self.perform(&act).await;
            if self.failed() {
                return;
            }
        }
        let ideal = self.ideal().await;
        let (wanted, found) = (portraits(&ideal), portraits(&self.stage.world));
        for app in Operator::apps() {
            let serves = matches!(self.operator.reading(app), Reading::Usable(..))
                && !self.belief.may_pause(app, Duration::ZERO);
            let name = format!("paas-app-{app}");
            if serves && wanted.get(&name) != found.get(&name) {
                let (wanted, found) = (wanted.get(&name), found.get(&name));
                self.stage.broken([format!("P9 {app} is not as if made at once:\n  - {wanted:?}\n  + {found:?}")]);
            }
        }
    }

    async fn ideal(&self) -> World {
        let world = World::new(SimConfig::seeded(self.operator.world), Injector::new(Scope::All));
        world.add_template(template());
        let nothing = Operator::new(self.operator.world).without_files();
        bring_about(&world, &nothing, &self.operator);
        let mut stage = Stage::new(world);
        stage.until_calm(TRIAL).await;
        stage.world
    }
}

/// Each container as text, by name.
fn portraits(world: &World) -> BTreeMap<String, String> {
    let mut portraits: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in world.docker.portrait().lines().filter(|line| !line.starts_with("network ")) {
        if let Some(rest) = line.strip_prefix("container ") {
            name = rest.split(':').next().unwrap_or_default().to_owned();
        }
        let words = line.split(' ').filter(|word| !word.starts_with("exit="));
        let text = portraits.entry(name.clone()).or_default();
        text.push_str(&words.collect::<Vec<_>>().join(" "));
        text.push('\n');
    }
    portraits
}
