//! `/auth/totp`: the second step of signing in, for whoever wants one.

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::auth::{Typed, address};
use super::caller::{Peer, Person};
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data};
use super::extract::Body;
use super::keys::Clear;
use super::state::PortalState;
use crate::accounts::SecondStep;

/// Where the second step stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotpView {
    pub state: TotpState,
    /// Each is good once. 0 where it is not on.
    pub recovery_codes_left: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TotpState {
    Off,
    /// A secret was shown, and no code of it was sent yet: signing in takes none.
    Begun,
    On,
}

impl From<SecondStep> for TotpView {
    fn from(step: SecondStep) -> Self {
        let (state, recovery_codes_left) = match step {
            SecondStep::Off => (TotpState::Off, 0),
            SecondStep::Begun => (TotpState::Begun, 0),
            SecondStep::On { recovery_codes_left } => (TotpState::On, recovery_codes_left),
        };
        Self { state, recovery_codes_left }
    }
}

pub async fn show(State(state): State<PortalState>, person: Person) -> Result<Data<TotpView>, ApiError> {
    Ok(Data(state.accounts.totp(&person.user).await?.into()))
}

pub(super) fn show_described() -> Operation {
    Operation::new("auth", "showTotp", "Whether signing in takes a second step")
        .in_person()
        .answers::<TotpView>(200, "And how many recovery codes are left.")
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Begin {
    pub current_password: Typed,
}

/// A secret for an authenticator app. Nobody can ask for it again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Begun {
    /// To be typed.
    pub secret: Clear,
    /// To be shown as a QR code.
    pub uri: Clear,
}

pub async fn begin(
    State(state): State<PortalState>,
    peer: Peer,
    person: Person,
    Body(Begin { current_password }): Body<Begin>,
) -> Result<(StatusCode, Data<Begun>), ApiError> {
    let begun = state.accounts.begin_totp(&person.user, current_password.text(), address(peer)).await?;
    Ok((StatusCode::CREATED, Data(Begun { secret: (&begun.secret).into(), uri: (&begun.uri).into() })))
}

pub(super) fn begin_described() -> Operation {
    Operation::new("auth", "beginTotp", "Begin with a second step")
        .more(
            "For an authenticator app (RFC 6238). Nothing changes until `POST /auth/totp/confirm` with its first code.",
        )
        .in_person()
        .takes::<Begin>(json!({"currentPassword": "correct horse"}))
        .answers::<Begun>(201, "The secret: shown this once.")
        .refuses(&[code::WRONG_PASSWORD, code::SECOND_STEP_ON, code::TOO_MANY_LOGINS, code::BUSY])
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The six digits that the phone shows.
    pub code: Typed,
}

/// Shown this once.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmed {
    /// Each opens once in place of the phone.
    pub recovery_codes: Vec<Clear>,
}

pub async fn confirm(
    State(state): State<PortalState>,
    peer: Peer,
    person: Person,
    Body(Confirm { code }): Body<Confirm>,
) -> Result<Data<Confirmed>, ApiError> {
    let codes = state.accounts.confirm_totp(&person.user, code.text(), address(peer)).await?;
    Ok(Data(Confirmed { recovery_codes: codes.iter().map(Clear::from).collect() }))
}

pub(super) fn confirm_described() -> Operation {
    Operation::new("auth", "confirmTotp", "Switch the second step on")
        .more("From here on `POST /auth/login` takes `code`. Sessions and API keys that are there go on.")
        .in_person()
        .takes::<Confirm>(json!({"code": "123456"}))
        .answers::<Confirmed>(200, "Ten recovery codes: shown this once.")
        .refuses(&[code::WRONG_CODE, code::SECOND_STEP_NOT_BEGUN, code::TOO_MANY_LOGINS])
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct End {
    pub current_password: Typed,
    /// The six digits that the phone shows, or a recovery code.
    pub code: Typed,
}

pub async fn end(
    State(state): State<PortalState>,
    peer: Peer,
    person: Person,
    Body(End { current_password, code }): Body<End>,
) -> Result<Data<TotpView>, ApiError> {
    state.accounts.end_totp(&person.user, current_password.text(), code.text(), address(peer)).await?;
    show(State(state), person).await
}

pub(super) fn end_described() -> Operation {
    Operation::new("auth", "endTotp", "Switch the second step off")
        .more("Takes the password and a code.")
        .in_person()
        .takes::<End>(json!({"currentPassword": "correct horse", "code": "123456"}))
        .answers::<TotpView>(200, "It is off.")
        .refuses(&[code::WRONG_PASSWORD, code::WRONG_CODE, code::TOO_MANY_LOGINS, code::BUSY])
}
