//! Reading an archive, which may come from anywhere: judged as a whole first, then unpacked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use super::archive::sum_line;
use super::job::{Bounds, Part, Report};
use super::sink::{self, Meta};
use super::{database, tree};
use crate::folders::stop::{At as _, Outcome, refuse};
use crate::model::{Bytes, Shown};

/// A note or a manifest.
const MOST_TEXT: u64 = 64 << 10;
const MOST_LEVELS: usize = 128;
const MOST_NAME: usize = 255;
/// Eight megabytes: more than any level that is sensible here asks for.
const WINDOW: u32 = 23;

type Reading<'a> = Archive<io::Take<zstd::Decoder<'static, BufReader<&'a mut File>>>>;

fn open(file: &mut File, bounds: Bounds) -> Outcome<Reading<'_>> {
    file.rewind().at("read", "the archive")?;
    let mut decoder = zstd::Decoder::new(file).at("read", "the archive")?;
    decoder.window_log_max(WINDOW).at("read", "the archive")?;
    // Headers and padding of each entry, and long names.
    let most = bounds.bytes.saturating_add(bounds.entries.saturating_mul(8 << 10)).saturating_add(64 << 20);
    Ok(Archive::new(decoder.take(most)))
}

/// What an entry of an archive is.
enum Found {
    /// Below the folder of a part; empty = that folder itself.
    Folder(Part, PathBuf),
    File(Part, PathBuf),
    Sums(Part),
    Note,
    Manifest,
}

/// Reads all of it and changes nothing.
pub(super) fn judge(file: &mut File, bounds: Bounds) -> Outcome<Report> {
    let mut report = Report::default();
    let mut sums: BTreeMap<&str, BTreeMap<PathBuf, Vec<u8>>> = BTreeMap::new();
    let mut checked = Vec::new();
    let mut archive = open(file, bounds)?;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if report.files + report.folders >= bounds.entries {
            return Err(refuse(format!("the archive holds more than {} files and folders", bounds.entries)));
        }
        let size = entry.size();
        if size > bounds.bytes.saturating_sub(report.bytes) {
            return Err(refuse(format!("the archive unpacks to more than {}", Bytes(bounds.bytes))));
        }
        match look(&entry)? {
            Found::Folder(..) => report.folders += 1,
            Found::File(part, path) => {
                report.files += 1;
                report.bytes += size;
                let mut sum = Sha256::new();
                io::copy(&mut entry, &mut Summing(&mut sum)).map_err(broken)?;
                let mut line = Vec::new();
                sum_line(&mut line, &Path::new(part.folder()).join(&path), &sum.finalize());
                if sums.entry(part.folder()).or_default().insert(path.clone(), line).is_some() {
                    return Err(refuse(format!("the archive holds {} twice", Shown::path(&path))));
                }
            }
            Found::Sums(part) => {
                let mut expected = Vec::new();
                entry.read_to_end(&mut expected).map_err(broken)?;
                let found = sums.remove(part.folder()).unwrap_or_default();
                compare(&expected, &found)?;
                checked.push(part.folder());
            }
            Found::Note => report.note = Some(text(&mut entry)?),
            Found::Manifest => report.manifest = Some(text(&mut entry)?),
        }
    }
    if report.note.is_none() || !checked.contains(&Part::Data.folder()) || !sums.is_empty() {
        return Err(refuse("the archive is cut off, or no backup of minipaas: take another one"));
    }
    Ok(report)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn broken(error: io::Error) -> crate::folders::stop::Stop {
    refuse(format!("the archive cannot be read ({error}): it is damaged or cut off; take another one"))
}

/// The lines, in any order, are those that were made of what was read.
fn compare(expected: &[u8], found: &BTreeMap<PathBuf, Vec<u8>>) -> Outcome {
    let mut lines: Vec<&[u8]> = expected.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    for (path, line) in found {
        if lines.binary_search(&line.as_slice()).is_err() {
            return Err(refuse(format!(
                "{} in the archive is not what was written there: it is damaged; take another one",
                Shown::path(path)
            )));
        }
    }
    if lines.len() != found.len() {
        return Err(refuse("files are missing in the archive: it is damaged; take another one"));
    }
    Ok(())
}

fn text(entry: &mut impl Read) -> Outcome<String> {
    let mut bytes = Vec::new();
    entry.take(MOST_TEXT + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 > MOST_TEXT {
        return Err(refuse("the archive's note is too long: it is no backup of minipaas"));
    }
    String::from_utf8(bytes).map_err(|_| refuse("the archive's note is no text: it is no backup of minipaas"))
}

fn look<R: Read>(entry: &Entry<'_, R>) -> Outcome<Found> {
    let name = entry.path_bytes();
    let shown = PathBuf::from(OsStr::from_bytes(&name));
    let not_ours = |why: &str| {
        Err(refuse(format!("the archive holds {}, {why}: minipaas unpacks nothing of it", Shown::path(&shown))))
    };
    let is_folder = match entry.header().entry_type() {
        EntryType::Directory => true,
        EntryType::Regular => false,
        _ => return not_ours("which is a link, a device or something else that no backup has"),
    };
    let Some(parts) = components(&name) else {
        return not_ours("a name that leads elsewhere or is too long");
    };
    let below: PathBuf = parts[1..].iter().map(|part| OsStr::from_bytes(part)).collect();
    for part in Part::ALL {
        if parts[0] == part.folder().as_bytes() {
            if is_folder {
                return Ok(Found::Folder(part, below));
            }
            if parts.len() > 1 {
                return Ok(Found::File(part, below));
            }
        }
        if !is_folder && parts.len() == 1 && parts[0] == part.sums().as_bytes() {
            return Ok(Found::Sums(part));
        }
    }
    match parts[..] {
        [b"backup.json"] if !is_folder => Ok(Found::Note),
        [b"manifest.yaml"] if !is_folder => Ok(Found::Manifest),
        _ => not_ours("which no backup has"),
    }
}

/// `None`: absolute, with `..` or `.` or an empty one in it, too deep, too long.
fn components(name: &[u8]) -> Option<Vec<&[u8]>> {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    let fine = |part: &&[u8]| {
        !part.is_empty() && *part != b"." && *part != b".." && part.len() <= MOST_NAME && !part.contains(&0)
    };
    (parts.len() <= MOST_LEVELS && parts.iter().all(fine)).then_some(parts)
}

struct Summing<'a>(&'a mut Sha256);

impl io::Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks the data of an archive that was judged, and checks its databases.
pub(super) fn unpack(file: &mut File, into: &Dir, mut report: Report, bounds: Bounds) -> Outcome<Report> {
    let mut archive = open(file, bounds)?;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        match look(&entry)? {
            Found::Folder(Part::Data, path) if path.as_os_str().is_empty() => {}
            Found::Folder(Part::Data, path) => into.create_dir(&path).at("make", &path)?,
            Found::File(Part::Data, path) => {
                let header = entry.header();
                let meta = Meta {
                    length: entry.size(),
                    blocks: 0,
                    mode: header.mode().map_err(broken)? & 0o777 | 0o600,
                    modified: i64::try_from(header.mtime().map_err(broken)?).unwrap_or(0),
                };
                sink::put(into, &path, &mut entry, meta).at("write", &path)?;
            }
            _ => {}
        }
    }
    tree::remove_companions(into)?;
    let top = database::path_of(into)?;
    tree::each_database(into, &mut |path| {
        report.databases += 1;
        if database::check(&top.join(path), path)? == database::Checked::No {
            Report::name(&mut report.unchecked, path);
        }
        Ok(())
    })?;
    Ok(report)
}
