//! What only a browser shows: which cookies it sends where, and what a person sees. The scripts in `tests/browser/` drive a
//! real Chromium against the real daemon; `scripts/test` installs it, and without it these tests fail.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::fixture::{Daemon, copy};

fn scripts() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// Runs one of the scripts to its end with what it is given, and returns what it printed.
#[track_caller]
fn drive(script: &str, given: &Value) -> String {
    let folder = std::env::var("MINIPAAS_BROWSER").unwrap_or_default();
    assert!(
        Path::new(&folder).join("node_modules/playwright-core").is_dir(),
        "MINIPAAS_BROWSER is `{folder}`: let it name the folder that `scripts/browser` prints, or run `scripts/test`"
    );
    let ran = Command::new("node")
        .arg(scripts().join(script))
        .arg(given.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("node is missing: `scripts/browser` installs it");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{script}: {}\n{said}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    said
}

#[test]
fn no_app_gets_at_the_portal_s_session_in_a_real_browser() {
    // Below `localhost`, so that the browser finds every name by itself.
    let domain = format!("sec{}.localhost", std::process::id());
    let mut daemon = Daemon::prepared();
    copy(&scripts().join("hostile"), &daemon.path("templates/hostile-v1"));
    daemon.set(&[("PAAS_DOMAIN", &domain)]);
    daemon.serve();
    for app in ["bob-evil", "eve-other"] {
        daemon.run(app, "template: hostile-v1\n");
    }
    let given = json!({"domain": domain, "gatewayPort": daemon.port, "portalPort": daemon.portal_port});
    println!("{}", drive("cookies.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// Where pictures of every screen go; `MINIPAAS_SCREENSHOTS` names a folder that stays.
fn pictures(daemon: &Daemon) -> String {
    std::env::var("MINIPAAS_SCREENSHOTS").unwrap_or_else(|_| daemon.path("pictures").display().to_string())
}

/// What the first start has printed to be opened in a browser.
fn first_word(daemon: &Daemon) -> String {
    let said = daemon.paas(&["init"]).done();
    let word = said.split("/first#").nth(1).and_then(|rest| rest.split_whitespace().next());
    word.unwrap_or_else(|| panic!("`paas init` shows no first word:\n{said}")).to_owned()
}

/// A daemon below a domain of this test's own, with a template of the scripts' if one is named; and what the scripts are told of it.
fn dashboard(name: &str, template: Option<&str>) -> (Daemon, Value) {
    let domain = format!("{name}{}.localhost", std::process::id());
    let mut daemon = Daemon::prepared();
    if let Some(template) = template {
        copy(&scripts().join(template), &daemon.path(&format!("templates/{template}-v1")));
    }
    daemon.set(&[("PAAS_DOMAIN", &domain)]);
    daemon.serve();
    let given = json!({
        "portal": format!("http://{domain}:{}", daemon.port),
        "pictures": pictures(&daemon),
        "word": first_word(&daemon),
    });
    (daemon, given)
}

/// From the address that `paas init` prints to a site of one's own, on a phone and on a desk, in Korean and in English.
#[test]
fn a_beginner_has_a_site_within_a_minute_and_six_clicks() {
    let (mut daemon, mut given) = dashboard("web", None);
    given["restart"] = json!(daemon.path("restart-me"));
    let wanted = daemon.path("restart-me");
    let script = std::thread::spawn(move || drive("beginner.mjs", &given));
    // The page says when its form is half filled; then the daemon goes, for a while, and comes back.
    while !wanted.exists() && !script.is_finished() {
        std::thread::yield_now();
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    if !script.is_finished() {
        daemon.stop();
        std::fs::rename(&wanted, wanted.with_file_name("restart-me.down")).unwrap();
        daemon.until("the page has seen that it is away", || {
            wanted.with_file_name("restart-me.seen").exists().then_some(())
        });
        daemon.serve();
    }
    println!("{}", script.join().unwrap());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// Every site, its log at thousands of lines a second, a file that becomes invalid, a removal to confirm, keys.
#[test]
fn whoever_runs_the_server_sees_all_of_it_live() {
    let (daemon, mut given) = dashboard("ops", Some("chatty"));
    given["root"] = json!(daemon.root());
    println!("{}", drive("operator.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// From an invitation on the administrator's phone to a site on another, and out again.
#[test]
fn somebody_who_is_invited_has_a_corner_of_their_own() {
    let (daemon, given) = dashboard("ppl", None);
    println!("{}", drive("people.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// A diary that is private by one word, and who is let in all the same.
#[test]
fn a_private_site_shows_itself_to_its_owner_and_to_whom_they_invite() {
    let (daemon, given) = dashboard("vis", Some("live"));
    println!("{}", drive("visitors.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
