//! Every operation is crashed at every place between two of its side effects, and run again by a new daemon.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use minipaas::folders::{
    Brought, Checkpoints, Crash, DiskFolders, DraftOf, FolderError, Folders as _, Origin, restore_of,
};
use minipaas::model::{Digest, Timestamp, VersionId};

use crate::support::{Root, diary, diary_id, key, purge, put, rm};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Ensure,
    /// With a `data/` that somebody restored as root.
    EnsureRestored,
    TakeVersion,
    KeepVersions,
    /// `app/` goes back to an earlier version.
    BringCode,
    /// `app/` is gone, and comes back from the version that runs.
    EnsureFromVersion,
    /// The app was deleted, and is made again.
    EnsureFromTrash,
    PassOver,
    WriteCompose,
    AppendLog,
    AppendLogFull,
    /// The second draft of somebody, with a picture that the first has and one that is new.
    WriteDraft,
    FirstDraft,
    RemoveDraft,
    TrashCode,
    /// Other data takes the place of what is there.
    PutBack,
    /// And what was there takes its place again.
    PutBackFromTrash,
    /// The app is deleted while other data waits.
    TrashWaiting,
    TrashData,
    /// The last of the app, so that its folders go as well.
    TrashBoth,
}

const OPERATIONS: [Operation; 20] = [
    Operation::Ensure,
    Operation::EnsureRestored,
    Operation::TakeVersion,
    Operation::KeepVersions,
    Operation::BringCode,
    Operation::EnsureFromVersion,
    Operation::EnsureFromTrash,
    Operation::PassOver,
    Operation::WriteCompose,
    Operation::AppendLog,
    Operation::AppendLogFull,
    Operation::WriteDraft,
    Operation::FirstDraft,
    Operation::RemoveDraft,
    Operation::TrashCode,
    Operation::PutBack,
    Operation::PutBackFromTrash,
    Operation::TrashWaiting,
    Operation::TrashData,
    Operation::TrashBoth,
];

/// A root in the state that the operation starts from.
async fn prepare(operation: Operation) -> Root {
    let root = Root::new();
    let folders = root.open();
    match operation {
        Operation::Ensure => return root,
        Operation::EnsureRestored => {
            put(&root.path("apps/alice/diary/data/a/b"), "restored");
            put(&root.path("apps/alice/diary/data/c"), "restored too");
            return root;
        }
        _ => assert_eq!(folders.ensure(&key(), &diary()).await.unwrap(), None),
    }
    folders.write_compose(&key(), "old").await.unwrap();
    folders.append_deploy_log(&key(), "old").await.unwrap();
    if operation == Operation::AppendLogFull {
        put(&root.path("apps/alice/diary/logs/deploy.log"), &"old line\n".repeat(116_508));
    }
    put(&folders.data_dir(&key()).join("db.sqlite3"), "precious");
    put(&root.path("apps/alice/diary/app/mine.js"), "a person's");
    put(&root.path("apps/alice/diary/trash.json"), "a person's");
    if matches!(operation, Operation::EnsureFromTrash | Operation::PassOver) {
        for _ in 0..2 {
            folders.trash_code(&key(), Some(&diary_id())).await.unwrap();
            folders.ensure(&key(), &diary()).await.unwrap();
        }
        folders.trash_code(&key(), Some(&diary_id())).await.unwrap();
        return root;
    }
    if operation == Operation::PutBackFromTrash {
        put_back(&root, &folders).await.unwrap();
    }
    if operation == Operation::TrashWaiting {
        make_wait(&root, &folders).await.unwrap();
    }
    if matches!(operation, Operation::WriteDraft | Operation::RemoveDraft) {
        draft(&folders, "old", &["sea", "hill"]).await.unwrap();
        return root;
    }
    if operation == Operation::BringCode {
        folders.take_version(&key(), "mine").await.unwrap();
        put(&root.path("apps/alice/diary/app/mine.js"), "edited since");
        put(&root.path("apps/alice/diary/app/more.js"), "and more");
        folders.take_version(&key(), "saved").await.unwrap();
        return root;
    }
    if matches!(operation, Operation::KeepVersions | Operation::EnsureFromVersion) {
        let mine = folders.take_version(&key(), "mine").await.unwrap();
        if operation == Operation::EnsureFromVersion {
            rm(&folders.code_dir(&key()));
            return root;
        }
        for salt in ["1", "2", "3"] {
            assert_ne!(folders.take_version(&key(), salt).await.unwrap(), mine);
        }
    }
    root
}

/// When other data was asked for.
const ASKED: Timestamp = Timestamp(1_795_341_600_123);
const OTHER: &str = "from a backup";

async fn make_wait(root: &Root, folders: &DiskFolders) -> Result<(), FolderError> {
    folders.begin_restore(&key()).await?;
    put(&root.path("apps/alice/diary/.data.making/data/db.sqlite3"), OTHER);
    folders.commit_restore(&key(), restore_of(&key(), ASKED, Some(Timestamp(0)))).await
}

/// Whoever finds that it waits, or is done, goes on from there.
async fn put_back(root: &Root, folders: &DiskFolders) -> Result<(), FolderError> {
    let is_done = fs::read_to_string(folders.data_dir(&key()).join("db.sqlite3")).is_ok_and(|text| text == OTHER);
    if folders.look(&key()).await?.incoming.is_none() && !is_done {
        make_wait(root, folders).await?;
    }
    exchange(folders).await
}

async fn exchange(folders: &DiskFolders) -> Result<(), FolderError> {
    folders.swap_data(&key()).await?;
    folders.finish_swap(&key()).await
}

async fn put_back_from_trash(folders: &DiskFolders) -> Result<(), FolderError> {
    let is_done = fs::read_to_string(folders.data_dir(&key()).join("db.sqlite3")).is_ok_and(|text| text == "precious");
    if folders.look(&key()).await?.incoming.is_none() && !is_done {
        let entry = restore_of(&key(), ASKED, None).entry;
        let again = restore_of(&key(), Timestamp(ASKED.0 + 5_000), None);
        folders.restore_from_trash(&key(), &entry, again).await?;
    }
    exchange(folders).await
}

const ALICE: DraftOf = DraftOf(7);

/// A draft that names its pictures, a line each.
async fn draft(folders: &DiskFolders, text: &str, pictures: &[&str]) -> Result<(), FolderError> {
    let mut kept = BTreeSet::new();
    for picture in pictures {
        kept.insert(folders.put_upload(&key(), ALICE, picture.as_bytes().to_vec()).await?.unwrap());
    }
    let lines: Vec<&str> = [text].into_iter().chain(kept.iter().map(Digest::as_str)).collect();
    assert!(folders.write_draft(&key(), ALICE, lines.join("\n").into_bytes(), kept.clone()).await?);
    Ok(())
}

async fn run(operation: Operation, root: &Root, folders: &DiskFolders) -> Result<(), FolderError> {
    match operation {
        Operation::PutBack => put_back(root, folders).await,
        Operation::PutBackFromTrash => put_back_from_trash(folders).await,
        Operation::Ensure | Operation::EnsureRestored | Operation::EnsureFromTrash => {
            folders.ensure(&key(), &diary()).await.map(drop)
        }
        Operation::TakeVersion => folders.take_version(&key(), "mine").await.map(drop),
        Operation::KeepVersions => {
            let versions = folders.look(&key()).await?.versions;
            folders.keep_versions(&key(), &versions.into_iter().take(1).collect()).await
        }
        Operation::BringCode => {
            let versions = folders.look(&key()).await?.versions;
            let text = |version: &&VersionId| {
                fs::read_to_string(folders.versions_dir(&key()).join(version.as_str()).join("mine.js")).unwrap()
            };
            let mine = versions.iter().find(|version| text(version) == "a person's").unwrap();
            let saved = versions.iter().find(|version| text(version) != "a person's").unwrap();
            assert_eq!(folders.bring_code(&key(), mine, (saved, "saved")).await?, Brought::Done);
            Ok(())
        }
        Operation::EnsureFromVersion => {
            let versions = folders.look(&key()).await?.versions;
            let version = versions.into_iter().next().unwrap();
            folders.ensure(&key(), &Origin::Version(version)).await.map(drop)
        }
        Operation::PassOver => folders.pass_over(&key()),
        Operation::WriteCompose => folders.write_compose(&key(), "new").await,
        Operation::AppendLog | Operation::AppendLogFull => folders.append_deploy_log(&key(), "new").await,
        Operation::WriteDraft | Operation::FirstDraft => draft(folders, "new", &["sea", "city"]).await,
        Operation::RemoveDraft => folders.remove_draft(&key(), ALICE).await,
        Operation::TrashCode | Operation::TrashWaiting => folders.trash_code(&key(), None).await,
        Operation::TrashData => folders.trash_data(&purge(&key())).await,
        Operation::TrashBoth => {
            folders.trash_code(&key(), None).await?;
            folders.trash_data(&purge(&key())).await
        }
    }
}

/// Crashes at the `at`-th checkpoint; counts them otherwise.
fn crash_at(at: usize, reached: &Arc<AtomicUsize>, names: &Arc<Mutex<BTreeSet<&'static str>>>) -> Checkpoints {
    let (reached, names) = (Arc::clone(reached), Arc::clone(names));
    Checkpoints::new(move |name| {
        names.lock().unwrap().insert(name);
        if reached.fetch_add(1, Ordering::SeqCst) == at { Err(Crash) } else { Ok(()) }
    })
}

/// The tree, with trash entries of one part taken as one, and without the root's own path, which differs between runs.
/// A crash just after a line was appended makes the next run append it again, so lines of the log count once.
fn comparable(root: &Root) -> String {
    let own = root.dir.path().to_str().unwrap();
    let lines: BTreeSet<String> = root
        .tree()
        .into_iter()
        .map(|(path, what)| {
            let mut what = what.replace(own, "ROOT");
            if path.ends_with("deploy.log") {
                let mut lines: Vec<&str> = what.split("\\n").collect();
                lines.dedup();
                what = lines.join("\\n");
            }
            if path.ends_with("trash.json") {
                // Of which folder it says so differs between runs.
                what = what.split("\\n").filter(|line| !line.contains("incoming")).collect();
            }
            format!("{} {what}", path.replace("-0001", "-0000"))
        })
        .collect();
    lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

#[tokio::test]
async fn a_crash_at_any_checkpoint_is_made_good_by_the_next_run() {
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let mut crashes = 0;
    for operation in OPERATIONS {
        let expected = {
            let root = prepare(operation).await;
            run(operation, &root, &root.open()).await.unwrap();
            comparable(&root)
        };
        for at in 0.. {
            let root = prepare(operation).await;
            let reached = Arc::new(AtomicUsize::new(0));
            let outcome = run(operation, &root, &root.open().with_checkpoints(crash_at(at, &reached, &names))).await;
            if outcome.is_ok() {
                assert!(reached.load(Ordering::SeqCst) <= at, "{operation:?} went on after a crash");
                assert!(at > 0, "{operation:?} has no checkpoint");
                break;
            }
            crashes += 1;
            nothing_half_made(&root, operation, at);
            run(operation, &root, &root.open()).await.unwrap();
            assert_eq!(comparable(&root), expected, "{operation:?} crashed at {at}");
        }
    }
    assert!(crashes > 60, "{crashes}");
    // Those of an ordinary user, whose data has its owner already, are fewer.
    names.lock().unwrap().retain(|name| !name.contains("given to the app's user"));
    insta::assert_debug_snapshot!(names.lock().unwrap(), @r#"
    {
        "an upload dropped",
        "app folder made",
        "code exchanged",
        "code in place",
        "data exchanged",
        "data folder made",
        "data from the trash waits",
        "data that was there moved to trash",
        "draft removed",
        "empty app folder removed",
        "empty user folder removed",
        "everything flushed",
        "folder for a draft made",
        "folder for drafts made",
        "folder for new code made",
        "folder for other data made",
        "folder for versions made",
        "half-made code removed",
        "half-made trash entry removed",
        "half-made version removed",
        "leftovers of a write removed",
        "log appended to",
        "log folder made",
        "log opened",
        "new code waits",
        "new content in place",
        "new content written beside",
        "one more part moved to trash",
        "one more piece of code copied",
        "other data flushed",
        "other data waits",
        "trash entry made",
        "trash entry named",
        "trash note written",
        "user folder made",
        "version flushed",
        "version in place",
        "version removed",
        "version taken away",
        "what the draft had uploaded removed",
        "what was taken away removed",
    }
    "#);
}

/// What a container could be started on, or a person could find, right after the crash.
fn nothing_half_made(root: &Root, operation: Operation, at: usize) {
    let tree = root.tree();
    let case = format!("{operation:?} crashed at {at}: {tree:#?}");
    if matches!(operation, Operation::Ensure | Operation::EnsureRestored) && tree.contains_key("apps/alice/diary/app") {
        for file in ["server.js", "index.html", "tool.sh", "public/img/a.svg"] {
            assert!(tree.contains_key(&format!("apps/alice/diary/app/{file}")), "{case}");
        }
    }
    for (path, _) in tree.iter().filter(|(path, _)| path.matches('/').count() == 4 && path.contains("/versions/")) {
        let half_made = path.contains("/versions/.");
        assert!(half_made || tree.contains_key(&format!("{path}/mine.js")), "{case}");
    }
    if operation == Operation::BringCode {
        // The one or the other, whole.
        let (mine, more) = (&tree["apps/alice/diary/app/mine.js"], tree.get("apps/alice/diary/app/more.js"));
        assert_eq!(mine.contains("edited since"), more.is_some(), "{case}");
    }
    if operation == Operation::EnsureFromVersion && tree.contains_key("apps/alice/diary/app") {
        assert!(tree.contains_key("apps/alice/diary/app/mine.js"), "{case}");
    }
    if let Ok(draft) = fs::read_to_string(root.path("apps/alice/diary/drafts/7/draft.json")) {
        // All that the draft names is there.
        assert!(draft.starts_with("old") || draft.starts_with("new"), "{case}");
        for name in draft.lines().skip(1) {
            assert!(tree.contains_key(&format!("apps/alice/diary/drafts/7/{name}")), "{case}");
        }
    } else {
        assert_ne!(operation, Operation::WriteDraft, "{case}");
    }
    if matches!(operation, Operation::PutBack | Operation::PutBackFromTrash) {
        // The old or the new, whole, under the name that the app has it by.
        let data = &tree["apps/alice/diary/data/db.sqlite3"];
        assert!(data.contains("precious") || data.contains(OTHER), "{case}");
    }
    for precious in ["precious", "restored too"] {
        let before = matches!((operation, precious), (Operation::Ensure, _))
            || (operation == Operation::EnsureRestored) != (precious == "restored too");
        let copies = tree.values().filter(|what| what.contains(precious)).count();
        assert_eq!(copies, usize::from(!before), "{precious}: {case}");
    }
    for (path, _) in tree.iter().filter(|(path, _)| path.starts_with("trash/") && path.matches('/').count() == 1) {
        let visible = !path.starts_with("trash/.");
        assert!(!visible || tree.contains_key(&format!("{path}/trash.json")), "{case}");
    }
    if let Ok(compose) = fs::read_to_string(root.path("apps/alice/diary/docker-compose.yml")) {
        assert!(compose == "old" || compose == "new", "{case}");
    }
}
