//! What happened when, for the reader of a failure. It is written to a file as it happens; a failed run keeps the file,
//! and the daemon's log beside it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// So much of it is printed with a failure.
const TAIL: usize = 120;

pub(super) struct History {
    began: Instant,
    file: File,
    path: PathBuf,
    daemon_log: PathBuf,
    seed: u64,
}

impl History {
    pub(super) fn begin(seed: u64, daemon_log: &Path) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("storm-{seed}.log"));
        let file = File::create(&path).unwrap();
        Self { began: Instant::now(), file, path, daemon_log: daemon_log.to_owned(), seed }
    }

    pub(super) fn say(&mut self, what: impl AsRef<str>) {
        writeln!(self.file, "{:9.3} {}", self.began.elapsed().as_secs_f64(), what.as_ref()).unwrap();
    }

    pub(super) fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_file(&self.path);
            return;
        }
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        eprintln!("--- what was done (times in seconds)\n{}", lines[lines.len().saturating_sub(TAIL)..].join("\n"));
        let log = self.path.with_extension("daemon.log");
        let _ = fs::copy(&self.daemon_log, &log);
        eprintln!("--- all of it: {}; the daemon's log: {}", self.path.display(), log.display());
        eprintln!("--- the same decisions again: SEED={} and KILLS as it was", self.seed);
    }
}
