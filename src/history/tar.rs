//! Tar, compressed or not, read entry by entry.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::HistoryError;
use super::archive::{Bounds, Entry, Kind, Visit, refused, unreadable};
use crate::model::{Bytes, Shown};

/// Longest name that an entry of its own may bring: held in memory.
const MOST_NAME: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Plain,
    Gzip,
}

pub(super) fn each(file: &mut File, packed: Packed, bounds: Bounds, visit: Visit<'_>) -> Result<(), HistoryError> {
    look_at_heads(&mut open(file, packed, bounds)?, bounds)?;
    let mut archive = open(file, packed, bounds)?;
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = text(&entry.path_bytes())?;
        // As `tar -c .` writes it.
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_owned();
        let mode = entry.header().mode().map_err(unreadable)?;
        let kind = match entry.header().entry_type() {
            EntryType::Directory if path.is_empty() || path == "." => continue,
            EntryType::Directory => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File { program: mode & 0o111 != 0 },
            EntryType::Symlink => Kind::Link,
            // Of `git archive`: the commit's name.
            EntryType::XGlobalHeader => continue,
            EntryType::Link => {
                return refused(format!("`{}` is a second name of another file: pack it anew", Shown::new(&path)));
            }
            _ => return refused(format!("`{}` is no file: leave it out", Shown::new(&path))),
        };
        let target = match kind {
            Kind::Link => Some(entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default()),
            Kind::File { .. } | Kind::Folder => None,
        };
        let entry_of = Entry { path, kind };
        match target {
            Some(target) => visit(entry_of, &mut &target[..])?,
            None => visit(entry_of, &mut entry)?,
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String, HistoryError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => refused(format!(
            "`{}` is no name of a file of a site: use UTF-8",
            Shown::new(&String::from_utf8_lossy(bytes))
        )),
    }
}

fn open(file: &mut File, packed: Packed, bounds: Bounds) -> Result<Archive<Box<dyn Read>>, HistoryError> {
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let file = BufReader::with_capacity(64 << 10, file.try_clone().map_err(unreadable)?);
    // Heads and padding come to what the files have.
    let most = bounds.bytes.0.saturating_add(bounds.entries().saturating_mul(4 << 10));
    let bytes: Box<dyn Read> = match packed {
        Packed::Plain => Box::new(file),
        Packed::Gzip => Box::new(MultiGzDecoder::new(file)),
    };
    Ok(Archive::new(Box::new(Bounded { bytes, left: most, said: bounds.bytes })))
}

/// What unpacks to more than there may be ends with an error, however little it is packed.
struct Bounded<R> {
    bytes: R,
    left: u64,
    said: Bytes,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(to)?;
        let said = self.said;
        let too_much = || io::Error::other(format!("unpacked it has more than {said} (PUBLISH_MAX_BYTES)"));
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_much)?;
        Ok(read)
    }
}

/// Before anything is taken into memory: how many entries there are, and how long the names that they bring.
fn look_at_heads(archive: &mut Archive<Box<dyn Read>>, bounds: Bounds) -> Result<(), HistoryError> {
    let mut count = 0;
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let entry = entry.map_err(unreadable)?;
        count += 1;
        if count > bounds.entries().saturating_mul(2) {
            return bounds.check(u64::MAX, 0);
        }
        let kind = entry.header().entry_type();
        let is_name = kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
        if (is_name || kind.is_pax_global_extensions()) && entry.size() > MOST_NAME {
            return refused("a name in it is too long: pack it anew".to_owned());
        }
        if kind.is_gnu_sparse() {
            return refused("it has a file with holes: pack it without `--sparse`".to_owned());
        }
    }
    if count == 0 {
        return refused("it is no zip and no tar, or there is nothing in it: pack the site's folder".to_owned());
    }
    Ok(())
}
