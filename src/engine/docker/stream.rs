//! Answers that come piece by piece: events, build output, logs.

mod build;
mod logs;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::failure::{Call, Failure};
use super::wire;
use crate::engine::{EngineEvent, Result};

pub(super) use self::build::Build;
pub(super) use self::logs::Logs;

/// Docker's JSON messages are below 64 KiB; a line without an end is not one of them.
const JSON_LINE_LIMIT: usize = 1 << 20;
/// A longer line of text is delivered in pieces of this size.
const TEXT_LINE_LIMIT: usize = 64 << 10;

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

/// Feeds the bytes cut at every multiple of `step`.
#[cfg(test)]
fn run<D: Decoder + Default>(bytes: &[u8], step: usize) -> (Vec<D::Item>, Result<(), Failure>) {
    let mut decoder = D::default();
    let mut items = VecDeque::new();
    for piece in bytes.chunks(step) {
        if let Err(failure) = decoder.feed(piece, &mut items) {
            return (items.into(), Err(failure));
        }
    }
    let end = decoder.finish(&mut items);
    (items.into(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_unknown_kinds_are_passed_on() {
        let bytes = br#"{"Type":"moon","Action":"rise","Actor":{"ID":"m"},"timeNano":5}
{"Type":"container","Action":"start","Actor":{"ID":"c","Attributes":{"name":"x"}},"timeNano":7}
"#;
        for step in [1, 7, 1000] {
            let (events, end) = run::<Events>(bytes, step);
            assert!(end.is_ok());
            let seen: Vec<_> = events.iter().map(|e| (e.object.as_str(), e.action.as_str(), e.at_nanos)).collect();
            assert_eq!(seen, [("moon", "rise", 5), ("container", "start", 7)]);
        }
    }

    #[test]
    fn an_event_cut_in_the_middle_is_a_broken_connection_and_nonsense_is_not() {
        let (events, end) = run::<Events>(b"{\"Type\":\"container\"}\n{\"Type\":\"cont", 4);
        assert_eq!(events.len(), 1);
        assert!(matches!(end, Err(Failure::Broken(None))), "{end:?}");
        let (_, end) = run::<Events>(b"<html>\n", 4);
        assert!(matches!(end, Err(Failure::Garbled(_))), "{end:?}");
        let (_, end) = run::<Events>(&vec![b'['; JSON_LINE_LIMIT + 100], 8192);
        assert!(matches!(end, Err(Failure::Garbled(_))), "{end:?}");
    }
}
