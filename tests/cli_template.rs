//! `paas template check` and `paas template new`, as somebody who makes a template meets them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use self::files_support::copy;

mod files_support;

/// An installation whose templates are the shipped ones.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &root.templates());
        put(&root.0.path().join(".env"), "# everything as it is by default\n");
        root
    }

    fn templates(&self) -> PathBuf {
        self.0.path().join("templates")
    }

    /// Exit code, standard output, standard error.
    fn paas(&self, args: &[&str]) -> (i32, String, String) {
        let root = self.0.path().to_str().unwrap();
        let ran = Command::new(env!("CARGO_BIN_EXE_paas"))
            .env_clear()
            .args(["--root", root])
            .args(args)
            .current_dir(root)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(root, "ROOT");
        (ran.status.code().unwrap(), text(&ran.stdout), text(&ran.stderr))
    }

    fn check(&self, template: &str) -> String {
        let (code, out, err) = self.paas(&["template", "check", &format!("templates/{template}")]);
        format!("exit {code}\n{out}{err}")
    }
}

fn put(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn every_shipped_template_is_right() {
    let root = Root::new();
    let mut with_form = 0;
    for entry in fs::read_dir(root.templates()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let said = root.check(&name);
        assert!(said.starts_with(&format!("exit 0\n{name}: ok")), "{said}");
        with_form += usize::from(!said.contains("editing its files"));
    }
    assert!(with_form >= 4, "{with_form}");
}

#[test]
fn what_is_wrong_with_one_is_told_by_file_and_place() {
    let root = Root::new();
    let folder = root.templates().join("links-v1");
    let file = |name: &str| folder.join(name);
    let text = fs::read_to_string(file("app/content.json")).unwrap();
    put(
        &file("app/content.json"),
        &text.replace("https://example.com/bread", "bread").replace("photo.webp", "me.webp"),
    );
    put(&file("preview.webp"), "<svg>");
    fs::remove_file(file("content.en.json")).unwrap();
    fs::remove_file(file("app/server.js")).unwrap();
    insta::assert_snapshot!(root.check("links-v1"), @r"
    exit 1
    links-v1/template.json: `app/server.js` is missing or not a plain file: put the app's code into `app/`, starting from `app/server.js`
    links-v1/preview.webp: is no WebP picture: save it in that format
    links-v1/app/content.json: links.1.link: it must begin with https://, http://, mailto: or tel:
    links-v1/app/content.json: names the picture `me.webp`, which is not in app/public/: put it there
    links-v1/content.en.json: is missing: write the example in English too, beside template.json
    ");
    let (code, out, _) = root.paas(&["template", "check", "templates/links-v1", "-o", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["ok"], &report["hasForm"]), (1, &Value::from(false), &Value::from(true)));
    let link = &report["problems"][2];
    assert_eq!((link["file"].as_str(), link["at"].as_str()), (Some("app/content.json"), Some("links.1.link")));
    assert!(link["message"]["ko"].as_str().unwrap().contains("로 시작하는 주소여야 해요"), "{link}");

    let schema = fs::read_to_string(file("app/content.schema.json")).unwrap();
    put(&file("app/content.schema.json"), &schema.replacen("maxLength", "maxlength", 1));
    assert!(
        root.check("links-v1")
            .contains("links-v1/app/content.schema.json: properties.name.maxlength: this word may not stand here")
    );

    let folder = root.templates().join("album-v1");
    symlink("/etc/passwd", folder.join("app/public/photos/more.webp")).unwrap();
    fs::remove_file(folder.join("preview.webp")).unwrap();
    insta::assert_snapshot!(root.check("album-v1"), @r"
    exit 1
    album-v1: app/public/photos/more.webp is neither a file nor a folder: a template has no links
    album-v1/preview.webp: is missing: put a picture of what it makes there, WebP, 600 by 432
    ");
    insta::assert_snapshot!(root.check("nowhere"), @r"
    exit 1
    error: there is no folder templates/nowhere, or it cannot be opened: name that of a template
    ");
    fs::create_dir(root.templates().join("Two Words")).unwrap();
    assert!(root.check("Two Words").contains("is no name of a template: call the folder by small letters"));
}

#[test]
fn a_new_one_is_right_from_the_start_and_harms_none_that_is_there() {
    let root = Root::new();
    let (code, out, err) = root.paas(&["template", "new", "poem-v1"]);
    assert_eq!((code, out.as_str()), (0, "made ROOT/templates/poem-v1\n"), "{err}");
    assert!(err.contains("paas template check ROOT/templates/poem-v1"), "{err}");
    assert_eq!(root.check("poem-v1"), "exit 0\npoem-v1: ok\n");
    assert!(root.paas(&["templates"]).1.contains("poem-v1"));
    assert_eq!(root.paas(&["template", "new", "our-party-v1", "--from", "invite-v1"]).0, 0);
    assert_eq!(root.check("our-party-v1"), "exit 0\nour-party-v1: ok\n");

    let (code, _, err) = root.paas(&["template", "new", "links-v1"]);
    assert_eq!((code, err.as_str()), (1, "error: ROOT/templates/links-v1 is there already: choose another name\n"));
    let (code, _, err) = root.paas(&["template", "new", "other-v1", "--from", "nothing-v1"]);
    assert_eq!(code, 1);
    assert!(err.contains("`paas templates` lists those that are there"), "{err}");
    assert_eq!(root.paas(&["template", "new", "../out"]).0, 64);
    symlink("/etc/passwd", root.templates().join("poem-v1/app/secret")).unwrap();
    assert_eq!(root.paas(&["template", "new", "other-v1", "--from", "poem-v1"]).0, 1);
    let left = |name: &str| root.templates().join(name).symlink_metadata().is_ok();
    assert!(!left("other-v1") && !left(".other-v1.new"));
}
