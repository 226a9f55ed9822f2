//! Plays a script: does what it says to a simulated world in which the daemon lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minipaas::engine::faulty::{Fault, Injector, Scope};
use minipaas::engine::sim::{Quirks, SimConfig, foreign};
use minipaas::model::{AppKey, ContainerId};
use minipaas::testing::seams::World;

use super::act::{Act, Play, Power, Quirk};
use super::belief::Belief;
use super::deeds::{bring_about, by_hand, send_lookalikes_away};
use super::operator::Operator;
use super::stage::{News, Stage};
use crate::world::template;

/// Between two acts: longer than events are collected, shorter than any step.
const BREATH: Duration = Duration::from_millis(25);

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

pub(super) struct Player {
    pub(super) stage: Stage,
    pub(super) operator: Operator,
    pub(super) belief: Belief,
    /// Running containers by app, as of the transitions that were looked at.
    pub(super) running: BTreeMap<AppKey, BTreeSet<ContainerId>>,
    pub(super) transitions: usize,
    /// Entries of Docker's journal before the last rest.
    pub(super) journal: usize,
    /// Acts and faults since the last rest.
    pub(super) acts: usize,
    pub(super) quirks: Quirks,
    pub(super) story: String,
    pub(super) told: usize,
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

    pub(super) fn failed(&self) -> bool {
        !self.stage.violations.is_empty()
    }

    pub(super) async fn perform(&mut self, act: &Act) {
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
            Act::LookalikesLeave => send_lookalikes_away(&self.stage.world, &before),
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

    pub(super) fn engine(&mut self, power: Power, before: Power) {
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
}
