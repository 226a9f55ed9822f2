//! One run: a script in a simulated world, with the daemon dying and coming back, and the properties looked at all the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minipaas::engine::faulty::{CallFault, CallRecord, Injector, Scope};
use minipaas::engine::sim::{SimConfig, SimDocker};
use minipaas::model::labels;
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;
use tokio::time::Instant;

use crate::fault::{Down, Fault, Injection, When};
use crate::properties::Record;
use crate::scripts::{BYSTANDER, MAIN, Script};

pub(crate) fn diary(more: &str) -> String {
    format!("template: diary-v1\n{more}")
}

pub(crate) use minipaas::testing::seams::diary as template;

/// A lookalike is for its own people to kill.
fn is_ours(docker: &SimDocker) -> bool {
    docker.container(MAIN).is_some_and(|container| container.labels.contains_key(labels::INSTANCE))
}

/// What is removed by hand and never made again is missing at the end.
fn is_without_trace(script: &Script, injections: &[Injection]) -> bool {
    !script.comes_back && injections.iter().any(|injection| injection.fault == Fault::OperatorRemove)
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    pub(crate) violations: Vec<String>,
    /// The calls from the script's first step to the end of its last, the idle looks in between included. Of an undisturbed
    /// run, or one that broke something, only.
    pub(crate) calls: Vec<CallRecord>,
    /// Everything that has to be the same whatever happened on the way. Of an undisturbed run only.
    pub(crate) end_state: String,
    /// Changes the daemon made to Docker.
    pub(crate) changes: usize,
    /// How long it went on changing things after the last person or fault.
    pub(crate) late: Duration,
    pub(crate) trace: String,
    /// Faults that were ordered and never came: the run took another way before.
    pub(crate) missed: usize,
}

/// Runs one script on a runtime of its own, whose time is paused: it jumps to whatever comes next.
pub(crate) fn run(script: &Script, injections: &[Injection], undisturbed: Option<&Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async { Run::begin(script, injections).await.execute(undisturbed).await })
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
    pub(crate) injections: &'s [Injection],
    pub(crate) daemon: Option<Daemon>,
    pub(crate) record: Record,
    /// Calls before the script's first step.
    pub(crate) offset: u64,
    pub(crate) heal_at: Option<Instant>,
    pub(crate) injected: bool,
    /// What the next death is the beginning of.
    pub(crate) ordered: Option<Fault>,
    /// Nobody starts the daemon at present.
    pub(crate) down: Option<Down>,
    pub(crate) unsaved: Unsaved,
    /// The step that is being told, from 0.
    pub(crate) step: usize,
    /// The daemon was kept from a step that the rest of the script builds on.
    pub(crate) unfounded: bool,
}

impl<'s> Run<'s> {
    async fn begin(script: &'s Script, injections: &'s [Injection]) -> Self {
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::All));
        world.add_template(template());
        world.docker.add_image("other", "somebody else's", None);
        world.manifests.put(&format!("{BYSTANDER}.yaml"), diary(""));
        let mut run = Self {
            world,
            script,
            injections,
            daemon: None,
            record: Record::default(),
            offset: 0,
            heal_at: None,
            injected: true,
            ordered: None,
            down: None,
            unsaved: Unsaved::default(),
            step: 0,
            unfounded: is_without_trace(script, injections),
        };
        if !injections.iter().any(|injection| injection.fault == Fault::Call(CallFault::StaleList)) {
            run.world.injector.forget_answers();
        }
        run.settle(Duration::from_secs(2)).await;
        run.record.begin(&run.world, run.injections);
        run.offset = run.world.injector.count();
        run.injected = injections.is_empty();
        run.world.folders.flush();
        run.order();
        run
    }

    /// Tells the injector.
    fn order(&mut self) {
        let injector = &self.world.injector;
        let mut last = self.offset;
        for injection in self.injections {
            let call = match injection.when {
                When::Call(number) => self.offset + number,
                When::Later(gap) => {
                    if let Fault::Call(fault) = injection.fault {
                        injector.inject_after(last, gap, fault);
                    }
                    continue;
                }
            };
            last = call;
            let docker = self.world.docker.clone();
            match injection.fault {
                Fault::Call(fault) => injector.inject_at(call, fault),
                Fault::OperatorKill => {
                    injector.before_call(call, move || drop(is_ours(&docker).then(|| docker.kill(MAIN))))
                }
                Fault::OperatorRemove => {
                    injector.before_call(call, move || drop(is_ours(&docker).then(|| docker.remove(MAIN))))
                }
                Fault::Down(_) => {
                    injector.inject_at(call, CallFault::CrashBefore);
                    self.ordered = Some(injection.fault);
                }
                Fault::Power(fate) => {
                    let (world, unsaved) = (self.world.clone(), Arc::clone(&self.unsaved));
                    injector.before_call(call, move || {
                        world.docker.lose_power();
                        world.folders.lose_power(fate);
                        *unsaved.lock().unwrap() = world.manifests.lose_power(fate);
                    });
                    injector.inject_at(call, CallFault::CrashBefore);
                    self.ordered = Some(injection.fault);
                }
                Fault::Quirk(quirk) => {
                    docker.reseed(call);
                    docker.set_quirks(quirk.quirks());
                    self.injected = true;
                }
            }
        }
    }
}
