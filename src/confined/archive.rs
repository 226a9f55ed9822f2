//! Writing a part of an archive: a frame of zstd with a part of a tar file in it. Parts written one after the other are one archive,
//! as `tar --zstd` reads it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::database;
use super::job::Part;
use super::sink::{Meta, Sink};
use crate::folders::stop::{At as _, Outcome};

/// What four slow cores compress as fast as a disk reads, in a window of two megabytes. One thread: visitors need the others.
pub(crate) const LEVEL: i32 = 3;

/// The database that is being taken, in the scratch folder.
const SCRATCH: &str = "database";

/// A tar file without its end: a part comes after it.
pub(crate) struct Frame {
    builder: Builder<Tail>,
}

impl Frame {
    pub(crate) fn new(output: File) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(output, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { builder: Builder::new(Tail { encoder, is_over: false }) })
    }

    pub(super) fn folder(&mut self, path: &Path) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o700);
        header.set_size(0);
        self.builder.append_data(&mut header, path, io::empty())
    }

    pub(super) fn file(&mut self, path: &Path, content: impl Read, meta: Meta) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(meta.mode);
        header.set_mtime(u64::try_from(meta.modified).unwrap_or(0));
        header.set_size(meta.length);
        self.builder.append_data(&mut header, path, content)
    }

    pub(crate) fn text(&mut self, name: &str, text: &[u8], modified: i64) -> io::Result<()> {
        let meta = Meta { length: text.len() as u64, blocks: 0, mode: 0o600, modified };
        self.file(Path::new(name), text, meta)
    }

    /// Ends the frame, and not the tar file.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.builder.get_mut().is_over = true;
        self.builder.into_inner()?.encoder.finish()
    }
}

impl Frame {
    /// Ends the frame and the tar file.
    pub(crate) fn finish_all(self) -> io::Result<File> {
        self.builder.into_inner()?.encoder.finish()
    }
}

/// Swallows what a builder writes at its end.
struct Tail {
    encoder: zstd::Encoder<'static, File>,
    is_over: bool,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_over { Ok(bytes.len()) } else { self.encoder.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

/// Writes what it is handed into an archive, with checksums at its end.
pub(super) struct ArchiveSink {
    frame: Frame,
    part: Part,
    scratch: Dir,
    scratch_path: PathBuf,
    sums: Vec<u8>,
}

impl ArchiveSink {
    pub(super) fn new(part: Part, scratch: Dir, output: File) -> Outcome<Self> {
        let scratch_path = database::path_of(&scratch)?;
        let mut frame = Frame::new(output).at("write", "the archive")?;
        frame.folder(Path::new(part.folder())).at("write", "the archive")?;
        Ok(Self { frame, part, scratch, scratch_path, sums: Vec::new() })
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.frame.text(self.part.sums(), &self.sums, 0).at("write", "the archive")?;
        self.frame.finish().map(drop).at("write", "the archive")
    }
}

impl Sink for ArchiveSink {
    fn folder(&mut self, path: &Path) -> Outcome {
        self.frame.folder(&Path::new(self.part.folder()).join(path)).at("archive", path)
    }

    fn file(&mut self, path: &Path, file: File, meta: Meta) -> io::Result<u64> {
        let path = Path::new(self.part.folder()).join(path);
        let mut content = Summed { file: file.take(meta.length), padding: 0, sum: Sha256::new() };
        self.frame.file(&path, (&mut content).take(meta.length), meta)?;
        sum_line(&mut self.sums, &path, &content.sum.finalize());
        Ok(meta.length - content.padding)
    }

    fn database(&mut self, path: &Path, meta: Meta, copy: &mut dyn FnMut(&Path) -> Outcome) -> Outcome {
        copy(&self.scratch_path.join(SCRATCH))?;
        let file = self.scratch.open(SCRATCH).at("open the copy of", path)?.into_std();
        let length = file.metadata().at("look at the copy of", path)?.len();
        self.file(path, file, Meta { length, ..meta }).at("archive", path)?;
        self.scratch.remove_file(SCRATCH).at("remove the copy of", path)
    }
}

/// A file, and zeros where it has become shorter: its length is written already.
struct Summed {
    file: io::Take<File>,
    padding: u64,
    sum: Sha256,
}

impl Read for Summed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = self.file.read(bytes)?;
        if read == 0 {
            bytes.fill(0);
            read = bytes.len();
            self.padding += read as u64;
        }
        self.sum.update(&bytes[..read]);
        Ok(read)
    }
}

/// A line as `sha256sum` writes it: a name with a line break in it begins with a backslash.
pub(super) fn sum_line(lines: &mut Vec<u8>, path: &Path, sum: &[u8]) {
    let name = path.as_os_str().as_bytes();
    let escaped = name.iter().any(|byte| matches!(byte, b'\n' | b'\r' | b'\\'));
    if escaped {
        lines.push(b'\\');
    }
    for byte in sum {
        lines.extend(format!("{byte:02x}").bytes());
    }
    lines.extend(b"  ");
    for byte in name {
        match byte {
            b'\n' => lines.extend(b"\\n"),
            b'\r' => lines.extend(b"\\r"),
            b'\\' => lines.extend(b"\\\\"),
            other => lines.push(*other),
        }
    }
    lines.push(b'\n');
}
