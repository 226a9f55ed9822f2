//! `GET /settings`: what is in force, where each value comes from, and what the machine has left.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::describe::Operation;
use super::edits::blocking;
use super::envelope::{ApiError, Data};
use super::room::{self, RoomView};
use super::state::PortalState;
use crate::settings::{Origin, in_force};

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OriginView {
    /// Nobody has set it.
    Default,
    /// A line of the settings file.
    File,
    /// A variable of the daemon's environment, which wins over the file.
    Environment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingView {
    pub name: String,
    /// In force now; null for a secret, which is not shown.
    pub value: Option<String>,
    pub origin: OriginView,
    /// 1-based, of the file.
    pub line: Option<u32>,
    /// A change takes a restart of the daemon.
    pub restart: bool,
}

/// What the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineView {
    /// Of the disk that the apps' folders are on; null when it cannot be asked.
    pub disk_free_bytes: Option<u64>,
    pub disk_total_bytes: Option<u64>,
    /// Of the machine, as the kernel estimates what a new program could have.
    pub memory_free_bytes: Option<u64>,
    pub memory_total_bytes: Option<u64>,
    /// The daemon's own, without the pages of its program.
    pub daemon_memory_bytes: Option<u64>,
    /// Among how many apps it is shared.
    pub room: RoomView,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsView {
    /// The settings file.
    pub file: String,
    pub settings: Vec<SettingView>,
    pub machine: MachineView,
}

pub async fn show(State(state): State<PortalState>) -> Result<Data<SettingsView>, ApiError> {
    let room = room::look(&state).await;
    let settings = state.settings_rx.borrow().clone();
    let source = state.settings_source.clone();
    blocking(move || {
        let told = in_force(&settings, source.as_ref());
        let file = source.map(|source| source.file().display().to_string()).unwrap_or_default();
        let view = told.into_iter().map(|one| {
            let (origin, line) = match one.origin {
                Origin::Default => (OriginView::Default, None),
                Origin::File { line } => (OriginView::File, Some(line)),
                Origin::Environment => (OriginView::Environment, None),
            };
            SettingView { name: one.name.to_owned(), value: one.value, origin, line, restart: one.restart }
        });
        Ok(Data(SettingsView { file, settings: view.collect(), machine: machine(&settings.apps_dir, room) }))
    })
    .await
}

pub(super) fn show_described() -> Operation {
    Operation::new("daemon", "showSettings", "The settings in force, and what the machine has left")
        .more("Each with where it comes from. Secrets are not shown.")
        .answers::<SettingsView>(200, "In the order of `.env.example`.")
        .refuses(&[code::STOPPING])
}

fn machine(apps: &std::path::Path, room: RoomView) -> MachineView {
    let disk = rustix::fs::statvfs(apps).ok();
    let bytes = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let kib =
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
    };
    MachineView {
        disk_free_bytes: disk.as_ref().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        disk_total_bytes: disk.map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
        memory_free_bytes: bytes("/proc/meminfo", "MemAvailable:"),
        memory_total_bytes: bytes("/proc/meminfo", "MemTotal:"),
        room,
        daemon_memory_bytes: bytes("/proc/self/status", "RssAnon:"),
    }
}
