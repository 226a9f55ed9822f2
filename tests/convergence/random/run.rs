//! Runs a script: does what it says to a simulated world in which the daemon lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minipaas::engine::faulty::{CallFault, Injector, Scope};
use minipaas::engine::sim::{Quirks, SimConfig, foreign};
use minipaas::model::{AppKey, ContainerId};
use minipaas::testing::seams::World;

use super::action::{Action, Power, Quirk, RandomScript};
use super::apply::{apply_files, by_hand, send_lookalikes_away};
use super::harness::{Harness, News};
use super::operator::Operator;
use super::reference::ReferenceModel;
use crate::world::template;

/// Between two actions: longer than events are collected, shorter than any step.
const BREATH: Duration = Duration::from_millis(25);

#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    pub(crate) trace: String,
    /// Every change the daemon made to Docker, with its time: two runs of one script are the same.
    pub(crate) changes: String,
}

/// Runs it on a runtime of its own, whose time is paused. `seen` counts the actions that were begun, for shrinking.
pub(crate) fn run(script: &RandomScript, seen: Option<&Arc<AtomicUsize>>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut run = RandomRun::begin(script.world).await;
            for action in &script.actions {
                if let Some(seen) = seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                run.perform(action).await;
                if run.failed() {
                    return run.end();
                }
            }
            run.close().await;
            run.end()
        })
    }));
    attempt.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Outcome { violations: vec![format!("panic: {text}")], ..Outcome::default() }
    })
}

pub(super) struct RandomRun {
    pub(super) harness: Harness,
    pub(super) operator: Operator,
    pub(super) reference: ReferenceModel,
    /// Running containers by app, as of the transitions that were looked at.
    pub(super) running: BTreeMap<AppKey, BTreeSet<ContainerId>>,
    pub(super) transitions: usize,
    /// Entries of Docker's journal before the last rest.
    pub(super) journal: usize,
    /// Actions and faults since the last rest.
    pub(super) actions: usize,
    pub(super) quirks: Quirks,
    pub(super) trace: String,
    pub(super) told: usize,
}

impl RandomRun {
    async fn begin(seed: u64) -> Self {
        let world = World::new(SimConfig::seeded(seed), Injector::new(Scope::All));
        world.add_template(template());
        world.docker.add_image("other", "somebody else's", None);
        let operator = Operator::new(seed);
        let mut harness = Harness::new(world);
        for (name, text) in &operator.files {
            harness.world.manifests.put(name, text);
        }
        harness.until_calm(Duration::from_secs(2)).await;
        let mut run = Self {
            harness,
            operator: operator.clone(),
            reference: ReferenceModel::new(),
            running: BTreeMap::new(),
            transitions: 0,
            journal: 0,
            actions: 5,
            quirks: Quirks::default(),
            trace: String::new(),
            told: 0,
        };
        // The files that were there from the beginning.
        let now = run.harness.world.docker.age();
        run.reference.hear(&Action::Wait(0), &operator.without_files(), &operator, now);
        run.perform(&Action::Rest).await;
        run
    }

    pub(super) fn failed(&self) -> bool {
        !self.harness.violations.is_empty()
    }

    pub(super) async fn perform(&mut self, action: &Action) {
        let before = self.operator.clone();
        self.operator.carry_out(action);
        self.look_at_gaps();
        let now = self.harness.world.docker.age();
        self.reference.hear(action, &before, &self.operator, now);
        self.tell(&format!("{:>10.3}s {action}", now.as_secs_f64()));
        match action {
            Action::Wait(_) | Action::Rest => {}
            Action::Domain(_)
            | Action::Memory(_)
            | Action::Image(_)
            | Action::Engine(_)
            | Action::Wipe
            | Action::Restore => self.actions += 5,
            _ => self.actions += 1,
        }
        apply_files(&self.harness.world, &before, &self.operator);
        self.harness.note_purges();
        let mut wait = BREATH;
        match action {
            Action::Wait(millis) => wait = Duration::from_millis(*millis),
            Action::Rest => return self.rest(before.power).await,
            Action::Confirm => {
                self.harness.confirm().await;
            }
            Action::Docker(app, command) => by_hand(&self.harness.world, *app, *command),
            Action::Lookalike(app, end) => {
                // Refused when the name is taken.
                drop(self.harness.world.docker.run(&foreign(&format!("{}{end}", app.container()), "other")));
            }
            Action::LookalikesLeave => send_lookalikes_away(&self.harness.world, &before),
            Action::Engine(power) => self.engine(*power, before.power),
            Action::Fault(nth, fault) => {
                if *fault == CallFault::StaleList {
                    self.harness.news = News::Doubtful;
                }
                self.harness.world.injector.inject_in(*nth, *fault);
            }
            Action::Heal => self.harness.world.injector.heal(),
            Action::Quirk(quirk) => self.add_quirk(*quirk),
            Action::Crash if self.harness.daemon.is_some() => self.harness.world.injector.kill(),
            _ => {}
        }
        self.harness.pump(wait).await;
        self.look_at_gaps();
    }

    pub(super) fn engine(&mut self, power: Power, before: Power) {
        let docker = &self.harness.world.docker;
        match power {
            Power::Stop => docker.engine_stop(),
            Power::Kill => docker.engine_kill(),
            Power::Hang => {
                // Nobody is told anything by it.
                self.harness.news = News::Doubtful;
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
        self.harness.news = News::Doubtful;
        self.harness.world.docker.set_quirks(self.quirks);
    }
}
