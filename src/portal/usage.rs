//! `GET /usage` and `GET /apps/{userid}/{appname}/usage`: what apps use of processor, memory and disk, now and over the last day.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::apps::find;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data};
use super::extract::App;
use super::state::PortalState;
use crate::model::{AppKey, AppStatus, Timestamp};
use crate::usage::ring::{EVERY_SECONDS, Point, Used};

/// What an app uses; null: not known, or nothing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsedView {
    /// Thousandths of a core, on average since the sample before.
    pub cpu_millis: Option<u16>,
    pub memory_bytes: Option<u64>,
    /// Of its data.
    pub disk_bytes: Option<u64>,
}

impl From<Used> for UsedView {
    fn from(used: Used) -> Self {
        let bytes = |kib: u32| u64::from(kib) * 1024;
        Self { cpu_millis: used.cpu, memory_bytes: used.memory_kib.map(bytes), disk_bytes: used.disk_kib.map(bytes) }
    }
}

/// A sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleView {
    pub at: Timestamp,
    #[serde(flatten)]
    pub used: UsedView,
}

/// What an app may use; null while that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsView {
    pub cpu_millis: u32,
    pub memory_bytes: u64,
}

/// One app's last day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    pub limits: Option<LimitsView>,
    pub now: UsedView,
    /// Between two samples.
    pub every_seconds: u64,
    /// The last 24 hours, oldest first; a sample in which nothing was known is left out.
    pub samples: Vec<SampleView>,
}

/// One app's last day in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShortUsageView {
    pub app: AppKey,
    pub limits: Option<LimitsView>,
    pub now: UsedView,
    /// The most within each of the last 24 hours, the present one last; empty when none of them is known.
    pub cpu_millis: Vec<Option<u16>>,
    pub memory_bytes: Vec<Option<u64>>,
}

pub async fn of_app(State(state): State<PortalState>, App(key): App) -> Result<Data<UsageView>, ApiError> {
    let status = find(&state, &key)?;
    let (points, now) = match &state.usage {
        Some(usage) => Arc::clone(usage).of(key).await,
        None => Default::default(),
    };
    let samples = points.iter().map(|point| SampleView { at: at(point), used: point.used.into() });
    Ok(Data(UsageView {
        limits: limits(&status),
        now: now.into(),
        every_seconds: EVERY_SECONDS,
        samples: samples.collect(),
    }))
}

pub(super) fn of_app_described() -> Operation {
    Operation::new("apps", "showUsage", "What an app uses, now and over the last day")
        .more(
            "Processor, memory and disk every five minutes. Memory is what the app itself holds, without what the kernel keeps of \
             files as long as nobody needs the room. The disk is measured about once an hour.",
        )
        .answers::<UsageView>(200, "Against its limits; empty where the kernel does not tell.")
        .refuses(&[code::STARTING])
}

pub async fn of_all(State(state): State<PortalState>, caller: Caller) -> Data<Vec<ShortUsageView>> {
    let Some(usage) = state.usage.clone() else { return Data(Vec::new()) };
    let status = state.controller.status();
    let (now, all) = usage.all().await;
    let own = all.into_iter().filter(|(app, _)| caller.may_see(app));
    Data(own.filter_map(|(app, (points, used))| Some(short(status.apps.get(&app)?, &points, used, now))).collect())
}

pub(super) fn of_all_described() -> Operation {
    Operation::new("apps", "listUsage", "What your apps use; for an admin all of them")
        .more("As `GET /apps/{userid}/{appname}/usage`, the last day in hours.")
        .answers::<Vec<ShortUsageView>>(200, "In order of their names.")
}

const HOUR_MILLIS: i64 = 3_600_000;

fn short(status: &AppStatus, points: &[Point], used: Used, now: i64) -> ShortUsageView {
    let mut cpu_millis = vec![None; 24];
    let mut memory_bytes = vec![None; 24];
    let last = now / HOUR_MILLIS;
    for point in points.iter().map(|point| (at(point).0, point.used)).chain([(now, used)]) {
        let (at, used) = (point.0, UsedView::from(point.1));
        let Some(hour) = usize::try_from(at / HOUR_MILLIS - last + 23).ok().filter(|hour| *hour < 24) else { continue };
        cpu_millis[hour] = cpu_millis[hour].max(used.cpu_millis);
        memory_bytes[hour] = memory_bytes[hour].max(used.memory_bytes);
    }
    if cpu_millis.iter().all(Option::is_none) && memory_bytes.iter().all(Option::is_none) {
        cpu_millis.clear();
        memory_bytes.clear();
    }
    ShortUsageView { app: status.app.clone(), limits: limits(status), now: used.into(), cpu_millis, memory_bytes }
}

fn at(point: &Point) -> Timestamp {
    Timestamp(i64::try_from(point.at * 1000).unwrap_or(i64::MAX))
}

fn limits(status: &AppStatus) -> Option<LimitsView> {
    let limits = status.limits?;
    Some(LimitsView { cpu_millis: limits.cpus.0, memory_bytes: limits.memory.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunState;

    #[test]
    fn each_hour_tells_its_most() {
        let app = AppKey::parse("alice-diary").unwrap();
        let status = AppStatus::unseen(&app, RunState::Running, None, "localhost");
        let used = |cpu, memory_kib| Used { cpu, memory_kib, disk_kib: Some(3) };
        let now = 1_000 * HOUR_MILLIS + 60_000;
        let hour = |hour: u64, minute: u64| (976 + hour) * 3600 + minute * 60;
        let points = [
            // Before the first of the 24.
            Point { at: hour(0, 5), used: used(Some(999), None) },
            Point { at: hour(1, 5), used: used(Some(10), Some(4)) },
            Point { at: hour(1, 10), used: used(Some(30), Some(2)) },
            Point { at: hour(1, 15), used: used(None, None) },
        ];
        assert!(
            short(&status, &[], used(None, None), now).cpu_millis.is_empty(),
            "of many asleep there is little to tell"
        );
        let short = short(&status, &points, used(None, Some(7)), now);
        assert_eq!(short.cpu_millis[..2], [Some(30), None]);
        assert_eq!(short.memory_bytes[0], Some(4096));
        assert_eq!(
            (short.memory_bytes[23], short.cpu_millis[23], short.now.disk_bytes),
            (Some(7168), None, Some(3072))
        );
    }
}
