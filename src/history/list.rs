//! What git tells about commits, read. Pure.

use std::collections::BTreeMap;

use super::{ChangeKind, Door, FileChange};
use crate::model::{Timestamp, VersionId};

/// Most files that are told of one version.
const MOST_CHANGES: usize = 1_000;

/// What a commit says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) at: Timestamp,
    pub(super) by: String,
    pub(super) door: Door,
    pub(super) message: String,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) has_parent: bool,
    pub(super) tree: String,
}

/// `commit refs/versions/ID` in each line.
pub(super) fn refs(answer: &[u8]) -> Vec<(VersionId, String)> {
    let text = String::from_utf8_lossy(answer);
    let named = |line: &str| {
        let (commit, name) = line.split_once(' ')?;
        Some((VersionId::parse(name.strip_prefix("refs/versions/")?)?, commit.to_owned()))
    };
    text.lines().filter_map(named).collect()
}

/// The answer of `cat-file --batch`: each object behind a line with its name, kind and size.
pub(super) fn commits(answer: &[u8]) -> BTreeMap<String, Commit> {
    let mut found = BTreeMap::new();
    let mut rest = answer;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let words: Vec<&str> = line.split(' ').collect();
        let [name, kind, size] = words[..] else { continue };
        let Ok(size) = size.parse::<usize>() else { break };
        if rest.len() < size {
            break;
        }
        if kind == "commit" {
            found.insert(name.to_owned(), commit(&rest[..size]));
        }
        rest = rest[size..].strip_prefix(b"\n").unwrap_or(&rest[size..]);
    }
    found
}

fn commit(object: &[u8]) -> Commit {
    let text = String::from_utf8_lossy(object);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let committer = head.lines().find_map(|line| line.strip_prefix("committer ")).unwrap_or_default();
    let (by, rest) = committer.split_once(" <").unwrap_or((committer, ""));
    let seconds = rest.split_once("> ").and_then(|(_, time)| time.split(' ').next()?.parse::<i64>().ok());
    let trailer = |name: &str| {
        message.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    };
    let at = trailer("Paas-At").parse().ok().or(seconds.map(|seconds| seconds.saturating_mul(1000)));
    Commit {
        at: Timestamp(at.unwrap_or_default()),
        by: by.to_owned(),
        door: Door::parse(trailer("Paas-Door")).unwrap_or(Door::Before),
        message: message.lines().next().unwrap_or_default().to_owned(),
        files: trailer("Paas-Files").parse().unwrap_or_default(),
        bytes: trailer("Paas-Bytes").parse().unwrap_or_default(),
        tree: head.lines().find_map(|line| line.strip_prefix("tree ")).unwrap_or_default().to_owned(),
        has_parent: head.lines().any(|line| line.starts_with("parent ")),
    }
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) kind: EntryKind,
    pub(super) object: String,
    pub(super) size: u64,
    pub(super) path: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File { program: bool },
    Link,
}

/// The answer of `ls-tree -r -z -l`: mode, kind, name and size, then a tab and the path. What is neither a file nor a link is left
/// out.
pub(super) fn tree_entries(answer: &[u8]) -> Vec<TreeEntry> {
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(&line[..tab]).ok()?;
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let [mode, "blob", object, size] = words[..] else { return None };
        let kind = match mode {
            "100644" | "100664" => EntryKind::File { program: false },
            "100755" => EntryKind::File { program: true },
            "120000" => EntryKind::Link,
            _ => return None,
        };
        Some(TreeEntry { kind, object: object.to_owned(), size: size.parse().ok()?, path: line[tab + 1..].to_owned() })
    };
    answer.split(|byte| *byte == 0).filter_map(entry).collect()
}

/// The answer of `diff-tree --stdin -z --name-status`: a commit's name, then a letter and a path of each file that differs.
pub(super) fn changes(answer: &[u8]) -> BTreeMap<String, Vec<FileChange>> {
    let mut found: BTreeMap<String, Vec<FileChange>> = BTreeMap::new();
    let mut of = String::new();
    let mut words = answer.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    while let Some(word) = words.next() {
        let kind = match &*word {
            "" => continue,
            "A" => ChangeKind::Added,
            "D" => ChangeKind::Removed,
            "M" | "T" => ChangeKind::Changed,
            name => {
                name.clone_into(&mut of);
                continue;
            }
        };
        let Some(path) = words.next() else { break };
        let of_commit = found.entry(of.clone()).or_default();
        if of_commit.len() < MOST_CHANGES {
            of_commit.push(FileChange { path: path.into_owned(), kind });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_tells_who_when_and_by_which_door() {
        let object = "tree 1\nparent 2\nauthor a <> 1 +0000\ncommitter alice in the portal <> 1764500000 +0000\n\n\
                      what it was\n\nPaas-Door: deploy\nPaas-At: 1764500000123\nPaas-Files: 3\nPaas-Bytes: 42\n";
        let answer = format!("c0ffee commit {}\n{object}\nbad missing\n", object.len());
        let found = commits(answer.as_bytes());
        let expected = Commit {
            at: Timestamp(1_764_500_000_123),
            by: "alice in the portal".to_owned(),
            door: Door::Deploy,
            message: "what it was".to_owned(),
            files: 3,
            bytes: 42,
            has_parent: true,
            tree: "1".to_owned(),
        };
        assert_eq!(found, BTreeMap::from([("c0ffee".to_owned(), expected)]));
    }

    #[test]
    fn what_is_no_answer_of_git_s_is_nothing() {
        for answer in ["", "\n\n", "a commit 99\nshort", "a commit -1\n", "a b c d\n"] {
            assert_eq!(commits(answer.as_bytes()), BTreeMap::new(), "{answer:?}");
        }
        let empty = commits(b"a commit 0\n\n");
        assert_eq!(empty["a"].by, "");
    }

    #[test]
    fn a_tree_is_its_files_and_links_and_nothing_else() {
        let answer = "100644 blob aa       5\tserver.js\x00100755 blob bb      12\tbin/일\x00120000 blob cc 3\tlink\x00\
                      160000 commit dd -\tsubmodule\x00nonsense\x00";
        let found = tree_entries(answer.as_bytes());
        let told: Vec<_> = found.iter().map(|entry| (entry.kind, &*entry.object, entry.size)).collect();
        let file = |program| EntryKind::File { program };
        assert_eq!(told, [(file(false), "aa", 5), (file(true), "bb", 12), (EntryKind::Link, "cc", 3)]);
        assert_eq!(found[1].path, "bin/일".as_bytes());
    }

    #[test]
    fn changes_are_told_by_commit() {
        let found = changes("c1\0M\0a\0A\0M\0c2\0D\0폴더/글.html\0".as_bytes());
        let change = |kind, path: &str| FileChange { path: path.to_owned(), kind };
        assert_eq!(found["c1"], [change(ChangeKind::Changed, "a"), change(ChangeKind::Added, "M")]);
        assert_eq!(found["c2"], [change(ChangeKind::Removed, "폴더/글.html")]);
    }
}
