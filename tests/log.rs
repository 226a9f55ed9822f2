//! What strangers can make the daemon write. The only test in its process, whose log it takes.

mod portal_support;

use minipaas::log::file::LogFile;
use minipaas::log::{self, Lines};
use portal_support::{Ask, Portal};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const MANY: usize = 2_000;

#[tokio::test]
async fn a_flood_of_refused_requests_costs_a_few_lines_and_its_size_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paas.log");
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Lines::from(LogFile::open(&path).unwrap()))
        .with_filter(log::ration());
    tracing_subscriber::registry().with(lines).with(LevelFilter::INFO).init();

    let portal = Portal::fresh().await;
    let host = portal.address.to_string();
    let mut stream = portal.connect().await;
    let long = format!("/{}", "x".repeat(12_000));
    let method = "M".repeat(2_000);
    for number in 0..MANY {
        // As hostile as a path can be: bytes of a control character's UTF-8 form are let through.
        let path = if number % 2 == 0 { long.as_str() } else { "/\u{9b}2J\u{202e}" };
        let ask = Ask { method: &method, path, headers: &[], body: None };
        assert_eq!(ask.over(&mut stream, &host).await.status, 404);
    }
    let body = r#"{"username": "admin", "password": "guess"}"#;
    for _ in 0..50 {
        let ask = Ask { method: "POST", path: "/auth/login", headers: &[], body: Some(body) };
        assert!(matches!(ask.over(&mut stream, &host).await.status, 401 | 429));
    }
    log::ration().tell_all();

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.len() < 20_000, "{} bytes: {text:.2000}", text.len());
    assert!(text.lines().all(|line| line.len() < 600), "{text}");
    assert!(!text.chars().any(|c| c != '\n' && minipaas::model::shown::is_hidden(c)), "{text:?}");
    assert_eq!(text.matches("no-such-route").count(), 11, "{text}");
    let told = format!("refused {} more", MANY - 10);
    assert_eq!(text.matches(&told).count(), 1, "{told}: {text}");
    assert!(text.contains("refused=\"login-refused\""), "{text}");
}
