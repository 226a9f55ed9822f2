//! The seam to who was let into which site: invitation links, sites' passwords, and the passes that visitors' cookies stand for.
//!
//! # Guarantees
//! - No secret is at rest: links and passes come as SHA-256, passwords as bcrypt hashes.
//! - A pass goes with what it was given for, in the same transaction: the portal's session of an owner, the link, the password
//!   of the site, and the site itself.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Answer, PasswordHash, Role, SecretHash, SessionId};
use crate::model::{AppKey, Timestamp};

/// An invitation link's id, for lists and logs; it opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LinkId(pub i64);

/// An invitation link as the owner of the site may see it: never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuestLink {
    pub id: LinkId,
    /// Whom it is for.
    pub name: String,
    pub created_at: Timestamp,
    /// `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// How often somebody came in by it.
    pub uses: u32,
    pub last_used_at: Option<Timestamp>,
}

/// A link about to be stored.
#[derive(Debug, Clone)]
pub struct NewLink {
    pub app: AppKey,
    pub name: String,
    pub token: SecretHash,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// With so many already nothing is stored.
    pub most: u32,
}

/// What a pass is given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The owner, or an admin, who is signed in to the portal.
    Session(SessionId),
    /// Whoever has a link that is not over: its use is counted.
    Link(SecretHash),
    /// Whoever knows the site's password: the one that was verified.
    Password(PasswordHash),
}

/// A pass about to be stored.
#[derive(Debug, Clone)]
pub struct NewPass {
    pub app: AppKey,
    pub token: SecretHash,
    pub given: Given,
    pub created_at: Timestamp,
    /// The app's newest passes, of which so many stay.
    pub most: u32,
}

/// By what somebody holds a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Person { name: String, role: Role, since: Timestamp },
    Link { expires_at: Option<Timestamp> },
    Password,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassRow {
    pub token: SecretHash,
    pub app: AppKey,
    pub holder: Holder,
    pub created_at: Timestamp,
}

/// Tells two states of the database apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Rises with every write of another process.
    pub others: i64,
    /// Rises with every write of this one.
    pub own: u64,
}

/// Every pass there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passes {
    pub mark: Mark,
    pub rows: Vec<PassRow>,
    /// The sites that have a password.
    pub with_password: BTreeSet<AppKey>,
}

pub trait VisitorStore: Send + Sync + 'static {
    /// Oldest first.
    fn links(&self, app: &AppKey) -> Answer<'_, Vec<GuestLink>>;
    /// `None`: the site has too many.
    fn add_link(&self, new: NewLink) -> Answer<'_, Option<GuestLink>>;
    /// Everybody who came in by it is out. Whether the site had it.
    fn remove_link(&self, app: &AppKey, id: LinkId) -> Answer<'_, bool>;

    fn site_password(&self, app: &AppKey) -> Answer<'_, Option<PasswordHash>>;
    /// `None` takes it away. Everybody who came in by the one before is out.
    fn set_site_password(&self, app: &AppKey, password: Option<PasswordHash>, now: Timestamp) -> Answer<'_, ()>;

    /// `false`: what it is given for is not there any more.
    fn add_pass(&self, new: NewPass) -> Answer<'_, bool>;
    fn remove_passes(&self, tokens: Vec<SecretHash>) -> Answer<'_, ()>;
    /// Everybody out, also the owner. How many passes there were.
    fn end_passes(&self, app: &AppKey) -> Answer<'_, usize>;
    /// `None`: nothing was written since `seen`.
    fn passes(&self, seen: Option<Mark>) -> Answer<'_, Option<Passes>>;
}
