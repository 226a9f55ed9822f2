//! Whether the files of a commit can run as a version. Pure.

use std::collections::BTreeMap;

use super::names::{check_name, folded};

/// As much as code may be anywhere else.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 512 << 20;
const MOST_DEPTH: usize = 64;
/// Longest target of a link.
const MOST_TARGET: u64 = 4 << 10;

/// The file that an app is started with.
const START: &[u8] = b"server.js";

/// Why a commit cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    NoStart,
    Submodule(String),
    /// A link leads out of the code.
    LinkOut(String),
    Name(String),
    /// Some computer cannot tell these two apart.
    Clash(String, String),
    TooDeep(String),
    TooMany {
        most: usize,
    },
    TooLarge {
        most_mib: u64,
    },
}

/// What a fit commit consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub files: u64,
    pub bytes: u64,
}

/// A link whose target has yet to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) path: Vec<u8>,
    pub(super) object: String,
}

/// Judges the answer of `ls-tree -r -z -l`: mode, kind, name and size, then a tab and the path.
pub(super) fn check(tree: &[u8]) -> Result<(Extent, Vec<Link>), Unfit> {
    let (mut extent, mut links, mut starts) = (Extent { files: 0, bytes: 0 }, Vec::new(), false);
    let mut spellings: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for line in tree.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let tab = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        let (head, path) = (String::from_utf8_lossy(&line[..tab]), line.get(tab + 1..).unwrap_or_default());
        let shown = || String::from_utf8_lossy(path).into_owned();
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let [mode, kind, object, size] = words[..] else { return Err(Unfit::Name(shown())) };
        let Ok(text) = std::str::from_utf8(path) else { return Err(Unfit::Name(shown())) };
        check_name(text).map_err(|_| Unfit::Name(shown()))?;
        if text.split('/').count() > MOST_DEPTH {
            return Err(Unfit::TooDeep(shown()));
        }
        if kind != "blob" {
            return Err(Unfit::Submodule(shown()));
        }
        let size = size.parse().unwrap_or(u64::MAX);
        if mode == "120000" {
            if size > MOST_TARGET {
                return Err(Unfit::LinkOut(shown()));
            }
            links.push(Link { path: path.to_vec(), object: object.to_owned() });
        }
        starts |= path == START && mode != "120000";
        remember(&mut spellings, text)?;
        extent.files += 1;
        extent.bytes = extent.bytes.saturating_add(size);
        if extent.files > MOST_FILES as u64 {
            return Err(Unfit::TooMany { most: MOST_FILES });
        }
        if extent.bytes > MOST_BYTES {
            return Err(Unfit::TooLarge { most_mib: MOST_BYTES >> 20 });
        }
    }
    if starts { Ok((extent, links)) } else { Err(Unfit::NoStart) }
}

/// Its folders and itself, as a computer sees them that tells neither case nor Unicode's forms of the same letters apart.
fn remember(known: &mut BTreeMap<String, (String, bool)>, path: &str) -> Result<(), Unfit> {
    let ends = path.match_indices('/').map(|(end, _)| (end, true)).chain([(path.len(), false)]);
    for (end, is_folder) in ends {
        let name = &path[..end];
        let (other, was_folder) = known.entry(folded(name)).or_insert_with(|| (name.to_owned(), is_folder));
        if other != name || *was_folder != is_folder {
            return Err(Unfit::Clash(other.clone(), path.to_owned()));
        }
    }
    Ok(())
}

/// Whether a link stays within the code, wherever it leads there.
pub(super) fn check_link(path: &[u8], target: &[u8]) -> Result<(), Unfit> {
    let out = || Unfit::LinkOut(String::from_utf8_lossy(path).into_owned());
    if target.is_empty() || target[0] == b'/' || target.contains(&0) {
        return Err(out());
    }
    // Below the folder that it is in.
    let mut depth = path.split(|byte| *byte == b'/').count() - 1;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).ok_or_else(out)?,
            _ => depth += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(entries: &[(&str, &str)]) -> Result<Extent, Unfit> {
        let line = |(head, path): &(&str, &str)| format!("{head}\t{path}\0");
        check(entries.iter().map(line).collect::<String>().as_bytes()).map(|(extent, _)| extent)
    }

    const FILE: &str = "100644 blob aa 5";
    const START: (&str, &str) = (FILE, "server.js");

    #[test]
    fn code_that_can_run_has_its_start_and_nothing_that_leads_elsewhere() {
        assert_eq!(judged(&[START, (FILE, "공개/글.html")]), Ok(Extent { files: 2, bytes: 10 }));
        assert_eq!(judged(&[]), Err(Unfit::NoStart));
        assert_eq!(judged(&[(FILE, "app/server.js")]), Err(Unfit::NoStart));
        assert_eq!(judged(&[("120000 blob aa 5", "server.js")]), Err(Unfit::NoStart));
        assert_eq!(judged(&[START, ("160000 commit aa -", "lib")]), Err(Unfit::Submodule("lib".to_owned())));
        for name in ["a\\b", "a\nb", "x/.GIT/config", "../a", "a//b"] {
            assert_eq!(judged(&[START, (FILE, name)]), Err(Unfit::Name(name.to_owned())));
        }
        let deep = "a/".repeat(64) + "b";
        assert_eq!(judged(&[START, (FILE, &deep)]), Err(Unfit::TooDeep(deep.clone())));
        assert!(matches!(judged(&[START, ("100644 blob aa 999999999999", "big")]), Err(Unfit::TooLarge { .. })));
    }

    #[test]
    fn two_names_that_some_computer_cannot_tell_apart_do_not_go_together() {
        for (one, other) in [("a.html", "A.html"), ("a/b", "A/c"), ("caf\u{e9}", "cafe\u{301}"), ("b", "b/c")] {
            let judged = judged(&[START, (FILE, one), (FILE, other)]);
            assert!(matches!(judged, Err(Unfit::Clash(..))), "{one} {other}: {judged:?}");
        }
    }

    #[test]
    fn a_link_stays_within_the_code() {
        for (path, target, stays) in [
            ("link", "server.js", true),
            ("a/b/link", "../../server.js", true),
            ("a/link", "./../public/", true),
            ("link", "../server.js", false),
            ("a/link", "../../etc/passwd", false),
            ("a/link", "x/../../../y", false),
            ("link", "/etc/passwd", false),
            ("link", "", false),
        ] {
            assert_eq!(check_link(path.as_bytes(), target.as_bytes()).is_ok(), stays, "{path} {target}");
        }
    }
}
