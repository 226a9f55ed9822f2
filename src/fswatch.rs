//! Hints that something below a folder changed. A hint carries no facts: whoever gets one looks for himself.
//!
//! # Guarantees
//! - After the last change below a root a hint of its kind follows, within milliseconds where the file system reports
//!   changes. A root that is missing, replaced, recreated or mounted over is found again within seconds.
//! - Under constant changes a hint comes at least once per [`LONGEST`].
//! - Bounded memory: hints of one kind merge while nobody takes them.
//!
//! # Assumptions
//! The caller also looks on its own from time to time: network file systems report nothing.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A burst is over after this long without a change.
const QUIET: Duration = Duration::from_millis(10);
/// A burst is reported after this long even if it goes on.
const LONGEST: Duration = Duration::from_secs(1);
/// How often the roots are compared with what is watched: a mount over a root sends no event.
const CHECK: Duration = Duration::from_secs(5);

/// How far below the root changes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The folder's own entries.
    Flat,
    /// Everything below.
    Deep,
}

/// A folder to watch, and what to call a change below it.
#[derive(Debug, Clone)]
pub(crate) struct Root<K> {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) depth: Depth,
    pub(crate) kind: K,
}

/// Starts with one hint of every kind. The caller spawns the future; it ends when cancelled or when nobody listens.
pub(crate) fn watch<K>(
    roots: Vec<Root<K>>,
    cancel: CancellationToken,
) -> (mpsc::Receiver<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Copy + Ord + Send + Sync + 'static,
{
    checking(roots, CHECK, cancel)
}

fn checking<K>(
    roots: Vec<Root<K>>,
    check: Duration,
    cancel: CancellationToken,
) -> (mpsc::Receiver<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Copy + Ord + Send + Sync + 'static,
{
    // One place is enough: what does not fit waits in the inbox, where hints of one kind merge.
    let (hints_tx, hints_rx) = mpsc::channel(1);
    let running = async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = run(Arc::new(roots), check, hints_tx) => {}
        }
    };
    (hints_rx, running)
}

/// What the watcher's thread leaves for the task.
struct Inbox<K> {
    marks: Mutex<Marks<K>>,
    arrived: Notify,
}

struct Marks<K> {
    changed: BTreeSet<K>,
    /// A root itself changed, or events were lost: watch anew and look at everything.
    rebuild: bool,
}

impl<K: Copy + Ord> Inbox<K> {
    fn mark(&self, note: impl FnOnce(&mut Marks<K>)) {
        note(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_one();
    }

    fn take(&self) -> Marks<K> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *marks, Marks { changed: BTreeSet::new(), rebuild: false })
    }
}

async fn run<K: Copy + Ord + Send + Sync + 'static>(
    roots: Arc<Vec<Root<K>>>,
    check: Duration,
    hints_tx: mpsc::Sender<K>,
) {
    loop {
        let inbox = Arc::new(Inbox {
            marks: Mutex::new(Marks { changed: BTreeSet::new(), rebuild: false }),
            arrived: Notify::new(),
        });
        let seen = identities(&roots);
        // Keeps the watches alive until the next round. `None` when there is nothing to watch with; then the check
        // below is all there is.
        let _watcher = build(&roots, &inbox);
        for root in roots.iter() {
            if hints_tx.send(root.kind).await.is_err() {
                return;
            }
        }
        loop {
            if timeout(check, inbox.arrived.notified()).await.is_err() {
                if identities(&roots) == seen {
                    continue;
                }
                break;
            }
            settle(&inbox.arrived).await;
            let marks = inbox.take();
            for kind in marks.changed {
                if hints_tx.send(kind).await.is_err() {
                    return;
                }
            }
            if marks.rebuild {
                break;
            }
        }
    }
}

/// Waits for the end of a burst.
async fn settle(arrived: &Notify) {
    let latest = Instant::now() + LONGEST;
    while Instant::now() < latest && timeout(QUIET, arrived.notified()).await.is_ok() {}
}

/// Device and inode of each root; `None` where there is none.
fn identities<K>(roots: &[Root<K>]) -> Vec<Option<(u64, u64)>> {
    roots.iter().map(|root| fs::metadata(&root.path).ok().map(|found| (found.dev(), found.ino()))).collect()
}

fn build<K: Copy + Ord + Send + Sync + 'static>(
    roots: &Arc<Vec<Root<K>>>,
    inbox: &Arc<Inbox<K>>,
) -> Option<RecommendedWatcher> {
    let (for_roots, for_inbox) = (Arc::clone(roots), Arc::clone(inbox));
    let handler = move |event: notify::Result<notify::Event>| match event {
        Ok(event) => sort(&event, &for_roots, &for_inbox),
        Err(_) => for_inbox.mark(|marks| marks.rebuild = true),
    };
    let mut watcher = match RecommendedWatcher::new(handler, notify::Config::default()) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "folders cannot be watched: changes are found by the periodic reading only");
            return None;
        }
    };
    for root in roots.iter() {
        let mode = if root.depth == Depth::Deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        // The nearest existing folder above tells when the root is created, renamed or removed.
        let above = root.path.ancestors().skip(1).find(|above| above.is_dir());
        let folders =
            [(Some(root.path.as_path()).filter(|path| path.is_dir()), mode), (above, RecursiveMode::NonRecursive)];
        for (path, mode) in folders {
            let Some(path) = path else { continue };
            if let Err(error) = watcher.watch(path, mode) {
                let folder = path.display();
                tracing::warn!(%error, %folder, "cannot be watched: changes are found by the periodic reading only");
            }
        }
    }
    Some(watcher)
}

fn sort<K: Copy + Ord>(event: &notify::Event, roots: &[Root<K>], inbox: &Inbox<K>) {
    if event.need_rescan() {
        return inbox.mark(|marks| marks.rebuild = true);
    }
    // Reading a folder is an event, too: taking it as a change would wake the reader for ever.
    if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
        return;
    }
    for path in &event.paths {
        for root in roots {
            if root.path.starts_with(path) {
                inbox.mark(|marks| marks.rebuild = true);
            } else if counts(root, path) {
                inbox.mark(|marks| {
                    marks.changed.insert(root.kind);
                });
            }
        }
    }
}

fn counts<K>(root: &Root<K>, path: &Path) -> bool {
    match root.depth {
        Depth::Flat => path.parent() == Some(&root.path),
        Depth::Deep => path.starts_with(&root.path),
    }
}

#[cfg(test)]
mod tests;
