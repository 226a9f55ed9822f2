//! The `paas` binary as a person or a script meets it, on roots made for the purpose. No Docker, no daemon but one that
//! the test plays.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use minipaas::folders::{DiskFolders, Folders as _, Origin};
use minipaas::model::{AppKey, TemplateId};
use serde_json::{Value, json};

struct Root {
    dir: tempfile::TempDir,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Both streams, without the path of this run's root.
    fn text(&self, root: &Root) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err).replace(&root.path().display().to_string(), "ROOT")
    }
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["apps.d", "apps", "templates/diary-v1/app", "templates/static-v1/app"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let root = Self { dir };
        root.put(".env", "# everything as it is by default\n");
        for template in ["diary-v1", "static-v1"] {
            root.put(
                &format!("templates/{template}/template.json"),
                &json!({"id": template, "name": "일기장", "version": "1.0.0"}).to_string(),
            );
            root.put(&format!("templates/{template}/app/server.js"), "");
        }
        root
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paas"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PAAS_ENV_FILE", self.path().join(".env"))
            .env("PAAS_ROOT", self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }
}

const TYPO: &str = "template: diary-v1\nenv: {TOKEN: s3cret}\nmemmory: 256m\n";

#[test]
fn validate_shows_the_place_the_problem_and_the_remedy_but_no_other_line() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", TYPO);
    let ran = root.run(&["validate", "apps.d/alice-diary.yaml"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    apps.d/alice-diary.yaml:3:1: error: unknown key `memmory`
      3 | memmory: 256m
        | ^^^^^^^
        = help: did you mean `memory`?
    1 of 1 manifest refused
    ");
    assert!(!ran.out.contains("s3cret"));
}

#[test]
fn validate_without_files_checks_all_of_the_folder_and_only_manifests() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    root.put("apps.d/README.md", "no manifest");
    root.put("apps.d/.alice-diary.yaml.swp", "no manifest");
    assert_eq!(root.run(&["validate"]).done(), "1 manifest: ok\n");
    root.put("apps.d/Bob.yaml", "template: diary-v1\n");
    root.put("apps.d/carol-web.yaml", "state: running\n");
    let ran = root.run(&["validate"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    ROOT/apps.d/Bob.yaml: error: `Bob` is not an app: write `userid-appname`, for example `alice-my-diary`
        = help: rename the file to `userid-appname.yaml`
    ROOT/apps.d/carol-web.yaml:1:1: error: `template` is missing
      1 | state: running
        | ^^^^^
        = help: every manifest names one, for example `template: diary-v1`
    2 of 3 manifests refused
    ");
}

#[test]
fn validate_reads_standard_input_and_speaks_json() {
    let root = Root::new();
    assert_eq!(root.run_with_input(&["validate", "-"], "template: diary-v1\n").done(), "1 manifest: ok\n");
    let ran = root.run_with_input(&["validate", "-", "-o", "json"], TYPO);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 1);
    assert_eq!(
        (&report[0]["path"], &report[0]["ok"], &report[0]["problems"][0]["line"]),
        (&json!("-"), &json!(false), &json!(3))
    );
}

#[test]
fn validate_refuses_what_only_the_daemon_of_this_machine_would_refuse() {
    let root = Root::new();
    root.run(&["init"]).done();
    let validate = |text: &str| {
        root.put("apps.d/alice-diary.yaml", text);
        let text = root.run(&["validate"]).text(&root);
        let memory = text.split_once("has (").and_then(|(_, rest)| rest.split_once(" MiB")).map(|(memory, _)| memory);
        memory.map_or_else(|| text.clone(), |memory| text.replace(memory, "MEMORY"))
    };
    insta::assert_snapshot!(validate("template: diary-v1\nmemory: 900000g\n"), @r"
    exit 1
    ROOT/apps.d/alice-diary.yaml:2:9: error: memory 900000g is more than this machine has (MEMORY MiB)
      2 | memory: 900000g
        |         ^^^^^^^
        = help: write less in `memory`
    1 of 1 manifest refused
    ");
    insta::assert_snapshot!(validate("template: dairy-v1\n"), @r"
    exit 1
    ROOT/apps.d/alice-diary.yaml:1:11: error: template `dairy-v1` does not exist
      1 | template: dairy-v1
        |           ^^^^^^^^
        = help: there are `diary-v1`, `static-v1`
    1 of 1 manifest refused
    ");
    insta::assert_snapshot!(validate("template: diary-v1\nenableApi: true\n"), @r"
    exit 1
    ROOT/apps.d/alice-diary.yaml:2:12: error: template `diary-v1` has no API
      2 | enableApi: true
        |            ^^^^
        = help: remove `enableApi`, or choose another template
    1 of 1 manifest refused
    ");
    assert!(validate("template: gone-v1\nstate: deleted\n").starts_with("exit 0"), "nothing is needed to delete");
    std::fs::create_dir_all(root.path().join("apps/alice/diary/app")).unwrap();
    assert!(validate("template: gone-v1\n").starts_with("exit 0"), "the app has its code already");
    // Elsewhere than where it runs: no marker, no templates.
    root.put("apps.d/bob-big.yaml", "template: gone-v1\nmemory: 900000g\n");
    std::fs::remove_file(root.path().join("apps.d/.minipaas")).unwrap();
    std::fs::rename(root.path().join("templates"), root.path().join("elsewhere")).unwrap();
    root.run(&["validate", "apps.d/bob-big.yaml"]).done();
}

#[test]
fn validate_tells_of_what_a_quota_holds_back() {
    let root = Root::new();
    root.run(&["init"]).done();
    root.put(".env", "MAX_APPS_PER_USER=1\n");
    root.put("apps.d/alice-one.yaml", "template: diary-v1\n");
    root.put("apps.d/alice-two.yaml", "template: diary-v1\n");
    insta::assert_snapshot!(root.run(&["validate"]).text(&root), @"
    exit 1
    ROOT/apps.d/alice-two.yaml: error: user alice has 1 apps already and MAX_APPS_PER_USER is 1
        = help: delete one, or raise it in .env
    1 of 2 manifests refused
    ");
    // A draft elsewhere takes nobody's place.
    std::fs::create_dir(root.path().join("drafts")).unwrap();
    root.put("drafts/alice-two.yaml", "template: diary-v1\n");
    root.run(&["validate", "drafts/alice-two.yaml"]).done();
    assert_eq!(root.run(&["validate", "apps.d/alice-two.yaml"]).code, 1);
    root.put(".env", "MAX_APPS_PER_USER=2\n");
    root.run(&["validate"]).done();
}

#[test]
fn validate_suits_a_git_hook() {
    let root = Root::new();
    let good = root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    let readme = root.put("apps.d/README.md", "no manifest");
    let (good, readme) = (good.to_str().unwrap(), readme.to_str().unwrap());
    let ran = root.run(&["validate", good, readme]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "1 manifest: ok\n"));
    assert!(ran.err.contains("README.md: skipped"), "{}", ran.err);
    let ran = root.run(&["validate", good, "apps.d/gone-app.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("apps.d/gone-app.yaml: error: cannot be read"), "{}", ran.out);
}

#[test]
fn validate_knows_the_templates_of_the_installation_for_a_manifest_in_a_checkout_too() {
    let root = Root::new();
    let checkout = tempfile::tempdir().unwrap();
    let manifest = checkout.path().join("alice-diary.yaml");
    for (template, code) in [("dairy-v1", 1), ("diary-v1", 0)] {
        let text = format!("template: {template}\n");
        std::fs::File::create(&manifest).unwrap().write_all(text.as_bytes()).unwrap();
        for asked in [manifest.as_path(), checkout.path()] {
            let ran = root.run(&["validate", asked.to_str().unwrap()]);
            assert_eq!(ran.code, code, "{}", ran.text(&root));
            assert_eq!(ran.out.contains("template `dairy-v1` does not exist"), code == 1, "{}", ran.text(&root));
        }
    }
}

#[test]
fn validate_of_a_named_file_refuses_what_the_daemon_would_not_open() {
    let root = Root::new();
    let elsewhere = root.put("elsewhere.yaml", "template: diary-v1\n");
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    let pipe = root.path().join("apps.d/carol-web.yaml");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, root.path().join("apps.d").join(name)).unwrap();
    link(&elsewhere, "dave-web.yaml");
    link(Path::new("alice-diary.yaml"), "erin-web.yaml");
    link(Path::new("nothing.yaml"), "frank-web.yaml");
    let told = |name: &str| root.run(&["validate", &format!("apps.d/{name}-web.yaml")]).text(&root);
    assert!(told("carol").contains("apps.d/carol-web.yaml: error: the file is not a plain file"), "{}", told("carol"));
    let outside = "apps.d/dave-web.yaml: error: the file is a symbolic link that leads out of the folder";
    assert!(told("dave").starts_with("exit 1") && told("dave").contains(outside), "{}", told("dave"));
    assert!(told("erin").starts_with("exit 0"), "one that stays inside is followed: {}", told("erin"));
    assert!(told("frank").contains("is a symbolic link to nothing"), "{}", told("frank"));
    let ran =
        Ran::of(root.command(&["validate", "dave-web.yaml"]).current_dir(root.path().join("apps.d")).output().unwrap());
    assert!(ran.code == 1 && ran.out.contains("leads out of the folder"), "{}", ran.text(&root));
}

#[test]
fn validate_of_a_folder_is_validate_of_all_manifests_in_it_as_the_daemon_reads_them() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    root.put("apps.d/alice-notes.yaml", "template: diary-v1\n");
    assert_eq!(root.run(&["validate", "apps.d"]).done(), "2 manifests: ok\n");
    std::fs::create_dir_all(root.path().join("checkout/apps.d")).unwrap();
    let ran = root.run(&["validate", "checkout", "apps.d/README.md"]);
    let nothing = "error: nothing was checked, because there is no manifest in checkout, apps.d/README.md: ";
    assert!(ran.code == 1 && ran.err.contains(nothing), "{}", ran.text(&root));
    root.put("checkout/Bob.yaml", "template: diary-v1\n");
    root.put("checkout/alice-diary.yaml", "template: diary-v1\n");
    root.put("checkout/alice-diary.yml", "template: diary-v1\n");
    std::fs::create_dir_all(root.path().join("checkout/carol-web.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("checkout/dave-web.yaml")).unwrap();
    root.put("checkout/.hidden-app.yaml", "no manifest");
    let ran = root.run(&["validate", "checkout", "apps.d/alice-diary.yaml"]);
    assert!(ran.code == 1 && ran.err.contains("4 of 5 manifests refused"), "{}", ran.text(&root));
    for told in [
        "checkout/Bob.yaml: error: `Bob` is not an app",
        "checkout/alice-diary.yml: error: `alice-diary.yaml` is about the same app",
        "checkout/carol-web.yaml: error: the file is not a plain file",
        "checkout/dave-web.yaml: error: the file is a symbolic link that leads out of the folder",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.text(&root));
    }
}

#[test]
fn validate_tells_everything_that_is_wrong_with_a_file_in_the_order_of_its_lines() {
    let root = Root::new();
    root.put(
        "apps.d/alice-diary.yaml",
        "memory: lots\nenv: {PORT: 1, 2X: two}\ntemplate: diary-v1\nbackup: {keep: 0, when: now}\nmemmory: 1g\nkeepData: true\n",
    );
    let ran = root.run(&["validate", "apps.d"]);
    let told = ran.out.lines().filter(|line| line.contains(": error: ")).map(|line| line.split(' ').next().unwrap());
    let places: Vec<&str> = told.map(|place| place.strip_prefix("apps.d/alice-diary.yaml:").unwrap()).collect();
    assert_eq!(places, ["1:9:", "2:7:", "2:16:", "4:16:", "4:19:", "5:1:", "6:1:"], "{}", ran.text(&root));
    let many = (0..1000).map(|number| format!("k{number}: 1")).collect::<Vec<_>>().join("\n");
    root.put("apps.d/alice-diary.yaml", &many);
    let ran = root.run(&["validate", "apps.d", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report[0]["problems"].as_array().unwrap().len(), 20, "and no more work than that");
}

#[test]
fn start_stop_and_deploy_change_their_key_and_nothing_else() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "# mine\ntemplate: diary-v1   # a diary\nmemory: 64m\n");
    root.run(&["stop", "alice-diary", "--no-wait"]).done();
    assert_eq!(
        root.read("apps.d/alice-diary.yaml"),
        "# mine\ntemplate: diary-v1   # a diary\nmemory: 64m\nstate: stopped\n"
    );
    root.run(&["start", "alice-diary", "--no-wait"]).done();
    assert_eq!(
        root.read("apps.d/alice-diary.yaml"),
        "# mine\ntemplate: diary-v1   # a diary\nmemory: 64m\nstate: running\n"
    );
    root.run(&["deploy", "alice-diary", "--no-wait"]).done();
    let first = root.read("apps.d/alice-diary.yaml");
    assert!(first.contains("memory: 64m\nstate: running\nredeploy: "), "{first}");
    root.run(&["deploy", "alice-diary", "--no-wait"]).done();
    assert_ne!(root.read("apps.d/alice-diary.yaml"), first, "every deploy has a token of its own");
}

#[test]
fn visitors_change_their_key_and_what_is_left_out_becomes_no_wider() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1   # a diary\nmemory: 64m\n");
    let set = |args: &[&str]| {
        root.run(&[&["visitors", "alice-diary", "--no-wait"], args].concat()).done();
        root.read("apps.d/alice-diary.yaml").replace("template: diary-v1   # a diary\nmemory: 64m\n", "")
    };
    assert_eq!(set(&["--change", "owner"]), "visitors: {view: everyone, change: owner}\n");
    assert_eq!(set(&["--view", "guests"]), "visitors: {view: guests, change: owner}\n");
    assert_eq!(set(&["--change", "guests"]), "visitors: guests\n");
    assert_eq!(set(&["--view", "owner"]), "visitors: owner\n");
    let refused = root.run(&["visitors", "alice-diary", "--change", "everyone"]);
    insta::assert_snapshot!(refused.text(&root), @"
    exit 1
    error: `--change everyone` lets in more than may see the site (owner): say `--view everyone` as well, or fewer for `--change`
    ");
    assert_eq!(set(&["--view", "everyone", "--change", "everyone"]), "visitors: everyone\n");

    // Where the settings say it for all, they count as long as the manifest is silent.
    root.put("apps.d/bob-notes.yaml", "template: diary-v1\n");
    root.put(".env", "DEFAULT_VISITORS=owner\n");
    root.run(&["visitors", "bob-notes", "--view", "guests", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/bob-notes.yaml"), "template: diary-v1\nvisitors: {view: guests, change: owner}\n");

    // Nobody stands in front of the sites.
    root.put(".env", "PAAS_ROUTING=direct\n");
    let before = root.read("apps.d/alice-diary.yaml");
    let refused = root.run(&["visitors", "alice-diary", "--view", "owner"]);
    insta::assert_snapshot!(refused.text(&root), @"
    exit 1
    error: nothing was written, because `visitors: owner` needs the gateway, and with PAAS_ROUTING=direct nobody stands in front of the site: it is stopped rather than open to everyone: set PAAS_ROUTING=gateway, or write `visitors: everyone`
    ");
    assert_eq!(root.read("apps.d/alice-diary.yaml"), before);
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\nstate: deleted\n");
    let refused = root.run(&["visitors", "alice-diary", "--view", "everyone"]);
    assert!(refused.code == 1 && refused.err.contains("is deleted"), "{}", refused.err);
}

#[test]
fn when_apps_sleep_is_written_into_their_manifests() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1   # a diary\n");
    root.put("apps.d/bob-notes.yaml", "template: diary-v1\nsleep: never\n");
    root.run(&["sleep", "alice-diary", "bob-notes", "--after", "30m", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/alice-diary.yaml"), "template: diary-v1   # a diary\nsleep: {after: 30m}\n");
    assert_eq!(root.read("apps.d/bob-notes.yaml"), "template: diary-v1\nsleep: {after: 30m}\n");
    root.run(&["sleep", "bob-notes", "--after", "never", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/bob-notes.yaml"), "template: diary-v1\nsleep: never\n");
    assert_eq!(root.run(&["sleep", "bob-notes", "--after", "5s"]).code, 64);

    root.put(".env", "PAAS_ROUTING=direct\n");
    let refused = root.run(&["sleep", "bob-notes", "--after", "30m"]);
    insta::assert_snapshot!(refused.text(&root), @"
    exit 1
    error: nothing was written, because `sleep: {after: 30m}` needs the gateway: with PAAS_ROUTING=direct nobody hears who comes, so nothing would wake the site, and it stays awake: set PAAS_ROUTING=gateway, or write `sleep: never`
    ");
    root.put("apps.d/bob-notes.yaml", "template: diary-v1\nstate: deleted\n");
    let refused = root.run(&["sleep", "bob-notes", "--after", "never"]);
    assert!(refused.code == 1 && refused.err.contains("is deleted"), "{}", refused.err);
}

#[test]
fn domains_are_added_and_removed_by_the_manifest() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1   # a diary\n");
    let run = |args: &[&str]| root.run(&[&["domains", "alice-diary", "--no-wait"], args].concat());
    let text = || root.read("apps.d/alice-diary.yaml");
    run(&["add", "www.example.kr"]).done();
    run(&["add", "일기.한국"]).done();
    run(&["add", "WWW.example.kr"]).done();
    assert_eq!(text(), "template: diary-v1   # a diary\ndomains: [www.example.kr, 일기.한국]\n");
    run(&["remove", "xn--ok0bs39b.xn--3e0b707e"]).done();
    assert_eq!(text(), "template: diary-v1   # a diary\ndomains: [www.example.kr]\n");
    for (args, words) in [
        (["add", "*.kr"], "stands for many names"),
        (["add", "x.localhost"], "is a name of this server itself"),
        (["remove", "a.kr"], "`alice-diary` has no name `a.kr`: `paas domains alice-diary` lists them"),
    ] {
        let refused = run(&args);
        assert!(refused.code == 1 && refused.err.contains(words), "{words}: {}", refused.err);
    }
    run(&["remove", "www.example.kr"]).done();
    assert_eq!(text(), "template: diary-v1   # a diary\n");
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\nstate: deleted\n");
    assert!(run(&["add", "a.kr"]).err.contains("is deleted"));
}

#[test]
fn validate_refuses_a_private_site_that_nobody_could_guard() {
    let root = Root::new();
    root.run(&["init"]).done();
    let validate = |text: &str| {
        root.put("apps.d/alice-diary.yaml", text);
        root.run(&["validate"]).text(&root)
    };
    assert!(validate("template: diary-v1\nvisitors: owner\n").starts_with("exit 0"), "the gateway guards it");
    root.put(".env", "PAAS_ROUTING=direct\n");
    insta::assert_snapshot!(validate("template: diary-v1\nvisitors: {view: everyone, change: owner}\n"), @"
    exit 1
    ROOT/apps.d/alice-diary.yaml:2:11: error: `visitors: {view: everyone, change: owner}` needs the gateway, and with PAAS_ROUTING=direct nobody stands in front of the site: it is stopped rather than open to everyone
      2 | visitors: {view: everyone, change: owner}
        |           ^
        = help: set PAAS_ROUTING=gateway, or write `visitors: everyone`
    1 of 1 manifest refused
    ");
    let json = root.run(&["validate", "-o", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json[0]["ok"], &json[0]["problems"][0]["line"]), (&json!(false), &json!(2)));
    assert!(validate("template: diary-v1\nvisitors: everyone\n").starts_with("exit 0"));
    assert!(validate("template: diary-v1\nstate: stopped\nvisitors: owner\n").starts_with("exit 0"), "it runs not");
    root.put(".env", "PAAS_ROUTING=direct\nDEFAULT_VISITORS=guests\n");
    insta::assert_snapshot!(validate("template: diary-v1\n"), @"
    exit 1
    ROOT/apps.d/alice-diary.yaml: error: DEFAULT_VISITORS=guests needs the gateway, and with PAAS_ROUTING=direct nobody stands in front of the site: it is stopped rather than open to everyone
        = help: set PAAS_ROUTING=gateway, or write `visitors: everyone` into the manifest, or set DEFAULT_VISITORS=everyone
    1 of 1 manifest refused
    ");
}

#[test]
fn delete_keeps_the_data_unless_told_otherwise_and_start_takes_it_back() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    root.run(&["delete", "alice-diary", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/alice-diary.yaml"), "template: diary-v1\nstate: deleted\nkeepData: true\n");
    root.run(&["start", "alice-diary", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/alice-diary.yaml"), "template: diary-v1\nstate: running\n");
    let ran = root.run(&["delete", "alice-diary", "--purge", "--no-wait"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("add --yes"), "{}", ran.err);
    assert_eq!(root.read("apps.d/alice-diary.yaml"), "template: diary-v1\nstate: running\n", "nothing happened");
    root.run(&["delete", "alice-diary", "--purge", "--yes", "--no-wait"]).done();
    assert_eq!(root.read("apps.d/alice-diary.yaml"), "template: diary-v1\nstate: deleted\nkeepData: false\n");
}

#[test]
fn help_says_when_a_plan_is_of_use_and_shows_tokens_as_they_are() {
    let root = Root::new();
    let help = root.run(&["plan", "--help"]).done();
    assert!(help.contains("daemon") && help.contains("PAAS_MANIFESTS_DIR="), "{help}");
    let help = root.run(&["confirm", "--help"]).done();
    let hex = |word: &&str| word.len() > 4 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let tokens: Vec<_> = help.split_whitespace().filter(hex).map(str::len).collect();
    assert_eq!(tokens, [8], "{help}");
}

#[test]
fn a_purge_promises_a_backup_and_the_trash() {
    let help = Root::new().run(&["delete", "--help"]).done();
    assert!(help.contains("its data is backed up and moves to trash"), "{help}");
}

#[test]
fn data_whose_manifest_is_gone_can_still_be_purged() {
    let root = Root::new();
    std::fs::create_dir_all(root.path().join("apps/alice/diary/data")).unwrap();
    let ran = root.run(&["delete", "alice-diary", "--no-wait"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    error: `alice-diary` has no manifest any more, only its data is left in ROOT/apps/alice/diary/data: `paas delete alice-diary --purge` moves it to trash
    ");
    let ran = root.run(&["delete", "alice-diary", "--purge", "--no-wait"]);
    assert!(ran.code == 1 && ran.err.contains("add --yes"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(root.path().join("apps.d")).unwrap().count(), 0, "nothing happened");
    let ran = root.run(&["delete", "alice-diary", "--purge", "--yes", "--no-wait"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 0
    alice-diary had no manifest any more: wrote ROOT/apps.d/alice-diary.yaml with `state: deleted` and `keepData: false`, by which the daemon moves ROOT/apps/alice/diary/data to ROOT/trash
    ");
    let text = root.read("apps.d/alice-diary.yaml");
    assert!(text.ends_with("template: diary-v1\nstate: deleted\nkeepData: false\n"), "{text}");
    assert_eq!(root.run(&["validate"]).done(), "1 manifest: ok\n");
    let ran = root.run(&["delete", "bob-notes", "--purge", "--yes"]);
    assert!(ran.code == 1 && ran.err.contains("there is no app `bob-notes`"), "{}", ran.err);
}

#[test]
fn create_writes_what_was_asked_for() {
    let root = Root::new();
    root.run(&[
        "create",
        "alice-diary",
        "--template",
        "diary-v1",
        "--enable-api",
        "--memory",
        "64m",
        "--cpus",
        "0.25",
        "--pids",
        "50",
        "--restart",
        "on-failure:3",
        "--disk",
        "500m",
        "--env",
        "GREETING=hello: world",
        "--no-wait",
    ])
    .done();
    let manifest: Value = serde_json::from_str(&root.run(&["get", "alice-diary", "-o", "json"]).done()).unwrap();
    assert_eq!(
        manifest,
        json!({
            "app": "alice-diary",
            "manifest": {
                "template": "diary-v1", "enableApi": true, "state": "running", "memory": "64m", "cpus": "0.25", "pids": 50,
                "restart": "on-failure:3", "disk": "500m", "env": {"GREETING": "hello: world"},
            },
            "status": null,
        })
    );
    let ran = root.run(&["create", "alice-diary", "--template", "diary-v1", "--no-wait"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("exists already"), "{}", ran.err);
    root.run(&["delete", "alice-diary", "--no-wait"]).done();
    root.run(&["create", "alice-diary", "--template", "static-v1", "--no-wait"]).done();
    assert!(root.run(&["get", "alice-diary"]).done().contains("template: static-v1"));
}

#[test]
fn create_refuses_before_anything_is_written() {
    let root = Root::new();
    let create = |args: &[&str]| {
        let ran = root.run(&[&["create"], args, &["--no-wait"]].concat());
        (ran.code, ran.err.replace(&root.path().display().to_string(), "ROOT"))
    };
    let (code, err) = create(&["alice-diary", "--template", "dairy-v1"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "error: there is no template `dairy-v1` in ROOT/templates: did you mean `diary-v1`?\n")
    );
    // A folder of that name that is no template is not what was meant by its own name.
    std::fs::create_dir_all(root.path().join("templates/evil-dir")).unwrap();
    let (code, err) = create(&["alice-diary", "--template", "evil-dir"]);
    assert_eq!(
        (code, err.as_str()),
        (
            1,
            "error: template `evil-dir`: template.json is missing: write one with at least `id`, `name` and `version`\n"
        )
    );
    let (code, err) = create(&["alice-diary", "--template", "diary-v1", "--env", "PORT=1"]);
    assert_eq!((code, err.as_str()), (1, "error: the variable PORT is set by the platform: choose another name\n"));
    for (args, says) in [
        (["Alice", "--template", "diary-v1", "--pids=1"], "is not an app"),
        (["alice-diary", "--template", "diary-v1", "--memory=lots"], "is not a size"),
        (["alice-diary", "--template", "diary-v1", "--cpus=0"], "is not a number of CPU cores"),
        (["alice-diary", "--template", "diary-v1", "--restart=never"], "is not a restart policy"),
        (["alice-diary", "--template", "diary-v1", "--env=X"], "write NAME=VALUE"),
    ] {
        let (code, err) = create(&args);
        assert_eq!(code, 64, "{err}");
        assert!(err.contains(says), "{err}");
    }
    assert_eq!(std::fs::read_dir(root.path().join("apps.d")).unwrap().count(), 0);
}

#[test]
fn without_a_daemon_every_command_says_how_to_start_it() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    let socket = root.path().join("run/paas.sock");
    let want =
        format!("error: the daemon is not running (no socket at {}): start it with `paas serve`\n", socket.display());
    for args in [
        &["status"] as &[&str],
        &["status", "-w"],
        &["logs", "alice-diary"],
        &["logs", "alice-diary", "-f"],
        &["events"],
        &["confirm"],
    ] {
        let ran = root.run(args);
        assert_eq!((ran.code, ran.err), (1, want.clone()), "{args:?}");
    }
}

#[test]
fn a_change_without_a_daemon_is_written_and_exits_with_3() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    let ran = root.run(&["stop", "alice-diary"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 3
    warning: alice-diary: the manifest is written, but the daemon is not running (no socket at ROOT/run/paas.sock): start it with `paas serve`
    ");
    assert!(root.read("apps.d/alice-diary.yaml").contains("state: stopped"));
}

#[test]
fn a_typo_gets_the_name_that_was_meant() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    for command in ["start", "stop", "deploy", "delete", "get"] {
        let ran = root.run(&[command, "alice-dairy"]);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (1, "error: there is no app `alice-dairy`: did you mean `alice-diary`?\n"),
            "{command}"
        );
    }
}

#[test]
fn a_wrong_command_line_exits_with_64_and_help_with_0() {
    let root = Root::new();
    assert_eq!(root.run(&["plann"]).code, 64);
    assert_eq!(root.run(&["start"]).code, 64);
    assert_eq!(root.run(&["logs", "alice-diary", "-n", "99999"]).code, 64);
    let help = root.run(&["--help"]).done();
    assert!(help.contains("Exit codes:") && help.contains("64"), "{help}");
    for command in [
        "serve",
        "init",
        "validate",
        "plan",
        "status",
        "get",
        "logs",
        "events",
        "start",
        "stop",
        "deploy",
        "create",
        "delete",
        "schema",
        "confirm",
        "down",
        "admin",
        "completions",
        "doctor",
        "restart",
        "templates",
        "template",
        "trash",
        "version",
        "firewall",
        "npm",
        "user",
        "visitors",
        "domains",
        "sleep",
        "wake",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in the help");
        assert!(root.run(&[command, "--help"]).done().contains("Examples:"), "{command}");
    }
}

#[test]
fn the_schema_is_one_and_completions_exist_for_every_shell() {
    let root = Root::new();
    let schema: Value = serde_json::from_str(&root.run(&["schema"]).done()).unwrap();
    assert!(schema["properties"]["enableApi"].is_object());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(root.run(&["completions", shell]).done().contains("redeploy") || shell != "zsh");
    }
}

#[test]
fn the_daemon_s_log_and_whatever_else_it_says_goes_into_the_file_that_is_named() {
    let root = Root::new();
    root.put(".env", "DEFAULT_PIDS_LIMIT=abc\n");
    let file = root.path().join("paas.log");
    let ran = root.run(&["serve", "--log-file", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", ""));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("error: the settings cannot be used") && text.contains("DEFAULT_PIDS_LIMIT=abc"), "{text}");
    let ran = Ran::of(root.command(&["serve"]).env("PAAS_LOG_FILE", &file).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap().matches("the settings cannot be used").count(), 2);

    let ran = root.run(&["serve", "--log-file", root.path().join("missing/paas.log").to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(ran.text(&root).contains("cannot open the log file ROOT/missing/paas.log: "), "{}", ran.err);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let root = Root::new();
    let mut child = root.command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", TYPO);
    assert!(!root.run(&["validate"]).out.contains('\x1b'));
    assert!(root.run(&["--color", "always", "validate"]).out.contains('\x1b'));
    let ran = Ran::of(root.command(&["validate"]).env("NO_COLOR", "1").output().unwrap());
    assert!(!ran.out.contains('\x1b'));
}

#[test]
fn init_makes_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root { dir };
    // A settings file that was asked for and is not there would be another installation's root.
    let refused = root.run(&["init"]);
    assert!(refused.code != 0 && refused.err.contains(".env: is missing or empty"), "{}", refused.err);
    root.put(".env", "PAAS_DOMAIN=example.org\n");
    let first = root.run(&["init"]).done();
    assert!(first.contains("made") && first.contains(".minipaas (installation "), "{first}");
    let marker = root.read("apps.d/.minipaas");
    let second = root.run(&["init"]).done();
    assert!(!second.contains("made"), "{second}");
    assert_eq!(root.read("apps.d/.minipaas"), marker);
    // Where `$schema=./manifest.schema.json` in a copied example leads, and of this very version.
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifest.schema.json"));
    let schema = schema.unwrap();
    assert_eq!(root.read("apps.d/manifest.schema.json"), schema);
    root.put("apps.d/manifest.schema.json", "{}");
    root.run(&["init"]).done();
    assert_eq!(root.read("apps.d/manifest.schema.json"), schema);
}

/// A root whose daemon knows these apps, all with their manifests.
fn root_with(apps: &[&str]) -> Root {
    use minipaas::model::{AppKey, InventoryRow, Manifest, TemplateId, Timestamp};
    use minipaas::store::{SqliteStore, Store as _};

    let root = Root::new();
    root.run(&["init"]).done();
    let store = SqliteStore::open(&root.path().join("portal-data/portal.sqlite3")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for app in apps {
        root.put(&format!("apps.d/{app}.yaml"), "template: diary-v1\n");
        let row = InventoryRow {
            manifest: Manifest::of(TemplateId::parse("diary-v1").unwrap()),
            ..InventoryRow::tombstone(AppKey::parse(app).unwrap(), Timestamp(0))
        };
        runtime.block_on(store.put(&row)).unwrap();
    }
    root
}

#[test]
fn init_makes_no_marker_before_somebody_saw_what_would_go() {
    let root = root_with(&["alice-diary", "bob-notes"]);
    let marker = root.path().join("apps.d/.minipaas");
    let id = root.read("apps.d/.minipaas");
    // Nothing would go: a lost marker is made again without a question, and is the same.
    std::fs::remove_file(&marker).unwrap();
    root.run(&["init"]).done();
    assert_eq!(root.read("apps.d/.minipaas"), id);

    // The folder is not there, or an empty one is in its place.
    std::fs::rename(root.path().join("apps.d"), root.path().join("away")).unwrap();
    for empty in [false, true] {
        if empty {
            std::fs::create_dir_all(root.path().join("apps.d")).unwrap();
        }
        let ran = root.run(&["init"]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.err.contains("alice-diary, bob-notes") && ran.err.contains("put the manifests back"),
            "{}",
            ran.err
        );
        assert!(!marker.exists());
    }
    let lock = minipaas::folders::RootLock::acquire(root.path()).unwrap();
    let ran = root.run(&["init", "--yes"]);
    assert!(ran.code == 1 && ran.err.contains("stop the daemon first"), "{}", ran.err);
    assert!(!marker.exists());
    drop(lock);

    // The first remedy that it names.
    std::fs::remove_dir(root.path().join("apps.d")).unwrap();
    std::fs::rename(root.path().join("away"), root.path().join("apps.d")).unwrap();
    assert_eq!(root.read("apps.d/.minipaas"), id);
    root.run(&["init"]).done();
    // The other one.
    std::fs::remove_file(&marker).unwrap();
    std::fs::remove_file(root.path().join("apps.d/bob-notes.yaml")).unwrap();
    let ran = root.run(&["init"]);
    assert!(ran.code == 1 && ran.err.contains(": bob-notes."), "{}", ran.err);
    let ran = root.run(&["init", "--yes"]);
    assert!(ran.code == 0 && ran.err.contains("nothing is removed yet: bob-notes stay"), "{}", ran.err);
    assert_eq!(root.read("apps.d/.minipaas"), id);
    assert_eq!(held(&root), ["bob-notes"], "the next daemon asks before it removes even one");
    // Nothing is new about the marker now: what is held stays held, and nothing is added.
    std::fs::remove_file(root.path().join("apps.d/alice-diary.yaml")).unwrap();
    root.run(&["init"]).done();
    assert_eq!(held(&root), ["bob-notes"]);
}

/// The apps whose removal waits for a confirmation, as a daemon finds them at its start.
fn held(root: &Root) -> Vec<String> {
    use minipaas::store::{SqliteStore, Store as _};

    let store = SqliteStore::open(&root.path().join("portal-data/portal.sqlite3")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.removals()).unwrap().held.iter().map(ToString::to_string).collect()
}

#[test]
fn a_lost_database_and_a_lost_folder_are_told_as_that_and_their_remedies_help() {
    let root = root_with(&["alice-diary"]);
    let database = root.path().join("portal-data");
    std::fs::rename(&database, root.path().join("away")).unwrap();
    let ran = root.run(&["admin", "reset-password"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    error: the database ROOT/portal-data/portal.sqlite3 is gone, although ROOT was set up: put it back from a backup; without one, `paas init` makes a new one, without the users, keys and events of the old
    ");
    let doctor = root.run(&["doctor"]).out;
    assert!(doctor.contains("is gone, although"), "{doctor}");
    // The first remedy, and then the other one.
    std::fs::rename(root.path().join("away"), &database).unwrap();
    root.run(&["admin", "reset-password"]).done();
    std::fs::rename(&database, root.path().join("lost")).unwrap();
    root.run(&["init"]).done();
    root.run(&["admin", "reset-password"]).done();

    std::fs::rename(root.path().join("apps.d"), root.path().join("away")).unwrap();
    let doctor = root.run(&["doctor"]).out;
    let folders = doctor.lines().find(|line| line.starts_with("folders")).unwrap();
    assert!(folders.contains("put them back") && !folders.contains("init"), "{folders}");
}

#[test]
fn init_shows_the_first_word_for_as_long_as_it_opens_anything() {
    let root = Root::new();
    root.put(".env", "PAAS_DOMAIN=example.org\nBCRYPT_ROUNDS=4\n");
    let told =
        |out: &str| out.lines().skip_while(|line| !line.starts_with("portal: ")).take(2).collect::<Vec<_>>().join("\n");
    let first = told(&root.run(&["init"]).done());
    let word = root.read("run/first-word").trim().to_owned();
    insta::assert_snapshot!(first.replace(&word, "WORD"), @"
    portal: sign in as admin / admin and change that; from another machine it takes the first word WORD
            http://example.org:8080/first#WORD
    ");
    assert_eq!(told(&root.run(&["init"]).done()), first);
    root.run(&["admin", "reset-password"]).done();
    assert_eq!(told(&root.run(&["init"]).done()), "", "admin / admin opens nothing any more");
    assert!(!root.path().join("run/first-word").exists());
}

#[test]
fn a_root_given_by_hand_brings_its_own_settings() {
    let (root, other) = (Root::new(), Root::new());
    root.put(".env", "PAAS_MANIFESTS_DIR=elsewhere\n");
    other.put("apps.d/bob-notes.yaml", "template: diary-v1\n");
    let other_path = other.path().to_str().unwrap();
    assert_eq!(root.run(&["--root", other_path, "get", "bob-notes"]).done(), "template: diary-v1\n");
}

#[test]
fn a_bad_setting_is_told_and_stops_only_what_depends_on_it() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    root.put(".env", "PAAS_GATEWAY_PORT=many\n");
    let ran = root.run(&["get", "alice-diary"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "template: diary-v1\n"));
    assert!(ran.err.starts_with("warning: ") && ran.err.contains(".env:1: PAAS_GATEWAY_PORT=many"), "{}", ran.err);
    root.put(".env", "this is no setting\n");
    let ran = root.run(&["get", "alice-diary"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: ") && ran.err.contains(".env:1"), "{}", ran.err);
    // One that is about something else leaves no doubt.
    root.put(".env", "PAAS_DOMAIN='home.test\n");
    let ran = root.run(&["get", "alice-diary"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "template: diary-v1\n"), "{}", ran.err);
}

#[test]
fn whoever_talks_to_the_daemon_needs_its_socket_only() {
    let root = Root::new();
    std::fs::create_dir(root.path().join("elsewhere")).unwrap();
    let text = "template: diary-v1\nstate: stopped\n";
    root.put("elsewhere/alice-diary.yaml", text);
    root.put(".env", "PAAS_MANIFESTS_DIR=\nthis is no setting\n");
    let folder = |name: &str| root.path().join(name).display().to_string();
    let status = json!({
        "version": "test", "engine": {"state": "connecting"}, "manifests": {"state": "complete"},
        "folders": {
            "root": folder(""), "manifests": folder("elsewhere"), "apps": folder("apps"), "templates": folder("templates"),
        },
        "image": {"state": "unknown"}, "network": {"state": "unknown"}, "apps": {}, "fileProblems": [],
        "settingsProblems": [], "restartRequired": [],
    });
    let wrap = |data: &Value| json!({"ok": true, "data": data}).to_string();
    let mut stopped = view(&digest(text), "Stopped", "Synced", &json!([]));
    stopped["desired"] = json!("stopped");
    let answers = vec![
        ("/status", wrap(&status)),
        ("/apps", wrap(&json!([]))),
        ("/events", format!("event: apps\ndata: [{stopped}]\n\n")),
        ("/events/log?limit=50", wrap(&json!([]))),
        ("/confirm", wrap(&json!({"apps": []}))),
    ];
    let _daemon = PlayedDaemon::start(&root, answers);
    // The socket is found beside `.env`, whatever the settings say about the root.
    let run = |args: &[&str]| Ran::of(root.command(args).env_remove("PAAS_ROOT").output().unwrap());
    for args in [&["status"][..], &["stop", "alice-diary"], &["get", "alice-diary"], &["events"], &["confirm"]] {
        let ran = run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("warning: ") && ran.err.contains(".env:2: not a setting"), "{args:?}: {}", ran.err);
    }
    assert_eq!(root.read("elsewhere/alice-diary.yaml"), text);
    let ran = run(&["plan"]);
    assert!(ran.code == 1 && ran.err.contains(".env:1"), "it does not talk to the daemon: {}", ran.err);
}

/// Answers one request per connection with a canned body, for ever.
struct PlayedDaemon {
    child: std::thread::JoinHandle<()>,
}

impl PlayedDaemon {
    fn start(root: &Root, answers: Vec<(&'static str, String)>) -> Self {
        std::fs::create_dir_all(root.path().join("run")).unwrap();
        let listener = UnixListener::bind(root.path().join("run/paas.sock")).unwrap();
        let child = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let Some((_, body)) = answers.iter().find(|(wanted, _)| *wanted == path) else { continue };
                let kind = if body.starts_with('{') { "application/json" } else { "text/event-stream" };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { child }
    }
}

fn view(digest: &str, health: &str, sync: &str, conditions: &Value) -> Value {
    json!({
        "phase": health, "url": "http://alice-diary.localhost:8080/", "app": "alice-diary", "sync": sync, "health": health,
        "desired": "running", "host": "alice-diary.localhost", "fileDigest": digest, "appliedDigest": digest, "restarts": 0,
        "conditions": conditions,
    })
}

fn digest(text: &str) -> String {
    minipaas::model::Digest::of(text.as_bytes()).as_str().to_owned()
}

#[test]
fn a_change_waits_until_the_world_has_followed() {
    let root = Root::new();
    let text = "template: diary-v1\nstate: running\n";
    root.put("apps.d/alice-diary.yaml", text);
    let old = view("0000", "Running", "Synced", &json!([]));
    let starting = view(&digest(text), "Starting", "OutOfSync", &json!([]));
    let running = view(&digest(text), "Running", "Synced", &json!([]));
    let events =
        format!("event: apps\ndata: [{old}]\n\nevent: app\ndata: {starting}\n\nevent: app\ndata: {running}\n\n");
    let daemon = PlayedDaemon::start(&root, vec![("/events", events)]);
    let ran = root.run(&["start", "alice-diary"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 0
    alice-diary: Running at http://alice-diary.localhost:8080/
    alice-diary: Starting
    ");
    assert!(!daemon.child.is_finished());
}

#[test]
fn what_cannot_come_about_ends_the_wait_with_the_reason() {
    let root = Root::new();
    let text = "template: diary-v1\nstate: running\n";
    root.put("apps.d/alice-diary.yaml", text);
    let condition = json!([{
        "type": "QuotaExceeded", "status": true, "reason": "TooMany", "message": "20 apps are the most: delete one",
        "since": "2026-11-22T10:00:00Z",
    }]);
    let held = view(&digest(text), "Stopped", "Held", &condition);
    let daemon = PlayedDaemon::start(&root, vec![("/events", format!("event: apps\ndata: [{held}]\n\n"))]);
    let ran = root.run(&["start", "alice-diary"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 3
    warning: alice-diary: Held: 20 apps are the most: delete one
    ");
    assert!(!daemon.child.is_finished());
}

#[test]
fn the_overview_fits_and_explains() {
    let root = Root::new();
    let status = json!({
        "version": "test", "engine": {"state": "unreachable", "reason": "no socket", "since": "2026-11-22T10:00:00Z"},
        "manifests": {"state": "complete"}, "image": {"state": "unknown"}, "network": {"state": "unknown"}, "apps": {},
        "fileProblems": [{"file": "Bob.yaml", "message": "`Bob` is not an app"}], "settingsProblems": [],
        "restartRequired": ["PORTAL_PORT"],
    });
    let condition = json!([{
        "type": "Invalid", "status": true, "reason": "Invalid", "message": "alice-diary.yaml:2:1: unknown key `memmory`",
        "since": "2020-01-01T00:00:00Z",
    }, {
        "type": "CrashLoop", "status": true, "reason": "Exited", "message": "앱이 계속 종료됩니다 (exit code 1)\u{1b}[2J",
        "since": "2020-01-01T00:00:00Z",
    }]);
    let apps = json!([view("00", "CrashLoop", "Synced", &condition)]);
    let wrap = |data: &Value| json!({"ok": true, "data": data}).to_string();
    let _daemon = PlayedDaemon::start(&root, vec![("/status", wrap(&status)), ("/apps", wrap(&apps))]);
    let overview = |columns: Option<&str>| {
        let mut command = root.command(&["status"]);
        columns.map(|columns| command.env("COLUMNS", columns));
        Ran::of(command.output().unwrap())
    };
    // In a pipe a row is a line, however long.
    let row = overview(None).out.lines().nth(1).unwrap().to_owned();
    assert!(row.starts_with("alice-diary") && row.ends_with("http://alice-diary.localhost:8080/"), "{row}");
    let ran = overview(Some("80"));
    let days =
        ran.out.split_whitespace().find(|word| word.ends_with('d') && word[..word.len() - 1].parse::<u32>().is_ok());
    let text = ran.text(&root).replace(days.expect("an age in days"), "9999d");
    insta::assert_snapshot!(text, @r"
    exit 0
    APP          PHASE      FOR    RESTARTS  URL
    alice-diary  CrashLoop  9999d  0         http://alice-diary.localhost:8080/
    ! alice-diary: alice-diary.yaml:2:1: unknown key `memmory`
    ! alice-diary: 앱이 계속 종료됩니다 (exit code 1)\u{1b}[2J
    ! Docker does not answer: no socket
    ! Bob.yaml: `Bob` is not an app
    ! restart the daemon to take up: PORTAL_PORT
    ");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    for command in ["status", "ls", "list", "ps"] {
        let out: Value = serde_json::from_str(&root.run(&[command, "-o", "json"]).done()).unwrap();
        assert_eq!(out["restartRequired"], json!(["PORTAL_PORT"]), "{command}");
    }
}

#[test]
fn one_app_in_detail_says_who_may_enter_and_whether_strangers_may_write() {
    let root = Root::new();
    let detail = |change: &str, strangers: bool| {
        let mut app = view("00", "Running", "Synced", &json!([]));
        app["visitors"] = json!({"view": "everyone", "change": change});
        app["strangersMayWrite"] = json!(strangers);
        let answer = json!({"ok": true, "data": app}).to_string();
        let socket = root.path().join("run/paas.sock");
        std::fs::remove_file(&socket).ok();
        let _daemon = PlayedDaemon::start(&root, vec![("/apps/alice/diary", answer)]);
        root.run(&["status", "alice-diary"])
            .done()
            .lines()
            .find(|line| line.starts_with("Visitors"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(detail("everyone", true), "Visitors:  everyone, also to change what is in it");
    assert_eq!(detail("owner", false), "Visitors:  {view: everyone, change: owner}");
}

#[test]
fn the_status_for_programs_has_the_phase_and_the_address_of_each_app() {
    let root = Root::new();
    let mut app = view("00", "Running", "Synced", &json!([]));
    let status = json!({
        "version": "test", "engine": {"state": "connecting"}, "manifests": {"state": "complete"},
        "image": {"state": "unknown"}, "network": {"state": "unknown"}, "apps": {"alice-diary": app}, "fileProblems": [],
        "settingsProblems": [], "restartRequired": [],
    });
    app["phase"] = json!("Running");
    let wrap = |data: &Value| json!({"ok": true, "data": data}).to_string();
    let _daemon = PlayedDaemon::start(&root, vec![("/status", wrap(&status)), ("/apps", wrap(&json!([app])))]);
    let out: Value = serde_json::from_str(&root.run(&["status", "-o", "json"]).done()).unwrap();
    let app = &out["apps"]["alice-diary"];
    assert_eq!((&app["phase"], &app["url"]), (&json!("Running"), &json!("http://alice-diary.localhost:8080/")));
    assert_eq!(app["health"], "Running", "and all that it had before");
}

#[test]
fn events_are_told_by_time_and_in_the_zone_of_the_reader() {
    let root = Root::new();
    let event = |id: u32, at: &str, what: &str| json!({"id": id, "at": at, "app": "alice-diary", "kind": "done", "what": what, "cause": "why"});
    // The newest first, as the daemon answers; a change that was written down late.
    let events = json!([
        event(3, "2026-11-22T10:00:02.000Z", "third"),
        event(2, "2026-11-22T10:00:00.000Z", "first"),
        event(1, "2026-11-22T10:00:01.000Z", "second"),
    ]);
    let answer = json!({"ok": true, "data": events}).to_string();
    let _daemon = PlayedDaemon::start(&root, vec![("/events/log?limit=50", answer)]);
    let told = |zone: &str| Ran::of(root.command(&["events"]).env("TZ", zone).output().unwrap()).done();
    insta::assert_snapshot!(told("KST-9"), @r"
    WHEN                     APP          WHAT    WHY
    2026-11-22 19:00:00 KST  alice-diary  first   why
    2026-11-22 19:00:01 KST  alice-diary  second  why
    2026-11-22 19:00:02 KST  alice-diary  third   why
    ");
    assert!(told("UTC").contains("2026-11-22 10:00:00 UTC"), "{}", told("UTC"));
    let out = root.run(&["events", "-o", "json"]).done();
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out[0]["at"], "2026-11-22T10:00:00.000Z", "programs get UTC");
}

#[test]
fn several_apps_are_changed_at_once_and_none_when_a_name_is_wrong() {
    let root = Root::new();
    for app in ["alice-diary", "bob-notes"] {
        root.put(&format!("apps.d/{app}.yaml"), "template: diary-v1\n");
    }
    root.put("apps.d/carol-web.yaml", "template: diary-v1\nstate: deleted\n");
    let text = |app: &str| root.read(&format!("apps.d/{app}.yaml"));
    let ran = root.run(&["stop", "alice-diary", "bob-note", "--no-wait"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: there is no app `bob-note`: did you mean `bob-notes`?\n"));
    assert_eq!(text("alice-diary"), "template: diary-v1\n", "nothing happened");
    root.run(&["stop", "alice-diary", "bob-notes", "--no-wait"]).done();
    for app in ["alice-diary", "bob-notes"] {
        assert_eq!(text(app), "template: diary-v1\nstate: stopped\n");
    }
    let ran = root.run(&["start", "--all", "--no-wait"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    error: `--all` would start 2 apps (alice-diary, bob-notes), and there is no terminal to ask on: say so with `paas start --all --yes`
    ");
    root.run(&["start", "--all", "--yes", "--no-wait"]).done();
    for app in ["alice-diary", "bob-notes"] {
        assert_eq!(text(app), "template: diary-v1\nstate: running\n");
    }
    assert!(text("carol-web").contains("deleted"), "what is to go is not brought back");
    root.run(&["restart", "--all", "--yes", "--no-wait"]).done();
    assert!(text("alice-diary").contains("redeploy: ") && text("bob-notes").contains("redeploy: "));
    assert_eq!(root.run(&["stop", "--all", "alice-diary"]).code, 64, "one or the other");
}

#[test]
fn create_without_a_template_shows_those_that_are_there() {
    let root = Root::new();
    root.put(
        "templates/diary-v1/template.json",
        r#"{"id":"diary-v1","name":"일기장","version":"1.0.0","supportsApi":true}"#,
    );
    std::fs::create_dir_all(root.path().join("templates/broken-v1")).unwrap();
    let ran = root.run(&["create", "alice-diary"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("diary-v1") && ran.err.contains("static-v1"), "{}", ran.err);
    assert!(ran.err.contains("paas create alice-diary --template"), "{}", ran.err);
    let out = root.run(&["templates"]).done();
    assert!(
        out.lines().any(|line| line.starts_with("diary-v1") && line.contains("일기장") && line.contains("yes")),
        "{out}"
    );
    let out: Value = serde_json::from_str(&root.run(&["templates", "-o", "json"]).done()).unwrap();
    assert_eq!(out[0]["id"], "broken-v1");
    assert!(out[0]["problem"].is_string() && out[1]["problem"].is_null(), "{out}");
}

#[test]
fn a_version_is_that_of_the_program_and_that_of_the_daemon() {
    let root = Root::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(root.run(&["version"]).done(), format!("paas {version}\nno daemon is running\n"));
    let status = json!({"ok": true, "data": {
        "version": "0.0.9", "engine": {"state": "connecting"}, "manifests": {"state": "complete"},
        "image": {"state": "unknown"}, "network": {"state": "unknown"}, "apps": {}, "fileProblems": [],
        "settingsProblems": [], "restartRequired": [],
    }});
    let _daemon = PlayedDaemon::start(&root, vec![("/status", status.to_string())]);
    assert!(root.run(&["version"]).done().contains("the running daemon is 0.0.9: restart it"));
}

#[test]
fn completion_knows_the_apps_and_templates_of_the_moment() {
    let root = Root::new();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    assert_eq!(root.run(&["names", "apps"]).done(), "alice-diary\n");
    assert_eq!(root.run(&["names", "templates"]).done(), "diary-v1\nstatic-v1\n");
    std::fs::remove_file(root.path().join("apps.d/alice-diary.yaml")).unwrap();
    std::fs::remove_dir(root.path().join("apps.d")).unwrap();
    let ran = root.run(&["names", "apps"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));

    // What bash makes of it.
    root.put("apps.d-back", "");
    std::fs::create_dir(root.path().join("apps.d")).unwrap();
    root.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    root.put("paas.bash", &root.run(&["completions", "bash"]).done());
    let paas = env!("CARGO_BIN_EXE_paas");
    let completed = |line: &[&str]| {
        let words = line.join(" ");
        let script = format!(
            "source paas.bash; COMP_WORDS=({paas} {words}); COMP_CWORD={}; _paas_with_names {paas} '{}' '{}'; echo ${{COMPREPLY[@]}}",
            line.len(),
            line.last().unwrap(),
            line.get(line.len().wrapping_sub(2)).unwrap_or(&paas),
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(root.path()).env("PAAS_ROOT", root.path());
        command.env("PAAS_ENV_FILE", root.path().join(".env"));
        Ran::of(command.output().unwrap()).done().trim().to_owned()
    };
    assert_eq!(completed(&["stop", "al"]), "alice-diary");
    assert_eq!(completed(&["stop", "bob"]), "");
    assert_eq!(completed(&["template", "new", "poem-v1", "--from", "st"]), "static-v1");
    assert_eq!(completed(&["create", "bob-notes", "--template", "st"]), "static-v1");
    assert_eq!(completed(&["sto"]), "stop");
    assert_eq!(completed(&["visitors", "al"]), "alice-diary");
    assert_eq!(completed(&["visitors", "alice-diary", "li"]), "links link");
    assert_eq!(completed(&["visitors", "alice-diary", "link", "a"]), "add");
    assert_eq!(completed(&["visitors", "alice-diary", "--view", "g"]), "guests");
    for shell in ["zsh", "fish"] {
        let script = root.run(&["completions", shell]).done();
        assert!(script.contains("paas names apps") && script.contains("paas names templates"), "{shell}");
    }
    let script = root.run(&["completions", "zsh"]).done();
    assert!(script.contains(":_paas_apps'") && script.contains(":_paas_templates'"), "{script}");
}

/// What the daemon leaves behind when it removes an app: its code in the trash, its data where it was.
fn delete_as_the_daemon(root: &Root, app: &str) {
    let template = TemplateId::parse("diary-v1").unwrap();
    with_folders(root, async |folders| {
        folders.trash_code(&AppKey::parse(app).unwrap(), Some(&template)).await.unwrap();
    });
}

/// What the daemon makes of a manifest.
fn make_as_the_daemon(root: &Root, app: &str, template: &str) {
    let origin = Origin::Template(TemplateId::parse(template).unwrap());
    with_folders(root, async |folders| {
        folders.ensure(&AppKey::parse(app).unwrap(), &origin).await.unwrap();
    });
}

fn with_folders(root: &Root, work: impl AsyncFnOnce(DiskFolders)) {
    let path = |name: &str| root.path().join(name);
    let clock = std::sync::Arc::new(minipaas::clock::SystemClock);
    let folders = DiskFolders::open(&path("apps"), &path("trash"), &path("templates"), clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(folders));
}

fn root_with_code(text: &str) -> Root {
    let root = Root::new();
    std::fs::create_dir_all(root.path().join("apps/bob/notes/app")).unwrap();
    std::fs::create_dir_all(root.path().join("apps/bob/notes/data")).unwrap();
    root.put("apps/bob/notes/app/index.html", text);
    root.put("apps.d/bob-notes.yaml", "template: diary-v1\n");
    root
}

#[test]
fn a_deleted_app_that_is_started_or_made_again_gets_its_own_code_back() {
    let root = root_with_code("mine");
    std::fs::create_dir_all(root.path().join("templates/diary-v1/app")).unwrap();
    root.put("templates/diary-v1/app/index.html", "the template's");
    let page = "apps/bob/notes/app/index.html";
    let delete = || {
        root.run(&["delete", "bob-notes", "--no-wait"]).done();
        delete_as_the_daemon(&root, "bob-notes");
        assert!(!root.path().join(page).exists());
    };
    delete();
    let ran = root.run(&["start", "bob-notes", "--no-wait"]);
    assert!(ran.code == 0 && ran.err.contains("its own code of"), "{}", ran.err);
    make_as_the_daemon(&root, "bob-notes", "diary-v1");
    assert_eq!(root.read(page), "mine");
    let ran = root.run(&["start", "bob-notes", "--no-wait"]);
    assert_eq!(ran.err, "", "nothing comes back");

    delete();
    let ran = root.run(&["create", "bob-notes", "-t", "diary-v1", "--no-wait"]);
    assert!(ran.code == 0 && ran.err.contains("its own code of"), "{}", ran.err);
    make_as_the_daemon(&root, "bob-notes", "diary-v1");
    assert_eq!(root.read(page), "mine");
    delete();
    let ran = root.run(&["create", "bob-notes", "-t", "diary-v1", "--fresh", "--no-wait"]);
    assert!(ran.code == 0 && !ran.err.contains("its own code"), "{}", ran.err);
    make_as_the_daemon(&root, "bob-notes", "diary-v1");
    assert_eq!(root.read(page), "the template's");
    // What was edited since then is the newest, and comes back again.
    root.put(page, "mine again");
    delete();
    root.run(&["create", "bob-notes", "-t", "diary-v1", "--no-wait"]).done();
    make_as_the_daemon(&root, "bob-notes", "diary-v1");
    assert_eq!(root.read(page), "mine again");
    // Of another template, it is told where the code is.
    delete();
    let ran = root.run(&["create", "bob-notes", "-t", "static-v1", "--no-wait"]);
    assert!(ran.code == 0 && ran.err.contains("paas trash restore "), "{}", ran.err);
}

/// While it is being removed its code lies where the new app's would.
#[test]
fn an_app_that_is_still_being_removed_is_not_made_fresh_with_its_old_code() {
    let root = root_with_code("mine");
    root.run(&["delete", "bob-notes", "--no-wait"]).done();
    let before = root.read("apps.d/bob-notes.yaml");
    let fresh = || root.run(&["create", "bob-notes", "-t", "diary-v1", "--fresh", "--no-wait"]);
    let ran = fresh();
    assert!(ran.code == 1 && ran.err.contains("the code of `bob-notes` is still in"), "{}", ran.err);
    assert_eq!(root.read("apps.d/bob-notes.yaml"), before, "nothing was written");
    delete_as_the_daemon(&root, "bob-notes");
    fresh().done();
    make_as_the_daemon(&root, "bob-notes", "diary-v1");
    assert_eq!(root.read("apps/bob/notes/app/server.js"), "", "the template's");
}

#[test]
fn a_restart_marks_a_token_however_long_it_is() {
    let root = Root::new();
    let token = "가".repeat(200);
    root.put("apps.d/alice-diary.yaml", &format!("template: diary-v1\nredeploy: {token}\n"));
    for _ in 0..2 {
        let ran = root.run(&["restart", "alice-diary", "--no-wait"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(root.read("apps.d/alice-diary.yaml").contains(&format!("{token} restarted ")));
    }
    root.run(&["validate"]).done();
    root.put("apps.d/alice-diary.yaml", &format!("template: diary-v1\nredeploy: {token}x\n"));
    assert_eq!(root.run(&["validate"]).code, 1, "what a person types is not longer than before");
}

#[test]
fn what_a_template_suggests_of_visitors_is_written_when_a_site_is_made_of_it() {
    let root = Root::new();
    let file = "templates/diary-v1/template.json";
    let mut template: Value = serde_json::from_str(&root.read(file)).unwrap();
    template["visitors"] = json!({"view": "everyone", "change": "owner"});
    root.put(file, &template.to_string());
    root.run(&["create", "bob-notes", "-t", "diary-v1", "--no-wait"]).done();
    let manifest = root.read("apps.d/bob-notes.yaml");
    assert!(manifest.contains("visitors:") && manifest.contains("change: owner"), "{manifest}");
}

#[test]
fn what_is_in_the_trash_is_listed_and_changes_places_with_what_is_there() {
    let root = root_with_code("old");
    assert_eq!(root.run(&["trash", "list"]).done(), "there is nothing in the trash\n");
    delete_as_the_daemon(&root, "bob-notes");
    std::fs::create_dir_all(root.path().join("apps/bob/notes/app")).unwrap();
    root.put("apps/bob/notes/app/index.html", "new");
    let out: Value = serde_json::from_str(&root.run(&["trash", "list", "-o", "json"]).done()).unwrap();
    let entry = out[0]["entry"].as_str().unwrap().to_owned();
    assert_eq!((&out[0]["app"], &out[0]["what"]), (&json!("bob-notes"), &json!("code")));
    let listed = root.run(&["trash", "list", "bob-notes"]).done();
    assert!(listed.lines().nth(1).unwrap().ends_with(&entry), "{listed}");
    assert!(!root.run(&["trash", "list", "alice-diary"]).done().contains(&entry));

    let ran = root.run(&["trash", "restore", &entry]);
    assert!(ran.code == 1 && ran.err.contains("`paas stop bob-notes` first"), "{}", ran.err);
    root.run(&["stop", "bob-notes", "--no-wait"]).done();
    for text in ["old", "new", "old"] {
        let out = root.run(&["trash", "restore", &entry]).done();
        assert!(out.contains("is in the trash instead"), "{out}");
        assert_eq!(root.read("apps/bob/notes/app/index.html"), text);
    }
    let ran = root.run(&["trash", "restore", &entry.replace("0000", "0001")]);
    assert!(ran.code == 1 && ran.err.contains(&format!("did you mean `{entry}`")), "{}", ran.err);
    let ran = root.run(&["trash", "restore", "../apps"]);
    assert!(ran.code == 1 && ran.err.contains("`paas trash list`"), "{}", ran.err);
}

#[test]
fn a_missing_manifests_folder_is_told_as_that() {
    let root = Root::new();
    std::fs::remove_dir(root.path().join("apps.d")).unwrap();
    let ran = root.run(&["create", "alice-diary", "--template", "diary-v1"]);
    insta::assert_snapshot!(ran.text(&root), @r"
    exit 1
    error: the manifests folder ROOT/apps.d is not there: put it back or mount its disk; for a new installation, `paas init` makes it
    ");
}

#[test]
fn a_refused_setting_is_told_once_by_status() {
    let root = Root::new();
    root.put(".env", "DEFAULT_PIDS_LIMIT=abc\n");
    let ran = root.run(&["status"]);
    assert_eq!(ran.err.matches("DEFAULT_PIDS_LIMIT=abc").count(), 1, "without a daemon: {}", ran.err);
    let problem = root.run(&["get", "x"]).err.lines().next().unwrap().replace("warning: ", "");
    let mut status = json!({
        "version": "test", "engine": {"state": "connecting"}, "manifests": {"state": "complete"},
        "image": {"state": "unknown"}, "network": {"state": "unknown"}, "apps": {}, "fileProblems": [],
        "settingsProblems": [problem], "restartRequired": [],
    });
    let wrap = |data: &Value| json!({"ok": true, "data": data}).to_string();
    let daemon = PlayedDaemon::start(&root, vec![("/status", wrap(&status)), ("/apps", wrap(&json!([])))]);
    let ran = root.run(&["status"]);
    assert_eq!(ran.text(&root).matches("DEFAULT_PIDS_LIMIT=abc").count(), 1, "{}", ran.text(&root));
    assert!(ran.out.contains("! settings: "), "{}", ran.out);
    // A daemon that does not have the line, say because it is of this shell's environment only.
    drop(daemon);
    std::fs::remove_file(root.path().join("run/paas.sock")).unwrap();
    status["settingsProblems"] = json!([]);
    let _daemon = PlayedDaemon::start(&root, vec![("/status", wrap(&status)), ("/apps", wrap(&json!([])))]);
    let ran = root.run(&["status"]);
    assert!(ran.err.contains("DEFAULT_PIDS_LIMIT=abc"), "{}", ran.err);
}

#[test]
fn doctor_finds_a_port_that_is_taken() {
    let root = Root::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let found = |setting: &str| {
        root.put(".env", &format!("{setting}={port}\n"));
        root.run(&["doctor", "-o", "json"]).out
    };
    let names = |out: &str| -> Vec<(String, String)> {
        let checks: Vec<Value> = serde_json::from_str(out).unwrap();
        let word = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
        checks.iter().map(|check| (word(check, "what"), word(check, "verdict"))).collect()
    };
    let checks = names(&found("PORTAL_PORT"));
    assert!(checks.contains(&("portal port".to_owned(), "bad".to_owned())), "{checks:?}");
    let checks = names(&found("PAAS_GATEWAY_BIND=127.0.0.1\nPAAS_GATEWAY_PORT"));
    assert!(checks.contains(&("gateway port".to_owned(), "bad".to_owned())), "{checks:?}");
}

#[test]
fn down_refuses_while_the_daemon_runs() {
    let root = Root::new();
    root.run(&["init"]).done();
    let refused = || {
        let ran = root.run(&["down", "--yes"]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("the daemon is running") && ran.err.contains("stop it first"), "{}", ran.err);
    };
    let lock = minipaas::folders::RootLock::acquire(root.path()).unwrap();
    refused();
    drop(lock);
    let ran = root.run(&["down", "--yes"]);
    assert!(!ran.err.contains("the daemon is running"), "{}", ran.err);
    let _daemon = PlayedDaemon::start(&root, Vec::new());
    refused();
}

#[test]
fn a_forgotten_password_is_replaced_beside_a_running_daemon() {
    use minipaas::accounts::{Accounts, LoginError, Visit};
    use minipaas::store::SqliteStore;

    let root = Root::new();
    let ran = root.run(&["admin", "reset-password"]);
    insta::assert_snapshot!(ran.text(&root), @"
    exit 1
    error: ROOT was never set up: run `paas init` first
    ");
    root.run(&["init"]).done();

    // What the daemon holds open all the while.
    let store = SqliteStore::open(&root.path().join("portal-data/portal.sqlite3")).unwrap();
    let mut settings = minipaas::model::Settings::defaults(root.path());
    settings.bcrypt_rounds = 4;
    let (_settings_tx, settings_rx) = tokio::sync::watch::channel(std::sync::Arc::new(settings));
    let clock = std::sync::Arc::new(minipaas::clock::SystemClock);
    let accounts = Accounts::new(std::sync::Arc::new(store), clock, settings_rx);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let login =
        |password: &str| runtime.block_on(accounts.login("admin", password, &Visit::here([10, 0, 0, 1].into())));
    runtime.block_on(accounts.bootstrap()).unwrap();
    let before = login("admin").unwrap();
    let user = before.session.user.id;
    let key = runtime.block_on(accounts.issue_key(user, Some("backup"))).unwrap().key;

    let ran = root.run(&["admin", "reset-password"]);
    let password = ran.out.trim().to_owned();
    assert_eq!((ran.out.lines().count(), password.len()), (1, 23));
    let told = ran.text(&root).replace(&password, "PASSWORD").replace(&key.prefix, "PREFIX");
    insta::assert_snapshot!(told, @"
    exit 0
    PASSWORD
    password of `admin`, shown only now:
    it must be changed at the first login; every session of this user has ended
    API keys stay: backup (PREFIX…); they work again once the password is changed, delete those you do not know or revoke all with `paas admin revoke`
    ");
    assert_eq!(runtime.block_on(accounts.session(before.token.reveal())).unwrap(), None);
    assert!(matches!(login("admin"), Err(LoginError::Wrong)));
    assert!(login(&password).unwrap().session.user.must_change);

    let session = login(&password).unwrap();
    let ran = root.run(&["admin", "revoke"]);
    insta::assert_snapshot!(ran.text(&root), @"
    exit 0
    `admin` is signed out everywhere; sessions ended: 2, API keys revoked: 1
    ");
    assert_eq!(runtime.block_on(accounts.session(session.token.reveal())).unwrap(), None);
    assert_eq!(runtime.block_on(accounts.keys(user)).unwrap(), []);
    runtime.block_on(accounts.issue_key(user, Some("backup"))).unwrap();
    let ran = root.run(&["admin", "reset-password", "--revoke-all"]);
    assert!(ran.err.contains("API keys are revoked: backup ("), "{}", ran.err);
    assert_eq!(runtime.block_on(accounts.keys(user)).unwrap(), []);

    let ran = root.run(&["admin", "reset-password", "--username", "admin", "-o", "json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["username"], "admin");
    login(told["password"].as_str().unwrap()).unwrap();
    let ran = root.run(&["admin", "reset-password", "--username", "alice"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: there is no user `alice`: choose `admin`\n"));
}
