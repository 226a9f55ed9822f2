//! Passwords: what one must be like, and bcrypt, which is slow on purpose and therefore rationed.

use std::sync::Arc;

use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use super::error::{Failure, Refused};
use crate::store::accounts::PasswordHash;

/// Fewest characters of a new password.
pub const MIN_CHARS: usize = 8;

/// Most bytes of a password: bcrypt reads no further.
pub const MAX_BYTES: usize = 72;

/// Passwords of [`MIN_CHARS`] or more that whoever guesses tries first, in lower case, a line each: those of the 20,000 most
/// common ones of leaked collections, as Django 5.2 ships them (`contrib/auth/common-passwords.txt.gz`, BSD licence).
const COMMON: &str = include_str!("common_passwords.txt");

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
    #[error("the new password is the user's name, or little more: take one that nobody guesses who knows the name")]
    LikeTheName,
    #[error(
        "the new password is one of those that are tried first: take three or four words that only you would put together"
    )]
    Common,
    #[error("the new password is the current one: take another")]
    LikeTheCurrent,
}

/// A text that bcrypt takes into account entirely, which is the proof that hashing asks for: above 72 bytes it would
/// cut, and it would take `a\0a` for `a`. (The crate's `non_truncating_hash` refuses 72 bytes as well, which fit.)
///
/// Normalized to NFC: macOS hands Korean over in its parts (NFD), other systems composed, and it is the same password.
#[derive(Clone)]
pub(super) struct Password {
    text: String,
    /// As it was typed, where that is something else: hashes from before the normalization were made of it.
    typed: Option<String>,
}

impl Password {
    pub(super) fn new(typed: &str) -> Option<Self> {
        let fits = |text: &String| text.len() <= MAX_BYTES && !text.contains('\0');
        let text = Some(normalized(typed)).filter(fits);
        let typed = Some(typed.to_owned()).filter(fits).filter(|typed| text.as_ref() != Some(typed));
        match (text, typed) {
            (Some(text), typed) => Some(Self { text, typed }),
            (None, Some(typed)) => Some(Self { text: typed, typed: None }),
            (None, None) => None,
        }
    }

    /// A password that is to be set.
    pub(super) fn chosen(text: &str, user: &str) -> Result<Self, PasswordRule> {
        let text = normalized(text);
        if text.chars().count() < MIN_CHARS {
            return Err(PasswordRule::TooShort);
        }
        let lower = text.to_lowercase();
        if lower.trim_matches(|c: char| !c.is_alphabetic())
            == user.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase()
        {
            return Err(PasswordRule::LikeTheName);
        }
        if COMMON.lines().any(|common| common == lower) {
            return Err(PasswordRule::Common);
        }
        if text.chars().any(char::is_control) {
            return Err(PasswordRule::Control);
        }
        Self::new(&text).ok_or(PasswordRule::TooLong { bytes: text.len() })
    }

    /// Whether both were meant to be the same.
    pub(super) fn is_same(one: &str, other: &str) -> bool {
        normalized(one) == normalized(other)
    }
}

fn normalized(typed: &str) -> String {
    typed.nfc().collect()
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
        self.run(move || bcrypt::hash(&password.text, rounds).map(PasswordHash)).await
    }

    /// `None` stands for a text that no password can be; it takes as long. How long depends on what was typed only: a text
    /// that is not in NFC is tried in both forms, also when the first one is right.
    pub(super) async fn verify(&self, password: Option<Password>, hash: PasswordHash) -> Result<bool, HashError> {
        self.run(move || {
            let Some(Password { text, typed }) = password else {
                bcrypt::verify("", &hash.0)?;
                return Ok(false);
            };
            let right = bcrypt::verify(&text, &hash.0)?;
            let also = typed.map(|typed| bcrypt::verify(&typed, &hash.0)).transpose()?.unwrap_or(false);
            Ok(right || also)
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
        use PasswordRule::{Common, Control, LikeTheName, TooLong, TooShort};
        for (text, rule) in [
            ("correct horse", Ok(())),
            ("12345678", Err(Common)),
            ("Password123", Err(Common)),
            ("password 12345678", Ok(())),
            ("operator1!", Err(LikeTheName)),
            ("  OPERATOR", Err(LikeTheName)),
            ("operators are nice", Ok(())),
            // Eight letters in their parts are not more than eight.
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", Err(TooShort)),
            // 24 letters of 9 bytes each fit when they are composed.
            (&"\u{1100}\u{1161}\u{11a8}".repeat(24), Ok(())),
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
    async fn a_korean_password_is_the_same_however_its_letters_are_put_together() {
        let hasher = Hasher::new();
        let (composed, parts) = ("우리집비밀번호", "우리집비밀번호".nfd().collect::<String>());
        assert_ne!(composed, parts);
        let hash = hasher.hash(Password::chosen(&format!("{parts}!"), "alice").unwrap(), 4).await.unwrap();
        for typed in [composed, &parts] {
            assert!(hasher.verify(Password::new(&format!("{typed}!")), hash.clone()).await.unwrap(), "{typed}");
            assert!(!hasher.verify(Password::new(typed), hash.clone()).await.unwrap(), "{typed}");
        }
        // Made before passwords were normalized, of what a macOS sent.
        let old = PasswordHash(bcrypt::hash(&parts, 4).unwrap());
        assert!(hasher.verify(Password::new(&parts), old.clone()).await.unwrap());
        // In parts it may be longer than it may be composed.
        let longest = "\u{1100}\u{1161}\u{11a8}".repeat(24);
        let hash = hasher.hash(Password::new(&longest).unwrap(), 4).await.unwrap();
        assert!(hasher.verify(Password::new(&normalized(&longest)), hash.clone()).await.unwrap());
        assert!(!hasher.verify(Password::new(&longest[9..]), hash).await.unwrap());
        assert!(Password::is_same(composed, &parts) && !Password::is_same(composed, "우리집"));
    }

    #[test]
    fn the_list_of_common_passwords_has_the_form_that_is_looked_for() {
        assert!(COMMON.lines().count() > 8_000);
        for line in COMMON.lines() {
            assert!(
                line.chars().count() >= MIN_CHARS && line == line.to_lowercase() && line == line.trim(),
                "{line:?}"
            );
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
