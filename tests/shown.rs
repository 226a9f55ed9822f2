//! Every kind of foreign name in every kind of message: none forges a line, drives a terminal, turns the text around it, or
//! makes the message long.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use minipaas::accounts::{Accounts, KeyError, KeyScope, Role, Visit};
use minipaas::cli::diagnostic::Caret;
use minipaas::cli::output;
use minipaas::clock::SystemClock;
use minipaas::desired::{ManifestFolder, changes, parse};
use minipaas::folders::{DiskFolders, Folders as _, Origin, Owner};
use minipaas::model::{AppKey, Cause, Event, EventKind, Settings, TemplateId, Timestamp, UserId};
use minipaas::portal::envelope::Text;
use minipaas::portal::{ApiError, Caller, Member, code};
use minipaas::settings::{Bases, parse_env};
use minipaas::store::{SqliteStore, Store as _};
use tokio::sync::watch;

/// No message is longer, whatever the names in it.
const MOST: usize = 4_096;

/// What a name may be made of to do harm, each around a letter.
const HOSTILE: [char; 24] = [
    '\n', '\r', '\t', '\u{1b}', '\u{7}', '\u{8}', '\u{7f}', '\u{85}', '\u{9b}', '\u{61c}', '\u{200e}', '\u{200f}',
    '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
    '\u{2068}', '\u{2069}', '\u{90}',
];

fn names() -> Vec<String> {
    let short = HOSTILE.iter().map(|c| format!("x{c}y"));
    let forged = "x\n2026-11-27T20:00:00Z  INFO logged in user=\"admin\"\u{1b}[2K".to_owned();
    short.chain([forged]).collect()
}

/// For what the kernel does not bound.
fn long_names() -> Vec<String> {
    let mut names = names();
    names.extend([HOSTILE.iter().collect::<String>().repeat(400), "x".repeat(30_000), "가".repeat(10_000)]);
    names
}

fn assert_harmless(what: &str, name: &str, message: &str) {
    // The command line's own carets stand on lines of their own.
    let found: Vec<char> = message.chars().filter(|c| HOSTILE.contains(c)).collect();
    let name: String = name.chars().take(20).collect();
    assert!(found.is_empty(), "{what} of {name:?} has {found:?}: {message:.300?}");
    assert!(message.len() <= MOST, "{what} of {name:?} has {} bytes: {message:.300?}", message.len());
}

/// In YAML and JSON alike.
fn quoted(name: &str) -> String {
    serde_json::to_string(name).unwrap()
}

#[test]
fn names_that_are_refused() {
    for name in long_names() {
        for message in [
            AppKey::parse(&name).unwrap_err().to_string(),
            AppKey::parse(&format!("alice-{name}")).unwrap_err().to_string(),
            UserId::parse(&name).unwrap_err().to_string(),
            TemplateId::parse(&name).unwrap_err().to_string(),
        ] {
            assert_harmless("a refused name", &name, &message);
        }
    }
}

#[test]
fn manifests_that_are_refused() {
    let template = "template: diary-v1\n";
    for name in long_names() {
        let name_in_yaml = quoted(&name);
        for text in [
            format!("{name_in_yaml}: 1"),
            format!("{name_in_yaml}: 1\n{name_in_yaml}: 2"),
            format!("template: {name_in_yaml}"),
            format!("{template}memory: {name_in_yaml}"),
            format!("{template}cpus: {name_in_yaml}"),
            format!("{template}pids: {name_in_yaml}"),
            format!("{template}state: {name_in_yaml}"),
            format!("{template}restart: {name_in_yaml}"),
            format!("{template}enableApi: {name_in_yaml}"),
            format!("{template}backup: {{schedule: {name_in_yaml}}}"),
            format!("{template}backup: {{{name_in_yaml}: 1}}"),
            format!("{template}env: {{{name_in_yaml}: []}}"),
        ] {
            let refused = parse(&name, text.as_bytes()).unwrap_err();
            assert_harmless("a manifest's problem", &name, &refused.to_string());
            assert_harmless("the manifest's name", &name, &refused.file);
        }
    }
}

#[test]
fn manifests_that_are_compared() {
    let manifest = |text: &str| parse("x.yaml", format!("template: diary-v1\n{text}").as_bytes());
    for name in long_names() {
        let Ok(after) = manifest(&format!("redeploy: {}", quoted(&name))) else { continue };
        let told = changes(&manifest("").unwrap(), &after).join("; ");
        assert_harmless("a change", &name, &told);
    }
}

#[test]
fn files_in_the_manifests_folder() {
    let root = tempfile::tempdir().unwrap();
    for name in names() {
        std::fs::File::create(root.path().join(format!("{name}.yaml"))).unwrap();
    }
    let now = Arc::new(|| Timestamp(0));
    let folder = ManifestFolder::new(root.path().to_owned(), root.path().join("templates"), now);
    let problems = folder.load_blocking().problems;
    assert_eq!(problems.len(), names().len());
    for problem in problems {
        assert_harmless("a file's name", &problem.file, &problem.file);
        assert_harmless("a file's problem", &problem.file, &problem.message);
    }
}

#[tokio::test]
async fn files_in_app_folders_and_templates() {
    let key = AppKey::parse("alice-diary").unwrap();
    let template = TemplateId::parse("diary-v1").unwrap();
    for name in names() {
        let root = tempfile::tempdir().unwrap();
        let path = |below: &str| root.path().join(below);
        let code = path("templates/diary-v1/app");
        std::fs::create_dir_all(&code).unwrap();
        let open = |apps: &Path| {
            let folders = DiskFolders::open(apps, &path("trash"), &path("templates"), Arc::new(SystemClock)).unwrap();
            folders.owned_by(Owner::current())
        };
        let folders = open(&path("apps"));

        symlink("/", code.join(&name)).unwrap();
        let refused = folders.ensure(&key, &Origin::Template(template.clone())).await.unwrap_err();
        assert_harmless("a template's file", &name, &refused.to_string());
        std::fs::remove_file(code.join(&name)).unwrap();

        folders.ensure(&key, &Origin::Template(template.clone())).await.unwrap();
        // Nested without end, as an app may do.
        let mut inner =
            cap_std::fs::Dir::open_ambient_dir(folders.data_dir(&key), cap_std::ambient_authority()).unwrap();
        for _ in 0..600 {
            let _ = inner.create_dir(&name);
            inner = inner.open_dir(&name).unwrap();
        }
        let refused = folders.data_usage(&key).await.unwrap_err();
        assert_harmless("a refused walk", &name, &refused.to_string());

        let apps = path(&format!("{name} apps"));
        let folders = open(&apps);
        std::fs::create_dir_all(apps.join("alice")).unwrap();
        std::fs::File::create(apps.join("alice/diary")).unwrap();
        let refused = folders.ensure(&key, &Origin::Template(template.clone())).await.unwrap_err();
        assert_harmless("what is in the way", &name, &refused.to_string());
    }
}

#[test]
fn settings_that_are_refused() {
    let bases = Bases { file: Path::new("/paas"), process: Path::new("/") };
    for name in long_names() {
        for text in
            [format!("PAAS_DOMAIN=\"{name}\""), format!("PAAS_{name}=1"), format!("PORTAL_X{}=1", "X".repeat(9_000))]
        {
            let (_, problems) = parse_env(&text, &format!("/paas/{name}/.env"), bases, &|_| None);
            for problem in problems {
                assert_harmless("a setting", &name, &problem.to_string());
            }
        }
    }
}

#[test]
fn refusals_of_the_portal() {
    for name in long_names() {
        let text = Text { english: format!("there is no `{name}`"), korean: format!("`{name}`이(가) 없습니다") };
        let refused = ApiError::new(code::BAD_NAME, text);
        for told in [refused.text.english, refused.text.korean] {
            assert_harmless("a refusal", &name, &told);
        }
    }
}

#[tokio::test]
async fn names_of_api_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
    let mut settings = Settings::defaults(folder.path());
    settings.bcrypt_rounds = 4;
    let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
    let accounts = Accounts::new(Arc::new(store), Arc::new(SystemClock), settings_rx);
    accounts.bootstrap().await.unwrap();
    let user = accounts.login("admin", "admin", &Visit::here([127, 0, 0, 1].into())).await.unwrap().session.user;
    for name in long_names() {
        let issued = accounts.issue_key(user.id, Some(&name)).await;
        assert!(matches!(issued, Err(KeyError::BadName)), "{name:.20?}");
        // One that an earlier version let through.
        let member = Member { id: 1, name: "admin".to_owned(), role: Role::Admin, must_change_password: false };
        let caller = Caller::Key { id: 1, name: name.clone(), scope: KeyScope::default(), member };
        assert_harmless("a caller", &name, &caller.to_string());
    }
}

#[tokio::test]
async fn rows_of_the_event_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
    for name in long_names() {
        let (what, cause) = (format!("changed {name}"), Cause(name.clone()));
        let event = Event { at: Timestamp(0), app: None, kind: EventKind::Changed, what, cause };
        store.append(&[event]).await.unwrap();
        let row = store.events(None, 1).await.unwrap().remove(0);
        assert_harmless("what was done", &name, &row.what);
        assert_harmless("by whom", &name, row.cause.0.as_str());
        // Ten thousand of them are forty megabytes at most.
        assert!(row.what.len() + row.cause.0.len() <= MOST, "{}", row.what.len());
    }
}

#[test]
fn lines_of_the_command_line() {
    for name in names() {
        let shown = output::harmless(&name);
        let found: Vec<char> = shown.chars().filter(|c| HOSTILE.contains(c) && *c != '\t').collect();
        assert!(found.is_empty(), "{name:?}: {shown:?}");

        let source = format!("{}: 1", name.replace('\n', " "));
        let diagnostic = parse("x.yaml", b"x: 1").unwrap_err();
        let caret = Caret { path: &name, source: &source, diagnostic: &diagnostic };
        let plain = anstream::adapter::strip_str(&caret.to_string()).to_string();
        let found: Vec<char> = plain.chars().filter(|c| HOSTILE.contains(c) && *c != '\n').collect();
        assert!(found.is_empty() && plain.lines().count() <= 4, "{name:?}: {plain:?}");
    }
}
