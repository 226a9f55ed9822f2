//! Plays a script: does what it says to a simulated world in which the daemon lives, and holds it against what is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minipaas::engine::faulty::{Fault, Injector, Scope};
use minipaas::engine::sim::{Actor, BuildScript, Quirks, SimConfig, Update, foreign};
use minipaas::model::status::ImageStatus;
use minipaas::model::{AppKey, Bytes, ContainerId, ContainerState, Settings, TemplateId};
use minipaas::testing::seams::World;

use super::act::{Act, App, Hand, Loss, Play, Power, Quirk};
use super::belief::Belief;
use super::operator::{Operator, Reading};
use super::stage::{News, Stage};
use crate::keeper::owner;
use crate::world::template;

/// Between two acts: longer than events are collected, shorter than any step.
const BREATH: Duration = Duration::from_millis(25);
/// Longer than a deploy is on trial, and than a vanished file has its grace.
const TRIAL: Duration = Duration::from_secs(35);
/// And than the wait after a failed build.
const LONG: Duration = Duration::from_secs(400);
/// P5: changes to Docker that one act may cost for each of the five apps, and one fault.
const CHANGES_PER_ACT: usize = 12;

#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    pub(crate) violations: Vec<String>,
    pub(crate) story: String,
    /// Every change the daemon made to Docker, with its time: two plays of one script are the same.
    pub(crate) trace: String,
}

/// Plays it on a runtime of its own, whose time is paused. `seen` counts the acts that were begun, for shrinking.
pub(crate) fn play(play: &Play, seen: Option<&Arc<AtomicUsize>>) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut player = Player::begin(play.world).await;
            for act in &play.acts {
                if let Some(seen) = seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                player.perform(act).await;
                if player.failed() {
                    return player.end();
                }
            }
            player.close().await;
            player.end()
        })
    }));
    attempt.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Played { violations: vec![format!("panic: {text}")], ..Played::default() }
    })
}

struct Player {
    stage: Stage,
    operator: Operator,
    belief: Belief,
    /// Running containers by app, as of the transitions that were looked at.
    running: BTreeMap<AppKey, BTreeSet<ContainerId>>,
    transitions: usize,
    /// Entries of Docker's journal before the last rest.
    journal: usize,
    /// Acts and faults since the last rest.
    acts: usize,
    quirks: Quirks,
    story: String,
    told: usize,
}

impl Player {
    async fn begin(seed: u64) -> Self {
        let world = World::new(SimConfig::seeded(seed), Injector::new(Scope::All));
        world.add_template(template());
        world.docker.add_image("other", "somebody else's", None);
        let operator = Operator::new(seed);
        let mut stage = Stage::new(world);
        for (name, text) in &operator.files {
            stage.world.manifests.put(name, text);
        }
        stage.until_calm(Duration::from_secs(2)).await;
        let mut player = Self {
            stage,
            operator: operator.clone(),
            belief: Belief::new(),
            running: BTreeMap::new(),
            transitions: 0,
            journal: 0,
            acts: 5,
            quirks: Quirks::default(),
            story: String::new(),
            told: 0,
        };
        // The files that were there from the beginning.
        let now = player.stage.world.docker.age();
        player.belief.hear(&Act::Wait(0), &operator.without_files(), &operator, now);
        player.perform(&Act::Rest).await;
        player
    }

    fn failed(&self) -> bool {
        !self.stage.violations.is_empty()
    }

    async fn perform(&mut self, act: &Act) {
        let before = self.operator.clone();
        self.operator.carry_out(act);
        self.look_at_gaps();
        let now = self.stage.world.docker.age();
        self.belief.hear(act, &before, &self.operator, now);
        self.tell(&format!("{:>10.3}s {act}", now.as_secs_f64()));
        match act {
            Act::Wait(_) | Act::Rest => {}
            Act::Domain(_) | Act::Memory(_) | Act::Image(_) | Act::Engine(_) | Act::Wipe | Act::Restore => {
                self.acts += 5
            }
            _ => self.acts += 1,
        }
        bring_about(&self.stage.world, &before, &self.operator);
        self.stage.note_purges();
        let mut wait = BREATH;
        match act {
            Act::Wait(millis) => wait = Duration::from_millis(*millis),
            Act::Rest => return self.rest(before.power).await,
            Act::Confirm => {
                self.stage.confirm().await;
            }
            Act::Hand(app, hand) => by_hand(&self.stage.world, *app, *hand),
            Act::Lookalike(app, end) => {
                // Refused when the name is taken.
                drop(self.stage.world.docker.run(&foreign(&format!("{}{end}", app.container()), "other")));
            }
            Act::LookalikesLeave => self.send_lookalikes_away(&before),
            Act::Engine(power) => self.engine(*power, before.power),
            Act::Fault(nth, fault) => {
                if *fault == Fault::StaleList {
                    self.stage.news = News::Doubtful;
                }
                self.stage.world.injector.strike_in(*nth, *fault);
            }
            Act::Heal => self.stage.world.injector.heal(),
            Act::Quirk(quirk) => self.add_quirk(*quirk),
            Act::Crash if self.stage.daemon.is_some() => self.stage.world.injector.kill(),
            _ => {}
        }
        self.stage.pump(wait).await;
        self.look_at_gaps();
    }

    fn engine(&mut self, power: Power, before: Power) {
        let docker = &self.stage.world.docker;
        match power {
            Power::Stop => docker.engine_stop(),
            Power::Kill => docker.engine_kill(),
            Power::Hang => {
                // Nobody is told anything by it.
                self.stage.news = News::Doubtful;
                docker.engine_hang();
            }
            Power::Start if before == Power::Hang => docker.engine_unhang(),
            Power::Start => docker.engine_start(),
        }
    }

    fn add_quirk(&mut self, quirk: Quirk) {
        match quirk {
            Quirk::LoseEvents => self.quirks.lose_events = 300,
            Quirk::DoubleEvents => self.quirks.duplicate_events = 300,
            Quirk::SwapEvents => self.quirks.reorder_events = 300,
            Quirk::EndStreams => self.quirks.stream_ends_after = Some(2),
            Quirk::LagLists => self.quirks.list_lag = Duration::from_millis(400),
            Quirk::FailRemovals => self.quirks.failing_removals = 300,
            Quirk::Nameless => self.quirks.nameless_while_removing = true,
        }
        self.stage.news = News::Doubtful;
        self.stage.world.docker.set_quirks(self.quirks);
    }

    fn send_lookalikes_away(&self, before: &Operator) {
        let docker = &self.stage.world.docker;
        for (number, (app, end)) in before.lookalikes.iter().enumerate() {
            let name = format!("{}{end}", app.container());
            let foreign =
                docker.container(&name).is_some_and(|there| owner(&self.stage.world, &there.labels).is_none());
            if foreign {
                drop(docker.rename(&name, &format!("theirs-{}-{number}", docker.journal_len())));
            }
        }
    }

    /// Every fault ends; then whatever is left to do is done, and everything is as it is believed to be.
    async fn rest(&mut self, before: Power) {
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

    fn judge(&self) -> (Vec<super::belief::Verdict>, Vec<String>) {
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
    fn look_at_gaps(&mut self) {
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
    async fn close(&mut self) {
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

    /// Adds a line to the story, after what the daemon did before it.
    fn tell(&mut self, line: &str) {
        for entry in
            self.stage.world.docker.journal_since(self.told).iter().filter(|entry| entry.actor == Actor::Daemon)
        {
            self.story.push_str(&format!("     {entry}\n"));
        }
        self.told = self.stage.world.docker.journal_len();
        self.story.push_str(&format!("  {line}\n"));
    }

    fn end(mut self) -> Played {
        let journal = self.stage.world.docker.journal();
        let trace: Vec<_> = journal.iter().map(ToString::to_string).collect();
        let trace = trace.join("\n");
        if !self.failed() {
            return Played { trace, ..Played::default() };
        }
        self.tell("-- and here it was found:");
        for violation in self.stage.violations.clone() {
            self.tell(&violation);
        }
        let calls = self.stage.world.injector.calls();
        self.tell("-- strikes, and the last calls");
        let struck = calls.iter().enumerate().filter(|(at, call)| call.struck.is_some() || at + 25 > calls.len());
        for (_, call) in struck {
            self.story.push_str(&format!("     {call}\n"));
        }
        self.tell("-- the end");
        for line in self.stage.world.docker.portrait().lines() {
            self.story.push_str(&format!("     {line}\n"));
        }
        for app in self.stage.daemon.iter().flat_map(|daemon| daemon.status().apps.clone().into_values()) {
            self.story.push_str(&format!("     {}: {:?} {:?} {:?}\n", app.app, app.desired, app.sync, app.health));
            for condition in &app.conditions {
                self.story
                    .push_str(&format!("       {:?} {}: {}\n", condition.kind, condition.reason, condition.message));
            }
        }
        Played { violations: self.stage.violations, story: self.story, trace }
    }
}

/// A person's mistakes are none of the daemon's: the container may not be there, or not be ours.
fn by_hand(world: &World, app: App, hand: Hand) {
    let (docker, name) = (&world.docker, app.container());
    if docker.container(&name).is_none_or(|container| owner(world, &container.labels).is_none()) {
        return;
    }
    let limits = Update { memory: Some(Bytes::mib(64)), pids: Some(7), ..Update::default() };
    let number = docker.journal_len();
    let _ = match hand {
        Hand::Kill => docker.kill(&name),
        Hand::Stop => docker.stop(&name).map(drop),
        Hand::Remove => docker.remove(&name).map(drop),
        Hand::Rename => docker.rename(&name, &format!("mine-{number}")),
        Hand::Pause => docker.pause(&name),
        Hand::Update => docker.update(&name, limits),
        Hand::Disconnect => docker.disconnect("paas-proxy", &name),
        Hand::Crash => docker.crash(&name, 1),
    };
}

/// Makes files and settings what they are after the act.
fn bring_about(world: &World, before: &Operator, after: &Operator) {
    if before.lost != after.lost && after.lost.is_some() {
        set_out_of_sight(world, after.lost);
    }
    // What is on an unmounted disk is not in the folder that takes its place.
    let nothing = BTreeMap::new();
    let shown = |operator: &Operator| -> BTreeMap<String, String> {
        if operator.lost == Some(Loss::Unmounted) { nothing.clone() } else { operator.files.clone() }
    };
    let (old, new) = (shown(before), shown(after));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        world.manifests.remove(name);
    }
    for (name, text) in new.iter().filter(|(name, text)| old.get(*name) != Some(text)) {
        world.manifests.put(name, text);
    }
    if before.lost != after.lost && after.lost.is_none() {
        set_out_of_sight(world, None);
    }
    if before.template_broken != after.template_broken {
        if after.template_broken {
            let id = TemplateId::parse("diary-v1").unwrap();
            world.manifests.put_template(id, Err("template.json:1:1: unexpected end".to_owned()));
        } else {
            world.add_template(template());
        }
    }
    if (before.image, before.image_broken) != (after.image, after.image_broken) {
        if after.image_broken {
            let text = "npm: no network".to_owned();
            world.docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::from_millis(50), text });
            world.runtime.set(Ok("FROM node:24-alpine\nRUN false\n"));
        } else {
            world.docker.script_builds(BuildScript::default());
            let more = if after.image == 0 { String::new() } else { format!("RUN echo {}\n", after.image) };
            world.runtime.set(Ok(&format!("FROM node:24-alpine\n{more}")));
        }
    }
    if (before.domain, before.memory) != (after.domain, after.memory) {
        let domain = match after.domain {
            0 => Settings::defaults("/paas").domain,
            number => format!("example{number}.org"),
        };
        world.edit_settings(|settings| {
            settings.domain = domain;
            settings.mem_limit = Bytes::mib(after.memory.into());
        });
    }
}

fn set_out_of_sight(world: &World, lost: Option<Loss>) {
    world.manifests.set_missing((lost == Some(Loss::Missing)).then_some("no such folder"));
    world.manifests.set_marker((lost != Some(Loss::Unmounted)).then(|| world.instance.clone()));
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
