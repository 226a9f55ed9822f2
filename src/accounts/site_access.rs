//! Who is let into which site: owners who come from the portal, and guests with an invitation link or the site's password.
//!
//! [`SiteAccess`] is the whole of it. Whoever is let in gets a *pass*, a random token that the gateway keeps in a cookie of the
//! site's own host. What a site asks of its visitors is the manifest's affair, and the gateway's to enforce.
//!
//! # Guarantees
//! - Links, passes and passwords are at rest as hashes only, and no error, log line or `Debug` output has one.
//! - [`SiteAccess::holds`] looks into memory: no query, no await. What is changed through this type counts from the next look
//!   on; what is changed elsewhere (a session of the portal ends, a person is removed, another process writes) within a second.
//! - A pass is good for one site and no other, and goes with what it was given for: the session, the link, the password, the site.
//! - A hand-over's code is good once, for a minute, in one browser, for one site and one path of it. It is in memory only:
//!   a restart makes its bearer begin anew.
//!
//! # Assumptions
//! - A clock that is put back does not revive a pass that was seen to have expired: it is removed then.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{EnterError, LinkError, Refused, SitePasswordError};
use super::limiter::Limiter;
use super::password::{Hasher, Password};
use super::secret::{self, Secret};
use super::sessions::forth;
use super::{Accounts, SessionId};
use crate::clock::Clock;
use crate::model::{AppKey, Audience, Settings, Timestamp, shown};
use crate::store::StoreError;
use crate::store::accounts::{Role, SecretHash};
use crate::store::visitors::{Given, GuestLink, Holder, LinkId, Mark, NewLink, NewPass, PassRow, VisitorStore};

/// How long a guest stays one without coming in anew.
pub const GUEST_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How many links a site may have.
pub const MAX_LINKS: u32 = 100;
/// Most characters of a link's name.
pub const MAX_LINK_NAME: usize = 40;
/// Longest life of a link that expires.
pub const MAX_LINK_DAYS: u32 = 3650;
/// Browsers of guests that are let into one site, and as many of owners; the oldest of whoever has most of them give way. All
/// of them are kept in memory.
const MAX_PASSES: u32 = 500;
/// How long the code of a hand-over is good.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Hand-overs under way; the oldest give way.
const MAX_CODES: usize = 1_000;
/// Longest path that a hand-over leads back to.
const MAX_PATH: usize = 2_000;
/// How often is looked for what others have changed.
const LOOK_EVERY: Duration = Duration::from_millis(700);

/// Who is let into which site. One per process, shared.
pub struct SiteAccess {
    store: Arc<dyn VisitorStore>,
    clock: Arc<dyn Clock>,
    settings_rx: watch::Receiver<Arc<Settings>>,
    hasher: Arc<Hasher>,
    /// Apart from the portal's: who mistypes a site's password does not make its owner wait for the portal.
    limiter: Limiter,
    codes: Mutex<HashMap<[u8; 32], Code>>,
    passes_tx: watch::Sender<Arc<Table>>,
    /// One reading at a time, so that an older one never replaces a newer.
    reading: tokio::sync::Mutex<()>,
}

impl fmt::Debug for SiteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteAccess").finish_non_exhaustive()
    }
}

/// Every pass, by the hash of its token. Immutable: a change is a new one.
#[derive(Default)]
struct Table {
    mark: Option<Mark>,
    passes: HashMap<[u8; 32], Pass>,
    with_password: BTreeSet<AppKey>,
}

#[derive(PartialEq, Eq)]
struct Pass {
    app: AppKey,
    standing: Audience,
    until: Until,
}

#[derive(PartialEq, Eq)]
enum Until {
    /// The session's life is that of the settings at the moment.
    Session {
        since: Timestamp,
    },
    At(Timestamp),
}

/// A hand-over under way.
struct Code {
    app: AppKey,
    session: SessionId,
    path: String,
    browser: [u8; 32],
    at: Instant,
}

/// An invitation link that was just made.
#[derive(Debug)]
pub struct NewGuestLink {
    pub link: GuestLink,
    /// For the link; nobody can ask for it again.
    pub token: Secret,
}

/// Somebody who was let in.
#[derive(Debug)]
pub struct Entered {
    /// For the cookie; nobody can ask for it again.
    pub pass: Secret,
    pub life: Duration,
    /// Where they wanted to go: a path of the site.
    pub path: String,
}

impl SiteAccess {
    /// Knows nobody before the first [`SiteAccess::refresh`]. `accounts` lends its ration of bcrypt.
    #[must_use]
    pub fn new(
        store: Arc<dyn VisitorStore>,
        accounts: &Accounts,
        clock: Arc<dyn Clock>,
        settings_rx: watch::Receiver<Arc<Settings>>,
    ) -> Self {
        Self {
            store,
            clock,
            settings_rx,
            hasher: Arc::clone(&accounts.hasher),
            limiter: Limiter::default(),
            codes: Mutex::default(),
            passes_tx: watch::Sender::new(Arc::default()),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// What the bearer of this pass is at the site; `None`: nobody in particular.
    #[must_use]
    pub fn holds(&self, app: &AppKey, token: &str) -> Option<Audience> {
        let hash = secret::token_hash(token)?;
        let table = self.passes_tx.borrow();
        let pass = table.passes.get(&hash.0).filter(|pass| pass.app == *app)?;
        (self.clock.now() < self.until(&pass.until)).then_some(pass.standing)
    }

    /// Whether there is a password to be asked for.
    #[must_use]
    pub fn has_password(&self, app: &AppKey) -> bool {
        self.passes_tx.borrow().with_password.contains(app)
    }

    /// Changes whenever [`SiteAccess::holds`] may answer something else than before, apart from time that passes.
    pub fn changes(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut passes_rx = self.passes_tx.subscribe();
        async move {
            if passes_rx.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes up what is in the database now, and removes passes that have expired.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one = self.reading.lock().await;
        let seen = self.passes_tx.borrow().mark;
        if let Some(passes) = self.store.passes(seen).await? {
            let table = Table {
                mark: Some(passes.mark),
                passes: passes.rows.into_iter().filter_map(pass).collect(),
                with_password: passes.with_password,
            };
            // Most of what is written to the database is about no pass: then nobody who stays is woken.
            self.passes_tx.send_if_modified(|now| {
                let is_other = now.passes != table.passes;
                *now = Arc::new(table);
                is_other
            });
        }
        let now = self.clock.now();
        let expired: Vec<_> = {
            let table = self.passes_tx.borrow();
            let over = table.passes.iter().filter(|(_, pass)| now >= self.until(&pass.until));
            over.map(|(hash, _)| SecretHash(*hash)).collect()
        };
        if expired.is_empty() {
            return Ok(());
        }
        // The next look finds them gone.
        self.store.remove_passes(expired).await
    }

    /// Keeps up with what others change, until stopped. A database that cannot be asked changes nothing.
    pub async fn keep_up(self: Arc<Self>, stop: CancellationToken) {
        loop {
            // Cancel-safe: nothing is kept between the looks.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // Whoever needs the database is told of it elsewhere.
            let _ = self.refresh().await;
        }
    }

    /// The site's links, oldest first.
    pub async fn links(&self, app: &AppKey) -> Result<Vec<GuestLink>, StoreError> {
        self.store.links(app).await
    }

    /// Makes a link for somebody; `days`: how long it is good, `None` for ever.
    pub async fn add_link(&self, app: &AppKey, name: &str, days: Option<u32>) -> Result<NewGuestLink, LinkError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_LINK_NAME || name.chars().any(shown::is_hidden) {
            return Err(LinkError::BadName);
        }
        if days.is_some_and(|days| !(1..=MAX_LINK_DAYS).contains(&days)) {
            return Err(LinkError::BadLife);
        }
        let (token, now) = (Secret::token()?, self.clock.now());
        let life = days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        let new = NewLink {
            app: app.clone(),
            name: name.to_owned(),
            token: token.hash(),
            created_at: now,
            expires_at: life.map(|life| forth(now, life)),
            most: MAX_LINKS,
        };
        let link = self.store.add_link(new).await?.ok_or(LinkError::TooMany)?;
        Ok(NewGuestLink { link, token })
    }

    /// Takes a link back; everybody who came in by it is out from the next request on. Whether there was one.
    pub async fn remove_link(&self, app: &AppKey, id: LinkId) -> Result<bool, StoreError> {
        let removed = self.store.remove_link(app, id).await?;
        self.refresh().await?;
        Ok(removed)
    }

    /// Sets the site's password, or takes it away; everybody who came in by the one before is out.
    pub async fn set_password(&self, app: &AppKey, password: Option<&str>) -> Result<(), SitePasswordError> {
        let hash = match password {
            Some(text) => {
                let chosen = Password::chosen(text, app.user.as_str())?;
                let rounds = self.settings_rx.borrow().bcrypt_rounds;
                Some(self.hasher.hash(chosen, rounds).await?)
            }
            None => None,
        };
        self.store.set_site_password(app, hash, self.clock.now()).await?;
        Ok(self.refresh().await?)
    }

    /// Everybody out, the owner as well. How many browsers that were.
    pub async fn end_all(&self, app: &AppKey) -> Result<usize, StoreError> {
        let ended = self.store.end_passes(app).await?;
        self.refresh().await?;
        Ok(ended)
    }

    /// Begins a hand-over from the portal to the site: a code with which this session's owner comes in. The caller has made sure
    /// that they are the owner of the site, or an admin.
    ///
    /// `browser` is the SHA-256, in hexadecimal, of what the site's host has given the browser to remember.
    pub fn hand_over(&self, app: &AppKey, session: SessionId, path: &str, browser: &str) -> Result<Secret, EnterError> {
        let browser = unhex(browser).ok_or(EnterError::Wrong)?;
        let path = if is_path(path) { path.to_owned() } else { "/".to_owned() };
        let code = Secret::token()?;
        let now = Instant::now();
        let mut codes = self.codes();
        codes.retain(|_, code| now.duration_since(code.at) < CODE_LIFE);
        if codes.len() >= MAX_CODES
            && let Some(oldest) = codes.iter().min_by_key(|(_, code)| code.at).map(|(hash, _)| *hash)
        {
            codes.remove(&oldest);
        }
        codes.insert(code.hash().0, Code { app: app.clone(), session, path, browser, at: now });
        Ok(code)
    }

    /// Lets in whoever has an invitation link, or the code of a hand-over and is in the browser where it was begun: one of these is what that was given to remember.
    pub async fn enter_by_code(&self, app: &AppKey, code: &str, browser: &[String]) -> Result<Entered, EnterError> {
        let hash = secret::token_hash(code.trim()).ok_or(EnterError::Wrong)?;
        let handed_over = self.codes().remove(&hash.0);
        let (given, path) = match handed_over {
            Some(code) => {
                let same_browser =
                    browser.iter().any(|browser| <[u8; 32]>::from(Sha256::digest(browser)) == code.browser);
                if code.app != *app || code.at.elapsed() >= CODE_LIFE || !same_browser {
                    return Err(EnterError::Wrong);
                }
                (Given::Session(code.session), code.path)
            }
            None => (Given::Link(hash), "/".to_owned()),
        };
        self.let_in(app, given, path).await
    }

    /// Lets in whoever knows the site's password.
    pub async fn enter_by_password(
        &self,
        app: &AppKey,
        password: &str,
        path: &str,
        from: IpAddr,
    ) -> Result<Entered, EnterError> {
        let now = self.clock.now();
        let attempt = self.limiter.admit(&app.to_string(), from, now).map_err(|after| {
            tracing::info!(%from, %app, wait = after.as_secs(), code = "visit-refused", "too many wrong passwords of a site");
            Refused::TooOften { after }
        })?;
        let undecided = |_: &StoreError| self.limiter.undecided(&attempt);
        let Some(stored) = self.store.site_password(app).await.inspect_err(undecided)? else {
            // Where there is none nobody guesses one.
            self.limiter.undecided(&attempt);
            return Err(EnterError::Wrong);
        };
        let right = self.hasher.verify(Password::new(password), stored.clone()).await.inspect_err(|_| {
            self.limiter.undecided(&attempt);
        })?;
        if !right {
            tracing::info!(%from, %app, code = "visit-failed", "a wrong password of a site");
            return Err(EnterError::Wrong);
        }
        self.limiter.succeeded(&attempt, self.clock.now());
        let path = if is_path(path) { path.to_owned() } else { "/".to_owned() };
        self.let_in(app, Given::Password(stored), path).await
    }

    /// The bearer of this pass leaves.
    pub async fn leave(&self, token: &str) -> Result<(), StoreError> {
        let Some(hash) = secret::token_hash(token) else { return Ok(()) };
        self.store.remove_passes(vec![hash]).await?;
        self.refresh().await
    }

    async fn let_in(&self, app: &AppKey, given: Given, path: String) -> Result<Entered, EnterError> {
        let life = match given {
            Given::Session(_) => self.session_life(),
            Given::Link(_) | Given::Password(_) => GUEST_LIFE,
        };
        let pass = Secret::token()?;
        let new =
            NewPass { app: app.clone(), token: pass.hash(), given, created_at: self.clock.now(), most: MAX_PASSES };
        if !self.store.add_pass(new).await? {
            return Err(EnterError::Wrong);
        }
        self.refresh().await?;
        Ok(Entered { pass, life, path })
    }

    fn until(&self, until: &Until) -> Timestamp {
        match until {
            Until::At(at) => *at,
            Until::Session { since } => forth(*since, self.session_life()),
        }
    }

    fn session_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings_rx.borrow().session_ttl_hours) * 60 * 60)
    }

    /// Nothing in here can panic half-way through a change.
    fn codes(&self) -> MutexGuard<'_, HashMap<[u8; 32], Code>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: of somebody whose app it is not, or not any more.
fn pass(row: PassRow) -> Option<([u8; 32], Pass)> {
    let (standing, until) = match row.holder {
        Holder::Person { name, role, since } => {
            let is_owner = role == Role::Admin || name == row.app.user.as_str();
            (is_owner.then_some(Audience::Owner)?, Until::Session { since })
        }
        Holder::Link { expires_at } => {
            let stays = forth(row.created_at, GUEST_LIFE);
            (Audience::Guests, Until::At(expires_at.map_or(stays, |at| at.min(stays))))
        }
        Holder::Password => (Audience::Guests, Until::At(forth(row.created_at, GUEST_LIFE))),
    };
    Some((row.token.0, Pass { app: row.app, standing, until }))
}

/// A path of the same site, whatever a browser makes of it: no other host (`//`, `/\`), nothing that ends a header.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && text.len() <= MAX_PATH
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !text.starts_with("/.paas/")
}

/// 64 hexadecimal digits in lower case.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !secret::may_be_token(text) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
