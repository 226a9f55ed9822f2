//! What is around every route, known or not: the request's id, the reader's language, the security headers, the access log,
//! an answer even when a handler panics, and a page where a person would read JSON.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, VARY, WWW_AUTHENTICATE, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::caller::Peer;
use super::code;
use super::envelope::{ApiError, said};
use super::friendly;
use super::git;
use super::rule::Known;
use crate::gateway::{Language, Visitor, language};
use crate::model::Shown;

/// Most bytes of a method that are told: whoever asks may make one up.
pub(super) const METHOD: usize = 20;

/// Names a request in the answer and in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing from elsewhere, no inline code, no frames (but [`dashboard_policy`]): the portal's own files are all it needs. No text becomes markup or code
/// either: with Trusted Types and no policy the browser refuses `innerHTML` and its like.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const SECURITY_HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The same for a page of the dashboard, which may show these origins in frames. The page that a preview in a frame is sent to on
/// its way back may itself be in one, of the dashboard's own.
pub(super) fn dashboard_policy(frames: &[String], path: &str) -> Vec<(HeaderName, HeaderValue)> {
    let mut policy = CONTENT_SECURITY_POLICY.to_owned();
    if !frames.is_empty() {
        policy = format!("{policy}; frame-src 'self' {}", frames.join(" "));
    }
    let mut headers = Vec::new();
    if path == "/visit" {
        policy = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'");
        headers.push((X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")));
    }
    headers
        .extend(HeaderValue::try_from(policy).ok().map(|policy| (axum::http::header::CONTENT_SECURITY_POLICY, policy)));
    headers
}

pub(super) async fn frame(mut request: Request, next: Next) -> Response {
    // The gateway passes on who is meant in its own way.
    if request.extensions().get::<Peer>().is_none()
        && let Some(visitor) = request.extensions().get::<Visitor>().copied()
    {
        request.extensions_mut().insert(Peer::Remote(visitor));
    }
    let id = request_id();
    let language = language(request.headers());
    let for_person = friendly::is_wanted(request.method(), request.headers());
    let (method, path) = (request.method().clone(), loggable(request.uri().path()));
    let (for_git, by_git) = (git::is_here(request.uri().path()), git::is_git(request.headers()));
    let peer = request.extensions().get::<Peer>().copied();
    let begun = Instant::now();
    // A handler keeps nothing that outlives it, so nothing half-changed can be seen after a panic.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| defect().into_response());
    let refused = response.extensions_mut().remove::<ApiError>();
    if let Some(error) = &refused {
        if for_git && by_git {
            response = git::spoken(error, response, language);
        } else if for_person {
            response = error.show(response, language);
        } else if language == Language::Korean {
            response = error.speak(response, language);
        }
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-language"));
        if for_git && error.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, git::CHALLENGE);
        }
    }
    let caller = response.extensions_mut().remove::<Known>().map(|known| known.0.to_string());
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let status = response.status();
    let (peer, took) = (peer.map(|peer| format!("{peer:?}")), begun.elapsed());
    // A refusal without words of ours is known by its status: without a code it would not be rationed.
    let code = refused.as_ref().map(|error| error.code.word);
    let code = code.or_else(|| (status.as_u16() >= 400).then(|| status.canonical_reason().unwrap_or("refused")));
    let (is_safe, method) = (method.is_safe(), Shown::at_most(method.as_str(), METHOD));
    // Neither query nor headers: both may hold secrets. Good reads are many and tell little.
    if status.is_server_error() {
        tracing::warn!(%id, %method, %path, status = status.as_u16(), code, caller, peer, ?took, "request");
    } else if status.is_client_error() || !is_safe {
        tracing::info!(%id, %method, %path, status = status.as_u16(), code, caller, peer, ?took, "request");
    } else {
        tracing::debug!(%id, %method, %path, status = status.as_u16(), caller, peer, ?took, "request");
    }
    response
}

/// A path as the log may have it: whoever reads the log must not be able to take up somebody's invitation.
fn loggable(path: &str) -> String {
    const SECRET_AFTER: &str = "/invitations/";
    match path.find(SECRET_AFTER) {
        Some(at) => format!("{}…", Shown::new(&path[..at + SECRET_AFTER.len()])),
        None => Shown::new(path).to_string(),
    }
}

pub(super) fn defect() -> ApiError {
    ApiError::new(
        code::INTERNAL,
        said!(
            "a defect of the daemon: please report it with what its log says about this request",
            "데몬의 결함입니다: 이 요청에 대한 로그와 함께 알려 주세요"
        ),
    )
}

/// Unique as long as the daemon runs, and unlikely to be used again by a later one.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let start = START.get_or_init(|| {
        let mut bytes = [0_u8; 8];
        // Without the kernel's random numbers ids start at zero: still unique, only easier to guess, which hurts nobody.
        let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        u64::from_ne_bytes(bytes)
    });
    format!("{:016x}", start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
}
