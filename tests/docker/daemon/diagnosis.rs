//! Apps that do not come up, and what their owner is told about it.

use serde_json::Value;

use super::crashing::template;
use super::fixture::{Daemon, PAGE, write};

const ON_LOOPBACK: &str = "require('http').createServer((_, answer) => answer.end('x')).listen(3000, '127.0.0.1');\n";

#[test]
fn an_app_that_does_not_come_up_says_what_is_wrong_and_what_to_do() {
    let daemon = Daemon::start();
    let cases = [
        ("alice", "listens-on-loopback", ON_LOOPBACK, "it listens on 127.0.0.1:3000, where nobody outside"),
        (
            "bobby",
            "listens-on-other-port",
            "require('http').createServer((_, answer) => answer.end('x')).listen(8081);\n",
            "it listens on port 8081, not 3000",
        ),
        ("carol", "listens-nowhere", "setInterval(() => {}, 1000);\n", "it runs but listens on no port"),
        (
            "david",
            "read-only",
            "require('fs').writeFileSync('/app/notes.txt', 'x');\n",
            "/app is read-only: write to /data",
        ),
        ("ellen", "module-not-found", "require('left-pad');\n", "the module `left-pad`"),
        ("frank", "syntax-error", "const a = 1;\nconst b = ;\n", "a syntax error in line 2 of server.js"),
        (
            "grace",
            "port-in-use",
            "const h = require('http');\nh.createServer().listen(3000, () => h.createServer().listen(3000));\n",
            "it listens on port 3000 twice",
        ),
        (
            "henry",
            "out-of-memory",
            "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 7));\n",
            "it needs more memory than its limit (48m): raise `memory`",
        ),
    ];
    for (user, code, program, _) in &cases {
        template(&daemon, code, program);
        daemon.save(&format!("{user}-page"), &format!("template: {code}\nmemory: 48m\nstartTimeout: 4s\n"));
    }
    for (user, code, _, words) in cases {
        let name = format!("{user}-page");
        let app = daemon.until(code, || {
            let app = daemon.app(&name);
            (app["diagnosis"]["code"] == code).then_some(app)
        });
        let text = |language: &str| app["diagnosis"][language].as_str().unwrap_or_default().to_owned();
        assert!(text("english").starts_with(words) || text("english").contains(words), "{app:#}");
        assert!(text("korean").chars().any(|c| ('가'..='힣').contains(&c)), "{app:#}");
        let told = app["conditions"].as_array().unwrap().iter().any(|condition| {
            condition["type"] != "Ready" && condition["message"].as_str().is_some_and(|message| message.contains(words))
        });
        assert!(told, "{app:#}");
        if code == "port-in-use" {
            continue; // It listened for a moment, so its deploy did not fail.
        }
        let log = daemon.folder(&name).join("logs/deploy.log");
        daemon.until(&format!("{name} has it in the deploy log"), || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            (log.contains(words) && log.contains(&text("korean"))).then_some(())
        });
    }
}

#[test]
fn who_waits_for_a_deploy_is_told_why_it_failed() {
    let daemon = Daemon::start_with(&[("PORTAL_API_KEY", "0123456789abcdef0123456789abcdef")]);
    let good = daemon.run("alice-page", PAGE);
    write(&daemon.folder("alice-page").join("app/server.js"), ON_LOOPBACK);
    daemon.save("alice-page", &format!("{PAGE}startTimeout: 3s\n"));
    daemon.ready("alice-page");
    let ran = daemon.paas(&["deploy", "alice-page"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    let why = "listen on 0.0.0.0";
    assert!(ran.err.contains("DeployFailed") && ran.err.contains(why), "{ran:?}");
    let app = daemon.app("alice-page");
    assert_eq!(app["failedDeploy"]["reason"].as_str().map(|reason| reason.contains(why)), Some(true), "{app:#}");
    let (status, answer) = daemon.call("POST", "/apps/alice/page/deploy", None);
    assert_eq!((status, answer["converged"].clone()), (202, Value::Bool(false)), "{answer:#}");
    assert!(answer["reason"].to_string().contains(why), "{answer:#}");
    assert_eq!(answer["diagnosis"]["code"], "listens-on-loopback", "{answer:#}");
    assert_eq!(daemon.container("alice-page")["Id"], good["Id"]);
    assert_eq!(daemon.get("alice-page", "/").status, 200);
}

#[test]
fn an_app_that_starts_slowly_is_given_the_time_that_its_manifest_allows() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    let server = daemon.folder("alice-page").join("app/server.js");
    let program = std::fs::read_to_string(&server).unwrap();
    // Whatever the program is, it begins five seconds late.
    write(&server, &format!("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);\n{program}"));
    daemon.save("alice-page", &format!("{PAGE}startTimeout: 2s\nredeploy: one\n"));
    let told = daemon.until_condition("alice-page", "DeployFailed");
    assert!(told.contains("within 2s") && told.contains("`startTimeout`"), "{told}");
    daemon.save("alice-page", &format!("{PAGE}startTimeout: 30s\nredeploy: one\n"));
    daemon.ready("alice-page");
}

#[test]
fn a_limit_below_what_the_process_holds_never_leaves_the_app_on_its_way_for_ever() {
    let daemon = Daemon::start();
    let hold = "const held = Buffer.alloc(80 << 20, 7);\nsetInterval(() => { held[0]++; }, 1000);\n\
                require('http').createServer((_, answer) => answer.end('x')).listen(3000);\n";
    template(&daemon, "holding-v1", hold);
    let first = daemon.run("alice-page", "template: holding-v1\nmemory: 200m\n");
    daemon.save("alice-page", "template: holding-v1\nmemory: 6m\n");
    // A kernel with cgroup v1 refuses it, one with v2 kills the process.
    let told = daemon.until("it is told", || {
        let refused =
            daemon.condition("alice-page", "Invalid").filter(|told| told.contains("Docker refuses the limits"));
        refused.or_else(|| daemon.condition("alice-page", "CrashLoop"))
    });
    assert!(told.contains("memory"), "{told}");
    let app = daemon.app("alice-page");
    if app["phase"] == "Invalid" {
        assert!(told.contains("unable to set memory limit to 6291456"), "the whole message: {told}");
        assert_eq!(app["limits"]["memory"], "200m", "{app:#}");
        let container = daemon.container("alice-page");
        assert_eq!((&container["Id"], &container["State"]["StartedAt"]), (&first["Id"], &first["State"]["StartedAt"]));
        assert_eq!(daemon.get("alice-page", "/").status, 200);
    }
    daemon.save("alice-page", "template: holding-v1\nmemory: 160m\n");
    daemon.ready("alice-page");
}

#[test]
fn an_app_whose_process_hangs_is_told_to_and_its_visitors_do_not_wait_for_it() {
    let daemon = Daemon::start();
    let container = daemon.run("alice-page", &format!("{PAGE}restart: {{onHang: false}}\n"));
    let app = stop(&container);
    let told = daemon.until_condition("alice-page", "NotAnswering");
    assert!(told.contains("has stopped answering on port 3000"), "{told}");
    assert_eq!(daemon.app("alice-page")["phase"], "Degraded");
    let answer = daemon.get("alice-page", "/");
    assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
    rustix::process::kill_process(app, rustix::process::Signal::CONT).unwrap();
    daemon.ready("alice-page");
    assert_eq!(daemon.container("alice-page")["Id"], container["Id"]);
}

/// `kill -STOP` of the app's process.
fn stop(container: &serde_json::Value) -> rustix::process::Pid {
    let pid = i32::try_from(container["State"]["Pid"].as_i64().unwrap()).unwrap();
    // The first process is Docker's `init`, the app is its child.
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let app = children.split_whitespace().next().unwrap().parse().unwrap();
    let app = rustix::process::Pid::from_raw(app).unwrap();
    rustix::process::kill_process(app, rustix::process::Signal::STOP).unwrap();
    app
}

#[test]
fn an_app_whose_process_hangs_gets_a_new_container_that_takes_over() {
    let daemon = Daemon::start();
    let container = daemon.run("alice-page", PAGE);
    stop(&container);
    let began = std::time::Instant::now();
    daemon.until_condition("alice-page", "NotAnswering");
    daemon.ready("alice-page");
    println!("found out and replaced within {:?}", began.elapsed());
    assert_eq!(daemon.get("alice-page", "/").status, 200);
    let now = daemon.container("alice-page");
    assert_ne!(now["Id"], container["Id"]);
    let log = std::fs::read_to_string(daemon.folder("alice-page").join("logs/deploy.log")).unwrap();
    assert!(log.contains("the app has stopped answering") && log.contains("프로세스가 멈춰 있습니다"), "{log}");
}
