//! Keeps the daemon small: few arenas to allocate from, and what a burst has used is given back to the system once it is free
//! again (the allocator alone keeps nearly all of it, because something small that is still in use lies behind it).
//!
//! What counts is private memory, `RssAnon` in `/proc/PID/status`. The pages of the program's own file are the kernel's cache:
//! it takes them when somebody needs the memory, and nothing here tries to look smaller by them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A look takes microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Free bytes that are worth the moment in which others that allocate have to wait, a fraction of a millisecond for so few. The
/// daemon at rest has 0.8 MB in use, so a megabyte that lies about would be more than all it needs.
const WORTH: usize = 256 << 10;
/// One for each of the gateway's threads; whoever else allocates has their small things from a cache of its own. With the
/// allocator's own eight for each core a daemon at rest holds a third more (`scripts/bench rest`).
const ARENAS: u8 = 2;

/// To be called before the daemon's threads are started.
pub fn begin_small() {
    minipaas_heap::share_arenas(ARENAS);
}

/// Looks after the memory until `stop`.
pub async fn stay_small(stop: CancellationToken) {
    let mut heap = Heap::default();
    loop {
        // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if !heap.has_grown(minipaas_heap::kept()) {
            continue;
        }
        // Where it may take its moment. It cannot fail, and one that fell over is tried again later.
        let _ = tokio::task::spawn_blocking(minipaas_heap::give_back).await;
        heap = Heap { least: minipaas_heap::kept() };
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
