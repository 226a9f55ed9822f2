//! Heads as bytes: writes the request an app will see, reads the response it gives.

use std::fmt::Write as _;
use std::mem::MaybeUninit;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::header::{CONNECTION, COOKIE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};

use super::forwarding::{self, Peer, Trust};
use super::gate;
use crate::model::{Audience, Visitors};

const MAX_HEADERS: usize = 100;
/// An app's response head may not be larger. Offsets below are kept as `u16`, so it may not grow either.
pub(super) const MAX_RESPONSE_HEAD: usize = 60 * 1024;

/// How the body's end is told to the app: exactly one of these, whatever the client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body and nothing said about it.
    None,
    Length(u64),
    Chunked,
}

/// Everything about a request that its head needs and the client's own head does not say.
pub(super) struct Outgoing<'a> {
    pub(super) host: &'a str,
    pub(super) framing: Framing,
    /// The protocol asked for, when the request may be upgraded.
    pub(super) upgrade: Option<&'a HeaderValue>,
    pub(super) peer: &'a Peer,
    pub(super) trust: Trust,
    /// As whom the visitor was let in, and by which rule.
    pub(super) visitor: Audience,
    pub(super) visitors: Visitors,
}

/// Headers about one connection (RFC 9110 §7.6.1), and those the gateway writes itself.
fn is_rewritten(name: &str) -> bool {
    is_hop_by_hop(name)
        || matches!(name, "host" | "content-length" | "expect" | "http2-settings" | "proxy-authorization")
        || forwarding::is_forwarding_header(name)
        || is_own(name)
}

/// `X-Paas-*` is the gateway's word to the app about its visitor. Node and CGI-like frameworks may take `_` for `-`.
fn is_own(name: &str) -> bool {
    let own = b"x-paas-";
    name.len() >= own.len()
        && name.bytes().zip(own).all(|(byte, want)| byte == *want || (*want == b'-' && byte == b'_'))
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "te"
            | "upgrade"
            | "proxy-authenticate"
    )
}

/// Calls `named` for every header that `Connection` declares to be about this connection only.
fn connection_names<'a>(values: impl Iterator<Item = &'a [u8]>, mut named: impl FnMut(&'a [u8])) {
    for value in values {
        for token in value.split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            let usual = [&b"keep-alive"[..], b"close", b"upgrade", b"te", b""];
            if !usual.iter().any(|usual| token.eq_ignore_ascii_case(usual)) {
                named(token);
            }
        }
    }
}

/// Appends the head of the request to `out`.
pub(super) fn write_request(out: &mut BytesMut, head: &Parts, to: &Outgoing<'_>) {
    out.reserve(1024);
    out.put_slice(head.method.as_str().as_bytes());
    out.put_u8(b' ');
    let target = head.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    if target.starts_with('?') {
        out.put_u8(b'/');
    }
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\nhost: ");
    out.put_slice(to.host.as_bytes());
    out.put_slice(b"\r\n");

    let mut named: Vec<&[u8]> = Vec::new();
    connection_names(head.headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes), |name| named.push(name));
    for (name, value) in &head.headers {
        let name = name.as_str();
        if is_rewritten(name) || named.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_bytes())) {
            continue;
        }
        if name == COOKIE.as_str() {
            write_cookies(out, value);
        } else if to.visitors.is_open() || !is_method_override(name) {
            write_field(out, name, value);
        }
    }
    out.put_slice(b"x-paas-visitor: ");
    out.put_slice(visitor_word(to.visitor).as_bytes());
    out.put_slice(b"\r\n");
    // With who may change things, to whoever may not: a page can then leave out what they would be refused.
    if to.visitor < to.visitors.change() {
        out.put_slice(b"x-paas-read-only: ");
        out.put_slice(to.visitors.change().word().as_bytes());
        out.put_slice(b"\r\n");
    }
    if head.headers.get("te").is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        out.put_slice(b"te: trailers\r\n");
    }
    match to.framing {
        Framing::None => {}
        // Writing to a buffer cannot fail.
        Framing::Length(length) => {
            let _ = write!(out, "content-length: {length}\r\n");
        }
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    if let Some(protocol) = to.upgrade {
        out.put_slice(b"connection: upgrade\r\n");
        write_field(out, "upgrade", protocol);
    }
    forwarding::write(out, &head.headers, to.peer, to.host, to.trust);
    out.put_slice(b"\r\n");
}

/// As the app is told; the gateway's word is the only one (see [`is_own`]).
fn visitor_word(visitor: Audience) -> &'static str {
    match visitor {
        Audience::Everyone => "everyone",
        Audience::Guests => "guest",
        Audience::Owner => "owner",
    }
}

/// What some frameworks take for the method: who may only look must not change anything by it.
fn is_method_override(name: &str) -> bool {
    matches!(name, "x-http-method-override" | "x-http-method" | "x-method-override")
}

/// The app's cookies, without the gateway's.
fn write_cookies(out: &mut BytesMut, value: &HeaderValue) {
    let kept = gate::without_own(value.as_bytes());
    if !kept.trim_ascii().is_empty() {
        out.put_slice(b"cookie: ");
        out.put_slice(&kept);
        out.put_slice(b"\r\n");
    }
}

fn write_field(out: &mut BytesMut, name: &str, value: &HeaderValue) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

/// The end of a chunked request body. Of the trailers only those pass that could not change how the message is read.
pub(super) fn write_last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        let name = name.as_str();
        let harmless = !is_rewritten(name)
            && !matches!(
                name,
                "authorization" | "cookie" | "trailer" | "content-encoding" | "content-type" | "content-range"
            );
        if harmless {
            write_field(out, name, value);
        }
    }
    out.put_slice(b"\r\n");
}

/// How the response's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Length(u64),
    Chunked,
    Close,
}

/// What an app answered, before its body.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    pub(super) delimiter: Delimiter,
    /// The connection may be used again afterwards.
    pub(super) keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadResponse {
    #[error("the app's answer is not HTTP/1")]
    Syntax,
    #[error("the head of the app's answer is larger than {MAX_RESPONSE_HEAD} bytes")]
    TooLarge,
    #[error("the app's answer does not say clearly how long it is")]
    Framing,
}

/// Reads a response head from the front of `buffer` into the empty map `headers`, without what concerns the connection
/// only. `None` when it is not all there yet, in which case nothing was taken.
pub(super) fn read_response(
    buffer: &mut BytesMut,
    method: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<ResponseHead>, BadResponse> {
    let mut spans = [[0_u16; 4]; MAX_HEADERS];
    let (length, version, status, count) = {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, buffer, &mut fields);
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) if length <= MAX_RESPONSE_HEAD => length,
            Ok(httparse::Status::Partial) if buffer.len() <= MAX_RESPONSE_HEAD => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadResponse::TooLarge),
            Err(_) => return Err(BadResponse::Syntax),
        };
        let start = buffer.as_ptr() as usize;
        let at = |part: &[u8]| {
            let from = part.as_ptr() as usize - start;
            // Both lie within the head, which is shorter than a u16 can say.
            [u16::try_from(from).unwrap_or(0), u16::try_from(from + part.len()).unwrap_or(0)]
        };
        for (span, field) in spans.iter_mut().zip(response.headers.iter()) {
            let ([name, name_end], [value, value_end]) = (at(field.name.as_bytes()), at(field.value));
            *span = [name, name_end, value, value_end];
        }
        (length, response.version, response.code, response.headers.len())
    };
    let head = buffer.split_to(length).freeze();
    let status = status.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(BadResponse::Syntax)?;
    fill(&head, &spans[..count], headers)?;
    let head = frame(status, version == Some(1), method, headers)?;
    strip(headers, status);
    Ok(Some(head))
}

fn fill(head: &Bytes, spans: &[[u16; 4]], headers: &mut HeaderMap) -> Result<(), BadResponse> {
    headers.reserve(spans.len());
    for span in spans {
        let [name, name_end, value, value_end] = span.map(usize::from);
        let name = HeaderName::from_bytes(&head[name..name_end]).map_err(|_| BadResponse::Syntax)?;
        let value = HeaderValue::from_maybe_shared(head.slice(value..value_end)).map_err(|_| BadResponse::Syntax)?;
        headers.append(name, value);
    }
    Ok(())
}

/// RFC 9112 §6.3, except that an answer with an ambiguous length is refused rather than repaired.
fn frame(
    status: StatusCode,
    is_http_11: bool,
    method: &Method,
    headers: &HeaderMap,
) -> Result<ResponseHead, BadResponse> {
    let mut keep_alive = is_http_11;
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|&byte| byte == b',') {
            if token.trim_ascii().eq_ignore_ascii_case(b"close") {
                keep_alive = false;
            }
        }
    }
    let mut lengths = headers.get_all("content-length").iter();
    let length = lengths.next().map(parse_length).transpose()?;
    if lengths.next().is_some() {
        return Err(BadResponse::Framing);
    }
    let mut codings = headers.get_all("transfer-encoding").iter();
    let coding = codings.next();
    if codings.next().is_some() || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(BadResponse::Framing);
    }
    let bodyless = method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let delimiter = match (bodyless, coding, length) {
        (true, ..) => Delimiter::Length(0),
        (_, Some(_), Some(_)) => return Err(BadResponse::Framing),
        (_, Some(_), None) if !is_http_11 => return Err(BadResponse::Framing),
        (_, Some(_), None) => Delimiter::Chunked,
        (_, None, Some(length)) => Delimiter::Length(length),
        (_, None, None) => Delimiter::Close,
    };
    let keep_alive = keep_alive && delimiter != Delimiter::Close;
    Ok(ResponseHead { status, delimiter, keep_alive })
}

/// `from_str` alone would accept `+5`.
fn parse_length(value: &HeaderValue) -> Result<u64, BadResponse> {
    let text = value.to_str().map_err(|_| BadResponse::Framing)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadResponse::Framing);
    }
    text.parse().map_err(|_| BadResponse::Framing)
}

fn strip(headers: &mut HeaderMap, status: StatusCode) {
    if headers.contains_key(CONNECTION) {
        let mut named: Vec<HeaderName> = Vec::new();
        connection_names(headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes), |name| {
            // Not a header name: then no header has it.
            named.extend(HeaderName::from_bytes(name).ok());
        });
        for name in named {
            // How the message is framed is never up to this list.
            if name != hyper::header::CONTENT_LENGTH {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
    for name in ["keep-alive", "transfer-encoding", "proxy-connection", "proxy-authenticate", "te"] {
        headers.remove(name);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove("upgrade");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, method: &Method) -> Result<Option<(ResponseHead, String)>, BadResponse> {
        let mut headers = HeaderMap::new();
        let mut buffer = BytesMut::from(text);
        let head = read_response(&mut buffer, method, &mut headers)?;
        let names: Vec<_> = headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        Ok(head.map(|head| (head, names.join(" "))))
    }

    #[test]
    fn a_response_s_end_is_known_from_its_head() {
        use Delimiter::{Chunked, Close, Length};
        for (text, method, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::GET, (Length(5), true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::HEAD, (Length(0), true)),
            ("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", Method::GET, (Length(0), true)),
            ("HTTP/1.1 204 x\r\n\r\n", Method::GET, (Length(0), true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Method::GET, (Chunked, true)),
            ("HTTP/1.1 200 OK\r\n\r\n", Method::GET, (Close, false)),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", Method::GET, (Length(0), false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Method::GET, (Length(0), false)),
        ] {
            let (head, _) = read(text, &method).unwrap().unwrap();
            assert_eq!((head.delimiter, head.keep_alive), expected, "{text:?} {method}");
        }
    }

    #[test]
    fn an_ambiguous_or_broken_response_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 99 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "hello\r\n\r\n",
        ] {
            assert!(read(text, &Method::GET).is_err(), "{text:?}");
        }
        assert!(read("HTTP/1.1 200 OK\r\nA: b\r\n", &Method::GET).unwrap().is_none());
    }

    #[test]
    fn what_concerns_the_connection_only_stays_on_it() {
        let text = "HTTP/1.1 200 OK\r\nConnection: close, X-Hop, content-length\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                    Upgrade: h2c\r\nProxy-Connection: x\r\nContent-Length: 0\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
        let (_, headers) = read(text, &Method::GET).unwrap().unwrap();
        insta::assert_snapshot!(headers, @"content-length=0 set-cookie=a set-cookie=b");
    }

    #[test]
    fn the_request_an_app_sees_is_written_anew() {
        let head = hyper::Request::post("http://evil.test/a?b=c")
            .header("connection", "keep-alive, X-Secret")
            .header("x-secret", "1")
            .header("te", "trailers")
            .header("transfer-encoding", "chunked")
            .header("content-length", "7")
            .header("cookie", "a=b")
            .header("x-forwarded-for", "1.2.3.4")
            .header("X-Paas-Visitor", "owner")
            .header("x_paas_visitor", "owner")
            .header("X-Paas-Read-Only", "owner")
            .header("x-paas", "kept")
            .header("forwarded", "for=1.2.3.4")
            .header("upgrade", "h2c")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let peer = Peer::new([10, 0, 0, 9].into());
        let to = Outgoing {
            host: "a.test",
            framing: Framing::Chunked,
            upgrade: None,
            peer: &peer,
            trust: Trust::Replaced,
            visitor: Audience::Everyone,
            visitors: Visitors::EVERYONE,
        };
        let mut out = BytesMut::new();
        write_request(&mut out, &head, &to);
        insta::assert_snapshot!(std::str::from_utf8(&out).unwrap().replace("\r\n", "\n"), @r"
        POST /a?b=c HTTP/1.1
        host: a.test
        cookie: a=b
        x-paas: kept
        x-paas-visitor: everyone
        te: trailers
        transfer-encoding: chunked
        x-forwarded-for: 10.0.0.9
        x-forwarded-proto: http
        x-forwarded-host: a.test
        x-real-ip: 10.0.0.9
        ");
    }
}
