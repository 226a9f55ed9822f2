//! The session cookie: its name, and what a browser is told to do with it.
//!
//! Host-only (no `Domain`), so no app below the same domain gets to see it; `HttpOnly`, so no script does; `SameSite=Lax`,
//! which the same-origin check of [`rule`](super::rule) completes. Where `PAAS_PUBLIC_URL` is https (or `PORTAL_COOKIE_SECURE` says so) also `Secure`, and the prefix
//! `__Host-` makes the browser itself guard that nobody but this very host, over TLS, has set it.
//!
//! Without that prefix an app's page can set a cookie of this name for the whole domain. Holding a session of somebody else
//! it gets the request refused, and the owner out. So whoever signs in or out at a name to which such a cookie is sent is told
//! to [throw it away](overwrite_planted).

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::InvalidHeaderValue;

use crate::model::Settings;

pub(super) fn name(settings: &Settings) -> String {
    let prefix = if settings.cookie_is_secure() { "__Host-" } else { "" };
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

/// Throws away what an app has set under the session's name for `PAAS_DOMAIN` and all below it, at these paths. To be sent
/// before the session's own cookie: a browser that lets nobody have a cookie for a whole domain such as `localhost` takes
/// these for the host's own.
///
/// A cookie cannot be seen from another path than its own, so each is overwritten whether it is there or not.
pub(super) fn overwrite_planted(
    settings: &Settings,
    paths: &BTreeSet<String>,
) -> Result<Vec<HeaderValue>, InvalidHeaderValue> {
    if settings.cookie_is_secure() {
        // No page can plant a cookie of that prefix.
        return Ok(Vec::new());
    }
    let (name, domain) = (name(settings), &settings.domain);
    let gone = |path: &String| HeaderValue::from_str(&format!("{name}=; Domain={domain}; Path={path}; Max-Age=0"));
    paths.iter().map(gone).collect()
}

/// The paths that a cookie may have to be sent to a route, up to the first part that a caller chooses: an app that guesses
/// names of apps or ids beyond it makes single pages of the API unusable, and only until the cookie expires.
pub(super) fn paths_to(route: &str) -> BTreeSet<String> {
    let fixed = route.split_once('{').map_or(route, |(fixed, _)| fixed);
    let ends = fixed.match_indices('/').flat_map(|(at, _)| [at, at + 1]).chain([fixed.len()]);
    ends.filter(|end| *end > 0).map(|end| fixed[..end].to_owned()).collect()
}

fn set(settings: &Settings, value: &str, life: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    let secure = if settings.cookie_is_secure() { "; Secure" } else { "" };
    let (name, seconds) = (name(settings), life.as_secs());
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_reached_by_cookies_of_every_path_above_it() {
        for (route, paths) in [
            ("/", &["/"][..]),
            ("/status", &["/", "/status"]),
            ("/auth/me", &["/", "/auth", "/auth/", "/auth/me"]),
            ("/api-keys/{id}", &["/", "/api-keys", "/api-keys/"]),
            ("/apps/{userid}/{appname}/logs", &["/", "/apps", "/apps/"]),
        ] {
            assert_eq!(paths_to(route).iter().collect::<Vec<_>>(), paths, "{route}");
        }
    }

    #[test]
    fn the_flags_are_those_of_the_specification() {
        let mut settings = Settings::defaults("/paas");
        let text = |value: Result<HeaderValue, _>| value.unwrap().to_str().unwrap().to_owned();
        let day = Duration::from_secs(86_400);
        insta::assert_snapshot!(text(begin(&settings, "abc", day)), @"paas_portal_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
        insta::assert_snapshot!(text(end(&settings)), @"paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        settings.portal_cookie_secure = Some(true);
        insta::assert_snapshot!(text(begin(&settings, "abc", day)), @"__Host-paas_portal_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure");
        insta::assert_snapshot!(text(end(&settings)), @"__Host-paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    }
}
