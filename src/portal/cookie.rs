//! The session cookie: its name, and what a browser is told to do with it.
//!
//! Host-only (no `Domain`), so no app below the same domain gets to see it; `HttpOnly`, so no script does; `SameSite=Lax`,
//! which the same-origin check of [`rule`](super::rule) completes. With `PORTAL_COOKIE_SECURE` also `Secure`, and the prefix
//! `__Host-` makes the browser itself guard that nobody but this very host, over TLS, has set it.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;

use crate::model::Settings;

pub(super) fn name(settings: &Settings) -> String {
    let prefix = if settings.portal_cookie_secure { "__Host-" } else { "" };
    format!("{prefix}{}", settings.session_cookie_name)
}

/// Keeps the token for as long as its session lasts.
pub(super) fn begin(settings: &Settings, token: &str, life: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    set(settings, token, life)
}

/// Throws the cookie away.
pub(super) fn end(settings: &Settings) -> Result<HeaderValue, InvalidHeaderValue> {
    set(settings, "", Duration::ZERO)
}

fn set(settings: &Settings, value: &str, life: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    let secure = if settings.portal_cookie_secure { "; Secure" } else { "" };
    let (name, seconds) = (name(settings), life.as_secs());
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_those_of_the_specification() {
        let mut settings = Settings::defaults("/paas");
        let text = |value: Result<HeaderValue, _>| value.unwrap().to_str().unwrap().to_owned();
        let day = Duration::from_secs(86_400);
        insta::assert_snapshot!(text(begin(&settings, "abc", day)), @"paas_portal_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
        insta::assert_snapshot!(text(end(&settings)), @"paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        settings.portal_cookie_secure = true;
        insta::assert_snapshot!(text(begin(&settings, "abc", day)), @"__Host-paas_portal_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure");
        insta::assert_snapshot!(text(end(&settings)), @"__Host-paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    }
}
