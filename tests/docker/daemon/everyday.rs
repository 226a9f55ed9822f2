//! One line of YAML to a diary on the web, and what an owner does with it from then on.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use minipaas::model::spec::SECCOMP;
use serde_json::{Value, json};

use super::fixture::{DIARY, Daemon, PAGE, container, visit, write};

/// A visitor who never tires: one request after the other until told to stop.
pub(crate) struct Visitor {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Visitor {
    pub(crate) fn of(daemon: &Daemon, app: &str, path: &'static str) -> Self {
        let (port, host) = (daemon.port, daemon.host(app));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut served, mut failed) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                match visit(port, "GET", &host, path, None) {
                    Ok(answer) if answer.status == 200 => served += 1,
                    Ok(answer) => failed.push(format!("after {served}: {} {}", answer.status, answer.text())),
                    Err(error) => failed.push(format!("after {served}: {error}")),
                }
            }
            (served, failed)
        });
        Self { stop, thread }
    }

    /// How many were served; none may have failed.
    #[track_caller]
    pub(crate) fn was_always_served(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let (served, failed) = self.thread.join().unwrap();
        assert!(failed.is_empty(), "{} of {} failed: {:#?}", failed.len(), served + failed.len(), failed.first());
        served
    }
}

#[test]
fn one_line_of_yaml_becomes_a_page_at_its_host_name() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", "template: diary-v1\n");
    let page = daemon.get("alice-diary", "/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("일기"), "{}", page.text());
    assert_eq!(daemon.get("alice-diary", "/server.js").status, 404);
    assert_eq!(daemon.get("alice-diary", "/api/entries").status, 404, "the API is off unless asked for");
    let unknown = daemon.get("alice-other", "/");
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(daemon.health(), (200, String::new()));
}

#[test]
fn what_is_written_into_the_diary_can_be_read_back_and_lies_in_its_data_folder() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    let address = daemon.write_entry("alice-diary", "first day");
    assert_eq!(daemon.get("alice-diary", &address).json()["body"], "first day");
    assert_eq!(daemon.entries("alice-diary"), ["first day"]);
    assert!(daemon.folder("alice-diary").join("data/db.sqlite3").exists());
}

#[test]
fn what_the_manifest_promises_is_in_force_in_docker_and_in_the_kernel() {
    let daemon = Daemon::start();
    let seen = daemon.run(
        "alice-diary",
        "template: diary-v1\nenableApi: true\nmemory: 192m\ncpus: 0.25\npids: 64\nrestart: on-failure:3\nenv: {GREETING: hello}\n",
    );
    let host = &seen["HostConfig"];
    assert_eq!(
        json!({
            "Memory": host["Memory"], "MemorySwap": host["MemorySwap"], "NanoCpus": host["NanoCpus"],
            "PidsLimit": host["PidsLimit"], "RestartPolicy": host["RestartPolicy"], "LogConfig": host["LogConfig"],
            "ReadonlyRootfs": host["ReadonlyRootfs"], "CapDrop": host["CapDrop"], "Init": host["Init"],
            "SecurityOpt": host["SecurityOpt"], "Ulimits": host["Ulimits"], "ShmSize": host["ShmSize"], "OomScoreAdj": host["OomScoreAdj"], "NetworkMode": host["NetworkMode"], "Ports": seen["NetworkSettings"]["Ports"]["3000/tcp"],
            "User": seen["Config"]["User"], "Cmd": seen["Config"]["Cmd"], "WorkingDir": seen["Config"]["WorkingDir"],
        }),
        json!({
            "Memory": 192 << 20, "MemorySwap": 192 << 20, "NanoCpus": 250_000_000,
            "PidsLimit": 64, "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m", "max-file": "3" } },
            "ReadonlyRootfs": true, "CapDrop": ["ALL"], "Init": true,
            "SecurityOpt": ["no-new-privileges", format!("seccomp={SECCOMP}")],
            "Ulimits": [{ "Name": "nofile", "Soft": 4096, "Hard": 8192 }, { "Name": "core", "Soft": 0, "Hard": 0 }],
            "ShmSize": 16 << 20, "OomScoreAdj": 300, "NetworkMode": daemon.network, "Ports": null,
            "User": "10001:10001", "Cmd": ["node", "server.js"], "WorkingDir": "/app",
        })
    );
    let environment: Vec<_> = seen["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for wanted in
        ["NODE_ENV=production", "ENABLE_API=true", "SQLITE_PATH=/data/db.sqlite3", "PORT=3000", "GREETING=hello"]
    {
        assert!(environment.contains(&wanted), "{wanted} is not among {environment:?}");
    }
    let labels = &seen["Config"]["Labels"];
    assert_eq!(
        (&labels["paas.type"], &labels["paas.userid"], &labels["paas.appname"], &labels["paas.domain"]),
        (&json!("user-app"), &json!("alice"), &json!("diary"), &json!("alice-diary.paas.test"))
    );

    // What Docker was asked for is one thing, what the kernel does another.
    let pid = seen["State"]["Pid"].as_u64().unwrap();
    assert_eq!(control_group(pid, "memory", &["memory.max", "memory.limit_in_bytes"]), (192 << 20).to_string());
    assert_eq!(control_group(pid, "pids", &["pids.max"]), "64");
    let cpu = control_group(pid, "cpu", &["cpu.max", "cpu.cfs_quota_us"]);
    assert_eq!(cpu.split(' ').next(), Some("25000"), "of 100000: {cpu}");
    let process = proc(pid, "status");
    let line = |name: &str| {
        process
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(line("Uid:"), ["10001"; 4]);
    assert_eq!(line("Gid:"), ["10001"; 4]);
    assert_eq!(line("CapEff:"), ["0000000000000000"]);
    assert_eq!(line("CapBnd:"), ["0000000000000000"]);
    assert_eq!(line("NoNewPrivs:"), ["1"]);
    assert_eq!(line("Seccomp:"), ["2"], "a filter");
    for (target, access) in [("/", "ro"), ("/app", "ro"), ("/data", "rw")] {
        let mounts = proc(pid, "mountinfo");
        let mount = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(target));
        let options = mount.and_then(|line| line.split(' ').nth(5)).unwrap_or_default();
        assert_eq!(options.split(',').next(), Some(access), "{target}: {mount:?}");
    }

    let compose = fs::read_to_string(daemon.folder("alice-diary").join("docker-compose.yml")).unwrap();
    assert!(compose.contains("paas-app-alice-diary") && compose.contains("GREETING"), "{compose}");
}

fn proc(pid: u64, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

/// Content of the first of these files that the process's control group has, in v1 as in v2.
fn control_group(pid: u64, controller: &str, files: &[&str]) -> String {
    let groups = proc(pid, "cgroup");
    let folders = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        if controllers.is_empty() {
            return Some(PathBuf::from("/sys/fs/cgroup").join(path));
        }
        let named = controllers.split(',').any(|name| name == controller);
        named.then(|| PathBuf::from("/sys/fs/cgroup").join(controllers).join(path))
    });
    let candidates: Vec<_> = folders.flat_map(|folder| files.iter().map(move |file| folder.join(file))).collect();
    let found = candidates.iter().find_map(|path| fs::read_to_string(path).ok());
    found.unwrap_or_else(|| panic!("none of {candidates:?} can be read")).trim().to_owned()
}

#[test]
fn new_limits_are_in_force_without_a_restart() {
    let daemon = Daemon::start();
    let before = daemon.run("alice-page", "template: static-v1\nmemory: 128m\n");
    let after = daemon.run("alice-page", "template: static-v1\nmemory: 160m\ncpus: 0.75\npids: 99\nrestart: always\n");
    assert_eq!(before["Id"], after["Id"]);
    assert_eq!(before["State"]["StartedAt"], after["State"]["StartedAt"]);
    let host = &after["HostConfig"];
    assert_eq!(
        (&host["Memory"], &host["MemorySwap"], &host["NanoCpus"], &host["PidsLimit"], &host["RestartPolicy"]["Name"]),
        (&json!(160 << 20), &json!(160 << 20), &json!(750_000_000), &json!(99), &json!("always"))
    );
    let pid = after["State"]["Pid"].as_u64().unwrap();
    assert_eq!(control_group(pid, "memory", &["memory.max", "memory.limit_in_bytes"]), (160 << 20).to_string());
}

#[test]
fn a_new_environment_and_a_deploy_recreate_the_app_and_no_visitor_notices() {
    let daemon = Daemon::start();
    let first = daemon.run("alice-diary", DIARY);
    daemon.write_entry("alice-diary", "kept");
    let visitor = Visitor::of(&daemon, "alice-diary", "/api/entries");
    let second = daemon.run("alice-diary", &format!("{DIARY}env: {{GREETING: hello}}\n"));
    assert_ne!(first["Id"], second["Id"]);
    let said = daemon.paas(&["deploy", "alice-diary"]).done();
    assert!(said.contains("alice-diary"), "{said}");
    let third = daemon.ready("alice-diary");
    assert_ne!(second["Id"], third["Id"]);
    visitor.was_always_served();
    assert!(daemon.docker.inspect("paas-app-alice-diary.next").is_none());
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
}

#[test]
fn a_version_that_never_answers_does_not_replace_the_one_that_does() {
    let daemon = Daemon::start();
    let good = daemon.run("alice-page", PAGE);
    let server = daemon.folder("alice-page").join("app/server.js");
    let code = fs::read_to_string(&server).unwrap();
    // What runs has its code in memory already.
    write(&server, "console.error('no such wheel'); process.exit(3);\n");
    let visitor = Visitor::of(&daemon, "alice-page", "/");
    let ran = daemon.paas(&["deploy", "alice-page"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("previous version"), "{ran:?}");
    let message = daemon.until_condition("alice-page", "DeployFailed");
    assert!(message.contains("exit code 3") && message.contains("paas deploy alice-page"), "{message}");
    assert_eq!(daemon.container("alice-page")["Id"], good["Id"]);
    let log = fs::read_to_string(daemon.folder("alice-page").join("logs/deploy.log")).unwrap();
    assert!(log.contains("exit code 3") && log.contains("no such wheel"), "{log}");
    assert!(daemon.docker.inspect("paas-app-alice-page.next").is_none());

    write(&server, &code);
    daemon.paas(&["deploy", "alice-page"]).done();
    assert_ne!(daemon.ready("alice-page")["Id"], good["Id"]);
    assert_eq!(daemon.condition("alice-page", "DeployFailed"), None);
    visitor.was_always_served();
}

#[test]
fn an_app_is_stopped_and_started_and_the_page_says_so_meanwhile() {
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    daemon.paas(&["stop", "alice-page"]).done();
    assert_eq!(daemon.container("alice-page")["State"]["Running"], false);
    assert_eq!(daemon.app("alice-page")["phase"], "Stopped");
    let answer = daemon.get("alice-page", "/");
    assert_eq!(answer.status, 503, "{}", answer.text());
    daemon.paas(&["start", "alice-page"]).done();
    assert_eq!(daemon.get("alice-page", "/").status, 200);
}

#[test]
fn the_log_shows_the_last_lines_the_app_wrote() {
    let daemon = Daemon::start();
    daemon.save("alice-page", PAGE);
    daemon.ready("alice-page");
    let server = daemon.folder("alice-page").join("app/server.js");
    let code = fs::read_to_string(&server).unwrap();
    write(&server, &format!("for (let i = 1; i <= 9; i++) console.log('line ' + i);\n{code}"));
    daemon.paas(&["deploy", "alice-page"]).done();
    let all = daemon.paas(&["logs", "alice-page"]).done();
    assert!(all.contains("line 1\n") && all.contains("line 9\n"), "{all}");
    let last = daemon.paas(&["logs", "alice-page", "-n", "5"]).done();
    assert_eq!(last.lines().count(), 5, "{last}");
    assert_eq!(last.lines().last(), all.lines().last());
    let follow = daemon.paas(&["logs", "alice-none"]);
    assert_eq!(follow.code, 1, "{follow:?}");
    assert_eq!(daemon.container("alice-page")["Name"], format!("/{}", container("alice-page")));
}
