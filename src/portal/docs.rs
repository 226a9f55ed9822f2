//! `/docs`: the API's description for people, from the binary itself: no network, no other origin.

use super::describe::Operation;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // Of this very version: asked for again after an upgrade, not at every look.
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=300")], text)
}

pub(super) async fn page() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("../../web/docs.html"))
}

pub(super) fn page_described() -> Operation {
    Operation::new("daemon", "docs", "This description for people").answers_with(
        200,
        "text/html",
        "A page that needs no other server.",
    )
}

pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("../../web/docs.js"))
}

pub(super) fn script_described() -> Operation {
    Operation::new("daemon", "docsScript", "The script of /docs").answers_with(200, "text/javascript", "JavaScript.")
}

pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("../../web/docs.css"))
}

pub(super) fn style_described() -> Operation {
    Operation::new("daemon", "docsStyle", "The style of /docs").answers_with(200, "text/css", "CSS.")
}
