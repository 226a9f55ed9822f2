//! The seam to users, sessions and API keys.
//!
//! # Guarantees
//! - No secret is at rest: passwords come as bcrypt hashes, tokens and keys as SHA-256.
//! - Every method is one transaction, seen by the next look-up of any process: nothing is cached, so the command line can
//!   end sessions of a running daemon.

use std::future::Future;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::{AppKey, Quotas, Timestamp};

/// An answer that can stand behind a `dyn AccountStore`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A portal user's id. Not [`crate::model::UserId`], which is the owner's part of an app's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct UserRef(pub i64);

/// A session's id, for lists and logs; it opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionId(pub i64);

/// An API key's id, for lists and logs; it opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct KeyId(pub i64);

/// SHA-256 of a token or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

/// A bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// Somebody who was invited and has not chosen a password yet.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What a user of the portal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Runs the box: everything.
    Admin,
    /// Their own apps, those whose userid is their name.
    Member,
}

impl Role {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Of what the database says, which knows no other words; the lesser one, should it ever.
    pub(crate) fn of(word: &str) -> Self {
        if word == "admin" { Self::Admin } else { Self::Member }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserRef,
    pub name: String,
    pub role: Role,
    /// Nothing but a new password is allowed.
    pub must_change: bool,
}

/// What the codes of a phone are computed from.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(pub Vec<u8>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// Somebody's second step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpRow {
    pub secret: TotpSecret,
    /// A code of it was typed once, so that signing in takes one.
    pub confirmed: bool,
    pub recovery_codes_left: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    pub user: User,
    pub created_at: Timestamp,
}

/// A key as its owner may see it: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    /// The key's first characters, to tell keys apart.
    pub prefix: String,
    pub created_at: Timestamp,
    /// To the minute; `None`: never used.
    pub last_used_at: Option<Timestamp>,
    #[serde(flatten)]
    pub scope: KeyScope,
}

/// What of its user's a key opens. The default is all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyScope {
    /// Nothing but this app; `null`: every one of its user's.
    pub app: Option<AppKey>,
    /// Nothing but deploying.
    pub deploy_only: bool,
}

impl KeyScope {
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.app.is_some() || self.deploy_only
    }
}

/// A session as its user may see it: never the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    pub id: SessionId,
    pub created_at: Timestamp,
    /// Where from; empty: begun before that was kept.
    pub address: String,
    /// As the browser called itself.
    pub agent: String,
}

/// A session about to be stored.
#[derive(Debug, Clone)]
pub struct NewSessionRow {
    pub token: SecretHash,
    pub user: UserRef,
    /// What the password was checked against: if it was replaced meanwhile, no session is made.
    pub verified: PasswordHash,
    pub address: String,
    pub agent: String,
    pub created_at: Timestamp,
    /// Sessions of before go.
    pub expired_at: Timestamp,
    /// A user's newest sessions, of which so many stay.
    pub most: u32,
}

/// A key about to be stored.
#[derive(Debug, Clone)]
pub struct NewKeyRow {
    pub secret: SecretHash,
    pub user: UserRef,
    pub name: String,
    pub prefix: String,
    pub scope: KeyScope,
    pub created_at: Timestamp,
    /// With so many already nothing is stored.
    pub most: u32,
}

/// A password about to be replaced.
#[derive(Debug, Clone)]
pub struct NewPassword {
    pub user: UserRef,
    /// Only if this is the one still in force; `None`: whichever is.
    pub instead_of: Option<PasswordHash>,
    pub password: PasswordHash,
    pub must_change: bool,
    pub sessions: Sessions,
    pub keys: Keys,
}

/// What a new password does to the user's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    Keep,
    EndAllBut(SessionId),
    EndAll,
}

/// What a new password does to the user's API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Keep,
    RevokeAll,
}

/// What opened something until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revoked {
    pub sessions: usize,
    pub keys: usize,
}

/// Somebody who has an account, or is invited to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub user: User,
    pub has_password: bool,
    pub created_at: Timestamp,
    /// When the invitation was made that nobody has taken up yet, be it over or not.
    pub invited_at: Option<Timestamp>,
    /// `None`: as the settings say.
    pub max_apps: Option<u32>,
    /// Signing in takes a code besides the password.
    pub has_totp: bool,
}

/// Somebody about to be invited: without a password.
#[derive(Debug, Clone)]
pub struct NewPerson {
    pub name: String,
    pub role: Role,
    pub max_apps: Option<u32>,
    pub invitation: SecretHash,
    pub created_at: Timestamp,
}

/// What became of a change to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Done,
    NoSuchUser,
    /// There must be an admin who can sign in.
    LastAdmin,
}

pub trait AccountStore: Send + Sync + 'static {
    /// The names of all users.
    fn users(&self) -> Answer<'_, Vec<String>>;
    /// The user of exactly this name, and their password.
    fn user(&self, name: &str) -> Answer<'_, Option<(User, PasswordHash)>>;
    /// Makes this user, an admin who must change the password, unless there are users already. Whether it did.
    fn add_first_user(&self, name: &str, password: PasswordHash, now: Timestamp) -> Answer<'_, bool>;
    /// An invitation that waits dies with it: it would be a way back in for whoever has the link. Whether the password was
    /// replaced: the user is there, and so was `instead_of`.
    fn set_password(&self, new: NewPassword) -> Answer<'_, bool>;

    /// Everybody, by name.
    fn people(&self) -> Answer<'_, Vec<PersonRow>>;
    /// `false`: the name is taken.
    fn add_person(&self, new: NewPerson) -> Answer<'_, bool>;
    /// An invitation in place of the one before. `false`: there is no such user.
    fn invite(&self, name: &str, token: SecretHash, now: Timestamp) -> Answer<'_, bool>;
    /// Whose it is. One that is over too, as long as it is there.
    fn invitation(&self, token: SecretHash) -> Answer<'_, Option<PersonRow>>;
    /// Uses up an invitation made after this time: the password is set, every session of before ends. `None`: there is none.
    fn accept(&self, token: SecretHash, issued_after: Timestamp, password: PasswordHash) -> Answer<'_, Option<User>>;
    fn set_role(&self, name: &str, role: Role) -> Answer<'_, Changed>;
    /// How many apps they may have; `None`: as the settings say. `false`: there is no such user.
    fn set_quota(&self, name: &str, max_apps: Option<u32>) -> Answer<'_, bool>;
    /// Of everybody who has one of their own.
    fn quotas(&self) -> Answer<'_, Quotas>;
    /// With their sessions, keys and invitation.
    fn remove_person(&self, name: &str) -> Answer<'_, Changed>;

    /// One that is begun too, which counts for nothing.
    fn totp(&self, user: UserRef) -> Answer<'_, Option<TotpRow>>;
    /// In place of one that is begun. `false`: one is confirmed.
    fn begin_totp(&self, user: UserRef, secret: TotpSecret, now: Timestamp) -> Answer<'_, bool>;
    /// Confirms the one with this secret by the code of this step, and puts these recovery codes in place of those of before.
    /// `false`: no such one is begun.
    fn confirm_totp(&self, user: UserRef, secret: TotpSecret, step: u64, codes: Vec<SecretHash>) -> Answer<'_, bool>;
    /// Uses up the code of this step and all before. `false`: it was used up.
    fn use_totp(&self, user: UserRef, step: u64) -> Answer<'_, bool>;
    /// Uses it up. `false`: there is none such.
    fn use_recovery_code(&self, user: UserRef, code: SecretHash) -> Answer<'_, bool>;
    /// With the recovery codes. `false`: there was none.
    fn remove_totp(&self, user: UserRef) -> Answer<'_, bool>;

    /// Also throws away what is too old or too many. `None`: the password is not the verified one any more.
    fn add_session(&self, new: NewSessionRow) -> Answer<'_, Option<SessionId>>;
    /// Expired ones too, as long as they are there.
    fn session(&self, token: SecretHash) -> Answer<'_, Option<SessionRow>>;
    fn remove_session(&self, id: SessionId) -> Answer<'_, ()>;
    /// Of one user, newest first; expired ones too, as long as they are there.
    fn sessions(&self, user: UserRef) -> Answer<'_, Vec<SessionInfo>>;
    /// Whether the user had it.
    fn end_session(&self, user: UserRef, id: SessionId) -> Answer<'_, bool>;

    /// Ends every session and revokes every key and the invitation of the user, at once.
    fn revoke_all(&self, user: UserRef) -> Answer<'_, Revoked>;

    /// Oldest first.
    fn keys(&self, user: UserRef) -> Answer<'_, Vec<ApiKey>>;
    /// The key and its owner. Stamps the use, at most once a minute; a stamp that cannot be written is left out.
    fn use_key(&self, secret: SecretHash, now: Timestamp) -> Answer<'_, Option<(ApiKey, User)>>;
    /// `None`: the user has too many.
    fn add_key(&self, new: NewKeyRow) -> Answer<'_, Option<ApiKey>>;
    /// Whether the user had it.
    fn remove_key(&self, user: UserRef, id: KeyId) -> Answer<'_, bool>;
}
