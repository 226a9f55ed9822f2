//! A version made of another one and changes of single files, without a working copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::archive::{Bounds, refused};
use super::import::{message, one_line, write_path};
use super::list::{EntryKind, TreeEntry};
use super::names::{Names, check_name};
use super::{FileEdit, HistoryError, Note};
use crate::folders::CodeFound;
use crate::model::units::DigestOf;
use crate::model::{Shown, Timestamp, VersionId};

/// Most files that change at once.
const MOST_EDITS: usize = 100;

/// The changes, found to be good.
#[derive(Debug)]
pub(super) struct Checked {
    base: VersionId,
    edits: Vec<FileEdit>,
    found: CodeFound,
}

/// Whether they can be made to these files.
pub(super) fn check(
    base: VersionId,
    edits: Vec<FileEdit>,
    files: &[TreeEntry],
    (now, bounds): (Timestamp, Bounds),
) -> Result<Checked, HistoryError> {
    if edits.is_empty() || edits.len() > MOST_EDITS {
        return refused(format!("{} files change: send one to {MOST_EDITS} at a time", edits.len()));
    }
    let mut sizes: BTreeMap<&[u8], u64> = files.iter().map(|file| (&*file.path, file.size)).collect();
    let mut seen = BTreeSet::new();
    for edit in &edits {
        let shown = Shown::new(&edit.path);
        check_name(&edit.path).map_err(HistoryError::Unpublishable)?;
        if !seen.insert(&*edit.path) {
            return refused(format!("`{shown}` changes twice: send each file once"));
        }
        if files.iter().any(|file| file.kind == EntryKind::Link && file.path == edit.path.as_bytes()) {
            return refused(format!("`{shown}` is a link: change what it leads to"));
        }
        if edit.content.is_none() && sizes.remove(edit.path.as_bytes()).is_none() {
            return refused(format!("`{shown}` is not there, so it cannot be removed"));
        }
    }
    // What goes makes place for another spelling of its name.
    let mut names = Names::of(sizes.keys().copied());
    for FileEdit { path, content } in &edits {
        let Some(content) = content else { continue };
        if sizes.insert(path.as_bytes(), content.len() as u64).is_none() {
            names.add(path).map_err(HistoryError::Unpublishable)?;
        }
    }
    if !sizes.contains_key(&b"server.js"[..]) {
        return refused("without `server.js` nothing would answer: keep it".to_owned());
    }
    let found = CodeFound { at: now, files: sizes.len() as u64, bytes: sizes.values().sum() };
    bounds.check(found.files, found.bytes)?;
    Ok(Checked { base, edits, found })
}

impl Checked {
    /// The same changes of the same version at the same moment are the same version.
    pub(super) fn version(&self) -> VersionId {
        let mut digest = DigestOf::default();
        digest.field(b"published");
        digest.field(self.base.as_str().as_bytes());
        digest.field(&self.found.at.0.to_le_bytes());
        for edit in &self.edits {
            digest.field(edit.path.as_bytes());
            digest.field(if edit.content.is_some() { b"holds" } else { b"gone" });
            digest.field(edit.content.as_deref().unwrap_or_default());
        }
        VersionId::of(&digest.finish())
    }

    /// Writes the commit `to`, behind that of the version that was changed.
    pub(super) fn stream(&self, to: &str, note: &Note, files: &[TreeEntry], out: File) -> Result<(), HistoryError> {
        let mut out = BufWriter::new(out);
        let (text, seconds, by) = (message(note, &self.found), self.found.at.0.div_euclid(1000), one_line(&note.by));
        let base = &self.base;
        let mut write = || -> std::io::Result<()> {
            write!(out, "feature done\ncommit {to}\ncommitter {by} <> {seconds} +0000\n")?;
            write!(out, "data {}\n{text}\nfrom refs/versions/{base}\n", text.len())?;
            for edit in &self.edits {
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
    use super::*;
    use crate::model::Bytes;

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
            let bounds = Bounds { files: 4, bytes: Bytes(20) };
            match check(base, edits.collect(), &files, (Timestamp(0), bounds)) {
                Ok(checked) => format!("{} files", checked.found.files),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(told(&[("public/b.html", Some("b")), ("public/a.html", None)]), "3 files");
        for path in ["", "/etc/passwd", "../x", ".git/config"] {
            assert!(told(&[(path, Some("x"))]).contains("no name of a file"), "{path:?}");
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
        assert!(told(&[("new", Some("1")), ("New", Some("2"))]).contains("go together"));
        assert_eq!(told(&[("public/a.html", None), ("public/A.html", Some("b"))]), "3 files");
        assert!(told(&[]).contains("0 files change"));
        assert!(told(&[("b", Some("1")), ("c", Some("2"))]).contains("more than 4 files"));
        assert!(told(&[("b", Some("eighteen and more.."))]).contains("more than 20"));
    }
}
