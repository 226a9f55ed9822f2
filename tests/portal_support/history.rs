//! What a portal of the tests has beside it when versions are about: folders, a template, and git, all real.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_methods, reason = "a test's own input, and a task that ends with its runtime")]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use minipaas::clock::SystemClock;
use minipaas::folders::{DiskFolders, Owner};
use minipaas::history::{Author, Authors, GitHistory, Recorder};
use minipaas::model::{AppKey, Timestamp};
use minipaas::portal::PortalState;
use tokio_util::sync::CancellationToken;

pub fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Nobody is known to have edited anything.
struct Nobody;

impl Authors for Nobody {
    fn last_until<'a>(
        &'a self,
        _: &'a AppKey,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Option<Author>> + Send + 'a>> {
        Box::pin(async { None })
    }
}

/// A state that keeps versions of what is made from a template of these files, and the folders it is made in.
pub fn with_history(state: PortalState, template: &str, files: &[(&str, &str)]) -> (PortalState, DiskFolders) {
    let settings = state.settings_rx.borrow().clone();
    // Git's own user has to get through.
    fs::set_permissions(&settings.root, fs::Permissions::from_mode(0o755)).unwrap();
    for (file, text) in files {
        put(&settings.templates_dir.join(template).join("app").join(file), text);
    }
    let trash = settings.root.join("trash");
    let folders =
        DiskFolders::open(&settings.apps_dir, &trash, &settings.templates_dir, Arc::new(SystemClock)).unwrap();
    let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
    let folders = folders.owned_by(owner);
    let (recorder, handle, _) = Recorder::new(GitHistory::new(folders.clone()), Arc::new(Nobody));
    tokio::spawn(recorder.run(state.controller.watch(), CancellationToken::new()));
    (state.with_history(handle), folders)
}
