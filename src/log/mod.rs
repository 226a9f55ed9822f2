//! The daemon's log. Everything that writes to it goes through here, so this is where it is bounded.
//!
//! # Guarantees
//! - An event is one line, whatever is in it, and at most [`LINE`] bytes long: nobody forges lines or drives the terminal of
//!   whoever reads them.
//! - Refusals, which any stranger can bring about, are rationed by their code and by who asked, see [`ration`].
//! - A file of its own ([`file`]) is never larger than [`file::FILES`] times [`file::MAX_BYTES`], and leaves the disk its
//!   reserve.
//!
//! Without a file the log goes to standard error, where the journal has bounds of its own.

pub mod file;
pub mod ration;
mod troubles;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use self::file::LogFile;
use self::ration::Ration;
pub use self::troubles::tell_troubles;
use crate::model::shown;

/// Most bytes of a line.
pub const LINE: usize = 4_000;

/// How often it is told what was left out.
const TELL: Duration = Duration::from_secs(60);

/// The process has one log, as it has one standard error.
static RATION: Ration = Ration::new();

/// What refusals of this process are rationed by.
#[must_use]
pub fn ration() -> &'static Ration {
    &RATION
}

/// Where lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines(Arc<Mutex<Target>>);

#[derive(Debug)]
enum Target {
    Stderr(Colours),
    File(LogFile),
}

/// Whether the reader sees colours. They are the log's own: those in a field are escaped before they come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    Yes,
    No,
}

impl Lines {
    #[must_use]
    pub fn to_stderr(colours: Colours) -> Self {
        Self(Arc::new(Mutex::new(Target::Stderr(colours))))
    }

    /// Into a file, where standard output and standard error of this process go as well from now on.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(LogFile::open(path)?.with_standard_streams()?.into())
    }
}

impl From<LogFile> for Lines {
    fn from(file: LogFile) -> Self {
        Self(Arc::new(Mutex::new(Target::File(file))))
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// One event. It comes in one piece.
#[derive(Debug)]
pub struct Line<'a>(&'a Lines);

impl Write for Line<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut target = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *target {
            Target::Stderr(colours) => io::stderr().lock().write_all(one_line(&text, *colours).as_bytes())?,
            Target::File(file) => file.line(&one_line(&text, Colours::No)),
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as it is written, with its line end.
#[must_use]
pub fn one_line(event: &str, colours: Colours) -> String {
    let event = event.strip_suffix('\n').unwrap_or(event);
    let mut line = match colours {
        Colours::No => shown::Shown::at_most(event, LINE).to_string(),
        Colours::Yes => shown::coloured(event, LINE),
    };
    line.push('\n');
    line
}

/// Makes a panic a line of the log like any other: what it says may quote anybody. With `RUST_BACKTRACE` the usual report
/// follows.
pub fn tell_panics() {
    let usual = std::panic::take_hook();
    let traced = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let said = payload.downcast_ref::<&str>().copied();
        let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no words)");
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "a panic, which is a defect of the daemon: please report it: {said}");
        if traced {
            usual(panic);
        }
    }));
}

/// Tells once a minute what was left out, and at the end the rest.
pub async fn tell_what_was_left_out(stop: CancellationToken) {
    loop {
        // Cancel-safe: a token stays cancelled.
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(TELL) => ration().tell(Instant::now()),
        }
    }
    ration().tell_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_bounded_line_whatever_is_in_it() {
        let forged = "a\nINFO logged in\r\x1b[2K\u{202e}\u{2028}b\n";
        for colours in [Colours::Yes, Colours::No] {
            assert_eq!(one_line(forged, colours), "a\\nINFO logged in\\r\\u{1b}[2K\\u{202e}\\u{2028}b\n");
            for long in ["x".repeat(100_000), "\x1b".repeat(100_000), "\x1b[1m".repeat(30_000)] {
                let line = one_line(&long, colours);
                assert!(line.len() <= LINE + 8, "{}", line.len());
                assert_eq!(line.matches('\n').count(), 1);
            }
        }
        assert_eq!(one_line("\x1b[32m INFO\x1b[0m x\n", Colours::Yes), "\x1b[32m INFO\x1b[0m x\n");
    }
}
