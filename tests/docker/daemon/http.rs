//! One HTTP request over any stream, as bare as a person with `nc` would send it.

use std::io::{self, Read, Write};

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends one request and reads the answer to its end.
pub(crate) fn exchange(
    stream: impl Read + Write,
    method: &str,
    path: &str,
    host: &str,
    body: Option<(&str, &[u8])>,
) -> io::Result<Answer> {
    exchange_as(stream, None, method, path, host, body)
}

/// The same, with an API key.
pub(crate) fn exchange_as(
    mut stream: impl Read + Write,
    key: Option<&str>,
    method: &str,
    path: &str,
    host: &str,
    body: Option<(&str, &[u8])>,
) -> io::Result<Answer> {
    let key = key.map_or_else(String::new, |key| format!("X-API-Key: {key}\r\n"));
    let (kind, content) = body.unwrap_or(("application/json", b""));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{key}Connection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(content)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::other(format!("a broken answer: {:?}", String::from_utf8_lossy(&bytes))))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &bytes[end + 4..];
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some("chunked"), _) => unchunked(body)?,
        // A body that broke off is no answer.
        (_, Some(length)) if length.parse() != Ok(body.len()) => return None,
        _ => body.to_vec(),
    };
    Some(Answer { status, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}
