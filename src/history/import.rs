//! Code as git's `fast-import` takes it: a stream of our own making, so that no file of an app is ever a command, a
//! configuration or a filter to git.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{HistoryError, Note};
use crate::folders::{CodeAt, CodeFound, CodeReader, DiskFolders, Piece, ReadFailed};
use crate::model::{AppKey, Digest};

/// What is recorded, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Import {
    pub(super) key: AppKey,
    pub(super) code: CodeAt,
    /// The ref that will name the commit; what it named before is forgotten.
    pub(super) to: &'static str,
    /// The commit before, if there is one.
    pub(super) parent: Option<String>,
    pub(super) note: Note,
}

/// What was read.
#[derive(Debug, Clone)]
pub(super) struct Imported {
    pub(super) content: Digest,
}

/// Writes one commit. Nothing of it counts before the last line is written: whatever fails leaves the history as it was.
pub(super) fn stream(folders: &DiskFolders, import: &Import, to: File) -> Result<Imported, HistoryError> {
    let mut writer = Writer { out: BufWriter::with_capacity(64 << 10, to), import };
    let read = folders.read_code(&import.key, &import.code, &mut writer).map_err(|failed| match failed {
        ReadFailed::Code(error) => HistoryError::Folder(error),
        ReadFailed::Reader(_) => HistoryError::Pipe,
    });
    let content = read?.ok_or_else(|| HistoryError::NoCode(import.key.clone()))?;
    writer.out.write_all(b"done\n").and_then(|()| writer.out.flush()).map_err(|_| HistoryError::Pipe)?;
    Ok(Imported { content })
}

struct Writer<'i> {
    out: BufWriter<File>,
    import: &'i Import,
}

impl CodeReader for Writer<'_> {
    fn begin(&mut self, found: &CodeFound) -> io::Result<()> {
        let Import { to, parent, note, .. } = self.import;
        let message = message(note, found);
        let seconds = found.at.0.div_euclid(1000);
        let name = one_line(&note.by);
        write!(self.out, "feature done\ncommit {to}\ncommitter {name} <> {seconds} +0000\n")?;
        write!(self.out, "data {}\n{message}\n", message.len())?;
        if let Some(parent) = parent {
            writeln!(self.out, "from {parent}")?;
        }
        self.out.write_all(b"deleteall\n")
    }

    fn piece(&mut self, piece: Piece<'_>) -> io::Result<()> {
        let path = match &piece {
            Piece::File { path, .. } | Piece::Link { path, .. } => *path,
        };
        if is_git_s_own(path) {
            return Ok(());
        }
        match piece {
            Piece::File { size, program, content, .. } => {
                let mode = if program { "100755" } else { "100644" };
                write!(self.out, "M {mode} inline ")?;
                write_path(&mut self.out, path)?;
                write!(self.out, "\ndata {size}\n")?;
                let copied = io::copy(&mut io::Read::take(content, size), &mut self.out)?;
                if copied != size {
                    // It was made shorter meanwhile; what was begun is never finished.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.out.write_all(b"\n")
            }
            Piece::Link { target, .. } => {
                let target = target.as_os_str().as_bytes();
                self.out.write_all(b"M 120000 inline ")?;
                write_path(&mut self.out, path)?;
                write!(self.out, "\ndata {}\n", target.len())?;
                self.out.write_all(target)?;
                self.out.write_all(b"\n")
            }
        }
    }
}

/// A person's own repository inside the code, say.
pub(super) fn is_git_s_own(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().as_bytes().eq_ignore_ascii_case(b".git"))
}

/// Quoted as C does, whatever is in it.
pub(super) fn write_path(out: &mut impl io::Write, path: &Path) -> io::Result<()> {
    out.write_all(b"\"")?;
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => out.write_all(&[b'\\', byte])?,
            0x20..=0x7e => out.write_all(&[byte])?,
            _ => write!(out, "\\{byte:03o}")?,
        }
    }
    out.write_all(b"\"")
}

/// What a commit says, with what is not in git's own fields as trailers.
pub(super) fn message(note: &Note, found: &CodeFound) -> String {
    let subject = subject(&note.message);
    let (door, files, bytes, at) = (note.door.word(), found.files, found.bytes, found.at.0);
    // Git's own time has no milliseconds, and two versions of one second have an order.
    format!("{subject}\n\nPaas-Door: {door}\nPaas-At: {at}\nPaas-Files: {files}\nPaas-Bytes: {bytes}\n")
}

/// A name: no line ends, and nothing that would end it in a commit.
pub(super) fn one_line(text: &str) -> String {
    subject(&text.replace(['<', '>'], " "))
}

fn subject(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.is_empty() { "somebody".to_owned() } else { line.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_whatever_is_in_it() {
        let mut quoted = Vec::new();
        write_path(&mut quoted, Path::new("a \"b\"\\\n일")).unwrap();
        assert_eq!(String::from_utf8(quoted).unwrap(), r#""a \"b\"\\\012\354\235\274""#);
    }

    #[test]
    fn who_it_was_cannot_forge_another_line() {
        assert_eq!(one_line("eve <x@y>\nfrom refs/heads/main"), "eve  x@y  from refs/heads/main");
        assert_eq!(one_line("\n"), "somebody");
    }

    #[test]
    fn what_is_git_s_own_is_left_out_however_it_is_written() {
        for (path, own) in [(".git/config", true), ("a/.GIT", true), (".gitignore", false), ("git/a", false)] {
            assert_eq!(is_git_s_own(Path::new(path)), own, "{path}");
        }
    }
}
