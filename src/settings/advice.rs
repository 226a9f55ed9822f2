//! Settings that are in force although they are not wise.

use crate::model::Settings;

/// Fewest characters of a key that nobody guesses, if they are random.
const SAFE_KEY: usize = 16;

/// What the operator should know about settings that are accepted; in the log, and by `paas doctor`.
///
/// A short key is not refused: it may be in use in many places, and a daemon that does not start helps nobody.
#[must_use]
pub fn advice(settings: &Settings) -> Option<String> {
    let length = settings.portal_api_key.len();
    (1..SAFE_KEY).contains(&length).then(|| {
        format!(
            "PORTAL_API_KEY has fewer than {SAFE_KEY} characters and opens everything: take a long random one, for example of \
             `openssl rand -hex 24`, or empty it and use keys of `POST /api-keys`, which can be revoked one by one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_worth_a_word_and_no_key_or_a_long_one_is_not() {
        let told = |key: &str| advice(&Settings { portal_api_key: key.to_owned(), ..Settings::defaults("/paas") });
        assert_eq!(told(""), None);
        assert_eq!(told("0123456789abcdef"), None);
        insta::assert_snapshot!(told("0123456789abcde").unwrap(), @"PORTAL_API_KEY has fewer than 16 characters and opens everything: take a long random one, for example of `openssl rand -hex 24`, or empty it and use keys of `POST /api-keys`, which can be revoked one by one");
    }
}
