use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::desired::parse::parse;
use crate::model::{Bytes, Manifest};

struct World {
    root: tempfile::TempDir,
    dir: ManifestDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = ManifestDir::new(root.path().to_owned());
        Self { root, dir }
    }

    fn put(&self, name: &str, text: &str) {
        File::create(self.root.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join(name)).unwrap()
    }

    /// Names in the folder except the lock.
    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != LOCK_FILE).collect();
        names.sort();
        names
    }
}

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

fn manifest(text: &str) -> Manifest {
    parse("x.yaml", text.as_bytes()).unwrap()
}

const STOP: [Change; 1] = [Change::State(RunState::Stopped)];

#[test]
fn a_new_app_gets_a_file_that_says_exactly_that() {
    let world = World::new();
    let wanted = manifest("template: diary-v1\nenableApi: true");
    let digest = world.dir.create(&key(), &wanted).unwrap();
    let current = world.dir.read(&key()).unwrap().unwrap();
    insta::assert_snapshot!(current.text, @r"
    # The app `alice-diary`. Save this file and the daemon makes the app match it.
    # All keys and examples: examples/README.md
    template: diary-v1
    enableApi: true
    ");
    assert_eq!((current.digest, manifest(&current.text)), (digest, wanted));
    assert_eq!(current.path.metadata().unwrap().mode() & 0o777, 0o644);
    assert_eq!(world.names(), ["alice-diary.yaml"], "nothing else is left behind");
}

#[test]
fn a_file_with_variables_is_for_its_owner_and_group_only() {
    let world = World::new();
    world.dir.create(&key(), &manifest("template: diary-v1\nenv: {PASSWORD: secret}")).unwrap();
    let path = world.root.path().join("alice-diary.yaml");
    let mode = || path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(), 0o640);
    for (before, after) in [(0o644, 0o640), (0o600, 0o600), (0o664, 0o660)] {
        let source = "template: diary-v1\nenv: {PASSWORD: secret}\n";
        world.put("alice-diary.yaml", source);
        fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
        world.dir.edit(&key(), None, &STOP).unwrap();
        assert_eq!(mode(), after, "from {before:o}");
    }
}

#[test]
fn an_app_that_is_there_is_not_overwritten_unless_it_was_deleted() {
    let world = World::new();
    let wanted = manifest("template: diary-v1");
    for (name, text) in [
        ("alice-diary.yaml", "template: static-v1"),
        ("alice-diary.yml", "template: static-v1"),
        ("alice-diary.yaml", "broken: ["),
    ] {
        world.put(name, text);
        let refused = world.dir.create(&key(), &wanted).unwrap_err();
        assert!(matches!(refused, EditError::Exists { .. }), "{refused}");
        assert_eq!(world.text(name), text);
        fs::remove_file(world.root.path().join(name)).unwrap();
    }
    world.put("alice-diary.yml", "template: static-v1\nstate: deleted");
    world.dir.create(&key(), &wanted).unwrap();
    assert_eq!(manifest(&world.text("alice-diary.yml")), wanted);
    assert_eq!(world.names(), ["alice-diary.yml"]);
}

#[test]
fn an_edit_keeps_the_rest_of_the_file_and_its_mode() {
    let world = World::new();
    let source = "# mine\ntemplate: diary-v1 # t\n";
    world.put("alice-diary.yml", source);
    let path = world.root.path().join("alice-diary.yml");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let edited = world.dir.edit(&key(), Some(&Digest::of(source.as_bytes())), &STOP).unwrap();
    let expected = "# mine\ntemplate: diary-v1 # t\nstate: stopped\n";
    assert_eq!(world.text("alice-diary.yml"), expected);
    assert_eq!(edited, Edited { before: Digest::of(source.as_bytes()), after: Digest::of(expected.as_bytes()) });
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
    assert_eq!(world.names(), ["alice-diary.yml"]);
}

#[test]
fn an_edit_that_changes_nothing_does_not_touch_the_file() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\nstate: stopped\n");
    let before = fs::metadata(world.root.path().join("alice-diary.yaml")).unwrap().ino();
    let edited = world.dir.edit(&key(), None, &STOP).unwrap();
    assert_eq!(edited.before, edited.after);
    assert_eq!(fs::metadata(world.root.path().join("alice-diary.yaml")).unwrap().ino(), before);
}

#[test]
fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    let stale = Digest::of(b"template: older\n");
    let late = {
        let folder = world.dir.lock().unwrap();
        let draft = folder.draft_edit(&key(), None, &STOP).unwrap();
        world.put("alice-diary.yaml", "template: diary-v1\npids: 7\n");
        draft.write().unwrap_err()
    };
    for refused in [
        late,
        world.dir.edit(&key(), Some(&stale), &STOP).map(drop).unwrap_err(),
        world.dir.remove(&key(), &stale).unwrap_err(),
    ] {
        assert!(matches!(refused, EditError::Changed { .. }), "{refused}");
    }
    assert_eq!(world.text("alice-diary.yaml"), "template: diary-v1\npids: 7\n");
    assert_eq!(world.names(), ["alice-diary.yaml"]);
    world.dir.remove(&key(), &Digest::of(b"template: diary-v1\npids: 7\n")).unwrap();
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn a_draft_of_a_new_app_gives_way_to_a_file_that_appears() {
    let world = World::new();
    let folder = world.dir.lock().unwrap();
    let draft = folder.draft_new(&key(), &manifest("template: diary-v1")).unwrap();
    world.put("alice-diary.yaml", "template: static-v1");
    assert!(matches!(draft.write(), Err(EditError::Exists { .. })));
    assert_eq!(world.text("alice-diary.yaml"), "template: static-v1");
}

#[test]
fn what_cannot_be_edited_says_why_and_stays() {
    let world = World::new();
    let told = |change: &[Change]| {
        let error = world.dir.edit(&key(), None, change).unwrap_err().to_string();
        error.replace(&world.root.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!(told(&STOP), @"there is no app `alice-diary`: DIR/alice-diary.yaml does not exist");
    world.put("alice-diary.yaml", "template: [");
    insta::assert_snapshot!(told(&STOP), @"alice-diary.yaml:1:11: not valid YAML: unclosed bracket '[' (give every opening bracket its closing one); correct the file first. To delete the app instead, remove the file: its data stays");
    world.put("alice-diary.yml", "template: diary-v1");
    insta::assert_snapshot!(told(&STOP), @"DIR/alice-diary.yaml and DIR/alice-diary.yml are about the same app: keep one of them");
    fs::remove_file(world.root.path().join("alice-diary.yaml")).unwrap();
    insta::assert_snapshot!(told(&[Change::Memory(Some(Bytes(1)))]), @"the change would make the file invalid: alice-diary.yml:2:9: `memory`: 1 is too little (write 6m or more)");
    fs::remove_file(world.root.path().join("alice-diary.yml")).unwrap();
    symlink("/etc/passwd", world.root.path().join("alice-diary.yaml")).unwrap();
    insta::assert_snapshot!(told(&STOP), @"DIR/alice-diary.yaml is not a plain file: replace it with one");
    fs::remove_file(world.root.path().join("alice-diary.yaml")).unwrap();
    File::create(world.root.path().join("alice-diary.yaml")).unwrap().write_all(b"template: \xff").unwrap();
    insta::assert_snapshot!(told(&STOP), @"alice-diary.yaml:1:11: byte 0xff is not UTF-8 text (save the file in the encoding UTF-8); correct the file first. To delete the app instead, remove the file: its data stays");
    let gone = ManifestDir::new(world.root.path().join("gone"));
    assert!(matches!(gone.edit(&key(), None, &STOP), Err(EditError::NoFolder { .. })));
    assert!(gone.read(&key()).unwrap().is_none());
}

#[test]
fn edits_from_many_sides_are_all_made() {
    let world = World::new();
    world.put("alice-diary.yaml", "template: diary-v1\n");
    std::thread::scope(|scope| {
        for change in [
            Change::Memory(Some(Bytes::mib(64))),
            Change::Pids(Some(7)),
            Change::EnableApi(true),
            Change::Redeploy("x".into()),
            Change::State(RunState::Stopped),
            Change::Disk(Some(Bytes::mib(9))),
        ] {
            let dir = world.dir.clone();
            scope.spawn(move || {
                // On a slow disk the last of six waits for longer than an edit's patience: as it is told, it tries again.
                while let Err(error) = dir.edit(&key(), None, std::slice::from_ref(&change)) {
                    assert!(matches!(error, EditError::Busy { .. }), "{error:?}");
                }
            });
        }
    });
    let expected =
        manifest("template: diary-v1\nmemory: 64m\npids: 7\nenableApi: true\nredeploy: x\nstate: stopped\ndisk: 9m");
    assert_eq!(manifest(&world.text("alice-diary.yaml")), expected);
}

#[test]
fn only_one_of_many_creates_an_app() {
    let world = World::new();
    let wanted = manifest("template: diary-v1");
    let made = std::thread::scope(|scope| {
        let create = || world.dir.create(&key(), &wanted).is_ok();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|made| *made).count()
    });
    assert_eq!(made, 1);
}

#[test]
fn a_new_file_that_cannot_be_flushed_is_taken_away_again() {
    let world = World::new();
    let folder = world.dir.lock().unwrap();
    let draft = folder.draft_new(&key(), &manifest("template: diary-v1")).unwrap();
    let error = draft.create_and(&|| Err(io::Error::other("no flush"))).unwrap_err();
    assert!(matches!(error, EditError::Io { action: "synchronised", .. }), "{error:?}");
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn the_lock_belongs_to_whom_the_folder_belongs_and_needs_no_write_access() {
    let world = World::new();
    let path = world.root.path().join(LOCK_FILE);
    // Only root can give the folder to somebody else; anyone else checks that nothing is in the way.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(world.root.path(), Some(4711), Some(4712)).unwrap();
    }
    drop(world.dir.lock().unwrap());
    let (lock, folder) = (path.metadata().unwrap(), world.root.path().metadata().unwrap());
    assert_eq!((lock.uid(), lock.gid()), (folder.uid(), folder.gid()));
    if !is_root {
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        drop(world.dir.lock().unwrap());
    }
}

#[test]
fn an_edit_waits_for_a_file_that_is_being_written_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let key = AppKey::parse("alice-diary").unwrap();
    let path = folder.path().join(key.file_name());
    let mut file = File::create(&path).unwrap();
    // All that was written so far is a manifest of its own.
    file.write_all(b"template: diary-v1\n").unwrap();
    let writer = std::thread::spawn(move || {
        // A slow editor; the edit below begins meanwhile.
        std::thread::sleep(Duration::from_millis(30));
        file.write_all(b"enableApi: true # precious\n").unwrap();
    });
    let edited = ManifestDir::new(folder.path().to_owned()).edit(&key, None, &[Change::State(RunState::Stopped)]);
    writer.join().unwrap();
    edited.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("enableApi: true # precious") && text.contains("state: stopped"), "{text}");
}
