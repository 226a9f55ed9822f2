//! The gateway over real sockets: what reaches an app, what comes back, and what is never lost.
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

mod gateway_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_support::{
    HOST, Wire, World, app, body, code, container_at, named, raw_app, raw_app_at, recorder, running, status, until,
    within,
};
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use minipaas::gateway::{GatewayConfig, PortalNames, Tuning, VisitCount, Visitor};
use minipaas::model::{AppKey, AppStatus, Condition, ConditionKind, Health, RunState, SyncState, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn short() -> Tuning {
    Tuning { linger: Duration::from_millis(50), ..Tuning::default() }
}

// --- host → app -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_host_reaches_exactly_its_app_whatever_its_case_port_or_trailing_dot() {
    let world = World::around(named("diary").await).await;
    world.publish(running("bob-blog", named("blog").await)).await;
    for (host, expected) in [
        ("alice-diary.test", "diary"),
        ("ALICE-Diary.Test", "diary"),
        ("alice-diary.test.", "diary"),
        ("alice-diary.test:8080", "diary"),
        ("alice-diary.test.:80", "diary"),
        ("bob-blog.test", "blog"),
    ] {
        let answer = world.talk(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((code(&answer), body(&answer)), ("200", expected), "{host}: {answer}");
    }
    for host in [
        "xalice-diary.test",
        "a.alice-diary.test",
        "alice-diary.test.evil",
        "alice-diary",
        "127.0.0.1",
        "[::1]:8080",
        "alice-diary.192.168.1.10.nip.io",
    ] {
        let answer = world.talk(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(code(&answer), "404", "{host}: {answer}");
    }
}

#[tokio::test]
async fn an_own_name_leads_to_its_app_and_never_takes_the_place_of_another() {
    let world = World::around(named("diary").await).await;
    let with = |key: &str, addr, names: &[&str]| {
        let domains = names.iter().map(|name| name.parse().unwrap()).collect();
        AppStatus { domains, ..running(key, addr) }
    };
    // No status says so of the last three; should one, nobody loses what is theirs.
    let names = ["www.example.kr", "일기.한국", "alice-diary.test", "portal.test", "zoe-blog.test"];
    world.publish(with("bob-blog", named("blog").await, &names)).await;
    world.publish(running("zoe-blog", named("zoe").await)).await;
    for (host, expected) in [
        ("www.example.kr", "blog"),
        ("WWW.Example.KR.:8080", "blog"),
        ("xn--ok0bs39b.xn--3e0b707e", "blog"),
        ("bob-blog.test", "blog"),
        ("alice-diary.test", "diary"),
        ("zoe-blog.test", "zoe"),
    ] {
        let answer = world.talk(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((code(&answer), body(&answer)), ("200", expected), "{host}: {answer}");
    }
    for host in ["portal.test", "example.kr", "x.www.example.kr"] {
        let answer = world.talk(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(body(&answer) != "blog", "{host}: {answer}");
    }
    world.stopped().await;
}

/// Whoever types the server's address is no program, and has not mistyped a site's name either.
#[tokio::test]
async fn the_server_s_own_address_answers_people_with_a_page_and_programs_with_json() {
    let world = World::around(named("diary").await).await;
    let mut config = GatewayConfig::new("test");
    config.portal = PortalNames::Nothing;
    world.config_tx.send_replace(Arc::new(config));
    let ask = async |host: &str, accept: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nAccept-Language: ko\r\n");
        world.talk(&format!("{head}Connection: close\r\n\r\n")).await
    };
    within(async { while code(&ask("portal.test", "*/*").await) != "404" {} }).await;
    for host in ["127.0.0.1:8080", "192.168.1.10", "[::1]:8080", "localhost:8080", "test"] {
        let page = ask(host, "text/html,application/xhtml+xml,*/*;q=0.8").await;
        assert!(
            code(&page) == "200" && page.contains("text/html") && page.contains("사이트마다 주소가"),
            "{host}: {page}"
        );
        let answer = ask(host, "application/json").await;
        assert!(code(&answer) == "200" && body(&answer).contains("\"name\":\"minipaas\""), "{host}: {answer}");
    }
}

/// Another device cannot be given a name below `localhost`.
#[tokio::test]
async fn a_name_with_the_server_s_address_in_it_reaches_the_app_where_the_domain_is_localhost() {
    let world = World::around(named("diary").await).await;
    let mut diary = running("alice-diary", named("diary").await);
    diary.host = "alice-diary.localhost".to_owned();
    world.config_tx.send_replace(Arc::new(GatewayConfig::new("localhost")));
    world.publish(diary).await;
    let ask =
        async |host: &str| world.talk(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
    within(async { while code(&ask("alice-diary.192.168.1.10.nip.io:8080").await) != "200" {} }).await;
    assert_eq!(body(&ask("alice-diary.10.0.0.2.sslip.io").await), "diary");
    for host in ["portal.192.168.1.10.nip.io", "192.168.1.10.nip.io", "alice-diary.8.8.8.8.nip.io"] {
        assert_eq!(code(&ask(host).await), "404", "{host}");
    }
}

/// The dashboard of another device, which has no use for `localhost`: the server's address alone, and what leads there.
#[tokio::test]
async fn the_server_s_address_is_the_portal_for_other_devices_of_the_home() {
    let portal = axum::Router::new().fallback(async |uri: axum::http::Uri| format!("portal {uri}"));
    let world = World::with(short(), Some(portal)).await;
    let mut diary = status("alice-diary", Health::Degraded);
    diary.host = "alice-diary.localhost".to_owned();
    world.config_tx.send_replace(Arc::new(GatewayConfig::new("localhost")));
    world.publish(diary).await;
    let ask = async |host: &str, path: &str| {
        world.talk(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    };
    within(async { while code(&ask("alice-diary.localhost", "/").await) != "502" {} }).await;
    for host in ["192.168.1.10:8080", "127.0.0.1:8080", "[::1]:8080", "localhost:8080", "portal.localhost"] {
        assert_eq!(body(&ask(host, "/sites/alice/diary").await), "portal /sites/alice/diary", "{host}");
    }
    for host in ["8.8.8.8", "portal.192.168.1.10.nip.io", "192.168.1.10.nip.io"] {
        assert_eq!(code(&ask(host, "/x").await), "404", "{host}");
    }
    for (host, portal) in [
        ("alice-diary.192.168.1.10.nip.io:8080", "http://192.168.1.10:8080"),
        ("alice-diary.localhost:8080", "http://localhost:8080"),
    ] {
        let page = ask(host, "/").await;
        assert!(page.contains(&format!("href=\"{portal}/sites/alice/diary\"")), "{host}: {page}");
    }
}

#[tokio::test]
async fn a_request_without_exactly_one_valid_host_is_refused() {
    let world = World::around(named("diary").await).await;
    for head in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
        "GET / HTTP/1.1\r\nHost: alice-diary.test\r\nHost: alice-diary.test\r\n",
        "GET / HTTP/1.1\r\nHost: alice-diary.test, x\r\n",
        "GET / HTTP/1.1\r\nHost: alice-diary.test/x\r\n",
        "GET / HTTP/1.1\r\nHost: alice@alice-diary.test\r\n",
        "GET / HTTP/1.1\r\nHost: alice-diary.test:x\r\n",
        "GET http://alice-diary.test/ HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\nHost: alice-diary.test\r\n",
        "GET alice-diary.test:80 HTTP/1.1\r\nHost: alice-diary.test\r\n",
    ] {
        let answer = world.talk(&format!("{head}\r\n")).await;
        assert_eq!(code(&answer), "400", "{head:?}: {answer}");
    }
    let answer = world.talk("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(code(&answer), "404", "HTTP/1.0 may do without: {answer}");
}

#[tokio::test]
async fn an_absolute_target_overrides_the_host_and_reaches_the_app_as_a_path() {
    let (addr, seen) = recorder().await;
    let world = World::around(addr).await;
    let answer = world
        .talk("GET http://ALICE-diary.test:81/a?b=1 HTTP/1.1\r\nHost: bob-blog.test\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(code(&answer), "200", "{answer}");
    let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(seen.starts_with("GET /a?b=1 HTTP/1.1\r\nhost: ALICE-diary.test:81\r\n"), "{seen}");
    assert!(!seen.contains("bob-blog"), "{seen}");
}

#[tokio::test]
async fn connect_is_refused_and_an_asterisk_passes() {
    let (addr, seen) = recorder().await;
    let world = World::around(addr).await;
    let answer = world.talk("CONNECT alice-diary.test:443 HTTP/1.1\r\nHost: alice-diary.test\r\n\r\n").await;
    assert_eq!(code(&answer), "405", "{answer}");
    assert!(seen.lock().unwrap().is_empty());
    let answer = world.talk("OPTIONS * HTTP/1.1\r\nHost: alice-diary.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!(code(&answer), "200", "{answer}");
    assert!(seen.lock().unwrap().starts_with(b"OPTIONS * HTTP/1.1\r\n"));
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_told_to_use_http1() {
    let world = World::around(named("diary").await).await;
    let mut wire = world.connect().await;
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert_eq!(wire.exactly(9).await, [0, 0, 0, 4, 0, 0, 0, 0, 0], "an empty SETTINGS frame");
    let goaway = wire.exactly(17).await;
    assert_eq!((goaway[3], &goaway[13..]), (7, &[0, 0, 0, 13][..]), "GOAWAY(HTTP_1_1_REQUIRED)");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn the_bare_domain_and_its_portal_name_reach_the_portal() {
    let world = World::new().await;
    for host in ["test", "portal.test", "TEST:8080"] {
        let answer = world.talk(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(code(&answer) == "200" && answer.contains("minipaas"), "{answer}");
    }
    let who = |headers: hyper::HeaderMap| async move {
        assert!(!headers.contains_key("x-forwarded-for"), "a stranger's word does not reach the portal");
        "the portal"
    };
    let router = axum::Router::new().route("/who", axum::routing::get(who));
    let world = World::with(short(), Some(router)).await;
    let answer = world
        .talk("GET /who HTTP/1.1\r\nHost: portal.test\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(body(&answer), "the portal");

    world.config_tx.send_replace(Arc::new(GatewayConfig::new("other.example")));
    let before = world.gateway.generation();
    until(|| world.gateway.generation() >= before).await;
    within(async {
        loop {
            let answer = world.talk("GET /who HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n").await;
            if code(&answer) == "200" {
                break;
            }
        }
    })
    .await;
    let answer = world.talk("GET /who HTTP/1.1\r\nHost: portal.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!(code(&answer), "404", "the old domain is gone: {answer}");
}

#[tokio::test]
async fn the_portal_is_told_whether_a_visitor_is_on_this_machine() {
    let who = |axum::Extension(Visitor { address, seen }): axum::Extension<Visitor>| async move {
        format!("{address} {seen:?}")
    };
    let router = axum::Router::new().route("/who", axum::routing::get(who));
    let world = World::with(short(), Some(router)).await;
    let ask = async |forwarded: &str| {
        let fields = format!("Host: portal.test\r\n{forwarded}Connection: close\r\n\r\n");
        body(&world.talk(&format!("GET /who HTTP/1.1\r\n{fields}")).await).to_owned()
    };
    assert_eq!(ask("").await, "127.0.0.1 Here");
    assert_eq!(ask("X-Forwarded-For: 203.0.113.9\r\n").await, "127.0.0.1 Hidden");
    let before = world.gateway.generation();
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    world.config_tx.send_replace(Arc::new(GatewayConfig { trusted_proxies, ..GatewayConfig::new("test") }));
    until(|| world.gateway.generation() > before).await;
    assert_eq!(ask("").await, "127.0.0.1 Hidden");
    assert_eq!(ask("X-Forwarded-For: 203.0.113.9\r\n").await, "203.0.113.9 There");
}

#[tokio::test]
async fn without_a_portal_on_the_gateway_its_names_are_nobody_s() {
    let router = axum::Router::new().fallback(async || "the portal");
    let world = World::with(short(), Some(router)).await;
    let go_by = async |portal| {
        let before = world.gateway.generation();
        world.config_tx.send_replace(Arc::new(GatewayConfig { portal, ..GatewayConfig::new("test") }));
        until(|| world.gateway.generation() > before).await;
    };
    // Whatever a status says, the names are no app's either.
    let app = AppStatus { host: "portal.test".to_owned(), ..status("alice-diary", Health::Running) };
    world.publish(app).await;
    for (portal, found) in
        [(PortalNames::Nothing, false), (PortalNames::ThePortal, true), (PortalNames::Nothing, false)]
    {
        go_by(portal).await;
        for host in ["test", "portal.test", "PORTAL.test.:8080"] {
            let request =
                |language| format!("GET /docs HTTP/1.1\r\nHost: {host}\r\n{language}Connection: close\r\n\r\n");
            let answer = world.talk(&request("")).await;
            assert_eq!(code(&answer) == "200" && body(&answer) == "the portal", found, "{portal:?} {host}: {answer}");
            if !found {
                assert!(code(&answer) == "404" && answer.contains("There is no site here"), "{host}: {answer}");
                let answer = world.talk(&request("Accept-Language: ko\r\n")).await;
                assert!(answer.contains("여기에는 사이트가 없어요"), "{host}: {answer}");
            }
        }
    }
}

// --- headers --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn hop_by_hop_headers_stay_on_their_hop_and_forwarding_headers_say_what_is_seen() {
    let (addr, seen) = recorder().await;
    let world = World::around(addr).await;
    let fields = "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Hop: 1\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n\
                  HTTP2-Settings: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\n\
                  X-Real-IP: 6.6.6.6\r\nCookie: a=b\r\nDate: then\r\n";
    let request =
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close, x-hop, upgrade, HTTP2-Settings\r\n\r\n");
    world.talk(&request).await;
    let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap().replace("\r\n", "\n");
    insta::assert_snapshot!(text, @r"
    GET / HTTP/1.1
    host: alice-diary.test
    cookie: a=b
    date: then
    x-paas-visitor: everyone
    x-forwarded-for: 127.0.0.1
    x-forwarded-proto: http
    x-forwarded-host: alice-diary.test
    x-real-ip: 127.0.0.1
    ");

    let mut config = GatewayConfig::new("test");
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let before = world.gateway.generation();
    world.config_tx.send_replace(Arc::new(config));
    until(|| world.gateway.generation() > before).await;
    seen.lock().unwrap().clear();
    world.talk(&request).await;
    let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(text.contains("x-forwarded-for: 6.6.6.6, 127.0.0.1\r\n"), "{text}");
    assert!(text.contains("x-forwarded-proto: https\r\n") && text.contains("x-real-ip: 6.6.6.6\r\n"), "{text}");
}

#[tokio::test]
async fn a_response_comes_back_untouched_but_for_its_hop_by_hop_headers() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send(
            "HTTP/1.1 201 Made\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
             X-Hop: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
        wire.rest().await;
    })
    .await;
    let world = World::around(app.addr).await;
    let answer = world.get("/", "").await.replace("\r\n", "\n");
    insta::assert_snapshot!(answer, @r"
    HTTP/1.1 201 Created
    date: Tue, 01 Jan 2030 00:00:00 GMT
    server: x
    set-cookie: a
    set-cookie: b
    content-length: 2
    connection: close

    ok
    ");
}

#[tokio::test]
async fn head_and_bodyless_statuses_keep_their_length_and_send_no_body() {
    let app = raw_app(|mut wire, _| async move {
        loop {
            let head = wire.head().await;
            let answer = match head.split(' ').nth(1) {
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
                Some("/stream") => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            };
            wire.send(answer).await;
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    for (request, status, field) in [
        ("HEAD /", "200", "content-length: 1234"),
        ("HEAD /stream", "200", "content-type: text/plain"),
        ("GET /304", "304", "etag: x"),
        ("GET /204", "204", ""),
        ("HEAD /", "200", "content-length: 1234"),
    ] {
        wire.send(format!("{request} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let head = wire.head().await;
        assert!(code(&head) == status && head.contains(field), "{request}: {head}");
        assert!(!head.contains("content-length: 0"), "nothing is claimed about a body that was not seen: {head}");
    }
    assert_eq!(app.accepted(), 1, "none of them cost the upstream connection");
}

#[tokio::test]
async fn interim_responses_are_taken_for_what_they_are() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n").await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        wire.rest().await;
    })
    .await;
    let world = World::around(app.addr).await;
    let answer = world.get("/", "").await;
    assert_eq!((code(&answer), body(&answer)), ("200", "ok"), "{answer}");
    assert!(!answer.contains("link"), "{answer}");
}

#[tokio::test]
async fn trailers_pass_both_ways_when_they_are_harmless() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        let request = wire.until("\r\n\r\n").await;
        assert!(request.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{request:?}");
        wire.send(
            "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n",
        )
        .await;
        wire.rest().await;
    })
    .await;
    let world = World::around(app.addr).await;
    let answer = world
        .talk(&format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\
             Connection: close, te\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\nAuthorization: x\r\n\r\n"
        ))
        .await;
    assert!(answer.ends_with("2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n"), "{answer}");
}

// --- streaming ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_response_arrives_chunk_by_chunk_before_it_ends() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for word in ["one", "two", "six"] {
            wire.send(format!("3\r\n{word}\r\n")).await;
            // The next only when this one was seen at the other end.
            wire.stream.read_u8().await.unwrap_or_default();
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\n")).await;
    wire.head().await;
    for word in ["one", "two", "six"] {
        assert_eq!(wire.until("\r\n").await, "3\r\n");
        assert_eq!(wire.until("\r\n").await, format!("{word}\r\n"));
        wire.send("x").await;
    }
}

#[tokio::test]
async fn a_response_that_ends_with_its_connection_ends_so_for_the_client() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.0 200 OK\r\n\r\nall of it").await;
    })
    .await;
    let world = World::around(app.addr).await;
    let answer = world.get("/", "").await;
    assert!(
        answer.contains("transfer-encoding: chunked") && answer.ends_with("9\r\nall of it\r\n0\r\n\r\n"),
        "{answer}"
    );
    let answer = world.talk(&format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(answer.ends_with("\r\n\r\nall of it") && !answer.contains("chunked"), "{answer}");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_never_made_to_look_whole() {
    for (answer, told) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "0\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", "never"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", "0\r\n\r\n"),
    ] {
        let app = raw_app(move |mut wire, _| async move {
            wire.head().await;
            wire.send(answer).await;
        })
        .await;
        let world = World::around(app.addr).await;
        let mut wire = world.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let text = wire.rest().await;
        assert!(!text.ends_with(told) && !text.contains("content-length: 3"), "{answer:?}: {text:?}");
    }
}

#[tokio::test]
async fn an_upload_flows_through_bounded_buffers() {
    const SIZE: usize = 64 << 20;
    let reading = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&reading);
    let app = raw_app(move |mut wire, _| {
        let gate = Arc::clone(&gate);
        async move {
            wire.head().await;
            until(|| gate.load(Ordering::SeqCst)).await;
            let mut left = SIZE;
            while left > 0 {
                left -= wire.exactly(left.min(1 << 20)).await.len();
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nall!").await;
            wire.rest().await;
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n")).await;
    let (mut read, mut write) = wire.stream.into_split();
    let pushed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pushed);
    let pushing = tokio::spawn(async move {
        let block = vec![b'x'; 64 << 10];
        for _ in 0..SIZE / block.len() {
            write.write_all(&block).await.unwrap();
            counter.fetch_add(block.len(), Ordering::SeqCst);
        }
        // Dropped it would tell the gateway that the client has gone.
        write
    });
    // While the app reads nothing, only what kernel and gateway buffers hold can have been taken: the figure stands still.
    let mut still = (usize::MAX, 0);
    until(|| {
        let now = pushed.load(Ordering::SeqCst);
        still = if now == still.0 { (now, still.1 + 1) } else { (now, 0) };
        still.1 > 200 && now > 0
    })
    .await;
    assert!(pushed.load(Ordering::SeqCst) < SIZE / 2, "{} bytes were taken in", pushed.load(Ordering::SeqCst));
    reading.store(true, Ordering::SeqCst);
    let _write = within(pushing).await.unwrap();
    let mut answer = String::new();
    within(read.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("all!"), "{answer}");
    let seen = &world.gateway.traffic().snapshot()[&AppKey::parse("alice-diary").unwrap()];
    assert_eq!((seen.bytes_in, seen.bytes_out), (SIZE as u64, 4));
}

#[tokio::test]
async fn a_download_waits_for_its_reader() {
    const SIZE: usize = 64 << 20;
    let pushed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pushed);
    let app = raw_app(move |mut wire, _| {
        let counter = Arc::clone(&counter);
        async move {
            wire.head().await;
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
            let block = vec![b'x'; 64 << 10];
            for _ in 0..SIZE / block.len() {
                wire.send(&block).await;
                counter.fetch_add(block.len(), Ordering::SeqCst);
            }
            wire.rest().await;
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    wire.head().await;
    let mut still = (usize::MAX, 0);
    until(|| {
        let now = pushed.load(Ordering::SeqCst);
        still = if now == still.0 { (now, still.1 + 1) } else { (now, 0) };
        still.1 > 200 && now > 0
    })
    .await;
    assert!(pushed.load(Ordering::SeqCst) < SIZE / 2, "{} bytes were taken in", pushed.load(Ordering::SeqCst));
    let mut left = SIZE;
    while left > 0 {
        left -= wire.exactly(left.min(1 << 20)).await.len();
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_once_the_app_is_connected() {
    let world = World::around(
        app(|request| async move {
            assert!(!request.headers().contains_key("expect"));
            let text = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::new(text))
        })
        .await,
    )
    .await;
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")).await;
    assert_eq!(wire.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send("hello").await;
    assert_eq!(code(&wire.head().await), "200");
    assert_eq!(wire.exactly(5).await, b"hello");

    let mut wire = world.connect().await;
    wire.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(code(&wire.head().await), "404", "no body is asked for that nobody wants");
    let answer = world.get("/", "Expect: the-unexpected\r\n").await;
    assert_eq!(code(&answer), "417", "{answer}");
}

#[tokio::test]
async fn an_early_answer_to_an_upload_is_passed_on() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9999999\r\n\r\nsome")).await;
    let head = wire.head().await;
    assert_eq!(code(&head), "413", "{head}");
    assert_eq!(wire.exactly(2).await, b"no");
}

// --- limits and deadlines -------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let (addr, seen) = recorder().await;
    let world = World::with(Tuning { body_limit: Some(10), ..short() }, None).await;
    world.route(addr).await;
    let answer = world.talk(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 11\r\n\r\nhello world")).await;
    assert_eq!(code(&answer), "413", "{answer}");
    assert!(seen.lock().unwrap().is_empty(), "the app never saw it");
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n"))
        .await;
    assert_eq!(code(&wire.head().await), "413");
    let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(!seen.ends_with("0\r\n\r\n"), "cut off, not ended: {seen:?}");
}

#[tokio::test]
async fn a_head_that_is_too_large_or_too_slow_is_refused() {
    let tuning = Tuning { header_timeout: Duration::from_millis(100), ..short() };
    let world = World::with(tuning, None).await;
    let big = "x".repeat(40_000);
    let answer = world.talk(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nBig: {big}\r\n\r\n")).await;
    assert_eq!(code(&answer), "431");
    let many = "x-field: 1\r\n".repeat(200);
    let answer = world.talk(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n")).await;
    assert_eq!(code(&answer), "431");
    let mut wire = world.connect().await;
    wire.send("GET / HTTP/1.1\r\nHo").await;
    assert_eq!(wire.rest().await, "", "closed after the deadline");
    assert_eq!(world.connect().await.rest().await, "", "so is one that says nothing at all");
    until(|| world.gateway.connections() == 0).await;
}

#[tokio::test]
async fn connections_are_bounded_and_given_back() {
    let world = World::with(Tuning { max_connections: 500, ..short() }, None).await;
    world.route(named("diary").await).await;
    let mut idle = Vec::new();
    for number in 0..500_usize {
        idle.push(Wire::from([127, 0, 1, u8::try_from(number % 4).unwrap()], world.addr).await);
    }
    until(|| world.gateway.connections() == 500).await;
    let mut next = world.connect().await;
    next.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(idle[0].rest().await, "", "who has waited longest gives way");
    assert_eq!(body(&next.rest().await), "diary");
    for wire in &mut idle[1..50] {
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert_eq!(code(&wire.head().await), "200", "the others stay");
    }
    assert_eq!(world.gateway.connections(), 499);
    drop(idle);
    until(|| world.gateway.connections() == 0).await;
}

#[tokio::test]
async fn an_app_that_says_nothing_is_a_504_and_a_client_that_stalls_a_408() {
    let app = raw_app(|mut wire, _| async move {
        wire.rest().await;
    })
    .await;
    let world = World::with(Tuning { silence_timeout: Duration::from_millis(100), ..short() }, None).await;
    world.route(app.addr).await;
    let answer = world.get("/", "").await;
    assert_eq!(code(&answer), "504", "{answer}");
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\nhalf")).await;
    assert_eq!(code(&wire.head().await), "408");
}

/// Whether nobody has been told of an app that does not answer.
fn is_untold(doubts: &mut tokio::sync::mpsc::Receiver<AppKey>) -> bool {
    doubts.try_recv().is_err()
}

#[tokio::test]
async fn an_app_that_leaves_three_visitors_in_a_row_without_an_answer_is_doubted() {
    let app = raw_app(|mut wire, _| async move {
        let head = wire.head().await;
        if head.starts_with("GET /quick ") {
            wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
            return;
        }
        wire.rest().await;
    })
    .await;
    let tiny = Duration::from_millis(50);
    let world = World::with(Tuning { silence_timeout: 8 * tiny, ..short() }, None).await;
    world.route(app.addr).await;
    let mut doubts = world.gateway.doubts();
    // One answer in between, and they begin to be counted anew; both workers may have had some of them.
    for _ in 0..3 {
        assert_eq!(code(&world.get("/slow", "").await), "504");
        assert_eq!(code(&world.get("/slow", "").await), "504");
        for _ in 0..30 {
            assert_eq!(code(&world.get("/quick", "").await), "200");
        }
    }
    assert!(is_untold(&mut doubts));
    let key = AppKey::parse("alice-diary").unwrap();
    while is_untold(&mut doubts) {
        assert_eq!(code(&world.get("/slow", "").await), "504");
    }
    // A visitor who leaves had been waiting, or not.
    let world = World::with(Tuning { patience: tiny, ..short() }, None).await;
    world.route(app.addr).await;
    let mut doubts = world.gateway.doubts();
    let told = async {
        loop {
            let mut wire = world.connect().await;
            wire.send(format!("GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
            if let Ok(Some(app)) = tokio::time::timeout(2 * tiny, doubts.recv()).await {
                return app;
            }
        }
    };
    assert_eq!(within(told).await, key);
}

#[tokio::test]
async fn a_live_stream_is_never_cut() {
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
        wire.stream.read_u8().await.unwrap();
        wire.send("1\r\nb\r\n0\r\n\r\n").await;
        wire.rest().await;
    })
    .await;
    let tiny = Duration::from_millis(50);
    let world = World::with(
        Tuning { silence_timeout: tiny, header_timeout: tiny, upstream_idle: tiny, write_timeout: tiny, ..short() },
        None,
    )
    .await;
    world.route(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n\r\n")).await;
    wire.until("a\r\n").await;
    // Several times every deadline: what is waited for is that nothing happens.
    assert!(tokio::time::timeout(tiny * 8, wire.stream.readable()).await.is_err(), "the stream stays open in silence");
    wire.send("x").await;
    wire.until("b\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let gone = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&gone);
    let app = raw_app(move |mut wire, _| {
        let flag = Arc::clone(&flag);
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while wire.stream.write_all(chunk.as_bytes()).await.is_ok() {}
            flag.store(true, Ordering::SeqCst);
        }
    })
    .await;
    let world = World::with(Tuning { write_timeout: Duration::from_millis(100), ..short() }, None).await;
    world.route(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| gone.load(Ordering::SeqCst)).await;
    until(|| world.gateway.connections() == 0).await;
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let world = World::with(Tuning { body_limit: Some(1000), ..short() }, None).await;
    world.route(named("diary").await).await;
    // More than all the kernel's buffers hold, so that it needs someone to read it.
    let body = vec![b'x'; 48 << 20];
    for _ in 0..3 {
        let mut wire = world.connect().await;
        wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        // All of it before reading a byte, as browsers do; closing too early would reset this connection.
        let sent = within(wire.stream.write_all(&body)).await;
        let answer = wire.rest().await;
        assert!(sent.is_ok() && code(&answer) == "413", "{sent:?} {answer:?}");
    }
}

/// The two bytes that an app answers over a connection that stays open.
async fn ask(wire: &mut Wire, method: &str) -> String {
    wire.send(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let head = wire.head().await;
    assert_eq!(code(&head), "200", "{head}");
    String::from_utf8_lossy(&wire.exactly(2).await).into_owned()
}

// --- upstream connections -------------------------------------------------------------------------------------------

#[tokio::test]
async fn upstream_connections_are_kept_and_reused() {
    let app = raw_app(|mut wire, _| async move {
        loop {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    for _ in 0..20 {
        assert_eq!(ask(&mut wire, "GET").await, "ok");
    }
    assert_eq!(app.accepted(), 1);
    for _ in 0..20 {
        assert_eq!(body(&world.get("/", "").await), "ok");
    }
    let kept = app.accepted();
    assert!(kept <= 2, "each of the gateway's two threads keeps its own, and {kept} were opened");

    let world = World::with(Tuning { upstream_idle: Duration::ZERO, ..short() }, None).await;
    world.route(app.addr).await;
    for _ in 0..3 {
        assert_eq!(body(&world.get("/", "").await), "ok");
    }
    assert_eq!(app.accepted(), kept + 3, "one that was idle for too long is not used: the app may be closing it");
}

#[tokio::test]
async fn a_connection_with_more_bytes_than_its_response_is_not_reused() {
    let app = raw_app(|mut wire, n| async move {
        wire.head().await;
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        ))
        .await;
        wire.rest().await;
    })
    .await;
    let world = World::around(app.addr).await;
    for n in 0..3 {
        assert_eq!(body(&world.get("/", "").await), n.to_string());
    }
}

#[tokio::test]
async fn a_pooled_connection_that_turns_out_closed_costs_no_request() {
    // Closes upon the second request of each connection, without a byte: the worst moment.
    let app = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        wire.head().await;
    })
    .await;
    let world = World::around(app.addr).await;
    // One client, and with it one pool.
    let mut wire = world.connect().await;
    for method in ["GET", "GET", "DELETE", "OPTIONS"] {
        assert_eq!(ask(&mut wire, method).await, "ok", "{method}");
    }
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let head = wire.head().await;
    assert_eq!(code(&head), "503", "what may have had an effect is not repeated: {head}");
    assert_eq!(world.gateway.traffic().snapshot()[&AppKey::parse("alice-diary").unwrap()].retries, 3);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_along() {
    let left = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&left);
    let app = raw_app(move |mut wire, _| {
        let flag = Arc::clone(&flag);
        async move {
            wire.head().await;
            wire.rest().await;
            flag.store(true, Ordering::SeqCst);
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| app.accepted() == 1).await;
    drop(wire);
    until(|| left.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn an_app_that_answers_nonsense_is_a_502() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nBroken",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ] {
        let app = raw_app(move |mut wire, _| async move {
            wire.head().await;
            wire.send(answer).await;
        })
        .await;
        let world = World::around(app.addr).await;
        let text = world.get("/", "").await;
        assert_eq!(code(&text), "502", "{answer:?}: {text}");
    }
}

// --- upgrades -------------------------------------------------------------------------------------------------------

const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";

/// Agrees to switch, says hello in the same packet, then echoes.
async fn echoing() -> gateway_support::RawApp {
    raw_app(|mut wire, _| async move {
        let head = wire.head().await;
        assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\nhello").await;
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = wire.stream.read(&mut buffer).await {
            wire.send(&buffer[..read]).await;
        }
    })
    .await
}

async fn websocket(world: &World) -> Wire {
    let mut wire = world.connect().await;
    wire.send(format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\n{UPGRADE}\r\n")).await;
    let head = wire.head().await;
    assert!(
        code(&head) == "101" && head.contains("upgrade: websocket") && head.contains("sec-websocket-accept: y"),
        "{head}"
    );
    assert_eq!(wire.exactly(5).await, b"hello", "what followed the 101 at once is not lost");
    wire
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_after_the_app_agreed_and_survives_a_deploy() {
    let app = echoing().await;
    let world = World::with(Tuning { header_timeout: Duration::from_millis(50), ..short() }, None).await;
    world.route(app.addr).await;
    let mut wire = websocket(&world).await;
    // A masked text frame "hi": bytes are bytes.
    let frame = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
    wire.send(frame).await;
    assert_eq!(wire.exactly(frame.len()).await, frame);
    until(|| world.gateway.tunnels() == 1).await;
    world.publish(running("bob-blog", named("blog").await)).await;
    world.route(named("the next one").await).await;
    wire.send(frame).await;
    assert_eq!(wire.exactly(frame.len()).await, frame, "still there");
    until(|| !world.gateway.is_busy(&container_at(app.addr))).await;
    drop(wire);
    until(|| world.gateway.tunnels() == 0).await;
}

#[tokio::test]
async fn a_tunnel_counts_as_a_connection() {
    let world = World::with(Tuning { max_connections: 1, portal_reserve: 0, ..short() }, None).await;
    world.route(echoing().await.addr).await;
    let tunnel = websocket(&world).await;
    until(|| world.gateway.tunnels() == 1 && world.gateway.connections() == 0).await;
    let mut waiting = Wire::from([127, 0, 0, 2], world.addr).await;
    waiting.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await;
    let early = tokio::time::timeout(Duration::from_millis(50), waiting.stream.readable()).await;
    assert!(early.is_err(), "there is no room yet");
    drop(tunnel);
    assert_eq!(code(&waiting.rest().await), "200");
}

#[tokio::test]
async fn no_tunnel_without_the_app_s_consent_or_for_another_http() {
    let world = World::around(named("no thanks").await).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{UPGRADE}\r\n")).await;
    assert_eq!(code(&wire.head().await), "200");
    assert_eq!(wire.exactly(9).await, b"no thanks");
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(code(&wire.head().await), "200", "and the connection goes on as HTTP");

    let (addr, seen) = recorder().await;
    world.route(addr).await;
    for fields in [
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        world.talk(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n")).await;
        assert!(!String::from_utf8_lossy(&seen.lock().unwrap()).contains("upgrade:"), "{fields}");
    }
}

// --- cookies --------------------------------------------------------------------------------------------------------

/// What an app sets, and what of it a browser is told.
const COOKIES: &[(&str, &str)] = &[
    // For the portal and every other app as well: only for itself then.
    ("a=1; Domain=test; Path=/", "a=1; Path=/"),
    ("a=1; Path=/; domain=.TEST", "a=1; Path=/"),
    ("a=1;DOMAIN = test. ;Secure", "a=1;Secure"),
    ("a=1; Domain=\"test\"; Domain=test; HttpOnly", "a=1; HttpOnly"),
    ("a=1; Domain=alice-diary.test; Domain=test", "a=1; Domain=alice-diary.test"),
    // Browsers decode these before they compare.
    ("a=1; Domain=%74est", "a=1"),
    ("a=1; Domain=te\u{ff53}t", "a=1"),
    // Nobody else's.
    ("a=1; Path=/; HttpOnly", "a=1; Path=/; HttpOnly"),
    ("a=1; Domain=alice-diary.test", "a=1; Domain=alice-diary.test"),
    ("a=1; Domain=.Alice-Diary.Test.", "a=1; Domain=.Alice-Diary.Test."),
    ("a=1; Domain=diary.test", "a=1; Domain=diary.test"),
    ("a=1; Domain=", "a=1; Domain="),
    ("a=1; Domain", "a=1; Domain"),
    ("Domain=test", "Domain=test"),
    ("a=Domain=test; Comment=Domain=test", "a=Domain=test; Comment=Domain=test"),
];

#[tokio::test]
async fn an_app_sets_no_cookies_for_its_neighbours() {
    let app = raw_app(|mut wire, _| async move {
        let head = wire.head().await;
        let fields = COOKIES.iter().map(|(set, _)| format!("Set-Cookie: {set}\r\n")).collect::<Vec<_>>().concat();
        let answer = if head.contains("upgrade: websocket") {
            format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n")
        } else {
            format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n{fields}\r\n")
        };
        wire.send(answer).await;
        wire.rest().await;
    })
    .await;
    let world = World::around(app.addr).await;
    for host in ["alice-diary.test", "ALICE-Diary.Test.:8080"] {
        for fields in ["Connection: close\r\n", UPGRADE] {
            let mut wire = world.connect().await;
            wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
            let head = wire.head().await;
            let told: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
            let expected: Vec<_> = COOKIES.iter().map(|(_, told)| *told).collect();
            assert_eq!(told, expected, "{host} {fields:?}");
        }
    }
}

#[tokio::test]
async fn a_visitor_with_too_many_cookies_is_told_and_rid_of_them() {
    let world = World::around(named("diary").await).await;
    let cookies = (0..9).map(|n| format!("bomb{n}={}; ", "x".repeat(3_900))).collect::<Vec<_>>().concat();
    for host in [HOST, "portal.test", "test", "nobody.test"] {
        for (language, said) in [("ko-KR,ko;q=0.9", "쿠키를 지워"), ("en", "asked to delete them")] {
            let page = world
                .talk(&format!(
                    "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept-Language: {language}\r\nCookie: {cookies}\r\n\r\n"
                ))
                .await;
            assert_eq!(code(&page), "431", "{host}: {page}");
            assert!(page.contains("\r\nclear-site-data: \"cookies\"\r\n") && page.contains(said), "{host}: {page}");
            assert!(page.contains("connection: close\r\n") && page.ends_with("</html>\n"), "{host}: {page}");
        }
    }
    let counted = world.gateway.traffic().unrouted().classes[3];
    assert!(counted >= 8, "they are in the figures, not {counted}");
}

#[tokio::test]
async fn nobody_else_can_have_a_visitor_s_cookies_deleted() {
    let world = World::around(named("diary").await).await;
    let long = "x".repeat(40_000);
    for request in [
        // Any web page can make a browser ask for this.
        format!("GET /?{long} HTTP/1.1\r\nHost: {HOST}\r\nCookie: a=b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {long}\r\nCookie: a=b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", "x-field: 1\r\n".repeat(200)),
    ] {
        let page = world.talk(&request).await;
        assert_eq!(code(&page), "431", "{page}");
        assert!(!page.contains("clear-site-data") && page.contains("The address is too long"), "{page}");
    }
}

#[tokio::test]
async fn an_app_s_own_431_stays_its_own_and_the_next_head_gets_the_page() {
    let app = raw_app(|mut wire, _| async move {
        loop {
            let head = wire.head().await;
            let length = if head.starts_with("GET /said") { 2 } else { 0 };
            wire.send(format!("HTTP/1.1 431 No\r\nContent-Length: {length}\r\n\r\n{}", &"no"[..length])).await;
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    for path in ["/", "/said", "/"] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let head = wire.head().await;
        assert!(code(&head) == "431" && !head.contains("content-type"), "{path}: {head}");
        if path == "/said" {
            assert_eq!(wire.exactly(2).await, b"no");
        }
    }
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {}\r\n\r\n", "x".repeat(40_000))).await;
    let page = wire.rest().await;
    assert!(code(&page) == "431" && page.contains("clear-site-data"), "{page}");
}

// --- pages ----------------------------------------------------------------------------------------------------------

/// As the daemon tells of an app while Docker cannot be asked.
fn without_engine() -> AppStatus {
    let condition = Condition {
        kind: ConditionKind::EngineUnreachable,
        status: true,
        reason: "EngineUnreachable".to_owned(),
        message: "Docker cannot be reached".to_owned(),
        digest: None,
        since: Timestamp(0),
    };
    let app = status("alice-diary", Health::Unknown);
    AppStatus { sync: SyncState::OutOfSync, conditions: vec![condition], ..app }
}

#[tokio::test]
async fn what_is_not_there_is_told_kindly_in_the_visitor_s_language() {
    let world = World::with(Tuning { hold: Duration::ZERO, ..short() }, None).await;
    let held = |sync, health| minipaas::model::AppStatus { sync, ..status("alice-diary", health) };
    let wanted = |desired, health| minipaas::model::AppStatus { desired, ..status("alice-diary", health) };
    for (app, expected, english, korean, refreshes) in [
        (wanted(RunState::Stopped, Health::Stopped), "503", "closed", "닫혀", false),
        (status("alice-diary", Health::Starting), "503", "Opening", "여는 중", true),
        (status("alice-diary", Health::Unknown), "503", "Opening", "여는 중", true),
        (without_engine(), "503", "The server is not ready yet", "서버가 아직 준비되지", true),
        (
            status("alice-diary", Health::CrashLoop),
            "503",
            "sites/alice/diary\">Open",
            "sites/alice/diary\">내 웹",
            true,
        ),
        (status("alice-diary", Health::Degraded), "502", "stopped", "문제가", false),
        (held(SyncState::Invalid, Health::Unknown), "503", "wrong with its settings", "설정에 문제", false),
        (wanted(RunState::Deleted, Health::Deleted), "404", "no site here", "사이트가 없어요", false),
    ] {
        let name = format!("{:?} {:?} {:?}", app.desired, app.health, app.sync);
        world.publish(app).await;
        let page = world.get("/", "Accept-Language: en\r\nAccept: text/html\r\n").await;
        assert!(code(&page) == expected && page.contains(english), "{name}: {page}");
        assert_eq!(
            page.contains("retry-after: ") && page.contains("http-equiv=\"refresh\""),
            refreshes,
            "{name}: {page}"
        );
        for field in ["cache-control: no-store", "content-security-policy: default-src 'none'; style-src 'sha256-"] {
            assert!(page.contains(field), "{name}: {page}");
        }
        // Nothing is fetched; the one link leads to the portal as this visitor finds it.
        let led = page.replace("<a href=\"http://test/sites/alice/diary\">", "");
        assert!(!led.contains("<script") && !led.contains("src=") && !led.contains("http://"), "{name}: {page}");
        let page = world.get("/", "Accept-Language: ko-KR,ko;q=0.9,en;q=0.8\r\n").await;
        assert!(page.contains(korean) && page.contains("lang=\"ko\""), "{name}: {page}");
        let page = world.get("/", "Accept: application/json\r\n").await;
        let json: serde_json::Value = serde_json::from_str(body(&page)).unwrap();
        assert_eq!((code(&page), &json["ok"]), (expected, &serde_json::Value::Bool(false)), "{page}");
        assert!(json["code"].is_string() && json["error"].is_string(), "{page}");
    }
    let page = world.talk(&format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!((code(&page), body(&page)), ("404", ""));
}

#[tokio::test]
async fn an_app_that_refuses_its_connection_is_a_page_not_a_hang() {
    let mut app = raw_app(|_, _| async {}).await;
    app.stop_listening().await;
    let world = World::with(Tuning { hold: Duration::from_millis(50), ..short() }, None).await;
    world.route(app.addr).await;
    let page = world.get("/", "").await;
    assert!(code(&page) == "503" && page.contains("retry-after: "), "{page}");
}

// --- an app that comes back -----------------------------------------------------------------------------------------

/// Answers `GET /` with "back" and says how often it was asked; ends without an answer for anything else.
async fn back(addr: std::net::SocketAddr) -> (gateway_support::RawApp, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = raw_app_at(addr, move |mut wire, _| {
        let count = Arc::clone(&count);
        async move {
            let head = wire.head().await;
            count.fetch_add(1, Ordering::SeqCst);
            if head.starts_with("GET / ") {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback").await;
            }
        }
    })
    .await;
    (app, asked)
}

/// An address at which nobody listens.
async fn nobody() -> std::net::SocketAddr {
    let mut app = raw_app(|_, _| async {}).await;
    app.stop_listening().await;
    app.addr
}

#[tokio::test]
async fn a_get_waits_for_an_app_that_restarts_and_a_post_is_told_so() {
    let addr = nobody().await;
    let world = World::around(addr).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut wire = world.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        waiting.push(wire);
    }
    let page = world
        .talk(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"))
        .await;
    assert!(code(&page) == "503" && page.contains("retry-after: 5"), "{page}");
    let key = AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().app(&key).in_flight == 50).await;
    let (_app, asked) = back(addr).await;
    for wire in &mut waiting {
        assert_eq!(body(&wire.rest().await), "back");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 50, "each was sent once");
}

#[tokio::test]
async fn a_get_waits_until_the_status_names_the_app_s_new_address() {
    let world = World::new().await;
    for health in [Health::Starting, Health::CrashLoop] {
        world.publish(AppStatus { endpoint: None, ..status("alice-diary", health) }).await;
        let mut wire = world.connect().await;
        wire.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        let early = tokio::time::timeout(Duration::from_millis(50), wire.stream.readable()).await;
        assert!(early.is_err(), "{health:?}: nobody is told that it is not there");
        // Not there yet either.
        world.route(nobody().await).await;
        world.route(named("back").await).await;
        assert_eq!(code(&wire.head().await), "200", "{health:?}");
        assert_eq!(body(&wire.rest().await), "back", "{health:?}");
    }
}

#[tokio::test]
async fn a_get_that_the_app_went_down_with_is_sent_once_more_when_it_is_back() {
    let (gone_tx, mut gone_rx) = tokio::sync::mpsc::unbounded_channel();
    let mut app = raw_app(move |mut wire, _| {
        let gone = gone_tx.clone();
        async move {
            wire.head().await;
            gone.send(()).unwrap();
            drop(wire);
        }
    })
    .await;
    let world = World::around(app.addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    within(gone_rx.recv()).await.unwrap();
    app.stop_listening().await;
    let (_app, asked) = back(app.addr).await;
    assert_eq!(body(&wire.rest().await), "back");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The request that brings it down, though, is not sent again and again.
    let page = world.get("/crash", "").await;
    assert!(code(&page) == "503" && page.contains("retry-after: "), "{page}");
    assert_eq!(asked.load(Ordering::SeqCst), 3, "twice, and no more");
}

#[tokio::test]
async fn those_who_wait_are_bounded_in_time_and_number() {
    let world =
        World::with(Tuning { max_held_of_one: 3, max_held: 5, hold: Duration::from_secs(1), ..short() }, None).await;
    for name in ["alice-diary", "bob-blog"] {
        world.publish(status(name, Health::Starting)).await;
    }
    let ask = async |host: &str| {
        let mut wire = world.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        wire
    };
    let in_flight = |name: &str| world.gateway.traffic().app(&AppKey::parse(name).unwrap()).in_flight;
    let begun = std::time::Instant::now();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(ask(HOST).await);
    }
    until(|| in_flight("alice-diary") == 3).await;
    assert_eq!(code(&ask(HOST).await.rest().await), "503", "one more for this app");
    for _ in 0..2 {
        waiting.push(ask("bob-blog.test").await);
    }
    until(|| in_flight("bob-blog") == 2).await;
    assert_eq!(code(&ask("bob-blog.test").await.rest().await), "503", "one more of all");
    assert!(begun.elapsed() < Duration::from_secs(1), "they are told at once");
    for wire in &mut waiting {
        let page = wire.rest().await;
        assert!(code(&page) == "503" && page.contains("retry-after: "), "{page}");
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // Their places are free again.
    let mut wire = ask(HOST).await;
    until(|| in_flight("alice-diary") == 1).await;
    world.route(named("back").await).await;
    assert_eq!(body(&wire.rest().await), "back");
}

#[tokio::test]
async fn whoever_waits_holds_up_no_deploy() {
    let addr = nobody().await;
    let world = World::around(addr).await;
    let mut wire = world.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    let key = AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().app(&key).in_flight == 1).await;
    world.publish(status("alice-diary", Health::Starting)).await;
    until(|| !world.gateway.is_busy(&container_at(addr))).await;
    world.route(named("back").await).await;
    assert_eq!(body(&wire.rest().await), "back");
}

// --- nothing is lost ------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_endpoints_under_load_loses_no_request() {
    let count = |apps: &'static str| {
        raw_app(move |mut wire, _| async move {
            loop {
                let Ok(head) = tokio::spawn(async move {
                    let head = wire.head().await;
                    (head, wire)
                })
                .await
                else {
                    return;
                };
                wire = head.1;
                wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{apps}", apps.len())).await;
            }
        })
    };
    let mut old = count("old").await;
    let world = Arc::new(World::around(old.addr).await);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|n| {
            let (world, stop, done) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut wire = world.connect().await;
                while !stop.load(Ordering::SeqCst) {
                    let method = ["GET", "POST", "PUT", "DELETE"][n % 4];
                    let (length, text) =
                        if n % 4 == 1 || n % 4 == 2 { ("Content-Length: 2\r\n", "hi") } else { ("", "") };
                    wire.send(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{length}\r\n{text}")).await;
                    let head = wire.head().await;
                    assert_eq!(code(&head), "200", "{method}: {head}");
                    wire.exactly(3).await;
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..10 {
        let before = done.load(Ordering::SeqCst);
        until(|| done.load(Ordering::SeqCst) > before + 100).await;
        let next = count(if round % 2 == 0 { "new" } else { "old" }).await;
        world.publish_now(running("alice-diary", next.addr));
        until(|| !world.gateway.is_busy(&container_at(old.addr))).await;
        // Exactly what a stopped container does.
        old.stop_listening().await;
        old = next;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        within(client).await.unwrap();
    }
}

#[tokio::test]
async fn a_running_request_ends_where_it_began_while_new_ones_go_to_the_new_endpoint() {
    let release = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&release);
    let old = app(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            until(|| gate.load(Ordering::SeqCst)).await;
            Response::new(Full::new(Bytes::from_static(b"old")))
        }
    })
    .await;
    let world = World::around(old).await;
    let mut running_request = world.connect().await;
    running_request.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    let key = AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().snapshot()[&key].in_flight == 1).await;
    world.route(named("new").await).await;
    assert_eq!(body(&world.get("/", "").await), "new");
    let container = container_at(old);
    assert!(world.gateway.is_busy(&container), "as long as a request runs");
    release.store(true, Ordering::SeqCst);
    assert_eq!(body(&running_request.rest().await), "old");
    until(|| !world.gateway.is_busy(&container)).await;
}

#[tokio::test]
async fn a_request_that_meets_the_old_endpoint_s_end_goes_to_the_new_one() {
    let world = Arc::new(World::new().await);
    let next = named("new").await;
    // Switched while the request is being read, then closed without a byte.
    let old = raw_app({
        let world = Arc::clone(&world);
        move |mut wire, _| {
            let world = Arc::clone(&world);
            async move {
                wire.head().await;
                world.route(next).await;
            }
        }
    })
    .await;
    world.route(old.addr).await;
    assert_eq!(body(&world.get("/", "").await), "new");
}

#[tokio::test]
async fn on_stop_running_requests_end_idle_connections_close_and_nobody_new_gets_in() {
    let release = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&release);
    let slow = app(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            until(|| gate.load(Ordering::SeqCst)).await;
            Response::new(Full::new(Bytes::from_static(b"done")))
        }
    })
    .await;
    let world = World::with(Tuning { linger: Duration::from_millis(300), ..Tuning::default() }, None).await;
    world.route(slow).await;
    world.publish(running("bob-blog", named("blog").await)).await;
    let mut pending = world.connect().await;
    pending.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let mut idle = world.connect().await;
    let mut late = world.connect().await;
    for wire in [&mut idle, &mut late] {
        wire.send("GET / HTTP/1.1\r\nHost: bob-blog.test\r\n\r\n").await;
        wire.until("blog").await;
    }
    let key = AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().snapshot()[&key].in_flight == 1).await;
    world.cancel.cancel();
    within(async { while tokio::net::TcpStream::connect(world.addr).await.is_ok() {} }).await;
    late.send("GET / HTTP/1.1\r\nHost: bob-blog.test\r\n\r\n").await;
    let answer = late.rest().await;
    assert!(
        code(&answer) == "200" && answer.contains("connection: close"),
        "what was on its way is answered: {answer}"
    );
    assert_eq!(idle.rest().await, "");
    assert!(!world.served.is_finished(), "a request is still running");
    release.store(true, Ordering::SeqCst);
    assert_eq!(body(&pending.rest().await), "done");
    within(world.served).await.unwrap();
}

#[tokio::test]
async fn on_stop_tunnels_end_and_what_never_ends_is_cut_at_the_deadline() {
    let tuning = Tuning { drain: Duration::from_millis(200), ..short() };
    let world = World::with(tuning, None).await;
    world.route(echoing().await.addr).await;
    let mut tunnel = websocket(&world).await;
    let stream = raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
        wire.rest().await;
    })
    .await;
    world.route(stream.addr).await;
    let mut endless = world.connect().await;
    endless.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    endless.until("a\r\n").await;
    world.cancel.cancel();
    assert_eq!(tunnel.rest().await, "");
    assert_eq!(endless.rest().await, "", "cut, and not made to look whole");
    within(world.served).await.unwrap();
}

#[tokio::test]
async fn an_event_stream_holds_up_neither_a_deploy_nor_a_stop() {
    let stream = |kind: &'static str| {
        raw_app(move |mut wire, _| async move {
            wire.head().await;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
            ))
            .await;
            wire.rest().await;
        })
    };
    let world = World::with(short(), None).await;
    for (request, kind, holds) in [
        ("GET / HTTP/1.1\r\n", "text/event-stream; charset=utf-8", false),
        ("GET / HTTP/1.1\r\n", "text/plain", true),
        // Whoever asked with a body does not come back by itself.
        ("POST / HTTP/1.1\r\nContent-Length: 4\r\n", "text/event-stream", true),
    ] {
        let app = stream(kind).await;
        world.route(app.addr).await;
        let mut reader = world.connect().await;
        let body = if request.starts_with("POST") { "body" } else { "" };
        reader.send(format!("{request}Host: {HOST}\r\n\r\n{body}")).await;
        reader.until("a\r\n").await;
        world.route(named("the next one").await).await;
        assert_eq!(world.gateway.is_busy(&container_at(app.addr)), holds, "{request:?} {kind}");
        drop(reader);
        until(|| !world.gateway.is_busy(&container_at(app.addr))).await;
    }
    world.route(stream("text/event-stream").await.addr).await;
    let mut reader = world.connect().await;
    reader.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    reader.until("a\r\n").await;
    let begun = std::time::Instant::now();
    world.cancel.cancel();
    assert_eq!(reader.rest().await, "", "cut, and not made to look whole");
    within(world.served).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "a stop waits for 10 s otherwise: {:?}", begun.elapsed());
}

#[tokio::test]
async fn traffic_is_counted_per_app() {
    let world = World::around(
        app(|request| async move {
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = Response::new(Full::new(sent));
            *response.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
            response
        })
        .await,
    )
    .await;
    world
        .talk(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"))
        .await;
    world.get("/", "").await;
    world.talk("GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n").await;
    let traffic = world.gateway.traffic();
    let seen = &traffic.snapshot()[&AppKey::parse("alice-diary").unwrap()];
    assert_eq!((seen.requests, seen.in_flight, seen.bytes_in, seen.bytes_out), (2, 0, 5, 5));
    assert_eq!((seen.classes, seen.latency.iter().sum::<u64>()), ([0, 0, 0, 2, 0], 2));
    assert_eq!(traffic.unrouted().classes, [0, 0, 0, 1, 0]);
    // That the app could not be reached is not an answer of it.
    world.route(nobody().await).await;
    world.talk(&format!("DELETE / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    let seen = &traffic.snapshot()[&AppKey::parse("alice-diary").unwrap()];
    assert_eq!((seen.requests, seen.classes, seen.refused), (3, [0, 0, 0, 2, 0], [0, 0, 0, 0, 1]));
    assert_eq!(seen.latency.iter().sum::<u64>(), 2);
}

// --- visits ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn whoever_opens_a_page_counts_once_a_day_and_only_as_a_number() {
    let page = app(|request| async move {
        let kind = if request.uri().path() == "/photo" { "image/webp" } else { "text/html; charset=utf-8" };
        Response::builder().header("content-type", kind).body(Full::new(Bytes::from_static(b"hello"))).unwrap()
    })
    .await;
    let world = World::around(page).await;
    world.configure(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let open = async |path: &str, address: &str, agent: &str| {
        let fields = format!("X-Forwarded-For: {address}\r\nUser-Agent: {agent}\r\nAccept: text/html,*/*\r\n");
        assert_eq!(code(&world.get(path, &fields).await), "200");
    };
    for _ in 0..3 {
        open("/", "203.0.113.7", "Firefox").await;
    }
    open("/more", "203.0.113.7", "Firefox").await;
    open("/", "203.0.113.8", "Firefox").await;
    open("/photo", "203.0.113.9", "Firefox").await;
    open("/", "203.0.113.10", "Googlebot/2.1").await;
    let traffic = world.gateway.traffic();
    let of = || traffic.visits().get(&AppKey::parse("alice-diary").unwrap()).copied();
    assert_eq!(of(), Some(VisitCount { visitors: 2, pages: 5 }));
    // What the figures print holds nothing of whom they counted.
    assert!(!format!("{traffic:?}").contains("203"), "{traffic:?}");
    traffic.begin_day();
    assert_eq!(of(), None);
    open("/", "203.0.113.7", "Firefox").await;
    assert_eq!(of(), Some(VisitCount { visitors: 1, pages: 1 }));
}
