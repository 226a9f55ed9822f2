//! What the machine itself refuses, and that it is said with a remedy and leaves nothing half-made.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use minipaas::folders::{DiskFolders, FolderError, Folders as _, Owner};
use minipaas::model::AppKey;

use crate::support::{Noon, Root, diary, key, owner, purge, put};

/// Runs as root by starting itself again as `nobody`.
#[test]
fn a_daemon_that_may_not_give_files_away_says_so() {
    const NOBODY: u32 = 65_534;
    if Owner::current().uid == 0 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "refused::a_daemon_that_may_not_give_files_away_says_so", "--nocapture"])
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let root = Root::new();
    let folders = root.open().owned_by(Owner::APP);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(folders.ensure(&key(), &diary())).unwrap_err();
    let text = error.to_string().replace(root.dir.path().to_str().unwrap(), "ROOT");
    assert!(matches!(error, FolderError::Terminal(_)), "{text}");
    assert_eq!(
        text,
        "cannot give ROOT/apps/alice/diary/data to the apps' user 10001:10001: permission denied; run the daemon as \
         root, or run `chown -R 10001:10001` on it yourself"
    );
    let state = runtime.block_on(folders.look(&key())).unwrap();
    assert!(!state.code && !state.data);
    assert!(!root.text().contains(".app.new"), "{}", root.text());
}

/// `/dev/shm` is a filesystem of its own on every Linux.
#[tokio::test]
async fn trash_on_another_filesystem_is_refused_and_everything_stays() {
    let root = Root::new();
    std::fs::create_dir(root.path("trash")).unwrap();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let folders =
        DiskFolders::open(&root.path("apps"), elsewhere.path(), &root.path("templates"), Arc::new(Noon)).unwrap();
    let folders = folders.owned_by(owner());
    folders.ensure(&key(), &diary()).await.unwrap();
    put(&folders.data_dir(&key()).join("db.sqlite3"), "precious");
    let before = root.tree();

    for error in
        [folders.trash_code(&key(), None).await.unwrap_err(), folders.trash_data(&purge(&key())).await.unwrap_err()]
    {
        assert!(matches!(error, FolderError::Terminal(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("on another filesystem than the apps folder; put both on one filesystem"), "{text}");
    }

    assert_eq!(root.tree(), before);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

/// One user's apps come and go at the same time, and with them the user's folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn apps_of_one_user_do_not_get_into_each_others_way() {
    let root = Root::new();
    let folders = root.open();
    let workers = (0..4).map(|number| {
        let folders = folders.clone();
        async move {
            let key = AppKey::parse(&format!("alice-app{number}")).unwrap();
            for _ in 0..10 {
                folders.ensure(&key, &diary()).await.unwrap();
                put(&folders.data_dir(&key).join("file"), "mine");
                folders.trash_code(&key, None).await.unwrap();
                folders.trash_data(&purge(&key)).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(workers).await;
    let tree = root.tree();
    assert!(!tree.contains_key("apps/alice"), "{tree:#?}");
    assert_eq!(tree.keys().filter(|path| path.ends_with("-data-0000/data/file")).count(), 4);
    assert_eq!(tree.keys().filter(|path| path.ends_with("/data/file")).count(), 40);
}
