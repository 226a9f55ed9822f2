//! Answers that are odd, late, cut, too large or not an answer at all: kind and message of each.

use std::time::Duration;

use minipaas::engine::docker::{DockerEngine, DockerHost};
use minipaas::engine::{Effect, Engine as _, EngineError, ErrorKind, ListFilter};
use minipaas::model::{ContainerId, ContainerState};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use super::fake::{FakeDocker, Reply, STREAM_HEAD, chunks, nothing, ok, refuse};

fn id() -> ContainerId {
    ContainerId("0123456789abcdef".to_owned())
}

/// An engine that answers everything but the negotiation with one reply.
fn always(reply: Reply) -> FakeDocker {
    FakeDocker::engine(47, 24, move |_| reply.clone())
}

async fn list_error(reply: Reply) -> EngineError {
    let fake = always(reply);
    fake.client().list(&ListFilter::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_state_of_the_future_spoils_neither_list_nor_inspection() {
    let fake = FakeDocker::engine(47, 24, |asked| match asked.path() {
        "/containers/json" => ok(r#"[{"Id":"a1","Names":["/one"],"State":"running","Labels":{"x":"y"}},
                {"Id":"b2","Names":["/two"],"State":"hibernating","Labels":null},
                {"Id":"c3","Names":null,"State":"removing"}]"#),
        "/containers/two/json" => {
            ok(r#"{"Id":"b2","Name":"/two","State":{"Status":"hibernating","Health":{"Status":"dreaming"}}}"#)
        }
        _ => nothing(asked),
    });
    let engine = fake.client();
    let listed = engine.list(&ListFilter::default()).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.state.as_str())).collect();
    assert_eq!(seen, [("a1", "one", "running"), ("b2", "two", "hibernating"), ("c3", "", "removing")]);
    let inspected = engine.inspect("two").await.unwrap().unwrap();
    assert_eq!(inspected.state, ContainerState::Unknown("hibernating".to_owned()));
}

#[tokio::test]
async fn only_the_very_name_or_id_is_found() {
    // Docker answers to the beginning of an id as well.
    let fake = FakeDocker::engine(47, 24, |_| ok(r#"{"Id":"abc123","Name":"/web"}"#));
    let engine = fake.client();
    for (asked, found) in [("abc123", true), ("web", true), ("abc", false), ("we", false)] {
        assert_eq!(engine.inspect(asked).await.unwrap().is_some(), found, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_is_unreachable_within_the_deadline() {
    let silent = [Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec(), STREAM_HEAD.to_vec(), chunks(&[b"[{\"Id\":"], false)];
    for bytes in silent {
        let fake = always(Reply::RawThenSilence(bytes.clone()));
        let engine = fake.client();
        let ordinary = Duration::from_secs(15);
        let grace = Duration::from_secs(10);
        let long = Duration::from_secs(60);
        let timed = async |expected: Duration, error: EngineError, began: Instant| {
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert_eq!(began.elapsed().as_secs(), expected.as_secs(), "{error}");
            assert!(error.to_string().contains("gave no complete answer within"), "{error}");
        };
        timed(ordinary, engine.list(&ListFilter::default()).await.unwrap_err(), Instant::now() - ordinary).await;
        let began = Instant::now();
        timed(ordinary, engine.inspect("x").await.unwrap_err(), began).await;
        // The calls without a body in their answer are through with its head.
        if !bytes.ends_with(b"\r\n\r\n") && !bytes.ends_with(b"\"Id\":\r\n") {
            let began = Instant::now();
            timed(long, engine.start(&id()).await.unwrap_err(), began).await;
            let began = Instant::now();
            timed(ordinary + grace, engine.stop(&id(), 10).await.unwrap_err(), began).await;
            let began = Instant::now();
            timed(ordinary * 2, engine.remove(&id()).await.unwrap_err(), began).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_hung_from_the_start_is_unreachable_too() {
    let fake = FakeDocker::start(|_| Reply::RawThenSilence(Vec::new()));
    let error = fake.client().info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    insta::assert_snapshot!(error, @"cannot connect to Docker: Docker gave no complete answer within 15 s: it hangs or is overloaded (see `systemctl status docker`; `systemctl restart docker` if it stays so)");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_no_connections_is_unreachable_and_a_rush_is_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        match UnixStream::connect(&socket).await {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock, "{full}");
    let engine = DockerEngine::new(DockerHost::unix(&socket)).unwrap();
    let began = Instant::now();
    let error = engine.info().await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Unreachable, 5), "{error}");
    assert!(error.to_string().contains("does not accept connections"), "{error}");
    // Someone in the queue gives up its place.
    let (error, ()) = tokio::join!(engine.info(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(listener.accept().await.unwrap());
    });
    let error = error.unwrap_err();
    assert!(error.to_string().contains("gave no complete answer"), "connected, then waited for the answer: {error}");
}

#[tokio::test]
async fn a_cut_answer_is_unreachable_and_never_a_shorter_list() {
    let whole = r#"[{"Id":"a","Names":["/a"],"State":"running"}]"#;
    let cut = [
        Vec::new(),
        b"HTTP/1.1 200 OK\r\nContent-".to_vec(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{whole}").into_bytes(),
        chunks(&[whole.as_bytes()], false),
        [STREAM_HEAD, b"ff\r\n[{\"Id\":\"a\"}"].concat(),
    ];
    for bytes in cut {
        let error = list_error(Reply::Raw(bytes.clone())).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error} for {:?}", String::from_utf8_lossy(&bytes));
        assert!(error.to_string().contains("broke off before Docker's answer was complete"), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_the_right_json_is_not_understood() {
    for body in ["", "{", "[", "{}", "[1]", r#"[{"Id":""}]"#, "<html>", r#"[{"Id":"a"}] trailing"#] {
        let error = list_error(ok(body)).await;
        assert_eq!(error.kind(), ErrorKind::Retryable, "{error} for {body:?}");
        assert!(error.to_string().starts_with("cannot list containers: Docker's answer was not understood"), "{error}");
    }
}

#[tokio::test]
async fn a_500_of_html_is_quoted_on_one_line() {
    let html = "<html>\r\n<head><title>500</title></head>\n\n<body>Internal\tServer Error</body></html>";
    let error = list_error(Reply::Json(500, html.to_owned())).await;
    assert_eq!(error.kind(), ErrorKind::Retryable);
    insta::assert_snapshot!(error, @"cannot list containers: Docker says `<html> <head><title>500</title></head> <body>Internal Server Error</body></html>` (status 500)");
}

#[tokio::test]
async fn endless_garbage_ends_soon_and_costs_little() {
    let noise = vec![b'A'; 1 << 16];
    let piece = [format!("{:x}\r\n", noise.len()).as_bytes(), &noise, b"\r\n"].concat();
    // Not HTTP at all.
    let error = list_error(Reply::Endless(noise.clone())).await;
    assert_eq!(error.kind(), ErrorKind::Retryable, "{error}");
    // An endless head.
    let fake = always(Reply::Endless(b"HTTP/1.1 200 OK\r\nX-Noise: noise\r\nX-More: ".to_vec()));
    let error = fake.client().list(&ListFilter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retryable, "{error}");
    // A body far above anything true.
    let many = piece.repeat(600);
    let error = list_error(Reply::Raw([STREAM_HEAD, &many].concat())).await;
    assert_eq!(error.kind(), ErrorKind::Retryable, "{error}");
    assert!(error.to_string().contains("larger than 32768 KiB"), "{error}");
    // A refusal of any length is cut to a readable one.
    let body = "no ".repeat(1_000_000);
    let error = list_error(Reply::Json(500, body)).await;
    assert!(error.to_string().len() < 1200, "{}", error.to_string().len());
}

/// What Docker says, and what it means for which call.
#[tokio::test]
async fn refusals_are_judged_by_status_and_words() {
    use ErrorKind::{Conflict, NotFound, Retryable, Terminal};
    let table = [
        ("start", 404, "No such container: x", NotFound, ""),
        ("start", 404, "network paas-proxy not found", Retryable, ""),
        ("start", 409, "cannot start a paused container, try unpause instead", Conflict, ""),
        ("start", 500, "OCI runtime create failed: mkdir: no space left on device", Retryable, "free disk space"),
        ("start", 500, "Bind for 0.0.0.0:80 failed: port is already allocated", Retryable, "stop what uses that port"),
        ("start", 400, "exec: \"node\": executable file not found in $PATH", Terminal, ""),
        ("start", 403, "authorization denied by plugin", Terminal, ""),
        ("start", 503, "starting", Retryable, ""),
        ("stop", 404, "No such container: x", NotFound, ""),
        ("remove", 409, "removal of container x is already in progress", Conflict, ""),
        (
            "rename",
            409,
            "Conflict. The container name \"/y\" is already in use by container \"z\".",
            Conflict,
            "rename",
        ),
        ("connect", 404, "No such network: y", NotFound, "make the network again"),
        // After a crash of Docker in the middle of a start.
        ("start", 500, "task 0123456789abcdef: already exists", Conflict, "(status 500)"),
    ];
    for (call, status, said, kind, remedy) in table {
        let fake = always(refuse(status, said));
        let engine = fake.client();
        let error = match call {
            "start" => engine.start(&id()).await.unwrap_err(),
            "stop" => engine.stop(&id(), 1).await.unwrap_err(),
            "remove" => engine.remove(&id()).await.unwrap_err(),
            "rename" => engine.rename(&id(), "y").await.unwrap_err(),
            _ => engine.connect(&id(), "y", None).await.unwrap_err(),
        };
        assert_eq!(error.kind(), kind, "{call}: {error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot {call} container 0123456789ab")), "{text}");
        assert!(text.contains(said) && text.contains(&format!("(status {status})")) && text.contains(remedy), "{text}");
    }
}

#[tokio::test]
async fn what_already_was_so_is_no_error() {
    let bare = |code| Reply::Json(code, String::new());
    for (call, reply, effect) in [
        ("start", bare(204), Effect::Done),
        ("start", bare(304), Effect::Already),
        ("stop", bare(204), Effect::Done),
        ("stop", bare(304), Effect::Already),
        ("remove", bare(204), Effect::Done),
        ("remove", refuse(404, "No such container: x"), Effect::Already),
        ("unpause", bare(204), Effect::Done),
        ("unpause", refuse(500, "Container x is not paused"), Effect::Already),
        ("unpause", refuse(409, "Container x is not paused"), Effect::Already),
        ("network", refuse(404, "No such network: x"), Effect::Already),
    ] {
        let fake = always(reply);
        let engine = fake.client();
        let seen = match call {
            "start" => engine.start(&id()).await,
            "stop" => engine.stop(&id(), 1).await,
            "remove" => engine.remove(&id()).await,
            "unpause" => engine.unpause(&id()).await,
            _ => engine.remove_network("x").await,
        };
        assert_eq!(seen.unwrap(), effect, "{call}");
    }
    let attached = refuse(403, "endpoint with name x already exists in network y");
    always(attached).client().connect(&id(), "y", None).await.unwrap();
    let fake = always(refuse(404, "No such image: x"));
    assert_eq!(fake.client().image("x:latest").await.unwrap(), None);
    assert_eq!(fake.client().network("x").await.unwrap(), None);
    assert_eq!(fake.client().inspect("x").await.unwrap(), None);
}

#[tokio::test]
async fn a_name_that_could_leave_its_path_is_never_sent() {
    let fake = always(ok("{}"));
    let engine = fake.client();
    for name in ["a/../../version", "a?force=1", "a#b", "..", ""] {
        let bad = ContainerId(name.to_owned());
        for error in [
            engine.inspect(name).await.map(|_| ()).unwrap_err(),
            engine.start(&bad).await.map(|_| ()).unwrap_err(),
            engine.stop(&bad, 1).await.map(|_| ()).unwrap_err(),
            engine.remove(&bad).await.map(|_| ()).unwrap_err(),
            engine.rename(&id(), name).await.unwrap_err(),
            engine.unpause(&bad).await.map(|_| ()).unwrap_err(),
            engine.connect(&id(), name, None).await.unwrap_err(),
            engine.network(name).await.map(|_| ()).unwrap_err(),
            engine.remove_network(name).await.map(|_| ()).unwrap_err(),
            engine.image(name).await.map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
            assert!(error.to_string().contains("is not a name Docker accepts"), "{error}");
        }
    }
    assert_eq!(fake.lines(), Vec::<String>::new());
}
