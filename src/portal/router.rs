//! Every route in one place.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::envelope::ApiError;
use super::state::PortalState;
use super::{apps, commands, events, health, logs};

/// Most bytes a request's body may have.
pub const MAX_BODY: usize = 64 << 10;

/// The API without a door: whoever serves it decides first who may ask.
pub fn router(state: PortalState) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/status", get(health::status))
        .route("/apps", get(apps::list))
        .route("/apps/{userid}/{appname}", get(apps::show))
        .route("/apps/{userid}/{appname}/logs", get(logs::logs))
        .route("/apps/{userid}/{appname}/events", get(events::of_app))
        .route("/events", get(events::live))
        .route("/events/log", get(events::of_all))
        .route("/confirm", post(commands::confirm))
        .route("/resync", post(commands::resync))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

async fn no_such_route(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::not_found("no-such-route", format!("there is no `{method} {path}`"))
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("`{path}` does not answer `{method}`: see the `allow` header for what it does");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", message)
}
