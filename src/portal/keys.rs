//! `/api-keys`: keys for programs, which only a signed-in person may see, make and revoke: a key that leaks must not be a
//! way to more keys.

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::apps::no_such_app;
use super::caller::{Member, Person};
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{Id, MaybeBody};
use super::state::PortalState;
use crate::accounts::{ApiKey, KeyId, KeyScope, Secret};
use crate::model::AppKey;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewKey {
    /// What it is for; 1 to 64 characters. Names need not differ.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub name: Option<String>,
    /// Nothing but this app, one of yours; it need not be there yet.
    #[serde(default)]
    pub app: Option<AppKey>,
    /// Nothing but deploying.
    #[serde(default)]
    pub deploy_only: bool,
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

impl From<&Secret> for Clear {
    fn from(secret: &Secret) -> Self {
        Self(secret.reveal().to_owned())
    }
}

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

pub(super) fn list_described() -> Operation {
    Operation::new("keys", "listKeys", "Your API keys")
        .in_person()
        .answers::<Vec<ApiKey>>(200, "Oldest first; never the secret.")
}

pub async fn issue(
    State(state): State<PortalState>,
    person: Person,
    MaybeBody(NewKey { name, app, deploy_only }): MaybeBody<NewKey>,
) -> Result<(StatusCode, Data<Issued>), ApiError> {
    if let Some(foreign) = app.as_ref().filter(|app| !Member::from(person.user.clone()).may_see(app)) {
        return Err(no_such_app(foreign));
    }
    let scope = KeyScope { app, deploy_only };
    let issued = state.accounts.issue_narrowed_key(person.user.id, name.as_deref(), scope).await?;
    tracing::info!(user = person.user.name, key = issued.key.id.0, "issued an API key");
    let secret = Clear::from(&issued.secret);
    Ok((StatusCode::CREATED, Data(Issued { secret, key: issued.key })))
}

pub(super) fn issue_described() -> Operation {
    Operation::new("keys", "issueKey", "Make an API key")
        .more("It acts as you. `app` narrows it to one app of yours, `deployOnly` to deploying.")
        .in_person()
        .may_take::<NewKey>(json!({"name": "backup script"}))
        .answers::<Issued>(201, "The key, and its secret: shown this once.")
        .refuses(&[code::BAD_KEY_NAME, code::TOO_MANY_KEYS, code::NO_SUCH_APP])
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

pub(super) fn revoke_described() -> Operation {
    Operation::new("keys", "revokeKey", "Revoke an API key")
        .in_person()
        .answers::<Revoked>(200, "It opens nothing any more.")
        .refuses(&[code::NO_SUCH_KEY])
}
