//! One run of `wrk`.

use std::process::{Child, Command, Stdio};

#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    pub(crate) url: &'a str,
    pub(crate) host: &'a str,
    /// The whole field's value.
    pub(crate) cookie: Option<&'a str>,
}

/// What it printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Connections that failed, answers that broke off, requests without an answer for ten seconds, and other codes than
    /// 2xx and 3xx.
    pub(crate) failures: Vec<String>,
}

pub(crate) fn start(load: &Load<'_>) -> Child {
    let mut command = Command::new("wrk");
    if let Some(cookie) = load.cookie {
        command.args(["--header", &format!("Cookie: {cookie}")]);
    }
    command
        .args(["--latency", "--timeout", "10s", "--threads", "2"])
        .args(["--connections", &load.connections.to_string(), "--duration", &format!("{}s", load.seconds)])
        .args(["--header", &format!("Host: {}", load.host), load.url])
        .stdout(Stdio::piped())
        .spawn()
        .expect("wrk must be installed (apt-get install wrk)")
}

pub(crate) fn end(wrk: Child) -> Report {
    let output = wrk.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut report = Report::default();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", time] => report.p50_ms = milliseconds(time),
            ["99%", time] => report.p99_ms = milliseconds(time),
            ["Latency", _, _, max, _] => report.max_ms = milliseconds(max),
            ["Requests/sec:", rate] => report.per_second = rate.parse().unwrap(),
            [count, "requests", "in", ..] => report.requests = count.parse().unwrap(),
            ["Socket", "errors:", ..] | ["Non-2xx", ..] => report.failures.push(line.trim().to_owned()),
            _ => {}
        }
    }
    assert!(report.per_second > 0.0, "wrk said: {text}");
    report
}

fn milliseconds(text: &str) -> f64 {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().unwrap() * factor;
        }
    }
    panic!("`{text}` is no time of wrk's")
}
