//! The git hook of the READMEs, word for word, in a repository with manifests.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]
#![expect(clippy::disallowed_methods, reason = "test fixtures need no atomic writes")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// What the README says to put into `.git/hooks/pre-commit`.
fn hook(readme: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(readme)).unwrap();
    let after = text.split_once(".git/hooks/pre-commit").unwrap().1;
    let block = after.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    assert!(block.starts_with("#!/bin/sh\n"), "{readme}: {block}");
    block.to_owned()
}

struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new(hook: &str) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["home", "bin", "work/apps.d", "root/templates/diary-v1/app"] {
            fs::create_dir_all(repository.path(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_paas"), repository.path("bin/paas")).unwrap();
        let template = r#"{"id": "diary-v1", "name": "일기장", "version": "1.0.0"}"#;
        fs::write(repository.path("root/templates/diary-v1/template.json"), template).unwrap();
        fs::write(repository.path("root/templates/diary-v1/app/server.js"), "").unwrap();
        repository.git(&["init", "-q"]);
        let place = repository.path("work/.git/hooks/pre-commit");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, hook).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        repository
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// As after `git init` on a fresh machine: nobody has changed `core.quotePath`.
    fn git(&self, args: &[&str]) -> Output {
        let search = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args).current_dir(self.path("work"));
        git.env_clear().env("PATH", search).env("HOME", self.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        git.env("PAAS_ROOT", self.path("root")).output().unwrap()
    }

    /// Whether git took it, and what was said.
    fn commit(&self, files: &[(&str, &str)]) -> (bool, String) {
        for (name, text) in files {
            fs::write(self.path("work").join(name), text).unwrap();
        }
        assert!(self.git(&["add", "-A"]).status.success());
        let ran = self.git(&["commit", "-q", "-m", "test"]);
        (ran.status.success(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
    }
}

#[test]
fn the_hook_of_the_readme_lets_good_manifests_and_commits_without_any_pass_and_nothing_else() {
    for readme in ["README.md", "README.ko.md"] {
        let hook = hook(readme);
        let help = Command::new(env!("CARGO_BIN_EXE_paas")).args(["validate", "--help"]).output().unwrap().stdout;
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (help, line) = (words(std::str::from_utf8(&help).unwrap()), words(hook.lines().last().unwrap()));
        assert!(help.contains(&line), "`paas validate --help` and {readme} differ: {help}");
        let repository = Repository::new(&hook);
        let (passed, told) = repository.commit(&[("notes.txt", "no manifest in this commit")]);
        assert!(passed, "{readme}: {told}");
        let (passed, told) = repository.commit(&[("apps.d/alice-diary.yaml", "template: diary-v1\n")]);
        assert!(passed, "{readme}: {told}");
        let (passed, told) = repository.commit(&[("apps.d/bob-diary.yml", "template: dairy-v1\n")]);
        assert!(!passed && told.contains("apps.d/bob-diary.yml:1:11: error: template `dairy-v1`"), "{readme}: {told}");
        fs::remove_file(repository.path("work/apps.d/bob-diary.yml")).unwrap();
        let (passed, told) = repository.commit(&[("apps.d/읽어 보세요.md", "이 폴더에 대해")]);
        assert!(passed, "{readme}: {told}");
        let (passed, told) = repository.commit(&[("apps.d/앨리스 일기.yaml", "template: diary-v1\n")]);
        assert!(!passed && told.contains("apps.d/앨리스 일기.yaml: error: "), "{readme}: {told}");
        fs::remove_file(repository.path("work/apps.d/앨리스 일기.yaml")).unwrap();
        fs::remove_file(repository.path("work/apps.d/alice-diary.yaml")).unwrap();
        let (passed, told) = repository.commit(&[]);
        assert!(passed, "{readme}: a commit that only removes one: {told}");
    }
}
