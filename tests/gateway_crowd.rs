//! More visitors than there are places at the gateway: who gets in, who gives way, and what nobody can take from others.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod gateway_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_support::{HOST, RawApp, Wire, World, body, code, named, raw_app, running, until, within};
use minipaas::gateway::Tuning;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

const OTHER_HOST: &str = "bob-blog.test";
const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";

/// Both ends of every connection are in this process.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

async fn world(tuning: Tuning) -> World {
    many_files();
    let portal = axum::Router::new().fallback(async || "the portal");
    let world = World::with(Tuning { linger: Duration::from_millis(50), ..tuning }, Some(portal)).await;
    world.publish(running("bob-blog", named("blog").await)).await;
    world
}

/// Somebody whom nobody counts among the crowd, over a connection of its own: the code and how long it took.
async fn visitor(world: &World, host: &str) -> (String, Duration) {
    let begun = Instant::now();
    let mut wire = Wire::from([127, 0, 9, 9], world.addr).await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
    (code(&wire.rest().await).to_owned(), begun.elapsed())
}

async fn is_undisturbed(world: &World) {
    for host in [OTHER_HOST, "test"] {
        let (code, took) = visitor(world, host).await;
        assert!(code == "200" && took < Duration::from_secs(1), "{host}: {code} after {took:?}");
    }
}

/// An app that answers when it is allowed to.
async fn slow_app() -> (SocketAddr, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let allowed = Arc::clone(&go);
    let app = raw_app(move |mut wire, _| {
        let allowed = Arc::clone(&allowed);
        async move {
            wire.head().await;
            allowed.acquire().await.unwrap().forget();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").await;
        }
    })
    .await;
    (app.addr, go)
}

/// Agrees to switch, then echoes.
async fn echoing() -> RawApp {
    raw_app(|mut wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
        let mut buffer = [0; 64];
        while let Ok(read @ 1..) = wire.stream.read(&mut buffer).await {
            wire.send(&buffer[..read]).await;
        }
    })
    .await
}

async fn upgrade(world: &World, source: [u8; 4], fields: &str) -> (Wire, String) {
    let mut wire = Wire::from(source, world.addr).await;
    wire.send(format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\n{fields}{UPGRADE}\r\n")).await;
    let head = wire.head().await;
    let code = code(&head).to_owned();
    (wire, code)
}

/// Whether the other end has closed.
async fn is_closed(wire: &mut Wire) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(1), wire.stream.read(&mut [0; 64])).await;
    read.is_ok_and(|read| !matches!(read, Ok(1..)))
}

#[tokio::test]
async fn silent_connections_of_one_address_take_half_and_only_from_each_other() {
    let world = world(Tuning::default()).await;
    // Somebody's browser that keeps its connection: older than all that come.
    let mut idle = Wire::from([127, 0, 9, 8], world.addr).await;
    idle.send(format!("GET / HTTP/1.1\r\nHost: {OTHER_HOST}\r\n\r\n")).await;
    assert_eq!(code(&idle.head().await), "200");
    idle.exactly(4).await;
    let mut silent = Vec::new();
    for _ in 0..4200 {
        silent.push(Wire::from([127, 0, 0, 2], world.addr).await);
    }
    is_undisturbed(&world).await;
    until(|| world.gateway.connections() <= 2049).await;
    assert!(is_closed(&mut silent[0]).await && !is_closed(&mut silent[4199]).await, "the oldest went first");
    idle.send(format!("GET / HTTP/1.1\r\nHost: {OTHER_HOST}\r\n\r\n")).await;
    assert_eq!(code(&idle.head().await), "200", "whoever is no part of it has not noticed");
}

#[tokio::test]
async fn silent_connections_of_many_addresses_give_way() {
    let world = world(Tuning::default()).await;
    let mut silent = Vec::new();
    for number in 0..4400_usize {
        silent.push(Wire::from([127, 0, 1, u8::try_from(number % 8).unwrap()], world.addr).await);
    }
    is_undisturbed(&world).await;
    until(|| world.gateway.connections() <= 4096).await;
}

#[tokio::test]
async fn half_heads_and_half_bodies_give_way_and_whole_requests_do_not() {
    let world = world(Tuning { max_connections: 40, portal_reserve: 2, ..Tuning::default() }).await;
    let (app, go) = slow_app().await;
    world.route(app).await;
    let mut whole = Vec::new();
    for number in 0..20 {
        let mut wire = Wire::from([127, 0, 2, number], world.addr).await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        whole.push(wire);
    }
    let mut halves = Vec::new();
    for number in 0..60 {
        let mut wire = Wire::from([127, 0, 3, number], world.addr).await;
        let half = match number % 2 {
            0 => format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Half: "),
            _ => format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\nhalf"),
        };
        wire.send(half).await;
        halves.push(wire);
        is_undisturbed(&world).await;
    }
    assert!(is_closed(&mut halves[0]).await, "who waited longest went first");
    assert!(matches!(code(&halves[1].rest().await), "" | "503"), "and is told so where it can be");
    go.add_permits(1000);
    for wire in &mut whole {
        assert_eq!(body(&wire.rest().await), "slow", "a request that is whole is answered");
    }
}

#[tokio::test]
async fn running_requests_of_apps_leave_the_reserve_to_the_portal() {
    let world = world(Tuning { max_connections: 40, portal_reserve: 4, ..Tuning::default() }).await;
    let (app, go) = slow_app().await;
    world.route(app).await;
    let mut running = Vec::new();
    for number in 0..40 {
        let mut wire = Wire::from([127, 0, 2, number], world.addr).await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        running.push(wire);
    }
    let key = minipaas::model::AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().app(&key).in_flight == 40).await;
    // One after the other, and so many that nobody is lucky.
    for _ in 0..20 {
        let (code, took) = visitor(&world, OTHER_HOST).await;
        assert!(code == "503" && took < Duration::from_secs(1), "an app's visitor is told: {code} {took:?}");
        let (code, took) = visitor(&world, "test").await;
        assert!(code == "200" && took < Duration::from_secs(1), "the portal answers: {code} {took:?}");
    }
    go.add_permits(40);
    for wire in &mut running {
        assert_eq!(body(&wire.rest().await), "slow");
    }
    is_undisturbed(&world).await;
}

#[tokio::test]
async fn whoever_has_requests_running_on_all_of_a_share_is_told_so() {
    let world = world(Tuning { max_connections: 20, ..Tuning::default() }).await;
    let (app, go) = slow_app().await;
    world.route(app).await;
    let source = [127, 0, 0, 2];
    let mut running = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::from(source, world.addr).await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        running.push(wire);
    }
    until(|| world.gateway.connections() == 10).await;
    let key = minipaas::model::AppKey::parse("alice-diary").unwrap();
    until(|| world.gateway.traffic().app(&key).in_flight == 10).await;
    assert_eq!(code(&Wire::from(source, world.addr).await.rest().await), "503");
    is_undisturbed(&world).await;
    // A proxy that the operator has named speaks for many.
    world.configure(|config| config.trusted_proxies = vec!["127.0.0.2".parse().unwrap()]).await;
    let mut wire = Wire::from(source, world.addr).await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {OTHER_HOST}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(code(&wire.rest().await), "200");
    go.add_permits(10);
}

#[tokio::test]
async fn an_app_s_websockets_leave_room_for_everybody_else() {
    let world = world(Tuning::default()).await;
    world.route(echoing().await.addr).await;
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..4096_usize {
        let (wire, code) = upgrade(&world, [127, 0, 1, u8::try_from(number % 8).unwrap()], "").await;
        match code.as_str() {
            "101" => open.push(wire),
            "503" => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (2048, 2048));
    is_undisturbed(&world).await;
    // And it is given back.
    drop(open.pop());
    within(async { while upgrade(&world, [127, 0, 9, 9], "").await.1 != "101" {} }).await;
}

#[tokio::test]
async fn one_visitor_behind_a_trusted_proxy_has_a_share_of_the_websockets_too() {
    let world = world(Tuning { max_connections: 20, ..Tuning::default() }).await;
    world.configure(|config| config.trusted_proxies = vec!["127.0.0.2".parse().unwrap()]).await;
    world.route(echoing().await.addr).await;
    world.publish(running("carol-chat", echoing().await.addr)).await;
    let proxy = [127, 0, 0, 2];
    let mut open = Vec::new();
    for host in [HOST, "carol-chat.test"].repeat(5) {
        let mut wire = Wire::from(proxy, world.addr).await;
        wire.send(format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.9\r\n{UPGRADE}\r\n")).await;
        assert_eq!(code(&wire.head().await), "101");
        open.push(wire);
    }
    assert_eq!(upgrade(&world, proxy, "X-Forwarded-For: 203.0.113.9\r\n").await.1, "503");
    assert_eq!(upgrade(&world, proxy, "X-Forwarded-For: 203.0.113.10\r\n").await.1, "101");
}

#[tokio::test]
async fn a_tunnel_ends_when_neither_side_has_said_anything_for_long() {
    let world = world(Tuning::default()).await;
    world.route(echoing().await.addr).await;
    world.configure(|config| config.tunnel_idle = Duration::from_millis(400)).await;
    let (mut idle, _) = upgrade(&world, [127, 0, 0, 2], "").await;
    let (mut pinging, _) = upgrade(&world, [127, 0, 0, 3], "").await;
    until(|| world.gateway.tunnels() == 2).await;
    let begun = Instant::now();
    let ended = async {
        idle.rest().await;
        begun.elapsed()
    };
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! {
            after = &mut ended => break after,
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                pinging.send("ping").await;
                assert_eq!(pinging.exactly(4).await, b"ping");
            }
        }
    };
    assert!(ended >= Duration::from_millis(350), "ended after {ended:?}");
    pinging.send("ping").await;
    assert_eq!(pinging.exactly(4).await, b"ping", "who says something stays");
    assert_eq!(world.gateway.tunnels(), 1);
}

#[tokio::test]
async fn unfinished_heads_are_bounded_together() {
    let world = world(Tuning::default()).await;
    let mut heads = Vec::new();
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {}", "x".repeat(31 << 10));
    for number in 0..3000_usize {
        let mut wire = Wire::from([127, 0, 1, u8::try_from(number % 8).unwrap()], world.addr).await;
        wire.send(&head).await;
        heads.push(wire);
    }
    // 8 MB, of which each takes 23 KB.
    until(|| world.gateway.connections() < 400).await;
    is_undisturbed(&world).await;
    // A head that is as long, but is finished: whoever waits longest with half of one gives way.
    let mut wire = Wire::from([127, 0, 9, 9], world.addr).await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {OTHER_HOST}\r\nX-Long: {}", "x".repeat(30_000))).await;
    wire.send("\r\nConnection: close\r\n\r\n").await;
    assert_eq!(body(&wire.rest().await), "blog");
}
