//! Who may use a route. Every route is registered with one of these; there is no other way to register it.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::auth::address;
use super::caller::{Caller, Peer, Presented, Standing, identify, sign_in, wrong_key};
use super::code;
use super::envelope::{ApiError, said};
use super::git;
use super::host;
use super::state::PortalState;
use crate::accounts;
use crate::model::PublicUrl;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anybody: what is told here is no secret.
    Public,
    /// Anybody, to become somebody: a password is checked behind it. A page of another origin may not even try.
    Login,
    /// Whoever is known, also before the first password has been changed.
    Known,
    /// Whoever is known and has changed the first password. What is told or done is about the caller's own.
    Member,
    /// The same, about the app in the path: its owner and admins. To anybody else there is no such app. The check is
    /// [`App`](super::extract::App)'s, so a handler cannot have the app without it.
    Owner,
    /// The same, and also for keys that may do nothing but deploy.
    Deploy,
    /// Admins, the operator on the server, and `PORTAL_API_KEY`.
    Admin,
}

impl Rule {
    /// As the description says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Login => "login",
            Self::Known => "known",
            Self::Member => "member",
            Self::Owner => "owner",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

/// What the gate of one route stands on.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) state: PortalState,
    pub(super) rule: Rule,
}

/// Lets a request through with its [`Caller`], or answers why not.
pub(super) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&gate, &parts).await {
        Ok(Some((caller, standing))) => {
            let told = Known(caller.clone());
            parts.extensions.insert(caller);
            parts.extensions.insert(standing);
            let mut response = next.run(Request::from_parts(parts, body)).await;
            // For the access log.
            response.extensions_mut().insert(told);
            response
        }
        Ok(None) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

/// Who it was, for the access log.
#[derive(Debug, Clone)]
pub(super) struct Known(pub(super) Caller);

async fn admit(gate: &Gate, request: &Parts) -> Result<Option<(Caller, Standing)>, ApiError> {
    match gate.rule {
        Rule::Public => Ok(None),
        Rule::Login => {
            let headers = &request.headers;
            // Programs send neither header; browsers always send one of them with a write.
            let from_page = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
            if from_page && !is_same_origin(headers, public(gate).as_ref()) { Err(cross_origin()) } else { Ok(None) }
        }
        Rule::Known => known(gate, request).await.map(Some),
        Rule::Member | Rule::Owner | Rule::Deploy | Rule::Admin => {
            let (caller, standing) = known(gate, request).await?;
            let waits = caller == Caller::Legacy && gate.state.accounts.legacy_key_waits().await?;
            if caller.must_change_password() || waits {
                // The text of the specification, word for word in English.
                return Err(ApiError::new(
                    code::PASSWORD_CHANGE_REQUIRED,
                    said!(
                        "Password change required: `POST /auth/change-password` first",
                        "비밀번호를 먼저 바꿔야 합니다: `POST /auth/change-password`"
                    ),
                ));
            }
            if let Some(scope) = caller.narrowed()
                && (gate.rule == Rule::Admin || (scope.deploy_only && gate.rule != Rule::Deploy))
            {
                return Err(narrowed());
            }
            if gate.rule == Rule::Admin && !caller.is_admin() {
                return Err(ApiError::new(
                    code::ADMIN_ONLY,
                    said!(
                        "this is for admins: ask whoever runs this server",
                        "관리자만 할 수 있는 일입니다: 서버를 운영하는 분에게 부탁하세요"
                    ),
                ));
            }
            Ok(Some((caller, standing)))
        }
    }
}

async fn known(gate: &Gate, request: &Parts) -> Result<(Caller, Standing), ApiError> {
    if let Some(Peer::Local { uid }) = request.extensions.get::<Peer>() {
        return Ok((Caller::Local { uid: *uid }, Standing::default()));
    }
    let mut found: Option<(Caller, Presented)> = None;
    let mut sent_key = false;
    let by_git = git::key_of(request).map(|key| vec![Presented::Key(key)]);
    for presented in by_git.unwrap_or_else(|| presented(&request.headers, &gate.state.cookie_name())) {
        if let Presented::Key(secret) = &presented {
            let from = request.extensions.get::<Peer>().copied().unwrap_or(Peer::UNKNOWN);
            gate.state.accounts.admit_key(secret, address(from))?;
            sent_key = true;
        }
        let Some(caller) = identify(&gate.state.accounts, presented.clone()).await? else { continue };
        // An app's page can set a cookie for the whole domain: junk must not lock the owner out, and somebody else's
        // session must not make the owner act as that other.
        if found.as_ref().is_some_and(|(other, _)| *other != caller) {
            return Err(sign_in());
        }
        found = Some((caller, presented));
    }
    let (caller, presented) = match found {
        Some(found) => found,
        None if sent_key => return Err(wrong_key()),
        None => return Err(sign_in()),
    };
    let by_cookie = matches!(presented, Presented::Session(_));
    let writes = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // The apps live below the same domain, so to a browser their pages are of the same site: SameSite stops nothing.
    if by_cookie && writes && !is_same_origin(&request.headers, public(gate).as_ref()) {
        return Err(cross_origin());
    }
    let standing = Standing(Some((presented, caller.clone())));
    Ok((caller, standing))
}

/// A key counts before a cookie: who sends one means it.
fn presented(headers: &HeaderMap, cookie_name: &str) -> Vec<Presented> {
    if let Some(key) = headers.get("x-api-key") {
        return vec![Presented::Key(String::from_utf8_lossy(key.as_bytes()).into_owned())];
    }
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    if let Some((_, key)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        return vec![Presented::Key(key.trim().to_owned())];
    }
    // All of them, each once: the browser sends those for longer paths first, and an app can make as many as the head has
    // room for. What has not the form of a token costs nothing.
    let tokens: BTreeSet<_> = cookies(headers, cookie_name).filter(|text| accounts::may_be_token(text)).collect();
    tokens.into_iter().map(|token| Presented::Session(token.to_owned())).collect()
}

/// All values of a cookie: there may be one for this host and one for the domain above it.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        // Pair by pair: another cookie's strange bytes are no reason to overlook ours.
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| std::str::from_utf8(pair).ok()?.trim().strip_prefix(name)?.strip_prefix('='))
}

fn public(gate: &Gate) -> Option<PublicUrl> {
    gate.state.settings_rx.borrow().public_url.clone()
}

/// Whether a browser sent this from a page of the portal itself. `Sec-Fetch-Site` cannot be forged by a page, but browsers
/// only send it over TLS and to localhost; `Origin` comes with every write.
fn is_same_origin(headers: &HeaderMap, public: Option<&PublicUrl>) -> bool {
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
    if let Some(site) = headers.get("sec-fetch-site") {
        return site.as_bytes() == b"same-origin";
    }
    let Some(origin) = headers.get(ORIGIN).and_then(text) else { return false };
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Proxies pass the host on without its port, Nginx Proxy Manager does.
    if public.is_some_and(|public| {
        origin == public.to_string() && host::hosts(headers).any(|host| host.split(':').next() == Some(&public.host))
    }) {
        return true;
    }
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(usual).unwrap_or(authority).to_owned();
    // A proxy may call the portal by another name than the browser does. That it may be called so was checked before.
    matches!(scheme, "http" | "https") && host::hosts(headers).any(|host| bare(authority) == bare(&host))
}

/// Of a key that was issued for less.
pub(super) fn narrowed() -> ApiError {
    ApiError::new(
        code::KEY_NARROWED,
        said!(
            "this API key was made for something else: make another with `POST /api-keys`",
            "이 API 키로는 할 수 없는 일입니다: `POST /api-keys`로 다른 키를 만드세요"
        ),
    )
}

fn cross_origin() -> ApiError {
    ApiError::new(
        code::CROSS_ORIGIN,
        said!(
            "this write came from another page than the portal's own: open the portal itself, or use an API key",
            "포털이 아닌 다른 페이지에서 보낸 요청입니다: 포털을 직접 열거나 API 키를 사용하세요"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_a_page_of_the_portal_itself_is_of_the_same_origin() {
        for (sent, want) in [
            (&[("host", "portal.home:3000"), ("origin", "http://portal.home:3000")][..], true),
            (&[("host", "portal.home"), ("origin", "https://portal.home")], true),
            (&[("host", "portal.home:443"), ("origin", "https://Portal.home")], true),
            (&[("host", "portal.home"), ("origin", "http://portal.home:80")], true),
            (&[("host", "portal.home"), ("origin", "https://alice-diary.portal.home")], false),
            (&[("host", "portal.home:3000"), ("origin", "http://portal.home:8080")], false),
            (&[("host", "portal.home"), ("origin", "null")], false),
            (&[("host", "portal.home"), ("origin", "ftp://portal.home")], false),
            (
                &[("host", "192.168.0.5:3000"), ("x-forwarded-host", "portal.home"), ("origin", "https://portal.home")],
                true,
            ),
            (
                &[("host", "192.168.0.5:3000"), ("x-forwarded-host", "other.home"), ("origin", "https://portal.home")],
                false,
            ),
            (&[("host", "portal.home")], false),
            (&[("origin", "http://portal.home")], false),
            (&[("host", "portal.home"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "portal.home"), ("origin", "http://portal.home"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "portal.home"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "portal.home"), ("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(is_same_origin(&headers(sent), None), want, "{sent:?}");
        }
        let public: PublicUrl = "https://portal.home:8443".parse().unwrap();
        for (sent, want) in [
            ([("host", "portal.home"), ("origin", "https://portal.home:8443")], true),
            ([("host", "portal.home"), ("origin", "http://portal.home:8443")], false),
            ([("host", "portal.home"), ("origin", "https://portal.home:8080")], false),
            ([("host", "other.home"), ("origin", "https://portal.home:8443")], false),
            ([("host", "portal.home"), ("origin", "https://a-b.portal.home:8443")], false),
        ] {
            assert_eq!(is_same_origin(&headers(&sent), Some(&public)), want, "{sent:?}");
        }
    }

    #[test]
    fn a_key_counts_before_a_cookie_and_names_are_compared_whole() {
        let session = |text: &str| vec![Presented::Session(text.to_owned())];
        let key = |text: &str| vec![Presented::Key(text.to_owned())];
        let (abc, def) = ("a".repeat(64), "d".repeat(64));
        let cookie = |text: &str| text.replace("abc", &abc).replace("def", &def);
        let session = |text: &str| session(&cookie(text));
        let two = || [session("abc"), session("def")].concat();
        for (sent, want) in [
            (&[][..], vec![]),
            (&[("cookie", "paas=abc")], session("abc")),
            (&[("cookie", "a=b; paas=abc; c=d")], session("abc")),
            (&[("cookie", "xpaas=abc; paasx=def")], vec![]),
            (&[("cookie", "paas=abc; a=b; paas=def")], two()),
            (&[("cookie", "a=b"), ("cookie", "paas=abc")], session("abc")),
            (&[("cookie", "paas=abc"), ("x-api-key", "secret")], key("secret")),
            (&[("authorization", "Bearer secret")], key("secret")),
            (&[("authorization", "BEARER secret")], key("secret")),
            (&[("authorization", "Basic secret")], vec![]),
        ] {
            let sent: Vec<_> = sent.iter().map(|(name, value)| (*name, cookie(value))).collect();
            let sent: Vec<_> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(presented(&headers(&sent), "paas"), want, "{sent:?}");
        }
        // Junk for longer paths comes first, however much there is; a token that comes twice is looked up once.
        let junk = "paas=j; ".repeat(200);
        let sent = cookie(&format!("{junk}paas=abc; paas=abc"));
        assert_eq!(presented(&headers(&[("cookie", sent.as_str())]), "paas"), session("abc"));
        let mut strange = HeaderMap::new();
        strange
            .insert(COOKIE, axum::http::HeaderValue::from_bytes(&[b"a=\xfc; paas=", abc.as_bytes()].concat()).unwrap());
        assert_eq!(presented(&strange, "paas"), session("abc"));
    }
}
