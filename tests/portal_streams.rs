//! Streams last no longer than the right to read them, and calls that wait leave room for others.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

mod portal_support;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use minipaas::accounts::Visit;
use minipaas::portal::router;
use portal_support::{PASSWORD, Portal, soon};
use tower::ServiceExt as _;

/// Opens a stream and reads its first event; then it is open for sure.
async fn open(portal: &Portal, header: (&str, &str)) -> Body {
    let state = portal.state.clone();
    // As it is in the daemon: what was revoked goes on for less than a second.
    assert!(state.look_again < Duration::from_secs(1));
    let request = Request::get("/events").header("host", "localhost").header(header.0, header.1);
    let answer = router(state).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    soon(body.frame()).await.unwrap().unwrap();
    body
}

/// Resolves when the stream ends.
async fn end(mut body: Body) {
    while soon(body.frame()).await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_when_the_key_that_opened_it_is_revoked() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let body = open(&portal, ("x-api-key", &key)).await;
    let user =
        portal.accounts.login("admin", PASSWORD, &Visit::here([127, 0, 0, 1].into())).await.unwrap().session.user;
    let keys = portal.accounts.keys(user.id).await.unwrap();
    assert!(portal.accounts.revoke_key(user.id, keys[0].id).await.unwrap());
    end(body).await;
}

#[tokio::test]
async fn streams_end_when_their_user_signs_out_everywhere_and_revokes_all_keys() {
    let portal = Portal::settled().await;
    let (cookie, key) = (portal.session(PASSWORD).await, portal.key().await);
    let by_key = open(&portal, ("x-api-key", &key)).await;
    let by_session = open(&portal, ("cookie", &portal.session(PASSWORD).await)).await;
    let origin = portal.origin();
    let answer = portal.post("/auth/revoke-all", &[("cookie", &cookie), ("origin", &origin)], "").await;
    assert_eq!((answer.status, answer.data()["keys"].as_u64()), (200, Some(1)), "{}", answer.body);
    assert!(answer.cookies().last().unwrap().starts_with("paas_portal_session=; "), "{}", answer.head);
    end(by_key).await;
    end(by_session).await;
    assert_eq!(portal.get("/auth/me", &[("cookie", &cookie)]).await.status, 401);
    assert_eq!(portal.get("/auth/me", &[("x-api-key", &key)]).await.status, 401);
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_legacy_key() {
    let portal = Portal::settled().await;
    let cookie = portal.session(PASSWORD).await;
    let body = open(&portal, ("cookie", &cookie)).await;
    let token = cookie.split_once('=').unwrap().1;
    let session = portal.accounts.session(token).await.unwrap().unwrap();
    portal.accounts.logout(session.id).await.unwrap();
    end(body).await;

    portal.set(|settings| settings.portal_api_key = "legacy".to_owned());
    let body = open(&portal, ("x-api-key", "legacy")).await;
    portal.set(|settings| settings.portal_api_key = String::new());
    end(body).await;
}

#[tokio::test]
async fn a_cookie_that_an_app_has_set_locks_nobody_out_and_signs_nobody_in_as_another() {
    let portal = Portal::settled().await;
    let (own, other) = (portal.session(PASSWORD).await, portal.session(PASSWORD).await);
    let junk = format!("paas_portal_session={}", "0".repeat(64));
    for (sent, status) in [
        (own.clone(), 200),
        (format!("{junk}; {own}"), 200),
        (format!("{own}; {junk}"), 200),
        (format!("{own}; {own}"), 200),
        (format!("{other}; {own}"), 401),
        (junk.clone(), 401),
    ] {
        assert_eq!(portal.get("/apps", &[("cookie", &sent)]).await.status, status, "{sent}");
    }
}
