//! Logs: frames of stdout and stderr, put together to lines.

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};

use super::{Decoder, TEXT_LINE_LIMIT};
use crate::engine::docker::failure::Failure;
use crate::engine::{LogLine, LogSource, Result};

/// Logs: frames of stdout and stderr, put together to lines.
#[derive(Debug, Default)]
pub(in crate::engine::docker) struct Logs {
    state: LogState,
    /// Bytes of an incomplete header.
    header: BytesMut,
    /// The beginning of a frame until it is known whether it is a time.
    stamp: BytesMut,
    stdout: Open,
    stderr: Open,
}

/// The line that is being put together.
#[derive(Debug, Default)]
struct Open {
    text: BytesMut,
    at: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LogState {
    #[default]
    Header,
    /// A frame begins with the time of its message; so many bytes of it are still to come.
    Stamp(LogSource, u32),
    /// So many bytes of this source are still to come.
    Payload(LogSource, u32),
    /// A container with a terminal: no frames, all is stdout.
    Raw,
}

/// Length of a frame's header: source, three zeros, big-endian length.
const HEADER: usize = 8;
/// Length of `2026-11-23T10:00:00.123456789Z ` (RFC 3339 with nine decimals and a space), as `timestamps=1` asks for.
const STAMP: usize = 31;

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
                LogState::Stamp(source, left) => {
                    let wanted = (STAMP - self.stamp.len()).min(bytes.len());
                    let here = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.stamp.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    let left = left - u32::try_from(here).unwrap_or(left);
                    if left == 0 || self.stamp.len() == STAMP {
                        self.read_stamp(source, items);
                        self.state = if left == 0 { LogState::Header } else { LogState::Payload(source, left) };
                    } else {
                        self.state = LogState::Stamp(source, left);
                    }
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
        if let LogState::Stamp(source, _) = self.state {
            self.read_stamp(source, items);
        }
        for source in [LogSource::Stdout, LogSource::Stderr] {
            let rest = std::mem::take(self.open(source));
            if !rest.text.is_empty() {
                items.push_back(line(source, rest.at, &rest.text));
            }
        }
        match self.state {
            LogState::Header if self.header.is_empty() => Ok(()),
            LogState::Raw => Ok(()),
            LogState::Header | LogState::Stamp(..) | LogState::Payload(..) => Err(Failure::Broken(None)),
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
            self.state = if length == 0 { LogState::Header } else { LogState::Stamp(source, length) };
        }
    }

    /// Takes a frame's beginning as the time of the line it begins, or as text if it is none.
    fn read_stamp(&mut self, source: LogSource, items: &mut VecDeque<LogLine>) {
        let stamp = std::mem::take(&mut self.stamp);
        match time_of(&stamp) {
            Some(time) => {
                let open = self.open(source);
                // A long message comes in several frames; its line keeps the time of the first.
                if open.text.is_empty() {
                    open.at = Some(time.to_owned());
                }
            }
            None => self.text(source, &stamp, items),
        }
    }

    fn open(&mut self, source: LogSource) -> &mut Open {
        match source {
            LogSource::Stdout => &mut self.stdout,
            LogSource::Stderr => &mut self.stderr,
        }
    }

    fn text(&mut self, source: LogSource, bytes: &[u8], items: &mut VecDeque<LogLine>) {
        let open = self.open(source);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            open.text.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            emit_full_pieces(source, open, items);
            items.push_back(line(source, open.at.clone(), &open.text.split()));
        }
        open.text.extend_from_slice(rest);
        emit_full_pieces(source, open, items);
    }
}

/// The time at the beginning of a frame, in the spelling that sorts.
fn time_of(stamp: &[u8]) -> Option<&str> {
    let (time, space) = stamp.split_at_checked(STAMP - 1)?;
    let shape = b"0000-00-00T00:00:00.000000000Z";
    let fits = space == b" "
        && time.iter().zip(shape).all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like });
    std::str::from_utf8(time).ok().filter(|_| fits)
}

/// Keeps the open line below the limit by delivering its beginning, cut between characters.
fn emit_full_pieces(source: LogSource, open: &mut Open, items: &mut VecDeque<LogLine>) {
    while open.text.len() > TEXT_LINE_LIMIT {
        let is_start = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
        let cut = (TEXT_LINE_LIMIT - 3..=TEXT_LINE_LIMIT)
            .rev()
            .find(|at| is_start(open.text[*at]))
            .unwrap_or(TEXT_LINE_LIMIT);
        items.push_back(line(source, open.at.clone(), &open.text.split_to(cut)));
    }
}

fn line(source: LogSource, at: Option<String>, bytes: &[u8]) -> LogLine {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    LogLine { source, at, text: String::from_utf8_lossy(bytes).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::run;
    use super::*;

    fn frame(source: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![source, 0, 0, 0];
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(text);
        bytes
    }

    fn texts(lines: &[LogLine]) -> Vec<(LogSource, &str)> {
        lines.iter().map(|line| (line.source, line.text.as_str())).collect()
    }

    #[test]
    fn log_lines_are_whole_however_the_bytes_are_cut() {
        let bytes =
            [frame(1, b"one\ntw"), frame(2, b"err 1\r\n"), frame(1, b""), frame(1, b"o\n\nthree"), frame(2, b"last")]
                .concat();
        let expected = [
            (LogSource::Stdout, "one"),
            (LogSource::Stderr, "err 1"),
            (LogSource::Stdout, "two"),
            (LogSource::Stdout, ""),
            (LogSource::Stdout, "three"),
            (LogSource::Stderr, "last"),
        ];
        for step in 1..=bytes.len() {
            let (lines, end) = run::<Logs>(&bytes, step);
            assert!(end.is_ok(), "step {step}");
            assert_eq!(texts(&lines), expected, "step {step}");
        }
    }

    #[test]
    fn a_time_belongs_to_its_line_however_the_bytes_are_cut() {
        let (first, second) = ("2026-11-23T10:00:00.000000001Z", "2026-11-23T10:00:00.000000002Z");
        let stamped = |time: &str, text: &str| frame(1, format!("{time} {text}").as_bytes());
        let bytes = [
            stamped(first, "one\n"),
            stamped(first, "half of "),
            stamped(second, "a line\n"),
            frame(2, b"no time\n"),
            frame(1, b"2026-11-23T10:00:00 not this\n"),
            stamped(second, "\n"),
        ]
        .concat();
        let expected = [
            (Some(first), "one"),
            (Some(first), "half of a line"),
            (None, "no time"),
            (Some(first), "2026-11-23T10:00:00 not this"),
            (Some(second), ""),
        ];
        for step in 1..=bytes.len() {
            let (lines, end) = run::<Logs>(&bytes, step);
            assert!(end.is_ok(), "step {step}");
            let found: Vec<_> = lines.iter().map(|line| (line.at.as_deref(), line.text.as_str())).collect();
            assert_eq!(found, expected, "step {step}");
        }
    }

    #[test]
    fn a_terminals_log_has_no_frames() {
        for step in [1, 3, 100] {
            let (lines, end) = run::<Logs>(b"hello\r\nworld", step);
            assert!(end.is_ok());
            assert_eq!(texts(&lines), [(LogSource::Stdout, "hello"), (LogSource::Stdout, "world")]);
        }
    }

    #[test]
    fn an_endless_line_comes_in_pieces_cut_between_characters() {
        let text = "é".repeat(TEXT_LINE_LIMIT);
        let bytes: Vec<u8> = text.as_bytes().chunks(16_383).flat_map(|piece| frame(1, piece)).collect();
        let (lines, end) = run::<Logs>(&bytes, 10_000);
        assert!(end.is_ok());
        assert!(lines.iter().all(|line| line.text.len() <= TEXT_LINE_LIMIT));
        assert_eq!(lines.into_iter().map(|line| line.text).collect::<String>(), text);
    }

    #[test]
    fn a_log_cut_off_within_a_frame_says_so_after_what_came() {
        let bytes = frame(1, b"one\ntwo\n");
        let (lines, end) = run::<Logs>(&bytes[..bytes.len() - 2], 100);
        assert_eq!(texts(&lines), [(LogSource::Stdout, "one"), (LogSource::Stdout, "tw")]);
        assert!(matches!(end, Err(Failure::Broken(None))), "{end:?}");
    }
}
