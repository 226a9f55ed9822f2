//! People come in by a link, are listed, change and leave: over a real socket, on a real database.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::sync::Arc;

use minipaas::accounts::{LoginError, Role, Visit};
use minipaas::clock::{Clock as _, SystemClock};
use minipaas::model::status::ManifestsStatus;
use minipaas::model::{AppKey, Health, RunState};
use portal_support::{Answer, Ask, PASSWORD, Portal};
use serde_json::{Value, json};

const NEW: &str = "three words nobody guesses";

/// An admin in the browser.
struct Admin<'a> {
    portal: &'a Portal,
    cookie: String,
}

impl<'a> Admin<'a> {
    async fn of(portal: &'a Portal) -> Self {
        Self { portal, cookie: portal.session(PASSWORD).await }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<serde_json::Value>) -> Answer {
        let origin = self.portal.origin();
        let headers = [("cookie", self.cookie.as_str()), ("origin", origin.as_str())];
        let body = body.map(|body| body.to_string());
        self.portal.ask(&Ask { method, path, headers: &headers, body: body.as_deref() }).await
    }

    async fn invite(&self, name: &str) -> String {
        let answer = self.ask("POST", "/users", Some(json!({"name": name}))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let data = answer.data();
        let token = data["token"].as_str().unwrap().to_owned();
        assert_eq!(data["path"], format!("/join#{token}"));
        token
    }
}

async fn accept(portal: &Portal, token: &str, password: &str) -> Answer {
    let origin = portal.origin();
    let body = json!({"password": password}).to_string();
    portal.post(&format!("/invitations/{token}"), &[("origin", &origin)], &body).await
}

#[tokio::test]
async fn a_link_lets_somebody_in_once_and_with_a_password_of_their_own() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    let token = admin.invite("alice").await;

    let told = portal.get(&format!("/invitations/{token}"), &[]).await.data();
    assert_eq!((&told["name"], &told["role"], &told["isReset"]), (&json!("alice"), &json!("member"), &json!(false)));
    let listed = admin.ask("GET", "/users/alice", None).await.data();
    assert_eq!((&listed["state"], &listed["apps"]), (&json!("invited"), &json!(["alice-diary"])));
    // No password is right as long as there is none.
    for password in ["", "admin", PASSWORD] {
        let refused = portal.accounts.login("alice", password, &Visit::here([127, 0, 0, 1].into())).await;
        assert!(matches!(refused, Err(LoginError::Wrong)), "{refused:?}");
    }

    for (password, code) in [("short", "bad-password"), ("alice123", "bad-password"), ("password1", "bad-password")] {
        assert_eq!(accept(&portal, &token, password).await.verdict(), (400, code.to_owned()), "{password}");
    }
    let accepted = accept(&portal, &token, NEW).await;
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    insta::assert_snapshot!(accepted.data(), @r#"{"mustChangePassword":false,"role":"member","through":"session","username":"alice"}"#);
    let own = portal.get("/apps", &[("cookie", &accepted.cookie())]).await;
    assert_eq!((own.status, own.data().as_array().unwrap().len()), (200, 1));
    portal.session_of("alice", NEW).await;

    // Once.
    assert_eq!(accept(&portal, &token, NEW).await.verdict(), (404, "no-such-invitation".to_owned()));
    assert_eq!(portal.get(&format!("/invitations/{token}"), &[]).await.status, 404);
    let again = admin.ask("POST", "/users", Some(json!({"name": "alice"}))).await;
    assert_eq!(again.verdict(), (409, "user-exists".to_owned()));
}

#[tokio::test]
async fn a_link_that_is_over_replaced_or_made_up_opens_nothing_and_which_it_is_is_not_told() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    let database = rusqlite::Connection::open(portal.database()).unwrap();
    let (old, replaced) = (admin.invite("alice").await, admin.invite("bob").await);
    let newer = admin.ask("POST", "/users/bob/invitation", Some(json!({}))).await;
    assert_eq!(newer.status, 201, "{}", newer.body);
    let week = 7 * 24 * 60 * 60 * 1_000;
    let age =
        "UPDATE invitations SET created_at = created_at - ?1 WHERE user = (SELECT id FROM users WHERE name = 'alice')";
    database.execute(age, [week]).unwrap();
    let mut told = Vec::new();
    for token in [old, replaced, "0".repeat(64), "%00".to_owned(), "x".to_owned()] {
        for answer in [portal.get(&format!("/invitations/{token}"), &[]).await, accept(&portal, &token, NEW).await] {
            assert_eq!(answer.verdict(), (404, "no-such-invitation".to_owned()), "{token}");
            told.push(answer.body);
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(admin.ask("GET", "/users/alice", None).await.data()["invitedUntil"], json!(null));
    assert_eq!(accept(&portal, newer.data()["token"].as_str().unwrap(), NEW).await.status, 200);
    // Another site's page cannot take it up for its visitor.
    let token = admin.ask("POST", "/users/alice/invitation", Some(json!({}))).await.data()["token"].clone();
    let path = format!("/invitations/{}", token.as_str().unwrap());
    let body = json!({"password": NEW}).to_string();
    let foreign = portal.post(&path, &[("origin", "http://bob-evil.localhost")], &body).await;
    assert_eq!(foreign.verdict(), (403, "cross-origin".to_owned()));
    // At rest there is no link, and no password where there is none.
    let bytes = std::fs::read(portal.database()).unwrap();
    let kept = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!kept.contains(token.as_str().unwrap()));
}

#[tokio::test]
async fn a_forgotten_password_is_mended_by_a_new_link_which_ends_what_was_open() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    portal.add_member("alice").await;
    let before = portal.session_of("alice", PASSWORD).await;
    let link = admin.ask("POST", "/users/alice/invitation", Some(json!({}))).await.data()["token"].clone();
    // Until it is used nothing changes.
    assert_eq!(portal.get("/apps", &[("cookie", &before)]).await.status, 200);
    let told = portal.get(&format!("/invitations/{}", link.as_str().unwrap()), &[]).await.data();
    assert_eq!(told["isReset"], true);
    assert_eq!(accept(&portal, link.as_str().unwrap(), NEW).await.status, 200);
    assert_eq!(portal.get("/apps", &[("cookie", &before)]).await.status, 401);
    let old = portal.accounts.login("alice", PASSWORD, &Visit::here([127, 0, 0, 1].into())).await;
    assert!(matches!(old, Err(LoginError::Wrong)));

    // A link that lies about is no way back in for whoever finds it after the password was changed.
    let begun = portal.accounts.login("alice", NEW, &Visit::here([127, 0, 0, 1].into())).await.unwrap().session;
    let link = portal.accounts.invite_again("alice").await.unwrap();
    portal.accounts.change_password(begun.id, &begun.user, NEW, PASSWORD, [127, 0, 0, 1].into()).await.unwrap();
    assert_eq!(accept(&portal, link.token.reveal(), NEW).await.status, 404);
    let link = portal.accounts.invite_again("alice").await.unwrap();
    portal.accounts.revoke_all(begun.user.id).await.unwrap();
    assert_eq!(accept(&portal, link.token.reveal(), NEW).await.status, 404);
}

#[tokio::test]
async fn roles_change_people_leave_and_somebody_always_runs_the_box() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    portal.add_member("alice").await;
    let alice = portal.session_of("alice", PASSWORD).await;
    let by_alice = [("cookie", alice.as_str())];
    assert_eq!(portal.get("/users", &by_alice).await.verdict(), (403, "admin-only".to_owned()));

    // The only admin stays one; somebody who is only invited as one cannot help.
    portal.accounts.invite("carol", Role::Admin, None).await.unwrap();
    let last = (409, "last-admin".to_owned());
    let demote = Some(json!({"role": "member"}));
    assert_eq!(admin.ask("PATCH", "/users/admin", demote.clone()).await.verdict(), last);
    assert_eq!(admin.ask("DELETE", "/users/admin", Some(json!({"apps": "keep"}))).await.verdict(), last);

    let promoted = admin.ask("PATCH", "/users/alice", Some(json!({"role": "admin"}))).await;
    assert_eq!((promoted.status, &promoted.data()["role"]), (200, &json!("admin")));
    assert_eq!(portal.get("/users", &by_alice).await.status, 200);
    assert_eq!(admin.ask("PATCH", "/users/admin", demote).await.status, 200);
    assert_eq!(admin.ask("GET", "/users", None).await.verdict(), (403, "admin-only".to_owned()));
    portal.accounts.set_role("admin", Role::Admin).await.unwrap();

    // Whoever removes says what becomes of the apps.
    assert_eq!(admin.ask("DELETE", "/users/alice", Some(json!({}))).await.verdict(), (422, "wrong-shape".to_owned()));
    let user = portal.accounts.person("alice").await.unwrap().unwrap().user;
    let key = portal.accounts.issue_key(user.id, None).await.unwrap().secret.reveal().to_owned();
    let removed = admin.ask("DELETE", "/users/alice", Some(json!({"apps": "keep"}))).await;
    assert_eq!((removed.status, &removed.data()["apps"]), (200, &json!(["alice-diary"])), "{}", removed.body);
    assert_eq!(portal.get("/auth/me", &by_alice).await.status, 401);
    assert_eq!(portal.get("/auth/me", &[("x-api-key", &key)]).await.status, 401);
    assert_eq!(admin.ask("GET", "/users/alice", None).await.verdict(), (404, "no-such-user".to_owned()));
    // Their app is the admin's to see to.
    assert_eq!(admin.ask("GET", "/apps/alice/diary", None).await.status, 200);
}

#[tokio::test]
async fn names_are_those_that_an_app_may_have() {
    let portal = Portal::settled().await;
    for name in ["al", "Alice", "al-ice", "portal", "adm1n", "root", "", "앨리스"] {
        let admin = Admin::of(&portal).await;
        let answer = admin.ask("POST", "/users", Some(json!({"name": name}))).await;
        assert_eq!(answer.verdict(), (400, "bad-name".to_owned()), "{name}");
    }
}

/// The second step over the API: switched on, asked for, guessed no faster than a password, switched off by an admin.
#[tokio::test]
async fn a_second_step_is_asked_for_at_the_door_and_nowhere_else() {
    let portal = Portal::settled().await;
    portal.add_member("alice").await;
    let (cookie, origin) = (portal.session_of("alice", PASSWORD).await, portal.origin());
    let person = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string());
        portal.ask(&Ask { method, path, headers: &person, body: body.as_deref() }).await
    };
    assert_eq!(ask("GET", "/auth/totp", None).await.data(), json!({"state": "off", "recoveryCodesLeft": 0}));
    let wrong = ask("POST", "/auth/totp", Some(json!({"currentPassword": "a guess"}))).await;
    assert_eq!(wrong.verdict(), (401, "wrong-password".to_owned()));
    let begun = ask("POST", "/auth/totp", Some(json!({"currentPassword": PASSWORD}))).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let secret = totp_rs::Secret::try_from_base32(begun.data()["secret"].as_str().unwrap()).unwrap();
    let phone = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let seconds = || u64::try_from(SystemClock.now().0).unwrap() / 1_000;
    let wrong = ask("POST", "/auth/totp/confirm", Some(json!({"code": "12345"}))).await;
    assert_eq!(wrong.verdict(), (401, "wrong-code".to_owned()));
    let code = phone.generate(seconds()).to_string();
    let on = ask("POST", "/auth/totp/confirm", Some(json!({"code": code}))).await;
    let codes = on.data()["recoveryCodes"].clone();
    assert_eq!((on.status, codes.as_array().unwrap().len()), (200, 10), "{}", on.body);
    assert_eq!(ask("GET", "/auth/totp", None).await.data(), json!({"state": "on", "recoveryCodesLeft": 10}));
    let again = ask("POST", "/auth/totp", Some(json!({"currentPassword": PASSWORD}))).await;
    assert_eq!(again.verdict(), (409, "second-step-on".to_owned()));
    let not_begun = ask("POST", "/auth/totp/confirm", Some(json!({"code": code}))).await;
    assert_eq!(not_begun.verdict(), (409, "second-step-not-begun".to_owned()));

    let login = async |code: Value| {
        let mut body = json!({"username": "alice", "password": PASSWORD});
        if !code.is_null() {
            body["code"] = code;
        }
        portal.post("/auth/login", &[], &body.to_string()).await
    };
    let needed = login(Value::Null).await;
    assert_eq!(needed.verdict(), (401, "code-needed".to_owned()));
    assert!(needed.header("set-cookie").is_none());
    assert_eq!(login(json!(code)).await.verdict(), (401, "wrong-code".to_owned()), "it was used");
    assert_eq!(login(codes[0].clone()).await.status, 200);
    assert_eq!(login(codes[0].clone()).await.verdict(), (401, "wrong-code".to_owned()));

    // At rest there is no recovery code.
    let kept = String::from_utf8_lossy(&std::fs::read(portal.database()).unwrap()).into_owned();
    assert!(!kept.contains(codes[1].as_str().unwrap()));
    let admin = Admin::of(&portal).await;
    assert_eq!(admin.ask("GET", "/users/alice", None).await.data()["secondStep"], true);
    let link = admin.ask("POST", "/users/alice/invitation", Some(json!({}))).await.data()["token"].clone();
    let told = portal.get(&format!("/invitations/{}", link.as_str().unwrap()), &[]).await.data();
    assert_eq!((&told["isReset"], &told["needsCode"]), (&json!(true), &json!(true)));
    assert_eq!(accept(&portal, link.as_str().unwrap(), NEW).await.verdict(), (401, "code-needed".to_owned()));

    assert_eq!(ask("DELETE", "/users/alice/totp", None).await.verdict(), (403, "admin-only".to_owned()));
    let off = admin.ask("DELETE", "/users/alice/totp", None).await;
    assert_eq!((off.status, &off.data()["secondStep"]), (200, &json!(false)), "{}", off.body);
    assert_eq!(login(Value::Null).await.status, 200);
}

/// A session that was left open is not a way around the second step that its bearer has.
#[tokio::test]
async fn an_admin_ends_their_own_second_step_with_password_and_code_only() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    let begun = admin.ask("POST", "/auth/totp", Some(json!({"currentPassword": PASSWORD}))).await;
    let secret = totp_rs::Secret::try_from_base32(begun.data()["secret"].as_str().unwrap()).unwrap();
    let phone = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = phone.generate(u64::try_from(SystemClock.now().0).unwrap() / 1_000).to_string();
    assert_eq!(admin.ask("POST", "/auth/totp/confirm", Some(json!({"code": code}))).await.status, 200);
    let refused = admin.ask("DELETE", "/users/admin/totp", None).await;
    assert_eq!(refused.verdict(), (409, "own-second-step".to_owned()), "{}", refused.body);
    assert!(
        refused.body.contains("DELETE /auth/totp") && refused.body.contains("paas user totp-off"),
        "{}",
        refused.body
    );
    assert_eq!(admin.ask("GET", "/auth/totp", None).await.data()["state"], "on");
}

/// What is made for a site that is gone would belong to the next one of its name.
#[tokio::test]
async fn nobody_is_invited_to_a_site_that_is_gone_or_not_known_yet() {
    let portal = Portal::settled().await;
    let admin = Admin::of(&portal).await;
    let wishes = [
        ("GET", "", None, 200),
        ("POST", "/links", Some(json!({"name": "grandmother"})), 201),
        ("PUT", "/password", Some(json!({"password": PASSWORD})), 200),
    ];
    let ask = async |want: Option<(u16, &str)>| {
        for (method, path, body, done) in &wishes {
            let answer = admin.ask(method, &format!("/apps/alice/diary/visitors{path}"), body.clone()).await;
            match want {
                Some((status, word)) => assert_eq!(answer.verdict(), (status, word.to_owned()), "{method} {path}"),
                None => assert_eq!(answer.status, *done, "{method} {path}: {}", answer.body),
            }
        }
    };
    ask(None).await;
    // On its way, as after a start of the daemon; and gone.
    for (desired, health) in [(RunState::Deleted, Health::Unknown), (RunState::Running, Health::Deleted)] {
        portal.status_tx.send_modify(|status| {
            let app = Arc::make_mut(status).apps.get_mut(&AppKey::parse("alice-diary").unwrap()).unwrap();
            let app = Arc::make_mut(app);
            (app.desired, app.health) = (desired, health);
        });
        ask(Some((409, "app-deleted"))).await;
    }
    portal.status_tx.send_modify(|status| Arc::make_mut(status).apps.clear());
    ask(Some((404, "no-such-app"))).await;
    portal.status_tx.send_modify(|status| Arc::make_mut(status).manifests = ManifestsStatus::Unknown);
    ask(Some((503, "starting"))).await;
}
