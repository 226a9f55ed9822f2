//! How many sites the machine's memory holds: told before it is full.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::PortalState;
use crate::machine;
use crate::model::memory::MemoryReading;
use crate::model::{Bytes, ConditionKind, Health, Settings};

/// The machine's memory as the apps share it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomView {
    /// Apps that run now.
    pub awake: u32,
    /// Apps that sleep until somebody comes.
    pub asleep: u32,
    /// Apps that are not started for want of memory.
    pub waiting: u32,
    /// About how many could run at once, were all as large as those that run; null where that is not known.
    pub fits: Option<u32>,
    /// What those that run hold on average; null when none does, or the kernel does not tell.
    pub site_bytes: Option<u64>,
    /// What is kept free (`PAAS_MEMORY_RESERVE`).
    pub reserve_bytes: u64,
    /// For how much of the last ten seconds somebody waited for memory, in percent; null where the kernel does not tell.
    pub pressure_percent: Option<f64>,
}

impl RoomView {
    /// As people say it.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let fits = self.fits?;
        let asleep = if self.asleep > 0 { format!(", {} asleep", self.asleep) } else { String::new() };
        Some(format!("{} of about {fits} sites of this size are awake{asleep}", self.awake))
    }
}

pub(super) async fn look(state: &PortalState) -> RoomView {
    let held = match &state.usage {
        Some(usage) => Arc::clone(usage).held().await,
        None => Vec::new(),
    };
    let status = state.controller.status();
    let settings = state.settings_rx.borrow().clone();
    let runs = |health| matches!(health, Health::Running | Health::Degraded | Health::CrashLoop);
    let count = |wanted: &dyn Fn(&crate::model::AppStatus) -> bool| {
        u32::try_from(status.apps.values().filter(|app| wanted(app)).count()).unwrap_or(u32::MAX)
    };
    let counts = Counts {
        awake: count(&|app| app.endpoint.is_some() || runs(app.health)),
        asleep: count(&|app| app.health == Health::Asleep),
        waiting: count(&|app| app.condition(ConditionKind::NotEnoughMemory).is_some()),
    };
    judged(counts, &held, machine::look(), &settings)
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    awake: u32,
    asleep: u32,
    waiting: u32,
}

/// `held`: what each app that runs holds.
fn judged(counts: Counts, held: &[u64], reading: Option<MemoryReading>, settings: &Settings) -> RoomView {
    let Counts { awake, asleep, waiting } = counts;
    let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
    let site_bytes = held.iter().sum::<u64>().checked_div(count).filter(|size| *size > 0);
    let reserve = reading.map_or(Bytes(0), |reading| settings.memory_reserve.of(reading.total));
    let fits = site_bytes.zip(reading).map(|(size, reading)| {
        let more = reading.available.0.saturating_sub(reserve.0) / size;
        awake.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
    });
    let pressure_percent = reading.and_then(|reading| reading.pressure).map(|pressure| f64::from(pressure) / 100.0);
    RoomView { awake, asleep, waiting, fits, site_bytes, reserve_bytes: reserve.0, pressure_percent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_more_fit_as_what_is_not_kept_free_has_room_for() {
        let settings = Settings::defaults("/paas");
        let counts = Counts { awake: 3, asleep: 290, waiting: 0 };
        let reading = |available| MemoryReading {
            total: Bytes::mib(1000),
            available: Bytes::mib(available),
            pressure: Some(150),
        };
        let held = [30, 40, 50].map(|mib| Bytes::mib(mib).0);
        let view = judged(counts, &held, Some(reading(540)), &settings);
        assert_eq!((view.site_bytes, view.fits), (Some(40 << 20), Some(14)));
        assert_eq!(view.pressure_percent.map(|percent| percent.to_string()).as_deref(), Some("1.5"));
        assert_eq!(view.told().unwrap(), "3 of about 14 sites of this size are awake, 290 asleep");
        assert_eq!(judged(counts, &held, Some(reading(50)), &settings).fits, Some(3), "it is full");
        assert_eq!(judged(counts, &[], Some(reading(540)), &settings).told(), None);
        assert_eq!(judged(counts, &held, None, &settings).told(), None);
    }
}
