//! What strangers may do to the portal's port without keeping others out: slow, huge and silent clients by the thousand.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use minipaas::model::DaemonStatus;
use minipaas::portal::connection::{GRACE, MAX_CONNECTIONS};
use portal_support::{Answer, Ask, DEADLINE, Portal, soon, status};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Clients of one kind of attack.
const MANY: usize = 1_000;

/// Both ends of a thousand connections are files of this process.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(limit.current.is_none_or(|files| files >= 4_096), "at least 4096 open files are needed: `ulimit -Hn`");
}

/// In KiB, of the whole process: both ends of every connection are in it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Whether the other end has let go. Takes what came before that.
fn has_ended(stream: &TcpStream) -> bool {
    loop {
        match stream.try_read(&mut [0_u8; 8192]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Reads to the end, whatever comes; how long it took.
async fn end_of(stream: &mut TcpStream) -> (Duration, String) {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    while let Ok(1..) = soon(stream.read_buf(&mut bytes)).await {}
    (begun.elapsed(), String::from_utf8_lossy(&bytes).into_owned())
}

async fn open(portal: &Portal, say: &str) -> TcpStream {
    let mut stream = portal.connect().await;
    say_it(&mut stream, say).await;
    stream
}

/// Takes so little at a time that an answer does not fit into the kernel's buffers.
async fn open_narrow(portal: &Portal, say: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let mut stream = soon(socket.connect(portal.address)).await.unwrap();
    say_it(&mut stream, say).await;
    stream
}

async fn say_it(stream: &mut TcpStream, say: &str) {
    // It may have had to give way already.
    let _ = soon(stream.write_all(say.as_bytes())).await;
}

const HALF_A_HEAD: &str = "GET /health HTTP/1.1\r\nhost: portal\r\nx-half:";
const HALF_A_BODY: &str = "POST /auth/login HTTP/1.1\r\nhost: portal\r\ncontent-type: application/json\r\n\
     content-length: 60\r\n\r\n{\"username\":\"admin\",";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_of_any_kind_keep_nobody_out() {
    raise_file_limit();
    let mut portal = Portal::settled().await;
    let key = portal.key().await;
    let before = resident();
    println!("resident before: {before} KiB");
    for (kind, many, say) in [
        ("that say nothing", MANY, ""),
        ("with half a head", MANY, HALF_A_HEAD),
        ("with half a body", MANY, HALF_A_BODY),
        ("idle after a request", MANY, "GET /health HTTP/1.1\r\nhost: portal\r\n\r\n"),
        ("that do not read a large answer", MAX_CONNECTIONS + 44, "GET /openapi.json HTTP/1.1\r\nhost: portal\r\n\r\n"),
    ] {
        let mut strangers = Vec::new();
        let mut slowest = Duration::ZERO;
        for number in 0..many {
            let narrow = say.contains("openapi");
            strangers.push(if narrow { open_narrow(&portal, say).await } else { open(&portal, say).await });
            if number % 50 == 49 {
                let begun = Instant::now();
                assert_eq!(portal.get("/apps", &[("x-api-key", &key)]).await.status, 200);
                slowest = slowest.max(begun.elapsed());
            }
        }
        let resident = resident();
        let open = || strangers.iter().filter(|stream| !has_ended(stream)).count();
        let deadline = Instant::now() + DEADLINE;
        while open() > MAX_CONNECTIONS {
            assert!(Instant::now() < deadline, "{} {kind} are open", open());
            tokio::task::yield_now().await;
        }
        // A client's ten seconds are not what others wait for.
        assert!(slowest < Duration::from_secs(5), "{many} {kind} kept others waiting for {slowest:?}");
        println!("{many} {kind}: {} open, slowest answer to others {slowest:?}, resident {resident} KiB", open());
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 10, "the portal grew by {grown} KiB");

    // No place was lost: all but a few can be busy at the same time.
    let mut busy = Vec::new();
    let mut held = Vec::new();
    let body = r#"{"token":"hold"}"#;
    let length = body.len();
    let say = format!(
        "POST /confirm HTTP/1.1\r\nhost: portal\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    for _ in 0..MAX_CONNECTIONS - 1 {
        busy.push(open(&portal, &say).await);
        held.push(soon(portal.held_rx.recv()).await.unwrap());
    }
    for answer in held {
        answer.send(Ok(Vec::new())).unwrap();
    }
    for answer in join_all(busy.iter_mut().map(Answer::read)).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_never_cut_off_for_strangers() {
    raise_file_limit();
    let mut portal = Portal::settled().await;
    let key = portal.key().await;
    let headers = [("x-api-key", key.as_str())];
    let origin = portal.address.to_string();

    let mut listener = portal.connect().await;
    let stream = Ask { method: "GET", path: "/events", headers: &headers, body: None };
    assert_eq!(stream.over(&mut listener, &origin).await.status, 200);
    let mut asking = portal.connect().await;
    let confirm = Ask { method: "POST", path: "/confirm", headers: &headers, body: Some(r#"{"token":"hold"}"#) };
    let confirming = confirm.over(&mut asking, &origin);
    let attacking = async {
        let answer = soon(portal.held_rx.recv()).await.unwrap();
        let mut idle = portal.connect().await;
        let health = Ask { method: "GET", path: "/health", headers: &[], body: None };
        assert_eq!(health.over(&mut idle, &origin).await.status, 200);
        // Two on one connection, the idle one is used again.
        assert_eq!(health.over(&mut idle, &origin).await.status, 200);
        let mut half = open(&portal, HALF_A_BODY).await;
        let mut strangers = Vec::new();
        for _ in 0..MANY {
            strangers.push(portal.connect().await);
        }
        // Those two only waited for their clients, who have to come again.
        assert_eq!(end_of(&mut idle).await.1, "");
        assert_eq!(end_of(&mut half).await.1, "");
        assert_eq!(portal.get("/health", &[]).await.status, 200);
        answer.send(Ok(Vec::new())).unwrap();
        strangers
    };
    let (confirmed, _strangers) = tokio::join!(confirming, attacking);
    assert_eq!(confirmed.status, 200, "{}", confirmed.body);

    portal.status_tx.send_replace(Arc::new(DaemonStatus { version: "changed".to_owned(), ..status([]) }));
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("changed") {
        assert!(soon(listener.read_buf(&mut seen)).await.unwrap() > 0, "the stream was cut off");
    }
}

#[tokio::test]
async fn whoever_is_slow_is_let_go_after_ten_seconds() {
    let portal = Portal::settled().await;
    let mut head = open(&portal, HALF_A_HEAD).await;
    let mut body = open(&portal, HALF_A_BODY).await;
    let mut dribble = open(&portal, HALF_A_HEAD).await;
    let mut silent = open(&portal, "").await;
    let dribbling = async {
        let begun = Instant::now();
        // A byte now and then is no progress.
        while soon(dribble.write_all(b"x")).await.is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it may go on for ever");
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(500), end_of(&mut dribble)).await {
                return (begun.elapsed(), ended.1);
            }
        }
        (begun.elapsed(), String::new())
    };
    let (head, body, silent, dribble) =
        tokio::join!(end_of(&mut head), end_of(&mut body), end_of(&mut silent), dribbling);
    println!(
        "let go: half a head {:?}, half a body {:?}, silent {:?}, dribbled head {:?}",
        head.0, body.0, silent.0, dribble.0
    );
    for (took, answer) in [&head, &silent, &dribble] {
        assert!((8..20).contains(&took.as_secs()), "{took:?}");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!((8..20).contains(&body.0.as_secs()), "{:?}", body.0);
    assert!(body.1.starts_with("HTTP/1.1 408") && body.1.contains("body-too-slow"), "{}", body.1);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let headers = (0..100).map(|number| format!("x-{number}: y\r\n")).collect::<Vec<_>>().concat();
    let large = "y".repeat(20 << 10);
    let path = "z".repeat(20 << 10);
    let too_large = (431, "head-too-large");
    for (what, request, verdict) in [
        ("a header of 20 KiB", format!("GET /health HTTP/1.1\r\nhost: portal\r\nx-large: {large}\r\n\r\n"), too_large),
        ("a hundred headers", format!("GET /health HTTP/1.1\r\nhost: portal\r\n{headers}\r\n"), too_large),
        ("a path of 20 KiB", format!("GET /{path} HTTP/1.1\r\nhost: portal\r\n\r\n"), too_large),
        (
            "a head without end",
            format!("GET /health HTTP/1.1\r\nhost: portal\r\nx-large: {}", large.repeat(8)),
            too_large,
        ),
    ] {
        let answer = Answer::read(&mut open(&portal, &request).await).await;
        assert_eq!(answer.verdict(), (verdict.0, verdict.1.to_owned()), "{what}: {answer:?}");
    }
    // Exactly the limit is read as far as its JSON goes, a byte more is not.
    for (length, verdict) in [(64 << 10, (422, "wrong-shape")), ((64 << 10) + 1, (413, "body-too-large"))] {
        let body = format!("{{\"x\":\"{}\"}}", "y".repeat(length - 8));
        let answer = portal.post("/auth/login", &[], &body).await;
        assert_eq!(answer.verdict(), (verdict.0, verdict.1.to_owned()), "{length}");
    }
    // Without saying beforehand how long.
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let request = format!(
        "POST /auth/login HTTP/1.1\r\nhost: portal\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(5)
    );
    let mut stream = open(&portal, &request).await;
    assert_eq!(Answer::read(&mut stream).await.verdict(), (413, "body-too-large".to_owned()));
    assert_eq!(portal.get("/apps", &[("x-api-key", &key)]).await.status, 200);
}

#[tokio::test]
async fn a_visitor_with_too_many_cookies_is_rid_of_them_and_nobody_else_can_have_them_deleted() {
    let portal = Portal::settled().await;
    let long = "y".repeat(35 << 10);
    for (request, language, is_cookies) in [
        (format!("GET / HTTP/1.1\r\nhost: portal\r\naccept-language: ko\r\ncookie: a={long}\r\n\r\n"), "ko", true),
        (format!("GET / HTTP/1.1\r\nhost: portal\r\ncookie: a={long}\r\n\r\n"), "en", true),
        (format!("GET /?{long} HTTP/1.1\r\nhost: portal\r\ncookie: a=b\r\n\r\n"), "en", false),
    ] {
        let mut stream = open(&portal, &request).await;
        let answer = end_of(&mut stream).await.1;
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("head-too-large"), "{answer}");
        assert_eq!(answer.contains("\r\nclear-site-data: \"cookies\"\r\n"), is_cookies, "{answer}");
        assert_eq!(answer.contains("쿠키를 지워"), language == "ko", "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_so_in_the_envelope() {
    let portal = Portal::settled().await;
    for nonsense in [
        "hello\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /health HTTP/3.0\r\n\r\n",
        "GET /he\0lth HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: portal\r\nno header\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nhost: portal\r\ncontent-length: many\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nhost: portal\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        let mut stream = open(&portal, nonsense).await;
        let answer = Answer::read(&mut stream).await;
        assert_eq!(answer.verdict(), (400, "malformed".to_owned()), "{nonsense:?}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!((answer.header("connection"), end_of(&mut stream).await.1.as_str()), (Some("close"), ""));
    }
    // Also after an answer that was taken.
    let mut stream = portal.connect().await;
    let health = Ask { method: "GET", path: "/health", headers: &[], body: None };
    assert_eq!(health.over(&mut stream, "portal").await.status, 200);
    soon(stream.write_all(b"hello\r\n\r\n")).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.verdict(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_for_nothing_else() {
    let mut portal = Portal::settled().await;
    let key = portal.key().await;
    let headers = [("x-api-key", key.as_str())];
    let host = portal.address.to_string();
    let health = Ask { method: "GET", path: "/health", headers: &[], body: None };
    let mut idle = portal.connect().await;
    assert_eq!(health.over(&mut idle, &host).await.status, 200);
    let mut listener = portal.connect().await;
    let events = Ask { method: "GET", path: "/events", headers: &headers, body: None };
    assert_eq!(events.over(&mut listener, &host).await.status, 200);
    let mut half = open(&portal, HALF_A_HEAD).await;
    let mut asking = portal.connect().await;
    let confirm = Ask { method: "POST", path: "/confirm", headers: &headers, body: Some(r#"{"token":"hold"}"#) };
    let begun = Instant::now();
    let stopping = async {
        let answer = soon(portal.held_rx.recv()).await.unwrap();
        portal.stopping.cancel();
        let idle = end_of(&mut idle).await;
        let listener = end_of(&mut listener).await;
        let half = end_of(&mut half).await;
        assert!(!portal.served.is_finished(), "it has to wait for the request that runs");
        answer.send(Ok(Vec::new())).unwrap();
        (idle.0, listener.0, half.0)
    };
    let (confirmed, ended) = tokio::join!(confirm.over(&mut asking, &host), stopping);
    assert_eq!((confirmed.status, confirmed.header("connection")), (200, Some("close")), "{}", confirmed.head);
    soon(portal.served).await.unwrap();
    let took = begun.elapsed();
    println!("stopped after {took:?}; until the end of idle, stream, half a head: {ended:?}");
    assert!(took < GRACE, "{took:?}");
    assert!(TcpStream::connect(portal.address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut portal = Portal::settled().await;
    let key = portal.key().await;
    let headers = [("x-api-key", key.as_str())];
    let mut asking = portal.connect().await;
    let host = portal.address.to_string();
    let say = format!(
        "POST /confirm HTTP/1.1\r\nhost: {host}\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{{\"token\":\"hold\"}}",
        headers[0].1
    );
    soon(asking.write_all(say.as_bytes())).await.unwrap();
    let _answer = soon(portal.held_rx.recv()).await.unwrap();
    let begun = Instant::now();
    portal.stopping.cancel();
    soon(portal.served).await.unwrap();
    println!("a request that never ends holds the stop up for {:?}", begun.elapsed());
    assert!(begun.elapsed() < GRACE * 3, "{:?}", begun.elapsed());
    assert_eq!(end_of(&mut asking).await.1, "");
}
