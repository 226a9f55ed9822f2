//! The messages that the program prints, as its sources have them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::path::{Path, PathBuf};

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
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
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The texts in double quotes of a source file, without its tests. What is filled in stands as `\0`.
pub fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut found = Vec::new();
    let mut rest = code.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '/' if code[at..].starts_with("//") => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            // A quotation mark as a character.
            '\'' if code[at..].starts_with("'\"'") => drop(rest.nth(1)),
            '"' => {
                let raw = code[..at].ends_with('#') || code[..at].ends_with("(r") || code[..at].ends_with(" r");
                let mut text = String::new();
                while let Some((at, c)) = rest.next() {
                    match c {
                        '"' if !code[..at].ends_with('#') && (!code[at..].starts_with("\",") || !raw) => break,
                        '"' => break,
                        '\\' if !raw => match rest.next().map(|(_, c)| c) {
                            Some('\n') => while rest.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                            Some('n') => text.push('\n'),
                            Some(c) => text.push(c),
                            None => {}
                        },
                        '{' if rest.next_if(|(_, c)| *c == '{').is_none() => {
                            while rest.next_if(|(_, c)| *c != '}').is_some() {}
                            rest.next();
                            text.push('\0');
                        }
                        c => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

/// Command lines in backticks, and what follows a prompt: with words of a kind in place of what is filled in.
pub fn command_lines(text: &str) -> Vec<String> {
    let prompts = text.lines().filter_map(|line| line.strip_prefix("$ "));
    let spans = text.lines().flat_map(quoted).chain(prompts);
    let ours = spans.map(|span| span.trim().trim_start_matches("sudo ")).filter(|span| span.starts_with("paas "));
    // A pipe, a comment or another program's line is none of ours.
    let ours = ours.map(|span| span.split(['|', '#', '<', '>', ';']).next().unwrap().trim().to_owned());
    ours.filter(|span| !span.contains(['[', '(', '…']) && *span != "paas").collect()
}

/// Every text of the program that a person may read, with the file that has it (as in `src/plan/assess.rs`).
pub fn messages() -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(&repository().join("src"), &mut files);
    files.retain(|path| {
        !path.ends_with("tests.rs")
            && !path.ends_with("daemon_tests.rs")
            && !path.components().any(|part| part.as_os_str() == "testing")
    });
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
        found.extend(literals(&fs::read_to_string(&file).unwrap()).into_iter().map(|text| (name.clone(), text)));
    }
    found
}
