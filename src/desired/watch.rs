//! Says when to read again: hints about the folders the daemon follows. See [`crate::fswatch`] for what a hint promises.

use std::future::Future;
use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fswatch::{self, Depth, Root};
use crate::model::Settings;

/// What to look at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Changed {
    Manifests,
    Templates,
    /// The folder that the runtime image is built from.
    Runtime,
}

/// Absolute paths of the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchPaths {
    pub manifests: PathBuf,
    pub templates: PathBuf,
    pub runtime: PathBuf,
}

impl From<&Settings> for WatchPaths {
    fn from(settings: &Settings) -> Self {
        Self {
            manifests: settings.manifests_dir.clone(),
            templates: settings.templates_dir.clone(),
            runtime: settings.runtime_dir(),
        }
    }
}

/// Starts with one hint of each kind. The caller spawns the future on its tracker; it ends when cancelled.
pub fn watch(
    paths: WatchPaths,
    cancel: CancellationToken,
) -> (mpsc::Receiver<Changed>, impl Future<Output = ()> + Send + 'static) {
    let roots = vec![
        Root { path: paths.manifests, depth: Depth::Flat, kind: Changed::Manifests },
        Root { path: paths.templates, depth: Depth::Deep, kind: Changed::Templates },
        Root { path: paths.runtime, depth: Depth::Deep, kind: Changed::Runtime },
    ];
    fswatch::watch(roots, cancel)
}
