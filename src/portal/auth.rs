//! `/auth`: signing in and out, who one is, and the password.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, State};
use axum::http::header::{InvalidHeaderValue, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::caller::{Caller, Peer, Person};
use super::code;
use super::cookie;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{Body, Id};
use super::frame::defect;
use super::host;
use super::router::session_paths;
use super::state::PortalState;
use crate::accounts::{Place, Revoked, Role, SessionId, SessionInfo, User, Visit};
use crate::gateway::Seen;
use crate::model::Timestamp;

/// A password as it was typed. `Debug` does not show it.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Typed(#[schemars(extend("format" = "password"))] String);

impl Typed {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(…)")
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Login {
    pub username: String,
    pub password: Typed,
    /// Only for `admin` with the first password, from another machine than the server: what `paas init` prints there.
    pub first_word: Option<Typed>,
    /// Only for accounts with a second step: the six digits that the phone shows, or a recovery code.
    pub code: Option<Typed>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChangePassword {
    pub current_password: Typed,
    /// 8 characters or more, 72 bytes at most.
    pub new_password: Typed,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// `null`: no user of the portal, but `PORTAL_API_KEY` or the operator on the server.
    pub username: Option<String>,
    /// What they may do: a member has the apps whose userid is their name.
    pub role: Role,
    /// Until then everything but `/auth` is refused.
    pub must_change_password: bool,
    pub through: Through,
}

/// What somebody is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Through {
    Session,
    ApiKey,
    /// `PORTAL_API_KEY`.
    LegacyKey,
    /// The socket on the server, which only the operator can open.
    LocalSocket,
}

impl From<&Caller> for Me {
    fn from(caller: &Caller) -> Self {
        let through = match caller {
            Caller::Session { .. } => Through::Session,
            Caller::Key { .. } => Through::ApiKey,
            Caller::Legacy => Through::LegacyKey,
            Caller::Local { .. } => Through::LocalSocket,
        };
        let username = caller.member().map(|member| member.name.clone());
        let role = if caller.is_admin() { Role::Admin } else { Role::Member };
        Self { username, role, must_change_password: caller.must_change_password(), through }
    }
}

/// What has become of the session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoggedOut {
    #[schemars(extend("const" = "ended"))]
    session: &'static str,
}

pub async fn login(
    State(state): State<PortalState>,
    peer: Peer,
    asked: AskedAt,
    Body(Login { username, password, first_word, code }): Body<Login>,
) -> Result<(HeaderMap, Data<Me>), ApiError> {
    let first_word = first_word.as_ref().map(|word| word.0.as_str());
    let code = code.as_ref().map(Typed::text);
    let visit = Visit { from: address(peer), place: place(peer), first_word, code, agent: asked.agent() };
    let begun = state.accounts.login(&username, &password.0, &visit).await?;
    let cookie = cookie::begin(&state.settings_rx.borrow(), begun.token.reveal(), begun.life);
    let cookies = asked.with_cookie(&state, cookie)?;
    let user = begun.session.user;
    let me = Me {
        username: Some(user.name),
        role: user.role,
        must_change_password: user.must_change,
        through: Through::Session,
    };
    Ok((cookies, Data(me)))
}

pub(super) fn login_described() -> Operation {
    Operation::new("auth", "login", "Sign in")
        .more(
            "Sets the session cookie. After too many wrong passwords it takes a while until the next try. As long as \
                     `admin` has the first password, it opens from the server itself, from its private network with \
                     `firstWord`, and from nowhere else.",
        )
        .takes::<Login>(json!({"username": "admin", "password": "admin"}))
        .answers::<Me>(200, "Signed in; see `mustChangePassword`.")
        .refuses(&[
            code::WRONG_PASSWORD,
            code::WRONG_FIRST_WORD,
            code::FIRST_WORD_NEEDED,
            code::FIRST_LOGIN_ELSEWHERE,
            code::CODE_NEEDED,
            code::WRONG_CODE,
            code::TOO_MANY_LOGINS,
            code::BUSY,
            code::STORE_UNAVAILABLE,
        ])
}

pub async fn me(caller: Caller) -> Data<Me> {
    Data(Me::from(&caller))
}

pub(super) fn me_described() -> Operation {
    Operation::new("auth", "me", "Who asks").answers::<Me>(200, "As whom the credentials are taken.")
}

pub async fn logout(
    State(state): State<PortalState>,
    asked: AskedAt,
    person: Person,
) -> Result<(HeaderMap, Data<LoggedOut>), ApiError> {
    state.accounts.logout(person.session).await?;
    let cookie = cookie::end(&state.settings_rx.borrow());
    Ok((asked.with_cookie(&state, cookie)?, Data(LoggedOut { session: "ended" })))
}

pub(super) fn logout_described() -> Operation {
    Operation::new("auth", "logout", "End this session")
        .in_person()
        .answers::<LoggedOut>(200, "The cookie opens nothing any more.")
}

/// The session that asks goes on, every other one of the user has ended.
pub async fn change_password(
    State(state): State<PortalState>,
    peer: Peer,
    person: Person,
    Body(ChangePassword { current_password, new_password }): Body<ChangePassword>,
) -> Result<Data<Me>, ApiError> {
    let Person { session, user } = person;
    state.accounts.change_password(session, &user, &current_password.0, &new_password.0, address(peer)).await?;
    let User { name, role, .. } = user;
    Ok(Data(Me { username: Some(name), role, must_change_password: false, through: Through::Session }))
}

pub(super) fn change_password_described() -> Operation {
    Operation::new("auth", "changePassword", "Set a new password")
        .more("Ends every other session of the user. API keys stay.")
        .in_person()
        .takes::<ChangePassword>(json!({"currentPassword": "admin", "newPassword": "correct horse"}))
        .answers::<Me>(200, "Changed.")
        .refuses(&[code::BAD_PASSWORD, code::WRONG_PASSWORD, code::TOO_MANY_LOGINS, code::BUSY])
}

/// Where somebody is signed in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub id: SessionId,
    /// The one that asks.
    pub current: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where from; empty: begun before that was kept.
    pub address: String,
    /// What the browser called itself, at most 200 characters of it: anybody may call themselves anything.
    pub agent: String,
}

pub async fn sessions(State(state): State<PortalState>, person: Person) -> Result<Data<Vec<SessionView>>, ApiError> {
    let sessions = state.accounts.sessions(person.user.id).await?.into_iter();
    let view = |(session, expires_at): (SessionInfo, Timestamp)| {
        let SessionInfo { id, created_at, address, agent } = session;
        SessionView { id, current: id == person.session, created_at, expires_at, address, agent }
    };
    Ok(Data(sessions.map(view).collect()))
}

pub(super) fn sessions_described() -> Operation {
    Operation::new("auth", "listSessions", "Where you are signed in")
        .in_person()
        .answers::<Vec<SessionView>>(200, "Newest first; `current` is the one that asks.")
}

/// A session that opens nothing any more.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ended {
    pub id: SessionId,
}

pub async fn end_session(
    State(state): State<PortalState>,
    person: Person,
    Id(id): Id,
) -> Result<Data<Ended>, ApiError> {
    let id = SessionId(id);
    if !state.accounts.end_session(person.user.id, id).await? {
        let number = id.0;
        return Err(ApiError::new(
            code::NO_SUCH_SESSION,
            said!(
                "you have no session {number}: `GET /auth/sessions` lists yours",
                "{number}번 세션이 없습니다: `GET /auth/sessions`로 목록을 확인하세요"
            ),
        ));
    }
    tracing::info!(user = person.user.name, session = id.0, "ended a session");
    Ok(Data(Ended { id }))
}

pub(super) fn end_session_described() -> Operation {
    Operation::new("auth", "endSession", "Sign out somewhere")
        .more("What it opened ends within a second.")
        .in_person()
        .answers::<Ended>(200, "It opens nothing any more.")
        .refuses(&[code::NO_SUCH_SESSION])
}

/// Ends every session of the user, this one as well, and revokes every API key. What they opened ends within a second.
pub async fn revoke_all(
    State(state): State<PortalState>,
    asked: AskedAt,
    person: Person,
) -> Result<(HeaderMap, Data<Revoked>), ApiError> {
    let revoked = state.accounts.revoke_all(person.user.id).await?;
    let Revoked { sessions, keys } = revoked;
    tracing::info!(user = person.user.name, sessions, keys, "signed out everywhere and revoked all API keys");
    let cookie = cookie::end(&state.settings_rx.borrow());
    Ok((asked.with_cookie(&state, cookie)?, Data(revoked)))
}

pub(super) fn revoke_all_described() -> Operation {
    Operation::new("auth", "revokeAll", "Sign out everywhere and revoke all your API keys")
        .more("For when something leaked. This session ends, too; streams that are open end within a second.")
        .in_person()
        .answers::<Revoked>(200, "How many opened something until now.")
}

/// Where somebody who may be guessing is.
pub(super) fn address(peer: Peer) -> IpAddr {
    match peer {
        Peer::Remote(visitor) => visitor.address,
        // On this very machine.
        Peer::Local { .. } => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Where somebody is who signs in.
pub(super) fn place(peer: Peer) -> Place {
    match peer {
        Peer::Local { .. } => Place::ThisMachine,
        Peer::Remote(visitor) => match visitor.seen {
            Seen::Here => Place::ThisMachine,
            Seen::There => Place::of(visitor.address),
            Seen::Hidden => Place::Unknown,
        },
    }
}

/// The names under which a browser asked: they say which cookies it holds.
#[derive(Debug)]
pub struct AskedAt {
    target: Uri,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for AskedAt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { target: parts.uri.clone(), headers: parts.headers.clone() })
    }
}

impl AskedAt {
    /// What the browser calls itself.
    pub(super) fn agent(&self) -> Option<&str> {
        std::str::from_utf8(self.headers.get(USER_AGENT)?.as_bytes()).ok()
    }

    /// The session's cookie, after whatever an app may have planted under its name was overwritten.
    pub(super) fn with_cookie(
        &self,
        state: &PortalState,
        cookie: Result<HeaderValue, InvalidHeaderValue>,
    ) -> Result<HeaderMap, ApiError> {
        let settings = state.settings_rx.borrow();
        let mut headers = HeaderMap::new();
        // The settings accept no name that a header could not carry, and a token is hexadecimal.
        if host::is_at_domain(&self.target, &self.headers, &settings) {
            for gone in cookie::overwrite_planted(&settings, session_paths(state)).map_err(|_| defect())? {
                headers.append(SET_COOKIE, gone);
            }
        }
        headers.append(SET_COOKIE, cookie.map_err(|_| defect())?);
        Ok(headers)
    }
}
