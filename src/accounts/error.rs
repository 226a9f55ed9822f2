//! Why somebody is not let in, and what went wrong inside.

use std::path::PathBuf;
use std::time::Duration;

use super::password::{HashError, PasswordRule};
use crate::model::NameError;
use crate::store::StoreError;

/// Something that is nobody's mistake at the door.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the system gives no random numbers: {0}; try again in a moment")]
    Random(String),
    #[error(
        "a password cannot be hashed or checked: {0}; set a new one with `paas admin reset-password` on the server"
    )]
    Hash(String),
    #[error("the first word in {} cannot be used: {why}; let the daemon's user read and write there", file.display())]
    FirstWord { file: PathBuf, why: String },
}

/// Why the password that everybody knows is not enough, see [`super::first`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FirstRefusal {
    #[error(
        "the first sign-in as `admin` from another machine than the server needs the first word of this installation, as \
         `firstWord`: `paas init` on the server prints it, and so does the daemon's log at its start"
    )]
    WordNeeded,
    #[error(
        "this is not the first word of this installation: `paas init` on the server prints it, and so does the daemon's log \
         at its start"
    )]
    WrongWord,
    #[error(
        "until the first password of `admin` is changed, signing in works only on the server itself or from its private \
         network: do it there, or give `admin` another password on the server with `paas admin reset-password`"
    )]
    Elsewhere,
    #[error(
        "until the first password of `admin` is changed it counts where you sign in, and the proxy in between does not tell: \
         open the portal on the server itself, give `admin` another password there with `paas admin reset-password`, or let \
         the proxy send X-Forwarded-For and put it into PAAS_TRUSTED_PROXIES"
    )]
    BehindProxy,
}

/// What keeps a password or a key from being checked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Whole seconds, at least one.
    #[error("too many wrong passwords: try again in {} s", after.as_secs())]
    TooOften { after: Duration },
    /// Whole seconds, at least one.
    #[error(
        "too many wrong API keys from this address: try again in {} s; keys of `POST /api-keys` go on working",
        after.as_secs()
    )]
    TooManyKeys { after: Duration },
    #[error("too many logins at once: try again in a few seconds")]
    Busy,
}

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Does not say which of the two.
    #[error("the user name or the password is wrong; on the server, `paas admin reset-password` gives a new one")]
    Wrong,
    /// The password is right, and not enough.
    #[error(transparent)]
    First(#[from] FirstRefusal),
    /// The same.
    #[error("{CODE_NEEDED}")]
    CodeNeeded,
    #[error("{WRONG_CODE}")]
    WrongCode,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("{WRONG_CURRENT}")]
    Wrong,
    #[error(transparent)]
    Rule(#[from] PasswordRule),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the name of a key must be 1 to {most} characters without control characters or marks that turn the text", most = super::MAX_KEY_NAME)]
    BadName,
    #[error("there are {most} keys already: delete one that is not used any more", most = super::MAX_KEYS)]
    TooMany,
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    BadName(#[from] NameError),
    #[error("there is a user `{name}` already: take another name, or make a new link for them")]
    Exists { name: String },
    #[error("there is no user `{name}`: see the list of users")]
    NoSuchUser { name: String },
    #[error("this is the last admin: make somebody else one first")]
    LastAdmin,
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Used, over, replaced, or never made: which one is not told.
    #[error("this invitation does not work any more: ask for a new one")]
    NoSuchInvitation,
    #[error("{CODE_NEEDED}")]
    CodeNeeded,
    #[error("{WRONG_CODE}")]
    WrongCode,
    #[error(transparent)]
    Rule(#[from] PasswordRule),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

const WRONG_CURRENT: &str = "the current password is wrong; on the server, `paas admin reset-password` gives a new one";

const CODE_NEEDED: &str = "this account has a second step: send the code of the phone, or a recovery code, as `code`";

/// Does not say which of these: a code that was used opens nothing, whoever has read it over a shoulder.
const WRONG_CODE: &str =
    "this code is wrong, too old or was used already: wait for the phone's next one, or take a recovery code";

#[derive(Debug, thiserror::Error)]
pub enum TotpError {
    #[error("{WRONG_CURRENT}")]
    WrongPassword,
    #[error("{WRONG_CODE}")]
    WrongCode,
    #[error("there is no second step that waits for its first code: begin with `POST /auth/totp`")]
    NotBegun,
    #[error("the second step is on already: switch it off first, for another phone")]
    On,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why an invitation link of a site is not made.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the name of a link must be 1 to {most} characters without control characters or marks that turn the text", most = super::MAX_LINK_NAME)]
    BadName,
    #[error("a link can be good for 1 to {most} days: write one of them, or nothing for a link that does not expire", most = super::MAX_LINK_DAYS)]
    BadLife,
    #[error("there are {most} links already: take one back that is not used any more", most = super::MAX_LINKS)]
    TooMany,
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum SitePasswordError {
    #[error(transparent)]
    Rule(#[from] PasswordRule),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why somebody is not let into a site.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// A wrong password; a link or code that is none, is over, was taken back, or is for another site or browser.
    #[error("this does not open the site: ask its owner for a new invitation")]
    Wrong,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error("there is no user `{name}`: {}", known(there))]
    NoSuchUser { name: String, there: Vec<String> },
    #[error(transparent)]
    Failed(#[from] Failure),
}

fn known(there: &[String]) -> String {
    if there.is_empty() {
        return "there is none at all yet, the first start of the daemon makes `admin`".to_owned();
    }
    let names: Vec<String> = there.iter().map(|name| format!("`{name}`")).collect();
    format!("choose {}", names.join(" or "))
}

macro_rules! from_store {
    ($($error:ty),*) => {$(
        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                Self::Failed(error.into())
            }
        }
    )*};
}
from_store!(
    LoginError,
    ChangeError,
    KeyError,
    PeopleError,
    AcceptError,
    TotpError,
    ResetError,
    LinkError,
    SitePasswordError,
    EnterError
);

macro_rules! from_hash {
    ($($error:ty),*) => {$(
        impl From<HashError> for $error {
            fn from(error: HashError) -> Self {
                match error {
                    HashError::Refused(why) => Self::Refused(why),
                    HashError::Failed(failure) => Self::Failed(failure),
                }
            }
        }
    )*};
}
from_hash!(LoginError, ChangeError, AcceptError, TotpError, SitePasswordError, EnterError);
