//! Keeps the daemon small: what a burst has used is given back to the system once it is free again (the allocator alone keeps
//! nearly all of it, because something small that is still in use lies behind it), and the code that only the start and
//! rare work need does not stay resident.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A look takes microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Bytes that are worth the moment in which others that allocate have to wait.
const WORTH: usize = 1 << 20;
/// Looks between two times that code is unmapped. Mapping again what is needed takes a fraction of a millisecond.
const CODE_EVERY: u32 = 60;
/// The first time: by then the start is over.
const CODE_FIRST: u32 = 3;

/// Looks after the memory until `stop`.
pub async fn stay_small(stop: CancellationToken) {
    let mut heap = Heap::default();
    let mut look = CODE_EVERY - CODE_FIRST;
    loop {
        // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        look += 1;
        let grown = heap.has_grown(minipaas_heap::kept());
        if !grown && look < CODE_EVERY {
            continue;
        }
        // Where it may take its moment. It ends by itself; one that fell over is tried again later.
        let given = tokio::task::spawn_blocking(|| {
            minipaas_heap::give_back();
            minipaas_heap::unmap_code()
        });
        match given.await {
            Ok(Ok(code)) => tracing::debug!(code, "memory was given back"),
            Ok(Err(error)) => tracing::debug!(%error, "code stays resident"),
            Err(_) => {}
        }
        heap = Heap { least: minipaas_heap::kept() };
        look = 0;
    }
}

#[derive(Debug, Default)]
struct Heap {
    /// The fewest bytes that were free at once since memory was given back. What was given back counts as free, too: only
    /// what has come on top of it is worth another time.
    least: usize,
}

impl Heap {
    fn has_grown(&mut self, kept: usize) -> bool {
        self.least = self.least.min(kept);
        kept - self.least >= WORTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_freed_since_the_last_time_counts() {
        let mut heap = Heap::default();
        assert!(!heap.has_grown(WORTH - 1));
        assert!(heap.has_grown(5 * WORTH));
        let mut heap = Heap { least: 5 * WORTH };
        assert!(!heap.has_grown(5 * WORTH));
        // In use again, so on its pages, and freed again.
        assert!(!heap.has_grown(WORTH));
        assert!(heap.has_grown(2 * WORTH));
    }
}
