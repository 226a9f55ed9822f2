//! A small form that a page of the gateway sends (`application/x-www-form-urlencoded`).

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};

/// A password has 72 bytes at most, three times that when it is encoded, and a path 2,000.
const MAX_BYTES: usize = 8 << 10;
/// For the whole of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fields of a form, in order; `None`: it is too large, too slow or broken.
pub(super) async fn read(body: Incoming) -> Option<Vec<(String, String)>> {
    let bytes = tokio::time::timeout(PATIENCE, collect(body)).await.ok()??;
    Some(parse(&bytes))
}

async fn collect(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            if bytes.len() + data.len() > MAX_BYTES {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes)
}

/// Also of a query.
pub(super) fn parse(bytes: &[u8]) -> Vec<(String, String)> {
    let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
        })
        .collect()
}

pub(super) fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
                bytes.push(u8::try_from(digit(high) << 4 | digit(low)).unwrap_or_default());
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as it stands in a query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            safe.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let fields = parse("password=%EC%9A%B0%EB%A6%AC+%EC%A7%91%21&to=%2Fa%3Fb%3Dc&broken=%zz%4&=x&flag".as_bytes());
        let want = [("password", "우리 집!"), ("to", "/a?b=c"), ("broken", "%zz%4"), ("", "x"), ("flag", "")];
        assert_eq!(fields, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(field(&fields, "to"), Some("/a?b=c"));
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let text = "/a b?c=d&e=#한글+%";
        assert_eq!(parse(format!("to={}", encode(text)).as_bytes()), [("to".to_owned(), text.to_owned())]);
    }
}
