//! `/docs`: the API's description for people, from the binary itself: no network, no other origin.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // Of this very version: asked for again after an upgrade, not at every look.
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=300")], text)
}

pub(super) async fn page() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("../../web/docs.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("../../web/docs.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("../../web/docs.css"))
}
