//! `git push` with the real client, against the real daemon and Docker.

use std::path::Path;
use std::process::{Command, Stdio};

use super::fixture::{Daemon, PAGE, write};

const KEY: &str = "a-key-for-the-tests-of-git";

fn git(folder: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder).stdin(Stdio::null()).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Alice").env(format!("GIT_{who}_EMAIL"), "alice@home.example");
    }
    let ran = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    (ran.status.success(), said)
}

#[track_caller]
fn works(folder: &Path, args: &[&str]) -> String {
    let (ok, said) = git(folder, args);
    assert!(ok, "{args:?}: {said}");
    said
}

fn commit(clone: &Path, message: &str) {
    works(clone, &["add", "-A"]);
    works(clone, &["commit", "-q", "-m", message]);
}

#[test]
fn what_is_pushed_runs_and_what_crashes_is_told_while_the_old_one_serves() {
    let daemon = Daemon::start_with(&[("PORTAL_API_KEY", KEY)]);
    daemon.run("alice-page", PAGE);
    let address = daemon.paas(&["git", "alice-page"]).done();
    assert!(address.lines().next().unwrap().ends_with("/git/alice/page.git"), "{address}");
    // Its name is known to no name server.
    let address = format!("http://x:{KEY}@127.0.0.1:{}/git/alice/page.git", daemon.portal_port);
    works(daemon.root(), &["clone", "-q", &address, "clone"]);
    let clone = daemon.path("clone");
    let first = works(&clone, &["rev-parse", "HEAD"]).trim().to_owned();

    write(&clone.join("index.html"), "<p>pushed</p>\n");
    commit(&clone, "A page of mine");
    let told = works(&clone, &["push", "origin", "main"]);
    assert!(told.contains("remote: healthy in ") && told.contains("remote: http://alice-page."), "{told}");
    assert!(daemon.get("alice-page", "/").text().contains("pushed"));
    daemon.until("the working copy follows", || {
        let page = std::fs::read_to_string(daemon.folder("alice-page").join("app/index.html"));
        page.is_ok_and(|page| page.contains("pushed")).then_some(())
    });
    let listed: serde_json::Value =
        serde_json::from_str(&daemon.paas(&["versions", "alice-page", "-o", "json"]).done()).unwrap();
    let newest = &listed["versions"][0];
    assert_eq!((&newest["door"], &newest["by"]), (&"push".into(), &"the key PORTAL_API_KEY".into()), "{listed}");

    // One that crashes: its own words, and the page stays.
    write(&clone.join("server.js"), "console.error('no such wheel'); process.exit(3);\n");
    commit(&clone, "A mistake");
    let told = works(&clone, &["push", "origin", "main"]);
    assert!(told.contains("remote: it does not come up") && told.contains("no such wheel"), "{told}");
    assert!(told.contains("remote: the version before serves on"), "{told}");
    assert!(daemon.get("alice-page", "/").text().contains("pushed"));

    // By force, back to the first and on from there; what was replaced is kept.
    let lost = works(&clone, &["rev-parse", "HEAD"]).trim().to_owned();
    works(&clone, &["reset", "-q", "--hard", &first]);
    write(&clone.join("index.html"), "<p>forced</p>\n");
    commit(&clone, "Instead");
    assert!(!git(&clone, &["push", "origin", "main"]).0, "only by force");
    let told = works(&clone, &["push", "--force", "origin", "main"]);
    assert!(told.contains("remote: healthy in "), "{told}");
    assert!(daemon.get("alice-page", "/").text().contains("forced"));
    assert!(daemon.folder("alice-page").join("history.git/refs/kept").join(lost).exists());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
