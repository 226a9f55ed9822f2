//! Who may use the portal: users with passwords, sessions, API keys.
//!
//! [`Accounts`] is the whole of it. It knows nothing of HTTP: cookies, headers and what a caller may do are the portal's.
//! [`password`] rations bcrypt, [`limiter`] slows down those who guess, [`secret`] makes tokens and keys.
//!
//! # Guarantees
//! - Secrets are at rest as hashes only, and no error, log line or `Debug` output has one. The exception is the first word,
//!   which is made to be shown, see [`first`].
//! - Nothing is cached: a session that was ended and a key that was revoked, by whichever process, open nothing from then
//!   on. A look-up costs one indexed query.
//! - Rounds, life of a session and the legacy key are those of the settings in force at that moment.
//! - Whether a user exists cannot be told from a login: the answer is the same, and so is the work.

mod error;
mod first;
mod keys;
mod limiter;
mod password;
mod people;
mod secret;
mod sessions;
mod site_access;
mod totp;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

pub use error::{
    AcceptError, ChangeError, EnterError, Failure, FirstRefusal, KeyError, LinkError, LoginError, PeopleError, Refused,
    ResetError, SitePasswordError, TotpError,
};
pub use first::{FIRST_USER, Place, Visit};
pub use keys::{IssuedKey, KeyOwner, MAX_KEY_NAME, MAX_KEYS};
pub use password::{MAX_BYTES, MIN_CHARS, PasswordRule};
pub use people::{INVITATION_LIFE, Invitation, Invited, Person};
pub use secret::{Secret, may_be_token};
pub use sessions::{MAX_SESSIONS, NewSession, Session};
pub use site_access::{
    Entered, GUEST_LIFE, MAX_LINK_DAYS, MAX_LINK_NAME, MAX_LINKS, NewGuestLink, SiteAccess, is_path,
};
pub use totp::{RECOVERY_CODES, SecondStep, TotpBegun};

use self::first::FIRST_PASSWORD;
use self::limiter::Limiter;
use self::password::{HashError, Hasher, Password};
use crate::clock::Clock;
use crate::model::{Quotas, Settings};
use crate::store::StoreError;
pub use crate::store::accounts::{
    AccountStore, ApiKey, KeyId, KeyScope, Keys, Revoked, Role, SessionId, SessionInfo, User, UserRef,
};
use crate::store::accounts::{NewPassword, PasswordHash, Sessions};
pub use crate::store::visitors::{GuestLink, LinkId, VisitorStore};

/// What a start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// There was no user: `admin` with the password `admin`, which must be changed, is there now, and so is the
    /// [first word](Accounts::first_word).
    Made,
    /// There are users already.
    Found,
}

/// A password set by [`Accounts::reset_password`].
#[derive(Debug)]
pub struct Reset {
    /// To be shown once.
    pub password: Secret,
    /// The API keys that the user had. With [`Keys::Keep`] they stay valid.
    pub keys: Vec<ApiKey>,
    /// There was one, which may be on a phone that is lost.
    pub second_step: Removed,
}

/// Whether there was something to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    Something,
    Nothing,
}

/// Users, sessions and keys. One per process, shared.
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
    settings_rx: watch::Receiver<Arc<Settings>>,
    hasher: Arc<Hasher>,
    limiter: Limiter,
    quotas_tx: watch::Sender<Arc<Quotas>>,
    /// The turn to change them.
    quotas: Mutex<()>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    #[must_use]
    pub fn new(
        store: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
        settings_rx: watch::Receiver<Arc<Settings>>,
    ) -> Self {
        Self {
            store,
            clock,
            settings_rx,
            hasher: Arc::new(Hasher::new()),
            limiter: Limiter::default(),
            quotas_tx: watch::Sender::default(),
            quotas: Mutex::default(),
        }
    }

    /// Makes the first user when there is none, and reads everybody's quota. To be called before anybody can log in.
    ///
    /// # Crash
    /// The user is there with the password, or not at all.
    pub async fn bootstrap(&self) -> Result<Bootstrap, Failure> {
        self.publish_quotas(&self.quotas.lock().await).await?;
        if !self.store.users().await?.is_empty() {
            return Ok(Bootstrap::Found);
        }
        let password = self.hash_within(FIRST_PASSWORD).await?;
        // Before the user, so that there is no moment in which nobody could sign in from the network.
        first::read_or_make(&self.settings().first_word_path())?;
        let made = self.store.add_first_user(FIRST_USER, password, self.clock.now()).await?;
        Ok(if made { Bootstrap::Made } else { Bootstrap::Found })
    }

    /// The word with which `admin` signs in from the private network, as long as the first password is in force or is yet to
    /// be made: the same one until then, and made here if it is missing. When it has served its turn, its file goes.
    pub async fn first_word(&self) -> Result<Option<Secret>, Failure> {
        let file = self.settings().first_word_path();
        if self.is_first_password().await? {
            return first::read_or_make(&file).map(Some);
        }
        first::forget(&file).map(|()| None)
    }

    async fn is_first_password(&self) -> Result<bool, Failure> {
        let Some((user, hash)) = self.store.user(FIRST_USER).await? else {
            return Ok(self.store.users().await?.is_empty());
        };
        if !first::is_first(&user, FIRST_PASSWORD) {
            return Ok(false);
        }
        // It may be one of `paas admin reset-password`.
        match self.hasher.verify(Password::new(FIRST_PASSWORD), hash).await {
            Ok(right) => Ok(right),
            Err(HashError::Refused(why)) => Err(Failure::Hash(why.to_string())),
            Err(HashError::Failed(failure)) => Err(failure),
        }
    }

    /// After the password of a user was replaced. That the file stays is no reason to say that it was not.
    fn forget_first_word(&self, name: &str) {
        if name == FIRST_USER
            && let Err(error) = first::forget(&self.settings().first_word_path())
        {
            tracing::warn!(%error, "it opens nothing any more, but should not lie about");
        }
    }

    /// Gives a user a random password that must be changed, and ends all their sessions. Works beside a running daemon.
    /// On an installation that was never started it makes `admin`, who then never had the password that everybody knows.
    pub async fn reset_password(&self, name: &str, keys: Keys) -> Result<Reset, ResetError> {
        let password = Secret::one_time_password()?;
        let hash = self.hash_within(password.reveal()).await?;
        if name == FIRST_USER && self.store.add_first_user(name, hash.clone(), self.clock.now()).await? {
            self.forget_first_word(name);
            return Ok(Reset { password, keys: Vec::new(), second_step: Removed::Nothing });
        }
        let user = self.named(name).await?;
        let had = self.store.keys(user.id).await?;
        let new = NewPassword {
            user: user.id,
            instead_of: None,
            password: hash,
            must_change: true,
            sessions: Sessions::EndAll,
            keys,
        };
        self.store.set_password(new).await?;
        self.forget_first_word(name);
        // Who can do this on the server can read the database: this is the way back in, also without the phone.
        let removed = self.store.remove_totp(user.id).await?;
        let second_step = if removed { Removed::Something } else { Removed::Nothing };
        Ok(Reset { password, keys: had, second_step })
    }

    /// The API keys of the user of this name, for whoever decides what becomes of them. None where there is no user yet.
    pub async fn keys_of(&self, name: &str) -> Result<Vec<ApiKey>, StoreError> {
        match self.store.user(name).await? {
            Some((user, _)) => self.store.keys(user.id).await,
            None => Ok(Vec::new()),
        }
    }

    /// Signs a user out everywhere and revokes all their API keys. The password stays.
    pub async fn revoke_all(&self, user: UserRef) -> Result<Revoked, StoreError> {
        self.store.revoke_all(user).await
    }

    /// The same, by name.
    pub async fn revoke_all_of(&self, name: &str) -> Result<Revoked, ResetError> {
        let user = self.named(name).await?;
        Ok(self.store.revoke_all(user.id).await?)
    }

    async fn named(&self, name: &str) -> Result<User, ResetError> {
        match self.store.user(name).await? {
            Some((user, _)) => Ok(user),
            None => Err(ResetError::NoSuchUser { name: name.to_owned(), there: self.store.users().await? }),
        }
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings_rx.borrow())
    }

    /// Hashes a password of our own making.
    async fn hash_within(&self, text: &str) -> Result<PasswordHash, Failure> {
        let refused = |why: &dyn fmt::Display| Failure::Hash(why.to_string());
        let password = Password::new(text).ok_or_else(|| refused(&"it is too long"))?;
        match self.hasher.hash(password, self.settings().bcrypt_rounds).await {
            Ok(hash) => Ok(hash),
            Err(HashError::Refused(why)) => Err(refused(&why)),
            Err(HashError::Failed(failure)) => Err(failure),
        }
    }
}
