//! A root with templates, and what is below it as a value that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minipaas::clock::Clock;
use minipaas::folders::{DiskFolders, Origin, Owner};
use minipaas::model::{AppKey, Manifest, PurgeToken, RunState, TemplateId, Timestamp};

/// 2026-11-22T10:00:00Z, always.
#[derive(Debug)]
pub(crate) struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }
}

pub(crate) struct Root {
    pub(crate) dir: tempfile::TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self { dir: tempfile::tempdir().unwrap() };
        let template = root.template("diary-v1");
        fs::create_dir_all(template.join("public/img")).unwrap();
        for (file, text) in
            [("server.js", "serve()"), ("index.html", "<h1>일기장</h1>"), ("public/img/a.svg", "<svg/>")]
        {
            put(&template.join(file), text);
        }
        put(&template.join("tool.sh"), "#!/bin/sh\n");
        chmod(&template.join("tool.sh"), 0o700);
        chmod(&template.join("index.html"), 0o600);
        chmod(&template.join("public"), 0o700);
        root
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The `app/` of a template.
    pub(crate) fn template(&self, id: &str) -> PathBuf {
        self.path(&format!("templates/{id}/app"))
    }

    /// Files are given to the apps' user if this process may do that, else to its own.
    pub(crate) fn open(&self) -> DiskFolders {
        let folders =
            DiskFolders::open(&self.path("apps"), &self.path("trash"), &self.path("templates"), Arc::new(Noon))
                .unwrap();
        folders.owned_by(owner())
    }

    /// Everything below, except the templates.
    pub(crate) fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        for part in ["apps", "trash"] {
            describe(&self.path(part), part, &mut tree);
        }
        tree
    }

    /// [`Self::tree`] for a snapshot.
    pub(crate) fn text(&self) -> String {
        self.tree().into_iter().fold(String::new(), |text, (path, what)| text + &path + " " + &what + "\n")
    }
}

pub(crate) fn owner() -> Owner {
    if Owner::current().uid == 0 { Owner::APP } else { Owner::current() }
}

fn describe(path: &Path, name: &str, tree: &mut BTreeMap<String, String>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let (kind, mode) = (meta.file_type(), meta.permissions().mode() & 0o7777);
    let whose = if Owner::current() == (Owner { uid: meta.uid(), gid: meta.gid() }) && owner() != Owner::current() {
        "daemon"
    } else if owner() == (Owner { uid: meta.uid(), gid: meta.gid() }) {
        "app"
    } else {
        "other"
    };
    let what = if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if kind.is_dir() {
        format!("{mode:o} {whose}")
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        format!("{mode:o} {whose} {:?}", String::from_utf8_lossy(&fs::read(path).unwrap()))
    };
    tree.insert(name.to_owned(), what);
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            describe(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), tree);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
pub(crate) fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "what a person does by hand")]
pub(crate) fn rm(path: &Path) {
    fs::remove_dir_all(path).unwrap();
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn link(to: impl AsRef<Path>, at: &Path) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(to, at).unwrap();
}

pub(crate) fn fifo(path: &Path) {
    let at = fs::File::open(path.parent().unwrap()).unwrap();
    rustix::fs::mkfifoat(&at, path.file_name().unwrap(), rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
}

pub(crate) fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

pub(crate) fn diary() -> Origin {
    Origin::Template(diary_id())
}

pub(crate) fn diary_id() -> TemplateId {
    TemplateId::parse("diary-v1").unwrap()
}

pub(crate) fn purge(key: &AppKey) -> PurgeToken {
    let manifest = Manifest {
        template: TemplateId::parse("diary-v1").unwrap(),
        enable_api: false,
        state: RunState::Deleted,
        memory: None,
        cpus: None,
        pids: None,
        restart: None,
        env: BTreeMap::new(),
        redeploy: None,
        keep_data: Some(false),
        backup: None,
        disk: None,
        strategy: None,
        start_timeout: None,
        code: None,
        version: None,
        visitors: None,
        sleep: None,
        domains: Vec::new(),
    };
    PurgeToken::from_manifest(key, &manifest).unwrap()
}
