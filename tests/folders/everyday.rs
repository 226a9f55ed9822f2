//! What the daemon does to an app's folder from its first day to its last.

use std::fs;
use std::path::Path;

use minipaas::folders::{Folders as _, LockError, MAX_LOG_BYTES, RootLock};
use minipaas::model::spec::{SECCOMP, SECCOMP_FILE};
use minipaas::model::{AppKey, Bytes, Digest, TemplateId};

use crate::support::{Root, diary, diary_id, key, link, owner, purge, put};

#[tokio::test]
async fn an_app_gets_a_copy_of_the_template_and_a_data_folder_of_its_own() {
    let root = Root::new();
    let folders = root.open();
    assert_eq!(folders.look(&key()).await.unwrap(), minipaas::folders::FolderState::default());

    folders.ensure(&key(), &diary()).await.unwrap();

    let state = folders.look(&key()).await.unwrap();
    assert!(state.code && state.data);
    assert_eq!(root.tree()["apps/alice/diary/data"], "700 app");
    insta::assert_snapshot!(root.text().replace(" daemon", "").replace(" app", ""), @r###"
    apps 755
    apps/alice 755
    apps/alice/diary 755
    apps/alice/diary/app 755
    apps/alice/diary/app/index.html 644 "<h1>일기장</h1>"
    apps/alice/diary/app/public 755
    apps/alice/diary/app/public/img 755
    apps/alice/diary/app/public/img/a.svg 644 "<svg/>"
    apps/alice/diary/app/server.js 644 "serve()"
    apps/alice/diary/app/tool.sh 755 "#!/bin/sh\n"
    apps/alice/diary/data 700
    apps/alice/diary/logs 755
    trash 700
    "###);
}

#[tokio::test]
async fn the_code_is_never_overwritten_afterwards() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let code = folders.code_dir(&key());
    put(&code.join("server.js"), "mine()");
    fs::remove_file(code.join("index.html")).unwrap();
    put(&root.template("diary-v1").join("server.js"), "newer()");
    let before = root.tree();

    folders.ensure(&key(), &diary()).await.unwrap();

    assert_eq!(root.tree(), before);
}

#[tokio::test]
async fn data_that_stayed_is_found_again_by_an_app_of_the_same_name() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    put(&folders.data_dir(&key()).join("db.sqlite3"), "diary");
    folders.trash_code(&key(), None).await.unwrap();
    assert!(!folders.code_dir(&key()).exists());

    folders.ensure(&key(), &diary()).await.unwrap();

    assert_eq!(fs::read_to_string(folders.data_dir(&key()).join("db.sqlite3")).unwrap(), "diary");
}

#[tokio::test]
async fn an_app_that_is_made_again_of_its_template_gets_its_own_newest_code_back() {
    let root = Root::new();
    let folders = root.open();
    let page = folders.code_dir(&key()).join("server.js");
    let made = async || folders.ensure(&key(), &diary()).await.unwrap();
    let deleted = async |of: Option<&TemplateId>| folders.trash_code(&key(), of).await.unwrap();
    assert_eq!(made().await, None);
    let template = fs::read_to_string(&page).unwrap();

    for mine in ["first()", "second()"] {
        put(&page, mine);
        deleted(Some(&diary_id())).await;
        assert!(made().await.is_some());
        assert_eq!(fs::read_to_string(&page).unwrap(), mine);
    }
    // It lies in the trash as before, and nobody else gets it.
    assert_eq!(folders.trashed().await.unwrap().len(), 2);
    let other = AppKey::parse("bob-diary").unwrap();
    assert_eq!(folders.ensure(&other, &diary()).await.unwrap(), None);

    // Of another template, or of nobody knows which, is no code of this app.
    put(&page, "other()");
    deleted(Some(&TemplateId::parse("static-v1").unwrap())).await;
    assert!(made().await.is_some());
    assert_eq!(fs::read_to_string(&page).unwrap(), "second()");
    put(&page, "unknown()");
    deleted(None).await;
    assert!(made().await.is_some());
    assert_eq!(fs::read_to_string(&page).unwrap(), "second()");

    deleted(Some(&diary_id())).await;
    folders.pass_over(&key()).unwrap();
    assert_eq!(made().await, None, "somebody wanted it fresh");
    assert_eq!(fs::read_to_string(&page).unwrap(), template);
    assert_eq!(folders.trashed().await.unwrap().len(), 5, "nothing is lost");
}

#[tokio::test]
async fn data_restored_by_hand_is_given_back_to_the_app() {
    let root = Root::new();
    let folders = root.open();
    let data = folders.data_dir(&key());
    put(&data.join("deep/er/file"), "restored");
    link("/etc/passwd", &data.join("deep/link"));
    let owner_of_passwd = owner_of("/etc/passwd");
    // As an ordinary user these are the app's already.
    let was_ready = folders.look(&key()).await.unwrap().data;
    assert_eq!(was_ready, owner().uid != 0 && owner() == minipaas::folders::Owner::current());

    folders.ensure(&key(), &diary()).await.unwrap();

    assert!(folders.look(&key()).await.unwrap().data);
    for path in ["", "deep", "deep/er", "deep/er/file", "deep/link"] {
        assert_eq!(owner_of(data.join(path)), owner().uid, "{path}");
    }
    assert_eq!(owner_of("/etc/passwd"), owner_of_passwd);
}

fn owner_of(path: impl AsRef<std::path::Path>) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(path).unwrap().uid()
}

#[tokio::test]
async fn the_compose_file_is_written_only_when_it_differs() {
    use std::os::unix::fs::MetadataExt as _;
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let file = root.path("apps/alice/diary/docker-compose.yml");
    folders.write_compose(&key(), "one").await.unwrap();
    let first = fs::metadata(&file).unwrap().ino();
    assert_eq!(folders.look(&key()).await.unwrap().compose, Some(Digest::of(b"one")));

    folders.write_compose(&key(), "one").await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().ino(), first);

    folders.write_compose(&key(), "two").await.unwrap();
    assert_ne!(fs::metadata(&file).unwrap().ino(), first);
    assert_eq!(folders.look(&key()).await.unwrap().compose, Some(Digest::of(b"two")));
}

/// Without it Compose refuses the other one.
#[tokio::test]
async fn the_compose_file_does_not_count_without_the_filter_that_it_names() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    folders.write_compose(&key(), "one").await.unwrap();
    let filter = root.path("apps/alice/diary").join(SECCOMP_FILE);
    assert_eq!(fs::read_to_string(&filter).unwrap(), SECCOMP);
    let spoil: [fn(&Path); 2] = [|filter| fs::remove_file(filter).unwrap(), |filter| put(filter, "{}")];
    for spoil in spoil {
        spoil(&filter);
        assert_eq!(folders.look(&key()).await.unwrap().compose, None);
        folders.write_compose(&key(), "one").await.unwrap();
        assert_eq!(folders.look(&key()).await.unwrap().compose, Some(Digest::of(b"one")));
        assert_eq!(fs::read_to_string(&filter).unwrap(), SECCOMP);
    }
}

#[tokio::test]
async fn the_deploy_log_keeps_the_newest_lines_and_stays_below_its_bound() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let file = root.path("apps/alice/diary/logs/deploy.log");
    folders.append_deploy_log(&key(), "first").await.unwrap();
    folders.append_deploy_log(&key(), "second\n").await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "first\nsecond\n");

    let block = "x".repeat(99_999);
    for number in 0..30 {
        folders.append_deploy_log(&key(), &format!("{number} {block}")).await.unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() as u64 <= MAX_LOG_BYTES, "{}", text.len());
        assert!(text.ends_with(&format!("{number} {block}\n")));
        assert!(text.starts_with("first\n") || text.split(' ').next().unwrap().parse::<u32>().is_ok(), "whole lines");
    }

    folders.append_deploy_log(&key(), &"가".repeat(2_000_000)).await.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() as u64 <= MAX_LOG_BYTES && text.ends_with("가\n"));
}

#[tokio::test]
async fn trash_gets_everything_but_the_data_and_says_what_it_is() {
    let root = Root::new();
    let folders = root.open();
    let other = AppKey::parse("alice-other").unwrap();
    folders.ensure(&key(), &diary()).await.unwrap();
    folders.ensure(&other, &diary()).await.unwrap();
    put(&root.path("apps/alice/diary/notes.txt"), "a person's");
    put(&root.path("apps/alice/diary/trash.json"), "a person's too");
    folders.write_compose(&key(), "compose").await.unwrap();

    folders.trash_code(&key(), None).await.unwrap();
    folders.trash_code(&key(), None).await.unwrap();

    let left: Vec<_> = names(&root.path("apps/alice/diary"));
    assert_eq!(left, ["data"]);
    let entries = names(&root.path("trash"));
    assert_eq!(entries, ["20261122T100000Z-alice-diary-code-0000"]);
    let entry = root.path("trash").join(&entries[0]);
    assert_eq!(
        names(&entry),
        ["app", "docker-compose.yml", "logs", "notes.txt", "seccomp.json", "trash.json", "trash.json.of-app"]
    );
    let note = fs::read_to_string(entry.join("trash.json")).unwrap();
    insta::assert_snapshot!(note.replace(root.dir.path().to_str().unwrap(), "ROOT"), @r#"
    {
      "app": "alice-diary",
      "what": "code",
      "at": "2026-11-22T10:00:00.000Z",
      "from": "ROOT/apps/alice/diary"
    }
    "#);

    folders.trash_data(&purge(&key())).await.unwrap();
    folders.trash_data(&purge(&key())).await.unwrap();

    assert_eq!(names(&root.path("apps/alice")), ["other"]);
    assert_eq!(
        names(&root.path("trash")),
        ["20261122T100000Z-alice-diary-code-0000", "20261122T100000Z-alice-diary-data-0000"]
    );

    folders.trash_code(&other, None).await.unwrap();
    folders.trash_data(&purge(&other)).await.unwrap();
    assert_eq!(names(&root.path("apps")), [] as [&str; 0]);
}

#[tokio::test]
async fn apps_that_are_trashed_within_the_same_second_get_entries_of_their_own() {
    let root = Root::new();
    let folders = root.open();
    for _ in 0..3 {
        folders.ensure(&key(), &diary()).await.unwrap();
        folders.trash_code(&key(), None).await.unwrap();
    }
    let entries = names(&root.path("trash"));
    assert_eq!(entries.len(), 3, "{entries:?}");
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn usage_counts_allocated_blocks_once_per_inode() {
    let root = Root::new();
    let folders = root.open();
    assert_eq!(folders.data_usage(&key()).await.unwrap(), Bytes(0));
    folders.ensure(&key(), &diary()).await.unwrap();
    let data = folders.data_dir(&key());
    let empty = folders.data_usage(&key()).await.unwrap();

    put(&data.join("file"), &"x".repeat(1 << 20));
    fs::File::open(data.join("file")).unwrap().sync_all().unwrap();
    let one = folders.data_usage(&key()).await.unwrap();
    assert!(one.get() >= empty.get() + (1 << 20), "{empty} {one}");

    fs::hard_link(data.join("file"), data.join("again")).unwrap();
    fs::File::create(data.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    link("/", &data.join("everything"));
    let same = folders.data_usage(&key()).await.unwrap();
    assert!(same.get() - one.get() < 65_536, "{one} {same}");
}

#[tokio::test]
async fn space_is_that_of_the_disk_below_the_apps() {
    let root = Root::new();
    let folders = root.open();
    let space = folders.space().await.unwrap();
    assert!(space.free <= space.total && space.total.get() > 0);
    fs::rename(root.path("apps"), root.path("unmounted")).unwrap();
    let error = folders.space().await.unwrap_err().to_string();
    assert!(error.contains("it is not there; if it is on a disk of its own, mount that"), "{error}");
}

#[test]
fn a_second_daemon_on_one_root_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let lock = RootLock::acquire(root.path()).unwrap();
    let error = RootLock::acquire(root.path()).unwrap_err();
    assert!(matches!(&error, LockError::Held { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
    insta::assert_snapshot!(
        error.to_string().replace(root.path().to_str().unwrap(), "ROOT").replace(&std::process::id().to_string(), "PID"),
        @"another daemon (pid PID) already serves ROOT: stop that one first, or give this one another PAAS_ROOT");
    drop(lock);
    RootLock::acquire(root.path()).unwrap();
}
