//! Makes the table of the dashboard's files (`web/app`) that `portal::pages` serves: each as it is and, where that helps,
//! compressed, under a version that is a digest of them all. Nothing is translated or joined here: what the browser gets is
//! what lies in the folder.

#![allow(clippy::unwrap_used, reason = "a build that cannot go on says where")]
#![allow(clippy::disallowed_methods, reason = "the folder is cargo's own, and nobody reads it meanwhile")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// Only for the type checker and for those who read.
const NOT_SERVED: [&str; 1] = [".d.ts"];
/// Compressed by themselves.
const DENSE: [&str; 2] = ["webp", "png"];

fn main() {
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("web/app");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = BTreeMap::new();
    collect(&folder, &folder, &mut files);
    let mut index = files.remove("index.html").unwrap();
    let mut sum = Sha256::new();
    for (name, content) in files.iter().chain([(&"index.html".to_owned(), &index)]) {
        sum.update(format!("{name}\0{}\0", content.len()));
        sum.update(content);
    }
    let version = sum.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    // What the first screen needs is asked for at once, not module by module as each is read.
    let preload = imported(&files, "main.js").iter().fold(String::new(), |text, name| {
        format!("{text}<link rel=\"modulepreload\" href=\"/web/{version}/{name}\">\n")
    });
    let text = String::from_utf8(std::mem::take(&mut index)).unwrap();
    let text = text.replace("<!-- modules -->\n", &preload).replace("{version}", &version);
    fs::write(out.join("index.html"), &text).unwrap();
    fs::write(out.join("index.html.gz"), gzip(text.as_bytes())).unwrap();

    let mut table = format!("pub(super) const VERSION: &str = \"{version}\";\n");
    table.push_str("pub(super) const INDEX: File = File { name: \"index.html\", plain: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/index.html\")), gzip: Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/index.html.gz\"))) };\n");
    table.push_str("/// In the order of their names.\npub(super) static FILES: &[File] = &[\n");
    for (name, content) in &files {
        let plain = folder.join(name);
        let dense = DENSE.iter().any(|ending| name.ends_with(&format!(".{ending}")));
        let small = if dense { None } else { Some(gzip(content)).filter(|small| small.len() < content.len()) };
        let packed = match small {
            Some(small) => {
                let file = format!("web-{}.gz", name.replace('/', "-"));
                fs::write(out.join(&file), small).unwrap();
                format!("Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")))")
            }
            None => "None".to_owned(),
        };
        let plain = plain.display().to_string();
        writeln!(table, "    File {{ name: {name:?}, plain: include_bytes!({plain:?}), gzip: {packed} }},").unwrap();
    }
    table.push_str("];\n");
    fs::write(out.join("web.rs"), table).unwrap();
}

fn collect(folder: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        // Also what is not served: a file that is added or goes is a change.
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            collect(&path, root, files);
        } else if !NOT_SERVED.iter().any(|ending| name.ends_with(ending)) {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The modules that one needs before it can run, itself among them; not those that it fetches later (`import()`).
fn imported(files: &BTreeMap<String, Vec<u8>>, first: &str) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![first.to_owned()]);
    while let Some(name) = open.pop() {
        if !found.insert(name.clone()) {
            continue;
        }
        let code = String::from_utf8(files[&name].clone()).unwrap();
        let folder = Path::new(&name).parent().unwrap();
        for (at, _) in code.match_indices("from") {
            let rest = code[at + 4..].trim_start();
            let Some(quote) = rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { continue };
            let Some(path) = rest[1..].split(quote).next().filter(|path| path.starts_with('.')) else { continue };
            open.push(joined(folder, path));
        }
    }
    found
}

fn joined(folder: &Path, path: &str) -> String {
    let mut parts: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap()).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
