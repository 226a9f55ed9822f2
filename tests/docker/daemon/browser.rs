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
