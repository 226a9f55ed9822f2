//! Figures about the daemon's own work, for monitoring. Counted where the work is done, written out by the portal.
//!
//! Cheap to clone; every clone is the same set. Counting is a few atomic operations and never fails.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds. A pass that changes nothing takes milliseconds, one that starts a container half a second, one
/// that stops one up to its grace of ten.
const PASS_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];
/// Docker answers a look in one to ten milliseconds and a create or start in hundreds.
const CALL_SECONDS: [f64; 8] = [0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    pub result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabels {
    pub action: &'static str,
    pub result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActionLabel {
    pub action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabel {
    pub call: &'static str,
}

#[derive(Debug, Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue_depth: Gauge,
    passes_running: Gauge,
    pass_seconds: Histogram,
    passes: Family<ResultLabel, Counter>,
    steps: Family<StepLabels, Counter>,
    drift_repairs: Family<ActionLabel, Counter>,
    wakes: Counter,
    call_seconds: Family<CallLabel, Histogram, Buckets>,
    call_errors: Family<CallLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Inner {
            queue_depth: Gauge::default(),
            passes_running: Gauge::default(),
            pass_seconds: Histogram::new(PASS_SECONDS),
            passes: Family::default(),
            steps: Family::default(),
            drift_repairs: Family::default(),
            wakes: Counter::default(),
            call_seconds: Family::new_with_constructor(Buckets(&CALL_SECONDS)),
            call_errors: Family::default(),
        }))
    }
}

impl Metrics {
    pub fn queue(&self, waiting: usize, running: usize) {
        self.0.queue_depth.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.0.passes_running.set(i64::try_from(running).unwrap_or(i64::MAX));
    }

    /// A look at one app has ended, one way or the other.
    pub fn pass(&self, result: &'static str, took: Duration) {
        self.0.pass_seconds.observe(took.as_secs_f64());
        self.0.passes.get_or_create(&ResultLabel { result }).inc();
    }

    /// A step changed the world, or could not.
    pub fn step(&self, action: &'static str, result: &'static str) {
        self.0.steps.get_or_create(&StepLabels { action, result }).inc();
    }

    /// A step put back what nobody had asked to be otherwise.
    pub fn drift_repaired(&self, action: &'static str) {
        self.0.drift_repairs.get_or_create(&ActionLabel { action }).inc();
    }

    /// An app that slept is wanted again.
    pub fn woken(&self) {
        self.0.wakes.inc();
    }

    /// Docker has answered, or failed to.
    pub fn call(&self, call: &'static str, took: Duration, failed: bool) {
        let label = CallLabel { call };
        self.0.call_seconds.get_or_create(&label).observe(took.as_secs_f64());
        if failed {
            self.0.call_errors.get_or_create(&label).inc();
        }
    }

    /// Puts all of them into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let Inner {
            queue_depth,
            passes_running,
            pass_seconds,
            passes,
            steps,
            drift_repairs,
            wakes,
            call_seconds,
            call_errors,
        } = &*self.0;
        registry.register("workqueue_depth", "Apps that are to be looked at", queue_depth.clone());
        registry.register("reconcile_running", "Apps that are being looked at", passes_running.clone());
        let name = "reconcile_duration";
        registry.register_with_unit(name, "One look at one app and what was done", Unit::Seconds, pass_seconds.clone());
        registry.register("reconcile", "Looks at apps by how they ended", passes.clone());
        registry.register("steps", "Steps that changed something, or failed to", steps.clone());
        let help = "Steps on apps that were as their manifest says until somebody or something changed them";
        registry.register("drift_repairs", help, drift_repairs.clone());
        registry.register("wakes", "Apps that slept and were woken", wakes.clone());
        let name = "docker_request_duration";
        registry.register_with_unit(
            name,
            "From a request to the head of its answer",
            Unit::Seconds,
            call_seconds.clone(),
        );
        registry.register(
            "docker_request_errors",
            "Requests that Docker refused or did not answer",
            call_errors.clone(),
        );
    }
}
