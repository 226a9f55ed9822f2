//! Which module may know which: DESIGN.md's table, enforced on the `use` lines and paths of the sources.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module → what of this crate it may name. `*` = everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["*"]),
    ("serve", &["*"]),
    ("backend", &["*"]),
    ("setup", &["model", "desired", "store"]),
    ("sockets", &["model"]),
    ("machine", &["model", "controller", "usage"]),
    ("memory", &[]),
    ("service", &["controller"]),
    ("cli", &["*"]),
    ("testing", &["*"]),
    ("model", &[]),
    ("clock", &["model"]),
    ("compose", &["model"]),
    ("firewall", &["model"]),
    ("fswatch", &[]),
    ("settings", &["model", "fswatch"]),
    ("desired", &["model", "fswatch", "folders"]),
    ("plan", &["model", "compose"]),
    ("engine", &["model", "metrics"]),
    ("metrics", &[]),
    ("log", &["model"]),
    ("folders", &["model", "clock"]),
    ("store", &["model", "clock"]),
    ("accounts", &["model", "store", "clock"]),
    ("runtime", &["model", "controller", "folders"]),
    ("confined", &["model", "folders"]),
    ("backup", &["model", "clock", "confined", "desired", "folders", "history", "store"]),
    ("history", &["model", "folders"]),
    ("drafts", &["model", "clock", "folders"]),
    ("previews", &["model", "folders", "history", "confined"]),
    ("act", &["model", "plan", "engine", "folders", "history", "store"]),
    (
        "controller",
        &[
            "model", "plan", "act", "desired", "engine", "folders", "history", "previews", "store", "clock", "metrics",
            "firewall",
        ],
    ),
    (
        "portal",
        &[
            "model",
            "backup",
            "desired",
            "folders",
            "history",
            "drafts",
            "controller",
            "store",
            "settings",
            "gateway",
            "metrics",
            "accounts",
            "usage",
            "visits",
            "machine",
        ],
    ),
    ("usage", &["model", "clock", "folders"]),
    ("visits", &["model", "clock", "folders", "gateway"]),
    ("gateway", &["model"]),
    ("npm", &["model", "clock", "web_client"]),
    ("web_client", &[]),
];

/// Crate → the only modules that may name it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("bollard", &["engine/docker.rs", "engine/docker/", "engine/events.rs"]),
    ("rusqlite", &["store/", "confined/database.rs"]),
    ("axum", &["portal/", "serve", "gateway/"]),
    ("prometheus_client", &["metrics", "portal/metrics"]),
    ("notify", &["fswatch", "desired/watch", "settings/"]),
    ("tokio::process", &["history/git.rs", "confined/parent.rs"]),
    ("bcrypt", &["accounts/"]),
    ("landlock", &["confined/fence.rs"]),
    ("croner", &["backup/due.rs"]),
    ("zstd", &["confined/", "backup/"]),
    ("clap", &["cli/", "main.rs"]),
    ("tokio_rustls", &["web_client/"]),
    ("rustls_native_certs", &["web_client/"]),
    ("listenfd", &["sockets.rs"]),
    ("minipaas_heap", &["memory.rs"]),
    ("sd_notify", &["service.rs"]),
    ("anyhow", &["cli/", "main.rs", "serve.rs", "setup.rs", "backend.rs"]),
];

/// Modules that are pure: no I/O, no clock, no runtime, no log.
const PURE: &[&str] = &[
    "model/",
    "plan/",
    "compose.rs",
    "firewall.rs",
    "controller/goal.rs",
    "controller/admission.rs",
    "controller/domains.rs",
    "controller/report.rs",
    "npm/plan.rs",
    "npm/want.rs",
    "npm/shape.rs",
    "desired/parse",
    "desired/resolve.rs",
];
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "tracing",
    "rustix",
    "cap_std",
];

fn sources() -> BTreeMap<String, String> {
    fn collect(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, without_tests(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The code proper: comments and unit tests may name anything.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs")
        || file.ends_with("_tests.rs")
        || file.contains("/tests/")
        || file.starts_with("testing")
}

/// Modules of this crate that a file names through `crate::`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        if code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // A grouped import would hide its names from this scanner.
        assert!(!rest.starts_with('{'), "write one `use crate::module::…` line per module");
        if !name.is_empty() {
            names.insert(name);
        }
    }
    names
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + name.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"' || c == ':') && after == Some(':')
    })
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let module = module_of(&file);
        if module == "lib" || is_test_file(&file) {
            continue;
        }
        let Some(allowed) = rules.get(module) else {
            wrong.push(format!("{file}: module `{module}` has no rule in MAY_USE: decide what it may know"));
            continue;
        };
        for named in named_modules(&code) {
            if named != module && !allowed.contains(&"*") && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{file} names crate::{named}, which `{module}` must not know"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn crates_stay_behind_their_seams() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in ONLY_IN {
            if names_crate(&code, name) && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file} names {name}, which only {places:?} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_pure_modules_are_pure() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        if !PURE.iter().any(|place| file.starts_with(place)) || is_test_file(&file) {
            continue;
        }
        for name in IMPURE {
            if code.contains(&format!("{name}::")) || code.contains(&format!("use {name}")) {
                wrong.push(format!("{file} names {name}, but it is meant to be pure"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn no_shell_is_run_and_nothing_unsafe_is_done() {
    for (file, code) in sources() {
        if is_test_file(&file) {
            continue;
        }
        for banned in ["process::Command", "\"sh\"", "\"/bin/sh\"", "\"bash\"", "unsafe {", "todo!(", "unimplemented!("]
        {
            // The child processes that there are, by their arguments alone.
            let is_child = banned == "process::Command" && ["history/git.rs", "confined/parent.rs"].contains(&&*file);
            assert!(is_child || !code.contains(banned), "{file} contains {banned}");
        }
    }
}

/// The field's terms: fault, action, oracle, checksum, verdict, history, seed, reference model.
#[test]
fn no_private_language_comes_back() {
    const PRIVATE: [&str; 7] = ["blow", "deed", "keepsake", "reckoning", "chronicle", "dice", "door-keeper"];
    let mut folders =
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests/architecture.rs") {
                read += 1;
                let text = fs::read_to_string(&path).unwrap().to_lowercase();
                let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
                let found: Vec<_> = PRIVATE.iter().filter(|word| words.contains(*word)).collect();
                assert!(found.is_empty(), "{} speaks of {found:?}", path.display());
            }
        }
    }
    assert!(read > 300, "only {read} files were read");
}

#[test]
fn main_stays_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 150, "main.rs is for wiring only");
}

#[test]
fn the_scanner_sees_what_it_looks_for() {
    assert_eq!(
        named_modules("use crate::plan::diff;\ncrate::engine::Engine"),
        BTreeSet::from(["plan".into(), "engine".into()])
    );
    assert!(names_crate("use bollard::Docker;", "bollard") && !names_crate("// my_bollard::x", "bollard"));
}

/// Whose app it is is asked where a path or body becomes a key (`portal/extract.rs`); nobody else makes one.
#[test]
fn the_portal_has_one_way_to_an_app_s_key() {
    // What is not let in by name: a host is compared, never opened.
    // The dashboard's files are the same for everybody.
    const ELSEWHERE: &[&str] = &["portal/host.rs", "portal/pages.rs"];
    for (file, code) in sources() {
        if !file.starts_with("portal/") || file == "portal/extract.rs" || ELSEWHERE.contains(&file.as_str()) {
            continue;
        }
        for way in
            ["AppKey::new(", "AppKey::parse(", "AppName::parse(", "Path<", "Path(", "RawPathParams", "MatchedPath"]
        {
            assert!(!code.contains(way), "{file} has `{way}`: take `extract::App`, which asks whose app it is");
        }
    }
}
