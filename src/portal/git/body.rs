//! What a git client sends: read as it comes, compressed or not, bounded in size and time.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use futures_util::StreamExt as _;

use crate::portal::code;
use crate::portal::envelope::{ApiError, said};

/// Longest pause. Who sends is a program that has nothing to think about.
const PAUSE: Duration = Duration::from_secs(30);
/// Compressed bytes that are taken at a time: they may become a thousand times as many.
const SLICE: usize = 1 << 10;

pub(super) struct Reader {
    body: BodyDataStream,
    /// Came, and was not decompressed yet.
    packed: Bytes,
    gzip: Option<GzDecoder<Vec<u8>>>,
    /// To be read.
    ready: BytesMut,
    left: u64,
    most: u64,
}

impl Reader {
    pub(super) fn new(body: Body, headers: &HeaderMap, most: u64) -> Result<Self, ApiError> {
        let gzip = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => None,
            Some(b"gzip" | b"x-gzip") => Some(GzDecoder::new(Vec::new())),
            Some(_) => return Err(broken()),
        };
        let body = body.into_data_stream();
        Ok(Self { body, packed: Bytes::new(), gzip, ready: BytesMut::new(), left: most, most })
    }

    /// What comes next; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        while self.ready.is_empty() {
            if !self.more().await? {
                return Ok(None);
            }
        }
        Ok(Some(self.ready.split().freeze()))
    }

    pub(super) async fn exactly(&mut self, bytes: usize) -> Result<Bytes, ApiError> {
        while self.ready.len() < bytes {
            if !self.more().await? {
                return Err(broken());
            }
        }
        Ok(self.ready.split_to(bytes).freeze())
    }

    /// All of it: only where the limit is small.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, ApiError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend(chunk);
        }
        Ok(all)
    }

    /// Reads on; `false` at the end.
    async fn more(&mut self) -> Result<bool, ApiError> {
        if self.packed.is_empty() {
            let next = tokio::time::timeout(PAUSE, self.body.next()).await.map_err(|_| too_slow())?;
            let Some(chunk) = next.transpose().map_err(|_| broken())? else {
                return self.end();
            };
            self.packed = chunk;
        }
        match &mut self.gzip {
            None => {
                let chunk = std::mem::take(&mut self.packed);
                self.take(&chunk)?;
            }
            Some(gzip) => {
                let slice = self.packed.split_to(SLICE.min(self.packed.len()));
                gzip.write_all(&slice).map_err(|_| broken())?;
                let chunk = std::mem::take(gzip.get_mut());
                self.take(&chunk)?;
            }
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<bool, ApiError> {
        let Some(gzip) = self.gzip.take() else { return Ok(false) };
        let rest = gzip.finish().map_err(|_| broken())?;
        self.take(&rest)?;
        Ok(!rest.is_empty())
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(|| too_large(self.most))?;
        self.ready.extend_from_slice(chunk);
        Ok(())
    }
}

pub(super) fn broken() -> ApiError {
    ApiError::new(
        code::BAD_BODY,
        said!(
            "what git sent broke off, or is no git: try again",
            "git이 보낸 내용이 중간에 끊겼거나 올바르지 않습니다: 다시 시도하세요"
        ),
    )
}

pub(super) fn too_slow() -> ApiError {
    ApiError::new(
        code::BODY_TOO_SLOW,
        said!(
            "what git sent did not arrive in time: try again",
            "git이 보낸 내용이 제시간에 도착하지 않았습니다: 다시 시도하세요"
        ),
    )
}

fn too_large(most: u64) -> ApiError {
    let most = most >> 20;
    ApiError::new(
        code::BODY_TOO_LARGE,
        said!(
            "a push may have {most} MiB at most: take large files out of its commits",
            "한 번에 {most} MiB까지 올릴 수 있습니다: 커밋에서 큰 파일을 빼세요"
        ),
    )
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn reader(sent: Vec<u8>, encoding: &'static str, most: u64) -> Reader {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        Reader::new(Body::from(sent), &headers, most).unwrap()
    }

    #[tokio::test]
    async fn what_comes_compressed_is_read_and_bounded_by_what_it_becomes() {
        let text = "have 1234567890\n".repeat(10_000);
        let mut whole = reader(gzip(text.as_bytes()), "gzip", 1 << 20);
        assert_eq!(&*whole.exactly(9).await.unwrap(), b"have 1234");
        assert_eq!(whole.whole().await.unwrap().len(), text.len() - 9);
        let bomb = reader(gzip(&vec![0; 4 << 20]), "gzip", 1 << 20).whole().await.unwrap_err();
        assert_eq!(bomb.code.word, "body-too-large");
        let short = reader(gzip(b"x")[..8].to_vec(), "gzip", 100).whole().await.unwrap_err();
        assert_eq!(short.code.word, "bad-body");
        assert_eq!(reader(b"plain".to_vec(), "identity", 5).whole().await.unwrap(), b"plain");
        assert!(reader(b"plain".to_vec(), "identity", 4).whole().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_for_long_is_given_up() {
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let error = Reader::new(Body::from_stream(silent), &HeaderMap::new(), 9).unwrap().whole().await.unwrap_err();
        assert_eq!(error.code.word, "body-too-slow");
    }
}
