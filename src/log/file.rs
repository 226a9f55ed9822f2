//! The log in a file of its own: `paas serve --log-file FILE`.
//!
//! # Guarantees
//! - `FILE`, `FILE.1` and `FILE.2` hold at most [`MAX_BYTES`] each, the newest lines in `FILE`. When the files cannot be
//!   renamed, `FILE` begins anew: a bound that holds is worth more than old lines.
//! - Below [`RESERVE_PERCENT`] of free space nothing is written any more, so that the log never takes the room that the
//!   database and the apps' data need. That it stops and that it goes on is a line each.
//! - A file that is taken away is made again.
//!
//! # Assumptions
//! - What the process writes to standard error besides its log, a few lines of an abort, counts towards the size of the file
//!   at the next line.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Most bytes of one file.
pub const MAX_BYTES: u64 = 10_000_000;
/// How many files there are, the one that is written to included.
pub const FILES: u32 = 3;
/// Share of the disk that stays free of the log: below it `paas doctor` warns, too.
pub const RESERVE_PERCENT: u64 = 5;

/// How much of the folder's disk is free, in percent; `None` when it cannot be asked.
type Free = Box<dyn Fn(&Path) -> Option<u64> + Send>;

pub struct LogFile {
    path: PathBuf,
    file: File,
    free: Free,
    most: u64,
    /// Lines left out since the disk is nearly full.
    left_out: Option<u64>,
    standard_streams: bool,
}

impl fmt::Debug for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LogFile {
    /// Opens the file to append to it, made when it is missing and readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be opened; a link in its place is not followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let (path, free) = (path.to_owned(), Box::new(free));
        Ok(Self { path, file, free, most: MAX_BYTES, left_out: None, standard_streams: false })
    }

    /// Standard output and standard error of this process go into the file as well, also after it was changed for another.
    ///
    /// # Errors
    /// When the process may not do that.
    pub fn with_standard_streams(mut self) -> io::Result<Self> {
        self.standard_streams = true;
        self.take_standard_streams()?;
        Ok(self)
    }

    /// Writes a line, which has its line end. What cannot be written is lost: there is nobody left to tell.
    pub fn line(&mut self, line: &str) {
        let is_full = (self.free)(&self.path).is_some_and(|percent| percent < RESERVE_PERCENT);
        match (&mut self.left_out, is_full) {
            (Some(left_out), true) => *left_out += 1,
            (None, true) => {
                self.left_out = Some(1);
                self.write(&format!(
                    "the log stops here: less than {RESERVE_PERCENT} % of its disk is free; make room, and it goes on by itself\n"
                ));
            }
            (Some(left_out), false) => {
                let told = format!("the log goes on: {left_out} lines were left out while its disk was nearly full\n");
                self.left_out = None;
                self.write(&told);
                self.write(line);
            }
            (None, false) => self.write(line),
        }
    }

    fn write(&mut self, line: &str) {
        let found = self.file.metadata().ok();
        if found.as_ref().is_some_and(|found| found.nlink() == 0) {
            self.reopen();
        } else if found.is_some_and(|found| found.len() + line.len() as u64 > self.most) {
            self.rotate();
        }
        let _ = self.file.write_all(line.as_bytes());
    }

    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            if number > 0 {
                name.push(format!(".{number}"));
            }
            PathBuf::from(name)
        };
        let mut renamed = true;
        for number in (0..FILES - 1).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => renamed = false,
            }
        }
        let reopened = self.reopen();
        if !renamed || !reopened {
            let _ = self.file.set_len(0);
        }
    }

    /// Whether the file under the name is the one that is written to now.
    fn reopen(&mut self) -> bool {
        let Ok(file) = open(&self.path) else { return false };
        self.file = file;
        let _ = self.take_standard_streams();
        true
    }

    fn take_standard_streams(&self) -> io::Result<()> {
        if self.standard_streams {
            rustix::stdio::dup2_stdout(&self.file)?;
            rustix::stdio::dup2_stderr(&self.file)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

fn free(path: &Path) -> Option<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    (disk.f_bavail * 100).checked_div(disk.f_blocks)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn small(folder: &Path, most: u64) -> LogFile {
        LogFile { most, free: Box::new(|_| Some(50)), ..LogFile::open(&folder.join("paas.log")).unwrap() }
    }

    fn files(folder: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    }

    #[test]
    fn three_files_are_all_there_ever_is() {
        let folder = tempfile::tempdir().unwrap();
        for life in 0..3 {
            // A restart goes on with what is there.
            let mut log = small(folder.path(), 100);
            for number in 0..50 {
                log.line(&format!("line {life} {number:03}\n"));
            }
        }
        let files = files(folder.path());
        assert_eq!(files.keys().collect::<Vec<_>>(), ["paas.log", "paas.log.1", "paas.log.2"]);
        assert!(files.values().all(|text| text.len() <= 100), "{files:?}");
        let newest = files["paas.log.2"].clone() + &files["paas.log.1"] + &files["paas.log"];
        let lines: Vec<_> = newest.lines().collect();
        assert_eq!(lines.last(), Some(&"line 2 049"));
        assert!(lines.len() > 16 && lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
    }

    #[test]
    fn the_disk_keeps_its_reserve_and_both_ends_of_the_gap_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let percent = Arc::new(AtomicU64::new(50));
        let asked = Arc::clone(&percent);
        let free: Free = Box::new(move |_| Some(asked.load(Ordering::Relaxed)));
        let mut log = LogFile { free, ..small(folder.path(), 10_000) };
        for (free, lines) in [(5, 1), (4, 1000), (5, 1), (0, 2), (6, 1)] {
            percent.store(free, Ordering::Relaxed);
            for _ in 0..lines {
                log.line(&format!("at {free}\n"));
            }
        }
        insta::assert_snapshot!(files(folder.path())["paas.log"], @r"
        at 5
        the log stops here: less than 5 % of its disk is free; make room, and it goes on by itself
        the log goes on: 1000 lines were left out while its disk was nearly full
        at 5
        the log stops here: less than 5 % of its disk is free; make room, and it goes on by itself
        the log goes on: 2 lines were left out while its disk was nearly full
        at 6
        ");
    }

    #[test]
    fn files_that_cannot_be_renamed_are_no_way_around_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 100);
        // A folder that is not empty cannot be replaced.
        fs::create_dir_all(folder.path().join("paas.log.1/x")).unwrap();
        fs::create_dir_all(folder.path().join("paas.log.2/x")).unwrap();
        for number in 0..50 {
            log.line(&format!("line {number:03}\n"));
        }
        let text = fs::read_to_string(folder.path().join("paas.log")).unwrap();
        assert!(text.len() <= 100 && text.ends_with("line 049\n"), "{text}");
    }

    #[test]
    fn a_file_that_is_taken_away_is_made_again_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 100);
        log.line("one\n");
        fs::remove_file(folder.path().join("paas.log")).unwrap();
        log.line("two\n");
        assert_eq!(files(folder.path())["paas.log"], "two\n");
        std::os::unix::fs::symlink("elsewhere", folder.path().join("link")).unwrap();
        LogFile::open(&folder.path().join("link")).unwrap_err();
    }

    #[test]
    fn the_disk_can_be_asked() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("paas.log")).is_some_and(|percent| percent <= 100));
        assert!(free(Path::new("paas.log")).is_some());
    }
}
