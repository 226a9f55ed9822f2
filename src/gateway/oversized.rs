//! A request whose head is too large to be read. hyper answers it by itself, with nothing in it; who asked is told here what
//! to do, from what of the head was read. Most often it is cookies: a page can set them for a whole domain, and nothing on
//! that domain can be opened any more until they are gone.

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue};

use super::body::GatewayBody;
use super::language::{Language, language};
use super::pages::Page;

/// What is known of it.
pub(crate) struct Oversized {
    pub(crate) language: Language,
    /// Cookies are most of it. Only then may they be deleted: any page can make a browser ask for an address that is too
    /// long, and must not be able to sign its visitor out that way.
    pub(crate) is_cookies: bool,
    headers: HeaderMap,
}

impl Oversized {
    /// `head` begins where the request does; its end may be missing.
    pub(crate) fn read(head: &[u8]) -> Self {
        let mut headers = HeaderMap::new();
        let mut cookies = 0;
        for line in head.split(|&byte| byte == b'\n').skip(1) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"cookie") {
                cookies += line.len();
            }
            for wanted in [ACCEPT, ACCEPT_LANGUAGE] {
                if name.eq_ignore_ascii_case(wanted.as_str().as_bytes())
                    && let Ok(value) = HeaderValue::from_bytes(value)
                {
                    headers.append(wanted, value);
                }
            }
        }
        Self { language: language(&headers), is_cookies: cookies > head.len() / 2, headers }
    }

    /// The gateway's answer to it, as bytes: hyper sends none of ours any more. The connection ends with it.
    pub(super) fn answer(&self) -> Bytes {
        let page = if self.is_cookies { Page::TooManyCookies } else { Page::HeadTooLarge };
        let response = page.response(&self.headers, None);
        let (head, body) = response.into_parts();
        let GatewayBody::Full(body) = body else { return Bytes::new() };
        let mut out = BytesMut::with_capacity(1024 + body.len());
        out.put_slice(b"HTTP/1.1 ");
        out.put_slice(head.status.as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
        let mut field = |name: &HeaderName, value: &[u8]| {
            out.put_slice(b"\r\n");
            out.put_slice(name.as_str().as_bytes());
            out.put_slice(b": ");
            out.put_slice(value);
        };
        for (name, value) in &head.headers {
            field(name, value.as_bytes());
        }
        field(&CONNECTION, b"close");
        field(&CONTENT_LENGTH, body.len().to_string().as_bytes());
        out.put_slice(b"\r\n\r\n");
        out.put_slice(&body);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_from_the_part_that_was_read() {
        let long = "x".repeat(1_000);
        for (head, language, is_cookies) in [
            (format!("GET / HTTP/1.1\r\nAccept-Language: ko\r\nCookie: {long}"), Language::Korean, true),
            (format!("GET / HTTP/1.1\r\nCOOKIE:{long}\r\naccept-language: ko\r\n"), Language::Korean, true),
            (format!("GET / HTTP/1.1\nCookie: {long}\nCookie: {long}\n"), Language::English, true),
            (format!("GET / HTTP/1.1\r\nCookie: a\r\nX: {long}\r\nAccept-Lang"), Language::English, false),
            (format!("GET /?cookie:{long} HTTP/1.1\r\nCookie: a\r\n"), Language::English, false),
            (format!("GET /{long}"), Language::English, false),
            (String::new(), Language::English, false),
        ] {
            let read = Oversized::read(head.as_bytes());
            assert_eq!((read.language, read.is_cookies), (language, is_cookies), "{head}");
        }
    }
}
