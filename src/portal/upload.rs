//! A body that is either JSON or an archive, which goes to the disk as it comes.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::code;
use super::edits::blocking;
use super::envelope::{ApiError, said};
use super::extract::{self, LargeBody};
use super::state::PortalState;
use crate::model::Bytes;

/// As what an archive may be sent. Which it is, its first bytes say.
pub(super) const ARCHIVES: [&str; 5] =
    ["application/zip", "application/x-zip-compressed", "application/x-tar", "application/gzip", "application/x-gzip"];

/// On a mobile phone's uplink.
const BOUNDS: extract::Bounds = extract::Bounds { said: "an archive", time: Duration::from_secs(600) };
/// Between two pieces.
const STALL: Duration = Duration::from_secs(30);
/// Written at once.
const PIECE: usize = 1 << 20;

/// What was sent.
#[derive(Debug)]
pub enum Upload<T> {
    Json(T),
    /// In a file without a name: whatever happens, nothing of it stays.
    Archive(File),
}

impl<T: DeserializeOwned> FromRequest<PortalState> for Upload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &PortalState) -> Result<Self, ApiError> {
        static WRITTEN_AT_ONCE: Semaphore = Semaphore::const_new(2);
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !ARCHIVES.contains(&kind.as_str()) {
            return LargeBody::from_request(request, state).await.map(|LargeBody(json)| Self::Json(json));
        }
        let _place = WRITTEN_AT_ONCE.acquire().await;
        let (folder, most) = {
            let settings = state.settings_rx.borrow();
            (settings.apps_dir.clone(), settings.publish_max_bytes)
        };
        let file = blocking(move || tempfile::tempfile_in(folder).map_err(|error| unwritten(&error))).await?;
        let received = receive(request.into_body().into_data_stream(), file, most);
        match tokio::time::timeout(BOUNDS.time, received).await {
            Ok(received) => received.map(Self::Archive),
            Err(_) => Err(extract::too_slow(BOUNDS)),
        }
    }
}

/// What is too much is read on for a while and thrown away: closing on unread input would reset the connection, and the refusal
/// would be lost on its way.
async fn receive(mut body: BodyDataStream, file: File, most: Bytes) -> Result<File, ApiError> {
    let (mut file, mut length, mut piece) = (file, 0_u64, Vec::with_capacity(PIECE));
    loop {
        let next = tokio::time::timeout(STALL, body.next()).await.map_err(|_| extract::too_slow(BOUNDS))?;
        let is_last = next.is_none();
        if let Some(next) = next {
            let bytes = next.map_err(|_| broke_off())?;
            length += bytes.len() as u64;
            if length <= most.0 {
                piece.extend_from_slice(&bytes);
            } else if length > most.0.saturating_mul(2) {
                return Err(too_large(most));
            }
        }
        if is_last && length > most.0 {
            return Err(too_large(most));
        }
        if piece.len() >= PIECE || (is_last && !piece.is_empty()) {
            let full = std::mem::take(&mut piece);
            file = blocking(move || file.write_all(&full).map(|()| file).map_err(|error| unwritten(&error))).await?;
        }
        if is_last {
            return blocking(move || file.rewind().map(|()| file).map_err(|error| unwritten(&error))).await;
        }
    }
}

fn broke_off() -> ApiError {
    ApiError::new(code::BAD_BODY, said!("the body broke off: send it again", "본문이 중간에 끊겼습니다: 다시 보내세요"))
}

fn too_large(most: Bytes) -> ApiError {
    ApiError::new(
        code::BODY_TOO_LARGE,
        said!(
            "the archive has more than {most}: leave out what is not for this site (PUBLISH_MAX_BYTES)",
            "압축 파일이 {most}보다 큽니다: 이 사이트에 필요 없는 것을 빼세요"
        ),
    )
}

fn unwritten(error: &std::io::Error) -> ApiError {
    tracing::warn!(%error, "an archive that was sent cannot be kept on the disk");
    ApiError::new(
        code::NO_SPACE,
        said!(
            "the archive cannot be kept on the server's disk ({error}): make room there, then send it again",
            "압축 파일을 서버의 디스크에 둘 수 없습니다: 자리를 만든 뒤 다시 보내세요"
        ),
    )
}
