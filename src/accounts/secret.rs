//! Random secrets, and what is kept of them.
//!
//! A token or key is 256 bits from the system's generator, so its SHA-256 is enough at rest: nobody can try out 2^256
//! values, and the slow hash that guessable passwords need would cost every request some 100 ms. Finding one in an index
//! by its hash gives a caller nothing to measure, because nobody can choose a secret by the first bytes of its hash.

use std::fmt;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::Failure;
use crate::model::units::hex;
use crate::store::accounts::{SecretHash, TotpSecret};

/// What every issued key begins with, so that a scanner of leaked secrets can know one.
pub(super) const KEY_PREFIX: &str = "paas_";

/// Hex digits of a token, and of a key after its prefix.
const DIGITS: usize = 64;

/// How much of a key its list shows: the prefix and 32 of the 256 bits.
const SHOWN: usize = KEY_PREFIX.len() + 8;

/// Letters of the first word.
const FIRST_WORD: usize = 16;

/// Letters and digits that are not mistaken for each other: 5 bits each.
const ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";

/// Something that opens a door. Not shown by `Debug`; whoever needs the text asks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret in clear: for its owner, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A session's token: 64 hex digits.
    pub(super) fn token() -> Result<Self, Failure> {
        Ok(Self(hex(&random::<{ DIGITS / 2 }>()?)))
    }

    /// An API key: `paas_` and 64 hex digits.
    pub(super) fn key() -> Result<Self, Failure> {
        Ok(Self(format!("{KEY_PREFIX}{}", hex(&random::<{ DIGITS / 2 }>()?))))
    }

    /// A password to be typed once: 100 bits in groups of five.
    pub(super) fn one_time_password() -> Result<Self, Failure> {
        let letters = random::<20>()?.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
        Ok(Self(groups.join("-")))
    }

    /// What the codes of a phone are computed from: 160 bits as RFC 4226 asks for, in base 32 as authenticator apps take it.
    pub(super) fn totp() -> Result<(Self, TotpSecret), Failure> {
        let bytes = random::<20>()?;
        let text = totp_rs::Secret::from(&bytes[..]).to_base32();
        Ok((Self(text), TotpSecret(bytes.to_vec())))
    }

    /// An address that has a secret in it.
    pub(super) fn of_uri(uri: String) -> Self {
        Self(uri)
    }

    /// What may be a recovery code, as somebody typed it from paper; they are made by [`Self::one_time_password`].
    pub(super) fn of_recovery_code(typed: &str) -> Option<Self> {
        let letters: Vec<char> = typed
            .chars()
            .filter(|letter| !letter.is_whitespace() && *letter != '-')
            .map(|one| one.to_ascii_lowercase())
            .collect();
        let whole = letters.len() == 20
            && letters.iter().all(|one| u8::try_from(*one).is_ok_and(|one| ALPHABET.contains(&one)));
        let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
        whole.then(|| Self(groups.join("-")))
    }

    /// What a first sign-in from another machine needs: 80 bits in groups of four.
    pub(super) fn first_word() -> Result<Self, Failure> {
        let letters = random::<FIRST_WORD>()?.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Ok(Self(groups.join("-")))
    }

    /// A text that [`Self::first_word`] may have made.
    pub(super) fn of_first_word(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let whole = |group: &&str| group.len() == 4 && group.bytes().all(|byte| ALPHABET.contains(&byte));
        (groups.len() * 4 == FIRST_WORD && groups.iter().all(whole)).then(|| Self(text.to_owned()))
    }

    pub(super) fn hash(&self) -> SecretHash {
        hash(&self.0)
    }

    /// What the list of keys shows.
    pub(super) fn prefix(&self) -> String {
        self.0.chars().take(SHOWN).collect()
    }
}

/// The hash of what may be a token; anything of another form is none, without a look into the database.
pub(super) fn token_hash(text: &str) -> Option<SecretHash> {
    is_hex(text).then(|| hash(text))
}

/// Whether a text has the form of a session's token: what has not opens nothing and needs no look.
#[must_use]
pub fn may_be_token(text: &str) -> bool {
    is_hex(text)
}

/// The same for an issued key.
pub(super) fn key_hash(text: &str) -> Option<SecretHash> {
    text.strip_prefix(KEY_PREFIX).is_some_and(is_hex).then(|| hash(text))
}

/// Whether two texts are the same, in a time that depends on neither: their hashes are compared, every byte of them.
pub(super) fn same(one: &str, other: &str) -> bool {
    hash(one).0.ct_eq(&hash(other).0).into()
}

fn is_hex(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hash(text: &str) -> SecretHash {
    SecretHash(Sha256::digest(text).into())
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    // Up to 256 bytes come whole or not at all, and no signal interrupts them.
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(got) if got == N => Ok(bytes),
        Ok(_) => Err(Failure::Random("it gave too few".to_owned())),
        Err(error) => Err(Failure::Random(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn secrets_have_their_form_and_are_never_the_same() {
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let (token, key) = (Secret::token().unwrap(), Secret::key().unwrap());
            let password = Secret::one_time_password().unwrap();
            assert!(token_hash(token.reveal()).is_some() && key_hash(key.reveal()).is_some());
            assert_eq!(password.reveal().split('-').map(str::len).collect::<Vec<_>>(), [5; 4]);
            assert!(key.reveal().starts_with(&key.prefix()) && key.prefix().len() == SHOWN);
            let word = Secret::first_word().unwrap();
            assert_eq!(word.reveal().split('-').map(str::len).collect::<Vec<_>>(), [4; 4]);
            assert_eq!(Secret::of_first_word(word.reveal()).as_ref(), Some(&word));
            for secret in [token, key, password, word] {
                assert!(!format!("{secret:?}").contains(secret.reveal()));
                assert!(seen.insert(secret.reveal().to_owned()));
            }
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_none() {
        let digits = "0123456789abcdef".repeat(4);
        for (text, token, key) in [
            (digits.clone(), true, false),
            (format!("paas_{digits}"), false, true),
            (format!("PAAS_{digits}"), false, false),
            (digits.to_uppercase(), false, false),
            (digits[1..].to_owned(), false, false),
            (format!("{digits}0"), false, false),
            (format!("paas_{digits}0"), false, false),
            ("일기".repeat(32), false, false),
            (String::new(), false, false),
            ("paas_".to_owned(), false, false),
        ] {
            assert_eq!((token_hash(&text).is_some(), key_hash(&text).is_some()), (token, key), "{text}");
        }
    }

    #[test]
    fn same_is_the_same() {
        assert!(same("k3y", "k3y") && same("", ""));
        assert!(!same("k3y", "k3Y") && !same("k3y", "k3") && !same("k3y", ""));
    }
}
