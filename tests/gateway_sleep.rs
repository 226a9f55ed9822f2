//! Sites that sleep, as their visitors find them: held, not refused, and answered when they are awake.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod gateway_support;

use std::time::Duration;

use bytes::Bytes;
use gateway_support::{HOST, Wire, World, app, body, code, named, raw_app, running, status, until, within};
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use minipaas::gateway::{Presence, Tuning};
use minipaas::model::status::SleepStatus;
use minipaas::model::{
    AppKey, AppStatus, Audience, Condition, ConditionKind, Health, SyncState, Timestamp, Visitors, Wake,
};
use tokio::sync::mpsc;

const PAGE: &str = "Accept: text/html\r\n";

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

fn sleep(since: Option<i64>) -> SleepStatus {
    SleepStatus { after_seconds: 60, since: since.map(Timestamp), wakes: 0, woken_by: None }
}

fn asleep() -> AppStatus {
    AppStatus { sleep: Some(sleep(Some(1))), ..status("alice-diary", Health::Asleep) }
}

fn starting() -> AppStatus {
    AppStatus { sleep: Some(sleep(None)), sync: SyncState::OutOfSync, ..status("alice-diary", Health::Starting) }
}

async fn world(tuning: Tuning) -> (World, mpsc::Receiver<Wake>) {
    let world = World::with(tuning, None).await;
    let wakes_rx = world.gateway.wakes();
    world.publish(asleep()).await;
    (world, wakes_rx)
}

async fn ask(world: &World, head: &str) -> Wire {
    let mut wire = world.connect().await;
    wire.send(format!("{head} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n")).await;
    wire
}

async fn awake(world: &World, addr: std::net::SocketAddr) {
    world.publish(AppStatus { sleep: Some(sleep(None)), ..running("alice-diary", addr) }).await;
}

fn in_flight(world: &World) -> u64 {
    world.gateway.traffic().app(&key()).in_flight
}

#[tokio::test]
async fn a_thousand_at_once_wake_a_site_once_and_all_are_answered() {
    let (world, mut wakes_rx) = world(Tuning::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        let mut wire = ask(&world, "GET /2026?secret=1").await;
        wire.send("User-Agent: curl/8\r\n\r\n").await;
        waiting.push(wire);
    }
    let wake = within(wakes_rx.recv()).await.unwrap();
    assert_eq!(wake, Wake { app: key(), path: Some("/2026".to_owned()), agent: Some("curl/8".to_owned()) });
    until(|| in_flight(&world) == 1000).await;
    world.publish(starting()).await;
    awake(&world, named("awake").await).await;
    for wire in &mut waiting {
        assert_eq!(body(&wire.rest().await), "awake");
    }
    // Each of the two workers may have told it once before it heard of the other.
    let mut more = 0;
    while wakes_rx.try_recv().is_ok() {
        more += 1;
    }
    assert!(more < 50, "{more} more");
}

#[tokio::test]
async fn what_is_sent_to_a_site_that_sleeps_arrives_whole_when_it_is_awake() {
    let (world, mut wakes_rx) = world(Tuning::default()).await;
    let mut wire = ask(&world, "POST /entry").await;
    wire.send("Accept: text/html\r\nContent-Length: 11\r\n\r\ndear ").await;
    within(wakes_rx.recv()).await.unwrap();
    world.publish(starting()).await;
    let echo = app(|request| async move {
        let sent = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Response::new(Full::new(Bytes::from([b"got ", &sent[..]].concat())))
    })
    .await;
    awake(&world, echo).await;
    wire.send("diary.").await;
    assert_eq!(body(&wire.rest().await), "got dear diary.");
}

#[tokio::test]
async fn whoever_opens_a_page_is_shown_one_that_carries_on_and_a_program_waits_on() {
    let tuning =
        Tuning { wake_page: Duration::from_millis(100), wake_hold: Duration::from_secs(5), ..Tuning::default() };
    let (world, mut wakes_rx) = world(tuning).await;
    let mut program = ask(&world, "GET /feed").await;
    program.send("\r\n").await;
    within(wakes_rx.recv()).await.unwrap();
    world.publish(starting()).await;
    let shown = world.get("/", &format!("{PAGE}Accept-Language: ko\r\n")).await;
    assert_eq!(code(&shown), "503");
    assert!(
        shown.contains("http-equiv=\"refresh\"") && shown.contains("여는 중") && shown.contains("retry-after: 2"),
        "{shown}"
    );
    assert!(!shown.contains("<script"), "{shown}");
    let fields = format!("{PAGE}Sec-Fetch-Mode: no-cors\r\n");
    let part = world.get("/photo.jpg", &fields);
    let (part, ()) = tokio::join!(part, async {
        until(|| in_flight(&world) == 2).await;
        awake(&world, named("awake").await).await;
    });
    assert_eq!((body(&part), body(&program.rest().await)), ("awake", "awake"));
}

#[tokio::test]
async fn those_who_wait_too_long_or_are_too_many_are_told_when_to_come_again() {
    let tuning = Tuning { wake_hold: Duration::from_millis(300), max_held_of_one: 1, ..Tuning::default() };
    let (world, mut wakes_rx) = world(tuning).await;
    let mut first = ask(&world, "POST /").await;
    first.send("Content-Length: 0\r\n\r\n").await;
    within(wakes_rx.recv()).await.unwrap();
    until(|| in_flight(&world) == 1).await;
    for answer in [world.get("/", "").await, first.rest().await] {
        assert!(code(&answer) == "503" && answer.contains("retry-after: 2"), "{answer}");
    }
}

#[tokio::test]
async fn it_is_told_again_by_whoever_waits_when_the_next_table_says_that_it_sleeps() {
    let (world, mut wakes_rx) = world(Tuning::default()).await;
    let mut wire = ask(&world, "GET /").await;
    wire.send("\r\n").await;
    for since in 2..5 {
        within(wakes_rx.recv()).await.unwrap();
        world.publish(AppStatus { sleep: Some(sleep(Some(since))), ..asleep() }).await;
    }
    awake(&world, named("awake").await).await;
    assert_eq!(body(&wire.rest().await), "awake");
}

#[tokio::test]
async fn a_site_that_sleeps_while_docker_is_away_is_woken_when_it_is_back() {
    let (world, mut wakes_rx) = world(Tuning::default()).await;
    let away = Condition {
        kind: ConditionKind::EngineUnreachable,
        status: true,
        reason: "EngineUnreachable".to_owned(),
        message: String::new(),
        digest: None,
        since: Timestamp(1),
    };
    let away = |sleep| AppStatus {
        sleep: Some(sleep),
        conditions: vec![away.clone()],
        ..status("alice-diary", Health::Unknown)
    };
    world.publish(away(sleep(Some(1)))).await;
    let mut wire = ask(&world, "GET /").await;
    wire.send("\r\n").await;
    within(wakes_rx.recv()).await.unwrap();
    world.publish(away(sleep(None))).await;
    awake(&world, named("awake").await).await;
    assert_eq!(body(&wire.rest().await), "awake");
}

#[tokio::test]
async fn nobody_wakes_a_site_who_may_not_see_it() {
    let (world, mut wakes_rx) = world(Tuning::default()).await;
    world.publish(AppStatus { visitors: Visitors::both(Audience::Owner), ..asleep() }).await;
    let shown = world.get("/", PAGE).await;
    assert_ne!(code(&shown), "200");
    assert!(wakes_rx.try_recv().is_err());
    assert_eq!(world.gateway.presence(&key()), Presence::Never);
}

#[tokio::test]
async fn somebody_is_there_until_the_last_byte_of_an_answer_or_a_stream() {
    let (sent_tx, sent_rx) = mpsc::channel::<()>(1);
    let sent_rx = std::sync::Arc::new(tokio::sync::Mutex::new(sent_rx));
    let app = raw_app(move |mut wire, _| {
        let sent_rx = std::sync::Arc::clone(&sent_rx);
        async move {
            let head = wire.head().await;
            let kind = if head.contains("/stream") { "text/event-stream" } else { "text/plain" };
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
            ))
            .await;
            sent_rx.lock().await.recv().await;
            wire.send("0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::with(Tuning::default(), None).await;
    awake(&world, app.addr).await;
    for path in ["/page", "/stream"] {
        let mut wire = ask(&world, &format!("GET {path}")).await;
        wire.send("\r\n").await;
        wire.until("1\r\na\r\n").await;
        assert_eq!(world.gateway.presence(&key()), Presence::Now, "{path}");
        sent_tx.send(()).await.unwrap();
        wire.rest().await;
        until(|| matches!(world.gateway.presence(&key()), Presence::Until(_))).await;
    }
    let mut wire = ask(&world, "GET /ws").await;
    wire.send("\r\n").await;
    until(|| world.gateway.presence(&key()) == Presence::Now).await;
    drop(wire);
    until(|| matches!(world.gateway.presence(&key()), Presence::Until(_))).await;
}
