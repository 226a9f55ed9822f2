//! `logs/deploy.log`: what happened to an app's deploys, newest last, never above 1 MiB.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::OFlags;

use super::atomic::{self, Flush};
use super::data::LOGS;
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Checkpoints, Outcome};

const NAME: &str = "deploy.log";
const MODE: u32 = 0o644;

/// Most that the file ever holds.
pub const MAX_LOG_BYTES: u64 = 1 << 20;

/// Appends the text as whole lines. When the file would grow beyond its bound, its oldest half goes first.
///
/// Not flushed: a power loss may cost the last lines of a log, and a deploy need not wait for the disk.
pub(super) fn append(logs: &Dir, app_path: &Path, text: &str, checkpoints: &Checkpoints) -> Outcome {
    let path = app_path.join(LOGS).join(NAME);
    match nofollow::stat(logs, NAME).at("look at", &path)? {
        Some(stat) if Kind::of(&stat) != Kind::File => return Err(in_the_way(&path, Kind::of(&stat))),
        Some(_) | None => {}
    }
    let text = whole_lines(text);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND;
    let mut file = nofollow::open_file(logs, NAME, flags, MODE).at("open", &path)?;
    checkpoints.reach("log opened")?;
    let size = file.metadata().at("look at", &path)?.len();
    if size + text.len() as u64 <= MAX_LOG_BYTES {
        file.write_all(text.as_bytes()).at("append to", &path)?;
        return checkpoints.reach("log appended to");
    }
    let keep = (MAX_LOG_BYTES / 2).min(size);
    file.seek(SeekFrom::Start(size - keep)).at("read", &path)?;
    let mut bytes = Vec::new();
    file.take(keep).read_to_end(&mut bytes).at("read", &path)?;
    bytes.extend_from_slice(text.as_bytes());
    let kept = newest_lines(&bytes, usize::try_from(MAX_LOG_BYTES / 2).unwrap_or(usize::MAX).max(text.len()));
    atomic::replace(logs, NAME, kept, (MODE, Flush::Yes), &path, checkpoints)
}

/// With a line end, and itself no larger than half the bound.
fn whole_lines(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let kept = newest_lines(text.as_bytes(), usize::try_from(MAX_LOG_BYTES / 2).unwrap_or(usize::MAX)).len();
    let mut start = text.len() - kept;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.split_off(start)
}

/// The last bytes, at most so many, starting at a line if there is a line end among them.
fn newest_lines(bytes: &[u8], most: usize) -> &[u8] {
    if bytes.len() <= most {
        return bytes;
    }
    let tail = &bytes[bytes.len() - most..];
    match tail.iter().position(|byte| *byte == b'\n') {
        Some(end) if end + 1 < tail.len() => &tail[end + 1..],
        Some(_) | None => tail,
    }
}
