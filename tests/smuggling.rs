//! What could be read in two ways reaches an app in exactly one, or not at all.
//!
//! Every case goes to the gateway as raw bytes, followed by nothing. The app behind it reads as strictly as the RFC lets
//! a server: only CRLF, one framing, no folding. Whatever it could not read, or a request that the client's first
//! request was not, fails the case.
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod gateway_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_support::{HOST, World, code, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The inner request that must never be seen as one of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: alice-diary.test\r\n\r\n";

#[derive(Clone, Copy)]
enum Expected {
    /// An answer of this status or a closed connection, and the app saw no whole request.
    Refused,
    /// The app saw exactly these, as `METHOD target body`.
    Seen(&'static [&'static str]),
}
use Expected::{Refused, Seen};

/// Everything with `{H}` for the host line and `{S}` for the smuggled request.
const CORPUS: &[(&str, &str, Expected)] = &[
    // Content-Length
    ("plain", "POST / HTTP/1.1\r\n{H}Content-Length: 2\r\n\r\nhi", Seen(&["POST / hi"])),
    (
        "duplicate length, same",
        "POST / HTTP/1.1\r\n{H}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        Seen(&["POST / hi"]),
    ),
    ("duplicate length, other", "POST / HTTP/1.1\r\n{H}Content-Length: 0\r\nContent-Length: 71\r\n\r\n{S}", Refused),
    (
        "duplicate length, other order",
        "POST / HTTP/1.1\r\n{H}Content-Length: 71\r\nContent-Length: 0\r\n\r\n{S}",
        Refused,
    ),
    ("length list", "POST / HTTP/1.1\r\n{H}Content-Length: 0, 71\r\n\r\n{S}", Refused),
    ("length list, same", "POST / HTTP/1.1\r\n{H}Content-Length: 2, 2\r\n\r\nhi", Refused),
    ("length with plus", "POST / HTTP/1.1\r\n{H}Content-Length: +2\r\n\r\nhi", Refused),
    ("length with minus", "POST / HTTP/1.1\r\n{H}Content-Length: -1\r\n\r\n{S}", Refused),
    ("length in hex", "POST / HTTP/1.1\r\n{H}Content-Length: 0x2\r\n\r\nhi", Refused),
    ("length with a space inside", "POST / HTTP/1.1\r\n{H}Content-Length: 1 0\r\n\r\n{S}", Refused),
    ("length with an underscore", "POST / HTTP/1.1\r\n{H}Content-Length: 1_0\r\n\r\n{S}", Refused),
    ("length with a dot", "POST / HTTP/1.1\r\n{H}Content-Length: 2.0\r\n\r\nhi", Refused),
    ("length beyond 64 bit", "POST / HTTP/1.1\r\n{H}Content-Length: 18446744073709551618\r\n\r\nhi", Refused),
    ("length empty", "POST / HTTP/1.1\r\n{H}Content-Length:\r\n\r\n{S}", Refused),
    ("length with NUL", "POST / HTTP/1.1\r\n{H}Content-Length: 2\0\r\n\r\nhi", Refused),
    ("length with vertical tab", "POST / HTTP/1.1\r\n{H}Content-Length: \x0b2\r\n\r\nhi", Refused),
    ("length with a tab before it", "POST / HTTP/1.1\r\n{H}Content-Length:\t2\r\n\r\nhi", Seen(&["POST / hi"])),
    ("body of a GET", "GET / HTTP/1.1\r\n{H}Content-Length: 71\r\n\r\n{S}{P}", Seen(&["GET / {S}{P}"])),
    // Transfer-Encoding
    (
        "both, length first",
        "POST / HTTP/1.1\r\n{H}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}",
        Seen(&["POST / "]),
    ),
    (
        "both, coding first",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{S}",
        Seen(&["POST / "]),
    ),
    (
        "both, length after body",
        "POST / HTTP/1.1\r\n{H}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("unknown coding", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{S}", Refused),
    (
        "unknown coding and a length",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    ("identity", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", Refused),
    (
        "chunked then identity",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    (
        "identity then chunked",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    ("gzip then chunked", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{S}", Refused),
    ("chunked twice", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{S}", Refused),
    (
        "two coding headers",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    (
        "two coding headers, other order",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    (
        "coding in capitals",
        "POST / HTTP/1.1\r\n{H}TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("coding quoted", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{S}", Refused),
    ("coding with parameter", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n{S}", Refused),
    ("coding with leading comma", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n{S}", Refused),
    ("coding with vertical tab", "POST / HTTP/1.1\r\n{H}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{S}", Refused),
    (
        "coding with trailing tab",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\t\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("coding in HTTP/1.0", "POST / HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", Refused),
    (
        "coding under another name",
        "POST / HTTP/1.1\r\n{H}Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
        Seen(&["POST / hi"]),
    ),
    (
        "coding hidden by Connection",
        "POST / HTTP/1.1\r\n{H}Connection: close, Content-Length, Transfer-Encoding\r\nContent-Length: 2\r\n\r\nhi",
        Seen(&["POST / hi"]),
    ),
    // header syntax
    (
        "space before colon",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding : chunked\r\nContent-Length: 71\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    ("space before length's colon", "POST / HTTP/1.1\r\n{H}Content-Length : 2\r\n\r\nhi", Refused),
    ("tab before colon", "POST / HTTP/1.1\r\n{H}Content-Length\t: 2\r\n\r\nhi", Refused),
    ("folded value", "POST / HTTP/1.1\r\n{H}X: a\r\n Content-Length: 71\r\n\r\n{S}", Refused),
    (
        "folded coding",
        "POST / HTTP/1.1\r\n{H}Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{S}",
        Refused,
    ),
    ("folded first line", "GET / HTTP/1.1\r\n X: y\r\n{H}\r\n", Refused),
    ("no colon", "GET / HTTP/1.1\r\n{H}Nonsense\r\n\r\n", Refused),
    ("empty name", "GET / HTTP/1.1\r\n{H}: value\r\n\r\n", Refused),
    ("NUL in name", "GET / HTTP/1.1\r\n{H}X\0Y: z\r\n\r\n", Refused),
    ("NUL in value", "GET / HTTP/1.1\r\n{H}X: a\0b\r\n\r\n", Refused),
    ("CR in value", "GET / HTTP/1.1\r\n{H}X: a\rContent-Length: 9\r\n\r\n", Refused),
    ("CR before line end", "GET / HTTP/1.1\r\n{H}X: a\r\r\n\r\n", Refused),
    ("DEL in value", "GET / HTTP/1.1\r\n{H}X: a\x7fb\r\n\r\n", Refused),
    ("bare LF between lines", "GET / HTTP/1.1\n{h}\nX: a\n\n", Seen(&["GET / "])),
    (
        "bare LF hides nothing",
        "POST / HTTP/1.1\r\n{H}X: a\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("two hosts", "GET / HTTP/1.1\r\n{H}Host: bob-blog.test\r\n\r\n", Refused),
    ("host folded", "GET / HTTP/1.1\r\nHost:\r\n alice-diary.test\r\n\r\n", Refused),
    ("host with path", "GET / HTTP/1.1\r\nHost: alice-diary.test/x\r\n\r\n", Refused),
    ("host with a line's end encoded", "GET / HTTP/1.1\r\nHost: alice-diary.test%0d%0aX:1\r\n\r\n", Refused),
    // request line
    ("space in target", "GET /a b HTTP/1.1\r\n{H}\r\n", Refused),
    ("a request line inside the target", "GET / HTTP/1.1\r\nX: /smuggled HTTP/1.1\r\n{H}\r\n", Seen(&["GET / "])),
    ("tab for a space", "GET\t/\tHTTP/1.1\r\n{H}\r\n", Refused),
    ("two spaces", "GET  /  HTTP/1.1\r\n{H}\r\n", Refused),
    ("CR in target", "GET /a\rb HTTP/1.1\r\n{H}\r\n", Refused),
    ("NUL in target", "GET /a\0b HTTP/1.1\r\n{H}\r\n", Refused),
    ("method with a space in front", " GET / HTTP/1.1\r\n{H}\r\n", Refused),
    ("method with a colon", "GE:T / HTTP/1.1\r\n{H}\r\n", Refused),
    ("no version", "GET /\r\n{H}\r\n", Refused),
    ("version 1.2", "GET / HTTP/1.2\r\n{H}\r\n", Refused),
    ("version 0.9", "GET / HTTP/0.9\r\n{H}\r\n", Refused),
    ("version 2 in words", "GET / HTTP/2.0\r\n{H}\r\n", Refused),
    ("empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\n{H}Connection: close\r\n\r\n", Seen(&["GET / "])),
    ("fragment", "GET /a#b HTTP/1.1\r\n{H}\r\n", Seen(&["GET /a "])),
    ("encoded line end in target stays encoded", "GET /a%0d%0aX:1 HTTP/1.1\r\n{H}\r\n", Seen(&["GET /a%0d%0aX:1 "])),
    ("method in lower case", "get / HTTP/1.1\r\n{H}\r\n", Seen(&["get / "])),
    // chunks
    ("chunk extension", "POST / HTTP/1.1\r\n{H}{C}2;a=b\r\nhi\r\n0;c\r\n\r\n", Seen(&["POST / hi"])),
    (
        "quoted line end in a chunk extension",
        "POST / HTTP/1.1\r\n{H}{C}2;a=\"\r\nhi\r\n0\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("bare LF in a chunk extension", "POST / HTTP/1.1\r\n{H}{C}2;\nxx\r\n47\r\n0\r\n\r\n{S}", Refused),
    ("bare LF after chunk size", "POST / HTTP/1.1\r\n{H}{C}2\nhi\r\n0\r\n\r\n", Refused),
    ("bare LF after chunk", "POST / HTTP/1.1\r\n{H}{C}2\r\nhi\n0\r\n\r\n", Refused),
    ("chunk longer than said", "POST / HTTP/1.1\r\n{H}{C}1\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunk size with plus", "POST / HTTP/1.1\r\n{H}{C}+2\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunk size with 0x", "POST / HTTP/1.1\r\n{H}{C}0x2\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunk size with minus", "POST / HTTP/1.1\r\n{H}{C}-2\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunk size empty", "POST / HTTP/1.1\r\n{H}{C}\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunk size with zeros in front", "POST / HTTP/1.1\r\n{H}{C}0002\r\nhi\r\n0\r\n\r\n", Seen(&["POST / hi"])),
    ("chunk size beyond 64 bit", "POST / HTTP/1.1\r\n{H}{C}10000000000000002\r\nhi\r\n0\r\n\r\n{S}", Refused),
    ("chunk size just below 64 bit", "POST / HTTP/1.1\r\n{H}{C}ffffffffffffffff\r\n{S}", Refused),
    ("chunk size with a space inside", "POST / HTTP/1.1\r\n{H}{C}2 2\r\nhi\r\n0\r\n\r\n", Refused),
    ("chunked body cut off", "POST / HTTP/1.1\r\n{H}{C}5\r\nhi", Refused),
    (
        "trailer that would frame",
        "POST / HTTP/1.1\r\n{H}{C}2\r\nhi\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: x\r\n\r\n",
        Seen(&["POST / hi"]),
    ),
    ("request after the last chunk without its end", "POST / HTTP/1.1\r\n{H}{C}0\r\n{S}", Refused),
    // two requests
    (
        "pipelined",
        "POST /1 HTTP/1.1\r\n{H}Content-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\n{H}\r\n",
        Seen(&["POST /1 hi", "GET /2 "]),
    ),
    (
        "upgrade with a body",
        "POST / HTTP/1.1\r\n{H}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
        Seen(&["POST / hi"]),
    ),
    (
        "h2c upgrade",
        "GET / HTTP/1.1\r\n{H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
        Seen(&["GET / "]),
    ),
];

#[tokio::test]
async fn every_request_of_the_corpus_is_refused_or_made_unambiguous() {
    let (app, seen) = strict_app().await;
    let mut failures = Vec::new();
    for (name, template, expected) in CORPUS {
        // A gateway of its own, so that no connection is shared with the case before.
        let world = World::around(app).await;
        seen.lock().unwrap().clear();
        let fill = |text: &str| {
            text.replace("{H}", &format!("Host: {HOST}\r\n"))
                .replace("{h}", &format!("Host: {HOST}"))
                .replace("{C}", "Transfer-Encoding: chunked\r\n\r\n")
                .replace("{P}", &"-".repeat(71 - SMUGGLED.len()))
                .replace("{S}", SMUGGLED)
        };
        let mut wire = world.connect().await;
        wire.send(fill(template)).await;
        // Leaving ends a request, so the client stays until it has its answers, or is waited for with half a request.
        let answers = match expected {
            Refused => 1,
            Seen(requests) => requests.len(),
        };
        let mut answer = Vec::new();
        let patience = Duration::from_millis(500);
        while String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count() < answers {
            match tokio::time::timeout(patience, wire.stream.read_buf(&mut answer)).await {
                Ok(Ok(1..)) => {}
                _ => break,
            }
        }
        // What else might be made of the bytes gets its moment, then the client leaves.
        let _ = tokio::time::timeout(Duration::from_millis(25), wire.stream.read_buf(&mut answer)).await;
        let _ = wire.stream.shutdown().await;
        let answer = String::from_utf8_lossy(&answer).into_owned() + &wire.rest().await;
        world.stopped().await;
        let seen = seen.lock().unwrap().clone();
        let right = match expected {
            Refused => {
                seen.iter().all(|request| request == CUT_OFF) && (answer.is_empty() || code(&answer).starts_with('4'))
            }
            Seen(requests) => seen == requests.iter().map(|request| fill(request)).collect::<Vec<_>>(),
        };
        if !right {
            failures
                .push(format!("{name}: the app saw {seen:?}, the client {:?}", answer.lines().next().unwrap_or("")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Recorded for a request that ended before it was complete: the app will not act on it.
const CUT_OFF: &str = "cut off";

/// Reads as strictly as it can, records what it read and answers each.
async fn strict_app() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let log = Arc::clone(&log);
            tokio::spawn(async move { serve_strictly(stream, &log).await });
        }
    });
    (addr, seen)
}

async fn serve_strictly(mut stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut buffer = Vec::new();
    loop {
        match strict_request(&buffer) {
            Ok(Some((request, length))) => {
                buffer.drain(..length);
                log.lock().unwrap().push(request);
                let answered = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                if answered.is_err() {
                    return;
                }
            }
            Ok(None) => {
                if within(stream.read_buf(&mut buffer)).await.is_ok_and(|read| read > 0) {
                    continue;
                }
                if !buffer.is_empty() {
                    log.lock().unwrap().push(CUT_OFF.to_owned());
                }
                return;
            }
            Err(why) => {
                log.lock().unwrap().push(format!("{why}: {:?}", String::from_utf8_lossy(&buffer)));
                return;
            }
        }
    }
}

/// One request from the front: what it says and how long it is, `None` when there is more to come.
fn strict_request(bytes: &[u8]) -> Result<Option<(String, usize)>, &'static str> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "not UTF-8")?;
    let mut lines = head.split("\r\n");
    let line: Vec<_> = lines.next().unwrap_or("").split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else { return Err("a bad request line") };
    if method.is_empty() || !target.starts_with('/') || target.contains(|c: char| c.is_ascii_control()) {
        return Err("a bad request line");
    }
    let (mut hosts, mut length, mut chunked) = (0, None, false);
    for line in lines {
        if line.contains(|c: char| c.is_ascii_control() && c != '\t') || line.starts_with([' ', '\t']) {
            return Err("a control character or folding");
        }
        let (name, value) = line.split_once(": ").ok_or("a line that is no header")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err("a bad header name");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" if length.is_none() && value.bytes().all(|b| b.is_ascii_digit()) => {
                length = Some(value.parse::<usize>().map_err(|_| "a bad length")?);
            }
            "content-length" => return Err("a bad or second length"),
            "transfer-encoding" if value == "chunked" && !chunked => chunked = true,
            "transfer-encoding" => return Err("a bad or second coding"),
            "connection" | "upgrade" | "te" | "keep-alive" | "expect" => return Err("a hop-by-hop header"),
            _ => {}
        }
    }
    if hosts != 1 {
        return Err("not one host");
    }
    let start = end + 4;
    let (body, length) = match (length, chunked) {
        (Some(_), true) => return Err("two framings"),
        (None, false) => (String::new(), start),
        (Some(length), false) => match bytes.get(start..start + length) {
            Some(body) => (String::from_utf8_lossy(body).into_owned(), start + length),
            None => return Ok(None),
        },
        (None, true) => {
            let (mut body, mut at) = (String::new(), start);
            loop {
                let Some(line) = bytes[at..].windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
                let digits = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| "a bad chunk size")?;
                let size = usize::from_str_radix(digits, 16).map_err(|_| "a bad chunk size")?;
                at += line + 2;
                let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
                if &chunk[size..] != b"\r\n" {
                    return Err("a bad chunk or trailers that should not have passed");
                }
                body.push_str(&String::from_utf8_lossy(&chunk[..size]));
                at += size + 2;
                if size == 0 {
                    break (body, at);
                }
            }
        }
    };
    Ok(Some((format!("{method} {target} {body}"), length)))
}
