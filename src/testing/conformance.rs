//! What the daemon relies on about Docker, one sentence per check. The same checks run against the simulator on every
//! test run and against a real Docker in its own tier: the simulator may not lie.
//!
//! To add one: write an `async fn` that asserts, in the file of its subject below, and name it in that file's list.

#![allow(clippy::unwrap_used, reason = "a check that panics is broken, which is the point")]

mod events;
mod images;
mod limits;
mod names;
mod networks;
mod operator;
mod power;
mod processes;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::operator::Operator;
use crate::engine::{Engine, EngineError, ErrorKind, ListFilter, NetworkSpec};
use crate::model::{
    Bytes, ContainerId, ContainerSpec, ContainerState, Limits, MilliCpus, ObservedContainer, RestartPolicy,
};

/// Label that everything made by a run carries.
const RUN_LABEL: &str = "minipaas.conformance";
/// How long a condition may take to come about. Generous: a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// One check's view: an engine, an operator at its command line, an image with busybox's `sh`, `sleep` and `tail`.
#[derive(Debug)]
pub struct Bench<'a, E, O> {
    pub engine: &'a E,
    pub operator: &'a O,
    image: &'a str,
    /// Begins the name of everything this run makes; nobody else may use it.
    prefix: &'a str,
    counter: AtomicU32,
}

type Check<E, O> = for<'b> fn(&'b Bench<'b, E, O>) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>;

/// Names a file's checks: each becomes a sentence and a function that runs it.
macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        pub(super) fn checks<E: Engine, O: Operator>() -> Vec<(&'static str, Check<E, O>)> {
            vec![$((stringify!($check), |bench| Box::pin($check(bench)))),*]
        }
    };
}
use checks;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Sentences that hold.
    pub held: Vec<String>,
    /// Sentences that do not, and why.
    pub broken: Vec<(String, String)>,
    /// Sentences that nobody can look at here: they need an engine that may lose its power.
    pub out_of_reach: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.held {
            writeln!(f, "ok      {sentence}")?;
        }
        for (sentence, why) in &self.broken {
            writeln!(f, "BROKEN  {sentence}\n        {why}")?;
        }
        for sentence in &self.out_of_reach {
            writeln!(f, "?       {sentence} (needs an engine of the tests' own)")?;
        }
        let (held, broken, out) = (self.held.len(), self.broken.len(), self.out_of_reach.len());
        write!(f, "{held} hold, {broken} broken, {out} out of reach")
    }
}

/// Runs every check whose name contains `only` (empty: all), one after the other, and clears up after each.
///
/// `image` must be there and hold busybox; `prefix` must be lower case, as images are named after it too, and not in use
/// by anything else on that engine.
pub async fn run<E: Engine, O: Operator>(engine: &E, operator: &O, image: &str, prefix: &str, only: &str) -> Report {
    let bench = Bench { engine, operator, image, prefix, counter: AtomicU32::new(0) };
    let groups: [Vec<(&'static str, Check<E, O>)>; 7] = [
        names::checks(),
        processes::checks(),
        limits::checks(),
        networks::checks(),
        images::checks(),
        events::checks(),
        operator::checks(),
    ];
    let mut report = Report::default();
    let mut checks: Vec<_> = groups.into_iter().flatten().collect();
    let power: Vec<(&'static str, Check<E, O>)> = power::checks();
    if operator.can_cut_power() {
        checks.extend(power);
    } else {
        report.out_of_reach = power.iter().map(|(name, _)| name.replace('_', " ")).collect();
    }
    for (name, check) in checks.into_iter().filter(|(name, _)| name.contains(only)) {
        let sentence = name.replace('_', " ");
        bench.clear().await;
        match AssertUnwindSafe(check(&bench)).catch_unwind().await {
            Ok(()) => report.held.push(sentence),
            Err(panic) => report.broken.push((sentence, panic_text(panic.as_ref()))),
        }
        bench.clear().await;
    }
    report
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl<E: Engine, O: Operator> Bench<'_, E, O> {
    /// A name nobody has.
    fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [(RUN_LABEL.to_owned(), self.prefix.to_owned())].into()
    }

    /// A container on the default bridge that runs the command and is not restarted.
    fn spec(&self, command: &[&str]) -> ContainerSpec {
        let name = self.name();
        ContainerSpec {
            hostname: name.clone(),
            name,
            image: self.image.to_owned(),
            labels: self.labels(),
            env: BTreeMap::new(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            working_dir: "/".to_owned(),
            user: "10001:10001".to_owned(),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            limits: limits(32),
            restart: RestartPolicy::No,
            network: "bridge".to_owned(),
            address: None,
            port: 3000,
            stop_grace_seconds: 10,
        }
    }

    fn sleeper(&self) -> ContainerSpec {
        self.spec(&["sleep", "100000"])
    }

    fn script(&self, script: &str, restart: RestartPolicy) -> ContainerSpec {
        ContainerSpec { restart, ..self.spec(&["sh", "-c", script]) }
    }

    async fn created(&self, spec: &ContainerSpec) -> ContainerId {
        self.engine.create(spec).await.unwrap_or_else(|error| panic!("create {}: {error}", spec.name))
    }

    async fn started(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.created(spec).await;
        self.engine.start(&id).await.unwrap_or_else(|error| panic!("start {}: {error}", spec.name));
        id
    }

    async fn look(&self, id: &ContainerId) -> ObservedContainer {
        let found = self.engine.inspect(id.as_str()).await;
        found.expect("inspect").unwrap_or_else(|| panic!("container {id} is gone"))
    }

    /// Everything ends at once; returns when Docker answers again.
    async fn cut_power(&self) {
        self.operator.cut_power().await.unwrap_or_else(|error| panic!("the power did not come back: {error}"));
        let answers = async {
            while self.engine.info().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("Docker answers again");
    }

    /// Looks until the container is as wanted.
    async fn until(
        &self,
        id: &ContainerId,
        what: &str,
        wanted: impl Fn(&ObservedContainer) -> bool,
    ) -> ObservedContainer {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let seen = self.look(id).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < give_up, "never came about: {what}; last seen {seen:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_exited(&self, id: &ContainerId) -> ObservedContainer {
        self.until(id, "exited", |seen| seen.state == ContainerState::Exited).await
    }

    /// Looks for longer than a restart by policy takes (100 ms at first): it must stay exited all the while.
    async fn stays_exited(&self, id: &ContainerId) {
        let until = Instant::now() + Duration::from_millis(700);
        while Instant::now() < until {
            let seen = self.look(id).await;
            assert_eq!(seen.state, ContainerState::Exited, "came back: {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn network(&self) -> NetworkSpec {
        NetworkSpec {
            name: self.name(),
            labels: self.labels(),
            options: BTreeMap::new(),
            subnet: None,
            internal: false,
        }
    }

    async fn network_made(&self) -> String {
        let spec = self.network();
        self.engine.create_network(&spec).await.unwrap_or_else(|error| panic!("network {}: {error}", spec.name));
        spec.name
    }

    async fn docker(&self, args: &[&str]) -> String {
        let answer = self.operator.docker(args).await;
        answer.unwrap_or_else(|error| panic!("docker {}: {error}", args.join(" ")))
    }

    /// Removes what a check left behind.
    async fn clear(&self) {
        let filter = ListFilter { labels: self.labels() };
        for left in self.engine.list(&filter).await.unwrap_or_default() {
            let _ = self.engine.remove(&left.id).await;
        }
        // Names are counted up, so these are all there can be.
        for number in 0..self.counter.load(Ordering::Relaxed) {
            let name = format!("{}-{number}", self.prefix);
            if let Ok(Some(network)) = self.engine.network(&name).await {
                let _ = self.engine.remove_network(&network.id).await;
            }
        }
    }
}

fn limits(mebibytes: u64) -> Limits {
    Limits { memory: Bytes::mib(mebibytes), cpus: MilliCpus(500), pids: 64 }
}

#[track_caller]
fn assert_kind<T: fmt::Debug>(result: Result<T, EngineError>, kind: ErrorKind) -> EngineError {
    match result {
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
        Ok(value) => panic!("expected {kind:?}, got {value:?}"),
    }
}
