//! Names that the files of a version may have, wherever they come from: they are written to a disk, sent in an archive, and
//! read on computers that tell less apart than this one.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use unicode_normalization::UnicodeNormalization as _;

use super::import::is_git_s_own;
use crate::model::Shown;

/// Most bytes of a path.
const MOST_PATH: usize = 512;
/// Most bytes of one part of it, as file systems have it.
const MOST_PART: usize = 255;

/// Why a file cannot have that name.
pub(super) fn check_name(path: &str) -> Result<(), String> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
        && !path.is_empty()
        && path.len() <= MOST_PATH
        && path.split('/').all(|part| !part.is_empty() && part != "." && part.len() <= MOST_PART)
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    if plain && !is_git_s_own(Path::new(path)) {
        return Ok(());
    }
    Err(format!("`{}` is no name of a file of a site: write it like `public/index.html`", Shown::new(path)))
}

/// As a computer sees it that tells neither case nor Unicode's forms of the same letters apart.
pub(super) fn folded(path: &str) -> String {
    path.nfd().flat_map(char::to_lowercase).nfc().collect()
}

/// One spelling of a file or folder.
#[derive(Debug, PartialEq, Eq)]
struct Spelling {
    path: String,
    is_folder: bool,
}

/// The files of a version, and the folders that they are in.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<String, Spelling>,
}

impl Names {
    /// What is there already, whatever it is called.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p [u8]>) -> Self {
        let mut names = Self::default();
        for path in paths {
            // One that clashes was there before; only what is new is judged.
            let _ = names.add(&String::from_utf8_lossy(path));
        }
        names
    }

    /// One more file, or the same one again.
    pub(super) fn add(&mut self, path: &str) -> Result<(), String> {
        let ends = path.match_indices('/').map(|(end, _)| (end, true)).chain([(path.len(), false)]);
        for (end, is_folder) in ends {
            let spelling = Spelling { path: path[..end].to_owned(), is_folder };
            let known = self
                .known
                .entry(folded(&path[..end]))
                .or_insert_with(|| Spelling { path: spelling.path.clone(), is_folder });
            if *known != spelling {
                let (path, other) = (Shown::new(path), Shown::new(&known.path));
                return Err(format!("`{path}` does not go together with `{other}`: choose another name"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_safe_everywhere_are_taken() {
        for path in ["server.js", "public/사진 1.jpg", "a/b/c.d", "..a", "a..", ".gitignore", ".well-known/x"] {
            assert_eq!(check_name(path), Ok(()), "{path}");
        }
        let (long, deep) = ("a".repeat(256), "a/".repeat(256) + "b");
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            ".git/config",
            "x/.GIT",
            "a\\b",
            "a\nb",
            "a\u{0}b",
            "a\u{7f}",
            &long,
            &deep,
        ] {
            assert!(check_name(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn two_names_that_some_computer_cannot_tell_apart_do_not_go_together() {
        for (first, second) in [
            ("a.html", "A.html"),
            ("public/a", "PUBLIC/b"),
            // The same letter, composed and not.
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{d55c}/a", "\u{1112}\u{1161}\u{11ab}/b"),
            ("a", "a/b"),
            ("a/b", "a"),
            ("a/b", "A"),
        ] {
            let mut names = Names::default();
            names.add(first).unwrap();
            assert!(names.add(second).unwrap_err().contains("go together"), "{first} and {second}");
            assert_eq!(names.add(first), Ok(()), "the same one again");
        }
        let mut names = Names::of([&b"a/b"[..], b"a/B", b"c"].into_iter());
        assert_eq!(names.add("a/c"), Ok(()));
    }
}
