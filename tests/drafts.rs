//! Drafts on a real disk: what was acknowledged is there, and nothing else is.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use minipaas::clock::SystemClock;
use minipaas::drafts::{DraftError, DraftFile, DraftOf, Drafts, MAX_PICTURE, NewDraft};
use minipaas::folders::{DiskFolders, Folders as _, Origin, Owner};
use minipaas::model::{AppKey, TemplateId, VersionId};
use serde_json::{Value, json};

const ALICE: DraftOf = DraftOf(1);
const BOB: DraftOf = DraftOf(2);
const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 a picture";

fn key() -> AppKey {
    AppKey::parse("alice-page").unwrap()
}

struct Place {
    root: tempfile::TempDir,
    folders: DiskFolders,
}

impl Place {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |below: &str| root.path().join(below);
        fs::create_dir_all(at("templates/page-v1/app")).unwrap();
        put(&at("templates/page-v1/app/server.js"), "serve()");
        let folders = DiskFolders::open(&at("apps"), &at("trash"), &at("templates"), Arc::new(SystemClock)).unwrap();
        let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
        let folders = folders.owned_by(owner);
        folders.ensure(&key(), &Origin::Template(TemplateId::parse("page-v1").unwrap())).await.unwrap();
        Self { root, folders }
    }

    /// As a daemon that was just started has them.
    fn drafts(&self) -> Drafts {
        Drafts::new(self.folders.clone(), Arc::new(SystemClock))
    }

    fn folder(&self) -> std::path::PathBuf {
        self.root.path().join("apps/alice/page/drafts")
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn base() -> VersionId {
    VersionId::parse("0123456789abcdef").unwrap()
}

fn draft(revision: u64, title: &str) -> NewDraft {
    let Value::Object(content) = json!({"title": title}) else { panic!("an object") };
    NewDraft { base: base(), revision, content: Some(content), files: Vec::new() }
}

#[tokio::test]
async fn each_person_has_their_own_and_finds_it_after_a_restart() {
    let place = Place::new().await;
    let drafts = place.drafts();
    assert!(drafts.find(&key(), ALICE).await.unwrap().is_none());
    let kept = drafts.save(&key(), ALICE, draft(0, "alice's")).await.unwrap();
    assert_eq!(kept.revision, 1);
    drafts.save(&key(), BOB, draft(0, "bob's")).await.unwrap();
    let found = place.drafts().find(&key(), ALICE).await.unwrap().unwrap();
    assert_eq!(found, kept);
    let whose: Vec<_> = place.drafts().all(&key()).await.unwrap().into_iter().map(|(whose, _)| whose).collect();
    assert_eq!(whose, [ALICE, BOB]);
    // Nobody else on the machine reads it.
    assert_eq!(fs::metadata(place.folder()).unwrap().permissions().mode() & 0o777, 0o700);

    place.drafts().discard(&key(), ALICE, None).await.unwrap();
    assert!(place.drafts().find(&key(), ALICE).await.unwrap().is_none());
    assert!(place.drafts().find(&key(), BOB).await.unwrap().is_some());
}

#[tokio::test]
async fn two_windows_do_not_write_over_each_other() {
    let place = Place::new().await;
    let drafts = place.drafts();
    drafts.save(&key(), ALICE, draft(0, "one")).await.unwrap();
    let other = drafts.save(&key(), ALICE, draft(0, "other")).await.unwrap_err();
    assert!(matches!(other, DraftError::Changed(1)), "{other}");
    assert_eq!(drafts.find(&key(), ALICE).await.unwrap().unwrap().content.unwrap()["title"], "one");
    // What was published is forgotten only if it is still what was published.
    drafts.save(&key(), ALICE, draft(1, "typed since")).await.unwrap();
    drafts.discard(&key(), ALICE, Some(1)).await.unwrap();
    assert_eq!(drafts.find(&key(), ALICE).await.unwrap().unwrap().content.unwrap()["title"], "typed since");
    drafts.discard(&key(), ALICE, Some(2)).await.unwrap();
    assert!(drafts.find(&key(), ALICE).await.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_kept_leaves_the_one_before() {
    let place = Place::new().await;
    let drafts = place.drafts();
    drafts.save(&key(), ALICE, draft(0, "before")).await.unwrap();
    let own = place.folder().join("1");
    let file = own.join("draft.json");
    let refused = drafts.save(&key(), ALICE, draft(1, &"x".repeat(300 << 10))).await.unwrap_err();
    assert!(matches!(refused, DraftError::Full), "{refused}");
    let many = (0..100).map(|number| DraftFile { path: format!("{number}.txt"), content: None }).collect();
    let refused = drafts.save(&key(), ALICE, NewDraft { files: many, ..draft(1, "many") }).await.unwrap_err();
    assert!(matches!(refused, DraftError::Full), "{refused}");
    assert!(fs::read_to_string(&file).unwrap().contains("before"));
    assert_eq!(drafts.find(&key(), ALICE).await.unwrap().unwrap().revision, 1);
}

#[tokio::test]
async fn a_picture_is_judged_by_its_bytes_and_lies_beside_the_draft() {
    let place = Place::new().await;
    let drafts = place.drafts();
    let base = base();
    let send = async |path: &str, bytes: &[u8]| drafts.upload(&key(), ALICE, (&base, path), bytes.to_vec()).await;
    let kept = send("public/photos/a.webp", WEBP).await.unwrap();
    assert_eq!((kept.revision, kept.uploads.len()), (1, 1));
    assert_eq!(place.drafts().picture(&key(), ALICE, "public/photos/a.webp").await.unwrap().unwrap(), WEBP);
    assert!(place.drafts().picture(&key(), BOB, "public/photos/a.webp").await.unwrap().is_none());
    for path in
        ["photos/a.webp", "public/../a.webp", "public/.git/a.webp", "public//a.webp", "public/a\tb.webp", "public/"]
    {
        assert!(matches!(send(path, WEBP).await.unwrap_err(), DraftError::BadPath), "{path}");
    }
    for (path, bytes) in [
        ("public/a.jpg", &b"\0\0\0\x18ftypheic"[..]),
        ("public/a.svg", b"<svg onload='alert(1)'/>"),
        ("public/a.png", WEBP),
        ("public/a.webp", b""),
    ] {
        assert!(matches!(send(path, bytes).await.unwrap_err(), DraftError::NoPicture(_)), "{path}");
    }
    let large = [WEBP, &vec![0; MAX_PICTURE]].concat();
    assert!(matches!(send("public/b.webp", &large).await.unwrap_err(), DraftError::PictureTooLarge));
    // An emoji and Hangul are names like any other.
    send("public/photos/바다🌊.webp", WEBP).await.unwrap();
    // What the draft no longer has goes from the disk.
    let files = || fs::read_dir(place.folder().join("1")).unwrap().count();
    send("public/photos/a.webp", &[WEBP, b"another"].concat()).await.unwrap();
    assert_eq!(files(), 3, "the draft and two pictures");
    drafts.discard(&key(), ALICE, None).await.unwrap();
    assert!(!place.folder().join("1").exists());
}

#[tokio::test]
async fn a_draft_goes_to_the_trash_with_the_app_s_code() {
    let place = Place::new().await;
    place.drafts().save(&key(), ALICE, draft(0, "mine")).await.unwrap();
    place.folders.trash_code(&key(), None).await.unwrap();
    assert!(place.drafts().find(&key(), ALICE).await.unwrap().is_none());
    let entry = fs::read_dir(place.root.path().join("trash")).unwrap().next().unwrap().unwrap();
    assert!(entry.path().join("drafts/1/draft.json").exists());
    assert!(matches!(place.drafts().save(&key(), ALICE, draft(0, "x")).await.unwrap_err(), DraftError::NoCode));
}

#[tokio::test]
async fn no_link_leads_out_of_it() {
    let place = Place::new().await;
    let outside = place.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, place.folder()).unwrap();
    let refused = place.drafts().save(&key(), ALICE, draft(0, "mine")).await.unwrap_err();
    assert!(matches!(refused, DraftError::Folder(_)), "{refused}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
