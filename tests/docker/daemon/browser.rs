//! What only a browser shows: which cookies it sends where, and what a person sees. The scripts in `tests/browser/` drive a
//! real Chromium against the real daemon; `scripts/test` installs it, and without it these tests fail.

use std::path::Path;
use std::process::{Command, Stdio};

use minipaas::clock::{Clock as _, SystemClock};
use minipaas::model::AppKey;
use minipaas::usage::ring::{EVERY_SECONDS, Ring, SLOTS, Used};
use serde_json::{Value, json};

use super::fixture::Daemon;
use crate::files_support::copy;

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
    dashboard_with(name, template, |_| {})
}

/// [`dashboard`] of a daemon that finds something when it starts.
fn dashboard_with(name: &str, template: Option<&str>, prepare: impl FnOnce(&Daemon)) -> (Daemon, Value) {
    let domain = format!("{name}{}.localhost", std::process::id());
    let mut daemon = Daemon::prepared();
    if let Some(template) = template {
        copy(&scripts().join(template), &daemon.path(&format!("templates/{template}-v1")));
    }
    daemon.set(&[("PAAS_DOMAIN", &domain)]);
    prepare(&daemon);
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

/// A day of what an app used, a month of visitors and the log of an image's build, as a daemon would have left them.
fn past(daemon: &Daemon, app: &str) {
    let key = AppKey::parse(app).unwrap();
    let folder = daemon.path("portal-data");
    std::fs::create_dir_all(&folder).unwrap();
    let mut ring = Ring::open(&folder.join("usage.ring")).unwrap();
    let now = SystemClock.now().0.unsigned_abs() / 1000;
    for ago in (1..SLOTS).rev() {
        // Busy in the evening, and off for two hours.
        let wave = u32::try_from((ago * 7) % 40 + if (60..110).contains(&ago) { 180 } else { 20 }).unwrap();
        let used = Used {
            cpu: u16::try_from(wave * 2).ok(),
            memory_kib: Some(wave * 128 + 22_000),
            disk_kib: Some(9_000 - u32::try_from(ago).unwrap() * 8),
        };
        if !(180..204).contains(&ago) {
            ring.write(now - ago * EVERY_SECONDS, &[(key.clone(), used)].into()).unwrap();
        }
    }
    let mut log = std::fs::File::create(folder.join("image-build.log")).unwrap();
    let lines = (1..400).map(|line| format!("<b>line</b> {line} of the build\n")).collect::<Vec<_>>().concat();
    std::io::Write::write_all(&mut log, lines.as_bytes()).unwrap();
    let today = jiff::Zoned::now().date();
    let days = (1..30_i64).map(|ago| {
        let day = today.checked_sub(jiff::Span::new().days(ago)).unwrap();
        (day.to_string(), json!([(ago * 5) % 9, (ago * 5) % 9 * 3]))
    });
    let sites = json!({"sites": {app: days.collect::<serde_json::Map<_, _>>()}});
    let mut file = std::fs::File::create(folder.join("visits.json")).unwrap();
    std::io::Write::write_all(&mut file, sites.to_string().as_bytes()).unwrap();
}

/// Every site, its log at thousands of lines a second, a file that becomes invalid, a removal to confirm, keys.
#[test]
fn whoever_runs_the_server_sees_all_of_it_live() {
    let (daemon, mut given) = dashboard_with("ops", Some("chatty"), |daemon| past(daemon, "ann-talk"));
    given["root"] = json!(daemon.root());
    println!("{}", drive("operator.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// A site that rests while nobody comes, for its owner and for whoever comes.
#[test]
fn a_site_that_rests_carries_whoever_comes_on_and_tells_its_owner() {
    let (daemon, mut given) = dashboard("slp", Some("slow"));
    given["root"] = json!(daemon.root());
    daemon.run("alice-slow", "template: slow-v1\nmemory: 64m\nsleep: {after: 2h}\n");
    println!("{}", drive("sleep.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// A manifest in the editor: marks, Korean, two people at once, suggestions.
#[test]
fn a_manifest_is_edited_by_two_people_who_lose_nothing() {
    let (daemon, mut given) = dashboard("man", None);
    given["root"] = json!(daemon.root());
    println!("{}", drive("manifest.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// Each screen by the keyboard alone, at 200 % and 320 px wide.
#[test]
fn every_screen_is_for_the_keyboard_and_for_narrow_screens_as_well() {
    let (daemon, given) = dashboard("kbd", None);
    daemon.run("eve-page", "template: static-v1\nmemory: 64m\n");
    println!("{}", drive("everywhere.mjs", &given));
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

/// An invitation with pictures on a phone, published, changed and taken back.
#[test]
fn a_beginner_makes_a_site_their_own_and_takes_it_back() {
    let (daemon, given) = dashboard("std", None);
    println!("{}", drive("studio.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

const DIARY: &str = "template: diary-v1\nenableApi: true\nvisitors: everyone\n";

/// Another version, in a tab of its own, where the dashboard and the sites are one site to a browser.
#[test]
fn an_owner_looks_first_below_one_domain() {
    let (daemon, mut given) = dashboard("pre", None);
    daemon.run("alice-diary", DIARY);
    given["site"] = json!(format!("http://{}:{}", daemon.host("alice-diary"), daemon.port));
    println!("{}", drive("preview.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// The same on the machine itself, where they are two: `localhost` and a name below it.
#[test]
fn an_owner_looks_first_on_localhost() {
    let mut daemon = Daemon::prepared();
    daemon.set(&[("PAAS_DOMAIN", "localhost")]);
    daemon.serve();
    daemon.run("alice-diary", DIARY);
    let given = json!({
        "portal": format!("http://localhost:{}", daemon.portal_port),
        "site": format!("http://alice-diary.localhost:{}", daemon.port),
        "pictures": pictures(&daemon),
        "word": first_word(&daemon),
    });
    println!("{}", drive("preview.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// By a stranger on a phone, with scripts and without, and by its owner.
#[test]
fn what_a_template_makes_can_be_used_by_everybody() {
    let (daemon, given) = dashboard("tpl", None);
    for (app, manifest) in [
        ("alice-links", "template: links-v1\n"),
        ("alice-album", "template: album-v1\n"),
        ("alice-guestbook", "template: guestbook-v1\nenableApi: true\n"),
        ("alice-invite", "template: invite-v1\nenableApi: true\n"),
        ("alice-page", "template: static-v1\n"),
    ] {
        daemon.run(app, manifest);
    }
    println!("{}", drive("templates.mjs", &given));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
