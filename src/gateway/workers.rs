//! The threads that serve the gateway's connections, each with a runtime of its own: a connection is read, sent on and
//! answered on one thread, and no other is woken for it. On two cores that carries a sixth more requests than tasks which move
//! between threads (`scripts/bench-gateway`).

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Enough for thousands of requests a second on each; more would cost memory that a home server has better use for.
pub(super) const WORKERS: usize = 2;
/// Connections are small tasks, and what they call is not deep.
const STACK: usize = 1 << 20;

/// Ends its threads when it is dropped, and with them what still runs there. Connections keep it alive as long as they last.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// A share of it is held by every connection.
    seats: Arc<()>,
    _end: Option<DropGuard>,
}

/// A place for one connection.
#[derive(Clone)]
pub(super) struct Seat {
    /// Which of the [`WORKERS`], to find its part of a pool again.
    pub(super) worker: usize,
    pub(super) runtime: Handle,
    _share: Arc<()>,
}

impl Workers {
    /// Where no thread can be had, the runtime of the caller does all the work.
    pub(super) fn start() -> Self {
        Self::start_by(Worker::start)
    }

    fn start_by(start: impl Fn(usize) -> io::Result<Worker>) -> Self {
        let mut workers = Vec::with_capacity(WORKERS);
        for number in 0..WORKERS {
            match start(number) {
                Ok(worker) => workers.push(worker),
                Err(error) => tracing::warn!(
                    %error,
                    "a thread of the gateway could not be started: it goes on with fewer; raise TasksMax or LimitNOFILE"
                ),
            }
        }
        if workers.is_empty() {
            workers.push(Worker { runtime: Handle::current(), seats: Arc::default(), _end: None });
        }
        Self(workers)
    }

    /// With the worker that has the fewest connections.
    pub(super) fn seat(&self) -> Seat {
        let fewest = self.0.iter().enumerate().min_by_key(|(_, worker)| Arc::strong_count(&worker.seats));
        // There is one at least.
        let worker = fewest.map_or(0, |(worker, _)| worker);
        let chosen = &self.0[worker];
        Seat { worker, runtime: chosen.runtime.clone(), _share: Arc::clone(&chosen.seats) }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let (built_tx, built_rx) = std::sync::mpsc::channel();
        let end = CancellationToken::new();
        let ended = end.clone();
        // The thread first: a runtime must not be dropped where this runs.
        std::thread::Builder::new().name(format!("gateway-{number}")).stack_size(STACK).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(built_tx.send(Err(error))),
            };
            if built_tx.send(Ok(runtime.handle().clone())).is_ok() {
                runtime.block_on(ended.cancelled());
            }
            // Nobody waits for what a connection may have left to a blocking thread.
            runtime.shutdown_background();
        })?;
        let runtime = built_rx.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, seats: Arc::default(), _end: Some(end.drop_guard()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_shared_out_evenly_and_each_stays_on_its_thread() {
        let workers = Workers::start();
        let seats: Vec<_> = (0..2 * WORKERS).map(|_| workers.seat()).collect();
        let of = |worker| seats.iter().filter(|seat| seat.worker == worker).count();
        assert!((0..WORKERS).all(|worker| of(worker) == 2));
        for seat in &seats {
            let name = seat.runtime.spawn(async { std::thread::current().name().map(str::to_owned) }).await.unwrap();
            assert_eq!(name, Some(format!("gateway-{}", seat.worker)));
        }
        // Whoever leaves makes room where it was.
        let mut seats = seats;
        let left = seats.pop().unwrap().worker;
        assert_eq!(workers.seat().worker, left);
    }

    #[tokio::test]
    async fn without_threads_the_caller_s_runtime_serves() {
        let workers = Workers::start_by(|_| Err(io::ErrorKind::WouldBlock.into()));
        let seats = [workers.seat(), workers.seat()];
        assert!(seats.iter().all(|seat| seat.worker == 0));
        let here = std::thread::current().id();
        assert_eq!(seats[1].runtime.spawn(async { std::thread::current().id() }).await.unwrap(), here);
    }

    #[tokio::test]
    async fn the_threads_end_with_it() {
        let workers = Workers::start();
        let seat = workers.seat();
        let running = seat.runtime.spawn(std::future::pending::<()>());
        drop((seat, workers));
        assert!(running.await.unwrap_err().is_cancelled());
    }
}
