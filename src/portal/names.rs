//! `GET /names/{userid}/{appname}`: what a new app of that name would be, for whoever is typing one.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::describe::Operation;
use super::edits::{blocking, refusal};
use super::envelope::{ApiError, Data};
use super::extract::{App, bad_name};
use super::state::PortalState;
use crate::desired::{ManifestDir, parse};
use crate::model::{Health, RunState};

/// A name that somebody thinks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameView {
    /// Where the app would answer.
    pub url: String,
    /// An app has it, or is still being removed.
    pub taken: bool,
}

/// A name that breaks the rules is refused, with the rule; what is taken is no refusal. Nothing is kept free by asking.
pub async fn look(State(state): State<PortalState>, App(key): App) -> Result<Data<NameView>, ApiError> {
    key.allowed_for_new().map_err(|error| bad_name(&error))?;
    let settings = state.settings_rx.borrow().clone();
    let url = settings.app_url(&key.host(&settings.domain));
    let status = state.controller.status();
    let gone = status.apps.get(&key).is_none_or(|app| app.health == Health::Deleted);
    let dir = ManifestDir::new(settings.manifests_dir.clone());
    // A file that the daemon has not looked at yet counts as well.
    let current = blocking({
        let key = key.clone();
        move || dir.read(&key).map_err(refusal)
    })
    .await?;
    let alive = current.is_some_and(|current| {
        let manifest = parse(&key.file_name(), current.text.as_bytes());
        manifest.map_or(true, |manifest| manifest.state != RunState::Deleted)
    });
    Ok(Data(NameView { url, taken: alive || !gone }))
}

pub(super) fn look_described() -> Operation {
    Operation::new("apps", "lookAtName", "Whether a new app may have a name, and where it would answer")
        .more("For whoever is typing one. Quotas are judged when it is made.")
        .answers::<NameView>(200, "The address, and whether somebody has it already.")
        .refuses(&[code::NOT_EDITABLE, code::BUSY, code::MANIFESTS_UNAVAILABLE, code::STOPPING])
}
