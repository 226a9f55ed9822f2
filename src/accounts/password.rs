//! Passwords: what one must be like, and bcrypt, which is slow on purpose and therefore rationed.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::{Failure, Refused};
use crate::store::accounts::PasswordHash;

/// Fewest characters of a new password.
pub const MIN_CHARS: usize = 8;

/// Most bytes of a password: bcrypt reads no further.
pub const MAX_BYTES: usize = 72;

/// How many hashes are computed at a time: the other cores of a small server are for the apps.
const AT_ONCE: usize = 2;

/// How many may wait for that. With the ten rounds that are the default, the last one waits about a second.
const WAITING: usize = 16;

/// Why a new password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    #[error("the new password is too short: take {MIN_CHARS} characters or more")]
    TooShort,
    #[error("the new password has {bytes} bytes: take {MAX_BYTES} at most (a Korean letter has 3)")]
    TooLong { bytes: usize },
    #[error("the new password has a character that cannot be typed: leave control characters out")]
    Control,
    #[error("the new password is the user's name: take another")]
    LikeTheName,
    #[error("the new password is the current one: take another")]
    LikeTheCurrent,
}

/// A text that bcrypt takes into account entirely, which is the proof that hashing asks for: above 72 bytes it would
/// cut, and it would take `a\0a` for `a`. (The crate's `non_truncating_hash` refuses 72 bytes as well, which fit.)
#[derive(Clone)]
pub(super) struct Password(String);

impl Password {
    pub(super) fn new(text: &str) -> Option<Self> {
        (text.len() <= MAX_BYTES && !text.contains('\0')).then(|| Self(text.to_owned()))
    }

    /// A password that is to be set.
    pub(super) fn chosen(text: &str, user: &str) -> Result<Self, PasswordRule> {
        if text.chars().count() < MIN_CHARS {
            return Err(PasswordRule::TooShort);
        }
        if text.eq_ignore_ascii_case(user) {
            return Err(PasswordRule::LikeTheName);
        }
        if text.chars().any(char::is_control) {
            return Err(PasswordRule::Control);
        }
        Self::new(text).ok_or(PasswordRule::TooLong { bytes: text.len() })
    }
}

/// A hash that no password has, to be checked against when there is no such user: it takes the same time.
pub(super) fn dummy(rounds: u32) -> PasswordHash {
    PasswordHash(format!("$2b${rounds:02}${}", ".".repeat(53)))
}

/// The cost of a hash; `None` for what is no hash.
pub(super) fn rounds(hash: &PasswordHash) -> Option<u32> {
    hash.0.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost())
}

/// Why there is no hash.
#[derive(Debug)]
pub(super) enum HashError {
    Refused(Refused),
    Failed(Failure),
}

/// Computes hashes beside the async runtime, few at a time. A flood of logins is refused, not piled up.
#[derive(Debug)]
pub(super) struct Hasher {
    /// Those that compute, and those that wait.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE + WAITING)), running: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) async fn hash(&self, password: Password, rounds: u32) -> Result<PasswordHash, HashError> {
        self.run(move || bcrypt::hash(&password.0, rounds).map(PasswordHash)).await
    }

    /// `None` stands for a text that no password can be; it takes as long.
    pub(super) async fn verify(&self, password: Option<Password>, hash: PasswordHash) -> Result<bool, HashError> {
        self.run(move || {
            let text = password.as_ref().map_or("", |password| &password.0);
            Ok(bcrypt::verify(text, &hash.0)? && password.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
    ) -> Result<T, HashError> {
        let failed = |problem: String| HashError::Failed(Failure::Hash(problem));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashError::Refused(Refused::Busy))?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let result = tokio::task::spawn_blocking(move || {
            let result = work();
            // Held until here: a caller who has left does not let another one begin beside the work that goes on.
            drop((place, turn));
            result
        });
        result.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    /// As under a flood: no place is left until the answer is dropped.
    #[cfg(test)]
    pub(super) fn flood(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.places).try_acquire_many_owned(u32::try_from(AT_ONCE + WAITING).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_has_rules() {
        use PasswordRule::{Control, LikeTheName, TooLong, TooShort};
        for (text, rule) in [
            ("correct horse", Ok(())),
            ("12345678", Ok(())),
            ("1234567", Err(TooShort)),
            ("", Err(TooShort)),
            ("admin", Err(TooShort)),
            ("여덟글자인 비번", Ok(())),
            ("일곱글자비밀번", Err(TooShort)),
            (&"a".repeat(72), Ok(())),
            (&"a".repeat(73), Err(TooLong { bytes: 73 })),
            (&"가".repeat(24), Ok(())),
            (&"가".repeat(25), Err(TooLong { bytes: 75 })),
            ("with a\nline", Err(Control)),
            ("with a\0 null", Err(Control)),
            ("Operator", Err(LikeTheName)),
        ] {
            assert_eq!(Password::chosen(text, "operator").map(drop), rule, "{text:?}");
        }
    }

    #[tokio::test]
    async fn every_byte_of_a_password_counts() {
        let hasher = Hasher::new();
        let longest = "x".repeat(72);
        let hash = hasher.hash(Password::new(&longest).unwrap(), 4).await.unwrap();
        assert_eq!(rounds(&hash), Some(4));
        for (text, right) in [
            (longest.clone(), true),
            (longest.replace("xx", "xy"), false),
            (longest[1..].to_owned(), false),
            (format!("{}y", &longest[1..]), false),
            (format!("{longest}x"), false),
            (format!("{longest}\0{longest}"), false),
            (String::new(), false),
        ] {
            assert_eq!(hasher.verify(Password::new(&text), hash.clone()).await.unwrap(), right, "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_has_the_dummys_password_and_it_costs_the_same() {
        let hasher = Hasher::new();
        for cost in [4, 10] {
            assert_eq!(rounds(&dummy(cost)), Some(cost));
        }
        for text in ["", "admin", "\0"] {
            assert!(!hasher.verify(Password::new(text), dummy(4)).await.unwrap(), "{text:?}");
        }
        // A text that is no password at all is not right because the stored one is empty.
        let empty = hasher.hash(Password::new("").unwrap(), 4).await.unwrap();
        assert!(hasher.verify(Password::new(""), empty.clone()).await.unwrap());
        assert!(!hasher.verify(None, empty).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_a_damaged_hash_is_a_failure() {
        let hasher = Hasher::new();
        let flood = hasher.flood();
        let refused = hasher.verify(None, dummy(4)).await;
        assert!(matches!(refused, Err(HashError::Refused(Refused::Busy))));
        drop(flood);
        assert!(!hasher.verify(None, dummy(4)).await.unwrap());
        let damaged = hasher.verify(Password::new("x"), PasswordHash("$2b$10$short".to_owned())).await;
        assert!(matches!(damaged, Err(HashError::Failed(Failure::Hash(_)))));
    }

    #[tokio::test]
    async fn many_at_once_all_get_their_turn() {
        let hasher = Hasher::new();
        let checks = (0..AT_ONCE + WAITING).map(|_| hasher.verify(None, dummy(4)));
        for result in futures_util::future::join_all(checks).await {
            assert!(!result.unwrap());
        }
    }
}
