//! `engine::events::subscribe` against an engine that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use minipaas::engine::events::{Signal, subscribe};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fake::{Asked, FakeDocker, Reply, chunks, nothing, personality};

fn event(nanos: u64) -> String {
    format!("{{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{{\"ID\":\"a\"}},\"timeNano\":{nanos}}}\n")
}

/// Plays the given events, then stays silent.
fn playing(events: Vec<String>) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    move |asked| match asked.path() {
        "/events" => {
            let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
            Reply::RawThenSilence(chunks(&pieces, false))
        }
        _ => nothing(asked),
    }
}

struct Following {
    signals: mpsc::Receiver<Signal>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Following {
    fn start(fake: &FakeDocker) -> Self {
        let tasks = TaskTracker::new();
        let cancel = CancellationToken::new();
        let signals = subscribe(Arc::new(fake.client()), &tasks, cancel.clone());
        tasks.close();
        Self { signals, tasks, cancel }
    }

    async fn next(&mut self) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_secs(120), self.signals.recv());
        let signal = next.await.expect("a signal in time")?;
        Some(match signal {
            Signal::Connected(info) => format!("connected {}", info.api_version),
            Signal::Lost { reason } => format!("lost {:?}", reason.kind()),
            Signal::Event(event) => format!("event {}", event.at_nanos),
            Signal::Resync => "resync".to_owned(),
        })
    }

    async fn expect(&mut self, expected: &[&str]) {
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(self.next().await.as_deref(), Some(*expected), "signal {index}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_and_returns_is_followed_from_where_it_was_left() {
    let fake = FakeDocker::engine(41, 12, playing(vec![event(5_000_000_001)]));
    let mut following = Following::start(&fake);
    following.expect(&["connected 1.41", "resync", "event 5000000001"]).await;

    fake.kill();
    following.expect(&["lost Unreachable"]).await;
    fake.replace(personality(52, 44, playing(vec![event(6)])));
    // Tried in vain meanwhile, and said nothing new about it but that nobody listens now.
    following.expect(&["lost Unreachable"]).await;
    fake.listen();
    following.expect(&["connected 1.52", "resync", "event 6"]).await;
    let subscriptions: Vec<_> = fake.lines().into_iter().filter(|line| line.contains("/events")).collect();
    assert_eq!(subscriptions.len(), 2);
    assert!(!subscriptions[0].contains("since="), "{subscriptions:?}");
    assert!(subscriptions[1].starts_with("GET /v1.52/") && subscriptions[1].contains("since=5.000000001"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_properly_is_taken_up_again() {
    let fake = FakeDocker::engine(41, 12, |_| Reply::Raw(chunks(&[], true)));
    let mut following = Following::start(&fake);
    let began = tokio::time::Instant::now();
    for _ in 0..20 {
        following.expect(&["connected 1.41", "resync", "lost Unreachable"]).await;
    }
    // 0.2 + 0.4 + … + 6.4, then 10 s each: an engine that hangs up at once is not hammered.
    assert!(began.elapsed() >= Duration::from_secs(13 + 12 * 10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_engine_of_no_use_is_reported_once_and_tried_on() {
    let fake = FakeDocker::engine(40, 12, nothing);
    let mut following = Following::start(&fake);
    following.expect(&["lost Terminal"]).await;
    super::fake::eventually("more tries", || fake.asked().len() >= 5).await;
    fake.replace(personality(41, 12, playing(vec![])));
    following.expect(&["connected 1.41", "resync"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_a_resync_instead_of_what_did_not_fit() {
    let fake = FakeDocker::engine(41, 12, playing((1..=5000).map(event).collect()));
    let mut following = Following::start(&fake);
    following.expect(&["connected 1.41"]).await;
    // The channel is full by now; the rest was dropped.
    super::fake::eventually("a full channel", || following.signals.len() == following.signals.max_capacity()).await;
    let mut signals = Vec::new();
    while signals.iter().filter(|signal: &&String| *signal == "resync").count() < 2 {
        signals.push(following.next().await.unwrap());
    }
    assert!(signals.len() < 5000, "{}", signals.len());
}

async fn ended(tasks: &TaskTracker) {
    // Shorter than any deadline of a call: a hung engine does not delay the end.
    let waiting = tokio::time::timeout(Duration::from_secs(1), tasks.wait());
    waiting.await.expect("the task ends at once");
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_cancelled_and_when_nobody_listens() {
    let silent = || FakeDocker::engine(41, 12, playing(vec![]));
    let hung = || FakeDocker::start(|_| Reply::RawThenSilence(Vec::new()));
    for fake in [silent(), hung()] {
        let following = Following::start(&fake);
        super::fake::eventually("a connection", || !fake.asked().is_empty()).await;
        following.cancel.cancel();
        ended(&following.tasks).await;
    }
    for fake in [silent(), hung()] {
        let Following { signals, tasks, .. } = Following::start(&fake);
        super::fake::eventually("a connection", || !fake.asked().is_empty()).await;
        drop(signals);
        ended(&tasks).await;
    }
}
