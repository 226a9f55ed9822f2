//! The documents name nothing that is not there.
#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

mod message_support;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use message_support::{command_lines, literals, quoted, repository, rust_files};

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

/// One word of a message as it is printed, against one of the source.
fn says(source: &str, printed: &str) -> bool {
    // Marks between sentences belong to how texts are put together.
    let marks = [',', ';', ':', '.', '(', ')', '?'];
    let (printed, source) = (printed.trim_matches(marks), source.trim_matches(marks));
    match source.split_once('\0') {
        None => source == printed,
        Some((start, end)) => {
            let end = end.rsplit('\0').next().unwrap_or(end);
            printed.contains('…')
                || printed.len() > start.len() + end.len() && printed.starts_with(start) && printed.ends_with(end)
        }
    }
}

/// The words of `printed` that the source does not say in this order. A message may be made of several texts, of at least two
/// words each; `…` stands for whatever is filled in.
fn unsaid<'a>(printed: &'a str, source: &[Vec<&str>]) -> Vec<&'a str> {
    let words: Vec<&str> = printed.split_whitespace().collect();
    // How many words from each place on remain unsaid, and how far the text that is said there goes.
    let mut best = vec![(0, 0); words.len() + 1];
    for from in (0..words.len()).rev() {
        best[from] = (best[from + 1].0 + usize::from(words[from] != "…"), 1);
        for text in source {
            for start in 0..text.len() {
                let said =
                    text[start..].iter().zip(&words[from..]).take_while(|(source, word)| says(source, word)).count();
                let fixed = text[start..start + said].iter().filter(|word| !word.contains('\0')).count();
                if fixed >= 2 || said == text.len() && fixed > 0 {
                    for length in 1..=said {
                        best[from] = best[from].min((best[from + length].0, length));
                    }
                }
            }
        }
    }
    let mut missing = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (left, length) = best[at];
        if left > best[at + length].0 {
            missing.push(words[at]);
        }
        at += length;
    }
    missing
}

/// What a cell of a table quotes, in one or two backticks.
fn messages(cell: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), cell);
    while let Some(start) = rest.find('`') {
        let mark = if rest[start..].starts_with("``") { "``" } else { "`" };
        let Some((text, after)) = rest[start + mark.len()..].split_once(mark) else { break };
        found.push(text.trim());
        rest = after;
    }
    found
}

/// Whoever looks a message up in a table shall find it there as it was printed.
#[test]
fn every_message_in_the_documents_tables_is_one_that_the_program_prints() {
    let mut files = Vec::new();
    rust_files(&repository().join("src"), &mut files);
    files.retain(|path| !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "testing"));
    let texts: Vec<String> = files.iter().flat_map(|path| literals(&fs::read_to_string(path).unwrap())).collect();
    let source: Vec<Vec<&str>> = texts.iter().map(|text| text.split_whitespace().collect()).collect();
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut documents = vec![repository().join("README.md"), repository().join("README.ko.md")];
    documents.extend(fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(document).unwrap();
        let mut inside = false;
        for line in text.lines() {
            let cell = line.strip_prefix("| ").and_then(|line| line.split(" | ").next());
            inside = match cell {
                Some("message" | "메시지" | "said") => true,
                _ => inside && line.starts_with('|'),
            };
            for message in cell.filter(|_| inside).map(messages).unwrap_or_default() {
                compared += 1;
                // Said by the library that reads YAML; what it says is compared where a file is refused.
                let message = message.strip_prefix("not valid YAML: ").map_or(message, |_| "not valid YAML:");
                let missing = unsaid(message, &source);
                if !missing.is_empty() {
                    wrong.push(format!("{}: `{message}`: no text says {missing:?}", document.display()));
                }
            }
        }
    }
    assert!(compared > 60, "only {compared}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each section of the manifest's page shows a mistake and what is said about it.
#[test]
fn what_the_manifests_page_says_about_mistakes_is_what_validate_says() {
    let text = fs::read_to_string(repository().join("docs/manifest.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for block in text.split("\n```\nalice-diary.yaml:").skip(1).map(|rest| rest.split("\n```").next().unwrap()) {
        let told = format!("alice-diary.yaml:{block}");
        // The line that is wrong is shown, where it is not too long.
        let shown = told.lines().find_map(|line| line.trim_start().split_once(" | "));
        let Some((number, line)) = shown.filter(|(number, _)| number.parse::<u8>().is_ok()) else { continue };
        let manifest = if number == "1" { format!("{line}\n") } else { format!("template: diary-v1\n{line}\n") };
        write(&folder.path().join("alice-diary.yaml"), &manifest);
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_paas"))
            .args(["validate", "alice-diary.yaml"])
            .current_dir(folder.path())
            .env_clear()
            .env("PAAS_ROOT", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(said.trim_end().starts_with(&told), "docs/manifest.md:\n{told}\n`paas validate`:\n{said}");
        compared += 1;
    }
    assert!(compared >= 13, "only {compared}");
}

#[expect(clippy::disallowed_methods, reason = "test fixtures need no atomic writes")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Who follows the README first and the API's page then is not told that the app exists already.
#[test]
fn the_app_that_the_apis_page_makes_is_made_nowhere_before() {
    let text = fs::read_to_string(repository().join("docs/api.md")).unwrap();
    let field = |name: &str| text.split_once(&format!("\"{name}\":\"")).unwrap().1.split_once('"').unwrap().0;
    let app = format!("{}-{}", field("userid"), field("appname"));
    for other in ["README.md", "README.ko.md", "scripts/up"] {
        let there = fs::read_to_string(repository().join(other)).unwrap();
        assert!(!there.contains(&app), "{other} has {app} already");
    }
}

#[test]
fn the_korean_readme_leads_wherever_the_english_one_does() {
    let links = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        let found = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        // The page in Korean where there is one.
        found.map(|link| link.replace(".ko.", ".")).filter(|link| !link.starts_with("README")).collect()
    };
    let (english, korean) = (links("README.md"), links("README.ko.md"));
    let missing: Vec<_> = english.iter().filter(|link| !korean.contains(link)).collect();
    assert!(missing.is_empty(), "README.ko.md has no link to {missing:?}");
    for name in ["npm", "devices", "systemd", "dashboard", "people", "api"] {
        assert!(english.contains(&format!("docs/{name}.md")), "README.md has no link to docs/{name}.md");
    }
    let rows = |name: &str| {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        text.lines().filter(|line| line.starts_with("| `")).count()
    };
    assert!(rows("README.ko.md") >= rows("README.md"), "a row of a table is not in README.ko.md");
}

/// Whether the command line's own parser takes it, whatever is filled in.
fn is_accepted(line: &str) -> bool {
    ["alice-diary", "alice", "stop", "--apply", "reset-password"].into_iter().any(|filled| {
        let words = line.split_whitespace().map(|word| match word {
            "APP" | "USERID-APPNAME" => "alice-diary".to_owned(),
            "TEMPLATE" | "T" | "ID" | "아이디" => "diary-v1".to_owned(),
            "TOKEN" => "f47abeea".to_owned(),
            "NAME" | "이름" => filled.to_owned(),
            "NUMBER" => "3".to_owned(),
            word => word.replace('\0', filled),
        });
        let help = |error: &clap::Error| !error.use_stderr();
        minipaas::cli::Cli::try_parse_from(words).map_or_else(|error| help(&error), |_| true)
    })
}

/// Whoever does what a message says shall not be told that there is no such command.
#[test]
fn every_command_that_a_message_or_a_document_names_is_one_that_there_is() {
    let mut texts: Vec<(PathBuf, String)> =
        message_support::messages().into_iter().map(|(file, text)| (PathBuf::from(file), text)).collect();
    let mut documents: Vec<PathBuf> =
        ["README.md", "README.ko.md", "examples/README.md"].map(|name| repository().join(name)).into();
    documents.extend(fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        texts.push((document.clone(), fs::read_to_string(document).unwrap()));
    }
    let (mut tried, mut wrong) = (0, Vec::new());
    for (file, text) in &texts {
        for line in command_lines(text) {
            tried += 1;
            // A sentence of a document may speak of a command without all that it takes; a message says what to type.
            let is_document = file.extension().is_some_and(|ending| ending == "md");
            if !(is_accepted(&line) || is_document && is_accepted(&format!("{line} --help"))) {
                wrong.push(format!("{}: `{}`", file.display(), line.replace('\0', "{}")));
            }
        }
    }
    assert!(tried > 150, "only {tried}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
