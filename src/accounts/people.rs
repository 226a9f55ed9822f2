//! Who there is: invitations, roles, and people who leave.
//!
//! A person comes in by an invitation: a link that works once, for a week, and lets them choose a password. The same link made
//! again mends a forgotten one. An admin never learns a password, and nobody but its reader has the link: at rest is its hash.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{MutexGuard, watch};

use super::error::{AcceptError, PeopleError};
use super::first::Visit;
use super::password::Password;
use super::secret::{self, Secret};
use super::sessions::{NewSession, back, forth};
use super::totp::Step;
use super::{Accounts, Role, User};
use crate::model::{AppKey, AppName, Quotas, Timestamp, UserId};
use crate::store::StoreError;
use crate::store::accounts::{Changed, NewPerson, PersonRow};

/// How long an invitation may be taken up.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Somebody who has an account, or is invited to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: User,
    /// Not before the first invitation was accepted.
    pub has_password: bool,
    pub created_at: Timestamp,
    /// Until when an invitation may be taken up; one that is over counts as none.
    pub invited_until: Option<Timestamp>,
    /// How many apps they may have; `None`: as the settings say.
    pub max_apps: Option<u32>,
    /// Signing in takes a code besides the password.
    pub has_totp: bool,
}

/// An invitation that was just made.
#[derive(Debug)]
pub struct Invited {
    pub name: String,
    /// For the link; nobody can ask for it again.
    pub token: Secret,
    pub expires_at: Timestamp,
}

/// What the holder of a link is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub user: User,
    /// It mends a forgotten password; otherwise it opens the account.
    pub is_reset: bool,
    /// Taking it up takes a code of the second step: the link mends a password, and no lost phone.
    pub needs_code: bool,
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let now = self.clock.now();
        Ok(self.store.people().await?.into_iter().map(|row| person(row, now)).collect())
    }

    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        Ok(self.people().await?.into_iter().find(|person| person.user.name == name))
    }

    /// Makes an account without a password, and the link to it. A name is the userid of its owner's apps, so it has to be one
    /// that a new app may have.
    pub async fn invite(&self, name: &str, role: Role, max_apps: Option<u32>) -> Result<Invited, PeopleError> {
        let user = UserId::parse(name)?;
        // The rule is that of an app's address, whichever app it is.
        AppKey::new(user, AppName::parse("site")?).allowed_for_new()?;
        let (token, now) = (Secret::token()?, self.clock.now());
        let new = NewPerson { name: name.to_owned(), role, max_apps, invitation: token.hash(), created_at: now };
        let turn = self.quotas.lock().await;
        if !self.store.add_person(new).await? {
            return Err(PeopleError::Exists { name: name.to_owned() });
        }
        self.publish_quotas(&turn).await?;
        Ok(Invited { name: name.to_owned(), token, expires_at: forth(now, INVITATION_LIFE) })
    }

    /// A new link for somebody who is there; the one before opens nothing any more. A password goes on until the link is used.
    pub async fn invite_again(&self, name: &str) -> Result<Invited, PeopleError> {
        let (token, now) = (Secret::token()?, self.clock.now());
        if !self.store.invite(name, token.hash(), now).await? {
            return Err(PeopleError::NoSuchUser { name: name.to_owned() });
        }
        Ok(Invited { name: name.to_owned(), token, expires_at: forth(now, INVITATION_LIFE) })
    }

    /// The invitation of this link. Whether it was used, is over, or never was, is not told.
    pub async fn invitation(&self, token: &str) -> Result<Option<Invitation>, StoreError> {
        let Some(hash) = secret::token_hash(token) else { return Ok(None) };
        let Some(row) = self.store.invitation(hash).await? else { return Ok(None) };
        let found = person(row, self.clock.now());
        Ok(found.invited_until.map(|expires_at| Invitation {
            user: found.user,
            is_reset: found.has_password,
            needs_code: found.has_totp,
            expires_at,
        }))
    }

    /// Takes an invitation up: sets the password, ends every session there was, and begins one.
    ///
    /// # Crash
    /// The password is set and the link is used up, or neither. Who has the password but no session signs in.
    pub async fn accept(&self, token: &str, password: &str, visit: &Visit<'_>) -> Result<NewSession, AcceptError> {
        let found = self.invitation(token).await?.ok_or(AcceptError::NoSuchInvitation)?;
        let hash = secret::token_hash(token).ok_or(AcceptError::NoSuchInvitation)?;
        let chosen = Password::chosen(password, &found.user.name)?;
        if found.needs_code {
            let attempt = self.admit(&found.user.name, visit.from)?;
            match self.second_step(&found.user, visit.code, &attempt).await? {
                Step::Passed => self.limiter.undecided(&attempt),
                Step::Needed => return Err(AcceptError::CodeNeeded),
                Step::Wrong => return Err(AcceptError::WrongCode),
            }
        }
        let fresh = self.hasher.hash(chosen, self.settings().bcrypt_rounds).await?;
        let issued_after = back(self.clock.now(), INVITATION_LIFE);
        // None: somebody else with the link came first, or an admin has made a new one.
        let user = self.store.accept(hash, issued_after, fresh.clone()).await?.ok_or(AcceptError::NoSuchInvitation)?;
        self.forget_first_word(&user.name);
        tracing::info!(from = %visit.from, user = user.name, "an invitation was taken up");
        self.begin(user, fresh, visit).await?.ok_or(AcceptError::NoSuchInvitation)
    }

    /// What they may do from the next request on.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), PeopleError> {
        changed(self.store.set_role(name, role).await?, name)
    }

    /// How many apps they may have from now on; `None`: as the settings say. What they have beyond that stays.
    pub async fn set_quota(&self, name: &str, max_apps: Option<u32>) -> Result<(), PeopleError> {
        let turn = self.quotas.lock().await;
        if !self.store.set_quota(name, max_apps).await? {
            return Err(PeopleError::NoSuchUser { name: name.to_owned() });
        }
        self.publish_quotas(&turn).await?;
        Ok(())
    }

    /// The quotas in force, and every change of them. To be asked after [`Accounts::bootstrap`].
    #[must_use]
    pub fn quotas(&self) -> watch::Receiver<Arc<Quotas>> {
        self.quotas_tx.subscribe()
    }

    /// After a change of them. Whoever calls has the turn from before the change on, so that what was read later is published
    /// later.
    pub(super) async fn publish_quotas(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let quotas = self.store.quotas().await?;
        self.quotas_tx.send_if_modified(|now| {
            let changed = **now != quotas;
            *now = Arc::new(quotas);
            changed
        });
        Ok(())
    }

    /// Their sessions, keys and invitation go with them.
    pub async fn remove_person(&self, name: &str) -> Result<(), PeopleError> {
        let turn = self.quotas.lock().await;
        changed(self.store.remove_person(name).await?, name)?;
        self.publish_quotas(&turn).await?;
        Ok(())
    }
}

fn changed(outcome: Changed, name: &str) -> Result<(), PeopleError> {
    match outcome {
        Changed::Done => Ok(()),
        Changed::NoSuchUser => Err(PeopleError::NoSuchUser { name: name.to_owned() }),
        Changed::LastAdmin => Err(PeopleError::LastAdmin),
    }
}

fn person(row: PersonRow, now: Timestamp) -> Person {
    let until = row.invited_at.map(|at| forth(at, INVITATION_LIFE));
    Person {
        user: row.user,
        has_password: row.has_password,
        created_at: row.created_at,
        max_apps: row.max_apps,
        has_totp: row.has_totp,
        invited_until: until.filter(|until| now < *until),
    }
}
