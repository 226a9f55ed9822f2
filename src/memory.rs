//! Keeps the daemon small: what a burst has used is given back to the system once it is free again (the allocator alone keeps
//! nearly all of it, because something small that is still in use lies behind it), and code that only the start or rare work
//! needs does not stay resident.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A look takes microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Free bytes that are worth the moment in which others that allocate have to wait.
const WORTH: usize = 1 << 20;
/// Bytes of code that are worth mapping again what of it is needed, which takes a fraction of a millisecond.
const CODE_WORTH: usize = 2 << 20;

/// Looks after the memory until `stop`.
pub async fn stay_small(stop: CancellationToken) {
    let (mut heap, mut code) = (Heap::default(), Code::default());
    loop {
        // Cancel-safe: a token stays cancelled, and sleeping keeps nothing.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let (give_back, unmap) = (heap.has_grown(minipaas_heap::kept()), code.has_grown(resident_code(&status)));
        if !give_back && !unmap {
            continue;
        }
        // Where it may take its moment. It ends by itself; one that fell over is tried again when there is more.
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

/// Bytes of files that are mapped and resident, see `proc_pid_status(5)`; none where it is not told.
fn resident_code(status: &str) -> usize {
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
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

#[derive(Debug, Default)]
struct Code {
    /// What came back at once after the last time, so is needed all the time; `None` until a look has told. At the start it is
    /// nothing.
    needed: Option<usize>,
    /// Code was unmapped before.
    unmapped: bool,
}

impl Code {
    fn has_grown(&mut self, resident: usize) -> bool {
        let needed = match self.needed {
            Some(needed) => needed,
            None if self.unmapped => *self.needed.insert(resident),
            None => 0,
        };
        let grown = resident.saturating_sub(needed) >= CODE_WORTH;
        if grown {
            *self = Self { needed: None, unmapped: true };
        }
        grown
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

    #[test]
    fn code_that_is_needed_all_the_time_is_let_be() {
        let mut code = Code::default();
        assert!(code.has_grown(5 * CODE_WORTH), "the start");
        // A busy gateway: all of it has come back by the next look.
        for _ in 0..3 {
            assert!(!code.has_grown(3 * CODE_WORTH));
        }
        // And something rare.
        assert!(code.has_grown(4 * CODE_WORTH));
        assert!(!code.has_grown(CODE_WORTH));
        assert!(!code.has_grown(2 * CODE_WORTH - 1));
        assert!(code.has_grown(2 * CODE_WORTH));
    }

    #[test]
    fn the_kernel_s_figure_is_read() {
        assert_eq!(resident_code("VmRSS:\t  9000 kB\nRssFile:\t    3120 kB\nRssShmem:\t 0 kB\n"), 3120 << 10);
        assert_eq!(resident_code(""), 0);
        assert!(resident_code(&std::fs::read_to_string("/proc/self/status").unwrap()) > 0);
    }
}
