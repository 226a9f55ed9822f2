//! `/users` (for admins) and `/invitations/{token}` (for whoever has the link).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::auth::{AskedAt, Me, Through, Typed, address, place};
use super::caller::{Caller, Peer};
use super::code;
use super::cookie;
use super::describe::Operation;
use super::edits::edit_quietly;
use super::envelope::{ApiError, Data, said};
use super::extract::{Body, PathText, whole};
use super::state::PortalState;
use crate::accounts::{Invitation, Invited, Person, Role, Visit};
use crate::desired::Change;
use crate::model::{AppKey, RunState, Shown, Timestamp};

/// Somebody who has an account, or is invited to one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// Also the userid of their apps.
    pub name: String,
    pub role: Role,
    pub state: PersonState,
    pub created_at: Timestamp,
    /// Until when an invitation may be taken up; null: there is none, or it is over.
    pub invited_until: Option<Timestamp>,
    /// How many apps they may have; null: as `MAX_APPS_PER_USER` says.
    pub max_apps: Option<u32>,
    /// How many that is.
    pub apps_allowed: u32,
    /// Signing in takes a code of their phone besides the password.
    pub second_step: bool,
    pub apps: Vec<AppKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PersonState {
    /// Has not accepted yet, so has no password.
    Invited,
    /// Has to change the password before anything else.
    MustChangePassword,
    Active,
}

impl PersonView {
    fn new(person: &Person, state: &PortalState) -> Self {
        let word = match (person.has_password, person.user.must_change) {
            (false, _) => PersonState::Invited,
            (true, true) => PersonState::MustChangePassword,
            (true, false) => PersonState::Active,
        };
        Self {
            name: person.user.name.clone(),
            role: person.user.role,
            state: word,
            created_at: person.created_at,
            invited_until: person.invited_until,
            max_apps: person.max_apps,
            apps_allowed: person.max_apps.unwrap_or(state.settings_rx.borrow().max_apps_per_user),
            second_step: person.has_totp,
            apps: apps_of(state, &person.user.name),
        }
    }
}

fn apps_of(state: &PortalState, name: &str) -> Vec<AppKey> {
    state.controller.status().apps.keys().filter(|app| app.user.as_str() == name).cloned().collect()
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Invite {
    #[schemars(extend("pattern" = "^[a-z][a-z0-9]{2,19}$"))]
    pub name: String,
    #[serde(default = "member")]
    pub role: Role,
    /// How many apps they may have; left out or null: as `MAX_APPS_PER_USER` says.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4_294_967_295_u32))]
    pub max_apps: Option<u32>,
}

fn member() -> Role {
    Role::Member
}

/// A link that works once. Nobody can ask for it again.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationLink {
    pub name: String,
    /// For `/invitations/{token}`.
    pub token: String,
    /// Of the page for people, to be put behind the portal's address. What follows the `#` a browser sends to nobody.
    pub path: String,
    /// The same behind the portal's address as the settings have it.
    pub url: String,
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for InvitationLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationLink").field("name", &self.name).finish_non_exhaustive()
    }
}

impl InvitationLink {
    fn new(invited: Invited, state: &PortalState) -> Self {
        let token = invited.token.reveal().to_owned();
        let path = format!("/join#{token}");
        let url = format!("{}{path}", state.settings_rx.borrow().portal_url());
        Self { name: invited.name, path, url, token, expires_at: invited.expires_at }
    }
}

pub async fn list(State(state): State<PortalState>) -> Result<Data<Vec<PersonView>>, ApiError> {
    let people = state.accounts.people().await?;
    Ok(Data(people.iter().map(|person| PersonView::new(person, &state)).collect()))
}

pub(super) fn list_described() -> Operation {
    Operation::new("people", "listUsers", "Everybody who has an account or is invited")
        .answers::<Vec<PersonView>>(200, "By name.")
}

pub async fn show(State(state): State<PortalState>, PathText(name): PathText) -> Result<Data<PersonView>, ApiError> {
    let person = state.accounts.person(&name).await?.ok_or_else(|| no_such_user(&name))?;
    Ok(Data(PersonView::new(&person, &state)))
}

pub(super) fn show_described() -> Operation {
    Operation::new("people", "showUser", "One person")
        .answers::<PersonView>(200, "Role, state, and the names of their apps.")
        .refuses(&[code::NO_SUCH_USER])
}

pub async fn invite(
    State(state): State<PortalState>,
    caller: Caller,
    Body(Invite { name, role, max_apps }): Body<Invite>,
) -> Result<(StatusCode, Data<InvitationLink>), ApiError> {
    let invited = state.accounts.invite(&name, role, max_apps).await?;
    tracing::info!(user = name, role = role.word(), by = %caller, "invited");
    Ok((StatusCode::CREATED, Data(InvitationLink::new(invited, &state))))
}

pub(super) fn invite_described() -> Operation {
    Operation::new("people", "inviteUser", "Invite somebody")
        .more(
            "The link works once, for seven days, and lets them choose a password. Their name is the userid of their \
             apps.",
        )
        .takes::<Invite>(json!({"name": "alice", "role": "member"}))
        .answers::<InvitationLink>(201, "The link: shown this once.")
        .refuses(&[code::BAD_NAME, code::USER_EXISTS])
}

pub async fn invite_again(
    State(state): State<PortalState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<(StatusCode, Data<InvitationLink>), ApiError> {
    let invited = state.accounts.invite_again(&name).await?;
    tracing::info!(user = invited.name, by = %caller, "invited again");
    Ok((StatusCode::CREATED, Data(InvitationLink::new(invited, &state))))
}

pub(super) fn invite_again_described() -> Operation {
    Operation::new("people", "inviteAgain", "A new link for somebody who lost theirs, or their password")
        .more("The link before opens nothing any more. A password goes on until the new link is used.")
        .answers::<InvitationLink>(201, "The link: shown this once.")
        .refuses(&[code::NO_SUCH_USER])
}

/// What is left out stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Patch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How many apps they may have; null: as `MAX_APPS_PER_USER` says. What they have beyond that stays.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(max = 4_294_967_295_u32))]
    pub max_apps: Option<MaxApps>,
}

/// A quota, or `None` for what the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxApps(pub Option<u32>);

/// Tells null from what is left out.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<MaxApps>, D::Error> {
    whole(value).map(|max_apps| Some(MaxApps(max_apps)))
}

pub async fn change(
    State(state): State<PortalState>,
    caller: Caller,
    PathText(name): PathText,
    Body(Patch { role, max_apps }): Body<Patch>,
) -> Result<Data<PersonView>, ApiError> {
    if let Some(role) = role {
        state.accounts.set_role(&name, role).await?;
        tracing::info!(user = name, role = role.word(), by = %caller, "changed the role");
    }
    if let Some(MaxApps(max_apps)) = max_apps {
        state.accounts.set_quota(&name, max_apps).await?;
        tracing::info!(user = name, ?max_apps, by = %caller, "changed the quota");
    }
    show(State(state), PathText(name)).await
}

pub(super) fn change_described() -> Operation {
    Operation::new("people", "changeUser", "Change what somebody may do")
        .more(
            "What is left out stays. A role counts from their next request on; streams that they have open end. A \
             quota (`maxApps`) refuses new apps and stops none.",
        )
        .takes::<Patch>(json!({"role": "member", "maxApps": 3}))
        .answers::<PersonView>(200, "As they are now.")
        .refuses(&[code::NO_SUCH_USER, code::LAST_ADMIN])
}

/// For somebody who has lost their phone, and the recovery codes with it.
pub async fn remove_totp(
    State(state): State<PortalState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<Data<PersonView>, ApiError> {
    let person = state.accounts.person(&name).await?.ok_or_else(|| no_such_user(&name))?;
    // A session that was left open must not be a way around the step that its bearer has.
    if caller.member().is_some_and(|member| member.name == person.user.name) {
        return Err(ApiError::new(
            code::OWN_SECOND_STEP,
            said!(
                "your own second step takes your password and a code: switch it off with `DELETE /auth/totp`, or with `paas user \
                 totp-off {name}` on the server",
                "자신의 두 번째 확인은 비밀번호와 숫자가 있어야 끌 수 있습니다: `DELETE /auth/totp`로 끄거나, 서버에서 `paas user \
                 totp-off {name}`을 실행하세요"
            ),
        ));
    }
    if state.accounts.remove_totp(&person.user).await? {
        tracing::info!(user = name, by = %caller, "switched off the second step of somebody");
    }
    show(State(state), PathText(name)).await
}

pub(super) fn remove_totp_described() -> Operation {
    Operation::new("people", "removeTotp", "Switch off the second step of somebody")
        .more("For whoever has lost their phone, and the recovery codes with it. The password goes on.")
        .answers::<PersonView>(200, "As they are now.")
        .refuses(&[code::NO_SUCH_USER, code::OWN_SECOND_STEP])
}

/// What becomes of the apps of somebody who leaves. Their data stays in each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AppsThen {
    /// They go on.
    Keep,
    Stop,
    /// Containers go, data stays.
    Delete,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    pub apps: AppsThen,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    pub name: String,
    /// Whose manifests now say so, or that were kept.
    pub apps: Vec<AppKey>,
    /// Those whose manifest could not be changed: see to them yourself.
    pub failed: Vec<NotChanged>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotChanged {
    pub app: AppKey,
    pub reason: String,
}

/// The person first: whatever hinders an app, they are out.
pub async fn remove(
    State(state): State<PortalState>,
    caller: Caller,
    PathText(name): PathText,
    Body(Remove { apps: then }): Body<Remove>,
) -> Result<Data<Removed>, ApiError> {
    state.accounts.remove_person(&name).await?;
    tracing::info!(user = name, by = %caller, "removed a person");
    let changes = match then {
        AppsThen::Keep => Vec::new(),
        AppsThen::Stop => vec![Change::State(RunState::Stopped)],
        AppsThen::Delete => vec![Change::State(RunState::Deleted), Change::KeepData(Some(true)), Change::Version(None)],
    };
    let mut removed = Removed { apps: Vec::new(), failed: Vec::new(), name };
    for app in apps_of(&state, &removed.name) {
        let edited =
            if changes.is_empty() { Ok(()) } else { edit_quietly(&state, &caller, app.clone(), changes.clone()).await };
        match edited {
            Ok(()) => removed.apps.push(app),
            Err(error) => removed.failed.push(NotChanged { app, reason: error.text.english }),
        }
    }
    Ok(Data(removed))
}

pub(super) fn remove_described() -> Operation {
    Operation::new("people", "removeUser", "Remove somebody, and say what becomes of their apps")
        .more(
            "Their sessions, keys and invitation end at once, and so do the invitation links and passwords of their sites. `delete` \
             keeps the data of the apps.",
        )
        .takes::<Remove>(json!({"apps": "keep"}))
        .answers::<Removed>(200, "What was done to which app.")
        .refuses(&[code::NO_SUCH_USER, code::LAST_ADMIN])
}

/// Whose an invitation is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    pub name: String,
    pub role: Role,
    /// It mends a forgotten password; otherwise it opens the account.
    pub is_reset: bool,
    /// It takes a code of the second step besides.
    pub needs_code: bool,
    pub expires_at: Timestamp,
}

pub async fn invitation(
    State(state): State<PortalState>,
    PathText(token): PathText,
) -> Result<Data<InvitationView>, ApiError> {
    let found = state.accounts.invitation(&token).await?.ok_or_else(no_such_invitation)?;
    let Invitation { user, is_reset, needs_code, expires_at } = found;
    Ok(Data(InvitationView { name: user.name, role: user.role, is_reset, needs_code, expires_at }))
}

pub(super) fn invitation_described() -> Operation {
    Operation::new("people", "showInvitation", "Whose an invitation is")
        .answers::<InvitationView>(200, "It can be taken up.")
        .refuses(&[code::NO_SUCH_INVITATION, code::STORE_UNAVAILABLE])
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// 8 characters or more, 72 bytes at most.
    password: Typed,
    /// Only where the invitation says `needsCode`: the six digits that the phone shows, or a recovery code.
    code: Option<Typed>,
}

/// Signs them in at once.
pub async fn accept(
    State(state): State<PortalState>,
    peer: Peer,
    asked: AskedAt,
    PathText(token): PathText,
    Body(Accept { password, code }): Body<Accept>,
) -> Result<(HeaderMap, Data<Me>), ApiError> {
    let code = code.as_ref().map(Typed::text);
    let visit = Visit { from: address(peer), place: place(peer), first_word: None, code, agent: asked.agent() };
    let begun = state.accounts.accept(&token, password.text(), &visit).await?;
    let cookie = cookie::begin(&state.settings_rx.borrow(), begun.token.reveal(), begun.life);
    let cookies = asked.with_cookie(&state, cookie)?;
    let user = begun.session.user;
    let me = Me { username: Some(user.name), role: user.role, must_change_password: false, through: Through::Session };
    Ok((cookies, Data(me)))
}

pub(super) fn accept_described() -> Operation {
    Operation::new("people", "acceptInvitation", "Choose a password and come in")
        .more("Uses the link up, ends every session there was, and sets the session cookie.")
        .takes::<Accept>(json!({"password": "correct horse"}))
        .answers::<super::auth::Me>(200, "Signed in.")
        .refuses(&[
            code::NO_SUCH_INVITATION,
            code::BAD_PASSWORD,
            code::CODE_NEEDED,
            code::WRONG_CODE,
            code::TOO_MANY_LOGINS,
            code::BUSY,
            code::STORE_UNAVAILABLE,
        ])
}

pub(super) fn no_such_invitation() -> ApiError {
    ApiError::new(
        code::NO_SUCH_INVITATION,
        said!(
            "this invitation does not work: it was used, is older than seven days, or a newer one has taken its place; ask for a \
             new one",
            "이 초대 링크는 더 이상 쓸 수 없어요. 이미 사용했거나, 7일이 지났거나, 새 링크가 만들어졌을 수 있어요. 새 링크를 부탁해 보세요"
        ),
    )
}

pub(super) fn no_such_user(name: &str) -> ApiError {
    let name = Shown::at_most(name, 40);
    ApiError::new(
        code::NO_SUCH_USER,
        said!("there is no user `{name}`: see `GET /users`", "`{name}` 사용자가 없습니다: `GET /users`를 보세요"),
    )
}
