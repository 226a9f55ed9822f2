//! Versions through the portal's routes: the doors, accounts, folders, manifests and git are real, the controller is played.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use minipaas::desired::{ManifestDir, parse};
use minipaas::folders::{DiskFolders, Folders as _, Origin};
use minipaas::history::Packer;
use minipaas::model::{AppKey, Bytes, Digest, Manifest, TemplateId, Timestamp, VersionId};
use portal_support::history::{put, with_history};
use portal_support::{Answer, Ask, Portal, soon};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const VERSIONS: &str = "/apps/alice/diary/versions";

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

/// A portal, and an app that runs a version.
struct Place {
    portal: Portal,
    manifests: ManifestDir,
    running: VersionId,
    admin: String,
}

impl Place {
    async fn new() -> Self {
        let made = Arc::new(Mutex::new(None));
        let portal = {
            let made = Arc::clone(&made);
            Portal::settled_with(move |state| {
                let files = [("server.js", "serve()"), ("index.html", "<h1>일기장</h1>")];
                let (state, folders) = with_history(state, "diary-v1", &files);
                *made.lock().unwrap() = Some(folders);
                state
            })
            .await
        };
        let folders: DiskFolders = made.lock().unwrap().take().unwrap();
        folders.ensure(&key(), &Origin::Template(TemplateId::parse("diary-v1").unwrap())).await.unwrap();
        let running = folders.take_version(&key(), "").await.unwrap();
        portal.add_member("alice").await;
        portal.add_member("bob").await;
        let manifests = ManifestDir::new(portal.state.settings_rx.borrow().manifests_dir.clone());
        let place = Self { admin: portal.key().await, portal, manifests, running };
        place.write("template: diary-v1\n");
        place.settle();
        place
    }

    fn write(&self, manifest: &str) {
        let dir = self.portal.state.settings_rx.borrow().manifests_dir.clone();
        put(&dir.join("alice-diary.yaml"), manifest);
    }

    fn manifest(&self) -> Manifest {
        let current = self.manifests.read(&key()).unwrap().unwrap();
        parse("alice-diary.yaml", current.text.as_bytes()).unwrap()
    }

    /// The daemon has brought about what the manifest says, and `running` runs.
    fn settle(&self) {
        let digest = self.manifests.read(&key()).unwrap().unwrap().digest;
        self.report(Some(digest));
    }

    fn report(&self, seen: Option<Digest>) {
        self.portal.status_tx.send_modify(|status| {
            let app = Arc::make_mut(Arc::make_mut(status).apps.get_mut(&key()).unwrap());
            app.version = Some(self.running.clone());
            app.file_digest = seen;
        });
    }

    async fn publish(&self, more: &[(&str, &str)], body: &Value) -> Answer {
        let mut headers = vec![("x-api-key", self.admin.as_str())];
        headers.extend(more);
        self.portal.post(&format!("{VERSIONS}?wait=0"), &headers, &body.to_string()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.portal.get(&format!("{VERSIONS}{path}"), &[("x-api-key", &self.admin)]).await
    }

    fn edit(&self, edits: &Value) -> Value {
        json!({"base": self.running, "edits": edits})
    }
}

#[tokio::test]
async fn what_is_published_runs_and_can_be_read_again_text_and_picture_alike() {
    let place = Place::new().await;
    let body = json!({
        "base": place.running,
        "edits": [
            {"path": "public/새 글.html", "content": "<h1>새 글</h1>"},
            {"path": "public/dot.gif", "content": "R0lGODlh/wA=", "encoding": "base64"},
            {"path": "index.html", "content": null},
        ],
        "message": "a new headline",
    });
    let answer = place.publish(&[], &body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let version = place.manifest().version.unwrap();
    assert_ne!(version, place.running);
    let shown = place.get(&format!("/{version}")).await;
    assert_eq!(shown.header("etag"), Some(format!("\"{version}\"").as_str()));
    let shown = shown.data();
    let files: BTreeMap<_, _> = shown["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["bytes"].as_u64().unwrap()))
        .collect();
    assert_eq!(files, [("public/dot.gif", 8), ("public/새 글.html", 16), ("server.js", 7)].into());
    assert_eq!(
        (&shown["door"], &shown["message"], &shown["healthy"]),
        (&json!("publish"), &json!("a new headline"), &json!(false))
    );
    let page = place.get(&format!("/{version}/files/public/%EC%83%88%20%EA%B8%80.html")).await;
    assert_eq!((page.status, page.body.as_str()), (200, "<h1>새 글</h1>"));
    // What an owner wrote is no page of the portal's.
    assert_eq!(page.header("content-type"), Some("application/octet-stream"));
    assert_eq!(page.header("content-disposition"), Some("attachment"));
    let missing = place.get(&format!("/{version}/files/index.html")).await;
    assert_eq!(missing.verdict(), (404, "no-such-file".to_owned()));
    let nowhere = place.get("/0123456789abcdef").await;
    assert_eq!(nowhere.verdict(), (404, "no-such-version".to_owned()));
}

#[tokio::test]
async fn whoever_has_not_seen_what_runs_is_told_and_nothing_is_made() {
    let place = Place::new().await;
    let edits = json!([{"path": "index.html", "content": "mine"}]);
    let first = place.publish(&[], &place.edit(&edits)).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let published = place.manifest().version;
    let count = async || place.get("").await.data()["versions"].as_array().unwrap().len();
    let made = count().await;

    // The new one is only being brought up, and the old one still serves.
    let second = place.publish(&[], &place.edit(&edits)).await;
    assert_eq!(second.verdict(), (409, "published-meanwhile".to_owned()));
    assert_eq!((place.manifest().version, count().await), (published.clone(), made));
    // Upon that one more can be put.
    let third = place.publish(&[], &json!({"base": published, "edits": edits})).await;
    assert_eq!(third.status, 202, "{}", third.body);

    // Somebody is deploying.
    place.write("template: diary-v1\nredeploy: now\n");
    let answer = place.publish(&[], &place.edit(&edits)).await;
    assert_eq!(answer.verdict(), (409, "changed-meanwhile".to_owned()));
    place.settle();
    let answer = place.publish(&[("if-match", "\"0123456789abcdef\"")], &place.edit(&edits)).await;
    assert_eq!(answer.verdict(), (412, "etag-mismatch".to_owned()));
    let tag = format!("\"{}\"", place.running);
    let answer = place.publish(&[("if-match", &tag)], &place.edit(&edits)).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

#[tokio::test]
async fn of_two_who_publish_at_the_same_moment_one_is_told() {
    let place = Place::new().await;
    let mut verdicts = Vec::new();
    for round in 0..5 {
        place.write("template: diary-v1\n");
        place.settle();
        let body = |who: &str| place.edit(&json!([{"path": "index.html", "content": format!("{who} {round}")}]));
        let (one, two) = (body("one"), body("two"));
        let (one, two) = tokio::join!(place.publish(&[], &one), place.publish(&[], &two));
        let mut both = [one.status, two.status];
        both.sort_unstable();
        verdicts.push(both);
    }
    assert_eq!(verdicts, [[202, 409]; 5]);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_the_reason_and_changes_nothing() {
    let place = Place::new().await;
    let file = |path: &str| place.edit(&json!([{"path": path, "content": "x"}]));
    for (body, part) in [
        (file("../x"), "no name of a file"),
        (file(".git/hooks/post-update"), "no name of a file"),
        (file("INDEX.html"), "go together"),
        (place.edit(&json!([{"path": "server.js", "content": null}])), "nothing would answer"),
        (place.edit(&json!([{"path": "a", "content": "not base64", "encoding": "base64"}])), "not base64"),
        (place.edit(&json!([])), "0 files change"),
    ] {
        let answer = place.publish(&[], &body).await;
        assert_eq!(answer.verdict(), (422, "bad-edit".to_owned()), "{body}");
        assert!(answer.body.contains(part), "{body}: {}", answer.body);
    }
    let answer = place.publish(&[], &json!({"base": place.running, "edits": [{"path": "a", "text": "x"}]})).await;
    assert_eq!(answer.verdict(), (422, "wrong-shape".to_owned()));
    assert_eq!(place.manifest().version, None);
    assert_eq!(place.get("").await.data()["versions"].as_array().unwrap().len(), 1);

    place.write("template: diary-v1\ncode: live\n");
    let answer = place.publish(&[], &file("a")).await;
    assert_eq!(answer.verdict(), (409, "code-is-live".to_owned()));
}

#[tokio::test]
async fn a_body_may_be_as_large_as_pictures_are_and_no_larger() {
    let place = Place::new().await;
    let large = "x".repeat(7 << 20);
    let answer = place.publish(&[], &place.edit(&json!([{"path": "large.txt", "content": large}]))).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    place.write("template: diary-v1\n");
    place.settle();
    let too_large = "x".repeat(8 << 20);
    let answer = place.publish(&[], &place.edit(&json!([{"path": "large.txt", "content": too_large}]))).await;
    assert_eq!(answer.verdict(), (413, "body-too-large".to_owned()));
    assert!(answer.body.contains("8 MiB"), "{}", answer.body);
    assert_eq!(place.manifest().version, None);
    // Nowhere else.
    let headers = [("x-api-key", place.admin.as_str())];
    let answer = place.portal.post("/apps", &headers, &"x".repeat((64 << 10) + 1)).await;
    assert!(answer.status == 413 && answer.body.contains("64 KiB"), "{}", answer.body);
}

#[tokio::test]
async fn an_owner_publishes_their_own_and_nobody_else_s() {
    let place = Place::new().await;
    let body = place.edit(&json!([{"path": "index.html", "content": "mine"}])).to_string();
    let origin = place.portal.origin();
    for (who, verdict) in [("bob", (404, "no-such-app")), ("alice", (202, ""))] {
        let cookie = place.portal.session_of(who, portal_support::PASSWORD).await;
        let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
        let path = format!("{VERSIONS}?wait=0");
        let ask = Ask { method: "POST", path: &path, headers: &headers, body: Some(&body) };
        let answer = place.portal.ask(&ask).await;
        assert_eq!(answer.verdict(), (verdict.0, verdict.1.to_owned()), "{who}: {}", answer.body);
    }
    let version = place.manifest().version.unwrap();
    assert!(place.get(&format!("/{version}")).await.data()["by"].as_str().unwrap().starts_with("alice"));
}

/// Sends bytes as they are, and tells the answer's head and body.
async fn send(place: &Place, method: &str, path: &str, more: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = place.portal.connect().await;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n",
        place.portal.address,
        place.admin,
        body.len()
    );
    let mut answer = Vec::new();
    soon(async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
    })
    .await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

async fn send_zip(place: &Place, more: &str, zip: &[u8]) -> (u16, Value) {
    let path = format!("{VERSIONS}?wait=0&message=from%20a%20zip");
    let (head, body) = send(place, "POST", &path, &format!("content-type: application/zip\r\n{more}"), zip).await;
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_slice(&body).unwrap())
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut packer = Packer::new(std::io::Cursor::new(Vec::new()), Timestamp(0));
    for (path, text) in files {
        packer.file(path, false, &mut text.as_bytes()).unwrap();
    }
    packer.finish().unwrap().into_inner()
}

async fn files_of(place: &Place, version: &VersionId) -> Vec<String> {
    let content = place.get(&format!("/{version}")).await.data()["content"].clone();
    content.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_zip_takes_the_place_of_everything_and_comes_back_as_it_was() {
    let place = Place::new().await;
    let zip = zipped(&[("site/server.js", "serve(2)"), ("site/public/새 글.html", "<h1>새 글</h1>")]);
    let (status, answer) = send_zip(&place, "", &zip).await;
    assert_eq!(status, 202, "{answer}");
    let version = place.manifest().version.unwrap();
    assert_eq!(files_of(&place, &version).await, ["public/새 글.html", "server.js"]);
    assert_eq!(place.get(&format!("/{version}")).await.data()["message"], "from a zip");

    let (head, archive) = send(&place, "GET", &format!("{VERSIONS}/{version}/archive"), "", b"").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/zip"), "{head}");
    assert!(head.contains(&format!("filename=\"alice-diary-{version}.zip\"")), "{head}");
    let (status, answer) = send_zip(&place, "", &archive).await;
    assert_eq!(status, 202, "{answer}");
    let again = place.manifest().version.unwrap();
    assert_ne!(again, version);
    assert_eq!(files_of(&place, &again).await, ["public/새 글.html", "server.js"]);
    let path = format!("/apps/alice/diary/diff?from={version}&to={again}");
    let differs = place.portal.get(&path, &[("x-api-key", &place.admin)]).await;
    assert_eq!(differs.data()["text"], "");
}

#[tokio::test]
async fn pages_without_a_server_are_shown_by_that_of_the_static_template() {
    let place = Place::new().await;
    let templates = place.portal.state.settings_rx.borrow().templates_dir.clone();
    let zip = zipped(&[("index.html", "<h1>hello</h1>"), ("style.css", "h1 {}")]);
    let (status, answer) = send_zip(&place, "", &zip).await;
    assert_eq!((status, &answer["code"]), (422, &json!("bad-archive")), "without that template: {answer}");
    assert_eq!(place.manifest().version, None);
    put(&templates.join("static-v1/app/server.js"), "show()");
    let (status, answer) = send_zip(&place, "", &zip).await;
    assert_eq!(status, 202, "{answer}");
    let version = place.manifest().version.unwrap();
    assert_eq!(files_of(&place, &version).await, ["public/index.html", "public/style.css", "server.js"]);
    assert_eq!(place.get(&format!("/{version}/files/server.js")).await.body, "show()");
}

#[tokio::test]
async fn an_archive_is_refused_with_the_reason_and_nothing_of_it_stays() {
    let place = Place::new().await;
    place.portal.set(|settings| settings.publish_max_bytes = Bytes::mib(1));
    for (zip, part) in [
        (zipped(&[("server.js", "x"), ("../x", "y")]), "no name of a file"),
        (zipped(&[("readme.txt", "x")]), "no `server.js`"),
        (b"PK\x03\x04 and no more".to_vec(), "cannot be unpacked"),
        (Vec::new(), "it is empty"),
        (zipped(&[("server.js", "x"), ("zeros", &"\0".repeat(2 << 20))]), "more than 1m"),
    ] {
        let (status, answer) = send_zip(&place, "", &zip).await;
        assert_eq!((status, &answer["code"]), (422, &json!("bad-archive")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{answer}");
    }
    let (status, answer) = send_zip(&place, "", &vec![0; (3 << 20) / 2]).await;
    assert_eq!((status, &answer["code"]), (413, &json!("body-too-large")), "{answer}");
    let body = zipped(&[("server.js", "x")]);
    let (head, _) = send(&place, "POST", VERSIONS, "content-type: text/plain\r\n", &body).await;
    assert!(head.starts_with("HTTP/1.1 415"), "{head}");
    assert_eq!(place.get("").await.data()["versions"].as_array().unwrap().len(), 1);
    assert_eq!(place.manifest().version, None);

    // Only upon what its sender has seen, if they say so.
    let (status, answer) = send_zip(&place, "if-match: \"0123456789abcdef\"\r\n", &body).await;
    assert_eq!((status, &answer["code"]), (412, &json!("etag-mismatch")), "{answer}");
    let tag = format!("if-match: \"{}\"\r\n", place.running);
    assert_eq!(send_zip(&place, &tag, &body).await.0, 202);
    assert_eq!(send_zip(&place, &tag, &body).await.0, 412, "another one is on its way by now");
}
