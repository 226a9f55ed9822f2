//! A version made of another one and changes of single files, without a working copy.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Component, Path};

use super::import::{is_git_s_own, message, one_line, write_path};
use super::list::{EntryKind, TreeEntry};
use super::{Edits, HistoryError, Note};
use crate::folders::CodeFound;
use crate::model::units::DigestOf;
use crate::model::{Shown, Timestamp, VersionId};

/// Most files that change at once.
const MOST_EDITS: usize = 100;
/// Most bytes of a path.
const MOST_PATH: usize = 512;

/// The changes, found to be good.
#[derive(Debug)]
pub(super) struct Checked {
    edits: Edits,
    found: CodeFound,
}

/// Whether they can be made to these files.
pub(super) fn check(edits: Edits, files: &[TreeEntry], now: Timestamp) -> Result<Checked, HistoryError> {
    let refused = |why: String| Err(HistoryError::Unpublishable(why));
    if edits.edits.is_empty() || edits.edits.len() > MOST_EDITS {
        return refused(format!("{} files change: send one to {MOST_EDITS} at a time", edits.edits.len()));
    }
    let mut names: BTreeSet<&[u8]> = files.iter().map(|file| &*file.path).collect();
    let mut bytes: u64 = files.iter().map(|file| file.size).sum();
    let mut seen = BTreeSet::new();
    for edit in &edits.edits {
        let path = Path::new(&edit.path);
        let shown = Shown::new(&edit.path);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)))
            && !edit.path.is_empty()
            && edit.path.len() <= MOST_PATH
            && !edit.path.ends_with('/')
            && !edit.path.contains("//")
            && !edit.path.contains('\\')
            && !edit.path.chars().any(char::is_control);
        if !is_plain || is_git_s_own(path) {
            return refused(format!("`{shown}` is no name of a file of a site: write it like `public/index.html`"));
        }
        if !seen.insert(&*edit.path) {
            return refused(format!("`{shown}` changes twice: send each file once"));
        }
        // A folder and a file, or two files, that only some computers can tell apart.
        let (folded, inside) = (edit.path.to_lowercase(), format!("{}/", edit.path));
        let clash = files.iter().map(|file| String::from_utf8_lossy(&file.path)).find(|other| {
            (other.to_lowercase() == folded && **other != *edit.path)
                || other.starts_with(&inside)
                || edit.path.starts_with(&format!("{other}/"))
        });
        if let Some(other) = clash.filter(|_| edit.content.is_some()) {
            let other = Shown::new(&other);
            return refused(format!(
                "`{shown}` does not go together with `{other}`, which is there: choose another name"
            ));
        }
        let is_link = files.iter().any(|file| file.kind == EntryKind::Link && file.path == edit.path.as_bytes());
        if is_link {
            return refused(format!("`{shown}` is a link: change what it leads to"));
        }
        match &edit.content {
            Some(content) => {
                names.insert(edit.path.as_bytes());
                bytes = bytes.saturating_add(content.len() as u64);
            }
            None if names.remove(edit.path.as_bytes()) => {}
            None => return refused(format!("`{shown}` is not there, so it cannot be removed")),
        }
    }
    if !names.contains(&b"server.js"[..]) {
        return refused("without `server.js` nothing would answer: keep it".to_owned());
    }
    let found = CodeFound { at: now, files: names.len() as u64, bytes };
    Ok(Checked { edits, found })
}

impl Checked {
    /// The same changes of the same version at the same moment are the same version.
    pub(super) fn version(&self) -> VersionId {
        let mut digest = DigestOf::default();
        digest.field(b"published");
        digest.field(self.edits.base.as_str().as_bytes());
        digest.field(&self.found.at.0.to_le_bytes());
        for edit in &self.edits.edits {
            digest.field(edit.path.as_bytes());
            digest.field(if edit.content.is_some() { b"holds" } else { b"gone" });
            digest.field(edit.content.as_deref().unwrap_or_default());
        }
        VersionId::of(&digest.finish())
    }

    /// Writes the commit `to`, behind `base`.
    pub(super) fn stream(&self, base: &str, files: &[TreeEntry], to: &str, out: File) -> Result<(), HistoryError> {
        let mut out = BufWriter::new(out);
        let Edits { edits, by, message: subject, .. } = &self.edits;
        let note = Note { by: by.clone(), door: super::Door::Publish, message: subject.clone() };
        let (text, seconds, by) = (message(&note, &self.found), self.found.at.0.div_euclid(1000), one_line(by));
        let mut write = || -> std::io::Result<()> {
            write!(out, "feature done\ncommit {to}\ncommitter {by} <> {seconds} +0000\n")?;
            write!(out, "data {}\n{text}\nfrom {base}\n", text.len())?;
            for edit in edits {
                let path = Path::new(&edit.path);
                let Some(content) = &edit.content else {
                    out.write_all(b"D ")?;
                    write_path(&mut out, path)?;
                    out.write_all(b"\n")?;
                    continue;
                };
                let was = files.iter().find(|file| file.path == edit.path.as_bytes()).map(|file| file.kind);
                let mode = if was == Some(EntryKind::File { program: true }) { "100755" } else { "100644" };
                write!(out, "M {mode} inline ")?;
                write_path(&mut out, path)?;
                write!(out, "\ndata {}\n", content.len())?;
                out.write_all(content)?;
                out.write_all(b"\n")?;
            }
            out.write_all(b"done\n")?;
            out.flush()
        };
        write().map_err(|_| HistoryError::Pipe)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FileEdit;
    use super::*;

    #[test]
    fn only_files_of_a_site_are_changed_and_never_so_that_nothing_would_answer() {
        let file =
            |path: &str, kind| TreeEntry { kind, object: String::new(), size: 1, path: path.as_bytes().to_vec() };
        let plain = EntryKind::File { program: false };
        let files = [file("server.js", plain), file("public/a.html", plain), file("link", EntryKind::Link)];
        let told = |edits: &[(&str, Option<&str>)]| {
            let edits = edits.iter().map(|(path, content)| FileEdit {
                path: (*path).to_owned(),
                content: content.map(|content| content.as_bytes().to_vec()),
            });
            let base = VersionId::parse("0123456789abcdef").unwrap();
            let edits = Edits { base, edits: edits.collect(), by: String::new(), message: String::new() };
            match check(edits, &files, Timestamp(0)) {
                Ok(checked) => format!("{} files", checked.found.files),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(told(&[("public/b.html", Some("b")), ("public/a.html", None)]), "3 files");
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".git/config", "x/.GIT", "a\\b", "a\nb", "./a"]
        {
            assert!(
                told(&[(path, Some("x"))]).contains("no name of a file"),
                "{path:?}: {}",
                told(&[(path, Some("x"))])
            );
        }
        for (path, why) in [
            ("PUBLIC/a.html", "go together"),
            ("server.js/x", "go together"),
            ("public", "go together"),
            ("link", "a link"),
        ] {
            assert!(told(&[(path, Some("x"))]).contains(why), "{path}: {}", told(&[(path, Some("x"))]));
        }
        assert!(told(&[("server.js", None)]).contains("nothing would answer"));
        assert!(told(&[("nowhere", None)]).contains("not there"));
        assert!(told(&[("a", Some("1")), ("a", Some("2"))]).contains("twice"));
        assert!(told(&[]).contains("0 files change"));
    }
}
