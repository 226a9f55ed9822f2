//! API keys: issued ones, and the one in the settings.

use std::net::IpAddr;

use super::error::{KeyError, Refused};
use super::limiter::KeyAttempt;
use super::secret::{self, Secret};
use super::{Accounts, ApiKey, FIRST_USER, KeyId, KeyScope, User, UserRef};
use crate::model::shown::{self, Shown};
use crate::store::StoreError;
use crate::store::accounts::NewKeyRow;

/// How many keys a user may have.
pub const MAX_KEYS: u32 = 50;

/// Most characters of a key's name.
pub const MAX_KEY_NAME: usize = 64;

/// The name of a key that was given none.
const UNNAMED: &str = "unnamed";

/// A key that is in force, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    pub key: ApiKey,
    pub user: User,
}

/// A key that was just made.
#[derive(Debug)]
pub struct IssuedKey {
    /// For its owner; nobody can ask for it again.
    pub secret: Secret,
    pub key: ApiKey,
}

impl Accounts {
    /// The issued key with this secret. Its use is stamped, at most once a minute.
    pub async fn key(&self, secret: &str) -> Result<Option<KeyOwner>, StoreError> {
        let Some(hash) = secret::key_hash(secret) else { return Ok(None) };
        let found = self.store.use_key(hash, self.clock.now()).await?;
        Ok(found.map(|(key, user)| KeyOwner { key, user }))
    }

    /// Slows down guesses at `PORTAL_API_KEY`, which a person has thought of. To be asked before [`Self::is_legacy_key`].
    ///
    /// Nobody guesses 256 random bits, so what has the form of an issued key is never slowed down.
    pub fn admit_key(&self, secret: &str, from: IpAddr) -> Result<(), Refused> {
        if self.settings().portal_api_key.is_empty() || secret.is_empty() || secret::key_hash(secret).is_some() {
            return Ok(());
        }
        let attempt = KeyAttempt { secret, is_right: self.is_legacy_key(secret), from };
        self.limiter.key(&attempt, self.clock.now()).map_err(|after| Refused::TooManyKeys { after })
    }

    /// Whether this is `PORTAL_API_KEY`. Never, while that is empty.
    #[must_use]
    pub fn is_legacy_key(&self, secret: &str) -> bool {
        let settings = self.settings();
        !settings.portal_api_key.is_empty() && secret::same(secret, &settings.portal_api_key)
    }

    /// Whether `PORTAL_API_KEY` opens nothing yet: not before the first user has a password of their own, as nothing else does. Who
    /// wrote the key into `.env` need not know that the installation is still open to whoever knows its first password.
    pub async fn legacy_key_waits(&self) -> Result<bool, StoreError> {
        Ok(self.store.user(FIRST_USER).await?.is_none_or(|(user, _)| user.must_change))
    }

    /// The user's keys, oldest first. Names that an older version let in, with characters that would be refused now, are shown as
    /// such names are everywhere.
    pub async fn keys(&self, user: UserRef) -> Result<Vec<ApiKey>, StoreError> {
        let keys = self.store.keys(user).await?;
        // Long enough for every character of a name to be one that is escaped.
        let shown = |name: &str| Shown::at_most(name, MAX_KEY_NAME * "\\u{10ffff}".len()).to_string();
        Ok(keys.into_iter().map(|key| ApiKey { name: shown(&key.name), ..key }).collect())
    }

    /// Makes a key that opens all that is its user's. Names need not differ.
    pub async fn issue_key(&self, user: UserRef, name: Option<&str>) -> Result<IssuedKey, KeyError> {
        self.issue_narrowed_key(user, name, KeyScope::default()).await
    }

    /// Makes a key that opens no more than `scope`, and never more than its user may.
    pub async fn issue_narrowed_key(
        &self,
        user: UserRef,
        name: Option<&str>,
        scope: KeyScope,
    ) -> Result<IssuedKey, KeyError> {
        let name = name.map_or(UNNAMED, str::trim);
        if name.is_empty() || name.chars().count() > MAX_KEY_NAME || name.chars().any(shown::is_hidden) {
            return Err(KeyError::BadName);
        }
        let secret = Secret::key()?;
        let row = NewKeyRow {
            secret: secret.hash(),
            user,
            name: name.to_owned(),
            prefix: secret.prefix(),
            scope,
            created_at: self.clock.now(),
            most: MAX_KEYS,
        };
        let key = self.store.add_key(row).await?.ok_or(KeyError::TooMany)?;
        Ok(IssuedKey { secret, key })
    }

    /// Whether the user had this key. It opens nothing from now on.
    pub async fn revoke_key(&self, user: UserRef, id: KeyId) -> Result<bool, StoreError> {
        self.store.remove_key(user, id).await
    }
}
