//! The documents name nothing that is not there.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// What stands between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A sentence in the form of a name, which only tests have.
fn is_test_name(word: &str) -> bool {
    word.matches('_').count() >= 3
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
}

#[test]
fn every_test_that_is_named_as_evidence_of_security_exists() {
    let mut files = Vec::new();
    rust_files(&repository().join("src"), &mut files);
    rust_files(&repository().join("tests"), &mut files);
    let code: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let text = fs::read_to_string(repository().join("docs/security.md")).unwrap();
    let named: Vec<&str> = quoted(&text).filter(|word| is_test_name(word)).collect();
    assert!(named.len() >= 20, "only {} tests are named: {named:?}", named.len());
    for name in named {
        let is_there = code.iter().any(|file| file.contains(&format!("fn {name}(")));
        assert!(is_there, "docs/security.md names the test {name}, and there is none");
    }
}

/// Texts of other parts of the program are English, and stand in English sentences only.
#[test]
fn a_korean_sentence_is_korean_throughout() {
    let mut files = Vec::new();
    for folder in ["src/portal", "src/gateway"] {
        rust_files(&repository().join(folder), &mut files);
    }
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let korean = line.chars().any(|c| ('가'..='힣').contains(&c));
            let foreign = ["{told}", "{error}", "{reason}", "{problem}", "{message}", "{source}"];
            // The English half may stand on the same line, before the Korean one.
            let half = line.rsplit_once("\", \"").map_or(line, |(_, half)| half);
            let found = foreign.iter().find(|word| korean && half.contains(*word));
            assert!(found.is_none(), "{}: {line}", file.display());
        }
    }
}

#[test]
fn a_link_between_documents_leads_to_a_file() {
    let documents =
        ["README.md", "README.ko.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"];
    let mut files: Vec<PathBuf> = documents.iter().map(|name| repository().join(name)).collect();
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        files.push(entry.unwrap().path());
    }
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(file.parent().unwrap().join(target).exists(), "{}: {link} leads nowhere", file.display());
        }
    }
}
