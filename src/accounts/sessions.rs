//! Logging in and out, and changing the password.

use std::net::IpAddr;
use std::time::Duration;

use super::error::{ChangeError, Failure, LoginError, Refused};
use super::first::{self, AdmitError, Visit};
use super::limiter::Attempt;
use super::password::{self, HashError, Password, PasswordRule};
use super::secret::{self, Secret};
use super::totp::Step;
use super::{Accounts, SessionId, SessionInfo, User, UserRef};
use crate::model::{Timestamp, shown};
use crate::store::StoreError;
use crate::store::accounts::{Keys, NewPassword, NewSessionRow, PasswordHash, Sessions};

/// How many sessions a user may have; the oldest give way.
pub const MAX_SESSIONS: u32 = 50;

/// Most characters kept of what a browser calls itself: it may say what it likes.
const MAX_AGENT: usize = 200;

/// A session that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user: User,
    /// As the settings are now.
    pub expires_at: Timestamp,
}

/// A session that was just begun.
#[derive(Debug)]
pub struct NewSession {
    /// For the cookie; nobody can ask for it again.
    pub token: Secret,
    pub session: Session,
    /// Until it expires.
    pub life: Duration,
}

impl Accounts {
    /// Begins a session. Sessions that have expired, and the user's oldest above [`MAX_SESSIONS`], are thrown away.
    ///
    /// A password that was hashed with other rounds than `BCRYPT_ROUNDS` says now is hashed anew.
    ///
    /// The first password is good for this machine; see [`Accounts::first_word`] for the private network. Whoever lacks what
    /// else it takes has made a failed attempt, so the word is guessed no faster than a password.
    ///
    /// # Crash
    /// A caller that goes away while the password is checked has made a failed attempt.
    pub async fn login(&self, name: &str, password: &str, visit: &Visit<'_>) -> Result<NewSession, LoginError> {
        let from = visit.from;
        let attempt = self.admit(name, from)?;
        let found = self.store.user(name).await.inspect_err(|_| self.limiter.undecided(&attempt))?;
        // Whoever is only invited has no password, and is refused like somebody who is not there.
        let found = found.filter(|(_, hash)| !hash.is_none());
        let rounds = self.settings().bcrypt_rounds;
        let stored = found.as_ref().map_or_else(|| password::dummy(rounds), |(_, hash)| hash.clone());
        let given = Password::new(password);
        let right = self.verify(&attempt, given.clone(), stored.clone()).await?;
        let (Some((user, _)), Some(given), true) = (found, given, right) else {
            // A name that is none may be a password that was typed into the wrong field.
            tracing::info!(%from, code = "login-failed", "a login failed");
            return Err(LoginError::Wrong);
        };
        if first::is_first(&user, password) {
            first::admit(visit, &self.settings().first_word_path()).map_err(|error| match error {
                AdmitError::Refused(why) => {
                    tracing::info!(%from, place = ?visit.place, "a login with the first password is refused");
                    LoginError::First(why)
                }
                AdmitError::Failed(failure) => LoginError::Failed(failure),
            })?;
        }
        match self.second_step(&user, visit.code, &attempt).await? {
            Step::Passed => {}
            Step::Needed => return Err(LoginError::CodeNeeded),
            Step::Wrong => return Err(LoginError::WrongCode),
        }
        self.limiter.succeeded(&attempt, self.clock.now());
        let verified = self.renew(&user, given, stored, rounds).await;
        // None: the password was replaced since it was checked.
        self.begin(user, verified, visit).await?.ok_or(LoginError::Wrong)
    }

    /// Begins a session of somebody whose password was checked or set. `None`: it was replaced since.
    pub(super) async fn begin(
        &self,
        user: User,
        verified: PasswordHash,
        visit: &Visit<'_>,
    ) -> Result<Option<NewSession>, Failure> {
        let (token, from) = (Secret::token()?, visit.from);
        let agent = visit.agent.unwrap_or_default().chars().filter(|c| !shown::is_hidden(*c));
        let (now, life) = (self.clock.now(), self.session_life());
        let row = NewSessionRow {
            token: token.hash(),
            user: user.id,
            verified,
            address: from.to_string(),
            agent: agent.take(MAX_AGENT).collect(),
            created_at: now,
            expired_at: back(now, life),
            most: MAX_SESSIONS,
        };
        let Some(id) = self.store.add_session(row).await? else { return Ok(None) };
        tracing::info!(%from, user = user.name, session = id.0, "logged in");
        Ok(Some(NewSession { token, session: Session { id, user, expires_at: forth(now, life) }, life }))
    }

    /// The session of this token, while it lasts.
    pub async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        let Some(hash) = secret::token_hash(token) else { return Ok(None) };
        let Some(row) = self.store.session(hash).await? else { return Ok(None) };
        let expires_at = forth(row.created_at, self.session_life());
        let session = Session { id: row.id, user: row.user, expires_at };
        Ok(Some(session).filter(|session| self.clock.now() < session.expires_at))
    }

    /// Where a user is signed in, newest first, and until when.
    pub async fn sessions(&self, user: UserRef) -> Result<Vec<(SessionInfo, Timestamp)>, StoreError> {
        let (now, life) = (self.clock.now(), self.session_life());
        let sessions = self.store.sessions(user).await?.into_iter();
        let until = sessions.map(|session| {
            let until = forth(session.created_at, life);
            (session, until)
        });
        Ok(until.filter(|(_, until)| now < *until).collect())
    }

    /// Ends one session of a user. Whether there was one.
    pub async fn end_session(&self, user: UserRef, session: SessionId) -> Result<bool, StoreError> {
        self.store.end_session(user, session).await
    }

    /// Ends a session; one that has ended already is no error.
    pub async fn logout(&self, session: SessionId) -> Result<(), StoreError> {
        self.store.remove_session(session).await
    }

    /// Sets a new password and ends every other session of the user. API keys stay.
    ///
    /// Guessing the current password is slowed down as at the login: a stolen session must not be a way to it.
    pub async fn change_password(
        &self,
        session: SessionId,
        user: &User,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), ChangeError> {
        let chosen = Password::chosen(new, &user.name)?;
        let attempt = self.admit(&user.name, from)?;
        let found = self.store.user(&user.name).await.inspect_err(|_| self.limiter.undecided(&attempt))?;
        let Some((_, stored)) = found else { return Err(ChangeError::Wrong) };
        if !self.verify(&attempt, Password::new(current), stored.clone()).await? {
            tracing::info!(%from, user = user.name, code = "change-failed", "a change of password failed");
            return Err(ChangeError::Wrong);
        }
        // The password alone forgives no wrong code of the second step.
        self.limiter.undecided(&attempt);
        if Password::is_same(new, current) {
            return Err(PasswordRule::LikeTheCurrent.into());
        }
        let hash = self.hasher.hash(chosen, self.settings().bcrypt_rounds).await?;
        let change = NewPassword {
            user: user.id,
            // `paas admin reset-password` may have come in between; then it has ended this session, too.
            instead_of: Some(stored),
            password: hash,
            must_change: false,
            sessions: Sessions::EndAllBut(session),
            keys: Keys::Keep,
        };
        if !self.store.set_password(change).await? {
            return Err(ChangeError::Wrong);
        }
        self.forget_first_word(&user.name);
        tracing::info!(%from, user = user.name, "the password was changed, other sessions have ended");
        Ok(())
    }

    pub(super) fn admit(&self, name: &str, from: IpAddr) -> Result<Attempt, Refused> {
        self.limiter.admit(name, from, self.clock.now()).map_err(|after| {
            tracing::info!(%from, wait = after.as_secs(), code = "login-refused", "a login is refused after too many failures");
            Refused::TooOften { after }
        })
    }

    pub(super) async fn verify(
        &self,
        attempt: &Attempt,
        given: Option<Password>,
        stored: PasswordHash,
    ) -> Result<bool, HashError> {
        self.hasher.verify(given, stored).await.inspect_err(|_| self.limiter.undecided(attempt))
    }

    /// Hashes a right password anew if the settings ask for other rounds. Returns the hash that is in force; that it
    /// could not be replaced is no reason to keep anybody out.
    async fn renew(&self, user: &User, given: Password, stored: PasswordHash, rounds: u32) -> PasswordHash {
        if password::rounds(&stored) == Some(rounds) {
            return stored;
        }
        let Ok(fresh) = self.hasher.hash(given, rounds).await else { return stored };
        let change = NewPassword {
            user: user.id,
            instead_of: Some(stored.clone()),
            password: fresh.clone(),
            must_change: user.must_change,
            sessions: Sessions::Keep,
            keys: Keys::Keep,
        };
        match self.store.set_password(change).await {
            Ok(true) => fresh,
            Ok(false) | Err(_) => stored,
        }
    }

    fn session_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings().session_ttl_hours) * 60 * 60)
    }
}

fn millis(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn forth(at: Timestamp, life: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(millis(life)))
}

pub(super) fn back(at: Timestamp, life: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(millis(life)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::Settings;
    use crate::store::SqliteStore;

    #[tokio::test]
    async fn an_unknown_user_costs_the_same_work_and_a_flood_counts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
        let mut settings = Settings::defaults(folder.path());
        settings.bcrypt_rounds = 4;
        let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let accounts = Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx);
        accounts.bootstrap().await.unwrap();
        let from = IpAddr::from([10, 0, 0, 1]);
        let session = accounts.login("admin", "admin", &Visit::here(from)).await.unwrap().session;
        let flood = accounts.hasher.flood();
        for _ in 0..20 {
            for name in ["admin", "nobody"] {
                let refused = accounts.login(name, "wrong", &Visit::here(from)).await;
                // Whoever is not checked for want of a user would be told that the password is wrong.
                assert!(matches!(refused, Err(LoginError::Refused(Refused::Busy))), "{name}: {refused:?}");
            }
            let refused = accounts.change_password(session.id, &session.user, "admin", "correct horse", from).await;
            assert!(matches!(refused, Err(ChangeError::Refused(Refused::Busy))), "{refused:?}");
        }
        drop(flood);
        accounts.login("admin", "admin", &Visit::here(from)).await.unwrap();
    }
}
