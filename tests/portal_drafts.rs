//! Drafts through the portal's routes: the doors, accounts, folders, manifests and git are real, the controller is played.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::sync::{Arc, Mutex};

use minipaas::clock::SystemClock;
use minipaas::desired::{ManifestDir, parse};
use minipaas::drafts::Drafts;
use minipaas::folders::{DiskFolders, Folders as _, Origin};
use minipaas::model::{AppKey, TemplateId, VersionId};
use minipaas::portal::PortalState;
use portal_support::history::{put, with_history};
use portal_support::{Answer, Ask, PASSWORD, Portal};
use serde_json::{Value, json};

const APP: &str = "/apps/alice/page";
const WEBP: &str = "RIFF\x10\0\0\0WEBPVP8 a picture";

fn key() -> AppKey {
    AppKey::parse("alice-page").unwrap()
}

/// A portal, and a site with a form that runs its first version.
struct Place {
    portal: Portal,
    manifests: ManifestDir,
}

fn schema() -> Value {
    json!({
        "title": "한 장", "x-en": {"title": "A page"}, "type": "object", "x-order": ["title", "when", "cover"],
        "properties": {
            "title": {"x-kind": "text", "type": "string", "maxLength": 10, "title": "제목", "x-en": {"title": "Title"}},
            "when": {"x-kind": "date", "type": "string", "format": "date", "title": "언제", "x-en": {"title": "When"}},
            "cover": {"x-kind": "picture", "type": ["object", "null"], "title": "사진", "x-en": {"title": "Picture"}},
        },
    })
}

impl Place {
    async fn new() -> Self {
        let made = Arc::new(Mutex::new(None));
        let portal = {
            let made = Arc::clone(&made);
            Portal::settled_with(move |state| with_drafts(state, &made)).await
        };
        let folders: DiskFolders = made.lock().unwrap().take().unwrap();
        folders.ensure(&key(), &Origin::Template(TemplateId::parse("page-v1").unwrap())).await.unwrap();
        let running = folders.take_version(&key(), "").await.unwrap();
        portal.add_member("alice").await;
        portal.add_member("bob").await;
        let dir = portal.state.settings_rx.borrow().manifests_dir.clone();
        put(&dir.join("alice-page.yaml"), "template: page-v1\n");
        portal.status_tx.send_modify(|status| *status = Arc::new(portal_support::status(["alice-page"])));
        let place = Self { manifests: ManifestDir::new(dir), portal };
        place.settle(&running);
        place
    }

    /// The version that the manifest names.
    fn named(&self) -> Option<VersionId> {
        let current = self.manifests.read(&key()).unwrap().unwrap();
        parse("alice-page.yaml", current.text.as_bytes()).unwrap().version
    }

    /// The daemon has brought about what the manifest says, and that version runs.
    fn settle(&self, version: &VersionId) {
        let digest = self.manifests.read(&key()).unwrap().unwrap().digest;
        self.portal.status_tx.send_modify(|status| {
            let app = Arc::make_mut(Arc::make_mut(status).apps.get_mut(&key()).unwrap());
            app.version = Some(version.clone());
            app.file_digest = Some(digest);
        });
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
        let (cookie, origin) = (self.portal.session_of(who, PASSWORD).await, self.portal.origin());
        let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str()), ("accept-language", "ko")];
        let path = format!("{APP}{path}");
        self.portal.ask(&Ask { method, path: &path, headers: &headers, body }).await
    }

    async fn studio(&self, who: &str) -> Value {
        let answer = self.ask(who, "GET", "/draft", None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()
    }

    async fn save(&self, who: &str, draft: Value) -> Answer {
        self.ask(who, "PUT", "/draft", Some(&draft.to_string())).await
    }

    /// Keeps a content that is the draft's only change.
    async fn fill(&self, who: &str, content: Value) -> Value {
        let studio = self.studio(who).await;
        let revision = studio["draft"]["revision"].as_u64().unwrap_or(0);
        let answer = self.save(who, json!({"base": studio["base"], "revision": revision, "content": content})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()
    }

    async fn publish(&self, who: &str, body: &str) -> Answer {
        self.ask(who, "POST", "/draft/publish?wait=0", Some(body)).await
    }

    async fn file(&self, version: &VersionId, path: &str) -> String {
        self.ask("alice", "GET", &format!("/versions/{version}/files/{path}"), None).await.body
    }
}

fn with_drafts(state: PortalState, made: &Mutex<Option<DiskFolders>>) -> PortalState {
    let files = [
        ("server.js", "serve()"),
        ("content.schema.json", &schema().to_string()),
        ("content.json", r#"{"title": "처음", "when": "2027-05-15", "own": "kept"}"#),
    ];
    let (state, folders) = with_history(state, "page-v1", &files);
    *made.lock().unwrap() = Some(folders.clone());
    state.with_drafts(Arc::new(Drafts::new(folders, Arc::new(SystemClock))))
}

#[tokio::test]
async fn what_is_typed_is_kept_and_becomes_one_version() {
    let place = Place::new().await;
    let studio = place.studio("alice").await;
    assert_eq!((&studio["schema"], &studio["content"]["title"]), (&schema(), &json!("처음")));
    assert_eq!((&studio["draft"], &studio["base"]), (&Value::Null, &studio["running"]));

    let picture = place.ask("alice", "PUT", "/draft/files/public/photos/a.webp", Some(WEBP)).await;
    assert_eq!(picture.status, 200, "{}", picture.body);
    let shown = place.ask("alice", "GET", "/draft/files/public/photos/a.webp", None).await;
    assert_eq!((shown.header("content-type"), shown.body.as_str()), (Some("image/webp"), WEBP));
    let content = json!({"title": "우리 집", "when": "2027-05-15", "own": "kept", "cover": {"src": "photos/a.webp"}});
    let kept = place.fill("alice", content.clone()).await;
    assert_eq!((&kept["revision"], &kept["problems"][0]["kind"]), (&json!(2), &json!("unknown")));
    assert_eq!(place.studio("alice").await["draft"]["content"], content);
    // An admin who opens the same site has a draft of their own, and sees that there is another one.
    let other = place.studio("admin").await;
    assert_eq!((&other["draft"], other["others"].as_array().unwrap().len()), (&Value::Null, 1));

    let answer = place.publish("alice", "{}").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let version = place.named().unwrap();
    assert_eq!(place.file(&version, "public/photos/a.webp").await, WEBP);
    let text = place.file(&version, "content.json").await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), content);
    assert!(text.starts_with("{\n  \"title\": \"우리 집\",\n  \"when\""), "{text}");
    let told = place.ask("alice", "GET", &format!("/versions/{version}"), None).await.data();
    assert_eq!(told["message"], "제목과 사진 1장을 바꿈");
    assert!(told["by"].as_str().unwrap().starts_with("alice"));

    // The new version does not answer yet: until it does, nothing is forgotten.
    assert_eq!(place.studio("alice").await["draft"]["content"], content);
    // And once it does, a draft that a crash has left behind changes nothing.
    place.settle(&version);
    assert_eq!(place.publish("alice", "{}").await.verdict(), (409, "nothing-to-publish".to_owned()));
    assert_eq!(place.ask("alice", "DELETE", "/draft", Some("{}")).await.status, 200);
    assert_eq!(place.studio("alice").await["draft"], Value::Null);
    assert_eq!(place.publish("alice", "{}").await.verdict(), (409, "nothing-to-publish".to_owned()));
}

#[tokio::test]
async fn what_does_not_fit_is_kept_told_by_field_and_not_published() {
    let place = Place::new().await;
    let kept = place.fill("alice", json!({"title": "열 글자보다 훨씬 더 긴 제목", "when": "2027-02-31"})).await;
    let at: Vec<_> =
        kept["problems"].as_array().unwrap().iter().map(|problem| problem["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["title", "when"]);
    let answer = place.publish("alice", "{}").await;
    assert_eq!(answer.verdict(), (422, "content-unfit".to_owned()));
    assert!(answer.body.contains("`title`: 10자까지 쓸 수 있어요"), "{}", answer.body);
    // A picture that never arrived.
    place.fill("alice", json!({"cover": {"src": "photos/none.webp"}})).await;
    assert_eq!(place.publish("alice", "{}").await.verdict(), (422, "content-unfit".to_owned()));
    // A program in place of a file.
    let studio = place.studio("alice").await;
    for (path, code) in [("../x", "bad-edit"), (".git/hooks/x", "bad-edit"), ("server.js", "bad-edit")] {
        let revision = place.studio("alice").await["draft"]["revision"].clone();
        let files = json!([{"path": path, "content": null}]);
        place.save("alice", json!({"base": studio["base"], "revision": revision, "files": files})).await;
        assert_eq!(place.publish("alice", "{}").await.verdict(), (422, code.to_owned()), "{path}");
    }
    assert_eq!(place.named(), None);
}

#[tokio::test]
async fn two_people_on_one_site_keep_each_other_s_changes_or_are_asked() {
    let place = Place::new().await;
    place.fill("alice", json!({"title": "처음", "when": "2027-06-01", "own": "kept"})).await;
    place.fill("admin", json!({"title": "관리자", "when": "2027-05-15", "own": "kept"})).await;
    assert_eq!(place.publish("admin", "{}").await.status, 202);
    let first = place.named().unwrap();
    place.settle(&first);
    assert_eq!(place.publish("alice", "{}").await.status, 202);
    let second = place.named().unwrap();
    place.settle(&second);
    let text: Value = serde_json::from_str(&place.file(&second, "content.json").await).unwrap();
    assert_eq!(text, json!({"title": "관리자", "when": "2027-06-01", "own": "kept"}));

    // The same field: nobody is overruled unseen.
    for who in ["alice", "admin"] {
        place.ask(who, "DELETE", "/draft", Some("{}")).await;
        place.fill(who, json!({"title": who, "when": "2027-06-01", "own": "kept"})).await;
    }
    assert_eq!(place.publish("admin", "{}").await.status, 202);
    place.settle(&place.named().unwrap());
    let answer = place.publish("alice", "{}").await;
    assert_eq!(answer.verdict(), (409, "edited-meanwhile".to_owned()));
    assert!(answer.body.contains("제목"), "{}", answer.body);
    assert_eq!(place.publish("alice", r#"{"over": true}"#).await.status, 202);
    let text = place.file(&place.named().unwrap(), "content.json").await;
    assert!(text.contains("\"title\": \"alice\""), "{text}");
}

#[tokio::test]
async fn two_windows_of_one_person_do_not_overwrite_each_other() {
    let place = Place::new().await;
    let base = place.studio("alice").await["base"].clone();
    let draft = |title: &str| json!({"base": base, "revision": 0, "content": {"title": title}});
    assert_eq!(place.save("alice", draft("하나")).await.status, 200);
    assert_eq!(place.save("alice", draft("둘")).await.verdict(), (409, "draft-changed".to_owned()));
    assert_eq!(place.studio("alice").await["draft"]["content"]["title"], "하나");
    let nowhere = json!({"base": "0123456789abcdef", "revision": 1, "content": {}});
    assert_eq!(place.save("alice", nowhere).await.verdict(), (404, "no-such-version".to_owned()));
    // Both press the button: one version comes of it.
    let (one, other) = tokio::join!(place.publish("alice", "{}"), place.publish("alice", "{}"));
    let mut both = [one.status, other.status];
    both.sort_unstable();
    assert_eq!(both, [202, 409], "{} {}", one.body, other.body);
}

#[tokio::test]
async fn only_pictures_are_taken_and_only_from_the_owner() {
    let place = Place::new().await;
    let send = async |who: &str, name: &str, bytes: &str| {
        place.ask(who, "PUT", &format!("/draft/files/public/{name}"), Some(bytes)).await.verdict()
    };
    assert_eq!(send("alice", "a.heic", "\0\0\0\x18ftypheic").await, (400, "bad-picture".to_owned()));
    assert_eq!(send("alice", "a.svg", "<svg><script>alert(1)</script></svg>").await, (400, "bad-picture".to_owned()));
    assert_eq!(send("alice", "a.webp", "<html>").await, (400, "bad-picture".to_owned()));
    assert_eq!(send("alice", "a.webp", &"x".repeat((4 << 20) + 1)).await, (413, "body-too-large".to_owned()));
    assert_eq!(send("alice", "%F0%9F%8C%8A.webp", WEBP).await, (200, String::new()));
    assert_eq!(send("bob", "a.webp", WEBP).await, (404, "no-such-app".to_owned()));
    for (method, path) in [("GET", "/draft"), ("DELETE", "/draft"), ("GET", "/draft/files/public/a.webp")] {
        let body = (method != "GET").then_some("{}");
        assert_eq!(place.ask("bob", method, path, body).await.verdict(), (404, "no-such-app".to_owned()), "{path}");
    }
    // A page of the site is no picture, whoever asks.
    let page = place.ask("alice", "GET", "/draft/files/server.js", None).await;
    assert_eq!(page.verdict(), (404, "no-such-file".to_owned()));
}
