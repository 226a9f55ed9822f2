//! The second step of signing in, for whoever wants one: a code of their phone (RFC 6238), or a recovery code when that is lost.
//!
//! # Guarantees
//! - A code is good once, and so is a recovery code: the database decides, so two at the same moment are one.
//! - A wrong code counts as a wrong password, and a right password without a code has not succeeded: who has the password guesses
//!   codes no faster than others guess passwords.
//! - The secret is at rest as it is, because every code is computed from it; recovery codes are as hashes. Whoever reads the
//!   database has the first step's bcrypt still before them.
//!
//! API keys and sessions that are there go on: the second step is about beginning a session.

use std::net::IpAddr;

use totp_rs::{Builder, Totp};

use super::error::{Failure, TotpError};
use super::limiter::Attempt;
use super::password::Password;
use super::secret::Secret;
use super::{Accounts, User};
use crate::store::StoreError;
use crate::store::accounts::{TotpRow, TotpSecret};

/// How many recovery codes there are at first.
pub const RECOVERY_CODES: usize = 10;

/// Where the second step of somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondStep {
    Off,
    /// A secret was shown, and no code of it was typed yet: it counts for nothing.
    Begun,
    On {
        recovery_codes_left: u32,
    },
}

/// A secret for a phone, which its owner has not shown to have yet.
#[derive(Debug)]
pub struct TotpBegun {
    /// To be typed, in base 32.
    pub secret: Secret,
    /// The same as an address that authenticator apps read from a QR code.
    pub uri: Secret,
}

/// What the second step says to somebody whose password is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The code is right, or none is asked for.
    Passed,
    Needed,
    Wrong,
}

impl Accounts {
    pub async fn totp(&self, user: &User) -> Result<SecondStep, StoreError> {
        Ok(match self.store.totp(user.id).await? {
            None => SecondStep::Off,
            Some(TotpRow { confirmed: false, .. }) => SecondStep::Begun,
            Some(TotpRow { recovery_codes_left, .. }) => SecondStep::On { recovery_codes_left },
        })
    }

    /// Makes a secret, in place of one that was begun before. Nothing is asked for until a code of it was typed.
    pub async fn begin_totp(&self, user: &User, password: &str, from: IpAddr) -> Result<TotpBegun, TotpError> {
        let attempt = self.admit(&user.name, from)?;
        self.prove(user, password, &attempt).await?;
        // The password alone forgives no wrong code.
        self.limiter.undecided(&attempt);
        let (secret, bytes) = Secret::totp()?;
        if !self.store.begin_totp(user.id, bytes, self.clock.now()).await? {
            return Err(TotpError::On);
        }
        let domain = &self.settings().domain;
        let (name, text) = (&user.name, secret.reveal());
        let uri = format!("otpauth://totp/{domain}:{name}?secret={text}&issuer={domain}");
        Ok(TotpBegun { uri: Secret::of_uri(uri), secret })
    }

    /// From here on signing in takes a code. Returns the recovery codes, which nobody can ask for again.
    ///
    /// # Crash
    /// It is on with these recovery codes, or not at all.
    pub async fn confirm_totp(&self, user: &User, code: &str, from: IpAddr) -> Result<Vec<Secret>, TotpError> {
        let attempt = self.admit(&user.name, from)?;
        let found = self.store.totp(user.id).await.inspect_err(|_| self.limiter.undecided(&attempt))?;
        let Some(row) = found.filter(|row| !row.confirmed) else {
            self.limiter.undecided(&attempt);
            return Err(TotpError::NotBegun);
        };
        let Some(step) = self.step_of(&row.secret, code) else {
            return Err(TotpError::WrongCode);
        };
        self.limiter.succeeded(&attempt, self.clock.now());
        let codes: Vec<Secret> =
            (0..RECOVERY_CODES).map(|_| Secret::one_time_password()).collect::<Result<_, Failure>>()?;
        let hashes = codes.iter().map(Secret::hash).collect();
        if !self.store.confirm_totp(user.id, row.secret, step, hashes).await? {
            return Err(TotpError::NotBegun);
        }
        tracing::info!(user = user.name, "the second step is on");
        Ok(codes)
    }

    /// Takes the password and a code: who has found an open session must not be able to.
    pub async fn end_totp(&self, user: &User, password: &str, code: &str, from: IpAddr) -> Result<(), TotpError> {
        let attempt = self.admit(&user.name, from)?;
        self.prove(user, password, &attempt).await?;
        match self.second_step(user, Some(code), &attempt).await? {
            Step::Passed => {}
            Step::Needed | Step::Wrong => return Err(TotpError::WrongCode),
        }
        self.limiter.succeeded(&attempt, self.clock.now());
        self.store.remove_totp(user.id).await?;
        tracing::info!(user = user.name, "the second step is off");
        Ok(())
    }

    /// For an admin, when somebody has lost their phone and the recovery codes. `false`: there was none.
    pub async fn remove_totp(&self, user: &User) -> Result<bool, StoreError> {
        self.store.remove_totp(user.id).await
    }

    /// Whether this person passes; a code that does is used up. An attempt that lacks its code is none.
    pub(super) async fn second_step(
        &self,
        user: &User,
        code: Option<&str>,
        attempt: &Attempt,
    ) -> Result<Step, StoreError> {
        let found = self.store.totp(user.id).await.inspect_err(|_| self.limiter.undecided(attempt))?;
        let Some(row) = found.filter(|row| row.confirmed) else { return Ok(Step::Passed) };
        let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else {
            self.limiter.undecided(attempt);
            return Ok(Step::Needed);
        };
        let taken = match self.step_of(&row.secret, code) {
            Some(step) => self.store.use_totp(user.id, step).await,
            None => match Secret::of_recovery_code(code) {
                Some(code) => self.store.use_recovery_code(user.id, code.hash()).await,
                None => Ok(false),
            },
        };
        let passed = taken.inspect_err(|_| self.limiter.undecided(attempt))?;
        if !passed {
            tracing::info!(user = user.name, code = "login-failed", "a code for the second step is wrong or was used");
        }
        Ok(if passed { Step::Passed } else { Step::Wrong })
    }

    /// Whether this is their password, for a person who is signed in already.
    async fn prove(&self, user: &User, password: &str, attempt: &Attempt) -> Result<(), TotpError> {
        let found = self.store.user(&user.name).await.inspect_err(|_| self.limiter.undecided(attempt))?;
        let Some((_, stored)) = found else { return Err(TotpError::WrongPassword) };
        if self.verify(attempt, Password::new(password), stored).await? {
            return Ok(());
        }
        tracing::info!(user = user.name, code = "change-failed", "a change of the second step failed");
        Err(TotpError::WrongPassword)
    }

    /// Of which step of 30 s this is the code: the present one, or one beside it, for clocks that differ.
    fn step_of(&self, secret: &TotpSecret, code: &str) -> Option<u64> {
        let seconds = u64::try_from(self.clock.now().0).ok()? / 1_000;
        // As phones show it: `123 456`.
        let digits: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
        totp(&secret.0).check(&digits, seconds)
    }
}

fn totp(secret: &[u8]) -> Totp {
    Builder::new().with_secret(secret).build_noncompliant()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1; the last six of the eight digits there, which is what a six-digit code is.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let eight = Builder::new().with_digits(8).with_secret(&secret[..]).build().unwrap();
            assert_eq!(eight.check(code, seconds), Some(seconds / 30), "{seconds}");
            // Whose clock differs by half a minute gets in, by a minute does not.
            let ours = totp(secret);
            for (off, passes) in [(0, false), (30, true), (60, true), (90, true), (120, false)] {
                let found = ours.check(&code[2..], (seconds + off).saturating_sub(60));
                let expected = (passes || (seconds < 60 && off == 0)).then_some(seconds / 30);
                assert_eq!(found, expected, "{seconds} {off}");
            }
        }
    }
}
