//! The last 24 hours of every app in one file of a fixed size: a table of names, then a place for each five minutes, which is
//! written over a day later.
//!
//! # Crash
//! A place that was written in part does not fit its checksum and counts as empty; so does what a power loss left behind. The rest
//! stays. Nothing is flushed: a few minutes of a graph are not worth a wait for the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::model::AppKey;

/// Between two samples.
pub const EVERY_SECONDS: u64 = 300;
/// A day of them.
pub const SLOTS: u64 = 24 * 3600 / EVERY_SECONDS;
/// Apps beyond so many are not recorded.
pub const MOST_APPS: usize = 1024;

const MAGIC: &[u8; 16] = b"minipaas usage 1";
/// Length, name, the number of the first slot that is this app's, checksum.
const NAME_BYTES: usize = 64;
const NAMES_AT: u64 = MAGIC.len() as u64;
const SLOTS_AT: u64 = NAMES_AT + (NAME_BYTES * MOST_APPS) as u64;
const HEAD_BYTES: usize = 16;
const RECORD_BYTES: usize = 10;
const SLOT_BYTES: u64 = (HEAD_BYTES + RECORD_BYTES * MOST_APPS) as u64;
const FILE_BYTES: u64 = SLOTS_AT + SLOT_BYTES * SLOTS;

/// What one app used. `None`: not known, or nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Thousandths of a core, on average since the sample before.
    pub cpu: Option<u16>,
    pub memory_kib: Option<u32>,
    pub disk_kib: Option<u32>,
}

impl Used {
    fn write(self, to: &mut [u8]) {
        to[..2].copy_from_slice(&self.cpu.unwrap_or(u16::MAX).to_le_bytes());
        to[2..6].copy_from_slice(&self.memory_kib.unwrap_or(u32::MAX).to_le_bytes());
        to[6..].copy_from_slice(&self.disk_kib.unwrap_or(u32::MAX).to_le_bytes());
    }

    fn read(from: &[u8]) -> Self {
        Self {
            cpu: Some(u16_at(from, 0)).filter(|cpu| *cpu != u16::MAX),
            memory_kib: Some(u32_at(from, 2)).filter(|memory| *memory != u32::MAX),
            disk_kib: Some(u32_at(from, 6)).filter(|disk| *disk != u32::MAX),
        }
    }
}

/// A sample of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Seconds since 1970, a multiple of [`EVERY_SECONDS`].
    pub at: u64,
    pub used: Used,
}

/// The file, opened. One writer.
#[derive(Debug)]
pub struct Ring {
    file: File,
    /// Which place of a slot is whose, and since which slot.
    apps: BTreeMap<AppKey, (usize, u32)>,
}

impl Ring {
    /// One that is missing, or no file of this version, is made anew: what it had is lost, which costs a graph.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let mut magic = [0; MAGIC.len()];
        let is_ours = file.metadata()?.len() == FILE_BYTES && file.read_exact_at(&mut magic, 0).is_ok();
        if !is_ours || magic != *MAGIC {
            file.set_len(0)?;
            // Mostly holes: what nobody writes takes no room on the disk.
            file.set_len(FILE_BYTES)?;
            file.write_all_at(MAGIC, 0)?;
        }
        let mut names = vec![0; NAME_BYTES * MOST_APPS];
        file.read_exact_at(&mut names, NAMES_AT)?;
        let entries = names.chunks_exact(NAME_BYTES).enumerate();
        let apps = entries.filter_map(|(place, entry)| read_name(entry).map(|(app, since)| (app, (place, since))));
        Ok(Self { apps: apps.collect(), file })
    }

    /// Writes one sample of these apps, all others having none. An app that is new takes the first place that is nobody's.
    ///
    /// # Errors
    /// Those of the file system; the samples before stay readable.
    pub fn write(&mut self, at: u64, samples: &BTreeMap<AppKey, Used>) -> io::Result<()> {
        let slot = at / EVERY_SECONDS;
        let number = u32::try_from(slot).unwrap_or(u32::MAX);
        self.make_places(number, samples)?;
        let places = samples.iter().filter_map(|(app, used)| self.apps.get(app).map(|(place, _)| (*place, *used)));
        let places: BTreeMap<usize, Used> = places.collect();
        let count = places.keys().next_back().map_or(0, |last| last + 1);
        let mut bytes = vec![0; HEAD_BYTES + RECORD_BYTES * count];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::try_from(count).unwrap_or(0).to_le_bytes());
        for (place, record) in bytes[HEAD_BYTES..].chunks_exact_mut(RECORD_BYTES).enumerate() {
            places.get(&place).copied().unwrap_or_default().write(record);
        }
        let sum = checksum(&[&bytes[..8], &bytes[HEAD_BYTES..]]);
        bytes[8..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&bytes, place_of(slot))
    }

    fn make_places(&mut self, number: u32, samples: &BTreeMap<AppKey, Used>) -> io::Result<()> {
        let new: Vec<_> = samples.keys().filter(|app| !self.apps.contains_key(*app)).cloned().collect();
        for app in new {
            let taken: Vec<usize> =
                self.apps.iter().filter(|(app, _)| samples.contains_key(*app)).map(|(_, (place, _))| *place).collect();
            let Some(place) = (0..MOST_APPS).find(|place| !taken.contains(place)) else { return Ok(()) };
            // Whose it was is gone; its samples are older than the new owner's first.
            self.apps.retain(|_, (other, _)| *other != place);
            self.file.write_all_at(&write_name(&app, number), NAMES_AT + (place * NAME_BYTES) as u64)?;
            self.apps.insert(app, (place, number));
        }
        Ok(())
    }

    /// One app's samples of the last day, oldest first.
    #[must_use]
    pub fn of(&self, app: &AppKey, now: u64) -> Vec<Point> {
        let Some(&(place, since)) = self.apps.get(app) else { return Vec::new() };
        let mut found = Vec::new();
        self.each(now, |number, records| {
            if number >= since
                && let Some(record) = records.get(place * RECORD_BYTES..(place + 1) * RECORD_BYTES)
            {
                found.push(Point { at: u64::from(number) * EVERY_SECONDS, used: Used::read(record) });
            }
        });
        found.retain(|point| point.used != Used::default());
        found
    }

    /// Every app's samples of the last day, oldest first.
    #[must_use]
    pub fn all(&self, now: u64) -> BTreeMap<AppKey, Vec<Point>> {
        let mut found: BTreeMap<AppKey, Vec<Point>> = BTreeMap::new();
        self.each(now, |number, records| {
            for (app, (place, since)) in &self.apps {
                let Some(record) = records.get(place * RECORD_BYTES..(place + 1) * RECORD_BYTES) else { continue };
                let used = Used::read(record);
                if number >= *since && used != Used::default() {
                    let point = Point { at: u64::from(number) * EVERY_SECONDS, used };
                    found.entry(app.clone()).or_default().push(point);
                }
            }
        });
        found
    }

    /// Each sample of the last day that is whole. What cannot be read counts as not there.
    fn each(&self, now: u64, mut take: impl FnMut(u32, &[u8])) {
        let last = now / EVERY_SECONDS;
        let mut bytes = vec![0; HEAD_BYTES];
        for slot in (last + 1).saturating_sub(SLOTS)..=last {
            bytes.resize(HEAD_BYTES, 0);
            if self.file.read_exact_at(&mut bytes, place_of(slot)).is_err() {
                continue;
            }
            let (number, count) = (u32_at(&bytes, 0), u32_at(&bytes, 4) as usize);
            if u64::from(number) != slot || count > MOST_APPS {
                continue;
            }
            bytes.resize(HEAD_BYTES + count * RECORD_BYTES, 0);
            let rest = self.file.read_exact_at(&mut bytes[HEAD_BYTES..], place_of(slot) + HEAD_BYTES as u64);
            let (head, records) = bytes.split_at(HEAD_BYTES);
            let sum = u64::from_le_bytes(head[8..].try_into().unwrap_or_default());
            if rest.is_ok() && sum == checksum(&[&head[..8], records]) {
                take(number, records);
            }
        }
    }
}

fn place_of(slot: u64) -> u64 {
    SLOTS_AT + (slot % SLOTS) * SLOT_BYTES
}

fn write_name(app: &AppKey, since: u32) -> [u8; NAME_BYTES] {
    let mut entry = [0; NAME_BYTES];
    let name = app.to_string();
    // A name has at most 51 letters.
    let length = name.len().min(NAME_BYTES - 13);
    entry[0] = u8::try_from(length).unwrap_or(0);
    entry[1..=length].copy_from_slice(&name.as_bytes()[..length]);
    entry[NAME_BYTES - 12..NAME_BYTES - 8].copy_from_slice(&since.to_le_bytes());
    let sum = checksum(&[&entry[..NAME_BYTES - 8]]);
    entry[NAME_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    entry
}

fn read_name(entry: &[u8]) -> Option<(AppKey, u32)> {
    let (fields, sum) = entry.split_at(NAME_BYTES - 8);
    let length = usize::from(*fields.first()?);
    let is_whole = u64::from_le_bytes(sum.try_into().ok()?) == checksum(&[fields]);
    let name = std::str::from_utf8(fields.get(1..=length)?).ok()?;
    let app = AppKey::parse(name).ok().filter(|_| is_whole && length > 0)?;
    Some((app, u32_at(fields, NAME_BYTES - 12)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// FNV-1a: it tells a torn write from a whole one; nobody else writes here.
fn checksum(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 20_000 * DAY;

    fn app(name: &str) -> AppKey {
        AppKey::parse(name).unwrap()
    }

    fn used(cpu: u16) -> Used {
        Used { cpu: Some(cpu), memory_kib: Some(u32::from(cpu) * 10), disk_kib: None }
    }

    fn samples(of: &[(&str, u16)]) -> BTreeMap<AppKey, Used> {
        of.iter().map(|(name, cpu)| (app(name), used(*cpu))).collect()
    }

    fn cpus(points: &[Point]) -> Vec<u16> {
        points.iter().filter_map(|point| point.used.cpu).collect()
    }

    #[test]
    fn a_day_is_kept_across_restarts_and_what_is_older_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage");
        for slot in 0..SLOTS + 3 {
            // Opened anew each time, as by a daemon that starts.
            let mut ring = Ring::open(&path).unwrap();
            let cpu = u16::try_from(slot).unwrap();
            ring.write(NOW + slot * EVERY_SECONDS, &samples(&[("alice-diary", cpu), ("bob-page", 7)])).unwrap();
        }
        let ring = Ring::open(&path).unwrap();
        let end = NOW + (SLOTS + 2) * EVERY_SECONDS;
        let points = ring.of(&app("alice-diary"), end);
        assert_eq!(points.len() as u64, SLOTS);
        assert_eq!((points[0].at, points[0].used), (NOW + 3 * EVERY_SECONDS, used(3)));
        assert_eq!(ring.all(end)[&app("bob-page")].len() as u64, SLOTS);
        // Half a day without a daemon leaves a gap, not old figures in a new place.
        assert_eq!(ring.of(&app("alice-diary"), end + DAY / 2).len() as u64, SLOTS / 2);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), FILE_BYTES);
    }

    #[test]
    fn a_torn_sample_is_none_and_a_strange_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage");
        let mut ring = Ring::open(&path).unwrap();
        for slot in 0..3 {
            ring.write(NOW + slot * EVERY_SECONDS, &samples(&[("alice-diary", 1), ("bob-page", 2)])).unwrap();
        }
        let middle = place_of(NOW / EVERY_SECONDS + 1);
        ring.file.write_all_at(&[99], middle + HEAD_BYTES as u64 + 3).unwrap();
        assert_eq!(cpus(&ring.of(&app("bob-page"), NOW + 2 * EVERY_SECONDS)), [2, 2]);
        // A name that was written in part is nobody's.
        ring.file.write_all_at(b"x", NAMES_AT + 3).unwrap();
        let ring = Ring::open(&path).unwrap();
        assert_eq!(cpus(&ring.of(&app("alice-diary"), NOW)), [0; 0]);
        assert_eq!(cpus(&ring.of(&app("bob-page"), NOW)), [2]);
        drop(ring);
        File::create(&path).unwrap().write_all_at(&[7; 5000], 0).unwrap();
        assert_eq!(Ring::open(&path).unwrap().all(NOW), BTreeMap::new());
    }

    #[test]
    fn a_place_is_taken_over_without_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(&folder.path().join("usage")).unwrap();
        let at = |slot: u64| NOW + slot * EVERY_SECONDS;
        ring.write(at(0), &samples(&[("alice-diary", 1), ("bob-page", 2)])).unwrap();
        // Asleep for a while: its place stays its own as long as nobody needs it.
        ring.write(at(1), &samples(&[("bob-page", 3)])).unwrap();
        ring.write(at(2), &samples(&[("alice-diary", 4), ("bob-page", 5)])).unwrap();
        assert_eq!(cpus(&ring.of(&app("alice-diary"), at(2))), [1, 4]);
        ring.write(at(3), &samples(&[("bob-page", 6), ("eve-page", 9)])).unwrap();
        assert_eq!(cpus(&ring.of(&app("eve-page"), at(3))), [9]);
        assert_eq!(ring.of(&app("alice-diary"), at(3)), []);
        assert_eq!(cpus(&ring.of(&app("bob-page"), at(3))), [2, 3, 5, 6]);
    }

    #[test]
    fn more_apps_than_there_are_places_for_keep_nobody_out_who_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(&folder.path().join("usage")).unwrap();
        let many: BTreeMap<_, _> = (0..MOST_APPS + 5).map(|n| (app(&format!("alice-app{n:04}")), used(3))).collect();
        ring.write(NOW, &many).unwrap();
        assert_eq!(ring.all(NOW).len(), MOST_APPS);
    }
}
