//! Who gets in, and what for: every route of the API's own description times every kind of credentials, over a real socket,
//! on a real database.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use minipaas::accounts::{KeyScope, Keys, Role, Visit};
use minipaas::desired::marker;
use minipaas::gateway::GatewayConfig;
use minipaas::model::status::{FileProblem, HeldRemoval};
use minipaas::model::{AppKey, Cause, Event, EventKind, InstanceId, Timestamp};
use minipaas::portal::extract::App;
use minipaas::portal::{Caller, Member, UnixDoor, router};
use minipaas::store::{SqliteStore, Store as _};
use portal_support::{Answer, Ask, PASSWORD, Portal, soon};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Open to anybody. Whoever adds a route here has thought about it.
const PUBLIC: &[&str] = &[
    "GET /health",
    // How names are made, of no site in particular: whoever types the server's address is shown as much.
    "GET /addresses",
    // As public as the source that it is made of.
    "GET /manifest.schema.json",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/docs.js",
    "GET /docs/docs.css",
    "POST /auth/login",
    // The dashboard's page and files are the same for everybody: what it shows comes from the routes below.
    "GET /",
    "GET /enter",
    "GET /first",
    "GET /new",
    "GET /all",
    "GET /system",
    "GET /me",
    "GET /join",
    "GET /people",
    "GET /people/{name}",
    "GET /visit",
    "GET /sites/{userid}/{appname}",
    "GET /sites/{userid}/{appname}/{view}",
    "GET /web/{version}/{file}",
    "GET /invitations/{token}",
    "POST /invitations/{token}",
];

/// Who may use a route, by the description alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Anybody,
    /// Known, also before the first password was changed.
    Known,
    Member,
    /// The member whose app it is, and admins.
    Owner,
    Admin,
}

#[derive(Debug)]
struct Route {
    method: String,
    path: String,
    open: Open,
    /// Only a session.
    in_person: bool,
}

impl Route {
    fn writes(&self) -> bool {
        self.method != "GET"
    }

    /// As the description has it, with names that exist where it takes any.
    fn filled(&self) -> String {
        let path = self.path.replace("{userid}", "alice").replace("{appname}", "diary").replace("{id}", "987654");
        let path = path.replace("{backup}", "20261130T030000000Z");
        let path = path.replace("{view}", "log").replace("{version}", "0123456789abcdef").replace("{file}", "main.js");
        path.replace("{name}", "carol").replace("{token}", &"a".repeat(64)).replace("{domain}", "www.example.kr")
    }

    async fn ask(&self, portal: &Portal, headers: &[(&str, &str)]) -> Answer {
        let (path, body) = (self.filled(), self.writes().then_some("{}"));
        portal.ask(&Ask { method: &self.method, path: &path, headers, body }).await
    }
}

async fn routes(portal: &Portal) -> Vec<Route> {
    let document = portal.get("/openapi.json", &[]).await.json();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            let security = &operation["security"];
            let public = security.as_array().unwrap().is_empty();
            assert_eq!(public, PUBLIC.contains(&format!("{method} {path}").as_str()), "{method} {path} is open to all");
            let open = match operation["x-rule"].as_str().unwrap() {
                "public" | "login" => Open::Anybody,
                "known" => Open::Known,
                "member" => Open::Member,
                "owner" | "deploy" => Open::Owner,
                "admin" => Open::Admin,
                other => panic!("{method} {path} has the rule {other}"),
            };
            assert_eq!(public, open == Open::Anybody, "{method} {path}");
            assert_eq!(path.starts_with("/auth/"), open == Open::Known || path == "/auth/login", "{method} {path}");
            // A page of the dashboard is the same for everybody.
            let about_an_app = path.contains("{userid}") && !path.starts_with("/sites/");
            assert_eq!(about_an_app, open == Open::Owner, "{method} {path} is about somebody's app");
            let in_person = *security == json!([{"session": []}]);
            routes.push(Route { method, path: path.clone(), open, in_person });
        }
    }
    assert!(routes.len() >= 18, "only {} routes are described", routes.len());
    routes
}

/// What stands in the way of credentials; `None`: whatever the route says, but neither 401 nor 403.
type Expected = Option<(u16, &'static str)>;

const SIGN_IN: Expected = Some((401, "sign-in"));
const CHANGE_FIRST: Expected = Some((403, "password-change-required"));
const CROSS_ORIGIN: Expected = Some((403, "cross-origin"));
const SESSION_ONLY: Expected = Some((403, "session-only"));

fn unknown(route: &Route) -> Expected {
    if route.open == Open::Anybody { None } else { SIGN_IN }
}

fn check(route: &Route, credentials: &str, expected: Expected, answer: &Answer) {
    let (status, code) = answer.verdict();
    let told = format!("{} {} with {credentials}: {}\n{}", route.method, route.path, answer.head, answer.body);
    match expected {
        None => assert!(!matches!(status, 401 | 403 | 500), "{told}"),
        Some(expected) => {
            assert_eq!((status, code.as_str()), expected, "{told}");
            assert!(answer.header("set-cookie").is_none(), "{told}");
        }
    }
}

#[tokio::test]
async fn every_route_lets_in_exactly_whom_it_should() {
    let portal = Portal::fresh().await;
    let origin = portal.origin();
    let routes = routes(&portal).await;
    let mut checked = 0;
    let own = ("origin", origin.as_str());

    // Before the first password was changed.
    for route in &routes {
        let session = portal.session("admin").await;
        let expected = if matches!(route.open, Open::Anybody | Open::Known) { None } else { CHANGE_FIRST };
        let answer = route.ask(&portal, &[("cookie", &session), own]).await;
        check(route, "a session that must change its password", expected, &answer);
        checked += 1;
    }

    let begun = portal.accounts.login("admin", "admin", &Visit::here(HERE)).await.unwrap().session;
    portal.accounts.change_password(begun.id, &begun.user, "admin", PASSWORD, HERE).await.unwrap();
    let ended = {
        let begun = portal.accounts.login("admin", PASSWORD, &Visit::here(HERE)).await.unwrap();
        portal.accounts.logout(begun.session.id).await.unwrap();
        format!("paas_portal_session={}", begun.token.reveal())
    };
    let revoked = {
        let issued = portal.accounts.issue_key(begun.user.id, None).await.unwrap();
        assert!(portal.accounts.revoke_key(begun.user.id, issued.key.id).await.unwrap());
        issued.secret.reveal().to_owned()
    };
    let key = portal.key().await;
    for route in &routes {
        let answer = route.ask(&portal, &[("x-api-key", &key), ("host", "mybox.evil.example")]).await;
        check(route, "a key, at a stranger's name", Some((421, "unknown-host")), &answer);
        checked += 1;
    }
    portal.set(|settings| settings.portal_api_key = "the-legacy-key".to_owned());
    let strange = ("origin", "http://alice-diary.localhost:8080");
    for route in &routes {
        // A new one each time: some of the routes end it.
        let session = portal.session(PASSWORD).await;
        let cookie = ("cookie", session.as_str());
        let issued = portal.accounts.issue_key(begun.user.id, None).await.unwrap();
        let key = issued.secret.reveal().to_owned();
        let bearer = format!("Bearer {key}");
        let by_key = if route.in_person { SESSION_ONLY } else { None };
        let foreign = if route.writes() { CROSS_ORIGIN } else { None };
        let (pageless, key_from_page) = if route.open == Open::Anybody { (None, foreign) } else { (foreign, by_key) };
        for (credentials, headers, expected) in [
            ("none", vec![], unknown(route)),
            ("a key that is none", vec![("x-api-key", "paas_0000")], unknown(route)),
            ("an empty key", vec![("x-api-key", "")], unknown(route)),
            ("a revoked key", vec![("x-api-key", revoked.as_str())], unknown(route)),
            ("a wrong key beside a session", vec![("x-api-key", "wrong"), cookie, own], unknown(route)),
            ("a cookie that is none", vec![("cookie", "paas_portal_session=abc"), own], unknown(route)),
            ("an ended session", vec![("cookie", ended.as_str()), own], unknown(route)),
            ("a session without origin", vec![cookie], pageless),
            ("a session from another origin", vec![cookie, strange], foreign),
            ("a session from an app's page", vec![cookie, own, ("sec-fetch-site", "same-site")], foreign),
            ("a key", vec![("x-api-key", key.as_str())], by_key),
            ("a key from a page", vec![("x-api-key", key.as_str()), strange], key_from_page),
            ("a key as bearer", vec![("authorization", bearer.as_str())], by_key),
            ("the legacy key", vec![("x-api-key", "the-legacy-key")], by_key),
            ("a session", vec![cookie, own], None),
        ] {
            let answer = route.ask(&portal, &headers).await;
            check(route, credentials, expected, &answer);
            checked += 1;
        }
        portal.accounts.revoke_key(begun.user.id, issued.key.id).await.unwrap();
    }

    let key = portal.key().await;
    // The operator has given the user a new password: the keys wait until it is changed, too.
    portal.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    for route in &routes {
        let expected = match (route.open, route.in_person) {
            (Open::Member | Open::Owner | Open::Admin, _) => CHANGE_FIRST,
            (Open::Known, true) => SESSION_ONLY,
            (Open::Known, false) | (Open::Anybody, _) => None,
        };
        let answer = route.ask(&portal, &[("x-api-key", &key)]).await;
        check(route, "a key of a user who must change the password", expected, &answer);
        checked += 1;
    }
    println!("{} routes, {checked} answers checked", routes.len());
}

const ADMIN_ONLY: Expected = Some((403, "admin-only"));
const NO_SUCH_APP: Expected = Some((404, "no-such-app"));

/// What only bob may know of.
const SECRET: &str = "secretplan";

/// alice and bob, an app and an event of each, and bob's name wherever the daemon's own status can have it.
async fn neighbours() -> Portal {
    let portal = Portal::settled().await;
    for name in ["alice", "bob"] {
        portal.add_member(name).await;
    }
    let (alice, bob) = (AppKey::parse("alice-diary").unwrap(), AppKey::parse("bob-secretplan").unwrap());
    portal.status_tx.send_modify(|now| {
        let told = "bob-secretplan.yaml: unknown key".to_owned();
        let mut status = portal_support::status(["alice-diary", "bob-secretplan"]);
        let held = HeldRemoval {
            token: "3f9a".to_owned(),
            apps: vec![bob.clone()],
            message: told.clone(),
            since: Timestamp(1),
        };
        status.held = Some(held);
        status.file_problems = vec![FileProblem { file: "bob-secretplan.yml".to_owned(), message: told.clone() }];
        status.settings_problems = vec![told.clone()];
        *now = Arc::new(status);
    });
    let store = SqliteStore::open(&portal.database()).unwrap();
    let event = |app: &AppKey| Event {
        at: Timestamp(1),
        app: Some(app.clone()),
        kind: EventKind::Done,
        what: format!("start container paas-app-{app}"),
        cause: Cause::new("a test"),
    };
    store.append(&[event(&alice), event(&bob)]).await.unwrap();
    portal
}

fn is_told_by_the_status(route: &Route) -> bool {
    let needs_files = ["/manifest", "/versions", "/diff", "/draft", "/backups", "/preview"]
        .iter()
        .any(|part| route.path.contains(part));
    route.path.starts_with("/apps/") && !needs_files && !route.writes()
}

#[tokio::test]
async fn a_member_is_let_in_to_their_own_and_learns_no_byte_of_anybody_else_s() {
    let portal = neighbours().await;
    let origin = portal.origin();
    let own = ("origin", origin.as_str());
    let mut checked = 0;
    for route in routes(&portal).await {
        let theirs = |app: &str| {
            let path = route.path.replace("{userid}", "bob").replace("{appname}", app).replace("{id}", "9");
            path.replace("{name}", "bob").replace("{token}", "9")
        };
        let sent = |path: String, headers: Vec<(&'static str, String)>| {
            let (portal, method, body) = (&portal, route.method.clone(), route.writes().then_some("{}"));
            async move {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                portal.ask(&Ask { method: &method, path: &path, headers: &headers, body }).await
            }
        };
        // New ones each time: some of the routes end them.
        let session = |name: &'static str| {
            let (portal, origin) = (&portal, own.1.to_owned());
            async move { vec![("cookie", portal.session_of(name, PASSWORD).await), ("origin", origin)] }
        };
        let alice = portal.accounts.login("alice", PASSWORD, &Visit::here(HERE)).await.unwrap().session.user.id;
        let issued = portal.accounts.issue_key(alice, None).await.unwrap();
        let key = || vec![("x-api-key", issued.secret.reveal().to_owned())];
        let for_admins = if route.open == Open::Admin { ADMIN_ONLY } else { None };
        let by_key = if route.in_person { SESSION_ONLY } else { for_admins };
        for (who, headers, expected) in
            [("a key of alice", key(), by_key), ("alice", session("alice").await, for_admins)]
        {
            let answer = sent(route.filled(), headers).await;
            check(&route, who, expected, &answer);
            assert!(!answer.body.contains(SECRET), "{} {}: {}", route.method, route.path, answer.body);
            // The world of this test has the apps' status and no files.
            if is_told_by_the_status(&route) {
                assert!(answer.status == 200, "{who} asks for {}: {}", route.path, answer.body);
            }
            checked += 1;
        }
        if route.open == Open::Owner {
            for headers in [key(), session("alice").await] {
                let there = sent(theirs(SECRET), headers.clone()).await;
                check(&route, "alice, for bob's app", NO_SUCH_APP, &there);
                let nowhere = sent(theirs("nothing"), headers).await;
                // As for an app that nobody has, to the letter.
                assert_eq!(there.body.replace(SECRET, "nothing"), nowhere.body, "{}", route.path);
                checked += 2;
            }
            let no_origin = sent(theirs(SECRET), session("alice").await.split_off(1)).await;
            check(&route, "nobody, for bob's app", SIGN_IN, &no_origin);
        }
        if !route.writes() {
            for name in ["bob", "admin"] {
                let answer = sent(theirs(SECRET), session(name).await).await;
                let expected = if name == "bob" { for_admins } else { None };
                check(&route, name, expected, &answer);
                assert!(!is_told_by_the_status(&route) || answer.status == 200, "{name}: {}", answer.body);
                checked += 1;
            }
        }
        // There may be 50; some of the routes have revoked it already.
        portal.accounts.revoke_key(alice, issued.key.id).await.unwrap();
    }
    println!("{checked} answers checked");

    // A member's apps are under their own name.
    let body = r#"{"userid":"bob","appname":"secretplan","templateId":"diary-v1"}"#;
    let cookie = portal.session_of("alice", PASSWORD).await;
    let answer = portal.post("/apps", &[("cookie", &cookie), own], body).await;
    assert_eq!(answer.verdict(), (403, "not-your-name".to_owned()));
    assert!(answer.body.contains("`alice`"), "{}", answer.body);
}

/// Somebody else's app, or one that nobody has: the answer comes before anything is known but the path and the caller. This router has
/// no state in which it could be looked up.
#[tokio::test]
async fn whether_somebody_else_s_app_exists_is_not_looked_up() {
    let member = Member { id: 2, name: "alice".to_owned(), role: Role::Member, must_change_password: false };
    let show = axum::routing::get(async |App(key): App| key.to_string());
    let router = axum::Router::new().route("/apps/{userid}/{appname}", show);
    let router = router.layer(axum::Extension(Caller::Session { id: 1, member })).with_state(());
    for (path, status) in [("/apps/alice/diary", 200), ("/apps/bob/secretplan", 404), ("/apps/bob/nothing", 404)] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}

/// Somebody else's app and one that nobody has take the same way, so they take as long. The figure is in docs/security.md.
#[tokio::test]
async fn the_time_of_an_answer_does_not_tell_whether_somebody_else_s_app_exists() {
    const ROUNDS: usize = 600;
    let portal = neighbours().await;
    let cookie = portal.session_of("alice", PASSWORD).await;
    let mut stream = portal.connect().await;
    let mut took = [const { Vec::new() }; 3];
    let mut first: Option<String> = None;
    // In turn, so that whatever else the machine does meets all of them.
    for _ in 0..ROUNDS {
        for (number, app) in [SECRET, "nothing", "neither"].into_iter().enumerate() {
            let path = format!("/apps/bob/{app}");
            let ask = Ask { method: "GET", path: &path, headers: &[("cookie", &cookie)], body: None };
            let began = Instant::now();
            let answer = ask.over(&mut stream, &portal.address.to_string()).await;
            took[number].push(began.elapsed());
            assert_eq!(answer.status, 404);
            let varies = |line: &&str| line.starts_with("date: ") || line.starts_with("x-request-id: ");
            let lines = answer.head.lines().filter(|line| !varies(line));
            let text = lines.chain(answer.body.lines()).collect::<Vec<_>>().join("\n").replace(app, "APP");
            let text: String = text.lines().filter(|line| !line.starts_with("content-length: ")).collect();
            assert_eq!(&text, first.get_or_insert_with(|| text.clone()));
        }
    }
    let [theirs, nobody_s, control] = took.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!("median of {ROUNDS}: bob's {theirs:?}, nobody's {nobody_s:?}, another of nobody's {control:?}");
    // The same code: what differs is the clock's noise. A look into the status or the database would be more than that.
    let apart = theirs.abs_diff(nobody_s);
    assert!(apart < theirs / 4, "{theirs:?} and {nobody_s:?}: {apart:?} apart");
}

/// A key that was made for one app, or for deploying, opens that and nothing else, also where its user is an admin.
#[tokio::test]
async fn a_narrowed_key_opens_what_it_was_made_for_and_nothing_else() {
    let portal = neighbours().await;
    let narrowed: Expected = Some((403, "key-narrowed"));
    let ask = async |route: &Route, path: String, key: &str| {
        let body = route.writes().then_some("{}");
        portal.ask(&Ask { method: &route.method, path: &path, headers: &[("x-api-key", key)], body }).await
    };
    let routes = routes(&portal).await;
    for (name, app, other) in [("alice", "alice-diary", "alice-notes"), ("admin", "bob-secretplan", "alice-diary")] {
        let user = portal.accounts.login(name, PASSWORD, &Visit::here(HERE)).await.unwrap().session.user.id;
        let app = AppKey::parse(app).unwrap();
        for scope in [
            KeyScope { app: Some(app.clone()), deploy_only: false },
            KeyScope { app: Some(app.clone()), deploy_only: true },
            KeyScope { app: None, deploy_only: true },
        ] {
            let issued = portal.accounts.issue_narrowed_key(user, None, scope.clone()).await.unwrap();
            let key = issued.secret.reveal();
            for route in &routes {
                let (of_user, of_app) = (app.user.as_str(), app.app.as_str());
                let path = route.path.replace("{userid}", of_user).replace("{appname}", of_app);
                let rest = |path: String| path.replace("{id}", "9").replace("{name}", "bob").replace("{token}", "9");
                let publishes = route.method == "POST" && route.path.ends_with("/versions");
                let pushes = ["/info/refs", "/git-receive-pack"].iter().any(|end| path.ends_with(end));
                let deploys = path.ends_with("/deploy") || publishes || pushes;
                let expected = match route.open {
                    Open::Admin => narrowed,
                    Open::Member | Open::Owner if scope.deploy_only && !deploys => narrowed,
                    Open::Known | Open::Member | Open::Owner => route.in_person.then_some(SESSION_ONLY).flatten(),
                    Open::Anybody => None,
                };
                let answer = ask(route, rest(path), key).await;
                check(route, &format!("{name}'s key for {scope:?}"), expected, &answer);
                assert!(name == "admin" || !answer.body.contains(SECRET), "{}", answer.body);
                if route.open == Open::Owner && scope.app.is_some() && (deploys || !scope.deploy_only) {
                    let (other_user, other_app) = other.split_once('-').unwrap();
                    let path = route.path.replace("{userid}", other_user).replace("{appname}", other_app);
                    check(route, "a key for another app", NO_SUCH_APP, &ask(route, path, key).await);
                }
            }
            if scope.app.is_some() && !scope.deploy_only {
                let listed = portal.get("/apps", &[("x-api-key", key)]).await.data();
                assert_eq!((listed.as_array().unwrap().len(), &listed[0]["app"]), (1, &json!(app)), "{name}");
                let body = r#"{"userid":"alice","appname":"other","templateId":"diary-v1"}"#;
                let made = portal.post("/apps", &[("x-api-key", key)], body).await;
                assert_eq!(made.verdict(), (403, "key-narrowed".to_owned()));
            }
        }
    }
    // Nobody narrows a key to what is not theirs.
    let (cookie, origin) = (portal.session_of("alice", PASSWORD).await, portal.origin());
    let person = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let refused = portal.post("/api-keys", &person, r#"{"app":"bob-secretplan"}"#).await;
    assert_eq!(refused.verdict(), (404, "no-such-app".to_owned()));
    let issued = portal.post("/api-keys", &person, r#"{"app":"alice-diary","deployOnly":true}"#).await.data();
    assert_eq!((&issued["app"], &issued["deployOnly"]), (&json!("alice-diary"), &json!(true)));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_and_only_one_s_own() {
    let portal = neighbours().await;
    let origin = portal.origin();
    let login = json!({"username": "alice", "password": PASSWORD}).to_string();
    let phone = portal.post("/auth/login", &[("user-agent", "Phone\u{202e}/1")], &login).await.cookie();
    let laptop = portal.session_of("alice", PASSWORD).await;
    let bob = portal.session_of("bob", PASSWORD).await;
    let at = |cookie: &str| vec![("cookie".to_owned(), cookie.to_owned()), ("origin".to_owned(), origin.clone())];
    let ask = async |method: &str, path: &str, cookie: &str| {
        let headers = at(cookie);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        portal.ask(&Ask { method, path, headers: &headers, body: None }).await
    };
    let listed = ask("GET", "/auth/sessions", &laptop).await.data();
    let listed = listed.as_array().unwrap().clone();
    assert_eq!(listed.iter().filter(|session| session["current"] == true).count(), 1, "{listed:?}");
    assert_eq!((&listed[0]["current"], &listed[1]["address"]), (&json!(true), &json!("127.0.0.1")));
    // Whoever signs in names the browser; it cannot turn the list around.
    assert!(listed[1]["agent"].as_str().unwrap().starts_with("Phone"), "{listed:?}");
    assert!(!listed[1].to_string().contains('\u{202e}'), "{listed:?}");
    let path = format!("/auth/sessions/{}", listed[1]["id"]);
    assert_eq!(ask("DELETE", &path, &bob).await.verdict(), (404, "no-such-session".to_owned()));
    assert_eq!(ask("GET", "/auth/me", &phone).await.status, 200);
    assert_eq!(ask("DELETE", &path, &laptop).await.status, 200);
    assert_eq!(ask("GET", "/auth/me", &phone).await.status, 401);
    assert_eq!(ask("GET", "/auth/me", &laptop).await.status, 200);
    assert_eq!(ask("DELETE", &path, &laptop).await.verdict(), (404, "no-such-session".to_owned()));
}

/// What is written on an open stream until `last` was.
async fn read_until(stream: &mut tokio::net::TcpStream, last: &str) -> String {
    let mut read = String::new();
    while !read.contains(last) {
        let mut bytes = [0; 4096];
        let count = portal_support::soon(stream.read(&mut bytes)).await.unwrap();
        assert!(count > 0, "the stream ended: {read}");
        read.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    read
}

#[tokio::test]
async fn a_member_s_stream_tells_of_their_own_apps_only() {
    let portal = neighbours().await;
    let cookie = portal.session_of("alice", PASSWORD).await;
    let mut stream = portal.connect().await;
    let ask = format!("GET /events HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", portal.address);
    stream.write_all(ask.as_bytes()).await.unwrap();
    let first = read_until(&mut stream, "event: apps").await + &read_until(&mut stream, "\n\n").await;
    assert!(first.contains("alice-diary") && !first.contains("bob"), "{first}");

    // A change of each, and each that goes.
    portal.status_tx.send_modify(|now| {
        for app in Arc::make_mut(now).apps.values_mut() {
            Arc::make_mut(app).restarts = 7;
        }
    });
    let changed = read_until(&mut stream, "\"restarts\":7").await;
    portal.status_tx.send_modify(|now| Arc::make_mut(now).apps.clear());
    let gone = read_until(&mut stream, "event: gone").await + &read_until(&mut stream, "\n\n").await;
    for told in [changed, gone] {
        assert!(told.contains("alice") && !told.contains("bob"), "{told}");
    }
}

/// What was opened with more rights than somebody has now is not theirs to go on reading.
#[tokio::test]
async fn a_stream_ends_when_its_user_becomes_somebody_else() {
    let portal = neighbours().await;
    let database = rusqlite::Connection::open(portal.database()).unwrap();
    for change in ["UPDATE users SET role = 'admin' WHERE name = 'alice'", "DELETE FROM users WHERE name = 'alice'"] {
        let cookie = portal.session_of("alice", PASSWORD).await;
        let mut stream = portal.connect().await;
        let ask = format!("GET /events HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", portal.address);
        stream.write_all(ask.as_bytes()).await.unwrap();
        read_until(&mut stream, "event: apps").await;
        database.execute("PRAGMA foreign_keys = ON", []).ok();
        database.execute(change, []).unwrap();
        let began = Instant::now();
        // The last chunk of an answer that has ended is empty.
        read_until(&mut stream, "0\r\n\r\n").await;
        assert!(began.elapsed() < std::time::Duration::from_millis(1_500), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_is_described_is_there_and_nothing_else() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let routes = routes(&portal).await;
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    for route in &routes {
        let path = route.filled();
        for method in methods {
            let described = routes.iter().any(|other| other.path == route.path && other.method == method);
            let answer = portal.ask(&Ask { method, path: &path, headers: &[("x-api-key", &key)], body: None }).await;
            let refused = answer.verdict() == (405, "wrong-method".to_owned());
            assert_eq!(refused, !described, "{method} {path}: {}", answer.head);
        }
        let near = [format!("{path}/"), format!("{path}/x/y/z"), format!("/api{path}"), path.to_uppercase()];
        // A version's files may have any name below it. The root has no other spelling.
        let others = if route.path.ends_with("/files/{file}") { 2 } else { 0 };
        for near in near.into_iter().skip(others).filter(|near| *near != path) {
            let answer = portal.get(&near, &[("x-api-key", &key)]).await;
            assert_eq!(answer.verdict(), (404, "no-such-route".to_owned()), "{near}: {}", answer.head);
        }
    }
    // There is one line that adds a route, and it takes rule and description with it.
    let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/portal")];
    let mut adding = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for way in [".route(", ".nest(", ".merge(", ".route_service(", ".fallback_service(", ".nest_service("] {
            let times = text.matches(way).count();
            adding.extend(std::iter::repeat_n(format!("{way} in {}", path.file_name().unwrap().display()), times));
        }
    }
    assert_eq!(adding, [".route( in router.rs"]);
}

#[tokio::test]
async fn the_first_login_leads_to_a_new_password_and_nowhere_else() {
    let portal = Portal::fresh().await;
    let origin = portal.origin();
    let own = ("origin", origin.as_str());
    let login = |password: &str| json!({"username": "admin", "password": password}).to_string();

    let answer = portal.post("/auth/login", &[own], &login("admin")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    insta::assert_snapshot!(answer.data(), @r#"{"mustChangePassword":true,"role":"admin","through":"session","username":"admin"}"#);
    let here = answer.cookie();
    let elsewhere = portal.post("/auth/login", &[], &login("admin")).await.cookie();
    assert_ne!(here, elsewhere);

    let refused = portal.get("/apps", &[("cookie", &here)]).await;
    insta::assert_snapshot!(refused.body, @r#"{"ok":false,"error":"Password change required: `POST /auth/change-password` first","code":"password-change-required"}"#);
    let refused = portal.get("/apps", &[("cookie", &here), ("accept-language", "ko")]).await;
    insta::assert_snapshot!(refused.body, @r#"{"ok":false,"error":"비밀번호를 먼저 바꿔야 합니다: `POST /auth/change-password`","code":"password-change-required"}"#);
    let me = portal.get("/auth/me", &[("cookie", &here)]).await;
    assert_eq!(me.data()["mustChangePassword"], true);

    let change = async |body: Value, language: &str| {
        let headers = [("cookie", here.as_str()), own, ("accept-language", language)];
        portal.post("/auth/change-password", &headers, &body.to_string()).await
    };
    let passwords = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    for (body, code) in [
        (passwords("wrong", PASSWORD), (401, "wrong-password")),
        (passwords("admin", "short"), (400, "bad-password")),
        (passwords("admin", &"가".repeat(25)), (400, "bad-password")),
        (passwords("admin", "correct\thorse"), (400, "bad-password")),
        (json!({"currentPassword": "admin"}), (422, "wrong-shape")),
        (json!({"currentPassword": "admin", "newPassword": PASSWORD, "more": 1}), (422, "wrong-shape")),
        (json!("admin"), (422, "wrong-shape")),
    ] {
        for language in ["en", "ko"] {
            let answer = change(body.clone(), language).await;
            assert_eq!(answer.verdict(), (code.0, code.1.to_owned()), "{body}: {}", answer.body);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            let korean = error.chars().any(|letter| ('가'..='힣').contains(&letter));
            assert_eq!(korean, language == "ko", "{error}");
        }
    }
    let answer = change(passwords("admin", PASSWORD), "en").await;
    insta::assert_snapshot!(answer.body, @r#"{"ok":true,"data":{"username":"admin","role":"admin","mustChangePassword":false,"through":"session"}}"#);

    assert_eq!(portal.get("/apps", &[("cookie", &here)]).await.status, 200);
    assert_eq!(portal.get("/auth/me", &[("cookie", &elsewhere)]).await.status, 401, "it should have ended");
    assert_eq!(portal.post("/auth/login", &[], &login("admin")).await.verdict(), (401, "wrong-password".to_owned()));
    assert_eq!(portal.post("/auth/login", &[], &login(PASSWORD)).await.status, 200);

    let out = portal.post("/auth/logout", &[("cookie", &here), own], "").await;
    insta::assert_snapshot!(out.body, @r#"{"ok":true,"data":{"session":"ended"}}"#);
    insta::assert_snapshot!(out.header("set-cookie").unwrap(), @"paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    assert_eq!(portal.get("/apps", &[("cookie", &here)]).await.status, 401);
}

/// What a trusted proxy at this address says about where a login with the first password comes from, and what becomes of it.
#[tokio::test]
async fn a_fresh_installation_opens_here_with_the_word_from_its_network_and_from_nowhere_else() {
    const IN: (u16, &str) = (200, "");
    const NEEDED: (u16, &str) = (403, "first-word-needed");
    const WRONG: (u16, &str) = (401, "wrong-first-word");
    const ELSEWHERE: (u16, &str) = (403, "first-login-elsewhere");
    let portal = Portal::fresh().await;
    let word = portal.accounts.first_word().await.unwrap().expect("the first password is in force");
    let (right, wrong) = (Some(word.reveal()), Some("abcd-efgh-jkmn-pqrs"));
    let login = async |from: &str, first_word: Option<&str>, language: &str| {
        let headers = [("x-forwarded-for", from), ("accept-language", language)];
        let headers = if from.is_empty() { &headers[1..] } else { &headers[..] };
        let body = json!({"username": "admin", "password": "admin", "firstWord": first_word}).to_string();
        portal.post("/auth/login", headers, &body).await
    };
    let judged = async |cases: &[(&str, Option<&str>, (u16, &str))]| {
        for (from, first_word, expected) in cases {
            let answer = login(from, *first_word, "en").await;
            let told = format!("from {from:?} with {first_word:?}: {}", answer.body);
            assert_eq!(answer.verdict(), (expected.0, expected.1.to_owned()), "{told}");
            assert_eq!(answer.header("set-cookie").is_some(), *expected == IN, "{told}");
        }
    };
    judged(&[("", None, IN), ("", wrong, IN), ("127.0.0.1", None, IN), ("203.0.113.1", right, ELSEWHERE)]).await;

    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    portal.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("localhost") }));
    judged(&[
        // The proxy says nothing, or what nobody understands.
        ("", None, ELSEWHERE),
        ("", right, ELSEWHERE),
        ("somewhere", right, ELSEWHERE),
        ("127.0.0.1", None, IN),
        ("192.168.0.9", None, NEEDED),
        ("192.168.0.9", wrong, WRONG),
        ("192.168.0.9", Some(""), WRONG),
        ("192.168.0.9", right, IN),
        // An app's container, at the gateway.
        ("10.201.0.7", None, NEEDED),
        ("169.254.3.4", right, IN),
        ("fd00::9", right, IN),
        ("fe80::9", None, NEEDED),
        ("203.0.113.2", None, ELSEWHERE),
        ("203.0.113.2", right, ELSEWHERE),
        ("2001:db8::2", right, ELSEWHERE),
        ("203.0.113.3, 192.168.0.9", None, NEEDED),
    ])
    .await;
    for (from, first_word, remedy) in [
        ("192.168.0.10", None, "`paas init`"),
        ("192.168.0.10", wrong, "`paas init`"),
        ("203.0.113.4", right, "`paas admin reset-password`"),
        ("", right, "PAAS_TRUSTED_PROXIES"),
    ] {
        for language in ["en", "ko"] {
            let error = login(from, first_word, language).await.json()["error"].as_str().unwrap().to_owned();
            let korean = error.chars().any(|letter| ('가'..='힣').contains(&letter));
            assert!(korean == (language == "ko") && error.contains(remedy), "{from}: {error}");
            assert!(!error.contains(word.reveal()), "{error}");
        }
    }

    // The word is guessed no faster than a password; whoever has it comes in from elsewhere meanwhile.
    for _ in 0..5 {
        assert_eq!(login("192.168.0.11", wrong, "en").await.status, 401);
    }
    assert_eq!(login("192.168.0.11", wrong, "en").await.verdict(), (429, "too-many-logins".to_owned()));
    assert_eq!(login("192.168.0.11", right, "en").await.status, 429);
    let begun = login("192.168.0.12", right, "en").await;

    // A password that is nobody's guess is enough by itself, wherever somebody is.
    let reset = portal.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    let with = async |password: &str| {
        let body = json!({"username": "admin", "password": password}).to_string();
        portal.post("/auth/login", &[("x-forwarded-for", "203.0.113.5")], &body).await
    };
    let answer = with(reset.password.reveal()).await;
    assert_eq!((answer.status, &answer.data()["mustChangePassword"]), (200, &json!(true)));
    assert_eq!(portal.get("/auth/me", &[("cookie", &begun.cookie())]).await.status, 401, "it should have ended");
    assert_eq!(with("admin").await.verdict(), (401, "wrong-password".to_owned()));
    assert_eq!(portal.accounts.first_word().await.unwrap(), None);
}

#[tokio::test]
async fn the_cookie_keeps_to_this_host_and_away_from_scripts() {
    let portal = Portal::settled().await;
    let body = json!({"username": "admin", "password": PASSWORD}).to_string();
    let golden = |answer: &Answer| {
        let set: Vec<_> = answer.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie")).collect();
        assert_eq!(set.len(), 1, "{}", answer.head);
        let token = answer.cookie().split_once('=').unwrap().1.to_owned();
        assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        assert!(!answer.body.contains(&token) && answer.header("cache-control") == Some("no-store"));
        answer.header("set-cookie").unwrap().replace(&token, "TOKEN")
    };
    let plain = portal.post("/auth/login", &[], &body).await;
    insta::assert_snapshot!(golden(&plain), @"paas_portal_session=TOKEN; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax");

    portal.set(|settings| (settings.portal_cookie_secure, settings.session_ttl_hours) = (Some(true), 1));
    let secure = portal.post("/auth/login", &[], &body).await;
    insta::assert_snapshot!(golden(&secure), @"__Host-paas_portal_session=TOKEN; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(portal.get("/apps", &[("cookie", &secure.cookie())]).await.status, 200);
    // What any page of a sibling host could have planted counts no more.
    assert_eq!(portal.get("/apps", &[("cookie", &plain.cookie())]).await.status, 401);
    let unprefixed = secure.cookie().replace("__Host-", "");
    assert_eq!(portal.get("/apps", &[("cookie", &unprefixed)]).await.status, 401);
}

/// An app's page cannot read the session, but without `__Host-` it can set a cookie of that name for the whole domain.
#[tokio::test]
async fn signing_in_and_out_overwrites_what_an_app_planted_for_the_whole_domain() {
    let portal = Portal::settled().await;
    portal.set(|settings| settings.domain = "home.example.org".to_owned());
    let body = json!({"username": "admin", "password": PASSWORD}).to_string();
    let ask = async |path: &str, host: &str, headers: &[(&str, &str)]| {
        let ask = Ask { method: "POST", path, headers, body: Some(&body) };
        let answer = ask.over(&mut portal.connect().await, host).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    };
    let set = |answer: &Answer| -> Vec<String> {
        let token = answer.cookies().last().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
        let told =
            |cookie: &&str| if token.is_empty() { (*cookie).to_owned() } else { cookie.replace(&token, "TOKEN") };
        answer.cookies().iter().map(told).collect()
    };
    let begun = ask("/auth/login", "home.example.org:8080", &[]).await;
    insta::assert_snapshot!(set(&begun).join("\n"), @"
    paas_portal_session=; Domain=home.example.org; Path=/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/api-keys; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/api-keys/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/apps; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/apps/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/change-password; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/logout; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/me; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/revoke-all; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/sessions; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/sessions/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/totp; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/totp/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/auth/totp/confirm; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/confirm; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/edits; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/events; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/events/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/events/log; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/git; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/git/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/image-log; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/metrics; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/names; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/names/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/npm; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/plan; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/resync; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/settings; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/status; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/templates; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/templates/; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/usage; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/users; Max-Age=0
    paas_portal_session=; Domain=home.example.org; Path=/users/; Max-Age=0
    paas_portal_session=TOKEN; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax
    ");
    // What it costs stays below the 4 KiB that a proxy takes for a head.
    assert!(begun.head.len() < 4_000, "{}", begun.head.len());

    let at_portal = ask("/auth/login", "Portal.home.example.org", &[]).await;
    assert_eq!(set(&at_portal), set(&begun));
    let token = at_portal.cookies().last().unwrap().split(';').next().unwrap().to_owned();
    let from = [("cookie", token.as_str()), ("origin", "http://portal.home.example.org")];
    let ended = ask("/auth/logout", "portal.home.example.org", &from).await;
    let planted = set(&begun).len() - 1;
    assert_eq!(set(&ended)[..planted], set(&begun)[..planted]);
    assert_eq!(set(&ended)[planted..], ["paas_portal_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]);

    // Every route that looks at the session is reached by such a cookie at each path above it, as far as it is the same for all.
    for route in routes(&portal).await.iter().filter(|route| route.open != Open::Anybody) {
        let fixed = route.path.split('{').next().unwrap();
        for end in (1..=fixed.len()).filter(|end| *end == fixed.len() || fixed[*end..].starts_with('/')) {
            let line = format!("paas_portal_session=; Domain=home.example.org; Path={}; Max-Age=0", &fixed[..end]);
            assert!(set(&begun).contains(&line), "{} at {line}", route.path);
        }
    }

    // Elsewhere no such cookie is sent, and a browser would not take these. A prefixed name nobody can plant.
    for host in ["127.0.0.1", "mybox:3000", "localhost", "other.localhost"] {
        assert_eq!(ask("/auth/login", host, &[]).await.cookies().len(), 1, "{host}");
    }
    portal.set(|settings| settings.portal_cookie_secure = Some(true));
    assert_eq!(ask("/auth/login", "home.example.org", &[]).await.cookies().len(), 1);
}

#[tokio::test]
async fn guessing_is_slowed_down_per_visitor_and_only_trusted_proxies_say_who_that_is() {
    let portal = Portal::settled().await;
    let session = portal.session(PASSWORD).await;
    let guess = async |forwarded: &str, language: &str| {
        let headers = [("x-forwarded-for", forwarded), ("accept-language", language)];
        portal.post("/auth/login", &headers, r#"{"username":"admin","password":"a guess"}"#).await
    };
    for number in 0..5 {
        let answer = guess(&format!("203.0.113.{number}"), "en").await;
        assert_eq!(answer.verdict(), (401, "wrong-password".to_owned()));
    }
    // A stranger's word about addresses counts nothing.
    let slowed = guess("203.0.113.99", "en").await;
    assert_eq!(slowed.verdict(), (429, "too-many-logins".to_owned()));
    assert_eq!(slowed.header("retry-after"), Some("1"), "{}", slowed.head);
    insta::assert_snapshot!(slowed.json()["error"].as_str().unwrap(), @"too many wrong passwords: try again in 1 s");
    insta::assert_snapshot!(guess("203.0.113.99", "ko").await.json()["error"].as_str().unwrap(), @"비밀번호를 너무 많이 틀렸습니다: 1초 뒤에 다시 시도하세요");
    // Who is in stays in.
    assert_eq!(portal.get("/apps", &[("cookie", &session)]).await.status, 200);

    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    portal.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("localhost") }));
    for _ in 0..5 {
        assert_eq!(guess("203.0.113.1", "en").await.status, 401);
    }
    assert_eq!(guess("203.0.113.1", "en").await.status, 429);
    assert_eq!(guess("6.6.6.6, 203.0.113.1", "en").await.status, 429, "what the client itself claims is not believed");
    assert_eq!(guess("203.0.113.2", "en").await.status, 401);
}

#[tokio::test]
async fn one_ipv6_subscriber_guesses_as_one_whatever_address_is_taken() {
    let portal = Portal::settled().await;
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    portal.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("localhost") }));
    let guess = async |user: &str, from: &str| {
        let body = json!({"username": user, "password": "a guess"}).to_string();
        portal.post("/auth/login", &[("x-forwarded-for", from)], &body).await.verdict()
    };
    let (wrong, slowed) = ((401, "wrong-password".to_owned()), (429, "too-many-logins".to_owned()));
    for number in 1..=5 {
        assert_eq!(guess("admin", &format!("2001:db8:7:1:{number}::{number}")).await, wrong);
    }
    for other in ["2001:db8:7:1::1", "2001:db8:7:1:ffff:ffff:ffff:ffff", "2001:DB8:7:1:0:0:0:9"] {
        assert_eq!(guess("admin", other).await, slowed, "{other}");
    }
    assert_eq!(guess("admin", "2001:db8:7:2::1").await, wrong, "the neighbour");
    // Whatever the name: twenty for the whole subscriber. Five are used up, each refusal costs nothing.
    let mut refused = 0;
    for number in 0..30 {
        refused += usize::from(guess(&format!("user{number}"), &format!("2001:db8:7:1::{number:x}")).await == slowed);
    }
    assert!((13..=15).contains(&refused), "{refused} of 30");
    // An IPv4 visitor in IPv6 clothes is that visitor, not one of four billion in one network.
    for number in 1..=5 {
        assert_eq!(guess("admin", &format!("::ffff:203.0.113.{number}")).await, wrong);
    }
}

#[tokio::test]
async fn a_person_who_signs_in_again_and_again_keeps_the_newest_fifty_sessions() {
    let portal = Portal::settled().await;
    let body = json!({"username": "admin", "password": PASSWORD}).to_string();
    let mut cookies = Vec::new();
    for _ in 0..60 {
        let begun = portal.post("/auth/login", &[], &body).await;
        assert_eq!(begun.status, 200, "{}", begun.body);
        cookies.push(begun.cookie());
    }
    for (number, cookie) in cookies.iter().enumerate() {
        let expected = if number < 10 { 401 } else { 200 };
        assert_eq!(portal.get("/auth/me", &[("cookie", cookie)]).await.status, expected, "{number}");
    }
}

/// A place for waiting is worth something to those who wait only.
#[tokio::test]
async fn however_many_wait_for_the_world_others_are_answered() {
    const WAIT: &str = "/apps/alice/diary/stop?wait=25";
    let portal = Arc::new(Portal::settled().await);
    let key = portal.key().await;
    let apps = portal.settings_tx.borrow().manifests_dir.clone();
    std::fs::create_dir_all(&apps).unwrap();
    marker::write(&apps, &InstanceId::parse("0123456789abcdef").unwrap()).unwrap();
    std::fs::File::create(apps.join("alice-diary.yaml")).unwrap().write_all(b"template: diary-v1\n").unwrap();
    let ask = |path: &'static str| {
        let (portal, key) = (Arc::clone(&portal), key.clone());
        async move { portal.ask(&Ask { method: "POST", path, headers: &[("x-api-key", &key)], body: None }).await }
    };
    // The controller that is played here brings nothing about.
    let mut waiting = JoinSet::new();
    for _ in 0..256 {
        waiting.spawn(ask(WAIT));
    }
    for number in 0..256 - 64 {
        let answer = soon(waiting.join_next()).await.unwrap().unwrap();
        assert_eq!(answer.status, 202, "{number}: {}", answer.body);
    }
    for path in ["/health", "/apps", "/status"] {
        let begun = Instant::now();
        let answer = portal.get(path, &[("x-api-key", &key)]).await;
        assert!(answer.status == 200 && begun.elapsed() < Duration::from_secs(1), "{path}: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert_eq!(ask("/apps/alice/diary/start?wait=25").await.status, 202, "written, not waited for");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(std::fs::read_to_string(apps.join("alice-diary.yaml")).unwrap().contains("running"));
    assert_eq!(waiting.len(), 64);
    // Whoever hangs up leaves the place to others.
    waiting.shutdown().await;
    soon(async {
        loop {
            let begun = Instant::now();
            ask("/apps/alice/diary/stop?wait=1").await;
            if begun.elapsed() >= Duration::from_millis(900) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_logins_is_told_to_come_back() {
    let portal = Arc::new(Portal::settled().await);
    portal.set(|settings| settings.bcrypt_rounds = 11);
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    portal.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("localhost") }));
    // From as many addresses, so that nobody is slowed down for guessing.
    let answers = futures_util::future::join_all((0..40).map(|number| {
        let portal = Arc::clone(&portal);
        async move {
            let body = json!({"username": format!("nobody{number}"), "password": "a guess"}).to_string();
            portal.post("/auth/login", &[("x-forwarded-for", &format!("10.1.{number}.1"))], &body).await
        }
    }))
    .await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.verdict() == (503, "busy".to_owned())).collect();
    let checked = answers.iter().filter(|answer| answer.verdict() == (401, "wrong-password".to_owned())).count();
    println!("of 40 logins at once {checked} were checked, {} told to come back", busy.len());
    assert_eq!(checked + busy.len(), 40);
    assert!(checked >= 18 && busy.iter().all(|answer| answer.header("retry-after") == Some("5")));
    assert!(!busy.is_empty());
}

#[tokio::test]
async fn a_key_is_shown_once_listed_without_its_secret_and_opens_nothing_once_revoked() {
    let portal = Portal::settled().await;
    let (session, origin) = (portal.session(PASSWORD).await, portal.origin());
    let person = [("cookie", session.as_str()), ("origin", origin.as_str())];
    let issued = portal.post("/api-keys", &person, r#"{"name":"  backup script "}"#).await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    let data = issued.data();
    let secret = data["secret"].as_str().unwrap().to_owned();
    let fields: Vec<_> = data.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["app", "createdAt", "deployOnly", "id", "lastUsedAt", "name", "prefix", "secret"]);
    assert_eq!((&data["name"], &data["lastUsedAt"]), (&json!("backup script"), &Value::Null));
    assert!(secret.starts_with(data["prefix"].as_str().unwrap()) && secret.len() == 69, "{secret}");
    // No body at all is a key without a name.
    let unnamed = portal.ask(&Ask { method: "POST", path: "/api-keys", headers: &person, body: None }).await;
    assert_eq!((unnamed.status, &unnamed.data()["name"]), (201, &json!("unnamed")));

    let key = [("x-api-key", secret.as_str())];
    assert_eq!(portal.get("/apps", &key).await.status, 200);
    insta::assert_snapshot!(portal.get("/auth/me", &key).await.data(), @r#"{"mustChangePassword":false,"role":"admin","through":"apiKey","username":"admin"}"#);
    let list = portal.get("/api-keys", &person).await;
    assert!(!list.body.contains(&secret), "{}", list.body);
    let list = list.data();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["name"], "backup script");
    assert!(list[0]["lastUsedAt"].is_string() && list[1]["lastUsedAt"].is_null(), "{list}");

    for name in ["", "   ", "a\nb", &"x".repeat(65)] {
        let refused = portal.post("/api-keys", &person, &json!({"name": name}).to_string()).await;
        assert_eq!(refused.verdict(), (400, "bad-key-name".to_owned()), "{name:?}");
    }
    let path = format!("/api-keys/{}", list[0]["id"]);
    let revoke = Ask { method: "DELETE", path: &path, headers: &person, body: None };
    assert_eq!(portal.ask(&revoke).await.data()["id"], list[0]["id"]);
    assert_eq!(portal.ask(&revoke).await.verdict(), (404, "no-such-key".to_owned()));
    let refused = portal.get("/apps", &key).await;
    assert_eq!(refused.verdict(), (401, "sign-in".to_owned()));
    assert!(refused.body.contains("this API key is wrong or was revoked"), "{}", refused.body);
    let nobody = portal.get("/apps", &[]).await;
    assert!(nobody.body.contains("sign in first"), "{}", nobody.body);
    let nonsense = Ask { method: "DELETE", path: "/api-keys/one", headers: &person, body: None };
    assert_eq!(portal.ask(&nonsense).await.verdict(), (400, "bad-path".to_owned()));

    for _ in 1..50 {
        assert_eq!(portal.post("/api-keys", &person, "{}").await.status, 201);
    }
    assert_eq!(portal.post("/api-keys", &person, "{}").await.verdict(), (409, "too-many-keys".to_owned()));
}

#[tokio::test]
async fn the_legacy_key_opens_nothing_before_the_first_password_was_changed() {
    let portal = Portal::fresh().await;
    portal.set(|settings| settings.portal_api_key = "the-legacy-key".to_owned());
    let with = async |key: &str| portal.get("/apps", &[("x-api-key", key)]).await;
    assert_eq!(with("the-legacy-key").await.verdict(), (403, "password-change-required".to_owned()));
    assert_eq!(with("another-key-of-old").await.status, 401);
    let begun = portal.accounts.login("admin", "admin", &Visit::here(HERE)).await.unwrap().session;
    portal.accounts.change_password(begun.id, &begun.user, "admin", PASSWORD, HERE).await.unwrap();
    assert_eq!(with("the-legacy-key").await.status, 200);
}

#[tokio::test]
async fn the_legacy_key_follows_the_settings_and_is_off_when_empty() {
    let portal = Portal::settled().await;
    let with = async |key: &str| portal.get("/apps", &[("x-api-key", key)]).await.status;
    for nothing in ["", "the-legacy-key"] {
        assert_eq!(with(nothing).await, 401);
    }
    portal.set(|settings| settings.portal_api_key = "the-legacy-key".to_owned());
    for wrong in ["", "the-legacy-ke", "the-legacy-key2", "THE-LEGACY-KEY"] {
        assert_eq!(with(wrong).await, 401, "{wrong}");
    }
    assert_eq!(with("the-legacy-key").await, 200);
    assert_eq!(portal.get("/apps", &[("authorization", "Bearer the-legacy-key")]).await.status, 200);
    // It belongs to nobody.
    let me = portal.get("/auth/me", &[("x-api-key", "the-legacy-key")]).await;
    insta::assert_snapshot!(me.data(), @r#"{"mustChangePassword":false,"role":"admin","through":"legacyKey","username":null}"#);
    let refused = portal.post("/api-keys", &[("x-api-key", "the-legacy-key")], "{}").await;
    insta::assert_snapshot!(refused.json()["error"].as_str().unwrap(), @"an API key may not do this: sign in with `POST /auth/login` and use the session");
    portal.set(|settings| settings.portal_api_key = String::new());
    assert_eq!(with("the-legacy-key").await, 401);
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_per_visitor_and_issued_ones_are_not() {
    let portal = Portal::settled().await;
    let issued = portal.key().await;
    let with = async |key: &str, language: &str| {
        portal.get("/apps", &[("x-api-key", key), ("accept-language", language)]).await
    };
    let sign_in = (401, "sign-in".to_owned());
    // Nothing to guess at.
    for number in 0..20 {
        assert_eq!(with(&number.to_string(), "en").await.verdict(), sign_in);
    }
    portal.set(|settings| settings.portal_api_key = "the-legacy-key".to_owned());
    for _ in 0..20 {
        assert_eq!(with("the key of last year", "en").await.verdict(), sign_in);
    }
    for guess in ["a", "b", "c", "d"] {
        assert_eq!(with(guess, "en").await.verdict(), sign_in);
    }
    let slowed = with("e", "en").await;
    assert_eq!(slowed.verdict(), (429, "too-many-guesses".to_owned()));
    assert_eq!(slowed.header("retry-after"), Some("1"), "{}", slowed.head);
    insta::assert_snapshot!(slowed.json()["error"].as_str().unwrap(), @"too many wrong API keys from this address: try again in 1 s; keys of `POST /api-keys` go on working");
    insta::assert_snapshot!(with("f", "ko").await.json()["error"].as_str().unwrap(), @"이 주소에서 틀린 API 키를 너무 많이 보냈습니다: 1초 뒤에 다시 시도하세요. `POST /api-keys`로 만든 키는 계속 사용할 수 있습니다");
    // Whether it was right is not told meanwhile, or waiting would be for nothing.
    assert_eq!(with("the-legacy-key", "en").await.status, 429);
    assert_eq!(with(&issued, "en").await.status, 200);
    assert_eq!(with(&format!("paas_{}", "0".repeat(64)), "en").await.verdict(), sign_in);
}

/// Who types or follows an address is a person: they read a page with the way on. Programs read the envelope, as ever.
#[tokio::test]
async fn a_person_s_browser_is_refused_with_a_page_and_a_program_with_json() {
    const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    let portal = Portal::settled().await;
    let at = async |host: &str, path: &str, headers: &[(&str, &str)]| {
        Ask { method: "GET", path, headers, body: None }.over(&mut portal.connect().await, host).await
    };
    let html = Some("text/html; charset=utf-8");
    let page = at("localhost:3000", "/no'where", &[BROWSER, ("accept-language", "ko")]).await;
    assert_eq!((page.status, page.header("content-type")), (404, html));
    for shown in ["그런 화면이 없어요", "href=\"/\">내 웹 열기", "lang=\"ko\"", "no&#39;where"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = at("nas.example.org:3000", "/", &[BROWSER]).await;
    assert_eq!((page.status, page.header("content-type")), (421, html));
    for shown in ["Not at this address", "PORTAL_HOSTS", "href=\"http://localhost:3000/\">Open the dashboard"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    // By the name of a site, but to the portal's port.
    let page = at("alice-diary.localhost:3000", "/", &[BROWSER]).await;
    assert!(
        page.body.contains("href=\"http://alice-diary.localhost:8080/\">Go to the site alice-diary"),
        "{}",
        page.body
    );
    let page = at("localhost:3000", "/status", &[BROWSER]).await;
    assert!(page.status == 401 && page.body.contains("Please sign in first"), "{}", page.body);
    for accept in ["*/*", "application/json", ""] {
        for (host, path, verdict) in [
            ("localhost:3000", "/nowhere", (404, "no-such-route")),
            ("nas.example.org", "/", (421, "unknown-host")),
            ("localhost:3000", "/status", (401, "sign-in")),
        ] {
            let answer = at(host, path, &[("accept", accept)]).await;
            assert_eq!(answer.verdict(), (verdict.0, verdict.1.to_owned()), "{accept} {path}");
        }
    }
    let posted = portal.post("/nowhere", &[BROWSER], "{}").await;
    assert_eq!(posted.verdict(), (404, "no-such-route".to_owned()), "nobody navigates so");
}

/// `*.localhost` is the device in one's hand.
#[tokio::test]
async fn everybody_is_told_what_address_works_on_another_device() {
    let portal = Portal::settled().await;
    let at = async |host: &str| {
        let ask = Ask { method: "GET", path: "/addresses", headers: &[], body: None };
        ask.over(&mut portal.connect().await, host).await.data()
    };
    let told = at("192.168.1.10:8080").await;
    insta::assert_snapshot!(told, @r#"{"isPublic":false,"portal":"http://localhost:3000","portalElsewhere":"http://192.168.1.10:8080","site":"http://{name}.localhost:8080/","siteElsewhere":"http://{name}.192.168.1.10.nip.io:8080/"}"#);
    portal.set(|settings| settings.domain = "home.example.com".to_owned());
    let told = at("192.168.1.10:8080").await;
    insta::assert_snapshot!(told, @r#"{"isPublic":false,"portal":"http://home.example.com:8080","portalElsewhere":null,"site":"http://{name}.home.example.com:8080/","siteElsewhere":null}"#);
}

#[tokio::test]
async fn only_names_that_no_stranger_can_lead_here_are_answered() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let at = async |host: &str, language: &str| {
        let ask = Ask {
            method: "GET",
            path: "/apps",
            headers: &[("x-api-key", &key), ("accept-language", language)],
            body: None,
        };
        ask.over(&mut portal.connect().await, host).await
    };
    for host in ["127.0.0.1:3000", "192.168.0.5:3000", "mybox:3000", "mybox.local:3000", "portal.localhost"] {
        assert_eq!(at(host, "en").await.status, 200, "{host}");
    }
    let refused = at("nas.example.org:3000", "en").await;
    assert_eq!(refused.status, 421);
    assert!(refused.header("x-request-id").is_some(), "{}", refused.head);
    insta::assert_snapshot!(refused.body, @r#"{"ok":false,"error":"the portal does not answer to the name `nas.example.org:3000`: call it by its IP address, or add the name to PORTAL_HOSTS in .env, which counts at once","code":"unknown-host"}"#);
    insta::assert_snapshot!(at("nas.example.org", "ko").await.json()["error"].as_str().unwrap(), @"포털은 `nas.example.org` 이름으로는 응답하지 않습니다: IP 주소로 접속하거나 .env의 PORTAL_HOSTS에 이 이름을 추가하세요(바로 적용됩니다)");
    portal.set(|settings| settings.portal_hosts = vec!["nas.example.org".to_owned()]);
    assert_eq!(at("nas.example.org:3000", "en").await.status, 200);
    let app = at("bob-evil.localhost:3000", "en").await;
    assert_eq!(app.status, 421);
    insta::assert_snapshot!(app.json()["error"].as_str().unwrap(), @"the portal does not answer to the name `bob-evil.localhost:3000`, because names below `localhost` are for apps: open the portal at `localhost` or `portal.localhost`, or by its IP address");
    insta::assert_snapshot!(at("bob-evil.localhost", "ko").await.json()["error"].as_str().unwrap(), @"포털은 `bob-evil.localhost` 이름으로는 응답하지 않습니다. `localhost` 아래의 이름은 앱의 것입니다: `localhost`, `portal.localhost`, 또는 IP 주소로 접속하세요");
    portal.set(|settings| settings.domain = "home.example.com".to_owned());
    assert_eq!(at("portal.home.example.com", "en").await.status, 200);

    // Nobody but a trusted proxy says what was asked of it; then that counts as well.
    let forwarded = [("x-api-key", key.as_str()), ("x-forwarded-host", "evil.example.net")];
    assert_eq!(portal.get("/apps", &forwarded).await.status, 200);
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    portal.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("localhost") }));
    assert_eq!(portal.get("/apps", &forwarded).await.verdict(), (421, "unknown-host".to_owned()));
    // The page is the portal's own, whatever the proxy calls the portal.
    let session = portal.session(PASSWORD).await;
    let page = |origin| [("cookie", session.as_str()), ("x-forwarded-host", "nas.example.org"), ("origin", origin)];
    assert_eq!(portal.post("/api-keys", &page("https://nas.example.org"), "{}").await.status, 201);
    let foreign = portal.post("/api-keys", &page("https://alice-diary.nas.example.org"), "{}").await;
    assert_eq!(foreign.verdict(), (403, "cross-origin".to_owned()));
}

#[tokio::test]
async fn the_first_sign_in_at_the_socket_takes_no_word() {
    let portal = Portal::fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/paas.sock");
    let door = UnixDoor::bind(&socket).await.unwrap();
    let serving = door.serve(router(portal.state.clone()), portal.stopping.clone());
    let asking = async {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let body = Some(r#"{"username":"admin","password":"admin"}"#);
        let ask = Ask { method: "POST", path: "/auth/login", headers: &[("x-forwarded-for", "203.0.113.9")], body };
        let answer = ask.over(&mut stream, "localhost").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        portal.stopping.cancel();
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn the_operator_at_the_socket_is_no_user_and_is_told_so() {
    let portal = Portal::settled().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/paas.sock");
    let door = UnixDoor::bind(&socket).await.unwrap();
    let serving = door.serve(router(portal.state.clone()), portal.stopping.clone());
    let asking = async {
        let ask = async |method, path, body| {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            Ask { method, path, headers: &[], body }.over(&mut stream, "a.name.example").await
        };
        let me = ask("GET", "/auth/me", None).await;
        insta::assert_snapshot!(me.data(), @r#"{"mustChangePassword":false,"role":"admin","through":"localSocket","username":null}"#);
        let passwords = r#"{"currentPassword":"a","newPassword":"correct horse"}"#;
        for (method, path, body) in [
            ("POST", "/auth/logout", None),
            ("POST", "/auth/change-password", Some(passwords)),
            ("GET", "/api-keys", None),
            ("POST", "/api-keys", Some("{}")),
            ("DELETE", "/api-keys/1", None),
        ] {
            let answer = ask(method, path, body).await;
            assert_eq!(answer.verdict(), (403, "session-only".to_owned()), "{method} {path}");
            assert!(answer.body.contains("paas admin reset-password"), "{}", answer.body);
        }
        // A program on the server may sign in as anybody else does.
        let login = ask("POST", "/auth/login", Some(r#"{"username":"admin","password":"correct horse"}"#)).await;
        assert_eq!(login.status, 200, "{}", login.body);
        portal.stopping.cancel();
    };
    tokio::join!(serving, asking);
}
