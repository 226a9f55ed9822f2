//! One run: a script in a simulated world, with the daemon dying and coming back, and the properties looked at all the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minipaas::controller::Command;
use minipaas::engine::faulty::{CallRecord, Fault, Injector, Scope};
use minipaas::engine::sim::{Quirks, SimConfig, SimDocker};
use minipaas::model::status::{EngineStatus, ImageStatus, ManifestsStatus};
use minipaas::model::{ConditionKind, ContainerState, Health, SyncState, Template, TemplateId, labels};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::blow::{Blow, Down, Strike, When};
use crate::portrait::portrait;
use crate::properties::Record;
use crate::scripts::{BYSTANDER, Deed, MAIN, Script};

/// How long a lasting failure lasts.
const OUTAGE: Duration = Duration::from_secs(40);
/// The supervisor's wait before it starts the daemon again.
const RESTART: Duration = Duration::from_secs(1);
/// Rest that counts as the end when the status looks calm: longer than the grace of a vanished file.
const CALM: Duration = Duration::from_secs(15);
/// And when it does not: longer than the backoff that an outage leads to.
const UNEASY: Duration = Duration::from_secs(200);
/// And when something is not as it should be: longer than the wait after a failed build. What takes longer than its
/// disturbance accounts for breaks P1 all the same.
const LONG: Duration = Duration::from_secs(400);
/// Longer than from one full look to the next.
const RESYNC: Duration = Duration::from_secs(72);
/// For one look at everything.
const LOOK: Duration = Duration::from_secs(5);
/// How long after the machine Docker is there again: sometimes before the daemon, sometimes after it.
const BOOT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];
/// Bound on everything.
const PATIENCE: Duration = Duration::from_secs(3_600);

pub(crate) fn diary(more: &str) -> String {
    format!("template: diary-v1\n{more}")
}

pub(crate) fn template() -> Template {
    Template {
        id: TemplateId::parse("diary-v1").unwrap(),
        name: "diary".to_owned(),
        description: String::new(),
        version: "1".to_owned(),
        supports_api: true,
        internal_port: 3000,
        health_path: Some("/healthz".to_owned()),
    }
}

/// A lookalike is for its own people to kill.
fn is_ours(docker: &SimDocker) -> bool {
    docker.container(MAIN).is_some_and(|container| container.labels.contains_key(labels::INSTANCE))
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    pub(crate) violations: Vec<String>,
    /// The calls from the script's first step to the end of its last, the idle looks in between included. Of an undisturbed
    /// run only.
    pub(crate) calls: Vec<CallRecord>,
    /// How many of those calls there were at the end of each step.
    pub(crate) steps: Vec<u64>,
    /// Everything that has to be the same whatever happened on the way.
    pub(crate) portrait: String,
    /// Changes the daemon made to Docker.
    pub(crate) changes: usize,
    /// How long it went on changing things after the last person or fault.
    pub(crate) late: Duration,
    pub(crate) story: String,
    /// Strikes that were ordered and never came: the run took another way before.
    pub(crate) missed: usize,
}

/// Runs one script on a runtime of its own, whose time is paused: it jumps to whatever comes next.
pub(crate) fn run(script: &Script, strikes: &[Strike], undisturbed: Option<&Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async { Run::begin(script, strikes).await.tell(undisturbed).await })
    }));
    attempt.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Ended { violations: vec![format!("panic: {text}")], ..Ended::default() }
    })
}

/// Files that a power loss took, for their authors to save once more.
type Unsaved = Arc<Mutex<BTreeMap<String, Option<Vec<u8>>>>>;

pub(crate) struct Run<'s> {
    pub(crate) world: World,
    pub(crate) script: &'s Script,
    pub(crate) strikes: &'s [Strike],
    pub(crate) daemon: Option<Daemon>,
    pub(crate) record: Record,
    /// Calls before the script's first step.
    offset: u64,
    heal_at: Option<Instant>,
    struck: bool,
    /// What the next death is the beginning of.
    ordered: Option<Blow>,
    /// Nobody starts the daemon at present.
    down: Option<Down>,
    unsaved: Unsaved,
}

impl<'s> Run<'s> {
    async fn begin(script: &'s Script, strikes: &'s [Strike]) -> Self {
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::All));
        world.add_template(template());
        world.docker.add_image("other", "somebody else's", None);
        world.manifests.put(&format!("{BYSTANDER}.yaml"), diary(""));
        let mut run = Self {
            world,
            script,
            strikes,
            daemon: None,
            record: Record::default(),
            offset: 0,
            heal_at: None,
            struck: true,
            ordered: None,
            down: None,
            unsaved: Unsaved::default(),
        };
        run.settle(Duration::from_secs(2)).await;
        run.record.begin(&run.world);
        run.offset = run.world.injector.count();
        run.struck = strikes.is_empty();
        run.world.folders.flush();
        run.order();
        run
    }

    /// Lays the strikes out.
    fn order(&mut self) {
        let injector = &self.world.injector;
        let mut last = self.offset;
        for strike in self.strikes {
            let call = match strike.when {
                When::Call(number) => self.offset + number,
                When::Later(gap) => {
                    if let Blow::Fault(fault) = strike.blow {
                        injector.strike_after(last, gap, fault);
                    }
                    continue;
                }
            };
            last = call;
            let docker = self.world.docker.clone();
            match strike.blow {
                Blow::Fault(fault) => injector.strike_at(call, fault),
                Blow::HandKill => injector.hand_at(call, move || drop(is_ours(&docker).then(|| docker.kill(MAIN)))),
                Blow::HandRemove => injector.hand_at(call, move || drop(is_ours(&docker).then(|| docker.remove(MAIN)))),
                Blow::Down(_) => {
                    injector.strike_at(call, Fault::CrashBefore);
                    self.ordered = Some(strike.blow);
                }
                Blow::Power(fate) => {
                    let (world, unsaved) = (self.world.clone(), Arc::clone(&self.unsaved));
                    injector.hand_at(call, move || {
                        world.docker.lose_power();
                        world.folders.lose_power(fate);
                        *unsaved.lock().unwrap() = world.manifests.lose_power(fate);
                    });
                    injector.strike_at(call, Fault::CrashBefore);
                    self.ordered = Some(strike.blow);
                }
                Blow::Quirk(quirk) => {
                    docker.reseed(call);
                    docker.set_quirks(quirk.quirks());
                    self.struck = true;
                }
            }
        }
    }

    async fn tell(mut self, undisturbed: Option<&Ended>) -> Ended {
        let mut first = String::new();
        let mut steps = Vec::new();
        for (number, step) in self.script.steps.iter().enumerate() {
            self.save_again();
            self.world.manifests.flush();
            match step.deed {
                Deed::Do(deed) => {
                    deed(&self.world);
                    self.done(number);
                    self.settle(CALM).await;
                }
                Deed::Quick(deed, wait) => {
                    deed(&self.world);
                    self.done(number);
                    self.pump(wait).await;
                }
                Deed::WhileDown(deed) => {
                    self.daemon = None;
                    self.world.injector.kill();
                    deed(&self.world);
                    self.done(number);
                    self.settle(CALM).await;
                }
                Deed::Check(app, expect) => {
                    if self.strikes.is_empty() {
                        self.record.check(&self.world, self.daemon.as_ref(), app, expect);
                    }
                }
                Deed::Confirm => {
                    self.down = None;
                    self.confirm().await;
                    self.settle(CALM).await;
                }
            }
            steps.push(self.world.injector.count() - self.offset);
            if number == 0 {
                first = portrait(&self.world, self.daemon.as_ref());
            }
        }
        if self.down.take().is_some() {
            self.settle(CALM).await;
        }
        let last_call = self.world.injector.count();
        let missed = self.world.injector.outstanding();
        // A fault that waits for a later call would strike in the checks: it did not come, so it never does.
        self.world.injector.heal();
        self.world.docker.set_quirks(Quirks::default());
        if self.strikes.iter().any(|strike| matches!(strike.blow, Blow::Quirk(_))) {
            // What nobody told of is found by the next full look.
            self.pump(RESYNC).await;
        }
        if !self.at_end(undisturbed, &first).is_empty() {
            // Out of what the daemon cannot have heard of it finds its way by itself, in its own time.
            self.settle(LONG).await;
        }
        let changes = self.record.changes();
        let broken = self.at_end(undisturbed, &first);
        self.record.violations.extend(broken);
        self.record.look_back(&self.world, self.script, self.strikes, undisturbed);
        let late = self.record.late(&self.world);
        self.rests().await;
        let calls = if self.strikes.is_empty() || !self.record.violations.is_empty() {
            let calls = self.world.injector.calls();
            let of_script = calls.into_iter().filter(|call| call.number > self.offset && call.number <= last_call);
            of_script.map(|call| CallRecord { number: call.number - self.offset, ..call }).collect()
        } else {
            Vec::new()
        };
        Ended {
            portrait: portrait(&self.world, self.daemon.as_ref()),
            steps,
            changes,
            late,
            missed,
            story: if self.record.violations.is_empty() { String::new() } else { self.story(&calls) },
            calls,
            violations: self.record.violations,
        }
    }

    /// A step was done.
    fn done(&mut self, number: usize) {
        self.record.deed(&self.world);
        let last = number + 1 == self.script.steps.len();
        if self.down == Some(Down::ForStep) || last {
            self.down = None;
        }
    }

    /// People see what the power loss made of their files, and save them once more.
    fn save_again(&mut self) {
        for (name, content) in std::mem::take(&mut *self.unsaved.lock().unwrap()) {
            match content {
                Some(bytes) => self.world.manifests.put(&name, bytes),
                None => self.world.manifests.remove(&name),
            }
        }
        self.record.stir();
    }

    fn at_end(&self, undisturbed: Option<&Ended>, first: &str) -> Vec<String> {
        self.record.at_end(&self.world, self.script, self.daemon.as_ref(), self.strikes, undisturbed, first)
    }

    /// P2: one more look at everything wants nothing.
    async fn rests(&mut self) {
        let (journal, writes) = (self.world.docker.journal_len(), self.world.injector.writes());
        if let Some(daemon) = &self.daemon {
            drop(daemon.commands_tx.send(Command::Resync).await);
        }
        self.pump(LOOK).await;
        if self.world.docker.journal_len() != journal || self.world.injector.writes() != writes {
            let entries = self.world.docker.journal_since(journal);
            let calls = self.world.injector.calls();
            let tail: Vec<String> = calls.iter().rev().take(12).rev().map(ToString::to_string).collect();
            let text = format!("P2 it does not rest: {entries:?}\n{}", tail.join("\n"));
            self.record.violations.push(text);
        }
    }

    /// Lets time pass; whenever the daemon dies it is started again, unless it is to stay down.
    async fn pump(&mut self, wait: Duration) {
        let end = Instant::now() + wait;
        loop {
            let Some(daemon) = &mut self.daemon else {
                if self.down.is_some() {
                    tokio::time::sleep_until(end).await;
                    break;
                }
                match Daemon::start(&self.world).await {
                    Ok(daemon) => self.daemon = Some(daemon),
                    Err(_) => tokio::time::sleep(RESTART).await,
                }
                continue;
            };
            // Cancel-safe: all three only look.
            let dead = tokio::select! {
                biased;
                () = daemon.life.ended() => true,
                Ok(()) = daemon.status_rx.changed() => false,
                () = tokio::time::sleep_until(end) => break,
            };
            if dead {
                self.daemon = None;
                self.record.look_at_status(&self.world, None);
                self.after_death().await;
            } else {
                daemon.status_rx.mark_unchanged();
                self.record.look_at_status(&self.world, self.daemon.as_ref());
            }
        }
        self.record.look(&self.world, self.daemon.as_ref());
        if !self.struck && self.world.injector.outstanding() == 0 {
            self.struck = true;
            self.heal_at = Some(Instant::now() + OUTAGE);
        }
        if self.heal_at.is_some_and(|at| at <= Instant::now()) {
            self.heal_at = None;
            self.world.injector.heal();
            self.save_again();
        }
    }

    /// The supervisor waits; after a power loss the machine comes up first.
    async fn after_death(&mut self) {
        tokio::time::sleep(RESTART).await;
        match self.ordered.take() {
            Some(Blow::Down(down)) => self.down = Some(down),
            Some(Blow::Power(_)) => {
                let docker = self.world.docker.clone();
                // What is not ours, and died of it, is started again by those whose it is.
                let theirs = |container: &minipaas::model::ObservedContainer| {
                    container.state == ContainerState::Exited && !container.labels.contains_key(labels::INSTANCE)
                };
                let ran: Vec<_> = docker.containers().into_iter().filter(theirs).collect();
                let wait = BOOT[usize::from(self.world.injector.count().is_multiple_of(2))];
                // Detached: it ends with the run's own runtime.
                tokio_util::task::TaskTracker::new().spawn(async move {
                    tokio::time::sleep(wait).await;
                    docker.engine_start();
                    for container in ran {
                        drop(docker.start(container.id.as_str()));
                    }
                });
            }
            _ => {}
        }
    }

    /// Until the daemon has done nothing for a while.
    async fn settle(&mut self, calm: Duration) {
        let began = Instant::now();
        let (mut writes, mut since) = (self.world.injector.writes(), Instant::now());
        let mut slice = Duration::from_millis(500);
        loop {
            self.pump(slice).await;
            let now = self.world.injector.writes();
            if std::mem::replace(&mut writes, now) != now {
                since = Instant::now();
                slice = Duration::from_millis(500);
            } else {
                slice = (slice * 2).min(Duration::from_secs(5));
            }
            if self.down.is_some() {
                return;
            }
            if since.elapsed() >= if self.is_calm() { calm } else { calm.max(UNEASY) } {
                return;
            }
            if began.elapsed() >= PATIENCE {
                self.record.violations.push("P1 it is still at it after an hour".to_owned());
                return;
            }
        }
    }

    /// Nothing is due as far as the status tells.
    fn is_calm(&self) -> bool {
        let Some(daemon) = self.daemon.as_ref().filter(|_| self.heal_at.is_none()) else { return false };
        // Whoever was shown an old state does not know that there is anything to do.
        let stale = self.strikes.iter().any(|strike| strike.blow == Blow::Fault(Fault::StaleList));
        let struck = self.world.injector.last_struck().filter(|_| stale);
        if struck.is_some_and(|at| at.elapsed() < RESYNC) {
            return false;
        }
        let status = daemon.status();
        let troubled = |kind| status.apps.values().any(|app| app.condition(kind).is_some());
        matches!(status.engine, EngineStatus::Connected { .. })
            && matches!(status.image, ImageStatus::Ready { .. })
            && matches!(status.manifests, ManifestsStatus::Complete)
            && !troubled(ConditionKind::StepFailed)
            && !troubled(ConditionKind::EngineUnreachable)
            && status.apps.values().all(|app| {
                app.sync != SyncState::OutOfSync
                    && matches!(app.health, Health::Running | Health::Stopped | Health::Deleted)
            })
    }

    async fn confirm(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut confirmed = false;
        while Instant::now() < deadline {
            // Who wants to confirm something needs a daemon, and starts it.
            self.down = None;
            if confirmed {
                // It died over the removal: either it holds what is left, or that is too little to be held.
                self.pump(CALM).await;
                if self.daemon.as_ref().is_some_and(|daemon| daemon.status().held.is_none()) {
                    return;
                }
            }
            if let Some(daemon) = &self.daemon
                && let Some(held) = &daemon.status().held
            {
                let (answer, reply) = oneshot::channel();
                let command = Command::Confirm { token: held.token.clone(), by: "a person".to_owned(), answer };
                drop(daemon.commands_tx.send(command).await);
                // A daemon that dies meanwhile answers nothing; the person asks again.
                if tokio::time::timeout(Duration::from_secs(1), reply)
                    .await
                    .is_ok_and(|reply| matches!(reply, Ok(Ok(_))))
                {
                    // A confirmation lives in the daemon's memory: a person whose daemon died repeats it.
                    confirmed = true;
                    self.pump(CALM).await;
                    if self.daemon.as_ref().is_some_and(|daemon| daemon.status().held.is_none()) {
                        return;
                    }
                }
            }
            self.pump(Duration::from_secs(1)).await;
        }
        self.record.violations.push("P1 nothing was held, or it could not be confirmed".to_owned());
    }

    fn story(&self, calls: &[CallRecord]) -> String {
        let mut text = String::new();
        let mut add = |title: &str, lines: Vec<String>| {
            text.push_str(&format!("  -- {title}\n"));
            for line in lines {
                text.push_str(&format!("     {line}\n"));
            }
        };
        add("what was done", self.script.steps.iter().map(|step| step.sentence.to_owned()).collect());
        let around = |call: &&CallRecord| {
            let struck = self.strikes.first().and_then(Strike::call);
            struck.is_none_or(|struck| call.number + 25 > struck && call.number < struck + 140)
        };
        add("calls around the strike", calls.iter().filter(around).take(170).map(ToString::to_string).collect());
        let journal = self.world.docker.journal();
        add("Docker's journal", journal.iter().rev().take(40).rev().map(ToString::to_string).collect());
        let now = portrait(&self.world, self.daemon.as_ref());
        add("the end", now.lines().map(str::to_owned).collect());
        if let Some(daemon) = &self.daemon {
            let conditions = daemon
                .status()
                .apps
                .values()
                .flat_map(|app| {
                    let app = app.clone();
                    app.conditions
                        .clone()
                        .into_iter()
                        .map(move |c| format!("{} {:?} {}: {}", app.app, c.kind, c.reason, c.message))
                })
                .collect();
            add("conditions", conditions);
        }
        text
    }
}
