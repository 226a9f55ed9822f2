//! What a person wants to read about a play that broke something.

use minipaas::engine::sim::Actor;

use super::play::{Played, Player};

impl Player {
    /// Adds a line to the story, after what the daemon did before it.
    pub(super) fn tell(&mut self, line: &str) {
        for entry in
            self.stage.world.docker.journal_since(self.told).iter().filter(|entry| entry.actor == Actor::Daemon)
        {
            self.story.push_str(&format!("     {entry}\n"));
        }
        self.told = self.stage.world.docker.journal_len();
        self.story.push_str(&format!("  {line}\n"));
    }

    pub(super) fn end(mut self) -> Played {
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
