//! P23: no request to an app that may sleep is refused or lost, and none falls asleep whom somebody has just visited.

use std::time::Duration;

use minipaas::engine::sim::{Actor, JournalEntry};
use minipaas::model::{DaemonStatus, Health, Sleep};
use minipaas::testing::seams::World;
use minipaas::testing::visitors::{Request, Stage};
use tokio::time::Instant;

use crate::history;
use crate::oracle::owner;

/// So long the gateway holds a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Who was cut off, or waits for longer than they may.
pub(crate) fn lost(world: &World, patience: Option<Duration>) -> Vec<String> {
    let now = Instant::now();
    let mut broken: Vec<String> = world.visitors.lost().into_iter().map(|text| format!("P23 {text}")).collect();
    for request in world.visitors.requests() {
        let until = match request.stage {
            Stage::Answered(at) => at,
            Stage::Waits | Stage::Runs { .. } => now,
        };
        let waited = until.saturating_duration_since(request.came);
        if patience.is_some_and(|patience| waited > patience + request.takes) {
            broken.push(format!("P23 a request for {} waited for longer than anybody is held", request.app));
        }
    }
    broken
}

/// Of an app that can be woken nobody is left outside.
pub(crate) fn unanswered_at_rest(world: &World, status: &DaemonStatus) -> Vec<String> {
    let now = Instant::now();
    let waits = world.visitors.requests().into_iter().filter(|request| {
        let is_up = |app: &minipaas::model::AppKey| {
            status.apps.get(app).is_some_and(|app| matches!(app.health, Health::Running | Health::Asleep))
        };
        request.came + PATIENCE < now && !matches!(request.stage, Stage::Answered(_)) && is_up(&request.app)
    });
    waits.map(|request| format!("P23 a request for {} was never answered", request.app)).collect()
}

/// Stopped for the night within the time that its manifest grants after the last visitor.
pub(crate) fn asleep_too_early(world: &World, news: &[JournalEntry]) -> Vec<String> {
    let mut broken = Vec::new();
    // Where memory is short, whoever may sleep does so early.
    if world.docker.memory().is_some() {
        return broken;
    }
    let stops = news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.call == "stop" && entry.changed());
    for entry in stops {
        let Some(row) = owner(world, &entry.labels).and_then(|key| world.store.row(&key)) else { continue };
        let (Some(_), Some(Sleep::After(after))) = (row.asleep, row.manifest.sleep) else { continue };
        let stopped = history::origin(world) + entry.at;
        let too_soon = |request: &Request| match request.stage {
            Stage::Answered(left) => request.app == row.key && left <= stopped && stopped < left + after.duration(),
            Stage::Waits | Stage::Runs { .. } => false,
        };
        if world.visitors.requests().iter().any(too_soon) {
            broken.push(format!("P23 {} fell asleep too soon after its last visitor", row.key));
        }
    }
    broken
}
