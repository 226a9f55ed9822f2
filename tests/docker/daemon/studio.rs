//! What somebody types into the studio, against a daemon that dies and a disk that is full.

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use super::fixture::Daemon;

/// `PORTAL_API_KEY`.
const KEY: &str = "a-key-for-the-tests-of-the-studio";
const DRAFT: &str = "/apps/alice/invite/draft";

fn studio(daemon: &Daemon) -> Value {
    daemon.ask(DRAFT)
}

fn content(daemon: &Daemon, title: &str) -> Value {
    let mut content = studio(daemon)["content"].clone();
    content["title"] = json!(title);
    content
}

/// P25: what was acknowledged is there after a crash, and what is published is one version whole.
#[test]
fn a_draft_survives_a_killed_daemon_and_is_published_as_one_version() {
    let mut daemon = Daemon::start_with(&[("PORTAL_API_KEY", KEY)]);
    daemon.run("alice-invite", "template: invite-v1\n");
    let base = studio(&daemon)["base"].clone();
    let filled = content(&daemon, "윤서와 지호");
    let draft = json!({"base": base, "revision": 0, "content": filled});
    let (status, kept) = daemon.call("PUT", DRAFT, Some(&draft));
    assert_eq!((status, &kept["revision"]), (200, &json!(1)), "{kept:#}");
    daemon.kill();
    daemon.serve();
    daemon.ready("alice-invite");
    assert_eq!(studio(&daemon)["draft"]["content"]["title"], "윤서와 지호");
    assert!(!daemon.get("alice-invite", "/").text().contains("윤서와 지호"), "nothing shows before it is published");

    let (status, done) = daemon.call("POST", &format!("{DRAFT}/publish"), None);
    assert_eq!(status, 200, "{done:#}");
    assert!(daemon.get("alice-invite", "/").text().contains("윤서와 지호"));
    let now = studio(&daemon);
    assert_eq!((&now["draft"], &now["content"]["title"]), (&Value::Null, &json!("윤서와 지호")));
    assert_ne!(now["running"], base);

    // Back by one version, and the working copy follows.
    let back = format!("/apps/alice/invite/versions/{}/restore", base.as_str().unwrap());
    assert_eq!(daemon.call("POST", &back, None).0, 200);
    assert!(daemon.get("alice-invite", "/").text().contains("민준"));

    // Killed while it publishes, over and over: the page is the one or the other, and the words are never lost.
    for round in 0..3 {
        let title = format!("{round}번째 제목");
        let (base, revision) =
            (studio(&daemon)["base"].clone(), studio(&daemon)["draft"]["revision"].as_u64().unwrap_or(0));
        let draft = json!({"base": base, "revision": revision, "content": content(&daemon, &title)});
        assert_eq!(daemon.call("PUT", DRAFT, Some(&draft)).0, 200);
        daemon.call("POST", &format!("{DRAFT}/publish?wait=0"), None);
        daemon.kill();
        daemon.serve();
        daemon.ready("alice-invite");
        let page = daemon.get("alice-invite", "/").text();
        let drafted = studio(&daemon)["draft"]["content"]["title"] == json!(title);
        assert!(page.contains(&title) || drafted, "{title} is lost:\n{page}");
        assert!(page.contains("오월정원"), "half a version:\n{page}");
        if !page.contains(&title) {
            let (status, done) = daemon.call("POST", &format!("{DRAFT}/publish"), None);
            assert_eq!(status, 200, "{done:#}");
            assert!(daemon.get("alice-invite", "/").text().contains(&title));
        }
        daemon.call("DELETE", DRAFT, None);
    }
    assert!(daemon.paas(&["draft", "alice-invite"]).done().contains("has changed nothing"));
}

#[test]
fn a_full_disk_leaves_the_draft_as_it_was_and_says_so() {
    let mut daemon = Daemon::prepared();
    daemon.set(&[("PORTAL_API_KEY", KEY)]);
    daemon.mount_small("apps", 12 << 20);
    daemon.serve();
    daemon.change_first_password();
    daemon.run("alice-invite", "template: invite-v1\n");
    let base = studio(&daemon)["base"].clone();
    let draft = |revision: u64, title: &str| json!({"base": base, "revision": revision, "content": {"title": title}});
    assert_eq!(daemon.call("PUT", DRAFT, Some(&draft(0, "전에 적은 것"))).0, 200);
    let filler = daemon.path("apps").join(".filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[7_u8; 4096]).is_ok() {}
    let (status, refused) = daemon.call("PUT", DRAFT, Some(&draft(1, &"새로 적은 것".repeat(2_000))));
    assert_eq!(status, 507, "{refused:#}");
    assert_eq!(studio(&daemon)["draft"]["content"]["title"], "전에 적은 것");
    // A file that is open keeps its space.
    drop(file);
    fs::remove_file(&filler).unwrap();
    assert_eq!(daemon.call("PUT", DRAFT, Some(&draft(1, "새로 적은 것"))).0, 200);
    assert_eq!(studio(&daemon)["draft"]["content"]["title"], "새로 적은 것");
}
