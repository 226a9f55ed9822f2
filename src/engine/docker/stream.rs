//! Answers that come piece by piece: events, build output, logs.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::failure::{Call, Failure};
use super::wire;
use crate::engine::{BuildEvent, EngineEvent, LogLine, LogSource, Result};

/// Docker's JSON messages are below 64 KiB; a line without an end is not one of them.
const JSON_LINE_LIMIT: usize = 1 << 20;
/// A longer log line is delivered in pieces of this size.
const LOG_LINE_LIMIT: usize = 64 << 10;

/// Turns bytes into items. Items come out in the order of the bytes however these were cut.
pub(super) trait Decoder: Send + 'static {
    type Item: Send + 'static;
    fn feed(&mut self, bytes: &[u8], items: &mut VecDeque<Self::Item>) -> Result<(), Failure>;
    /// The answer ended properly.
    fn finish(&mut self, items: &mut VecDeque<Self::Item>) -> Result<(), Failure>;
}

struct Decoding<D: Decoder> {
    body: Incoming,
    decoder: D,
    items: VecDeque<D::Item>,
    /// How the stream ends once the items are out; `None` while it goes on.
    ending: Option<Result<(), Failure>>,
    idle: Option<Duration>,
    call: Call,
}

/// Decodes a body to its end. The first error is the last item. `idle` bounds the silence between two pieces.
pub(super) fn decode<D: Decoder>(
    body: Incoming,
    decoder: D,
    idle: Option<Duration>,
    call: Call,
) -> BoxStream<'static, Result<D::Item>> {
    let start = Decoding { body, decoder, items: VecDeque::new(), ending: None, idle, call };
    stream::unfold(start, |mut state| async move {
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some((Ok(item), state));
            }
            match state.ending.take() {
                Some(Ok(())) => return None,
                Some(Err(failure)) => {
                    state.ending = Some(Ok(()));
                    return Some((Err(failure.into_error(&state.call)), state));
                }
                None => state.ending = state.read().await,
            }
        }
    })
    .boxed()
}

impl<D: Decoder> Decoding<D> {
    async fn read(&mut self) -> Option<Result<(), Failure>> {
        let next = match self.idle {
            Some(idle) => match tokio::time::timeout(idle, self.body.frame()).await {
                Ok(next) => next,
                Err(_) => return Some(Err(Failure::Deadline(idle))),
            },
            None => self.body.frame().await,
        };
        match next {
            Some(Ok(frame)) => {
                let fed = frame.data_ref().map_or(Ok(()), |bytes| self.decoder.feed(bytes, &mut self.items));
                fed.err().map(Err)
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => Some(self.decoder.finish(&mut self.items)),
        }
    }
}

/// Cuts bytes into lines of JSON.
#[derive(Debug, Default)]
struct JsonLines {
    buffer: BytesMut,
    /// Bytes at the front already searched for a line end.
    searched: usize,
}

impl JsonLines {
    fn feed<T: serde::de::DeserializeOwned>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end + 1);
            self.searched = 0;
            let line = line.trim_ascii();
            if !line.is_empty() {
                each(serde_json::from_slice(line)?)?;
            }
        }
        self.searched = self.buffer.len();
        if self.searched > JSON_LINE_LIMIT {
            return Err(Failure::Garbled(format!("a line of more than {} KiB", JSON_LINE_LIMIT >> 10)));
        }
        Ok(())
    }

    /// What is left without a line end is either one more message or the stump of one.
    fn finish<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let rest = self.buffer.trim_ascii();
        if rest.is_empty() {
            return Ok(None);
        }
        match serde_json::from_slice(rest) {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.is_eof() => Err(Failure::Broken(None)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Events. A type or action of the future is passed on as it is.
#[derive(Debug, Default)]
pub(super) struct Events(JsonLines);

impl Decoder for Events {
    type Item = EngineEvent;

    fn feed(&mut self, bytes: &[u8], items: &mut VecDeque<EngineEvent>) -> Result<(), Failure> {
        self.0.feed(bytes, |event: wire::Event| {
            items.push_back(event.into());
            Ok(())
        })
    }

    fn finish(&mut self, items: &mut VecDeque<EngineEvent>) -> Result<(), Failure> {
        items.extend(self.0.finish::<wire::Event>()?.map(EngineEvent::from));
        Ok(())
    }
}

/// Output of the classic builder.
#[derive(Debug, Default)]
pub(super) struct Build {
    json: JsonLines,
    /// A line of output that has not ended yet.
    open: String,
    image: Option<String>,
}

impl Build {
    fn take(&mut self, message: wire::BuildLine, items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        if !message.stream.is_empty() {
            self.open.push_str(&message.stream);
            // A progress bar redraws its line with carriage returns.
            while let Some(end) = self.open.find(['\n', '\r']) {
                let line: String = self.open.drain(..=end).collect();
                push_output(line.trim_end(), items);
            }
            if self.open.len() > LOG_LINE_LIMIT {
                push_output(&std::mem::take(&mut self.open), items);
            }
        }
        // Progress of a download comes many times a second; its beginning and end come without a bar.
        if !message.status.is_empty() && message.progress.is_empty() {
            let line =
                if message.id.is_empty() { message.status } else { format!("{}: {}", message.id, message.status) };
            push_output(line.trim_end(), items);
        }
        if !message.aux.id.is_empty() {
            self.image = Some(message.aux.id);
        }
        let error = if message.error.is_empty() { message.detail.message } else { message.error };
        if error.is_empty() {
            return Ok(());
        }
        push_output(&std::mem::take(&mut self.open), items);
        Err(Failure::Refused(super::transport::one_line(&error)))
    }
}

fn push_output(line: &str, items: &mut VecDeque<BuildEvent>) {
    if !line.is_empty() {
        items.push_back(BuildEvent::Output(line.to_owned()));
    }
}

impl Decoder for Build {
    type Item = BuildEvent;

    fn feed(&mut self, bytes: &[u8], items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        let mut json = std::mem::take(&mut self.json);
        let fed = json.feed(bytes, |message| self.take(message, items));
        self.json = json;
        fed
    }

    fn finish(&mut self, items: &mut VecDeque<BuildEvent>) -> Result<(), Failure> {
        if let Some(message) = self.json.finish()? {
            self.take(message, items)?;
        }
        push_output(&std::mem::take(&mut self.open), items);
        let image = self.image.take().ok_or(Failure::Broken(None))?;
        items.push_back(BuildEvent::Built(image));
        Ok(())
    }
}

/// Logs: frames of stdout and stderr, put together to lines.
#[derive(Debug, Default)]
pub(super) struct Logs {
    state: LogState,
    /// Bytes of an incomplete header.
    header: BytesMut,
    stdout: BytesMut,
    stderr: BytesMut,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LogState {
    #[default]
    Header,
    /// So many bytes of this source are still to come.
    Payload(LogSource, u32),
    /// A container with a terminal: no frames, all is stdout.
    Raw,
}

/// Length of a frame's header: source, three zeros, big-endian length.
const HEADER: usize = 8;

impl Decoder for Logs {
    type Item = LogLine;

    fn feed(&mut self, mut bytes: &[u8], items: &mut VecDeque<LogLine>) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.state {
                LogState::Header => {
                    let wanted = (HEADER - self.header.len()).min(bytes.len());
                    self.header.extend_from_slice(&bytes[..wanted]);
                    bytes = &bytes[wanted..];
                    self.read_header(items);
                }
                LogState::Payload(source, left) => {
                    let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.text(source, &bytes[..here], items);
                    bytes = &bytes[here..];
                    let left = left - u32::try_from(here).unwrap_or(left);
                    self.state = if left == 0 { LogState::Header } else { LogState::Payload(source, left) };
                }
                LogState::Raw => {
                    self.text(LogSource::Stdout, bytes, items);
                    bytes = &[];
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, items: &mut VecDeque<LogLine>) -> Result<(), Failure> {
        for source in [LogSource::Stdout, LogSource::Stderr] {
            let rest = std::mem::take(self.buffer(source));
            if !rest.is_empty() {
                items.push_back(line(source, &rest));
            }
        }
        match self.state {
            LogState::Header if self.header.is_empty() => Ok(()),
            LogState::Raw => Ok(()),
            LogState::Header | LogState::Payload(..) => Err(Failure::Broken(None)),
        }
    }
}

impl Logs {
    fn read_header(&mut self, items: &mut VecDeque<LogLine>) {
        let framed = self.header[0] <= 3 && self.header.iter().take(4).skip(1).all(|byte| *byte == 0);
        if !framed {
            self.state = LogState::Raw;
            let text = std::mem::take(&mut self.header);
            self.text(LogSource::Stdout, &text, items);
        } else if self.header.len() == HEADER {
            // 3 is Docker's own error about the log; it belongs where errors go.
            let source = if self.header[0] <= 1 { LogSource::Stdout } else { LogSource::Stderr };
            let mut length = &self.header[4..];
            let length = length.get_u32();
            self.header.clear();
            self.state = if length == 0 { LogState::Header } else { LogState::Payload(source, length) };
        }
    }

    fn buffer(&mut self, source: LogSource) -> &mut BytesMut {
        match source {
            LogSource::Stdout => &mut self.stdout,
            LogSource::Stderr => &mut self.stderr,
        }
    }

    fn text(&mut self, source: LogSource, bytes: &[u8], items: &mut VecDeque<LogLine>) {
        let buffer = self.buffer(source);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            buffer.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            emit_full_pieces(source, buffer, items);
            items.push_back(line(source, &buffer.split()));
        }
        buffer.extend_from_slice(rest);
        emit_full_pieces(source, buffer, items);
    }
}

/// Keeps the open line below the limit by delivering its beginning, cut between characters.
fn emit_full_pieces(source: LogSource, buffer: &mut BytesMut, items: &mut VecDeque<LogLine>) {
    while buffer.len() > LOG_LINE_LIMIT {
        let is_start = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
        let cut =
            (LOG_LINE_LIMIT - 3..=LOG_LINE_LIMIT).rev().find(|at| is_start(buffer[*at])).unwrap_or(LOG_LINE_LIMIT);
        items.push_back(line(source, &buffer.split_to(cut)));
    }
}

fn line(source: LogSource, bytes: &[u8]) -> LogLine {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    LogLine { source, text: String::from_utf8_lossy(bytes).into_owned() }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
