//! What starts the daemon again when it died, and what there is to wait for meanwhile: shared by the sweep and the random
//! scripts.

use std::time::Duration;

use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;
use tokio::time::Instant;

/// The supervisor's wait before it starts the daemon again.
pub(crate) const RESTART: Duration = Duration::from_secs(1);

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// The daemon says something new.
    Status,
    /// It died, and is no more.
    Death,
    /// The time is up.
    Nothing,
}

/// Lets time pass until something is worth a look. A daemon that is not there is started; it may still not be there at the
/// end, when a fault that lasts keeps it from starting.
pub(crate) async fn next_event(world: &World, daemon: &mut Option<Daemon>, end: Instant) -> Came {
    let living = loop {
        if let Some(living) = daemon {
            break living;
        }
        match Daemon::start(world).await {
            Ok(started) => *daemon = Some(started),
            Err(_) if Instant::now() + RESTART > end => {
                tokio::time::sleep_until(end).await;
                return Came::Nothing;
            }
            Err(_) => tokio::time::sleep(RESTART).await,
        }
    };
    // Cancel-safe: all three only look.
    let came = tokio::select! {
        biased;
        () = living.life.ended() => Came::Death,
        Ok(()) = living.status_rx.changed() => Came::Status,
        () = tokio::time::sleep_until(end) => Came::Nothing,
    };
    match came {
        Came::Death => *daemon = None,
        Came::Status => living.status_rx.mark_unchanged(),
        Came::Nothing => {}
    }
    came
}
