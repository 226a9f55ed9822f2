//! Server-sent events: one way to write them, with a heartbeat, ending when the daemon stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A comment is sent after this long without an event, so that both ends notice a dead peer.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event with a JSON body.
pub fn event(name: &str, data: &impl Serialize) -> Event {
    // Only a map with non-text keys or a failing `Serialize` could refuse; the fallback keeps the stream readable.
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event(name).data("null"))
}

/// The stream as a response. Nothing is read from `stream` before the reader has taken what came earlier.
pub fn response<S>(stream: S, stopping: CancellationToken) -> Response
where
    S: Stream<Item = Event> + Send + 'static,
{
    let stream = stream.take_until(stopping.cancelled_owned()).map(Ok::<_, Infallible>);
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    // nginx otherwise holds events back until a buffer is full.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    ([unbuffered], sse).into_response()
}
