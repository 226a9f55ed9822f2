//! `GET /npm`: Nginx Proxy Manager, as the daemon looks after it.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::describe::Operation;
use super::envelope::Data;
use super::state::PortalState;
use crate::model::proxy::ProxyStatus;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Npm {
    /// Null where `NPM_URL` is not set: it is looked after by hand.
    pub proxy: Option<ProxyStatus>,
}

pub async fn show(State(state): State<PortalState>) -> Data<Npm> {
    Data(Npm { proxy: state.controller.status().proxy.clone() })
}

pub(super) fn show_described() -> Operation {
    Operation::new("daemon", "showNpm", "Nginx Proxy Manager")
        .more("The hosts that are to be there, what is still to be done, and what it refuses, in its own words.")
        .answers::<Npm>(200, "As it was last seen.")
}
