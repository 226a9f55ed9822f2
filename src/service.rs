//! What the service manager is told (`sd_notify(3)`): that the daemon is up, that it stops, and that it is alive. Without
//! one nobody listens, and nothing is lost.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::controller::ControllerHandle;

/// Units of `Type=notify` count as started from here on.
pub fn ready() {
    tell(NotifyState::Ready);
}

pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told how the daemon is doing: NOTIFY_SOCKET does not work");
    }
}

/// Says that the daemon is alive for as long as the controller's loop turns; a unit with `WatchdogSec=` is started anew when
/// it no longer does. Returns at once when nobody asks (`WATCHDOG_USEC`).
pub async fn keep_alive(controller: ControllerHandle, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // A turn that comes late, and a pause after it, are still half of what is allowed.
    let pause = (limit / 4).max(Duration::from_millis(10));
    loop {
        // The loop's answer is its sign of life, whatever it says: how long its jobs take is not the watchdog's affair.
        if matches!(tokio::time::timeout(pause, controller.progress()).await, Ok(Some(_))) {
            tell(NotifyState::Watchdog);
        } else {
            tracing::warn!("the controller's loop does not answer; the service manager is not told that all is well");
        }
        // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
