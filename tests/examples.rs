//! Every file in `examples/` is a manifest, and together they show every key.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use minipaas::desired::{manifest_schema, parse};

/// Name and text of each example.
fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    examples.sort();
    examples
}

#[test]
fn every_example_is_a_valid_manifest_that_points_editors_at_the_schema() {
    assert!(examples().len() >= 10);
    for (name, text) in examples() {
        parse(&name, text.as_bytes()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
        assert!(text.starts_with("# yaml-language-server: $schema=./manifest.schema.json\n# "), "{name}");
    }
}

#[test]
fn every_key_of_the_schema_occurs_in_an_example() {
    let schema: serde_json::Value = serde_json::from_str(&manifest_schema()).unwrap();
    let keys: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let used: BTreeSet<String> = examples()
        .iter()
        .flat_map(|(_, text)| text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key.to_owned()))
        .filter(|key| keys.contains(key))
        .collect();
    assert_eq!(used, keys);
}

#[test]
fn the_readme_lists_every_example() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/README.md")).unwrap();
    for (name, _) in examples() {
        assert!(readme.contains(&format!("[{name}]({name})")), "{name}");
    }
}

#[test]
fn the_shipped_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifest.schema.json");
    let shipped = fs::read_to_string(path).unwrap();
    assert!(
        shipped == manifest_schema(),
        "write it anew: paas schema > examples/manifest.schema.json\n{}",
        manifest_schema()
    );
}
