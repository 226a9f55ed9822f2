//! Links, FIFOs and worse, wherever somebody may have put them.

use std::fs;
use std::path::Path;

use minipaas::folders::{FolderError, Folders as _};

use crate::support::{Root, diary, fifo, key, link, purge, put};

/// A folder outside of the root whose content must stay as it is.
struct Outside(tempfile::TempDir);

impl Outside {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("precious"), "keep");
        Self(dir)
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn assert_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["precious"]);
        assert_eq!(fs::read_to_string(self.path().join("precious")).unwrap(), "keep");
    }
}

/// Every operation; none may panic, and a refusal is terminal.
async fn try_everything(root: &Root) -> Vec<String> {
    let folders = root.open();
    let key = key();
    let results: Vec<Result<(), FolderError>> = vec![
        folders.look(&key).await.map(drop),
        folders.ensure(&key, &diary()).await.map(drop),
        folders.write_compose(&key, "compose").await,
        folders.append_deploy_log(&key, "log").await,
        folders.data_usage(&key).await.map(drop),
        folders.trash_code(&key, None).await,
        folders.trash_data(&purge(&key)).await,
    ];
    results
        .into_iter()
        .filter_map(Result::err)
        .map(|error| {
            assert!(matches!(error, FolderError::Terminal(_)), "{error}");
            error.to_string().replace(root.dir.path().to_str().unwrap(), "ROOT")
        })
        .collect()
}

#[tokio::test]
async fn no_operation_follows_a_link_whatever_it_stands_for() {
    for place in ["alice", "alice/diary", "alice/diary/app", "alice/diary/data", "alice/diary/logs"] {
        for target in ["OUTSIDE", "/etc", "nowhere", "SELF", "../bob", "."] {
            let (root, outside) = (Root::new(), Outside::new());
            put(&root.path("apps/bob/diary/data/theirs"), "bob's");
            let at = root.path("apps").join(place);
            let to = match target {
                "OUTSIDE" => outside.path().to_owned(),
                "SELF" => at.clone(),
                other => other.into(),
            };
            link(to, &at);

            let refusals = try_everything(&root).await;

            assert!(!refusals.is_empty(), "{place} -> {target}");
            for refusal in &refusals {
                assert!(refusal.contains(&format!("ROOT/apps/{place} is a symbolic link")), "{refusal}");
                assert!(refusal.contains("move the link away"), "{refusal}");
            }
            outside.assert_untouched();
            assert_eq!(fs::read_to_string(root.path("apps/bob/diary/data/theirs")).unwrap(), "bob's");
        }
    }
}

#[tokio::test]
async fn files_that_the_daemon_writes_do_not_go_through_links() {
    for name in ["docker-compose.yml", "seccomp.json", "logs/deploy.log"] {
        let (root, outside) = (Root::new(), Outside::new());
        root.open().ensure(&key(), &diary()).await.unwrap();
        link(outside.path().join("precious"), &root.path("apps/alice/diary").join(name));
        let refusals = try_everything(&root).await;
        assert_eq!(refusals.is_empty(), name != "logs/deploy.log", "{refusals:?}");
        outside.assert_untouched();
    }
}

#[tokio::test]
async fn links_below_data_are_moved_and_measured_as_links() {
    let (root, outside) = (Root::new(), Outside::new());
    let folders = root.open();
    let data = root.path("apps/alice/diary/data");
    link(outside.path(), &data.join("out"));
    link("loop", &data.join("loop"));
    link("..", &data.join("sub/up"));
    fifo(&data.join("fifo"));

    assert_eq!(try_everything(&root).await, [] as [&str; 0]);

    outside.assert_untouched();
    let trashed = root.path("trash/20261122T100000Z-alice-diary-data-0000/data");
    assert_eq!(fs::read_link(trashed.join("out")).unwrap(), outside.path());
    assert!(!folders.data_dir(&key()).exists());
}

#[tokio::test]
async fn a_file_where_a_folder_should_be_is_refused_and_kept() {
    for place in ["alice", "alice/diary", "alice/diary/app", "alice/diary/data", "alice/diary/logs"] {
        let root = Root::new();
        put(&root.path("apps").join(place), "a person's");
        let error = root.open().ensure(&key(), &diary()).await.unwrap_err();
        let text = error.to_string().replace(root.dir.path().to_str().unwrap(), "ROOT");
        assert_eq!(text, format!("ROOT/apps/{place} is a file instead of a folder; move it away"));
        assert_eq!(fs::read_to_string(root.path("apps").join(place)).unwrap(), "a person's");
    }
}

#[tokio::test]
async fn data_nested_without_end_is_refused_not_followed_into_exhaustion() {
    let root = Root::new();
    let folders = root.open();
    folders.ensure(&key(), &diary()).await.unwrap();
    let deep = (0..200).fold(folders.data_dir(&key()), |path, _| path.join("d"));
    fs::create_dir_all(deep).unwrap();
    let error = folders.data_usage(&key()).await.unwrap_err();
    assert!(matches!(error, FolderError::Terminal(_)));
    assert!(error.to_string().ends_with("is nested deeper than 128 folders; remove what is below"), "{error}");
    folders.trash_data(&purge(&key())).await.unwrap();
}

#[tokio::test]
async fn an_unusable_template_is_refused_with_its_reason_and_leaves_nothing() {
    type Spoil = fn(&Root);
    let cases: [(&str, Spoil, &str); 8] = [
        (
            "missing",
            |root| fs::rename(root.path("templates/diary-v1"), root.path("templates/x")).unwrap(),
            "template `diary-v1` cannot be used: ROOT/templates/diary-v1/app does not exist; put a folder with `server.js` there, or name another template",
        ),
        (
            "app is a link",
            |root| {
                fs::rename(root.template("diary-v1"), root.path("elsewhere")).unwrap();
                link(root.path("elsewhere"), &root.template("diary-v1"));
            },
            "template `diary-v1` cannot be used: ROOT/templates/diary-v1/app is not a folder, or is reached through a link (links are not followed); put a folder with `server.js` there, or name another template",
        ),
        (
            "link out",
            |root| link("/etc/passwd", &root.template("diary-v1").join("passwd")),
            "template file ROOT/templates/diary-v1/app/passwd is a symbolic link; a template may hold only files and folders: remove it or put a copy there",
        ),
        (
            "link to folder",
            |root| link("/etc", &root.template("diary-v1").join("public/etc")),
            "template file ROOT/templates/diary-v1/app/public/etc is a symbolic link; a template may hold only files and folders: remove it or put a copy there",
        ),
        (
            "fifo",
            |root| fifo(&root.template("diary-v1").join("pipe")),
            "template file ROOT/templates/diary-v1/app/pipe is a FIFO, socket or device; a template may hold only files and folders: remove it or put a copy there",
        ),
        (
            "too large",
            |root| {
                let file = fs::File::create(root.template("diary-v1").join("big")).unwrap();
                file.set_len((64 << 20) + 1).unwrap();
            },
            "template ROOT/templates/diary-v1/app holds more than 64 MiB; make it smaller",
        ),
        (
            "too many",
            |root| {
                for number in 0..10_001 {
                    fs::File::create(root.template("diary-v1").join(number.to_string())).unwrap();
                }
            },
            "ROOT/templates/diary-v1/app holds more than 10000 files and folders; remove some",
        ),
        (
            "too deep",
            |root| {
                let deep = (0..40).fold(root.template("diary-v1"), |path, _| path.join("d"));
                fs::create_dir_all(deep).unwrap();
            },
            "is nested deeper than 32 folders; remove what is below",
        ),
    ];
    for (name, spoil, reason) in cases {
        let root = Root::new();
        spoil(&root);
        let folders = root.open();
        let error = folders.ensure(&key(), &diary()).await.unwrap_err();
        assert!(matches!(error, FolderError::Terminal(_)), "{name}");
        let text = error.to_string().replace(root.dir.path().to_str().unwrap(), "ROOT");
        assert!(text == reason || (name == "too deep" && text.ends_with(reason)), "{name}: {text}");
        assert_eq!(fs::read_dir(root.path("apps/alice/diary")).unwrap().count(), 0, "{name}");
        assert!(!folders.look(&key()).await.unwrap().code, "{name}");
    }
}
