//! What is no request at all reaches no router: hyper itself answers it, with an empty body, and has no hook for that. Its
//! answer is recognised on the way out and replaced by one in the envelope that every other answer has.
//!
//! It is recognised by one of three statuses, an empty body, and the lack of the request's id, which every answer of ours
//! carries. Where it leaves together with the end of an earlier answer it is sent as it is.
//!
//! That a head is too large is said after hyper has ended, because then the head can be looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::code;
use super::envelope::{ApiError, said};
use super::frame::REQUEST_ID;
use crate::gateway::{Language, Oversized};

/// How long a client may take to hear why its connection ends.
const LAST_WORD: Duration = Duration::from_secs(1);
/// What is thrown away of a head that goes on and on. Closing on unread input resets the connection, and the reset overtakes
/// the answer.
const LEFTOVER: u64 = 256 << 10;

/// Wraps a connection; see the module.
#[derive(Debug)]
pub(super) struct Enveloped<T> {
    inner: T,
    /// What is left to send of an answer that replaces hyper's.
    instead: Bytes,
    /// hyper has refused a head as too large, and nothing was sent of that.
    is_withholding: bool,
}

impl<T> Enveloped<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, instead: Bytes::new(), is_withholding: false }
    }
}

impl<T: AsyncWrite + Unpin> Enveloped<T> {
    /// `None`: these are bytes of ours.
    fn replace(&mut self, cx: &mut Context<'_>, written: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_empty() && !self.is_withholding {
            match in_envelope(written)? {
                Instead::Answer(answer) => self.instead = answer,
                Instead::Oversized => self.is_withholding = true,
            }
        }
        while !self.instead.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, &self.instead) {
                Poll::Ready(Ok(count)) if count > 0 => self.instead.advance(count),
                other => return Some(other),
            }
        }
        // To whoever wrote it, it is written.
        Some(Poll::Ready(Ok(written.len())))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Enveloped<T> {
    /// After hyper has ended: says what it was kept from saying of `head`, if anything.
    pub(super) async fn say_withheld(mut self, head: &[u8]) {
        if !self.is_withholding {
            return;
        }
        let said = async {
            if let Ok(answer) = oversized(&Oversized::read(head)) {
                self.inner.write_all(&answer).await?;
                self.inner.shutdown().await?;
            }
            tokio::io::copy(&mut self.inner.take(LEFTOVER), &mut tokio::io::sink()).await
        };
        // Whoever does not listen has not heard it.
        let _ = tokio::time::timeout(LAST_WORD, said).await;
    }
}

/// What is sent in place of an answer that hyper makes by itself.
enum Instead {
    Answer(Bytes),
    /// Nothing yet, see [`Enveloped::say_withheld`].
    Oversized,
}

fn in_envelope(written: &[u8]) -> Option<Instead> {
    // Every write passes here; few get any further.
    let head = std::str::from_utf8(written.strip_prefix(b"HTTP/1.1 4")?).ok()?.strip_suffix("\r\n\r\n")?;
    if head.contains(REQUEST_ID.as_str()) || !head.contains("content-length: 0") {
        return None;
    }
    let error = match head.split_once(' ')?.0 {
        "00" => ApiError::new(
            code::MALFORMED,
            said!(
                "this is no HTTP/1.1 request: send a request line and headers as RFC 9112 has them",
                "HTTP/1.1 요청이 아닙니다: 요청 줄과 헤더를 RFC 9112에 맞게 보내세요"
            ),
        ),
        "14" => ApiError::new(
            code::PATH_TOO_LONG,
            said!(
                "the path is too long: see /docs for what there is",
                "경로가 너무 깁니다: /docs에서 경로를 확인하세요"
            ),
        ),
        "31" => return Some(Instead::Oversized),
        _ => return None,
    };
    // In English: which language is wanted was in what could not be read.
    answer(&error, Language::English, "").ok().map(Instead::Answer)
}

fn oversized(head: &Oversized) -> Result<Bytes, serde_json::Error> {
    let (said, fields) = if head.is_cookies {
        let said = said!(
            "the cookies of this host are too many or too large: the browser was asked to delete them, load the page again \
             and sign in; if that does not help, delete them in the browser's settings",
            "이 호스트의 쿠키가 너무 많거나 큽니다: 브라우저에 쿠키를 지워 달라고 했으니 다시 열고 로그인하세요. 그래도 안 되면 브라우저 \
             설정에서 지우세요"
        );
        (said, "clear-site-data: \"cookies\"\r\n")
    } else {
        let said = said!(
            "the request's line and headers are too many or too large: send a shorter path and fewer headers",
            "요청 줄과 헤더가 너무 많거나 큽니다: 경로를 줄이고 헤더를 더 적게 보내세요"
        );
        (said, "")
    };
    answer(&ApiError::new(code::HEAD_TOO_LARGE, said), head.language, fields)
}

fn answer(error: &ApiError, language: Language, fields: &str) -> Result<Bytes, serde_json::Error> {
    let body = serde_json::to_string(&error.body(language))?;
    let status: StatusCode = error.status();
    let (reason, length) = (status.canonical_reason().unwrap_or_default(), body.len());
    let status = status.as_u16();
    Ok(format!(
        "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{fields}content-length: {length}\r\n\r\n{body}"
    )
    .into())
}

impl<T: AsyncRead + Unpin> AsyncRead for Enveloped<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Enveloped<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.replace(cx, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.inner).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match parts.first().and_then(|head| self.replace(cx, head)) {
            Some(written) => written,
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_withholding {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
