//! `POST /confirm` and `POST /resync`: the only things that are asked of the controller rather than written to a file.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::envelope::{ApiError, Data};
use super::extract::Body;
use super::state::PortalState;
use crate::controller::ConfirmError;
use crate::model::AppKey;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// `held.token` of the status: it names exactly the apps that were shown.
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confirmed {
    /// The apps that are now removed.
    pub apps: Vec<AppKey>,
}

pub async fn confirm(
    State(state): State<PortalState>,
    Body(Confirm { token }): Body<Confirm>,
) -> Result<Data<Confirmed>, ApiError> {
    match state.controller.confirm(token).await {
        Ok(apps) => Ok(Data(Confirmed { apps })),
        Err(error) => {
            let message = error.to_string();
            Err(match error {
                ConfirmError::NothingHeld => ApiError::conflict("nothing-held", message),
                ConfirmError::Changed { .. } => ApiError::conflict("token-changed", message),
                ConfirmError::Stopping => ApiError::unavailable("stopping", message),
            })
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resyncing {
    pub resync: String,
}

/// Answers 202: the pass has been asked for, not waited for.
pub async fn resync(State(state): State<PortalState>) -> (StatusCode, Data<Resyncing>) {
    state.controller.resync().await;
    (StatusCode::ACCEPTED, Data(Resyncing { resync: "requested".to_owned() }))
}
