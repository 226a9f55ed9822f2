//! `/api-keys`: keys for programs, which only a signed-in person may see, make and revoke: a key that leaks must not be a
//! way to more keys.

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Person;
use super::code;
use super::envelope::{ApiError, Data, said};
use super::extract::{Id, MaybeBody};
use super::state::PortalState;
use crate::accounts::{ApiKey, KeyId};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it is for; 1 to 64 characters. Names need not differ.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub name: Option<String>,
}

/// A key that was just made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Issued {
    /// The key in clear. Nobody can ask for it again.
    pub secret: Clear,
    #[serde(flatten)]
    pub key: ApiKey,
}

/// A secret on its way to its owner. `Debug` does not show it.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Clear(String);

impl std::fmt::Debug for Clear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clear(…)")
    }
}

/// A key that opens nothing any more.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Revoked {
    pub id: KeyId,
}

pub async fn list(State(state): State<PortalState>, person: Person) -> Result<Data<Vec<ApiKey>>, ApiError> {
    Ok(Data(state.accounts.keys(person.user.id).await?))
}

pub async fn issue(
    State(state): State<PortalState>,
    person: Person,
    MaybeBody(NewKey { name }): MaybeBody<NewKey>,
) -> Result<(StatusCode, Data<Issued>), ApiError> {
    let issued = state.accounts.issue_key(person.user.id, name.as_deref()).await?;
    tracing::info!(user = person.user.name, key = issued.key.id.0, "issued an API key");
    let secret = Clear(issued.secret.reveal().to_owned());
    Ok((StatusCode::CREATED, Data(Issued { secret, key: issued.key })))
}

pub async fn revoke(State(state): State<PortalState>, person: Person, Id(id): Id) -> Result<Data<Revoked>, ApiError> {
    if !state.accounts.revoke_key(person.user.id, KeyId(id)).await? {
        return Err(ApiError::new(
            code::NO_SUCH_KEY,
            said!(
                "you have no API key {id}: `GET /api-keys` lists yours",
                "{id}번 API 키가 없습니다: `GET /api-keys`로 목록을 확인하세요"
            ),
        ));
    }
    tracing::info!(user = person.user.name, key = id, "revoked an API key");
    Ok(Data(Revoked { id: KeyId(id) }))
}
