//! What a person wants to read about a run that broke something.

use minipaas::engine::sim::Actor;

use super::run::{Outcome, RandomRun};

impl RandomRun {
    /// Adds a line to the trace, after what the daemon did before it.
    pub(super) fn tell(&mut self, line: &str) {
        for entry in
            self.harness.world.docker.journal_since(self.told).iter().filter(|entry| entry.actor == Actor::Daemon)
        {
            self.trace.push_str(&format!("     {entry}\n"));
        }
        self.told = self.harness.world.docker.journal_len();
        self.trace.push_str(&format!("  {line}\n"));
    }

    pub(super) fn end(mut self) -> Outcome {
        let journal = self.harness.world.docker.journal();
        let changes: Vec<_> = journal.iter().map(ToString::to_string).collect();
        let changes = changes.join("\n");
        if !self.failed() {
            return Outcome { changes, ..Outcome::default() };
        }
        self.tell("-- and here it was found:");
        for violation in self.harness.violations.clone() {
            self.tell(&violation);
        }
        let calls = self.harness.world.injector.calls();
        self.tell("-- calls with a fault, and the last ones");
        let injected = calls.iter().enumerate().filter(|(at, call)| call.injected.is_some() || at + 25 > calls.len());
        for (_, call) in injected {
            self.trace.push_str(&format!("     {call}\n"));
        }
        self.tell("-- the end");
        for line in self.harness.world.docker.end_state().lines() {
            self.trace.push_str(&format!("     {line}\n"));
        }
        for app in self.harness.daemon.iter().flat_map(|daemon| daemon.status().apps.clone().into_values()) {
            self.trace.push_str(&format!("     {}: {:?} {:?} {:?}\n", app.app, app.desired, app.sync, app.health));
            for condition in &app.conditions {
                self.trace
                    .push_str(&format!("       {:?} {}: {}\n", condition.kind, condition.reason, condition.message));
            }
        }
        Outcome { violations: self.harness.violations, trace: self.trace, changes }
    }
}
