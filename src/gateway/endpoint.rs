//! One container's address with a worker's pool of idle connections to it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::exchange::{Sure, Upstream};
use crate::model::ContainerId;

/// Small writes leave at once, and a peer that vanished without a word is noticed after two minutes: a tunnel or a
/// stream may be silent for days, so nothing else would.
pub(super) fn prepare(stream: &TcpStream) {
    use rustix::net::sockopt;
    // These only fail on a socket that is gone, which the first read tells as well.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15));
    let _ = sockopt::set_tcp_keepcnt(stream, 4);
}

/// A container answers for its network within microseconds, even while its app is busy. One that does not for so long has lost
/// its address (`docker network disconnect`): the request then goes to where the app is now, or fails, instead of waiting for an
/// answer that cannot come. An app that takes none of an upload for so long loses it.
const VANISHED_AFTER_MS: u32 = 20_000;

/// Held by the route and by every request that is being answered through it; dropped last, it is drained. Each worker has its
/// own: a connection is served by the thread that opened it, and threads that share nothing do not wait for each other.
pub(super) struct Endpoint {
    pub(super) addr: SocketAddr,
    idle: Mutex<Vec<Idle>>,
    /// When a request was last sent there, in milliseconds since `made`, and one more; 0: none was.
    used: AtomicU64,
    made: Instant,
}

struct Idle {
    upstream: Upstream,
    since: Instant,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An idle connection that is not known to be closed, the one used last first.
    pub(super) fn checkout(&self, now: Instant, max_age: Duration, sure: Sure) -> Option<Upstream> {
        let since = now.saturating_duration_since(self.made).as_millis();
        self.used.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Relaxed);
        loop {
            let idle = lock(&self.idle).pop()?;
            if now.saturating_duration_since(idle.since) < max_age && idle.upstream.is_quiet(sure) {
                return Some(idle.upstream);
            }
        }
    }

    pub(super) async fn connect(&self, timeout: Duration) -> io::Result<Upstream> {
        let stream = tokio::time::timeout(timeout, TcpStream::connect(self.addr))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        prepare(&stream);
        // Fails only on a socket that is gone, which the first write tells as well.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, VANISHED_AFTER_MS);
        Ok(Upstream::new(stream))
    }

    /// Takes back a connection whose request and response have both ended.
    pub(super) fn give_back(&self, upstream: Upstream, max_idle: usize) {
        let mut idle = lock(&self.idle);
        if idle.len() < max_idle {
            idle.push(Idle { upstream, since: Instant::now() });
        }
    }

    /// How long ago a request was last sent there.
    fn last_used(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.used.load(Relaxed).checked_sub(1)?);
        Some(self.made.elapsed().saturating_sub(since))
    }

    fn sweep(&self, max_age: Duration) {
        lock(&self.idle).retain(|idle| idle.since.elapsed() < max_age);
    }
}

/// Nothing in here can panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds a worker's endpoint of a container again as long as anyone holds it.
#[derive(Default)]
pub(super) struct Registry {
    endpoints: Mutex<HashMap<(ContainerId, SocketAddr, usize), Weak<Endpoint>>>,
}

impl Registry {
    pub(super) fn endpoint(&self, container: &ContainerId, addr: SocketAddr, worker: usize) -> Arc<Endpoint> {
        let mut endpoints = lock(&self.endpoints);
        let key = (container.clone(), addr, worker);
        if let Some(known) = endpoints.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let endpoint =
            Arc::new(Endpoint { addr, idle: Mutex::default(), used: AtomicU64::new(0), made: Instant::now() });
        endpoints.insert(key, Arc::downgrade(&endpoint));
        endpoint
    }

    /// Forgets endpoints that nobody holds.
    pub(super) fn prune(&self) {
        lock(&self.endpoints).retain(|_, endpoint| endpoint.strong_count() > 0);
    }

    /// Closes connections that nobody used for `max_age`.
    pub(super) fn sweep(&self, max_age: Duration) {
        let live: Vec<_> = lock(&self.endpoints).values().filter_map(Weak::upgrade).collect();
        for endpoint in live {
            endpoint.sweep(max_age);
        }
    }

    /// How long ago a request was last sent to this container; `None`: none was.
    pub(super) fn last_used(&self, container: &ContainerId) -> Option<Duration> {
        let endpoints = lock(&self.endpoints);
        let of_container = endpoints.iter().filter(|((of, ..), _)| of == container);
        of_container.filter_map(|(_, endpoint)| endpoint.upgrade()?.last_used()).min()
    }

    pub(super) fn is_held(&self, container: &ContainerId) -> bool {
        lock(&self.endpoints).iter().any(|((of, ..), endpoint)| of == container && endpoint.strong_count() > 0)
    }
}
