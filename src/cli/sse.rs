//! Reading server-sent events from the daemon.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::client::ClientError;

/// The daemon sends a heartbeat every 15 s; three missed ones mean it hangs.
const SILENCE: Duration = Duration::from_secs(45);
/// An event larger than this is no event of ours.
const MAX_EVENT: usize = 16 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub event: String,
    pub data: String,
}

impl SseEvent {
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.data).map_err(|error| {
            ClientError::Broken(format!(
                "the daemon's event `{}` cannot be read ({error}): is it of another version? restart it",
                self.event
            ))
        })
    }
}

/// Splits bytes into events, however they are cut.
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    current: SseEvent,
    has_data: bool,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event, if its bytes are there.
    fn next(&mut self) -> Option<SseEvent> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.current);
                if std::mem::take(&mut self.has_data) {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.current.event),
                "data" => {
                    if self.has_data {
                        self.current.data.push('\n');
                    }
                    self.current.data.push_str(value);
                    self.has_data = true;
                }
                // Comments (heartbeats), ids, retry times.
                _ => {}
            }
        }
    }
}

/// Events as they arrive.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    parser: Parser,
    /// Keeps the connection driven.
    _connection: super::client::Connection,
}

impl EventStream {
    pub(super) fn new(body: Incoming, connection: super::client::Connection) -> Self {
        Self { body, parser: Parser::default(), _connection: connection }
    }

    /// The next event; `None` when the daemon ended the stream. Cancel-safe: what was read is kept.
    pub async fn next(&mut self) -> Result<Option<SseEvent>, ClientError> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            if self.parser.buffer.len() + self.parser.current.data.len() > MAX_EVENT {
                return Err(ClientError::Broken("the daemon sent an event without end: restart it".to_owned()));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await.map_err(|_| {
                let silence = SILENCE.as_secs();
                ClientError::Broken(format!("the daemon has been silent for {silence} s: look at its own log"))
            })?;
            match frame {
                // A stopping daemon may cut the stream rather than end it.
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    let bytes: Bytes = frame.into_data().unwrap_or_default();
                    self.parser.push(&bytes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let text =
            ": heartbeat\n\nevent: app\ndata: {\"a\":\"일기\"}\n\ndata: one\r\ndata: two\r\n\r\nevent: nothing\n\n";
        let want = [("app", "{\"a\":\"일기\"}"), ("", "one\ntwo")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.push(piece);
                events.extend(std::iter::from_fn(|| parser.next()));
            }
            let got: Vec<_> = events.iter().map(|e| (e.event.as_str(), e.data.as_str())).collect();
            assert_eq!(got, want, "cut every {size} bytes");
        }
    }
}
