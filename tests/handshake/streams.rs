//! Answers that come piece by piece: events, build output, logs.

use std::time::Duration;

use futures_util::StreamExt as _;
use minipaas::engine::{BuildEvent, BuildSpec, Engine as _, ErrorKind, Follow};
use minipaas::model::ContainerId;
use tokio::time::Instant;

use super::fake::{FakeDocker, Reply, STREAM_HEAD, chunks};

const EVENT: &[u8] =
    b"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"a\"},\"timeNano\":1500000000}\n";

fn always(reply: Reply) -> FakeDocker {
    FakeDocker::engine(47, 24, move |_| reply.clone())
}

fn build_spec() -> BuildSpec {
    BuildSpec { tag: "x".to_owned(), labels: [].into(), args: [].into() }
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_does_not_end_the_stream() {
    let moon = b"{\"Type\":\"moon\",\"Action\":\"rise\",\"scope\":\"galaxy\",\"timeNano\":7}\n";
    let fake = always(Reply::Raw(chunks(&[moon, &EVENT[..20], &EVENT[20..]], true)));
    let events: Vec<_> = fake.client().events(None).await.unwrap().collect().await;
    let seen: Vec<_> = events.into_iter().map(|event| event.map(|e| (e.object, e.action)).unwrap()).collect();
    let pair = |object: &str, action: &str| (object.to_owned(), action.to_owned());
    assert_eq!(seen, [pair("moon", "rise"), pair("container", "start")]);
    assert!(!fake.lines()[0].contains("since"), "{:?}", fake.lines());
}

#[tokio::test]
async fn since_is_sent_in_nanoseconds() {
    let fake = always(Reply::Raw(chunks(&[], true)));
    let _ = fake.client().events(Some(1_500_000_007)).await.unwrap();
    assert!(fake.lines()[0].ends_with("&since=1.500000007"), "{:?}", fake.lines());
}

#[tokio::test]
async fn a_stream_of_events_cut_in_the_middle_ends_with_an_error() {
    for (cut, events) in
        [(chunks(&[EVENT], false), 1), (chunks(&[EVENT, &EVENT[..30]], true), 1), (STREAM_HEAD.to_vec(), 0)]
    {
        let fake = always(Reply::Raw(cut));
        let mut seen: Vec<_> = fake.client().events(None).await.unwrap().collect().await;
        let last = seen.pop().unwrap().unwrap_err();
        assert_eq!(last.kind(), ErrorKind::Unreachable, "{last}");
        assert!(last.to_string().starts_with("cannot follow Docker's events: the connection broke off"), "{last}");
        assert_eq!(seen.iter().filter(|event| event.is_ok()).count(), events);
    }
}

#[tokio::test]
async fn nonsense_among_the_events_ends_with_an_error() {
    let endless = format!("{:x}\r\n{}\r\n", 1 << 16, "[".repeat(1 << 16)).repeat(40);
    for reply in [chunks(&[EVENT, b"<html>\n"], true), [STREAM_HEAD, endless.as_bytes()].concat()] {
        let fake = always(Reply::Raw(reply));
        let mut seen: Vec<_> = fake.client().events(None).await.unwrap().collect().await;
        let last = seen.pop().unwrap().unwrap_err();
        assert_eq!(last.kind(), ErrorKind::Retryable, "{last}");
        assert!(seen.iter().all(Result::is_ok));
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_events_and_followed_logs_are_waited_for_but_a_silent_build_is_not() {
    let fake = always(Reply::RawThenSilence(chunks(&[EVENT], false)));
    let engine = fake.client();
    let mut events = engine.events(None).await.unwrap();
    assert!(events.next().await.unwrap().is_ok());
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(tokio::time::timeout(day, events.next()).await.is_err(), "an idle engine says nothing for days");

    let fake = always(Reply::RawThenSilence(chunks(&[b"\x01\0\0\0\0\0\0\x03hi\n"], false)));
    let engine = fake.client();
    let id = ContainerId("a".to_owned());
    let mut lines = engine.logs(&id, 10, Follow::Yes).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().text, "hi");
    assert!(tokio::time::timeout(day, lines.next()).await.is_err(), "a quiet app says nothing for days");

    let mut lines = engine.logs(&id, 10, Follow::No).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().text, "hi");
    let began = Instant::now();
    let error = lines.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Unreachable, 15), "{error}");
    assert!(lines.next().await.is_none());

    let fake = always(Reply::RawThenSilence(chunks(&[b"{\"stream\":\"Step 1\\n\"}\n"], false)));
    let mut output = fake.client().build(&build_spec(), Vec::new()).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap(), BuildEvent::Output("Step 1".to_owned()));
    let began = Instant::now();
    let error = output.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Unreachable, 600), "{error}");
}

#[tokio::test]
async fn a_build_that_fails_says_why() {
    let output: &[&[u8]] =
        &[b"{\"stream\":\"Step 1/1 : RUN false\\n\"}\r\n", b"{\"error\":\"returned a non-zero code: 1\"}\r\n"];
    let fake = always(Reply::Raw(chunks(output, true)));
    let mut events: Vec<_> = fake.client().build(&build_spec(), Vec::new()).await.unwrap().collect().await;
    let error = events.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Terminal);
    insta::assert_snapshot!(error, @"cannot build image x: returned a non-zero code: 1");
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn dropping_a_stream_hangs_up() {
    let fake = always(Reply::RawThenSilence(chunks(&[EVENT], false)));
    let events = fake.client().events(None).await.unwrap();
    super::fake::eventually("the connection", || fake.silent() == 1).await;
    drop(events);
    super::fake::eventually("the end of the connection", || fake.silent() == 0).await;
}
