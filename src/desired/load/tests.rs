use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::desired::{Change, ManifestDir};
use crate::model::{InstanceId, RunState};

/// A manifests folder with a marker, an empty templates folder, and a clock to turn.
struct World {
    root: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    folder: ManifestFolder,
}

fn instance() -> InstanceId {
    InstanceId::parse("0123456789abcdef").unwrap()
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (manifests, templates) = (root.path().join("apps.d"), root.path().join("templates"));
        fs::create_dir(&manifests).unwrap();
        fs::create_dir(&templates).unwrap();
        marker::write(&manifests, &instance()).unwrap();
        // A year from now: every file is old.
        let year = 365 * 24 * 3600 * 1000;
        let clock = Arc::new(AtomicI64::new(file_time(&manifests) + year));
        let hands = Arc::clone(&clock);
        let folder =
            ManifestFolder::new(manifests, templates, Arc::new(move || Timestamp(hands.load(Ordering::SeqCst))));
        Self { root, clock, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("apps.d").join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::File::create(self.path(name)).unwrap().write_all(text.as_ref()).unwrap();
    }

    fn load(&self) -> Snapshot {
        self.folder.load_blocking()
    }

    /// Name of the app → usable, or why not.
    fn told(&self) -> BTreeMap<String, String> {
        let usable = |entry: &FileEntry| match &entry.parsed {
            Ok(manifest) => manifest.template.to_string(),
            Err(diagnostic) => diagnostic.to_string(),
        };
        self.load().files.iter().map(|(key, entry)| (key.to_string(), usable(entry))).collect()
    }

    fn partial(&self) -> String {
        match self.load().completeness {
            Completeness::Complete { .. } => "complete".to_owned(),
            Completeness::Partial { reason } => reason.replace(&self.root.path().display().to_string(), "ROOT"),
        }
    }
}

fn file_time(path: &Path) -> i64 {
    fs::metadata(path).unwrap().mtime() * 1000
}

#[test]
fn a_folder_with_its_marker_is_read_entirely() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    world.put("bob-notes.yml", "template: static-v1\n");
    let snapshot = world.load();
    assert_eq!(snapshot.completeness, Completeness::Complete { instance: instance() });
    assert!(snapshot.complete(&instance()).is_some());
    let entry = &snapshot.files[&AppKey::parse("alice-diary").unwrap()];
    assert_eq!(entry.path, world.path("alice-diary.yaml"));
    assert_eq!(entry.digest, Digest::of(b"template: diary-v1\n"));
    assert_eq!(entry.modified.0 / 1000, file_time(&entry.path) / 1000);
    assert_eq!(world.told().len(), 2);
}

#[test]
fn files_that_are_no_manifests_are_ignored() {
    let world = World::new();
    for name in [
        ".hidden.yaml",
        "alice-diary.yaml~",
        ".alice-diary.yaml.swp",
        "alice-diary.yaml.tmp",
        "alice-diary.yaml.bak",
        "README.md",
        "alice-diary.json",
        ".lock",
        "alice-diary",
        "alice-diary.YAML",
        "4913",
    ] {
        world.put(name, "not: [a manifest");
    }
    fs::create_dir(world.path("sub")).unwrap();
    world.put("sub/alice-diary.yaml", "template: diary-v1");
    let snapshot = world.load();
    assert_eq!((snapshot.files.len(), snapshot.problems), (0, Vec::new()));
}

#[test]
fn a_file_name_that_is_no_app_is_a_problem_of_its_own() {
    let world = World::new();
    world.put("diary.yaml", "template: diary-v1");
    world.put("al-diary.yaml", "template: diary-v1");
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff.yaml");
    fs::File::create(world.root.path().join("apps.d").join(odd)).unwrap();
    let told: Vec<String> = world.load().problems.iter().map(|p| format!("{}: {}", p.file, p.message)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    �.yaml: the file name is not UTF-8: rename it to `userid-appname.yaml`
    al-diary.yaml: user id `al` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`
    diary.yaml: `diary` is not an app: write `userid-appname`, for example `alice-my-diary`
    ");
}

#[test]
fn a_file_that_is_there_but_cannot_be_used_has_an_entry_with_the_reason() {
    let world = World::new();
    world.put("ann-broken.yaml", "memory: [");
    fs::create_dir(world.path("bob-folder.yaml")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, world.path("cid-pipe.yaml"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let outside = world.root.path().join("outside.yaml");
    fs::File::create(&outside).unwrap().write_all(b"template: secret-v1").unwrap();
    symlink(&outside, world.path("dan-outside.yaml")).unwrap();
    symlink("nowhere", world.path("eve-dangling.yaml")).unwrap();
    symlink("eve-loop.yaml", world.path("eve-loop.yaml")).unwrap();
    world.put("fay-inside.yaml", "template: diary-v1");
    symlink("fay-inside.yaml", world.path("gus-inside.yaml")).unwrap();
    world.put("hal-twice.yaml", "template: diary-v1");
    world.put("hal-twice.yml", "template: diary-v1");
    let told: Vec<String> = world.told().into_iter().map(|(app, told)| format!("{app} = {told}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    ann-broken = ann-broken.yaml:1:9: not valid YAML: unclosed bracket '[' (give every opening bracket its closing one)
    bob-folder = bob-folder.yaml: the file is not a plain file (move it away and write the manifest as a file)
    cid-pipe = cid-pipe.yaml: the file is not a plain file (move it away and write the manifest as a file)
    dan-outside = dan-outside.yaml: the file is a symbolic link that leads out of the folder (put a copy of the file here)
    eve-dangling = eve-dangling.yaml: the file is a symbolic link to nothing (remove it, or put the file here)
    eve-loop = eve-loop.yaml: the file cannot be read (Too many levels of symbolic links (os error 40)) (make it readable for the daemon's user, check the disk)
    fay-inside = diary-v1
    gus-inside = diary-v1
    hal-twice = hal-twice.yml: `hal-twice.yaml` is about the same app (keep one of the two files)
    ");
    assert_eq!(world.partial(), "complete");
}

#[test]
fn an_unreadable_file_is_not_an_absent_one() {
    // Root may read everything, so the refusal is tried where it is decided.
    let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    assert!(unreadable("alice-diary.yaml", "x".into(), &refused).is_some_and(|entry| entry.parsed.is_err()));
    let gone = io::Error::from(io::ErrorKind::NotFound);
    assert!(unreadable("alice-diary.yaml", "x".into(), &gone).is_none());
}

#[test]
fn what_may_be_out_of_sight_is_never_called_complete() {
    let world = World::new();
    assert_eq!(world.partial(), "complete");
    let (dir, away) = (world.root.path().join("apps.d"), world.root.path().join("away"));

    fs::remove_file(world.path(".minipaas")).unwrap();
    insta::assert_snapshot!(world.partial(), @"the manifests folder ROOT/apps.d has no `.minipaas` marker: if its disk is mounted and the manifests are the right ones, run `paas init`");
    world.put(".minipaas", "instance: nonsense");
    insta::assert_snapshot!(world.partial(), @"the manifests folder ROOT/apps.d has a damaged `.minipaas` marker: it needs a line `instance:` with 16 hex digits; run `paas init`");
    fs::rename(&dir, &away).unwrap();
    insta::assert_snapshot!(world.partial(), @"the manifests folder ROOT/apps.d does not exist: mount its disk, or create it and run `paas init`");
    fs::File::create(&dir).unwrap();
    insta::assert_snapshot!(world.partial(), @"the manifests folder ROOT/apps.d is not a folder: move that file away and run `paas init`");
    fs::remove_file(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    marker::write(&dir, &instance()).unwrap();
    assert_eq!(world.partial(), "complete");
}

#[test]
fn a_folder_that_went_while_it_was_read_is_not_said_to_lack_its_marker() {
    let world = World::new();
    let folder = world.root.path().join("apps.d");
    fs::rename(&folder, world.root.path().join("away")).unwrap();
    let missing = marker::read(&folder).unwrap_err();
    assert!(unmarked(&folder, &missing).contains("does not exist"), "{missing}");
    fs::create_dir(&folder).unwrap();
    let missing = marker::read(&folder).unwrap_err();
    assert!(unmarked(&folder, &missing).contains("has no `.minipaas` marker"), "{missing}");
}

#[test]
fn a_reading_without_changes_opens_nothing() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    let first = world.load();
    let cached = |world: &World| world.folder.cache.lock().unwrap().len();
    assert_eq!(cached(&world), 1);
    // Make the remembered entry recognisable: if the file were read again, it would be the real one.
    let planted = Digest::of(b"planted");
    world.folder.cache.lock().unwrap().get_mut("alice-diary.yaml").unwrap().1.digest = planted.clone();
    let key = AppKey::parse("alice-diary").unwrap();
    assert_eq!(world.load().files[&key].digest, planted);
    assert_eq!(world.load().files[&key].digest, planted, "remembered on");

    // Of another size, so that the test does not depend on how fine the file system's clock is.
    world.put("alice-diary.yaml", "template: diary-v10\n");
    assert_eq!(world.load().files[&key].digest, Digest::of(b"template: diary-v10\n"));
    fs::remove_file(world.path("alice-diary.yaml")).unwrap();
    assert_eq!((world.load().files.len(), cached(&world)), (0, 0), "forgotten with the file");
    assert_ne!(first.files, world.load().files);
}

#[test]
fn a_file_that_may_still_change_unnoticed_is_read_each_time() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    let written = Stamp::of(&fs::metadata(world.path("alice-diary.yaml")).unwrap());
    let newest = milliseconds(written.changed);
    for (age, remembered) in [(-1000, 0), (0, 0), (SETTLED_MS - 1, 0), (SETTLED_MS, 1)] {
        world.clock.store(newest + age, Ordering::SeqCst);
        world.load();
        assert_eq!(world.folder.cache.lock().unwrap().len(), remembered, "{age} ms old");
    }
}

#[test]
fn every_part_of_the_stamp_counts() {
    let base = Stamp { device: 1, inode: 2, size: 3, modified: (4, 5), changed: (6, 7) };
    for other in [
        Stamp { device: 9, ..base },
        Stamp { inode: 9, ..base },
        Stamp { size: 9, ..base },
        Stamp { modified: (4, 9), ..base },
        Stamp { changed: (6, 9), ..base },
    ] {
        assert_ne!(base, other);
    }
}

#[tokio::test]
async fn templates_come_along() {
    let world = World::new();
    fs::create_dir(world.root.path().join("templates/half-done")).unwrap();
    let snapshot = world.folder.load().await;
    assert_eq!(snapshot.templates.len(), 1);
    assert!(snapshot.templates.values().all(Result::is_err));
}

#[test]
fn a_file_says_who_wrote_it_until_somebody_else_does() {
    let world = World::new();
    let key = AppKey::parse("alice-diary").unwrap();
    let signed = || world.load().files[&key].signed.clone();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    assert_eq!(signed(), None);
    let folder = ManifestDir::new(world.root.path().join("apps.d")).lock().unwrap();
    let draft = folder.draft_edit(&key, None, &[Change::State(RunState::Stopped)]).unwrap();
    draft.signed("API key 1 `ci` of admin").write().unwrap();
    assert_eq!(signed().as_deref(), Some("API key 1 `ci` of admin"), "the file system has to keep extended attributes");
    fs::rename(world.path("alice-diary.yaml"), world.path("bob-diary.yaml")).unwrap();
    assert_eq!(
        world.load().files[&AppKey::parse("bob-diary").unwrap()].signed,
        None,
        "another app, and not made by it"
    );
    fs::rename(world.path("bob-diary.yaml"), world.path("alice-diary.yaml")).unwrap();
    assert!(signed().is_some());
    let mut file = fs::OpenOptions::new().append(true).open(world.path("alice-diary.yaml")).unwrap();
    file.write_all(b"# and me\n").unwrap();
    assert_eq!(signed(), None);
}
