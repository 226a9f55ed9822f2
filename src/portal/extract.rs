//! Extractors whose refusals wear the envelope: a malformed path, query or body answers like any other error.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::envelope::ApiError;
use crate::model::{AppKey, AppName, UserId};

/// The app named by `/apps/{userid}/{appname}/…`.
#[derive(Debug, Clone)]
pub struct App(pub AppKey);

impl<S: Send + Sync> FromRequestParts<S> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((user, app)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::bad_request("bad-path", error.body_text()))?;
        let bad_name = |error: crate::model::NameError| ApiError::bad_request("bad-name", error.to_string());
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
            Err(error) => Err(ApiError::bad_request("bad-query", error.body_text())),
        }
    }
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(error) => Err(body_error(&error)),
        }
    }
}

fn body_error(error: &JsonRejection) -> ApiError {
    let code = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "not-json",
        _ => "bad-body",
    };
    ApiError::new(error.status(), code, error.body_text())
}
