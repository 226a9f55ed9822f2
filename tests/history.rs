//! The history of an app's code, with the git that is installed here.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minipaas::clock::SystemClock;
use minipaas::folders::{DiskFolders, Folders as _, Origin, Owner};
use minipaas::history::{
    Author, Authors, Bounds, ChangeKind, Did, Door, FileEdit, GitHistory, History as _, HistoryError, Publication,
    Published, Recorder, RecorderHandle, Side,
};
use minipaas::model::status::Endpoint;
use minipaas::model::{
    AppKey, AppStatus, Bytes, ContainerId, DaemonStatus, Health, RunState, TemplateId, Timestamp, VersionId,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const BOUNDS: Bounds = Bounds { files: 100, bytes: Bytes::mib(1) };
const DEADLINE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

/// What the event log would say.
#[derive(Default)]
struct Told(Mutex<Option<Author>>);

impl Authors for Told {
    fn last_until<'a>(
        &'a self,
        _: &'a AppKey,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Option<Author>> + Send + 'a>> {
        let author = self.0.lock().unwrap().clone();
        Box::pin(async move { author })
    }
}

/// An installation with one app, and its recorder.
struct Place {
    root: tempfile::TempDir,
    folders: DiskFolders,
    history: GitHistory,
    handle: RecorderHandle,
    told: Arc<Told>,
    status_tx: watch::Sender<Arc<DaemonStatus>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    recorded_rx: mpsc::Receiver<AppKey>,
}

impl Place {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // Git's own user has to get through.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (file, text) in [("server.js", "serve()"), ("index.html", "<h1>일기장</h1>")] {
            put(&root.path().join("templates/diary-v1/app").join(file), text);
        }
        let at = |below: &str| root.path().join(below);
        let folders = DiskFolders::open(&at("apps"), &at("trash"), &at("templates"), Arc::new(SystemClock)).unwrap();
        let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
        let folders = folders.owned_by(owner);
        folders.ensure(&key(), &Origin::Template(TemplateId::parse("diary-v1").unwrap())).await.unwrap();
        let history = GitHistory::new(folders.clone());
        assert_eq!(history.off(), None);
        let told = Arc::new(Told::default());
        let (recorder, handle, recorded_rx) = Recorder::new(history.clone(), Arc::clone(&told) as Arc<dyn Authors>);
        let (status_tx, status_rx) = watch::channel(Arc::new(DaemonStatus::unseen()));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(recorder.run(status_rx, stop.clone()));
        let place = Self { root, folders, history, handle, told, status_tx, stop, tasks, recorded_rx };
        place.report(None);
        place
    }

    fn app(&self, file: &str) -> PathBuf {
        self.folders.code_dir(&key()).join(file)
    }

    fn by(&self, by: &str, did: Did) {
        *self.told.0.lock().unwrap() = Some(Author { by: by.to_owned(), did });
    }

    /// The daemon tells that this version answers.
    fn report(&self, answers: Option<&VersionId>) {
        let mut app = AppStatus::unseen(&key(), RunState::Running, None, "localhost");
        if let Some(version) = answers {
            let container = ContainerId("one".to_owned());
            app.health = Health::Running;
            app.version = Some(version.clone());
            app.endpoint = Some(Endpoint { container, ip: [10, 0, 0, 2].into(), port: 3000 });
        }
        self.status_tx.send_modify(|status| drop(Arc::make_mut(status).apps.insert(key(), Arc::new(app))));
    }

    async fn take(&self, salt: &str) -> VersionId {
        self.folders.take_version(&key(), salt).await.unwrap()
    }

    async fn recorded(&self) -> BTreeSet<VersionId> {
        self.history.recorded(&key()).await.unwrap().unwrap()
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

#[tokio::test]
async fn every_version_is_kept_with_who_made_it_and_what_changed() {
    let place = Place::new().await;
    place.by("alice in the portal", Did::Make);
    let first = place.take("").await;
    place.handle.catch_up(&key()).await.unwrap();
    put(&place.app("index.html"), "<h1>mine</h1>");
    put(&place.app("사진/바다 \"1\".txt"), "sea");
    place.by("the command line (uid 0)", Did::Other);
    let second = place.take("two").await;
    place.report(Some(&first));
    place.handle.catch_up(&key()).await.unwrap();
    fs::remove_file(place.app("사진/바다 \"1\".txt")).unwrap();
    let third = place.take("three").await;
    place.handle.catch_up(&key()).await.unwrap();

    let versions = place.history.list(&key()).await.unwrap();
    let told: Vec<_> =
        versions.iter().map(|version| (&version.id, version.door, &*version.by, version.healthy)).collect();
    let operator = "the command line (uid 0)";
    assert_eq!(
        told,
        [
            (&third, Door::Deploy, operator, false),
            (&second, Door::Deploy, operator, false),
            (&first, Door::Template, "alice in the portal", true),
        ]
    );
    let changes =
        |number: usize| versions[number].changes.iter().map(|change| (change.kind, &*change.path)).collect::<Vec<_>>();
    assert_eq!(changes(0), [(ChangeKind::Removed, "사진/바다 \"1\".txt")]);
    assert_eq!(changes(1), [(ChangeKind::Changed, "index.html"), (ChangeKind::Added, "사진/바다 \"1\".txt")]);
    assert_eq!((versions[1].files, versions[1].bytes), (3, 23));
    // And how they differ.
    put(&place.app("server.js"), "serve(2)");
    place.handle.compare_working_copy(&key()).await.unwrap();
    let text = place.history.diff(&key(), &Side::Version(third), &Side::Working).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("-serve()") && text.contains("+serve(2)") && !text.contains("index.html"), "{text}");
    place.end().await;
}

#[tokio::test]
async fn what_is_recorded_is_the_code_byte_for_byte_whatever_git_would_do_with_it() {
    let place = Place::new().await;
    put(&place.app(".gitignore"), "*\n");
    put(&place.app(".gitattributes"), "* text eol=crlf filter=evil export-ignore\n");
    put(&place.app("node_modules/a/index.js"), "a\r\nb\n");
    put(&place.app("page.bin"), [0, 159, 146, 150, 10]);
    put(&place.app(".git/config"), "[core]\n\thooksPath = /tmp\n");
    put(&place.app("sub/.git/HEAD"), "ref: refs/heads/main\n");
    std::os::unix::fs::symlink("../server.js", place.app("node_modules/link")).unwrap();
    fs::set_permissions(place.app("server.js"), fs::Permissions::from_mode(0o755)).unwrap();
    let version = place.take("").await;
    place.handle.catch_up(&key()).await.unwrap();
    let repository = place.folders.history_dir(&key());
    let git = |args: &[&str]| {
        let ran = std::process::Command::new("git")
            .args(["-c", "safe.directory=*", "-c", "core.quotePath=false", "--git-dir"])
            .arg(&repository)
            .args(args)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        ran.stdout
    };
    let tree = String::from_utf8(git(&["ls-tree", "-r", &format!("refs/versions/{version}")])).unwrap();
    let entries: Vec<_> = tree.lines().map(|line| (&line[..6], line.split('\t').nth(1).unwrap())).collect();
    assert_eq!(
        entries,
        [
            ("100644", ".gitattributes"),
            ("100644", ".gitignore"),
            ("100644", "index.html"),
            ("100644", "node_modules/a/index.js"),
            ("120000", "node_modules/link"),
            ("100644", "page.bin"),
            ("100755", "server.js"),
        ]
    );
    assert_eq!(git(&["cat-file", "blob", &format!("refs/versions/{version}:page.bin")]), [0, 159, 146, 150, 10]);
    assert_eq!(git(&["cat-file", "blob", &format!("refs/versions/{version}:node_modules/a/index.js")]), b"a\r\nb\n");
    git(&["fsck", "--strict"]);
    // Nobody else reads it, not even the app.
    let metadata = fs::metadata(&repository).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o700);
    assert!(metadata.uid() != Owner::APP.uid);
    place.end().await;
}

#[tokio::test]
async fn a_checkout_that_a_crash_left_unrecorded_is_recorded_by_the_next_look_without_being_asked() {
    let mut place = Place::new().await;
    let first = place.take("").await;
    put(&place.app("index.html"), "mine");
    let second = place.take("two").await;
    assert_eq!(place.recorded().await, BTreeSet::new(), "and so neither checkout may go");
    place.report(Some(&second));
    let told = tokio::time::timeout(DEADLINE, place.recorded_rx.recv()).await.unwrap();
    assert_eq!(told, Some(key()), "whoever drops checkouts is told");
    assert_eq!(place.recorded().await, [first.clone(), second.clone()].into());
    let order: Vec<_> = place.history.list(&key()).await.unwrap().into_iter().map(|version| version.id).collect();
    assert_eq!(order, [second, first]);
    place.end().await;
}

#[tokio::test]
async fn an_installation_from_before_gets_a_history_of_what_is_in_app() {
    let place = Place::new().await;
    place.by("a file on disk", Did::Other);
    put(&place.app("index.html"), "written long ago");
    place.handle.catch_up(&key()).await.unwrap();
    place.handle.catch_up(&key()).await.unwrap();
    let versions = place.history.list(&key()).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!((versions[0].door, versions[0].files), (Door::Before, 2));
    // No checkout was made, and no container has to do with it.
    assert_eq!(place.folders.look(&key()).await.unwrap().versions, BTreeSet::new());
    place.end().await;
}

#[tokio::test]
async fn code_that_git_cannot_take_hinders_nobody_and_is_told() {
    let place = Place::new().await;
    let version = place.take("").await;
    // Somebody has made the history unusable.
    place.handle.catch_up(&key()).await.unwrap();
    let head = place.folders.history_dir(&key()).join("HEAD");
    fs::remove_file(&head).unwrap();
    let error = place.history.list(&key()).await.unwrap_err().to_string();
    assert!(error.contains("git could not"), "{error}");
    assert_eq!(place.recorded().await, [version].into());
    assert!(place.root.path().join("apps/alice/diary/app/index.html").is_file());
    place.end().await;
}

#[tokio::test]
async fn a_version_that_is_checked_out_again_is_what_it_was() {
    let place = Place::new().await;
    put(&place.app(".gitattributes"), "* text eol=crlf export-ignore\n");
    put(&place.app("깊은/곳/글.txt"), "a\r\nb\n");
    put(&place.app("big.bin"), vec![7_u8; 5 << 20]);
    std::os::unix::fs::symlink("../server.js", place.app("깊은/link")).unwrap();
    fs::set_permissions(place.app("server.js"), fs::Permissions::from_mode(0o755)).unwrap();
    let version = place.take("").await;
    place.handle.catch_up(&key()).await.unwrap();
    let checkout = place.folders.versions_dir(&key()).join(version.as_str());
    let before = described(&checkout);
    assert_eq!(before.len(), 8, "{before:?}");
    place.folders.keep_versions(&key(), &BTreeSet::new()).await.unwrap();
    assert!(!checkout.exists());

    place.history.check_out(&key(), &version).await.unwrap();
    assert_eq!(described(&checkout), before);
    // What is there is not written to.
    place.history.check_out(&key(), &version).await.unwrap();
    let unknown = VersionId::parse("0123456789abcdef").unwrap();
    let error = place.history.check_out(&key(), &unknown).await.unwrap_err().to_string();
    assert!(error.contains("no version 0123456789abcdef"), "{error}");
    place.end().await;
}

/// Path, mode and content of everything below.
fn described(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            found.push((path.strip_prefix(folder).unwrap().to_owned(), metadata.mode(), content));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn files_are_changed_on_a_version_beside_the_working_copy() {
    let place = Place::new().await;
    let base = place.take("").await;
    place.handle.catch_up(&key()).await.unwrap();
    let edit = |path: &str, content: Option<&str>| FileEdit {
        path: path.to_owned(),
        content: content.map(|content| content.as_bytes().to_vec()),
    };
    let edits = |edits: Vec<FileEdit>| {
        let (by, message) = ("alice in the portal".to_owned(), "a new headline".to_owned());
        Publication { what: Published::Edits { base: base.clone(), edits }, by, message, bounds: BOUNDS }
    };
    let changes = edits(vec![edit("새/글.html", Some("새 글")), edit("index.html", None)]);
    let version = place.handle.publish(&key(), changes).await.unwrap();
    let files: Vec<_> =
        place.history.files(&key(), &version).await.unwrap().into_iter().map(|file| (file.path, file.bytes)).collect();
    assert_eq!(files, [("server.js".to_owned(), 7), ("새/글.html".to_owned(), 7)]);
    assert_eq!(place.history.read(&key(), &version, "새/글.html").await.unwrap().unwrap(), "새 글".as_bytes());
    assert_eq!(place.history.read(&key(), &version, "../secret").await.unwrap(), None);
    let newest = &place.history.list(&key()).await.unwrap()[0];
    assert_eq!(
        (&newest.id, newest.door, &*newest.by, &*newest.message),
        (&version, Door::Publish, "alice in the portal", "a new headline")
    );
    // Nothing of it is in the working copy; a checkout has it.
    assert!(place.app("index.html").exists() && !place.app("새/글.html").exists());
    place.history.check_out(&key(), &version).await.unwrap();
    let checkout = place.folders.versions_dir(&key()).join(version.as_str());
    assert_eq!(fs::read_to_string(checkout.join("새/글.html")).unwrap(), "새 글");
    assert!(!checkout.join("index.html").exists());
    let refused = place.handle.publish(&key(), edits(vec![edit("../x", Some("x"))])).await.unwrap_err();
    assert!(matches!(refused, HistoryError::Unpublishable(_)), "{refused}");
    place.end().await;
}
