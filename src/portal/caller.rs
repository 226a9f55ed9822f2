//! Who is asking, and through which door.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::code;
use super::envelope::{ApiError, said};
use crate::accounts::{Accounts, KeyOwner, KeyScope, Role, SessionId, User, UserRef};
use crate::gateway::{Seen, Visitor};
use crate::model::{AppKey, Shown};
use crate::store::StoreError;

/// The other end of a connection. Each door puts it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// On the machine's own socket, which only root and the daemon's user can open: the operator.
    Local { uid: u32 },
    /// On the network, which may begin and end on this machine.
    Remote(Visitor),
}

impl Peer {
    /// No door has said who it is.
    pub(super) const UNKNOWN: Self =
        Self::Remote(Visitor { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), seen: Seen::Hidden });
}

/// A user of the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: i64,
    pub name: String,
    pub role: Role,
    /// Until then everything but `/auth` is refused.
    pub must_change_password: bool,
}

impl Member {
    /// A member's name is the userid of their apps.
    #[must_use]
    pub fn may_see(&self, app: &AppKey) -> bool {
        self.role == Role::Admin || self.name == app.user.as_str()
    }
}

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The operator, at the machine's own socket.
    Local { uid: u32 },
    /// A person with a session cookie.
    Session { id: i64, member: Member },
    /// A program with a key that a member issued.
    Key { id: i64, name: String, scope: KeyScope, member: Member },
    /// A program with `PORTAL_API_KEY`.
    Legacy,
}

impl Caller {
    /// The user it acts for, if it is one of the portal's users.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Session { member, .. } | Self::Key { member, .. } => Some(member),
            Self::Local { .. } | Self::Legacy => None,
        }
    }

    /// Whether it may do what concerns the box as a whole.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Local { .. } | Self::Legacy => true,
            Self::Session { member, .. } => member.role == Role::Admin,
            Self::Key { member, scope, .. } => member.role == Role::Admin && !scope.is_narrowed(),
        }
    }

    /// Whether this app is there for it at all. A member's name is the userid of their apps.
    #[must_use]
    pub fn may_see(&self, app: &AppKey) -> bool {
        match self {
            Self::Local { .. } | Self::Legacy => true,
            Self::Session { member, .. } => member.may_see(app),
            Self::Key { member, scope, .. } => scope.app.as_ref().is_none_or(|only| only == app) && member.may_see(app),
        }
    }

    /// What the key was narrowed to when it was issued; `None`: it is none, or opens all that its user may.
    #[must_use]
    pub fn narrowed(&self) -> Option<&KeyScope> {
        match self {
            Self::Key { scope, .. } => Some(scope).filter(|scope| scope.is_narrowed()),
            Self::Local { .. } | Self::Session { .. } | Self::Legacy => None,
        }
    }

    #[must_use]
    pub fn must_change_password(&self) -> bool {
        self.member().is_some_and(|member| member.must_change_password)
    }
}

/// As the event log names it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid } => write!(f, "the command line (uid {uid})"),
            Self::Session { member, .. } => write!(f, "{} in the portal", member.name),
            Self::Key { id, name, member, .. } if name.is_empty() => write!(f, "API key {id} of {}", member.name),
            Self::Key { id, name, member, .. } => write!(f, "API key {id} `{}` of {}", Shown::new(name), member.name),
            Self::Legacy => f.write_str("the key PORTAL_API_KEY"),
        }
    }
}

/// Only behind a rule that lets nobody in unknown; anywhere else it is a defect and answers 401.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(sign_in)
    }
}

/// A user who signed in: the proof that what only people may do asks for. Keys and the operator on the server are none.
#[derive(Debug, Clone)]
pub struct Person {
    pub session: SessionId,
    pub user: User,
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Session { id, member } => {
                let Member { id: user, name, role, must_change_password } = member;
                let user = User { id: UserRef(user), name, role, must_change: must_change_password };
                Ok(Self { session: SessionId(id), user })
            }
            Caller::Key { .. } | Caller::Legacy => Err(ApiError::new(
                code::SESSION_ONLY,
                said!(
                    "an API key may not do this: sign in with `POST /auth/login` and use the session",
                    "API 키로는 할 수 없습니다: `POST /auth/login`으로 로그인해서 하세요"
                ),
            )),
            Caller::Local { .. } => Err(ApiError::new(
                code::SESSION_ONLY,
                said!(
                    "this is for a user of the portal, and the socket on the server knows none: sign in at the portal's \
                     port, or give a user a new password with `paas admin reset-password`",
                    "포털 사용자만 할 수 있는 일이며 서버의 소켓에는 사용자가 없습니다: 포털 포트에서 로그인하거나 \
                     `paas admin reset-password`로 새 비밀번호를 정하세요"
                ),
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self::UNKNOWN))
    }
}

pub(super) fn sign_in() -> ApiError {
    ApiError::new(
        code::SIGN_IN,
        said!(
            "sign in first: `POST /auth/login`, or send an API key as `X-API-Key`",
            "먼저 로그인하세요: `POST /auth/login`을 호출하거나 API 키를 `X-API-Key` 헤더로 보내세요"
        ),
    )
}

pub(super) fn wrong_key() -> ApiError {
    ApiError::new(
        code::SIGN_IN,
        said!(
            "this API key is wrong or was revoked: `GET /api-keys` of your session lists those that work, `POST /api-keys` makes one",
            "API 키가 틀렸거나 폐기되었습니다: 로그인해서 `GET /api-keys`로 쓸 수 있는 키를 확인하거나 `POST /api-keys`로 새로 만드세요"
        ),
    )
}

/// What a request brings along to be let in.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// The value of the session cookie.
    Session(String),
    /// The value of `X-API-Key`, or of `Authorization: Bearer`.
    Key(String),
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session(_) => "Session(…)",
            Self::Key(_) => "Key(…)",
        })
    }
}

/// By what somebody was let in, and as whom, for what lasts longer than a request.
#[derive(Debug, Clone, Default)]
pub struct Standing(pub(super) Option<(Presented, Caller)>);

impl Standing {
    /// Resolves when it no longer opens what it did: it has ended, or its user may do less or more than before. Looks once per
    /// `pause`. A database that cannot be asked changes nothing.
    /// The operator at the machine's own socket stays.
    pub(super) async fn lost(self, accounts: &Accounts, pause: Duration) {
        let Some((presented, admitted)) = self.0 else { return std::future::pending().await };
        loop {
            tokio::time::sleep(pause).await;
            match identify(accounts, presented.clone()).await {
                Ok(Some(caller)) if caller == admitted && !waits(accounts, &caller).await => {}
                Err(_) => {}
                Ok(_) => return,
            }
        }
    }
}

/// Whether `PORTAL_API_KEY` is of no use yet; a database that cannot be asked changes nothing.
async fn waits(accounts: &Accounts, caller: &Caller) -> bool {
    *caller == Caller::Legacy && accounts.legacy_key_waits().await.unwrap_or(false)
}

impl<S: Send + Sync> FromRequestParts<S> for Standing {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Who this is; `None`: unknown, ended or revoked. Never tells which.
pub(super) async fn identify(accounts: &Accounts, presented: Presented) -> Result<Option<Caller>, StoreError> {
    match presented {
        Presented::Session(token) => {
            let session = accounts.session(&token).await?;
            Ok(session.map(|session| Caller::Session { id: session.id.0, member: session.user.into() }))
        }
        Presented::Key(secret) if accounts.is_legacy_key(&secret) => Ok(Some(Caller::Legacy)),
        Presented::Key(secret) => {
            let owner = accounts.key(&secret).await?;
            Ok(owner.map(|KeyOwner { key, user }| Caller::Key {
                id: key.id.0,
                name: key.name,
                scope: key.scope,
                member: user.into(),
            }))
        }
    }
}

impl From<User> for Member {
    fn from(user: User) -> Self {
        Self { id: user.id.0, name: user.name, role: user.role, must_change_password: user.must_change }
    }
}
