//! What runs is a copy that never changes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use minipaas::folders::{Brought, FolderError, Folders as _, Origin};

use crate::support::{Root, chmod, diary, fifo, key, link, put, rm};

#[tokio::test]
async fn a_version_is_the_code_as_it_was_and_readable_whatever_its_mode() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let app = folders.code_dir(&key());
    put(&app.join("photos/private.jpg"), "a picture from a phone");
    chmod(&app.join("photos/private.jpg"), 0o600);
    chmod(&app.join("photos"), 0o700);
    link("../photos/private.jpg", &app.join("public/cover.jpg"));
    link("/etc/passwd", &app.join("public/passwd"));

    let version = folders.take_version(&key(), "").await.unwrap();

    let checkout = folders.versions_dir(&key()).join(version.as_str());
    put(&app.join("server.js"), "broken(");
    fs::remove_file(app.join("photos/private.jpg")).unwrap();
    let text = root.text().replace(" daemon", "");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("apps/alice/diary/versions/")).collect();
    insta::assert_snapshot!(lines.join("\n").replace(version.as_str(), "ID"), @r###"
    ID 755
    ID/index.html 644 "<h1>일기장</h1>"
    ID/photos 755
    ID/photos/private.jpg 644 "a picture from a phone"
    ID/public 755
    ID/public/cover.jpg -> ../photos/private.jpg
    ID/public/img 755
    ID/public/img/a.svg 644 "<svg/>"
    ID/public/passwd -> /etc/passwd
    ID/server.js 644 "serve()"
    ID/tool.sh 755 "#!/bin/sh\n"
    "###);
    assert!(checkout.is_dir());
}

#[tokio::test]
async fn the_same_code_is_the_same_version_and_another_salt_is_another() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let first = folders.take_version(&key(), "").await.unwrap();
    let before = root.tree();
    assert_eq!(folders.take_version(&key(), "").await.unwrap(), first);
    assert_eq!(root.tree(), before);
    let salted = folders.take_version(&key(), "again").await.unwrap();
    put(&folders.code_dir(&key()).join("index.html"), "mine");
    let edited = folders.take_version(&key(), "").await.unwrap();
    let versions = folders.look(&key()).await.unwrap().versions;
    assert_eq!(versions, [first, salted, edited.clone()].into());

    folders.keep_versions(&key(), &[edited.clone()].into()).await.unwrap();
    assert_eq!(folders.look(&key()).await.unwrap().versions, [edited].into());
}

#[tokio::test]
async fn code_that_vanished_comes_back_from_the_version_that_runs() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    put(&folders.code_dir(&key()).join("index.html"), "mine");
    let version = folders.take_version(&key(), "").await.unwrap();
    rm(&folders.code_dir(&key()));
    folders.ensure(&key(), &Origin::Version(version)).await.unwrap();
    assert_eq!(fs::read_to_string(folders.code_dir(&key()).join("index.html")).unwrap(), "mine");
}

#[tokio::test]
async fn what_is_no_code_is_refused_by_name_and_leaves_nothing_behind() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    fifo(&folders.code_dir(&key()).join("pipe"));
    let error = folders.take_version(&key(), "").await.unwrap_err();
    let FolderError::Terminal(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("app/pipe is a FIFO, socket or device"), "{text}");
    assert_eq!(fs::read_dir(folders.versions_dir(&key())).unwrap().count(), 0);
    // Nor does a link stand in for the code, or for the folder of versions.
    rm(&folders.code_dir(&key()));
    link("/etc", &folders.code_dir(&key()));
    assert!(folders.take_version(&key(), "").await.is_err());
    rm(&folders.versions_dir(&key()));
    link("/etc", &folders.versions_dir(&key()));
    assert!(folders.look(&key()).await.unwrap_err().to_string().contains("versions is a symbolic link"));
}

#[tokio::test]
async fn the_working_copy_goes_back_only_over_what_is_kept_and_stays_its_owner_s() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let app = folders.code_dir(&key());
    let first = folders.take_version(&key(), "").await.unwrap();
    put(&app.join("index.html"), "mine");
    put(&app.join("new/page.html"), "new");
    let saved = folders.take_version(&key(), "saved").await.unwrap();
    let page = || fs::read_to_string(app.join("index.html")).unwrap();

    // What was written since wins.
    put(&app.join("new/page.html"), "newer");
    assert_eq!(folders.bring_code(&key(), &first, (&saved, "saved")).await.unwrap(), Brought::Edited);
    assert_eq!((page().as_str(), fs::read_to_string(app.join("new/page.html")).unwrap().as_str()), ("mine", "newer"));

    put(&app.join("new/page.html"), "new");
    if minipaas::folders::Owner::current().uid == 0 {
        std::os::unix::fs::chown(&app, Some(1234), Some(1234)).unwrap();
    }
    assert_eq!(folders.bring_code(&key(), &first, (&saved, "saved")).await.unwrap(), Brought::Done);
    assert_eq!(page(), "<h1>일기장</h1>");
    assert!(!app.join("new").exists());
    let top = fs::metadata(&app).unwrap();
    let inside = fs::metadata(app.join("public/img/a.svg")).unwrap();
    assert_eq!((inside.uid(), inside.gid()), (top.uid(), top.gid()), "who edits by scp can go on");
    // Once more changes nothing, whatever was saved.
    let before = root.tree();
    assert_eq!(folders.bring_code(&key(), &first, (&saved, "saved")).await.unwrap(), Brought::Done);
    assert_eq!(root.tree(), before);

    // A repository of one's own is no part of any version.
    put(&app.join(".git/HEAD"), "ref: refs/heads/main\n");
    let own = folders.take_version(&key(), "saved").await.unwrap();
    assert_eq!(folders.bring_code(&key(), &saved, (&own, "saved")).await.unwrap(), Brought::Edited);
    assert!(app.join(".git/HEAD").exists());
}
