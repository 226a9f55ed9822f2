//! The scripts run where nothing is set: no variable but the home and the search path, as in a new terminal or in cron.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_file());
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

#[test]
fn every_script_explains_itself_when_it_is_called_wrongly_with_nothing_set() {
    for script in scripts() {
        let ran = Command::new(&script)
            .arg("--no-such-option")
            .env_clear()
            .envs(["HOME", "PATH"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        let script = script.display();
        assert_eq!(ran.status.code(), Some(64), "{script}: {told}");
        assert!(told.contains("scripts/"), "{script} does not say how it is called: {told}");
        assert!(!told.contains("unbound variable"), "{script}: {told}");
    }
}

/// Cargo, for one, refuses an empty `CARGO_TARGET_DIR`: what nobody set must not be handed on as set to nothing.
#[test]
fn no_script_hands_on_what_is_not_set() {
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        for line in text.lines() {
            let name = line.split_once(":-}").and_then(|(before, _)| before.rsplit_once("${")).map(|(_, name)| name);
            let hands_on = name.is_some_and(|name| line.contains(&format!("{name}=${{{name}:-}}")));
            assert!(!hands_on, "{}: {line}", script.display());
        }
    }
}

/// A clone with `scripts/up` in it, and a machine on which everything that it calls is there and does what it is told.
struct Machine {
    folder: tempfile::TempDir,
    ports: [u16; 2],
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in ["scripts", "templates", "runtime", "examples", ".env.example"] {
            let copied = Command::new("cp").arg("-R").arg(repository.join(part)).arg(folder.path()).status().unwrap();
            assert!(copied.success());
        }
        // Both held at once, so that they differ.
        let held = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let machine = Self { ports: held.map(|socket| socket.local_addr().unwrap().port()), folder };
        machine.program("bin/id", "echo 0");
        machine.program("bin/cargo", "exit 0");
        machine.program("bin/nft", "exit 0");
        machine.program("bin/docker", "echo 20.10");
        // The daemon is well; the diary answers as long as there is a file of that name.
        machine.program(
            "bin/curl",
            &format!(
                r#"case "$*" in *unix-socket*) echo '{{"ok":true}}';; *) [ -e '{}' ];; esac"#,
                machine.path("diary-answers").display()
            ),
        );
        machine.program(
            "target/release/paas",
            r#"case "$1" in
init) mkdir -p "$PAAS_ROOT/apps.d" ;;
serve) trap 'kill $child' TERM; sleep 60 & child=$!; wait ;;
*) echo fine ;;
esac"#,
        );
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "test fixtures need no atomic writes")]
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, &format!("#!/bin/bash\n{text}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs `scripts/up`; what it said, with its exit code.
    fn up(&self, argument: &str) -> (String, Option<i32>) {
        let path = std::env::var("PATH").unwrap();
        let ran = Command::new(self.path("scripts/up"))
            .arg(argument)
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("PAAS_ROOT", self.path("root"))
            .env("PAAS_GATEWAY_PORT", self.ports[0].to_string())
            .env("PORTAL_PORT", self.ports[1].to_string())
            .output()
            .unwrap();
        (String::from_utf8_lossy(&ran.stderr).into_owned(), ran.status.code())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.up("--stop");
    }
}

#[test]
fn up_waits_for_the_example_at_the_first_start_and_then_for_the_daemon_only() {
    let machine = Machine::new();
    machine.write("diary-answers", "");
    let (said, code) = machine.up("--detach");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the diary answers"), "{said}");
    assert!(said.contains("diary      http://demo-diary."), "{said}");
    machine.up("--stop");

    // Stopped, asleep, or broken by its owner: the daemon is well all the same.
    fs::remove_file(machine.path("diary-answers")).unwrap();
    let (said, code) = machine.up("--detach");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the daemon is well"), "{said}");
    machine.up("--stop");

    fs::remove_file(machine.path("root/apps.d/demo-diary.yaml")).unwrap();
    let (said, code) = machine.up("--detach");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("demo-diary."), "an address of an app that is not there: {said}");
}

#[test]
fn up_brings_new_versions_of_templates_and_the_runtime_and_keeps_what_somebody_changed() {
    let machine = Machine::new();
    machine.write("diary-answers", "");
    machine.up("--detach");
    machine.write("root/templates/diary-v1/app/index.html", "mine");
    machine.write("root/templates/own-v1/template.json", "{}");
    machine.write("root/runtime/ca-certificates.crt", "ours");
    for shipped in
        ["templates/diary-v1/app/index.html", "templates/static-v1/app/content.json", "runtime/site/index.js"]
    {
        machine.write(shipped, "newer");
    }
    for _ in 0..2 {
        let (said, code) = machine.up("--detach");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("template diary-v1: changed in "), "{said}");
        assert!(!said.contains("template static-v1: changed"), "{said}");
        assert_eq!(machine.text("root/templates/diary-v1/app/index.html"), "mine");
        assert_eq!(machine.text("root/templates/static-v1/app/content.json"), "newer");
        assert_eq!(machine.text("root/templates/own-v1/template.json"), "{}");
        assert_eq!(machine.text("root/runtime/site/index.js"), "newer");
        assert_eq!(machine.text("root/runtime/ca-certificates.crt"), "ours");
    }
    // "All keys and examples: examples/README.md" stands in every manifest that `paas create` writes.
    assert_eq!(machine.text("root/examples/README.md"), machine.text("examples/README.md"));
    assert!(machine.path("root/examples/manifest.schema.json").is_file());
    // Moved away, as it says, the newer one comes.
    fs::rename(machine.path("root/templates/diary-v1"), machine.path("mine")).unwrap();
    machine.up("--detach");
    assert_eq!(machine.text("root/templates/diary-v1/app/index.html"), "newer");
}
