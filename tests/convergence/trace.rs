//! What a person wants to read about a run that broke something.

use minipaas::engine::faulty::CallRecord;

use crate::end_state::end_state;
use crate::fault::Injection;
use crate::world::Run;

impl Run<'_> {
    pub(crate) fn trace(&self, calls: &[CallRecord]) -> String {
        let mut text = String::new();
        let mut add = |title: &str, lines: Vec<String>| {
            text.push_str(&format!("  -- {title}\n"));
            for line in lines {
                text.push_str(&format!("     {line}\n"));
            }
        };
        add("what was done", self.script.steps.iter().map(|step| step.sentence.to_owned()).collect());
        let around = |call: &&CallRecord| {
            let injected = self.injections.first().and_then(Injection::call);
            injected.is_none_or(|injected| call.number + 25 > injected && call.number < injected + 140)
        };
        add("calls around the fault", calls.iter().filter(around).take(170).map(ToString::to_string).collect());
        let journal = self.world.docker.journal();
        add("Docker's journal", journal.iter().rev().take(40).rev().map(ToString::to_string).collect());
        let now = end_state(&self.world, self.daemon.as_ref());
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
