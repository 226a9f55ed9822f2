//! Zip, read entry by entry and written.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

use zip::read::Config;
use zip::unstable::read::ZipIterable;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipReadOptions, ZipWriter};

use super::HistoryError;
use super::archive::{Bounds, Entry, Kind, Visit, refused, unreadable};
use crate::model::{Shown, Timestamp};

/// Kinds of files, as Unix writes them.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

pub(super) fn each(file: &mut File, bounds: Bounds, visit: Visit<'_>) -> Result<(), HistoryError> {
    let at_start = || BufReader::new(Positioned { file: &*file, at: 0 });
    let found = ZipIterable::try_new(at_start(), Config::default()).map_err(unreadable)?;
    // What two programs would unpack differently is nobody's site.
    let mut found = found.enforce_header_consistency(true);
    if found.len() as u64 > bounds.entries() {
        return bounds.check(u64::MAX, 0);
    }
    let mut files = found.files_with_reader(at_start(), ZipReadOptions::new()).map_err(unreadable)?;
    while let Some(next) = files.next() {
        let mut one = next.map_err(unreadable)?;
        let path = one.name().map_err(unreadable)?.into_owned();
        let mode = one.unix_mode().unwrap_or(0);
        let is_folder = path.ends_with('/') || mode & KIND == FOLDER;
        let kind = match mode & KIND {
            _ if is_folder => Kind::Folder,
            LINK => Kind::Link,
            0 | FILE => Kind::File { program: mode & 0o111 != 0 },
            _ => return refused(format!("`{}` is no file: leave it out", Shown::new(&path))),
        };
        if one.encrypted() {
            return refused(format!("`{}` is encrypted: pack it without a password", Shown::new(&path)));
        }
        let path = path.strip_suffix('/').map_or_else(|| path.clone(), str::to_owned);
        visit(Entry { path, kind }, &mut one)?;
    }
    Ok(())
}

/// A file with a place of its own in it: two clones of one would share theirs.
struct Positioned<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.file.metadata()?.len();
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(from) => end.checked_add_signed(from),
            SeekFrom::Current(from) => self.at.checked_add_signed(from),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Packs code.
pub struct Packer<W: Write + Seek> {
    zip: ZipWriter<W>,
    at: DateTime,
}

impl<W: Write + Seek> std::fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl<W: Write + Seek> Packer<W> {
    /// Every file says that it is of this moment.
    pub fn new(out: W, at: Timestamp) -> Self {
        let civil = jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).datetime());
        let at = civil.ok().and_then(|at| {
            let part = |number: i8| u8::try_from(number).ok();
            let year = u16::try_from(at.year()).ok()?;
            let (month, day, hour) = (part(at.month())?, part(at.day())?, part(at.hour())?);
            DateTime::from_date_and_time(year, month, day, hour, part(at.minute())?, part(at.second())?).ok()
        });
        Self { zip: ZipWriter::new(out), at: at.unwrap_or_default() }
    }

    fn options(&self, mode: u32) -> SimpleFileOptions {
        SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(self.at)
            .unix_permissions(mode)
    }

    pub fn file(&mut self, path: &str, program: bool, content: &mut dyn Read) -> io::Result<u64> {
        let options = self.options(if program { 0o755 } else { 0o644 });
        self.zip.start_file(path, options)?;
        io::copy(content, &mut self.zip)
    }

    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let options = self.options(0o777);
        Ok(self.zip.add_symlink(path, target, options)?)
    }

    pub fn finish(self) -> io::Result<W> {
        Ok(self.zip.finish()?)
    }
}
