//! The real way to it: over HTTP, on a socket.

use std::time::Duration;

use minipaas::npm::HttpWire;
use minipaas::npm::wire::{Ask, Method, Secret, Wire as _, WireError};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn ask(method: Method, path: &str) -> Ask {
    let body = (method == Method::Post).then(|| json!({"a": 1}));
    Ask {
        method,
        path: path.to_owned(),
        token: Some(Secret::new("tok".to_owned())),
        body,
        patience: Duration::from_secs(5),
    }
}

/// Answers one request with these bytes, and says what it was asked.
#[expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]
async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let mut asked = String::new();
        while !asked.contains("\r\n\r\n") || (asked.contains("content-length: 7") && !asked.ends_with('}')) {
            let read = stream.read(&mut buffer).await.unwrap();
            asked.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked
    });
    (address, asked)
}

#[tokio::test]
async fn a_question_is_sent_with_its_token_and_body_and_the_answer_read() {
    let (address, asked) = server("HTTP/1.1 201 Created\r\ncontent-length: 8\r\n\r\n{\"id\":3}").await;
    let reply = HttpWire::new(&format!("http://{address}/sub")).ask(ask(Method::Post, "/api/x")).await.unwrap();
    assert_eq!((reply.status, reply.body), (201, json!({"id": 3})));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /sub/api/x HTTP/1.1\r\n"), "{asked}");
    for line in [
        format!("host: {address}"),
        "authorization: Bearer tok".to_owned(),
        "content-type: application/json".to_owned(),
    ] {
        assert!(asked.contains(&line), "{line}: {asked}");
    }
    assert!(asked.ends_with("\r\n\r\n{\"a\":1}"), "{asked}");
}

#[tokio::test]
async fn who_is_not_there_who_breaks_off_and_who_is_silent_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let told = HttpWire::new(&format!("http://{closed}")).ask(ask(Method::Get, "/api/")).await.unwrap_err();
    assert!(matches!(&told, WireError::Unreachable(text) if text.contains("is NPM_URL right?")), "{told}");
    let (address, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{").await;
    let told = HttpWire::new(&format!("http://{address}")).ask(ask(Method::Get, "/api/")).await.unwrap_err();
    assert!(matches!(told, WireError::NoAnswer(_)), "{told}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = HttpWire::new(&format!("http://{}", silent.local_addr().unwrap()));
    let quick = Ask { patience: Duration::from_millis(50), ..ask(Method::Get, "/api/") };
    assert!(matches!(wire.ask(quick).await.unwrap_err(), WireError::NoAnswer(_)));
    let (address, _) = server("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html").await;
    let reply = HttpWire::new(&format!("http://{address}")).ask(ask(Method::Get, "/api/")).await.unwrap();
    assert_eq!((reply.status, reply.body), (502, serde_json::Value::Null));
}
