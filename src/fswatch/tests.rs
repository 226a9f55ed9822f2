use std::io::Write as _;

use notify::event::{CreateKind, Flag, RemoveKind};
use tokio_util::task::TaskTracker;

use super::*;

/// Longer than any machine needs, shorter than a person waits for a broken test.
const DEADLINE: Duration = Duration::from_secs(30);
/// So rare that only events count.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Flat,
    Deep,
}

struct World {
    root: tempfile::TempDir,
    hints_rx: mpsc::Receiver<Kind>,
    cancel: CancellationToken,
    tracker: TaskTracker,
}

impl World {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("flat")).unwrap();
        fs::create_dir_all(root.path().join("deep/inner")).unwrap();
        let roots = vec![
            Root { path: root.path().join("flat"), depth: Depth::Flat, kind: Kind::Flat },
            Root { path: root.path().join("deep"), depth: Depth::Deep, kind: Kind::Deep },
        ];
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (hints_rx, watching) = checking(roots, NEVER, cancel.clone());
        tracker.spawn(watching);
        let mut world = Self { root, hints_rx, cancel, tracker };
        world.hint(Kind::Flat).await;
        world.hint(Kind::Deep).await;
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, name: &str) {
        fs::File::create(self.path(name)).unwrap().write_all(b"x").unwrap();
    }

    /// Waits for a hint of that kind.
    async fn hint(&mut self, kind: Kind) {
        let waited = timeout(DEADLINE, async { while self.hints_rx.recv().await.unwrap() != kind {} }).await;
        waited.unwrap_or_else(|_| panic!("no hint about {kind:?}"));
    }

    /// Takes what is left of the hints about earlier changes: all of them precede the hint about this one.
    async fn settle(&mut self) {
        for (kind, name) in [(Kind::Flat, "flat/settle"), (Kind::Deep, "deep/settle")] {
            self.put(name);
            self.hint(kind).await;
            while timeout(QUIET * 30, self.hints_rx.recv()).await.is_ok() {}
        }
    }
}

#[tokio::test]
async fn each_way_to_change_a_folder_gives_a_hint() {
    let mut world = World::new().await;
    world.put("flat/a");
    world.hint(Kind::Flat).await;
    world.settle().await;
    world.put("flat/a");
    world.hint(Kind::Flat).await;
    world.settle().await;
    world.put("outside");
    fs::rename(world.path("outside"), world.path("flat/a")).unwrap();
    world.hint(Kind::Flat).await;
    world.settle().await;
    fs::rename(world.path("flat/a"), world.path("flat/b")).unwrap();
    world.hint(Kind::Flat).await;
    world.settle().await;
    fs::remove_file(world.path("flat/b")).unwrap();
    world.hint(Kind::Flat).await;
    world.settle().await;
    world.put("deep/inner/a");
    world.hint(Kind::Deep).await;
    world.settle().await;
    fs::create_dir(world.path("deep/new")).unwrap();
    world.hint(Kind::Deep).await;
    world.settle().await;
    world.put("deep/new/a");
    world.hint(Kind::Deep).await;
}

#[tokio::test]
async fn looking_gives_no_hint() {
    let mut world = World::new().await;
    world.put("flat/a");
    world.settle().await;
    for _ in 0..3 {
        fs::read(world.path("flat/a")).unwrap();
        assert_eq!(fs::read_dir(world.path("flat")).unwrap().count(), 2);
    }
    // The next hint is about the change made after looking, and it is of the other kind.
    world.put("deep/a");
    assert_eq!(timeout(DEADLINE, world.hints_rx.recv()).await.unwrap(), Some(Kind::Deep));
}

#[expect(clippy::disallowed_methods, reason = "the folder is the test's own")]
#[tokio::test]
async fn a_folder_that_is_removed_and_made_again_is_followed_again() {
    let mut world = World::new().await;
    for _ in 0..3 {
        fs::remove_dir_all(world.path("flat")).unwrap();
        world.hint(Kind::Flat).await;
        world.settle_gone().await;
        fs::create_dir(world.path("flat")).unwrap();
        world.hint(Kind::Flat).await;
        world.followed().await;
    }
    // Replaced by another one in one step.
    fs::create_dir(world.path("other")).unwrap();
    fs::rename(world.path("flat"), world.path("gone")).unwrap();
    fs::rename(world.path("other"), world.path("flat")).unwrap();
    world.hint(Kind::Flat).await;
    world.followed().await;
}

impl World {
    async fn settle_gone(&mut self) {
        while timeout(QUIET * 30, self.hints_rx.recv()).await.is_ok() {}
    }

    /// A change in the folder gives a hint once earlier ones are through.
    async fn followed(&mut self) {
        self.settle_gone().await;
        self.put("flat/a");
        self.hint(Kind::Flat).await;
    }
}

#[tokio::test]
async fn a_folder_whose_parents_do_not_exist_yet_is_found() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/c");
    let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
    let (hints_rx, watching) =
        checking(vec![Root { path: path.clone(), depth: Depth::Flat, kind: Kind::Flat }], NEVER, cancel.clone());
    tracker.spawn(watching);
    let mut world = World { root, hints_rx, cancel, tracker };
    world.hint(Kind::Flat).await;
    fs::create_dir_all(&path).unwrap();
    world.hint(Kind::Flat).await;
    world.settle_gone().await;
    fs::File::create(path.join("file")).unwrap();
    world.hint(Kind::Flat).await;
}

#[tokio::test]
async fn constant_changes_are_reported_while_they_go_on_and_after_the_last() {
    let mut world = World::new().await;
    let (file, temporary) = (world.path("flat/a"), world.path("flat/.a"));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut writes = 0u64;
        while !stopped.is_cancelled() {
            writes += 1;
            fs::File::create(&temporary).unwrap().write_all(writes.to_string().as_bytes()).unwrap();
            fs::rename(&temporary, &file).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        writes
    });
    // The writer never pauses, so these hints come in the middle of its burst.
    for _ in 0..2 {
        world.hint(Kind::Flat).await;
    }
    assert!(!writing.is_finished());
    stop.cancel();
    let writes = writing.await.unwrap();
    // Whoever looks after each hint sees the last state in the end.
    // The writer's last change may be behind the last hint taken: then looking now is looking after it.
    while fs::read_to_string(world.path("flat/a")).unwrap() != writes.to_string() {
        world.hint(Kind::Flat).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_without_end_is_reported_after_a_second() {
    let arrived = Notify::new();
    let burst = async {
        loop {
            arrived.notify_one();
            tokio::time::sleep(QUIET / 2).await;
        }
    };
    let start = Instant::now();
    tokio::select! {
        () = settle(&arrived) => {}
        () = burst => {}
    }
    assert!((LONGEST..LONGEST + QUIET * 2).contains(&start.elapsed()), "{:?}", start.elapsed());

    // One change is reported when it is over.
    arrived.notify_one();
    let start = Instant::now();
    settle(&arrived).await;
    assert!((QUIET..QUIET * 3).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_folder_exchanged_without_any_event_is_found_by_looking() {
    let root = tempfile::tempdir().unwrap();
    for name in ["one/flat", "two/flat"] {
        fs::create_dir_all(root.path().join(name)).unwrap();
    }
    // Switching a link above the parent changes nothing in the folders that are watched, as a mount would.
    std::os::unix::fs::symlink("one", root.path().join("link")).unwrap();
    std::os::unix::fs::symlink("two", root.path().join("next")).unwrap();
    let path = root.path().join("link/flat");
    let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
    let roots = vec![Root { path, depth: Depth::Flat, kind: Kind::Flat }];
    let (hints_rx, watching) = checking(roots, QUIET, cancel.clone());
    tracker.spawn(watching);
    let mut world = World { root, hints_rx, cancel, tracker };
    world.hint(Kind::Flat).await;
    world.settle_gone().await;
    fs::rename(world.path("next"), world.path("link")).unwrap();
    world.hint(Kind::Flat).await;
    world.settle_gone().await;
    world.put("two/flat/a");
    world.hint(Kind::Flat).await;
}

#[tokio::test]
async fn hints_nobody_takes_merge_and_none_is_lost() {
    let mut world = World::new().await;
    world.settle().await;
    for n in 0..2000 {
        world.put(&format!("flat/{n}"));
        world.put(&format!("deep/{n}"));
    }
    world.hint(Kind::Flat).await;
    world.hint(Kind::Deep).await;
    let mut more = 0;
    while timeout(QUIET * 30, world.hints_rx.recv()).await.is_ok() {
        more += 1;
    }
    assert!(more < 500, "{more} more hints about 4000 changes");
}

#[tokio::test]
async fn it_ends_when_cancelled_and_when_nobody_listens() {
    let world = World::new().await;
    world.cancel.cancel();
    world.tracker.close();
    timeout(DEADLINE, world.tracker.wait()).await.unwrap();

    let World { root, hints_rx, tracker, .. } = World::new().await;
    drop(hints_rx);
    fs::File::create(root.path().join("flat/a")).unwrap();
    tracker.close();
    timeout(DEADLINE, tracker.wait()).await.unwrap();
}

#[test]
fn lost_events_and_events_about_a_root_ask_for_a_new_watch() {
    let roots = [Root { path: PathBuf::from("/paas/apps.d"), depth: Depth::Flat, kind: Kind::Flat }];
    let marks = |event: notify::Event| {
        let inbox =
            Inbox { marks: Mutex::new(Marks { changed: BTreeSet::new(), rebuild: false }), arrived: Notify::new() };
        sort(&event, &roots, &inbox);
        let marks = inbox.take();
        (marks.changed.len(), marks.rebuild)
    };
    let at = |kind: EventKind, path: &str| notify::Event::new(kind).add_path(path.into());
    let overflow = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(marks(overflow), (0, true));
    assert_eq!(marks(at(EventKind::Remove(RemoveKind::Folder), "/paas/apps.d")), (0, true));
    assert_eq!(marks(at(EventKind::Create(CreateKind::Folder), "/paas")), (0, true));
    assert_eq!(marks(at(EventKind::Create(CreateKind::File), "/paas/apps.d/a.yaml")), (1, false));
    assert_eq!(marks(at(EventKind::Create(CreateKind::File), "/paas/apps.d/sub/a.yaml")), (0, false));
    assert_eq!(marks(at(EventKind::Create(CreateKind::File), "/paas/.env")), (0, false));
    assert_eq!(marks(at(EventKind::Create(CreateKind::File), "/paas/apps.d.bak")), (0, false));
    assert_eq!(marks(at(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/paas/apps.d/a")), (1, false));
    for kind in [AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)] {
        assert_eq!(marks(at(EventKind::Access(kind), "/paas/apps.d/a")), (0, false));
    }
}
