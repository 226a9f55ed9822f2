//! Server-sent events: one way to write them, with a heartbeat, ending when the daemon stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::caller::Standing;
use super::code;
use super::envelope::{ApiError, said};
use super::state::PortalState;

/// A comment is sent after this long without an event, so that both ends notice a dead peer.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream asks this often whether whoever opened it may still enter, so that it ends within a second after they may not. A
/// look is one row by its key, a few dozen microseconds of the store; at [`MAX_STREAMS`] that is under one percent of a core.
pub const LOOK_AGAIN: Duration = Duration::from_millis(700);

/// One event with a JSON body.
pub fn event(name: &str, data: &impl Serialize) -> Event {
    // Only a map with non-text keys or a failing `Serialize` could refuse; the fallback keeps the stream readable.
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event(name).data("null"))
}

/// Streams open at a time, over all doors. Each costs a connection and a little memory for as long as its reader likes.
pub const MAX_STREAMS: usize = 100;

/// The stream as a response. Nothing is read from `stream` before the reader has taken what came earlier.
///
/// It ends when the daemon stops, and within a second after whoever opened it may no longer enter: the session ended, the
/// key was revoked.
pub fn response<S>(state: &PortalState, standing: Standing, stream: S) -> Result<Response, ApiError>
where
    S: Stream<Item = Event> + Send + 'static,
{
    let place = Arc::clone(&state.streams).try_acquire_owned().map_err(|_| {
        let text = said!(
            "{MAX_STREAMS} streams are open already: close one, then try again",
            "이미 {MAX_STREAMS}개의 스트림이 열려 있습니다: 하나를 닫고 다시 시도하세요"
        );
        ApiError::new(code::BUSY, text).retry_after(10)
    })?;
    let (accounts, look_again) = (Arc::clone(&state.accounts), state.look_again);
    let over = futures_util::future::select(
        Box::pin(state.stopping.clone().cancelled_owned()),
        Box::pin(async move { standing.lost(&accounts, look_again).await }),
    );
    let stream = stream.take_until(over).map(move |event| {
        let _ = &place;
        Ok::<_, Infallible>(event)
    });
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    // nginx otherwise holds events back until a buffer is full.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(([unbuffered], sse).into_response())
}
