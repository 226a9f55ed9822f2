//! Reads the chunked coding of an app's response. Strict: an app that frames wrongly gets its connection closed.

use bytes::{Buf, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// A chunk-size line with extensions, or all trailers, may not be longer.
const LINE_LIMIT: usize = 8 * 1024;
const MAX_TRAILERS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the app sent a response with a broken chunked coding")]
pub(super) struct BadChunk;

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Data(Bytes),
    NeedMore,
    End(Option<HeaderMap>),
}

#[derive(Debug, PartialEq)]
pub(super) enum Chunked {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

impl Chunked {
    /// Takes what it can from the front of `buffer`.
    pub(super) fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, BadChunk> {
        loop {
            match self {
                Self::Size => {
                    let Some(line) = take_line(buffer)? else { return Ok(Step::NeedMore) };
                    *self = match parse_size(&line)? {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Step::NeedMore);
                    }
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    *left -= take as u64;
                    let data = buffer.split_to(take).freeze();
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Step::Data(data));
                }
                Self::DataEnd => {
                    if buffer.len() < 2 {
                        return Ok(Step::NeedMore);
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(BadChunk);
                    }
                    buffer.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    if buffer.starts_with(b"\r\n") {
                        buffer.advance(2);
                        return Ok(Step::End(None));
                    }
                    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
                        return if buffer.len() > LINE_LIMIT { Err(BadChunk) } else { Ok(Step::NeedMore) };
                    };
                    let block = buffer.split_to(end + 4);
                    return Ok(Step::End(Some(parse_trailers(&block)?)));
                }
            }
        }
    }
}

fn take_line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, BadChunk> {
    let Some(end) = buffer.iter().position(|&byte| byte == b'\n') else {
        return if buffer.len() > LINE_LIMIT { Err(BadChunk) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1);
    if line.len() > LINE_LIMIT || !line.ends_with(b"\r\n") {
        return Err(BadChunk);
    }
    Ok(Some(line))
}

fn parse_size(line: &[u8]) -> Result<u64, BadChunk> {
    let line = line.strip_suffix(b"\r\n").ok_or(BadChunk)?;
    let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    // Sixteen digits are all of a u64; `from_str_radix` alone would accept a sign.
    if size.is_empty() || size.len() > 16 || !size.iter().all(u8::is_ascii_hexdigit) || line.contains(&b'\r') {
        return Err(BadChunk);
    }
    let text = std::str::from_utf8(size).map_err(|_| BadChunk)?;
    u64::from_str_radix(text, 16).map_err(|_| BadChunk)
}

fn parse_trailers(block: &[u8]) -> Result<HeaderMap, BadChunk> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(block, &mut fields) else {
        return Err(BadChunk);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadChunk)?;
        trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| BadChunk)?);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `size` bytes; the decoded body, the trailers' count and what is left over.
    fn decode(text: &str, size: usize) -> Result<(String, usize, String), BadChunk> {
        let (mut decoder, mut buffer, mut body) = (Chunked::Size, BytesMut::new(), Vec::new());
        let mut pieces = text.as_bytes().chunks(size);
        loop {
            match decoder.step(&mut buffer)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End(trailers) => {
                    pieces.for_each(|piece| buffer.extend_from_slice(piece));
                    let rest = String::from_utf8(buffer.to_vec()).unwrap();
                    return Ok((String::from_utf8(body).unwrap(), trailers.map_or(0, |map| map.len()), rest));
                }
                Step::NeedMore => buffer.extend_from_slice(pieces.next().ok_or(BadChunk)?),
            }
        }
    }

    #[test]
    fn well_formed_bodies_are_read_however_they_are_cut() {
        for (text, expected) in [
            ("0\r\n\r\n", ("", 0, "")),
            ("5\r\nhello\r\n0\r\n\r\n", ("hello", 0, "")),
            ("5;a=b\r\nhello\r\n1 \r\n!\r\n000\r\n\r\nrest", ("hello!", 0, "rest")),
            ("A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nrest", ("0123456789", 2, "rest")),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                let (body, trailers, rest) = decode(text, size).unwrap();
                assert_eq!((body.as_str(), trailers, rest.as_str()), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "1".repeat(9000);
        for text in [
            "\r\n",
            "+5\r\nhello\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "g\r\n",
            " 5\r\nhello\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "11111111111111111\r\n",
            "5;a\rb\r\nhello\r\n",
            &long,
            "0\r\nbad trailer\r\n\r\n",
            "5\r\nhel",
        ] {
            assert!(decode(text, 3).is_err(), "{text:?}");
        }
    }
}
