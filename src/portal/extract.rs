//! Extractors whose refusals wear the envelope: a malformed path, query or body answers like any other error.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;

use super::code;
use super::envelope::{ApiError, said};
use crate::model::{AppKey, AppName, Digest, NameError, UserId};

/// A body of at most 64 KiB that takes longer than this is not meant well, or its sender is gone.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The app named by `/apps/{userid}/{appname}/…`.
#[derive(Debug, Clone)]
pub struct App(pub AppKey);

impl<S: Send + Sync> FromRequestParts<S> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((user, app)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad_path(&error.body_text()))?;
        Ok(Self(AppKey::new(UserId::parse(&user).map_err(bad_name)?, AppName::parse(&app).map_err(bad_name)?)))
    }
}

/// The query string. Unknown parameters are refused by the type (`deny_unknown_fields`), not here.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => {
                let detail = error.body_text();
                Err(ApiError::new(code::BAD_QUERY, said!("{detail}", "쿼리가 올바르지 않습니다: {detail}")))
            }
        }
    }
}

/// Where a stream is to go on, as a browser that reconnects says it. What cannot be read counts as not sent: the stream then
/// begins anew, which is always right.
#[derive(Debug, Clone)]
pub struct LastEventId(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let id = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
        Ok(Self(id.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)))
    }
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match tokio::time::timeout(BODY_TIMEOUT, axum::Json::<T>::from_request(request, state)).await {
            Ok(Ok(axum::Json(value))) => Ok(Self(value)),
            Ok(Err(error)) => Err(body_error(&error)),
            Err(_) => Err(too_slow()),
        }
    }
}

/// A JSON body that may be left out: then it is `T::default()`.
#[derive(Debug)]
pub struct MaybeBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        Body::from_request(request, state).await.map(|Body(value)| Self(value))
    }
}

/// `If-Match`: which versions of a manifest a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever it is: no such header was sent, or `*`.
    Any,
    /// One of these. Weak tags and what is no tag at all match nothing.
    OneOf(Vec<String>),
}

impl IfMatch {
    fn of(headers: &HeaderMap) -> Self {
        let values: Vec<_> = headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let tags: Vec<_> = values.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
        if tags.is_empty() || tags.contains(&"*") {
            return Self::Any;
        }
        let strong = |tag: &&str| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned());
        Self::OneOf(tags.iter().filter_map(strong).collect())
    }

    #[must_use]
    pub fn admits(&self, digest: &Digest) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == digest.as_str()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// The number named by `…/{id}`.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) =
            Path::<i64>::from_request_parts(parts, state).await.map_err(|error| bad_path(&error.body_text()))?;
        Ok(Self(id))
    }
}

pub(super) fn bad_name(error: NameError) -> ApiError {
    ApiError::new(code::BAD_NAME, said!("{error}", "이름이 규칙에 맞지 않습니다: {error}"))
}

fn bad_path(detail: &str) -> ApiError {
    ApiError::new(code::BAD_PATH, said!("{detail}", "경로가 올바르지 않습니다: {detail}"))
}

fn too_slow() -> ApiError {
    let seconds = BODY_TIMEOUT.as_secs();
    ApiError::new(
        code::BODY_TOO_SLOW,
        said!(
            "the body did not arrive within {seconds} s: send it again",
            "본문이 {seconds}초 안에 도착하지 않았습니다: 다시 보내세요"
        ),
    )
}

fn body_error(error: &JsonRejection) -> ApiError {
    let detail = error.body_text();
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            code::BODY_TOO_LARGE,
            said!("the body has more than 64 KiB: send less", "본문이 64 KiB보다 큽니다: 줄여서 보내세요"),
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::new(
            code::NOT_JSON,
            said!(
                "the body must be JSON: send `Content-Type: application/json`",
                "본문은 JSON이어야 합니다: `Content-Type: application/json`으로 보내세요"
            ),
        ),
        StatusCode::UNPROCESSABLE_ENTITY => {
            ApiError::new(code::WRONG_SHAPE, said!("{detail}", "본문의 모양이 다릅니다: {detail}"))
        }
        _ => ApiError::new(code::BAD_BODY, said!("{detail}", "본문을 읽을 수 없습니다: {detail}")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_change_is_made_only_to_a_version_that_was_named() {
        for (sent, admitted) in [
            (&[][..], true),
            (&["*"], true),
            (&["\"aa\""], true),
            (&["\"bb\", \"aa\""], true),
            (&["\"bb\"", "\"aa\""], true),
            (&["\"bb\""], false),
            (&["W/\"aa\""], false),
            (&["aa"], false),
            (&[""], false),
            (&["\"a"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            assert_eq!(IfMatch::of(&headers).admits(&Digest::from_hex("aa")), admitted, "{sent:?}");
        }
    }
}
