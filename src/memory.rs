//! Keeps the daemon small: what a burst has used is given back to the system once it is free again (the allocator alone keeps
//! nearly all of it, because something small that is still in use lies behind it), and code that only the start or rare work
//! needs does not stay resident.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A look takes microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Free bytes that are worth the moment in which others that allocate have to wait.
const WORTH: usize = 1 << 20;
/// Looks between two times that code is unmapped. Mapping again what is needed takes a fraction of a millisecond.
const CODE_EVERY: u32 = 6;

/// Looks after the memory until `stop`.
pub async fn stay_small(stop: CancellationToken) {
    let (mut heap, mut looks) = (Heap::default(), 0_u32);
    loop {
        // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        looks = looks.wrapping_add(1);
        // The first time half a minute after the start, which is over by then.
        let (give_back, unmap) = (heap.has_grown(minipaas_heap::kept()), looks % CODE_EVERY == CODE_EVERY / 2);
        if !give_back && !unmap {
            continue;
        }
        // Where it may take its moment. It ends by itself; one that fell over is tried again later.
        let tidied = tokio::task::spawn_blocking(move || {
            if give_back {
                minipaas_heap::give_back();
            }
            unmap.then(minipaas_heap::unmap_code)
        });
        if let Ok(Some(Err(error))) = tidied.await {
            tracing::debug!(%error, "code stays resident");
        }
        if give_back {
            heap = Heap { least: minipaas_heap::kept() };
        }
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
